import assert from "node:assert/strict";
import { CircuitBreaker, type CircuitBreakerOptions } from "../../core/breaker.ts";
import { FakeClock } from "../fakes/clock.ts";

Deno.test("P1-03 attempts 0, 10 and 20 reach the backend, the eighteen between do not", () => {
  const breaker = new CircuitBreaker({ clock: new FakeClock() });
  for (let call = 0; call < 3; call++) breaker.record(breaker.acquire(), "failure");
  const reached: number[] = [];
  for (let attempt = 0; attempt <= 20; attempt++) {
    const permit = breaker.acquire();
    if (permit < 0) continue;
    reached.push(attempt);
    assert.equal(breaker.record(permit, "failure"), "applied");
  }
  assert.deepEqual(reached, [0, 10, 20]);
  assert.equal(breaker.counters.refused, 18);
});

Deno.test("P2-04 5 failures open; 29.999 s later a call is refused, 30.000 s later exactly one probe passes", async () => {
  const clock = new FakeClock();
  const options: CircuitBreakerOptions = { failureThreshold: 5, probeEveryNth: 0, cooldownJitter: 0, clock };
  const breaker = new CircuitBreaker(options);
  for (let call = 0; call < 5; call++) breaker.record(breaker.acquire(), "failure");
  await clock.advance(29_999);
  assert.ok(breaker.acquire() < 0);
  await clock.advance(1);
  const permits = Array.from({ length: 100 }, () => breaker.acquire());
  assert.equal(permits.filter((permit) => permit >= 0).length, 1);
  assert.equal(breaker.record(permits[0]!, "success"), "applied");
  assert.equal(breaker.state, "closed");
});
