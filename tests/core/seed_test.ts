import assert from "node:assert/strict";
import { CircuitBreaker, type Clock, systemClock } from "../../core/mod.ts";
import { freshSeed } from "../../core/seed.ts";

/** A clock that always says the same. */
function stopped(nowMs: number, wallMs: number): Clock {
  return { nowMs: () => nowMs, wallMs: () => wallMs };
}

Deno.test("seeds made at the same time all differ, and are whole numbers of 32 bits", () => {
  const clock = stopped(1_234.5, 1_700_000_000_000);
  const seeds = Array.from({ length: 10_000 }, () => freshSeed(clock));
  assert.equal(new Set(seeds).size, seeds.length);
  assert.ok(seeds.every((seed) => Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32));
  assert.ok(seeds.some((seed) => seed >= 2 ** 31));
});

Deno.test("threads that have made as many seeds make others, by either reading of the clock and by its fraction", async () => {
  const readings = [[1, 1], [1.000_1, 1], [1, 2], [2, 1]] as const;
  const seeds = await Promise.all(readings.map(async ([nowMs, wallMs], thread) => {
    const { freshSeed } = await import(`../../core/seed.ts?thread=${thread}`); // a module of its own, as a thread has
    return freshSeed(stopped(nowMs, wallMs)) as number;
  }));
  assert.equal(new Set(seeds).size, readings.length, String(seeds));
});

Deno.test("a clock that answers no number makes seeds all the same", () => {
  assert.ok(Number.isInteger(freshSeed(stopped(Number.NaN, Infinity))));
});

Deno.test("breakers that are made at once wait differently when their circuits open", () => {
  const clock = stopped(0, systemClock.wallMs());
  const waits = Array.from({ length: 20 }, () => {
    const breaker = new CircuitBreaker({ failureThreshold: 1, probeEveryNth: 0, cooldownMs: 100_000, clock });
    breaker.record(breaker.acquire(), "failure");
    return breaker.retryAfterMs;
  });
  assert.ok(new Set(waits).size >= 19, String(waits));
});
