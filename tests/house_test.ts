/** What must hold for the house as a whole: which room may know which, and what no room may hold. */

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const HOUSE = fileURLToPath(new URL("..", import.meta.url));

/** What each room may import from, itself included. A room that is missing here may import from anywhere. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: ["core"],
  exporters: ["core", "exporters"],
  server: ["core", "exporters", "server"],
};

/** A file longer than this is more than one room. */
const SOURCE_LINES_MAX = 400;

/** Written by a program, read by none: their length and words are not ours. */
const GENERATED = new Set(["core/core_wasm.ts"]);

interface Module {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly specifier: string;
    readonly code?: { readonly specifier: string };
    readonly type?: { readonly specifier: string };
  }[];
}

Deno.test("core, exporters and server import only from the rooms below them", async () => {
  const wrong: string[] = [];
  for (const [file, { dependencies = [] }] of await modulesByFile()) {
    const room = roomOf(file);
    const allowed = MAY_IMPORT[room];
    if (allowed === undefined) continue;
    for (const dependency of dependencies) {
      const target = dependency.code?.specifier ?? dependency.type?.specifier ?? "";
      if (!target.startsWith("file:")) continue;
      const to = roomOf(houseName(target));
      if (!allowed.includes(to)) wrong.push(`${file}: ${room}/ must not import from ${to}/ (${dependency.specifier})`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("no files of core, exporters and server import each other in a circle", async () => {
  const modules = await modulesByFile();
  const done = new Set<string>();
  const circles: string[] = [];
  const follow = (file: string, way: readonly string[]): void => {
    if (way.includes(file)) circles.push([...way.slice(way.indexOf(file)), file].join(" -> "));
    if (done.has(file) || way.includes(file)) return;
    for (const { code, type } of modules.get(file)?.dependencies ?? []) {
      const target = code?.specifier ?? type?.specifier ?? "";
      if (target.startsWith("file:")) follow(houseName(target), [...way, file]);
    }
    done.add(file);
  };
  for (const file of modules.keys()) follow(file, []);
  assert.deepEqual(circles, []);
});

Deno.test("core imports no package, exporters import only OpenTelemetry's types", async () => {
  const wrong: string[] = [];
  for (const [file, { dependencies = [] }] of await modulesByFile()) {
    const room = roomOf(file);
    if (room !== "core" && room !== "exporters") continue;
    for (const { specifier, code } of dependencies) {
      if (specifier.startsWith(".") || specifier.startsWith("node:")) continue;
      const onlyTypes = code === undefined;
      if (room === "exporters" && specifier.startsWith("@opentelemetry/") && onlyTypes) continue;
      if (room === "exporters" && specifier === "@opentelemetry/api") continue;
      wrong.push(`${file} imports ${specifier}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("nothing is imported from JSR or from a URL", async () => {
  const wrong: string[] = [];
  for (const [file, { dependencies = [] }] of await modulesByFile()) {
    for (const { specifier } of dependencies) {
      if (/^(jsr:|https?:|@std\/)/.test(specifier)) wrong.push(`${file} imports ${specifier}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("only server/platform.ts speaks to Deno by name", () => {
  const wrong = sources(["core", "exporters", "server"])
    .filter((file) => file !== "server/platform.ts")
    .filter((file) => codeOf(file).some((line) => /\bDeno\b\s*[.?[]/.test(line)));
  assert.deepEqual(wrong, []);
});

Deno.test("core and exporters are in the language of Node 22, which does not know `using`", () => {
  const wrong = sources(["core", "exporters"]).filter((file) =>
    codeOf(file).some((line) => /^\s*(await )?using [\w$]+ =/.test(line))
  );
  assert.deepEqual(wrong, []);
});

Deno.test("the core takes time from a clock that it is given and luck from a seed: only core/clock.ts reads either", () => {
  const ambient = /\b(Math\s*\.\s*random|crypto|performance|Date|hrtime)\b/;
  const readers = sources(["core"]).filter((file) => codeOf(file).some((line) => ambient.test(line)));
  assert.deepEqual(readers, ["core/clock.ts"]);
});

Deno.test(`no source file is longer than ${SOURCE_LINES_MAX} lines`, () => {
  const long = sources(["core", "exporters", "server", "bench", "demo", "tools"])
    .map((file) => ({ file, lines: readFileSync(join(HOUSE, file), "utf8").split("\n").length - 1 }))
    .filter(({ lines }) => lines > SOURCE_LINES_MAX);
  assert.deepEqual(long, []);
});

Deno.test("nothing is left to be finished, by its own words", () => {
  const unfinished = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"].join("|")})\\b`);
  const found = sources(["core", "exporters", "server", "bench", "demo", "tools", "tests"])
    .filter((file) => unfinished.test(readFileSync(join(HOUSE, file), "utf8")));
  assert.deepEqual(found, []);
});

for (const entry of ["mod.ts", "core/mod.ts", "exporters/mod.ts", "server/mod.ts"]) {
  Deno.test(`importing ${entry} does nothing and asks for nothing`, async () => {
    const { code, stdout, stderr } = await deno("run", "--no-prompt", "--quiet", "--config", "deno.json", entry);
    assert.equal(stderr, "");
    assert.equal(stdout, "");
    assert.equal(code, 0);
  });
}

Deno.test("every relative link in the documents leads somewhere", () => {
  const broken: string[] = [];
  for (const file of documents()) {
    const text = readFileSync(join(HOUSE, file), "utf8");
    for (const [, target = ""] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      if (!existsSync(join(HOUSE, dirname(file), target))) broken.push(`${file} -> ${target}`);
    }
  }
  assert.deepEqual(broken, []);
});

/** Every module of the house by its name in it, as `deno info` sees them. Each call walks one graph of them. */
let graph: Promise<Map<string, Module>> | undefined;
function modulesByFile(): Promise<Map<string, Module>> {
  graph ??= readGraph();
  return graph;
}

async function readGraph(): Promise<Map<string, Module>> {
  const modules = new Map<string, Module>();
  for (const file of sources(Object.keys(MAY_IMPORT))) {
    if (modules.has(file)) continue;
    const { stdout } = await deno("info", "--json", file);
    for (const module of (JSON.parse(stdout) as { modules: Module[] }).modules) {
      if (module.specifier.startsWith("file:")) modules.set(houseName(module.specifier), module);
    }
  }
  assert.ok(modules.size > 0, "the graph is empty: the checks on it would check nothing");
  return modules;
}

async function deno(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const output = await new Deno.Command(Deno.execPath(), { args, cwd: HOUSE, env: { NO_COLOR: "1" } }).output();
  const text = new TextDecoder();
  return { code: output.code, stdout: text.decode(output.stdout), stderr: text.decode(output.stderr) };
}

function houseName(specifier: string): string {
  return relative(HOUSE, fileURLToPath(specifier)).replaceAll("\\", "/");
}

function roomOf(file: string): string {
  return file.includes("/") ? file.slice(0, file.indexOf("/")) : ".";
}

/** TypeScript files below the rooms given, without AssemblyScript and generated files. */
function sources(rooms: readonly string[]): string[] {
  return rooms
    .filter((room) => existsSync(join(HOUSE, room)))
    .flatMap((room) =>
      readdirSync(join(HOUSE, room), { recursive: true, encoding: "utf8" }).map((file) =>
        `${room}/${file.replaceAll("\\", "/")}`
      )
    )
    .filter((file) => file.endsWith(".ts") && !file.startsWith("core/assembly/") && !GENERATED.has(file));
}

function documents(): string[] {
  const top = readdirSync(HOUSE).filter((file) => file.endsWith(".md"));
  const docs = existsSync(join(HOUSE, "docs"))
    ? readdirSync(join(HOUSE, "docs"), { recursive: true, encoding: "utf8" }).map((file) => `docs/${file}`)
    : [];
  return [...top, ...docs.filter((file) => file.endsWith(".md"))];
}

/** The lines of a file that are not comments, as far as a line can tell. */
function codeOf(file: string): string[] {
  return readFileSync(join(HOUSE, file), "utf8").split("\n").filter((line) => !/^\s*(\/\/|\/?\*)/.test(line));
}
