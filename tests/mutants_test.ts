/** The list of mutants, as far as it can be judged without building any: `deno task mutants` tries them. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { CORE_MUTANTS } from "../tools/core_mutants.ts";
import { JOURNAL_MUTANTS } from "../tools/journal_mutants.ts";
import { RING_MUTANTS } from "../tools/ring_mutants.ts";
import { mutated } from "../tools/mutants.ts";

const MUTANTS = [...CORE_MUTANTS, ...RING_MUTANTS, ...JOURNAL_MUTANTS];

Deno.test("the text of each mutant stands in its file, once", () => {
  assert.ok(CORE_MUTANTS.length >= 50);
  assert.ok(RING_MUTANTS.length >= 25);
  assert.ok(JOURNAL_MUTANTS.length >= 12);
  for (const mutant of MUTANTS) {
    const source = readFileSync(new URL(`../${mutant.file}`, import.meta.url), "utf8");
    assert.notEqual(mutated(source, mutant), source, mutant.name);
  }
});

Deno.test("a mutant is refused whose text is not found, or more than once", () => {
  const mutant = { name: "wrong", breaks: "nothing", file: "a.ts", from: "a", to: "$&b" };
  assert.equal(mutated("1 + a;", mutant), "1 + $&b;");
  for (const [source, times] of [["1;", 0], ["a + a;", 2]] as const) {
    assert.throws(() => mutated(source, mutant), {
      message: `Cannot make mutant "wrong": its text is found ${times} times in a.ts`,
    });
  }
});

Deno.test("no two mutants have one name", () => {
  const names = MUTANTS.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)]);
});
