/**
 * How often a call makes threads wait for each other: by atomic operations that write, for which a processor must have a line
 * of memory to itself. (An atomic that only reads costs what any other reading does.) They are counted over many calls, in the
 * core as it is but that it tells of them, and in the breaker that one writes first. Ours takes at most half as many.
 */

import assert from "node:assert/strict";
import { FakeClock } from "../fakes/clock.ts";
import { compileHookedCore } from "../fakes/hooked_core.ts";
import { KINDS } from "../model/steps/words.ts";
import { NaiveBreaker } from "../model/naive_breaker.ts";

/** So many that what happens once in a while is seen to be rare: a multiple of the 14 calls on a page of the count window. */
const CALLS = 14_000;

let synchronisations = 0;

// The face makes its core of the module that tells, so what is counted is what a caller of it pays.
const module = await compileHookedCore();
const { Instance } = WebAssembly;
WebAssembly.Instance = function (_: WebAssembly.Module, { env }: { env: WebAssembly.ModuleImports }) {
  const hook = (kind: number) => void (KINDS[kind] !== "load" && synchronisations++);
  return new Instance(module, { env: { ...env, hook } });
} as unknown as typeof Instance;
const { CircuitBreaker } = await import("../../core/breaker.ts");

Deno.test("P2-18 a call of a closed circuit takes one synchronisation operation, and the naive breaker's four", () => {
  const breaker = new CircuitBreaker();
  const naive = new NaiveBreaker(new FakeClock());
  const taken = ours(() => breaker.record(breaker.acquire(), "success"));
  const takenNaively = naively(naive, () => naive.acquire() && naive.record("success"));
  assert.deepEqual([taken, takenNaively], [1, 4]);
});

Deno.test("P2-18 calls of a closed circuit that fail and succeed in turns take two, and the naive breaker's four", () => {
  const breaker = new CircuitBreaker();
  const naive = new NaiveBreaker(new FakeClock());
  let calls = 0;
  const outcome = () => calls++ % 2 === 0 ? "failure" : "success";
  const taken = ours(() => breaker.record(breaker.acquire(), outcome()));
  const takenNaively = naively(naive, () => naive.acquire() && naive.record(outcome()));
  assert.deepEqual([taken, takenNaively], [2, 4]);
});

for (
  const { what, options, takes } of [
    { what: "the last calls", options: { countWindowSize: 100 }, takes: 2 + 1 / 14 },
    { what: "the last seconds", options: { timeWindowMs: 10_000 }, takes: 2 },
    { what: "the last seconds, and slow ones", options: { timeWindowMs: 10_000, slowCallMs: 100 }, takes: 2 },
  ]
) {
  Deno.test(`a call takes one synchronisation operation more, and hardly ever two, with a window over ${what}`, () => {
    const breaker = new CircuitBreaker({ ...options, clock: new FakeClock() });
    const taken = ours(() => breaker.record(breaker.acquire(), "success"));
    assert.ok(Math.abs(taken - takes) < 0.001, `${taken}`);
  });
}

for (
  const { how, probeEveryNth, takes } of [
    { how: "one where attempts are counted", probeEveryNth: 10, takes: 1 },
    { how: "none where they are not", probeEveryNth: 0, takes: 0 },
  ]
) {
  Deno.test(`P2-18 a refusal takes ${how}, and the naive breaker's two`, () => {
    const clock = new FakeClock();
    const breaker = new CircuitBreaker({ clock, probeEveryNth });
    const naive = new NaiveBreaker(clock);
    while (breaker.state === "closed") breaker.record(breaker.acquire(), "failure");
    if (probeEveryNth > 0) assert.ok(breaker.acquire() >= 0, "the first attempt is a probe, which stays out");
    for (let failed = 0; failed < 5; failed++) naive.record("failure");
    const taken = ours(() => assert.ok(breaker.acquire() < 0));
    const takenNaively = naively(naive, () => assert.ok(!naive.acquire()));
    assert.deepEqual([taken, takenNaively], [takes, 2]);
  });
}

function ours(call: () => void): number {
  return each(call, () => synchronisations);
}

function naively(breaker: NaiveBreaker, call: () => void): number {
  return each(call, () => breaker.synchronisations);
}

/** What a call takes, on average. */
function each(call: () => void, count: () => number): number {
  const before = count();
  for (let made = 0; made < CALLS; made++) call();
  return (count() - before) / CALLS;
}
