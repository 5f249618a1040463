/**
 * `deno task mutants`: breaks the core, its byte ring and the journal on purpose, in one small way at a time, and sees a
 * test go red for each.
 *
 * It works in copies of the house, uncommitted changes included, and never in the house itself. A copy takes one mutant, is
 * built, and runs the tests of that room until the first failure. What the tests of the generated module say does not count:
 * they would notice any edit. Words pick mutants by name (`deno task mutants swing`); `--json` prints the results as JSON.
 */

import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { CORE_MUTANTS } from "./core_mutants.ts";
import { JOURNAL_MUTANTS } from "./journal_mutants.ts";
import type { Mutant } from "./mutant.ts";
import { RING_MUTANTS } from "./ring_mutants.ts";

/** What became of a mutant. Only the first two are good. */
interface Result {
  readonly name: string;
  readonly verdict: "caught" | "caught (hang)" | "survived" | "error";
  /** The test that caught it, by file and title, or what went wrong. */
  readonly by: string;
  readonly seconds: number;
}

/** What a run of the tests came to: a failure is named by file and title. */
type TestRun = { readonly ended: "passed" | "hung" } | { readonly ended: "failed"; readonly by: string };

const HOUSE = fileURLToPath(new URL("..", import.meta.url));
const GENERATED = "core/core_wasm.ts";

/** Copies that work at the same time: as many as the smallest machine has processors. */
const COPIES = 2;

/** A run of tests/core takes half a minute at most. What takes this long, on a busy machine too, will not end. */
const TEST_RUN_MS_MAX = 120_000;

/** The runs that a race between threads gets to show itself. One run misses it about once in eight, on a busy machine. */
const RACE_RUNS_MAX = 5;

/** What stands in the house and is no part of it: repositories, a Deno of its own, packages, reports. */
const NOT_COPIED = /^(\..*|node_modules|coverage)$/;

/** What is broken, and which tests have to notice. */
interface Room {
  /** The folder of its tests. */
  readonly tests: string;
  /** Tests that do not count. */
  readonly notCounted: RegExp;
  /** Run in this order, a file where the first of these fits: tables say best what is wrong, and what takes seconds waits. */
  readonly order: readonly RegExp[];
}

const CORE: Room = {
  tests: "tests/core",
  // Tests that read the source, count its instructions or follow its every step notice any edit, whatever it does; and
  // what random programs find, a test of its own should say.
  notCounted: /^byte_ring_|^core_wasm_test|^synchronisation_test|^exhaustive_test|^interleaving_test|_property_test/,
  order: [
    /^(breaker|window|slow_call|mode)_test/,
    /^(?!.*_(property|sharing)_test)/,
    /_property_test/,
    /_sharing_test/,
  ],
};

const RING: Room = {
  tests: "tests/core",
  notCounted: /^(?!byte_ring_)|_property_test/,
  order: [/^byte_ring_test/, /_death_test/, /_sharing_test/],
};

const JOURNAL: Room = {
  tests: "tests/exporters/journal",
  // What a kill at a random moment finds, or damage of random kinds, a test of its own should say.
  notCounted: /_kill_test|_damages_test|^quarantine_/,
  order: [/^(format|slot_file|reader)_test/, /_(noted|restart|failure|keeping)_test/, /_power_test/, /_damage_test/],
};

/** The tests in which threads meet. */
const OF_THREADS = /_sharing_test\.ts$/;

/** A mutant's file with the mutant in it. */
export function mutated(source: string, { name, file, from, to }: Mutant): string {
  const places = source.split(from).length - 1;
  if (places !== 1) throw new Error(`Cannot make mutant "${name}": its text is found ${places} times in ${file}`);
  return source.replace(from, () => to);
}

/** A copy of the house in which mutants are tried, one after the other. */
class Copy {
  readonly #folder: string = mkdtempSync(join(tmpdir(), "breakwater-mutants-"));

  constructor(from = HOUSE) {
    cpSync(from, this.#folder, {
      recursive: true,
      filter: (path) => path === from || !NOT_COPIED.test(basename(path)),
    });
  }

  /** Another copy, of this one as it is now. */
  again(): Copy {
    return new Copy(this.#folder);
  }

  /** Builds the core as it is and runs the tests of a room. */
  async asItIs(room: Room): Promise<TestRun> {
    await this.#build();
    return await this.#test(room);
  }

  /** Tries one mutant, and takes it out again. */
  async try(mutant: Mutant): Promise<Result> {
    const startMs = performance.now();
    const [verdict, by] = await this.#verdict(mutant).catch((error) => ["error", messageOf(error)] as const);
    return { name: mutant.name, verdict, by, seconds: (performance.now() - startMs) / 1000 };
  }

  async #verdict(mutant: Mutant): Promise<readonly [Result["verdict"], string]> {
    const file = join(this.#folder, mutant.file);
    const module = join(this.#folder, GENERATED);
    const source = readFileSync(file, "utf8");
    const harmless = readFileSync(module, "utf8");
    writeFileSync(file, mutated(source, mutant));
    try {
      const room = roomOf(mutant);
      if (room !== JOURNAL) await this.#build();
      if (file.includes("/assembly/") && readFileSync(module, "utf8") === harmless) {
        return ["error", "the module is the same with it and without"];
      }
      const races = mutant.races === true;
      let run = await this.#test(room, races ? OF_THREADS : undefined);
      for (let runs = 1; races && runs < RACE_RUNS_MAX && run.ended === "passed"; runs++) {
        run = await this.#test(room, OF_THREADS);
      }
      if (run.ended === "failed") return ["caught", run.by];
      if (run.ended === "passed") return ["survived", "no test fails"];
      const bound = `the tests do not end within ${TEST_RUN_MS_MAX / 1000} s`;
      return mutant.hangs === true ? ["caught (hang)", bound] : ["error", bound];
    } finally {
      writeFileSync(file, source);
      writeFileSync(module, harmless);
    }
  }

  async #build(): Promise<void> {
    const { code, output } = await this.#deno(["run", "-A", "tools/build_core.ts", "--fast"]);
    if (code !== 0) throw new Error(`it cannot be built: ${/^ERROR.*$/m.exec(output)?.[0] ?? output.trim()}`);
  }

  async #test({ tests, notCounted, order }: Room, which = /_test\.ts$/): Promise<TestRun> {
    const placeOf = (file: string) => {
      const index = order.findIndex((pattern) => pattern.test(file));
      return index < 0 ? order.length : index;
    };
    const files = readdirSync(join(this.#folder, tests))
      .filter((file) => which.test(file) && !notCounted.test(file))
      .sort((a, b) => placeOf(a) - placeOf(b) || a.localeCompare(b))
      .map((file) => `${tests}/${file}`);
    const { code, output } = await this.#deno(["test", "-A", "--no-check", "--fail-fast", "--reporter=tap", ...files]);
    if (code === undefined) return { ended: "hung" };
    const failure = firstFailure(output);
    if (code === 0 && failure === undefined) return { ended: "passed" };
    if (failure === undefined) throw new Error(`the tests did not run: ${output.trim().slice(-500)}`);
    return { ended: "failed", by: failure };
  }

  /** Runs Deno in the copy. The code is missing when it was ended because it took too long. */
  async #deno(args: readonly string[]): Promise<{ code: number | undefined; output: string }> {
    const child = new Deno.Command(Deno.execPath(), {
      args: [...args],
      cwd: this.#folder,
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL"); // a loop inside the module hears nothing else
    }, TEST_RUN_MS_MAX);
    const { code, stdout, stderr } = await child.output();
    clearTimeout(timer);
    const text = new TextDecoder();
    return { code: late ? undefined : code, output: text.decode(stdout) + text.decode(stderr) };
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function roomOf({ file }: Mutant): Room {
  if (!file.startsWith("core/")) return JOURNAL;
  return file.includes("byte_ring") ? RING : CORE;
}

/** The first test that failed in a report of the kind "tap", as `file: title`. */
function firstFailure(report: string): string | undefined {
  let file = "";
  for (const line of report.split("\n")) {
    if (line.startsWith("# ")) file = basename(line.slice(2));
    const [, title] = /^not ok \d+ - (.*)/.exec(line) ?? [];
    if (title !== undefined) return `${file}: ${title}`;
  }
  return undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function main(args: readonly string[]): Promise<boolean> {
  const words = args.filter((arg) => !arg.startsWith("--"));
  const asJson = args.includes("--json");
  const chosen = [...CORE_MUTANTS, ...RING_MUTANTS, ...JOURNAL_MUTANTS].filter(({ name }) =>
    words.length === 0 || words.some((word) => name.includes(word))
  );
  if (chosen.length === 0) {
    throw new Error(`No mutant has ${words.map((word) => `"${word}"`).join(" or ")} in its name`);
  }

  using first = new Copy();
  for (const room of new Set(chosen.map(roomOf))) {
    const unharmed = await first.asItIs(room);
    if (unharmed.ended === "passed") continue;
    throw new Error(
      `The tests do not pass without a mutant: ${unharmed.ended === "failed" ? unharmed.by : "they hang"}`,
    );
  }
  const width = Math.max(...chosen.map(({ name }) => name.length));
  const results: Result[] = [];
  const waiting = [...chosen];
  const work = async (copy: Copy) => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const result = await copy.try(mutant);
      results.push(result);
      if (!asJson) console.log(row(result, width));
    }
  };
  const others = Array.from({ length: Math.min(COPIES, chosen.length) - 1 }, () => first.again());
  try {
    await Promise.all([first, ...others].map(work));
  } finally {
    for (const copy of others) copy[Symbol.dispose]();
  }

  const caughtCount = results.filter(({ verdict }) => verdict.startsWith("caught")).length;
  if (asJson) console.log(JSON.stringify(results, null, 2));
  else console.log(`\nmutants: ${caughtCount} of ${chosen.length} caught`);
  return caughtCount === chosen.length;
}

function row({ name, verdict, by, seconds }: Result, width: number): string {
  const what = verdict === "caught" ? by : `${verdict.toUpperCase()}: ${by}`;
  return `${name.padEnd(width)}  ${seconds.toFixed(1).padStart(5)} s  ${what}`;
}

if (import.meta.main && !await main(Deno.args)) Deno.exitCode = 1;
