/** What `explain` says, word by word. */

import assert from "node:assert/strict";
import { CircuitBreaker, type CircuitBreakerOptions } from "../../core/breaker.ts";
import { FakeClock } from "../fakes/clock.ts";

type Doing = (breaker: CircuitBreaker, clock: FakeClock) => unknown;

function circuit(options: CircuitBreakerOptions = {}) {
  const clock = new FakeClock();
  const settings = { name: "collector", probeEveryNth: 0, cooldownJitter: 0, clock };
  return { clock, breaker: new CircuitBreaker({ ...settings, ...options }) };
}

/** `o` succeeds, `x` fails, `.` only asks. */
function call(breaker: CircuitBreaker, outcomes: string): void {
  for (const outcome of outcomes) {
    const permit = breaker.acquire();
    if (outcome !== ".") breaker.record(permit, outcome === "o" ? "success" : "failure");
  }
}

/** A call that takes its time. */
async function slowly(breaker: CircuitBreaker, clock: FakeClock, ms: number): Promise<void> {
  const permit = breaker.acquire();
  await clock.advance(ms);
  breaker.record(permit, "success");
}

const WINDOWS = { failureThreshold: 4_095, minimumCalls: 4 };

const EXPLANATIONS: readonly (readonly [says: string, after: Doing, options?: CircuitBreakerOptions])[] = [
  // closed
  [
    '"collector" is closed and never opened; 1 consecutive failure of failureThreshold 3',
    (breaker) => call(breaker, "oxoxoox"),
  ],
  ['"a \\"b\\"" is closed and never opened; 0 consecutive failures of failureThreshold 3', () => {}, { name: 'a "b"' }],
  [
    '"collector" is closed and never opened; 1 consecutive failure of failureThreshold 4095; ' +
    "2 of the last 5 calls failed, 40 %, failureRatio is 75 %; minimumCalls is 10",
    (breaker) => call(breaker, "xooox"),
    { failureThreshold: 4_095, countWindowSize: 20, failureRatio: 0.75 },
  ],
  [
    '"collector" is closed and never opened; 0 consecutive failures of failureThreshold 3; ' +
    "1 of the last 3 calls failed, 33.3 %, failureRatio is 50 %; " +
    "1 of the last 3 calls took 100 ms or longer, 33.3 %, slowCallRatio is 66.7 %; " +
    "1 of 3 calls failed within 5000 ms, 33.3 %, failureRatio is 50 %; " +
    "1 of 3 calls within 5000 ms took 100 ms or longer, 33.3 %, slowCallRatio is 66.7 %; minimumCalls is 4",
    async (breaker, clock) => {
      call(breaker, "x");
      await slowly(breaker, clock, 100);
      await slowly(breaker, clock, 99);
    },
    { minimumCalls: 4, countWindowSize: 20, timeWindowMs: 5_000, slowCallMs: 100, slowCallRatio: 2 / 3 },
  ],
  [
    '"collector" is closed and never opened; 0 consecutive failures of failureThreshold 3',
    () => {},
    { countWindowSize: 10, timeWindowMs: 1_000, slowCallMs: 100 },
  ],
  [
    '"collector" has been closed for 1.5 s: probe succeeded, successThreshold is 1; ' +
    "1 consecutive failure of failureThreshold 3",
    async (breaker, clock) => {
      call(breaker, "xxx");
      await clock.advance(30_000);
      call(breaker, "ox");
      await clock.advance(1_500);
    },
  ],

  // open
  [
    '"collector" has been open for 2.3 s: 3 consecutive failures reached failureThreshold 3; ' +
    "the next probe may pass in 27.7 s",
    async (breaker, clock) => {
      call(breaker, "xxx");
      await clock.advance(2_300);
    },
  ],
  [
    '"collector" has been open for 0 ms: a failure reached failureThreshold 1; the next probe may pass in 999 ms',
    (breaker) => call(breaker, "x"),
    { failureThreshold: 1, cooldownMs: 999 },
  ],
  [
    '"collector" has been open for 0 ms: 3 consecutive failures, failureThreshold is 5; the next probe may pass in 30 s',
    (breaker) => {
      call(breaker, "xxx");
      breaker.reconfigure({ failureThreshold: 5 });
    },
  ],
  [
    '"collector" has been open for 30 s: 3 consecutive failures reached failureThreshold 3; the next call may probe',
    async (breaker, clock) => {
      call(breaker, "xxx");
      await clock.advance(30_000);
    },
  ],
  [
    '"collector" has been open for 0 ms: 3 consecutive failures reached failureThreshold 3; the next call may probe',
    (breaker) => call(breaker, "xxx"),
    { probeEveryNth: 10 },
  ],
  [
    '"collector" has been open for 400 ms: probe failed; ' +
    "the next probe may pass in 29.6 s, or earlier at attempt 10 (the next is 3)",
    async (breaker, clock) => {
      call(breaker, "xxxx");
      await clock.advance(400);
      call(breaker, "..");
    },
    { probeEveryNth: 10 },
  ],
  [
    '"collector" has been open for 0 ms: 6 of the last 10 calls failed, 60 %, failureRatio is 60 %; ' +
    "the next probe may pass in 30 s",
    (breaker) => call(breaker, "ooooxxxxxx"),
    { failureThreshold: 4_095, countWindowSize: 10, failureRatio: 0.6 },
  ],
  [
    '"collector" has been open for 0 ms: 3 of 4 calls failed within 60000 ms, 75 %, failureRatio is 50 %; ' +
    "the next probe may pass in 30 s",
    (breaker) => call(breaker, "oxxx"),
    { ...WINDOWS, timeWindowMs: 60_000 },
  ],
  [
    '"collector" has been open for 0 ms: 2 of the last 4 calls took 100 ms or longer, 50 %, slowCallRatio is 50 %; ' +
    "the next probe may pass in 30 s",
    async (breaker, clock) => {
      call(breaker, "oo");
      await slowly(breaker, clock, 100);
      await slowly(breaker, clock, 100);
    },
    { ...WINDOWS, slowCallMs: 100 },
  ],
  [
    '"collector" has been open for 0 ms: 2 of 4 calls within 60000 ms took 100 ms or longer, 50 %, slowCallRatio is 50 %; ' +
    "the next probe may pass in 30 s",
    async (breaker, clock) => {
      call(breaker, "oo");
      await slowly(breaker, clock, 100);
      await slowly(breaker, clock, 100);
    },
    { ...WINDOWS, timeWindowMs: 60_000, slowCallMs: 100 },
  ],
  [
    '"collector" has been open for 5 s: throttled for 300000 ms, throttleMaxMs is 300000; the next probe may pass in 295 s',
    async (breaker, clock) => {
      breaker.record(breaker.acquire(), { throttledMs: 999_999 });
      await clock.advance(5_000);
    },
  ],
  [
    '"collector" has been open for 0 ms: 3 consecutive failures reached failureThreshold 3; ' +
    "a pause that the backend asked for ends in 5 s, the next probe may pass in 30 s",
    (breaker) => {
      const late = breaker.acquire();
      call(breaker, "xxx");
      breaker.record(late, { throttledMs: 5_000 });
    },
  ],
  [
    '"collector" has been open for 0 ms: probe took 100 ms, slowCallMs is 100; the next probe may pass in 60 s',
    async (breaker, clock) => {
      call(breaker, "xxx");
      await clock.advance(30_000);
      await slowly(breaker, clock, 100);
    },
    { slowCallMs: 100 },
  ],
  [
    '"collector" has been open for 3 s: forced open, and not any more; the next call may probe',
    async (breaker, clock) => {
      call(breaker, "xxx");
      await clock.advance(30_000);
      call(breaker, ".");
      breaker.mode = "forced_open";
      await clock.advance(3_000);
      breaker.mode = "auto";
    },
  ],
  [
    '"collector" has been open for 1 s: restored; the next probe may pass in 29 s',
    async (breaker, clock) => {
      const closed = breaker.snapshot();
      call(breaker, "xxx");
      const open = breaker.snapshot();
      breaker.restore(closed);
      breaker.restore(open);
      await clock.advance(1_000);
    },
  ],

  // half-open
  [
    '"collector" has been half-open for 20 s: cooldown ended; no probe has reported in time, the next call may probe',
    async (breaker, clock) => {
      call(breaker, "xxx");
      await clock.advance(30_000);
      call(breaker, ".");
      await clock.advance(20_000);
    },
  ],
  [
    '"collector" has been half-open for 500 ms: cooldown ended; waits for the probe, for 19.5 s at most',
    async (breaker, clock) => {
      call(breaker, "xxx");
      await clock.advance(30_000);
      call(breaker, ".");
      await clock.advance(500);
    },
  ],
  [
    '"collector" has been half-open for 0 ms: attempt 2 may probe, probeEveryNth is 2; ' +
    "1 of probeConcurrency 2 under way, the next call may probe",
    (breaker) => call(breaker, "xxxx.."),
    { probeEveryNth: 2, probeConcurrency: 2 },
  ],
  [
    '"collector" has been half-open for 0 ms: attempt 0 may probe, probeEveryNth is 1; waits for its 2 probes, ' +
    "for 20 s at most",
    (breaker) => call(breaker, "xxx..."),
    { probeEveryNth: 1, probeConcurrency: 2 },
  ],
  [
    '"collector" has been half-open for 0 ms: attempt 0 may probe, probeEveryNth is 1; the next call may probe',
    (breaker) => {
      call(breaker, "xxx");
      breaker.record(breaker.acquire(), "ignored");
    },
    { probeEveryNth: 1 },
  ],
  [
    '"collector" has been half-open for 0 ms: attempt 0 may probe, probeEveryNth is 1; the next probe may pass in 5 s',
    (breaker) => {
      const late = breaker.acquire();
      call(breaker, "xxx");
      const probe = breaker.acquire();
      breaker.record(late, { throttledMs: 5_000 });
      breaker.record(probe, "ignored");
    },
    { probeEveryNth: 1 },
  ],
  [
    '"collector" has been half-open for 0 ms: a lost probe is replaced; waits for the probe, for 20 s at most',
    async (breaker, clock) => {
      call(breaker, "xxx");
      await clock.advance(30_000);
      call(breaker, ".");
      await clock.advance(20_000);
      call(breaker, ".");
    },
    { cooldownMaxMs: 300_000 },
  ],

  // by an operator
  [
    '"collector" has been held open for 2 s by 2 holds; nothing passes until they are released',
    async (breaker, clock) => {
      breaker.forceOpen();
      breaker.forceOpen();
      await clock.advance(2_000);
    },
  ],
  [
    '"collector" is held open by 1 hold, and was open before: 3 consecutive failures reached failureThreshold 3; ' +
    "nothing passes until it is released",
    (breaker) => {
      call(breaker, "xxx");
      breaker.forceOpen();
    },
  ],
  [
    '"collector" has been held open for 0 ms by 1 hold; nothing passes until it is released and another mode is set',
    (breaker) => {
      breaker.mode = "forced_open";
      breaker.forceOpen();
    },
  ],
  [
    '"collector" has been forced open for 0 ms; nothing passes until another mode is set',
    (breaker) => breaker.mode = "forced_open",
  ],
  [
    '"collector" has been disabled for 1 s; nothing passes until another mode is set',
    (_breaker, clock) => clock.advance(1_000),
    { mode: "disabled" },
  ],
  [
    '"collector" is disabled; nothing passes until another mode is set', // since when is told of changes of state alone
    (breaker) => {
      breaker.mode = "forced_open";
      breaker.mode = "disabled";
    },
  ],
  [
    '"collector" has been closed for 2 s: released; 0 consecutive failures of failureThreshold 3',
    async (breaker, clock) => {
      breaker.forceOpen().release();
      await clock.advance(2_000);
    },
  ],
  [
    '"collector" has been closed for 0 ms: enabled; 0 consecutive failures of failureThreshold 3',
    (breaker) => breaker.mode = "auto",
    { mode: "disabled" },
  ],
  [
    '"collector" has been closed for 0 ms: forced closed; nothing opens it while it is forced closed',
    (breaker) => {
      call(breaker, "xxx");
      breaker.mode = "forced_closed";
    },
  ],
  [
    '"collector" is closed and never opened; nothing opens it while it is forced closed',
    (breaker) => call(breaker, "xxxxx"),
    { mode: "forced_closed" },
  ],
  [
    '"collector" has been open for 0 ms: 3 consecutive failures reached failureThreshold 3; ' +
    "the next probe may pass in 30 s; meanwhile every call passes, the mode is metrics_only",
    (breaker) => call(breaker, "xxxoo"),
    { mode: "metrics_only" },
  ],
  [
    '"collector" has been half-open for 0 ms: cooldown ended; waits for the probe; ' +
    "meanwhile every call passes, the mode is metrics_only",
    async (breaker, clock) => {
      call(breaker, "xxx");
      await clock.advance(30_000);
      call(breaker, ".");
    },
    { mode: "metrics_only" },
  ],
];
for (const [says, after, options] of EXPLANATIONS) {
  Deno.test(`it says: ${says}`, async () => {
    const { breaker, clock } = circuit(options);
    await after(breaker, clock);
    const before = breaker.counters;
    assert.equal(breaker.explain(), says);
    using other = CircuitBreaker.attach(breaker.handle, { clock });
    assert.equal(other.explain(), says, "to another attachment");
    assert.deepEqual(breaker.counters, before, "asking changes nothing");
  });
}

/** LAST of assembly/layout.ts: the four changes that were told last, 32 bytes each. */
const LAST = { offset: 1_152, bytes: 4 * 32 };

/** Makes a call whose thread dies after it changed the state and before it told of it. */
function dying(breaker: CircuitBreaker, call: () => void): void {
  const { memory, base } = breaker.handle;
  const told = new Uint8Array(memory.buffer, base + LAST.offset, LAST.bytes);
  const before = told.slice();
  call();
  told.set(before);
}

Deno.test("it says that nobody told why, of a circuit whose thread died before it could", async () => {
  const { breaker, clock } = circuit();
  const untold = "and nobody told why: the thread that changed it may have ended before it could";
  dying(breaker, () => call(breaker, "xxx"));
  assert.equal(breaker.explain(), `"collector" is open, ${untold}; the next probe may pass in 30 s`);
  await clock.advance(30_000);
  const probe = breaker.acquire();
  dying(breaker, () => breaker.record(probe, "success"));
  const next = "0 consecutive failures of failureThreshold 3";
  assert.equal(breaker.explain(), `"collector" is closed, ${untold}; ${next}`);
  call(breaker, "xxx");
  assert.match(breaker.explain(), /has been open for 0 ms: 3 consecutive failures/, "the next is told again");
});

Deno.test("it says that nobody told why, of a change whose words are half-written", () => {
  const { breaker } = circuit();
  call(breaker, "xxx");
  const { memory, base } = breaker.handle;
  const words = new DataView(memory.buffer, base + LAST.offset);
  const place = [0, 1, 2, 3].find((place) => words.getBigUint64(32 * place, true) !== 0n)!;
  words.setFloat64(32 * place + 8, words.getFloat64(32 * place + 8, true) + 4 * 4_096, true); // four generations on
  assert.match(breaker.explain(), /^"collector" is open, and nobody told why: /);
});

Deno.test("a circuit explains itself in whole milliseconds, and takes no time for less than none", () => {
  const clock = { ms: 0, nowMs: () => clock.ms, wallMs: () => 0 };
  const { breaker } = circuit({ clock });
  clock.ms = 10;
  call(breaker, "xxx");
  const says = (since: string) => new RegExp(`^"collector" has been open for ${since}: `);
  clock.ms = 21.341166999999999;
  assert.match(breaker.explain(), says("11 ms"));
  clock.ms = 4; // backwards
  assert.match(breaker.explain(), says("0 ms"));
});
