/** What the documents say is so. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { readConfig } from "../server/mod.ts";
import { configurationPage } from "../tools/configuration_page.ts";

const read = (file: string) => readFileSync(new URL(`../${file}`, import.meta.url), "utf8");
const README = read("README.md");

Deno.test("docs/configuration.md is what the table of settings says", () => {
  assert.equal(read("docs/configuration.md"), configurationPage(), "run `deno task build`");
});

Deno.test("every setting that the README names is known to the server", () => {
  const names = [...new Set(README.match(/\bBREAKWATER_[A-Z_]+[A-Z]\b/g))];
  assert.ok(names.length > 5);
  const page = configurationPage();
  assert.deepEqual(names.filter((name) => !page.includes(`\`${name}\``)), []);
});

Deno.test("the defaults in the README's table of settings are the server's", () => {
  const rows = [...README.matchAll(/^\| `((?:BREAKWATER|OTEL)_\w+)`\s+\| `([^`]+)`/gm)];
  assert.ok(rows.length >= 5);
  const page = configurationPage();
  for (const [, name = "", value = ""] of rows) {
    const row = page.split("\n").find((line) => line.startsWith(`| \`${name}\``)) ?? "";
    assert.ok(row.includes(`\`${value}\``), `${name}: the README says ${value}, the page says ${row}`);
  }
  assert.ok("config" in readConfig({ HOME: "/home/me" }), "the defaults themselves are a configuration");
});

Deno.test("the README's two commands are tasks, and CI runs the tests as the README gives them", () => {
  const { tasks } = JSON.parse(read("deno.json")) as { tasks: Record<string, unknown> };
  const ci = read(".ci/run");
  for (const task of ["demo", "test"]) {
    const command = `npx -y deno@2.9.6 task ${task}`;
    assert.ok(task in tasks);
    assert.ok(README.includes(command), `the README does not say ${command}`);
    assert.ok(ci.includes(command), `.ci/run does not run ${command}`);
  }
});
