/** Breakwater and its oracle do all that a circuit breaker should; the suite finds those that do not. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { FAULTY } from "./adapters/faulty.ts";
import { naive } from "./adapters/naive.ts";
import { OTHERS, OURS, resultsOf } from "./breakers.ts";
import { judge, judgeAll, TRIALS, type Verdict } from "./suite.ts";
import { totalsTable } from "./table.ts";

const numbersOf = (verdicts: readonly Verdict[], mark: Verdict["mark"]) =>
  verdicts.filter((verdict) => verdict.mark === mark).map(({ trial }) => trial.number);

Deno.test("the tests have the numbers from 1 on, each once", () => {
  assert.deepEqual(TRIALS.map(({ number }) => number), TRIALS.map((_, index) => index + 1));
});

for (const adapter of OURS) {
  for (const trial of TRIALS) {
    Deno.test(`${adapter.name} ${adapter.variant}: ${trial.number} ${trial.title}`, async () => {
      const { mark, reason } = await judge(adapter, trial);
      assert.equal(mark, "pass", reason);
    });
  }
}

Deno.test("the breaker of an afternoon fails the tests that it should", async () => {
  const verdicts = await judgeAll(naive);
  assert.deepEqual(numbersOf(verdicts, "FAIL"), [3, 5, 6, 8, 10, 18, 19, 33, 49, 54, 57]);
});

for (const { what, foundBy, adapter } of FAULTY) {
  Deno.test(`a breaker that ${what} is found by ${foundBy.length === 1 ? "test" : "tests"} ${foundBy.join(", ")}`, async () => {
    for (const number of foundBy) {
      const { mark } = await judge(adapter, TRIALS[number - 1]!);
      assert.equal(mark, "FAIL", `test ${number} does not find it`);
    }
  });
}

Deno.test("no test passes whatever it is asked of", async () => {
  const found = new Set(FAULTY.flatMap(({ foundBy }) => foundBy));
  for (const { verdicts } of await resultsOf(OTHERS)) {
    for (const number of numbersOf(verdicts, "FAIL")) found.add(number);
  }
  assert.deepEqual(TRIALS.map(({ number }) => number).filter((number) => !found.has(number)), []);
});

Deno.test("the README's table of totals is what a run says", async () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const results = await resultsOf([...OURS.filter(({ name }) => name === "Breakwater"), ...OTHERS]);
  assert.ok(readme.includes(`asks ${TRIALS.length} things`));
  for (const row of totalsTable(results)) assert.ok(readme.includes(row), `missing in the README: ${row}`);
});

Deno.test("the platform has its own time back after a test", async () => {
  const before = [Date, setTimeout, setInterval, clearTimeout, clearInterval, performance.now];
  await judge(naive, TRIALS[0]!);
  assert.deepEqual([Date, setTimeout, setInterval, clearTimeout, clearInterval, performance.now], before);
});
