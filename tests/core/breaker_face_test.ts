/** What the face adds to the machine: options, counters, listeners, time, attachments. */

import assert from "node:assert/strict";
import { CircuitBreaker, type CircuitTransition } from "../../core/breaker.ts";
import { BurstClock } from "../../core/burst_clock.ts";

/** A clock that a test sets and that counts how often it was read. */
class CountingClock {
  ms = 0;
  readCount = 0;

  nowMs(): number {
    this.readCount++;
    return this.ms;
  }

  wallMs(): number {
    return this.ms;
  }
}

function open(breaker: CircuitBreaker): void {
  while (breaker.state === "closed") breaker.record(breaker.acquire(), "failure");
}

Deno.test("the longest cooldown is not shorter than the first", () => {
  assert.throws(() => new CircuitBreaker({ cooldownMs: 1000, cooldownMaxMs: 999 }), {
    name: "RangeError",
    message: 'Cannot create circuit breaker: "cooldownMaxMs" must be at least "cooldownMs" (1000), received 999',
  });
  const clock = new CountingClock();
  const breaker = new CircuitBreaker({ cooldownMs: 600_000, probeEveryNth: 0, cooldownJitter: 0, clock });
  open(breaker);
  assert.equal(breaker.retryAfterMs, 600_000);
});

Deno.test("the defaults are those of the contract", () => {
  const clock = new CountingClock();
  const breaker = new CircuitBreaker({ clock, cooldownJitter: 0 });
  for (let call = 0; call < 2; call++) breaker.record(breaker.acquire(), "failure");
  assert.equal(breaker.state, "closed");
  breaker.record(breaker.acquire(), "failure");
  assert.equal(breaker.state, "open", "failureThreshold 3");
  breaker.acquire(); // attempt 0, a probe: what is left is its lease
  assert.equal(breaker.retryAfterMs, 20_000, "probeLeaseMs is exportTimeoutMs 15000 and 5000 more");
  assert.equal(new CircuitBreaker({}).name, "circuit");
});

Deno.test("the caller's options are left as they are, and may be frozen", () => {
  const options = Object.freeze({ failureThreshold: 5, name: "traces" });
  assert.equal(new CircuitBreaker(options).name, "traces");
  assert.deepEqual(options, { failureThreshold: 5, name: "traces" });
  assert.throws(() => new CircuitBreaker({ name: 5 as unknown as string }), /"name" must be a string, received number/);
});

Deno.test("while closed on consecutive failures neither acquire nor record reads the clock", () => {
  const clock = new CountingClock();
  const breaker = new CircuitBreaker({ failureThreshold: 3, clock });
  const before = clock.readCount;
  for (let call = 0; call < 100; call++) {
    breaker.record(breaker.acquire(), "failure");
    breaker.record(breaker.acquire(), "ignored");
    breaker.record(breaker.acquire(), "failure");
    breaker.record(breaker.acquire(), "success");
  }
  assert.equal(clock.readCount, before);
  open(breaker);
  assert.ok(clock.readCount > before, "opening sets a deadline");
});

Deno.test("reading the state changes nothing", () => {
  const clock = new CountingClock();
  const breaker = new CircuitBreaker({ probeEveryNth: 0, cooldownMs: 100, cooldownJitter: 0, clock });
  open(breaker);
  clock.ms = 1_000;
  const { transitions } = breaker.counters;
  for (let time = 0; time < 5; time++) {
    assert.equal(breaker.state, "open");
    assert.equal(breaker.retryAfterMs, 0);
    assert.equal(breaker.throttled, false);
  }
  assert.equal(breaker.counters.transitions, transitions);
});

Deno.test("jitter spreads a cooldown over its share both ways, the same for the same seed", () => {
  const waits = (seed: number) => {
    const clock = new CountingClock();
    const breaker = new CircuitBreaker({ probeEveryNth: 0, cooldownMs: 1000, cooldownJitter: 0.2, seed, clock });
    const found: number[] = [];
    for (let opening = 0; opening < 200; opening++) {
      open(breaker);
      found.push(breaker.retryAfterMs);
      clock.ms += breaker.retryAfterMs;
      breaker.record(breaker.acquire(), "success");
    }
    return found;
  };
  const found = waits(7);
  assert.deepEqual(waits(7), found);
  assert.notDeepEqual(waits(8), found);
  assert.ok(found.every((ms) => ms >= 800 && ms <= 1200), `from ${Math.min(...found)} to ${Math.max(...found)}`);
  assert.ok(Math.min(...found) < 830 && Math.max(...found) > 1170, "it uses the whole of its share");
});

Deno.test("jitter never makes a cooldown longer than the longest", () => {
  const clock = new CountingClock();
  const breaker = new CircuitBreaker({
    probeEveryNth: 0,
    cooldownMs: 1000,
    cooldownMaxMs: 1000,
    cooldownJitter: 1,
    clock,
  });
  for (let probe = 0; probe < 100; probe++) {
    open(breaker);
    assert.ok(breaker.retryAfterMs >= 1 && breaker.retryAfterMs <= 1000);
    clock.ms += breaker.retryAfterMs;
    breaker.record(breaker.acquire(), "failure");
  }
});

Deno.test("each change of state is told once, with its generation and its reason", () => {
  const clock = new CountingClock();
  const options = { name: "traces", failureThreshold: 3, probeEveryNth: 10, cooldownMs: 100, probeLeaseMs: 50, clock };
  const breaker = new CircuitBreaker({ ...options, cooldownJitter: 0 });
  const told: CircuitTransition[] = [];
  const stop = breaker.onTransition((transition) => told.push(transition));
  open(breaker);
  breaker.record(breaker.acquire(), "failure"); // attempt 0
  clock.ms = 100;
  breaker.acquire(); // a probe that is lost
  clock.ms = 150;
  breaker.record(breaker.acquire(), { throttledMs: 10 });
  clock.ms = 160;
  breaker.record(breaker.acquire(), "success");
  stop();
  open(breaker);
  assert.deepEqual(told.map(({ from, to, reason }) => `${from} -> ${to}: ${reason}`), [
    "closed -> open: 3 consecutive failures",
    "open -> half_open: attempt 0 may probe",
    "half_open -> open: probe failed",
    "open -> half_open: cooldown ended",
    "half_open -> open: no probe reported within 50 ms",
    "open -> half_open: a lost probe is replaced",
    "half_open -> open: throttled for 10 ms",
    "open -> half_open: cooldown ended",
    "half_open -> closed: probe succeeded",
  ]);
  assert.deepEqual(told.map(({ generation }) => generation), [2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.ok(told.every(({ name }) => name === "traces"));
});

Deno.test("a listener that throws, rejects, or asks the circuit itself disturbs neither it nor the others", async () => {
  const breaker = new CircuitBreaker({ failureThreshold: 1 });
  const heard: string[] = [];
  breaker.onTransition(() => {
    throw new Error("a listener's own");
  });
  breaker.onTransition(() => Promise.reject(new Error("later")) as unknown as void);
  breaker.onTransition(({ to }) => {
    heard.push(to);
    if (to === "open") breaker.record(breaker.acquire(), "ignored");
  });
  breaker.onTransition(({ to }) => heard.push(`last: ${to}`));
  assert.equal(breaker.record(breaker.acquire(), "failure"), "applied");
  assert.deepEqual(heard, ["open", "half_open", "last: half_open", "last: open"]);
  await Promise.resolve();
  assert.equal(breaker.counters.listenerErrors, 4);
});

Deno.test("the counters say what happened", () => {
  const clock = new CountingClock();
  const breaker = new CircuitBreaker({
    failureThreshold: 3,
    probeEveryNth: 0,
    cooldownMs: 100,
    cooldownJitter: 0,
    clock,
  });
  const late = breaker.acquire();
  const permit = breaker.acquire();
  breaker.record(permit, "success");
  breaker.record(permit, "success");
  breaker.record(breaker.acquire(), "ignored");
  open(breaker);
  breaker.record(late, "success");
  breaker.acquire();
  clock.ms = 100;
  breaker.record(breaker.acquire(), { throttledMs: 1 });
  assert.deepEqual(breaker.counters, {
    permitted: 7,
    refused: 1,
    successes: 1,
    failures: 3,
    ignored: 1,
    throttled: 1,
    stale: 1,
    duplicate: 1,
    leaseExpired: 0,
    transitions: 3,
    opened: 2,
    halfOpened: 1,
    closed: 0,
    consecutiveFailures: 3,
    probesInFlight: 0,
    openedAtMs: 0,
    lastSuccessMs: 100,
    listenerErrors: 0,
  });
});

Deno.test("while closed, a duplicate is known among the last 1 024 permits of an attachment, and stale beyond", () => {
  const breaker = new CircuitBreaker({ failureThreshold: 4095 });
  // Three laps over the whole memory of tickets, each permit recorded 1 023 permits later, then once more.
  const permits: number[] = [];
  for (let call = 0; call < 3 * 2048; call++) {
    permits.push(breaker.acquire());
    if (call < 1023) continue;
    const oldest = permits[call - 1023]!;
    assert.equal(breaker.record(oldest, "success"), "applied", `the last but 1 023 of call ${call}`);
    assert.equal(breaker.record(oldest, "success"), "duplicate");
    if (call >= 1024) assert.equal(breaker.record(permits[call - 1024]!, "success"), "stale");
  }
});

Deno.test("a number that was never a permit is stale", () => {
  const breaker = new CircuitBreaker();
  const permit = breaker.acquire();
  const forged = [
    -1,
    -2,
    Number.NaN,
    Infinity,
    2 ** 53,
    2 ** 52,
    0,
    permit + 1,
    permit - 1,
    permit + 2 ** 24,
    permit + 2 ** 32,
  ];
  for (const number of forged) assert.equal(breaker.record(number, "failure"), "stale", `${number}`);
  assert.equal(breaker.record(permit, "success"), "applied");
  assert.equal(breaker.counters.consecutiveFailures, 0);
});

Deno.test("an earlier call's permit, with the generation of a half-open circuit forged into it, takes no probe's place", () => {
  const clock = new CountingClock();
  const breaker = new CircuitBreaker({
    failureThreshold: 1,
    probeEveryNth: 0,
    cooldownMs: 100,
    cooldownJitter: 0,
    clock,
  });
  const early = [breaker.acquire(), breaker.acquire()];
  open(breaker);
  clock.ms = 100;
  breaker.record(breaker.acquire(), "ignored");
  assert.equal(breaker.state, "half_open");
  for (const [index, outcome] of (["ignored", "success"] as const).entries()) {
    assert.equal(breaker.record(early[index]! + 2 * 2 ** 32, outcome), "stale");
  }
  assert.equal(breaker.state, "half_open");
  assert.equal(breaker.counters.probesInFlight, 0);
});

Deno.test("a clock that answers no number, or steps back, throws nothing and lets no second probe pass", () => {
  const clock = new CountingClock();
  const breaker = new CircuitBreaker({ failureThreshold: 1, probeEveryNth: 0, cooldownMs: 100, clock });
  clock.ms = Number.NaN;
  open(breaker);
  assert.ok(breaker.acquire() < 0);
  clock.ms = -5_000;
  assert.ok(breaker.acquire() < 0);
  assert.equal(breaker.retryAfterMs > 0, true);
  clock.ms = 1_000;
  assert.ok(breaker.acquire() >= 0);
  assert.ok(breaker.acquire() < 0);
  for (const ms of [Infinity, 1e300, -Infinity]) {
    clock.ms = ms;
    breaker.record(breaker.acquire(), { throttledMs: 1 });
    assert.ok(breaker.retryAfterMs >= 0);
  }
});

Deno.test("a burst of refusals reads the clock once in a while, and never uses a time beyond its turn", async () => {
  const clock = new CountingClock();
  const burst = new BurstClock(clock, 256);
  for (let time = 0; time < 10_000; time++) assert.equal(burst.nowMs(), 0);
  assert.ok(clock.readCount < 100, `${clock.readCount} readings`);
  clock.ms = 1_000;
  await Promise.resolve();
  assert.equal(burst.nowMs(), 1_000, "another turn, another reading");
  const before = clock.readCount;
  for (let time = 0; time < 10; time++) {
    clock.ms += 1;
    assert.equal(burst.nowMs(), clock.ms);
  }
  assert.equal(clock.readCount, before + 10, "what is no burst reads each time");
});

Deno.test("a program that never lets go of its thread sees time pass all the same", () => {
  const clock = new CountingClock();
  const burst = new BurstClock(clock, 256);
  for (let time = 0; time < 100; time++) burst.nowMs();
  clock.ms = 1_000;
  let asked = 0;
  while (burst.nowMs() === 0) asked++;
  assert.ok(asked <= 256, `${asked} questions got an old answer`);
});
