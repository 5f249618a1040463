/** The counters that are dates: when a circuit last opened, and when a call last succeeded. */

import assert from "node:assert/strict";
import { CircuitBreaker, type CircuitBreakerOptions } from "../../core/breaker.ts";
import { FakeClock } from "../fakes/clock.ts";

/** A circuit that was made at 1 000 ms, and what its dates are, in milliseconds since the clock began. */
async function circuit(options: CircuitBreakerOptions = {}) {
  const clock = new FakeClock();
  await clock.advance(1_000);
  const breaker = new CircuitBreaker({ probeEveryNth: 0, cooldownMs: 100, cooldownJitter: 0, ...options, clock });
  const startMs = clock.wallMs() - clock.nowMs();
  const date = (ms: number | undefined) => ms === undefined ? undefined : ms - startMs;
  return {
    clock,
    breaker,
    openedAt: (of = breaker) => date(of.counters.openedAtMs),
    lastSuccess: (of = breaker) => date(of.counters.lastSuccessMs),
  };
}

function fail(breaker: CircuitBreaker, times = 1): void {
  for (let time = 0; time < times; time++) breaker.record(breaker.acquire(), "failure");
}

Deno.test("openedAtMs is when the circuit last opened from closed", async () => {
  const { clock, breaker, openedAt } = await circuit();
  assert.equal(openedAt(), undefined);
  fail(breaker, 2);
  assert.equal(openedAt(), undefined);
  await clock.advance(5);
  fail(breaker);
  await clock.advance(50);
  assert.equal(openedAt(), 1_005);
  assert.equal(openedAt(CircuitBreaker.attach(breaker.handle, { clock })), 1_005, "for all who share it");
  await clock.advance(50);
  fail(breaker);
  assert.equal(breaker.counters.opened, 2);
  assert.equal(openedAt(), 1_005, "a probe that fails is no opening");
  await clock.advance(200);
  breaker.record(breaker.acquire(), "success");
  assert.equal(openedAt(), 1_005, "nor is closing");
  breaker.record(breaker.acquire(), { throttledMs: 1 });
  assert.equal(openedAt(), 1_305);
  await clock.advance(10);
  breaker.mode = "forced_closed";
  breaker.mode = "disabled";
  assert.equal(openedAt(), 1_315);
});

Deno.test("openedAtMs and lastSuccessMs follow the wall clock, which may be stepped", async () => {
  const { clock, breaker, openedAt, lastSuccess } = await circuit({ failureThreshold: 1 });
  fail(breaker);
  await clock.advance(100);
  breaker.record(breaker.acquire(), "success");
  clock.stepWall(3_600_000);
  assert.equal(openedAt(), 3_601_000);
  assert.equal(lastSuccess(), 3_601_100);
});

Deno.test("lastSuccessMs is of whole milliseconds, also where the clocks are not", () => {
  const clock = { nowMs: () => 5.75, wallMs: () => 1_700_000_000_000.5 };
  const breaker = new CircuitBreaker({ failureThreshold: 1, clock });
  breaker.record(breaker.acquire(), "success");
  assert.equal(breaker.counters.lastSuccessMs, 1_700_000_000_000);
});

Deno.test("a success while closed is dated by the first reading after it, and keeps that date", async () => {
  const { clock, breaker, lastSuccess } = await circuit();
  assert.equal(lastSuccess(), undefined);
  fail(breaker);
  breaker.record(breaker.acquire(), "ignored");
  assert.equal(lastSuccess(), undefined, "nothing else is a success");
  breaker.record(breaker.acquire(), "success");
  await clock.advance(7);
  assert.equal(lastSuccess(), 1_007);
  await clock.advance(7);
  assert.equal(lastSuccess(), 1_007);
  fail(breaker);
  assert.equal(lastSuccess(), 1_007);
  breaker.record(breaker.acquire(), "success");
  assert.equal(lastSuccess(), 1_014);
});

for (const options of [{ timeWindowMs: 1_000 }, { slowCallMs: 100 }, { tapeSize: 10 }]) {
  Deno.test(`where ${JSON.stringify(options)} has the clock read, a success is dated by that`, async () => {
    const { clock, breaker, lastSuccess } = await circuit(options);
    for (let time = 0; time < 3; time++) {
      breaker.record(breaker.acquire(), "success");
      await clock.advance(10);
      assert.equal(lastSuccess(), 1_000 + 10 * time);
    }
  });
}

Deno.test("a probe that succeeds is dated by itself", async () => {
  const { clock, breaker, lastSuccess } = await circuit();
  fail(breaker, 3);
  await clock.advance(100);
  breaker.record(breaker.acquire(), "success");
  await clock.advance(100);
  assert.equal(lastSuccess(), 1_100);
});

Deno.test("lastSuccessMs is the last one of all who share the circuit, whoever reads it", async () => {
  const { clock, breaker, lastSuccess } = await circuit();
  const other = CircuitBreaker.attach(breaker.handle, { clock });
  breaker.record(breaker.acquire(), "success");
  assert.equal(lastSuccess(other), 1_000);
  await clock.advance(5);
  other.record(other.acquire(), "success");
  assert.equal(lastSuccess(), 1_005);
  await clock.advance(5);
  assert.equal(lastSuccess(other), 1_005);
  other.detach();
  assert.equal(lastSuccess(), 1_005, "also when that one is gone");
  breaker.record(breaker.acquire(), "success");
  assert.equal(lastSuccess(), 1_010);
});
