/**
 * A thread may die after it changed the state and before it published the deadline that goes with it. Here the deadlines are put back
 * to what they were before a call, which is what such a death leaves; whoever comes next has to find the circuit in order.
 */

import assert from "node:assert/strict";
import { CircuitBreaker, type CircuitBreakerOptions } from "../../core/breaker.ts";

/** DEADLINE and LEASE of assembly/layout.ts. FLOOR is not among them: it is raised before the state changes. */
const DEADLINES = [128, 136];

class MovedClock {
  ms = 1_000;
  readonly nowMs = () => this.ms;
  readonly wallMs = () => this.ms;
}

function circuit(options: CircuitBreakerOptions = {}): { clock: MovedClock; breaker: CircuitBreaker } {
  const clock = new MovedClock();
  const settings = {
    failureThreshold: 1,
    probeEveryNth: 0,
    cooldownMs: 100,
    cooldownJitter: 0,
    probeLeaseMs: 50,
    clock,
  };
  return { clock, breaker: new CircuitBreaker({ ...settings, ...options }) };
}

/** Makes a call whose thread dies before it publishes a deadline. */
function dying<T>(breaker: CircuitBreaker, call: () => T): T {
  const { memory, base } = breaker.handle;
  const words = new BigUint64Array(memory.buffer, base);
  const before = DEADLINES.map((offset) => words[offset / 8]!);
  const result = call();
  for (const [index, offset] of DEADLINES.entries()) words[offset / 8] = before[index]!;
  return result;
}

Deno.test("who dies while opening leaves a circuit that waits one cooldown from when it is found", () => {
  const { clock, breaker } = circuit();
  dying(breaker, () => breaker.record(breaker.acquire(), "failure"));
  clock.ms = 5_000;
  assert.ok(breaker.acquire() < 0);
  assert.equal(breaker.retryAfterMs, 100);
  clock.ms = 5_100;
  assert.ok(breaker.acquire() >= 0);
  assert.ok(breaker.acquire() < 0);
});

Deno.test("who dies while opening for a pause leaves a circuit that waits out the pause", () => {
  const { clock, breaker } = circuit();
  dying(breaker, () => breaker.record(breaker.acquire(), { throttledMs: 40 }));
  clock.ms = 1_039;
  assert.ok(breaker.acquire() < 0);
  assert.equal(breaker.throttled, true);
  clock.ms = 1_040;
  assert.ok(breaker.acquire() >= 0);
});

Deno.test("who dies with a probe in its hand, before the lease begins, has one from when it is found", () => {
  const { clock, breaker } = circuit();
  breaker.record(breaker.acquire(), "failure");
  clock.ms = 1_100;
  const lost = dying(breaker, () => breaker.acquire());
  assert.ok(lost >= 0);
  clock.ms = 9_000;
  assert.ok(breaker.acquire() < 0);
  clock.ms = 9_049;
  assert.ok(breaker.acquire() < 0);
  clock.ms = 9_050;
  assert.ok(breaker.acquire() >= 0);
  assert.equal(breaker.record(lost, "success"), "stale");
});

Deno.test("who dies reporting a failed probe by cooldown leaves the longer cooldown", () => {
  const { clock, breaker } = circuit();
  breaker.record(breaker.acquire(), "failure");
  clock.ms = 1_100;
  const probe = breaker.acquire();
  dying(breaker, () => breaker.record(probe, "failure"));
  assert.equal(breaker.retryAfterMs, 200);
});

Deno.test("who dies reporting a failed probe by attempt leaves the cooldown as it was", () => {
  const { clock, breaker } = circuit({ probeEveryNth: 100 });
  breaker.record(breaker.acquire(), "failure");
  clock.ms = 1_030;
  const probe = breaker.acquire();
  dying(breaker, () => breaker.record(probe, "failure"));
  clock.ms = 1_060;
  assert.equal(breaker.retryAfterMs, 40);
});

Deno.test("who dies a second time, and a third, delays the next probe and no more", () => {
  const { clock, breaker } = circuit();
  dying(breaker, () => breaker.record(breaker.acquire(), "failure"));
  for (let death = 0; death < 50; death++) {
    breaker.acquire();
    clock.ms += 800;
    const probe = dying(breaker, () => breaker.acquire());
    assert.ok(probe >= 0, `no probe passes after death ${death}`);
    dying(breaker, () => breaker.record(probe, "failure"));
    assert.ok(breaker.retryAfterMs <= 300_000);
    clock.ms += 300_000;
  }
  const probe = breaker.acquire();
  assert.equal(breaker.record(probe, "success"), "applied");
  assert.equal(breaker.state, "closed");
});
