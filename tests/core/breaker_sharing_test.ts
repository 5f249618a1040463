/** One circuit and several threads. */

import assert from "node:assert/strict";
import { CircuitBreaker } from "../../core/breaker.ts";
import type { Clock } from "../../core/clock.ts";
import { circuit, gather, release, start } from "./breaker_threads.ts";
import { CELLS, type Journey, NOW_MS, PASSED, STATES } from "./breaker_worker.ts";

const WORKERS = 3;

/** The wall clock counts whole milliseconds, and each side reads it once. */
const SKEW_MAX_MS = 5;

Deno.test("P1-05 at each of 1 000 half-open episodes exactly one of three workers' 60 calls passes", async () => {
  const rounds = 1_000;
  const { breaker, cells } = circuit({ cooldownMs: 100, cooldownBackoff: 1 });
  const racing = Array.from(
    { length: WORKERS },
    () => start<number>(breaker, cells, { does: "race", rounds, asksPerRound: 20 }),
  );
  const passes: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    if (breaker.state === "closed") breaker.record(breaker.acquire(), "failure");
    Atomics.add(cells, NOW_MS, 100);
    release(cells);
    gather(cells, WORKERS);
    passes.push(Atomics.exchange(cells, PASSED, 0));
    release(cells);
    gather(cells, WORKERS);
  }
  assert.deepEqual(passes.filter((count) => count !== 1), []);
  const wins = await Promise.all(racing.map(({ answer }) => answer));
  assert.equal(wins.reduce((sum, count) => sum + count), rounds);
  for (const { worker } of racing) await worker.terminate();
});

// With naps, workers find the circuit in every state that another left it in. Without, they collide within nanoseconds: every
// attempt may probe, so every call of every worker wants to change the same word.
const ROAMS = [
  {
    how: "with naps",
    calls: 2_000,
    naps: true,
    options: { failureThreshold: 3, probeEveryNth: 7, cooldownMs: 3, cooldownMaxMs: 9 },
  },
  { how: "head on", calls: 100_000, naps: false, options: { failureThreshold: 2, probeEveryNth: 1, cooldownMs: 3 } },
];
for (const { how, calls, naps, options } of ROAMS) {
  Deno.test(`P1-05 workers that call at random make one history, one probe for each half-open (${how})`, async () => {
    // Calls move the time here, so it flies while the system lets a thread sleep: no lease may end of that.
    const { breaker, cells } = circuit({ ...options, probeLeaseMs: 86_400_000 });
    const roaming = Array.from(
      { length: WORKERS },
      (_, index) => start<Journey>(breaker, cells, { does: "roam", calls, seed: index + 1, naps }),
    );
    gather(cells, WORKERS);
    release(cells);
    const journeys = await Promise.all(roaming.map(({ answer }) => answer));
    for (const { worker } of roaming) await worker.terminate();

    const history = journeys.flatMap(({ transitions }) => [...transitions]).sort((a, b) => a - b)
      .map((packed) => ({ generation: packed >> 4, from: STATES[(packed >> 2) & 3]!, to: STATES[packed & 3]! }));
    assert.ok(history.length > 1_000, `${history.length} changes of state are too few to show anything`);
    const broken = history.findIndex(({ generation, from }, index) =>
      generation !== index + 2 || from !== (history[index - 1]?.to ?? "closed")
    );
    assert.deepEqual(
      broken < 0 ? [] : history.slice(Math.max(0, broken - 2), broken + 3),
      [],
      "each generation begins once",
    );

    const permits = new Uint32Array(history.length + 2);
    for (const { generations } of journeys) for (const generation of generations) permits[generation]!++;
    assert.deepEqual(history.filter(({ generation, to }) => to === "half_open" && permits[generation] !== 1), []);
    assert.deepEqual(history.filter(({ generation, to }) => to === "open" && permits[generation] !== 0), []);

    assert.deepEqual(journeys.map(({ outlived }) => outlived), [0, 0, 0], "a result ends its own generation, or none");

    const sum = (answer: keyof Journey["answers"]) =>
      journeys.reduce((total, { answers }) => total + answers[answer], 0);
    const { counters } = breaker;
    assert.equal(sum("duplicate"), 0);
    if (naps) assert.ok(sum("stale") > 0, "no call outlived its generation: the workers did not meet");
    assert.equal(counters.leaseExpired, 0, "no probe was lost");
    assert.equal(counters.refused, sum("refused"));
    assert.equal(counters.stale, sum("stale"));
    assert.equal(counters.successes + counters.failures + counters.throttled, sum("applied"));
    assert.equal(counters.transitions, history.length);
    assert.equal(counters.permitted, WORKERS * calls);
  });
}

Deno.test("of two workers that bring back the same 200 000 permits at the same time, one is the first for each", async () => {
  const rounds = 200;
  const { breaker, cells } = circuit({});
  const permits = new Float64Array(new SharedArrayBuffer(8 * 1_000));
  const task = { does: "bring back", rounds, permits, outcomes: ["success", "ignored"] } as const;
  const racing = Array.from({ length: 2 }, () => start<void>(breaker, cells, task));
  const applied: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const index of permits.keys()) permits[index] = breaker.acquire();
    release(cells);
    gather(cells, racing.length);
    applied.push(Atomics.exchange(cells, PASSED, 0));
  }
  assert.deepEqual(applied.filter((count) => count !== permits.length), []);
  assert.equal(breaker.counters.duplicate, rounds * permits.length);
  for (const { worker, answer } of racing) {
    await answer;
    await worker.terminate();
  }
});

// deno-fmt-ignore
const WINDOWS = [
  [{ countWindowSize: 1024 },   "512 of the last 1024 calls failed"],
  [{ timeWindowMs: 86_400_000 }, "512 of 1024 calls failed within 86400000 ms"],
] as const;
for (const [window, reason] of WINDOWS) {
  Deno.test(`calls that two threads bring back at the same time all enter the window (${Object.keys(window)})`, async () => {
    const rounds = 200;
    const { breaker, cells } = circuit({ failureThreshold: 4095, minimumCalls: 1024, cooldownMs: 1, ...window });
    const reasons: string[] = [];
    breaker.onTransition((transition) => reasons.push(transition.reason));
    const permits = new Float64Array(new SharedArrayBuffer(8 * 512));
    const halves = [permits.subarray(0, 256), permits.subarray(256)];
    const racing = halves.map((half) =>
      start<void>(breaker, cells, { does: "bring back", rounds, permits: half, outcomes: ["success"] })
    );
    for (let round = 1; round <= rounds; round++) {
      for (const index of permits.keys()) permits[index] = breaker.acquire();
      release(cells);
      gather(cells, racing.length);
      // The window is full when as many have failed; had a call been lost, it would take one more failure to fill it.
      for (let call = 0; call < 600 && breaker.state === "closed"; call++) breaker.record(breaker.acquire(), "failure");
      Atomics.add(cells, NOW_MS, 1);
      breaker.record(breaker.acquire(), "success");
    }
    const openings = reasons.filter((_, index) => index % 3 === 0);
    assert.deepEqual(openings, Array(rounds).fill(reason));
    for (const { worker, answer } of racing) {
      await answer;
      await worker.terminate();
    }
  });
}

Deno.test("of threads that attach and detach at the same time no two ever have one attachment", async () => {
  const { breaker, cells } = circuit({});
  const owners = new Int32Array(new SharedArrayBuffer(4 * 256));
  const task = { does: "churn", times: 20_000, owners } as const;
  const churning = Array.from({ length: WORKERS }, () => start<number>(breaker, cells, task));
  gather(cells, WORKERS);
  release(cells);
  assert.deepEqual(await Promise.all(churning.map(({ answer }) => answer)), Array(WORKERS).fill(0));
  assert.equal(breaker.counters.successes, WORKERS * task.times);
  for (const { worker } of churning) await worker.terminate();
});

Deno.test("a worker killed with the only probe in its hand: the circuit heals when the lease ends", async () => {
  const { breaker, cells } = circuit({ cooldownMs: 100, probeLeaseMs: 500 });
  breaker.record(breaker.acquire(), "failure");
  Atomics.store(cells, NOW_MS, 100);
  const { worker, answer } = start<number>(breaker, cells, { does: "hold" });
  const lost = await answer;
  assert.ok(lost >= 0);
  await worker.terminate();
  Atomics.store(cells, NOW_MS, 599);
  assert.ok(breaker.acquire() < 0);
  Atomics.store(cells, NOW_MS, 600);
  const permit = breaker.acquire();
  assert.ok(permit >= 0);
  assert.equal(breaker.record(lost, "failure"), "stale");
  assert.equal(breaker.record(permit, "success"), "applied");
  assert.equal(breaker.state, "closed");
});

Deno.test("a worker's idea of the time is the maker's, on the real clocks", async () => {
  const breaker = new CircuitBreaker({
    failureThreshold: 1,
    probeEveryNth: 0,
    cooldownMs: 3_600_000,
    cooldownMaxMs: 3_600_000,
  });
  breaker.record(breaker.acquire(), "failure");
  const before = breaker.retryAfterMs;
  const { worker, answer } = start<number>(breaker, new Int32Array(new SharedArrayBuffer(4 * CELLS)), {
    does: "tell the wait",
  });
  const theirs = await answer;
  const after = breaker.retryAfterMs;
  await worker.terminate();
  assert.ok(
    theirs <= before + SKEW_MAX_MS && theirs >= after - SKEW_MAX_MS,
    `${theirs} is not from ${after} to ${before}`,
  );
});

Deno.test("the wall clock may be stepped between two starts: shared time does not follow it", () => {
  const world = { ms: 10_000, wallMs: 1_700_000_000_000 };
  const clockFrom = (originMs: number): Clock => ({
    nowMs: () => world.ms - originMs + 0.25,
    wallMs: () => Math.floor(world.wallMs + world.ms),
  });
  const maker = clockFrom(0);
  const breaker = new CircuitBreaker({
    failureThreshold: 1,
    probeEveryNth: 0,
    cooldownMs: 1_000,
    cooldownJitter: 0,
    clock: maker,
  });
  breaker.record(breaker.acquire(), "failure");
  for (const stepMs of [0, 3_600_000, -7_200_000, 1]) {
    world.wallMs += stepMs;
    world.ms += 100;
    const joined = CircuitBreaker.attach(breaker.handle, { clock: clockFrom(world.ms - 3) });
    // And one who joins by the handle of one who joined.
    const later = CircuitBreaker.attach(joined.handle, { clock: clockFrom(world.ms - 50.5) });
    for (const { retryAfterMs } of [joined, later]) {
      assert.ok(Math.abs(retryAfterMs - breaker.retryAfterMs) <= 1, `${retryAfterMs} and ${breaker.retryAfterMs}`);
    }
  }
});

Deno.test("a deadline written by a thread with a wrong clock is brought back to the longest wait", () => {
  const { breaker, cells } = circuit({ cooldownMs: 100, cooldownMaxMs: 400, probeLeaseMs: 50, throttleMaxMs: 300 });
  const ahead: Clock = { nowMs: () => 9_000_000, wallMs: () => 9_000_000 };
  const wrong = CircuitBreaker.attach({ ...breaker.handle, wallAheadMs: 0 }, { clock: ahead });
  wrong.record(wrong.acquire(), { throttledMs: 300 });
  assert.equal(breaker.retryAfterMs, 400);
  Atomics.store(cells, NOW_MS, 400);
  assert.ok(breaker.acquire() >= 0);
});
