/** What a tape comes to when it is played again, with the same options or with others. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { CircuitBreaker, type CircuitTape, type Outcome } from "../../core/breaker.ts";
import { type CircuitBreakerNumbers, type CircuitBreakerOptions, SETTINGS } from "../../core/breaker_options.ts";
import { type ReplayedTransition, replayTape } from "../../core/breaker_replay.ts";
import { BREAKER_BYTES, loadCore } from "../../core/loader.ts";
import { options, program, type Step } from "../model/breaker_program.ts";
import { Live, reconfigured } from "./live_circuit.ts";

/** More than any program of these tests puts on it. */
const LONG = 4096;

const PROGRAMS = 300;

Deno.test("a tape played again comes to the same changes of state, at the same times, in the same generations, for the same reasons", () => {
  let changes = 0;
  fc.assert(
    fc.property(options, program, (settings, steps) => {
      const live = new Live({ ...settings, tapeSize: LONG });
      live.run(steps.filter(({ does }) => does !== "reconfigure" && does !== "restore")); // these cut it
      const { transitions, state, isExact, assumed } = replayTape(live.tape);
      assert.deepEqual(transitions, live.transitions);
      assert.deepEqual([state, isExact, assumed], [live.breaker.state, true, 0]);
      changes += transitions.length;
    }),
    { numRuns: PROGRAMS },
  );
  assert.ok(changes > 10 * PROGRAMS, `${changes} changes of state in ${PROGRAMS} programs`);
});

Deno.test("a tape that was too short, or was cut, comes to the last of the changes, or says that it is not exact", () => {
  const seen = { all: 0, last: 0, notExact: 0 };
  fc.assert(
    fc.property(options, program, fc.integer({ min: 1, max: 200 }), (settings, steps, tapeSize) => {
      const live = new Live({ ...settings, tapeSize });
      live.run(steps);
      const { transitions, state, isExact } = replayTape(live.tape);
      if (isExact) {
        assert.deepEqual(transitions, live.transitions.slice(live.transitions.length - transitions.length));
        assert.equal(state, live.breaker.state);
      }
      const isAll = transitions.length === live.transitions.length;
      seen[isExact ? isAll ? "all" : transitions.length > 0 ? "last" : "all" : "notExact"]++;
    }),
    { numRuns: PROGRAMS },
  );
  for (const [how, count] of Object.entries(seen)) assert.ok(count > PROGRAMS / 100, `${how}: ${count}`);
});

Deno.test("played with other options, a tape comes to what the same calls come to live under these", () => {
  let different = 0;
  const property = fc.property(options, program, options, (settings, steps, { mode: _, seed: __, ...others }) => {
    // With metrics only every call is made, so the tape knows how each ends, whatever the options.
    const calls = steps.filter(({ does }) => ["acquire", "record", "call", "wait", "attach"].includes(does));
    const live = new Live({ ...settings, mode: "metrics_only", tapeSize: LONG });
    live.runApart(calls);
    const other = new Live({ ...settings, mode: "metrics_only" });
    if (!reconfigured(other.breaker, others)) return assert.throws(() => replayTape(live.tape, others));
    other.runApart(calls);
    const { transitions, state, isExact, assumed } = replayTape(live.tape, others);
    assert.deepEqual(transitions, other.transitions);
    assert.deepEqual([state, isExact, assumed], [other.breaker.state, true, 0]);
    if (JSON.stringify(transitions) !== JSON.stringify(live.transitions)) different++;
  });
  fc.assert(property, { numRuns: PROGRAMS });
  assert.ok(different > PROGRAMS / 2, `${different} of ${PROGRAMS} came to something else`);
});

Deno.test("a tape that was saved with a report is a test: the outage comes to the same again", () => {
  const { tape, transitions }: { tape: CircuitTape; transitions: ReplayedTransition[] } = JSON.parse(
    readFileSync(new URL("./outage_tape.json", import.meta.url), "utf8"),
  );
  const replay = replayTape(tape);
  assert.deepEqual(replay.transitions, transitions);
  assert.deepEqual([replay.state, replay.isExact, replay.assumed], ["closed", true, 0]);
  assert.match(replay.explanation, /^"collector" has been closed for /);
  const { permitted, refused } = replayTape(tape, { cooldownMs: 1_000, cooldownMaxMs: 1_000, probeEveryNth: 0 });
  assert.ok(permitted > replay.permitted && refused < replay.refused, "what if it had tried again more often");
});

Deno.test("a call that is out while another attachment makes thousands ends as it did, also in a what-if", () => {
  const live = new Live({ failureThreshold: 2, probeEveryNth: 0, countWindowSize: 1_000, tapeSize: LONG });
  const success: Step = { does: "call", by: 1, outcome: "success", tookMs: 1 };
  live.run([{ does: "attach" }, { does: "acquire", by: 0 }, { does: "acquire", by: 0 }]);
  live.run(Array.from({ length: 3_000 }, () => success));
  for (const call of [0, 1]) live.run([{ does: "record", by: 0, call: call + 3_000, outcome: "failure" }]);
  assert.deepEqual(live.transitions.map(({ atMs, to }) => [atMs, to]), [[3_000, "open"]]);
  const { transitions, isExact } = replayTape(live.tape);
  assert.deepEqual([transitions, isExact], [live.transitions, true]);
  const whatIf = replayTape(live.tape, { failureThreshold: 1 });
  assert.deepEqual([whatIf.transitions, whatIf.isExact], [[{ ...live.transitions[0], reason: "a failure" }], true]);
});

/** Two failures open it, what is refused meanwhile is not known, and a probe closes it. */
function outage(): CircuitTape {
  const live = new Live({ failureThreshold: 2, probeEveryNth: 0, cooldownMs: 1_000, cooldownJitter: 0, tapeSize: 50 });
  const call = (outcome: Outcome, tookMs = 0): Step => ({ does: "call", by: 0, outcome, tookMs });
  const wait = (ms: number): Step => ({ does: "wait", ms });
  live.run([call("failure"), wait(10), call("failure"), wait(90), call("failure"), wait(100), call("failure")]);
  live.run([wait(810), call("success", 5)]);
  return live.tape;
}

Deno.test("a call that was refused and now passes ends as the one that began nearest to it, and is counted", () => {
  const { transitions, state, permitted, refused, assumed, isExact } = replayTape(outage(), { failureThreshold: 3 });
  assert.deepEqual(transitions, [
    { atMs: 100, from: "closed", to: "open", generation: 2, reason: "3 consecutive failures" },
  ]);
  assert.deepEqual({ state, permitted, refused, assumed, isExact }, {
    state: "open",
    permitted: 3,
    refused: 2,
    assumed: 1,
    isExact: false,
  });
});

Deno.test("what an assumed call takes, it takes: it ends when its time has come", () => {
  const live = new Live({ failureThreshold: 1, probeEveryNth: 0, cooldownMs: 1_000, cooldownJitter: 0, tapeSize: 50 });
  live.run([{ does: "call", by: 0, outcome: "failure", tookMs: 30 }]); // began at 0, nearest to all that is refused
  for (const ms of [10, 10, 30]) live.run([{ does: "wait", ms }, { does: "acquire", by: 0 }]); // at 40, 50 and 80
  const { transitions, permitted, refused, assumed } = replayTape(live.tape, { failureThreshold: 2 });
  assert.deepEqual(transitions.map(({ atMs, to }) => [atMs, to]), [[70, "open"]]);
  assert.deepEqual([permitted, refused, assumed], [3, 1, 2]);
});

Deno.test("assumed calls and those of the tape end in the order of their times, the last one at the end of the tape", () => {
  const live = new Live({ failureThreshold: 1, probeEveryNth: 0, cooldownMs: 1_000, cooldownJitter: 0, tapeSize: 50 });
  live.run([{ does: "acquire", by: 0 }, { does: "wait", ms: 10 }]);
  live.run([{ does: "call", by: 0, outcome: "failure", tookMs: 20 }, { does: "wait", ms: 10 }, {
    does: "acquire",
    by: 0,
  }]);
  // The call that was refused at 40 ms is assumed to fail at 60 ms, before the first one succeeds.
  live.run([{ does: "wait", ms: 35 }, { does: "record", by: 0, call: 1, outcome: "success" }]);
  live.run([{ does: "wait", ms: 5 }, { does: "acquire", by: 0 }]);
  const { transitions } = replayTape(live.tape, { failureThreshold: 2 });
  assert.deepEqual(transitions.map(({ atMs, to }) => [atMs, to]), [[60, "open"]]);

  const short = new Live({ failureThreshold: 1, probeEveryNth: 0, tapeSize: 50 });
  short.run([{ does: "call", by: 0, outcome: "failure", tookMs: 0 }, { does: "wait", ms: 5 }, {
    does: "acquire",
    by: 0,
  }]);
  const end = replayTape(short.tape, { failureThreshold: 2 });
  assert.deepEqual(end.transitions.map(({ atMs, to }) => [atMs, to]), [[5, "open"]]);
  assert.match(end.explanation, /has been open for 0 ms/);
});

Deno.test("where no call ended, an assumed one says nothing", () => {
  const live = new Live({ failureThreshold: 1, probeEveryNth: 0, tapeSize: 2 });
  live.run([{ does: "call", by: 0, outcome: "failure", tookMs: 0 }]);
  for (let call = 0; call < 2; call++) live.run([{ does: "acquire", by: 0 }]);
  const { transitions, state, permitted, assumed, isExact } = replayTape(live.tape);
  assert.deepEqual([transitions, state, permitted, assumed, isExact], [[], "closed", 2, 2, false]);
});

Deno.test("threads that put entries on the tape in another order than they changed the circuit are put right", () => {
  const live = new Live({ failureThreshold: 3, probeEveryNth: 0, cooldownMs: 10, cooldownJitter: 0, tapeSize: 50 });
  const fail: Step = { does: "call", by: 0, outcome: "failure", tookMs: 1 };
  live.run([fail, fail, fail, { does: "acquire", by: 0 }, { does: "wait", ms: 10 }, fail]);
  const { memory, base } = live.breaker.handle;
  const words = new BigUint64Array(memory.buffer, base + BREAKER_BYTES);
  const order = [0, 3, 2, 1, 4, 5].map((place) => words.slice(2 * place, 2 * place + 2));
  for (const [place, entry] of order.entries()) words.set(entry, 2 * place);
  const { transitions, isExact } = replayTape(live.tape);
  assert.deepEqual(transitions, live.transitions);
  assert.equal(transitions.length, 3);
  assert.ok(isExact);
});

Deno.test("a tape on which something is not as it was says that it is not exact", () => {
  for (const changed of [{ failureThreshold: 4 }, { cooldownMs: 11 }]) {
    const live = new Live({ failureThreshold: 3, probeEveryNth: 0, cooldownMs: 10, cooldownJitter: 0, tapeSize: 50 });
    const fail: Step = { does: "call", by: 0, outcome: "failure", tookMs: 0 };
    live.run([fail, fail, fail, { does: "wait", ms: 10 }, { does: "acquire", by: 0 }]);
    assert.ok(replayTape(live.tape).isExact);
    // As if the numbers had been changed behind its back.
    const { memory, base } = live.breaker.handle;
    const core = loadCore(memory);
    for (const [name, value] of Object.entries(changed)) {
      core.setSetting(base, SETTINGS.indexOf(name as keyof CircuitBreakerNumbers), value);
    }
    assert.equal(replayTape(live.tape).isExact, false);
  }
});

Deno.test("a tape is played from where the circuit closed after it was cut, in the generation of then, also a late one", () => {
  const live = new Live({ failureThreshold: 2, probeEveryNth: 0, cooldownMs: 1_000, seed: 7, tapeSize: 50 });
  const call = (outcome: Outcome): Step => ({ does: "call", by: 0, outcome, tookMs: 3 });
  live.age(600_000);
  live.run([{ does: "mode", by: 0, mode: "metrics_only" }, call("failure"), call("failure")]);
  live.run([{ does: "wait", ms: 1_300 }, call("success")]); // it closed before it was cut, too
  live.run([call("failure"), { does: "reconfigure", by: 0, changes: { cooldownMs: 500 } }, call("failure")]);
  const before = live.transitions.length;
  assert.equal(replayTape(live.tape).isExact, false);
  live.run([{ does: "wait", ms: 600 }, call("success")]);
  const last = live.transitions.length;
  assert.ok(last > before && live.transitions.at(-1)!.generation > 2 ** 19);
  live.run(Array.from({ length: 36 }, () => call("success"))); // the mode was set before what the tape still has
  live.run([call("failure"), call("failure"), call("ignored"), { does: "wait", ms: 700 }, call("failure")]);
  const { transitions, state, isExact } = replayTape(live.tape);
  assert.deepEqual(transitions, live.transitions.slice(last));
  assert.deepEqual([transitions.length, state, isExact], [3, "open", true]);
});

const BY_WINDOW: Partial<CircuitBreakerOptions> = { failureThreshold: 4095, failureRatio: 0.5, minimumCalls: 4 };
// deno-fmt-ignore
const LATE: readonly (readonly [string, Partial<CircuitBreakerOptions>, string])[] = [
  ["a lease",       { probeLeaseMs: 20 },                      "no probe reported within 20 ms"],
  ["a count window", { ...BY_WINDOW, countWindowSize: 8 },     "2 of the last 4 calls failed"],
  ["a time window", { ...BY_WINDOW, timeWindowMs: 1_000 },     "2 of 4 calls failed within 1000 ms"],
];
for (const [what, settings, reason] of LATE) {
  Deno.test(`${what} is in a replay what it was, also after more changes than half of what generations count`, () => {
    const live = new Live({ failureThreshold: 2, probeEveryNth: 0, cooldownMs: 10, tapeSize: 50, ...settings });
    const call = (outcome: Outcome): Step => ({ does: "call", by: 0, outcome, tookMs: 0 });
    const wait: Step = { does: "wait", ms: 15 };
    live.age(600_000);
    live.run([
      call("failure"),
      { does: "reconfigure", by: 0, changes: {} },
      call({ throttledMs: 1 }),
      wait,
      call("success"),
    ]);
    const closed = live.transitions.length;
    for (const outcome of ["success", "failure", "success", "failure", "failure"] as const) live.run([call(outcome)]);
    live.run([wait, { does: "acquire", by: 0 }, wait, { does: "acquire", by: 0 }, wait, { does: "acquire", by: 0 }]);
    const { transitions, isExact } = replayTape(live.tape);
    assert.deepEqual([transitions, isExact], [live.transitions.slice(closed), true]);
    assert.ok(transitions.some((transition) => transition.reason === reason), JSON.stringify(transitions));
  });
}

Deno.test("a tape is played from where the circuit was forced closed, when that is the last time that it closed", () => {
  const live = new Live({ failureThreshold: 2, probeEveryNth: 0, tapeSize: 6 });
  const fail: Step = { does: "call", by: 0, outcome: "failure", tookMs: 1 };
  live.run([fail, fail, fail, { does: "mode", by: 0, mode: "forced_closed" }, fail, fail, fail]);
  live.run([{ does: "mode", by: 0, mode: "disabled" }]);
  const { transitions, isExact } = replayTape(live.tape);
  assert.deepEqual([transitions, isExact], [live.transitions.slice(-1), true]);
});

Deno.test("threads whose clocks are some milliseconds apart put nothing out of its generation", () => {
  let nowMs = 0;
  const clockOf = (aheadMs: number) => ({ nowMs: () => nowMs + aheadMs, wallMs: () => nowMs });
  const behind = new CircuitBreaker({
    failureThreshold: 1,
    probeEveryNth: 0,
    cooldownMs: 10,
    tapeSize: 50,
    clock: clockOf(0),
  });
  const ahead = CircuitBreaker.attach({ ...behind.handle, wallAheadMs: -5 }, { clock: clockOf(0) });
  const transitions: string[] = [];
  for (const side of [behind, ahead]) side.onTransition(({ reason }) => transitions.push(reason));
  for (let round = 0; round < 3; round++) {
    nowMs += 20;
    behind.record(behind.acquire(), "failure");
    nowMs += 20;
    ahead.record(ahead.acquire(), "success");
    nowMs += 1;
    const call = behind.acquire(); // by its clock before the circuit closed
    nowMs += 1;
    behind.record(call, "ignored");
  }
  const replay = replayTape(behind.tape!);
  assert.deepEqual([replay.transitions.map(({ reason }) => reason), replay.isExact], [transitions, true]);
  assert.equal(transitions.length, 9);
});

Deno.test("a replay leaves the breaker of its tape alone, and no breaker behind that is found by its name", () => {
  const live = new Live({ name: "replayed", failureThreshold: 2, tapeSize: 50 });
  live.run([{ does: "call", by: 0, outcome: "failure", tookMs: 0 }]);
  const counters = live.breaker.counters;
  for (let time = 0; time < 3; time++) replayTape(live.tape, { failureThreshold: 1 });
  assert.deepEqual(live.breaker.counters, counters);
  assert.equal(CircuitBreaker.attach("replayed").state, "closed");
});

Deno.test("other options are checked, and those that are not named stay", () => {
  const tape = outage();
  assert.throws(() => replayTape(tape, { cooldownMs: 0 }), /^RangeError: Cannot replay tape: "cooldownMs" must be/);
  assert.throws(
    () => replayTape(tape, { seed: 1 } as CircuitBreakerNumbers),
    /Cannot replay tape: "seed" cannot be changed/,
  );
  assert.deepEqual(replayTape(tape, {}).transitions, replayTape(tape).transitions);
});
