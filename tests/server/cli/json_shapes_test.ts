import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { flip, makeData, quarantined, runJson } from "./cli_fixture.ts";

const PAGE = readFileSync(new URL("../../../docs/cli.md", import.meta.url), "utf8");

/** The shape of a command's answer, as the page gives it. */
function documented(command: string): unknown {
  const block = PAGE.slice(PAGE.indexOf(`\n\`${command}\``)).match(/```jsonc\n([\s\S]*?)\n```/)?.[1] ?? "";
  return JSON.parse(block.replace(/ \/\/ .*$/gm, ""));
}

/** The names in a value, with those around them. What the page leaves empty may be anything. */
function namesIn(value: unknown, page: unknown, path = ""): readonly string[] {
  if (Array.isArray(value)) {
    return Array.isArray(page) && page.length === 0
      ? []
      : value.flatMap((part) => namesIn(part, (page as unknown[])[0], path));
  }
  if (typeof value !== "object" || value === null) return [];
  if (Object.keys(page ?? {}).length === 0) return [];
  return Object.entries(value).flatMap(([name, part]) => [
    `${path}.${name}`,
    ...(COUNTS.has(name) ? [] : namesIn(part, (page as Record<string, unknown>)[name], `${path}.${name}`)),
  ]);
}

/** Counts by reason: which reasons there are is no matter of shape. */
const COUNTS = new Set(["rejected", "dropped", "refused"]);

for (const command of ["journal inspect", "journal verify", "journal repair", "quarantine list", "account"]) {
  Deno.test(`the JSON of ${command} has the names that docs/cli.md gives, all of them and no others`, async () => {
    const { disk, places: [, second] } = await makeData();
    await quarantined(disk, 1);
    flip(disk, second.path, second.from + 70);
    if (command === "journal inspect") await runJson(disk, "journal repair");
    const { code: _, ...answer } = await runJson(disk, command);
    const page = documented(command);
    const names = (value: unknown) => [...new Set(namesIn(value, page))].sort();
    assert.ok(names(page).length >= 5);
    assert.deepEqual(names(answer), names(page));
  });
}
