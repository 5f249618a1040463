/** What a circuit does that was restored from a snapshot. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { CircuitBreaker, type CircuitBreakerNumbers, type CircuitTransition } from "../../core/breaker.ts";
import { bytesOf } from "../../core/breaker_snapshot.ts";
import { options as anyOptions, program, type Step } from "../model/breaker_program.ts";
import { call, circuit, MovedClock, rich } from "./snapshot_circuit.ts";

Deno.test("what was left of a wait is left, whatever time it is", () => {
  const from = circuit();
  call(from.breaker, from.clock, "xxx");
  from.clock.ms = 300;
  const { breaker, clock } = circuit({}, new MovedClock(5_000_000));
  clock.ms += 20_000;
  breaker.restore(from.breaker.snapshot());
  assert.equal(breaker.retryAfterMs, 700);
  clock.ms += 699;
  assert.ok(breaker.acquire() < 0);
  clock.ms += 1;
  assert.ok(breaker.acquire() >= 0);
});

Deno.test("who restores a half-open circuit may probe at once, and a probe that was out is stale", () => {
  const { breaker, clock } = circuit();
  call(breaker, clock, "xxx");
  clock.ms = 1_000;
  const probe = breaker.acquire();
  breaker.restore(breaker.snapshot());
  assert.equal(breaker.state, "open");
  assert.equal(breaker.record(probe, "success"), "stale");
  assert.ok(breaker.acquire() >= 0);
  assert.equal(breaker.state, "half_open");
});

Deno.test("a restore is one change, told once, and none where the state stays", () => {
  const { breaker, clock } = circuit();
  const other = CircuitBreaker.attach(breaker.handle, { clock });
  const told: string[] = [];
  for (const listener of [breaker, other]) {
    listener.onTransition(({ from, to, reason }: CircuitTransition) => told.push(`${from} -> ${to}: ${reason}`));
  }
  const closed = breaker.snapshot();
  call(breaker, clock, "xxx");
  const open = breaker.snapshot();
  breaker.mode = "forced_closed";
  told.length = 0;
  breaker.restore(open); // the mode goes with it
  breaker.restore(open);
  other.restore(closed);
  other.restore(closed);
  assert.deepEqual(told, ["closed -> open: restored", "open -> closed: restored"]);
  assert.equal(breaker.mode, "auto");
});

Deno.test("results of calls that were out are stale, also when nothing else changes", () => {
  const { breaker } = circuit();
  const permit = breaker.acquire();
  breaker.restore(breaker.snapshot());
  assert.equal(breaker.record(permit, "failure"), "stale");
  assert.equal(breaker.counters.consecutiveFailures, 0);
});

Deno.test("counters are not restored", () => {
  const from = circuit();
  call(from.breaker, from.clock, "oxxx..");
  const { breaker } = circuit();
  breaker.restore(from.breaker.snapshot());
  const { opened, transitions, consecutiveFailures, openedAtMs, ...rest } = breaker.counters;
  assert.deepEqual([opened, transitions, consecutiveFailures], [1, 1, 3], "it did open");
  assert.equal(openedAtMs, breaker.counters.openedAtMs);
  assert.deepEqual(Object.values(rest).filter((count) => count !== 0 && count !== undefined), []);
});

Deno.test("a circuit that is held open stays so when it is restored, and is what the snapshot says when it is released", () => {
  const from = circuit();
  call(from.breaker, from.clock, "xxx");
  const { breaker, clock } = circuit();
  const hold = breaker.forceOpen();
  breaker.restore(circuit().breaker.snapshot());
  assert.equal(breaker.mode, "forced_open");
  assert.ok(breaker.acquire() < 0);
  breaker.restore(from.breaker.snapshot());
  clock.ms += 400;
  hold.release();
  assert.equal(breaker.mode, "auto");
  assert.equal(breaker.state, "open");
  assert.equal(breaker.retryAfterMs, 600);
  const again = breaker.forceOpen();
  breaker.restore(rich("closed"));
  assert.deepEqual(breaker.snapshot(), circuit().breaker.snapshot(), "closed and clean it will be");
  again.release();
  assert.equal(breaker.state, "closed");
});

Deno.test("who is detached restores nothing", () => {
  const { breaker, clock } = circuit({ countWindowSize: 4 });
  const other = CircuitBreaker.attach(breaker.handle, { clock });
  call(breaker, clock, "oxo");
  const snapshot = breaker.snapshot();
  call(breaker, clock, "ooo");
  const before = breaker.snapshot();
  other.detach();
  other.restore(snapshot);
  assert.deepEqual(breaker.snapshot(), before);
});

Deno.test("restored consecutive failures go on being counted", () => {
  const from = circuit();
  call(from.breaker, from.clock, "xx");
  const { breaker, clock } = circuit();
  breaker.restore(from.breaker.snapshot());
  call(breaker, clock, "x");
  assert.equal(breaker.state, "open");
});

Deno.test("restored attempts and failed probes go on being counted", () => {
  const from = circuit({ probeEveryNth: 10 });
  call(from.breaker, from.clock, "xxxx");
  from.clock.ms = 1_000;
  call(from.breaker, from.clock, "x......"); // the probe by cooldown was attempt 1
  const { breaker, clock } = circuit({ probeEveryNth: 10 });
  breaker.restore(from.breaker.snapshot());
  call(breaker, clock, "..");
  assert.equal(breaker.state, "open", "attempts 8 and 9");
  call(breaker, clock, "x");
  assert.equal(breaker.counters.halfOpened, 1, "attempt 10");
  clock.ms += 2_000;
  call(breaker, clock, "x");
  assert.equal(breaker.retryAfterMs, 4_000, "1000 ms, twice doubled");
});

Deno.test("a smaller count window takes the last calls, a larger one all of them, and none none", () => {
  const numbers = { failureThreshold: 4_095, failureRatio: 1 };
  const from = circuit({ ...numbers, countWindowSize: 6 });
  call(from.breaker, from.clock, "ooxoxx");
  const restoredTo = (options: CircuitBreakerNumbers) => {
    const { breaker } = circuit({ ...numbers, ...options });
    breaker.restore(from.breaker.snapshot());
    return breaker.snapshot().countWindow;
  };
  assert.equal(restoredTo({ countWindowSize: 4 }), "1011");
  assert.equal(restoredTo({ countWindowSize: 1_024 }), "001011");
  assert.equal(restoredTo({ timeWindowMs: 1_000 }), "");
});

Deno.test("a restored count window of every size up to the largest opens as the first would", () => {
  for (const size of [1, 13, 14, 15, 27, 28, 29, 1_023, 1_024]) {
    const numbers = { failureThreshold: 4_095, countWindowSize: size, minimumCalls: size, failureRatio: 0.5 };
    const from = circuit(numbers);
    const calls = Array.from({ length: size + 20 }, (_, index) => index % 3 === 1 ? "x" : "o").join("");
    call(from.breaker, from.clock, calls);
    const { breaker, clock } = circuit(numbers);
    breaker.restore(from.breaker.snapshotBytes());
    assert.deepEqual(breaker.snapshot(), from.breaker.snapshot());
    for (let failure = 0; from.breaker.state === "closed"; failure++) {
      assert.ok(failure < size);
      assert.equal(breaker.state, "closed");
      call(from.breaker, from.clock, "x");
      call(breaker, clock, "x");
    }
    assert.equal(breaker.state, "open");
  }
});

Deno.test("restored calls leave a time window when they would have, also where the clock has just begun", () => {
  const numbers = { failureThreshold: 4_095, timeWindowMs: 1_000, minimumCalls: 3 };
  const from = circuit(numbers);
  call(from.breaker, from.clock, "x");
  from.clock.ms = 500;
  call(from.breaker, from.clock, "o");
  from.clock.ms = 900;
  const { breaker, clock } = circuit(numbers);
  breaker.restore(from.breaker.snapshot());
  assert.deepEqual(breaker.snapshot().timeWindow.map(([calls]) => calls), [0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
  clock.ms = 100;
  assert.deepEqual(breaker.snapshot().timeWindow.map(([calls]) => calls), [0, 0, 0, 0, 0, 1]);
  clock.ms = 599;
  assert.deepEqual(breaker.snapshot().timeWindow.map(([calls]) => calls), [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  clock.ms = 600;
  assert.deepEqual(breaker.snapshot().timeWindow, []);
});

Deno.test("a time window that is off takes no restored calls", () => {
  const from = circuit({ timeWindowMs: 1_000 });
  call(from.breaker, from.clock, "ox");
  const { breaker } = circuit();
  breaker.restore(from.breaker.snapshot());
  assert.deepEqual(breaker.snapshot().timeWindow, []);
});

Deno.test("restored calls of a time window count, also those of before the clock began", () => {
  const numbers = { failureThreshold: 4_095, timeWindowMs: 1_000, minimumCalls: 3 };
  const from = circuit(numbers);
  call(from.breaker, from.clock, "xo");
  from.clock.ms = 900;
  const { breaker, clock } = circuit(numbers);
  breaker.restore(from.breaker.snapshot());
  call(breaker, clock, "x");
  assert.equal(breaker.state, "open");
  assert.match(breaker.explain(), /2 of 3 calls failed within 1000 ms/);
});

Deno.test("no restored wait is longer than the circuit's own longest", () => {
  const from = circuit({ cooldownMs: 50_000, throttleMaxMs: 40_000 });
  call(from.breaker, from.clock, "xxx");
  const { breaker, clock } = circuit({ cooldownMaxMs: 2_000, throttleMaxMs: 5_000 });
  breaker.restore(from.breaker.snapshot());
  clock.ms += 500; // counted from the restore, and not from when somebody looks
  assert.equal(breaker.retryAfterMs, 1_500);

  const paused = circuit({ throttleMaxMs: 40_000 });
  paused.breaker.record(paused.breaker.acquire(), { throttledMs: 30_000 });
  breaker.restore(paused.breaker.snapshot());
  clock.ms += 500;
  assert.equal(breaker.retryAfterMs, 4_500);
  assert.equal(breaker.throttled, true);
});

Deno.test("a random program, a snapshot and a restore: from there on both do the same", () => {
  const isCommon = ({ does }: Step) => does === "acquire" || does === "call" || does === "wait";
  const common = program.map((steps) => steps.filter(isCommon));
  const seen = new Set<string>();
  const property = fc.property(anyOptions, program, common, fc.nat(), (options, before, after, offset) => {
    const first = circuit({ ...options, cooldownJitter: 0 });
    for (const step of before) play(first, step);
    first.breaker.reconfigure({ cooldownJitter: 0 });
    const snapshot = first.breaker.snapshot();
    // What is half-open is another now; for all else it makes no difference to the first whether it is restored.
    if (first.breaker.state === "half_open") first.breaker.restore(snapshot);
    // A tenth of a time window begins on both clocks at the same time.
    const windowMs = first.breaker.options.timeWindowMs ?? 1;
    const second = circuit({ ...first.breaker.options, seed: options.seed }, new MovedClock(offset));
    second.clock.ms += first.clock.ms % windowMs;
    second.breaker.restore(offset % 2 === 0 ? snapshot : bytesOf(snapshot));
    assert.deepEqual(second.breaker.snapshot(), first.breaker.snapshot());
    for (const step of after) {
      assert.deepEqual(play(second, step), play(first, step), JSON.stringify(step));
      assert.equal(second.breaker.retryAfterMs, first.breaker.retryAfterMs);
      seen.add(`${snapshot.state} ${snapshot.mode}`);
    }
    assert.deepEqual(second.breaker.snapshot(), first.breaker.snapshot());
  });
  fc.assert(property, { numRuns: 300 });
  assert.ok(seen.has("open auto") && seen.has("closed auto") && seen.size > 5, [...seen].join());
});

/** Does a step of a program by one object alone, and answers with what came of it. */
function play({ breaker, clock }: ReturnType<typeof circuit>, step: Step): unknown {
  switch (step.does) {
    case "acquire":
      return [breaker.acquire() >= 0, breaker.state];
    case "call": {
      const permit = breaker.acquire();
      clock.ms += step.tookMs;
      return [permit >= 0 && breaker.record(permit, step.outcome), breaker.state, breaker.throttled];
    }
    case "wait":
      clock.ms += Math.floor(step.ms);
      return;
    case "mode":
      breaker.mode = step.mode;
      return;
    case "reconfigure":
      try {
        breaker.reconfigure(step.changes);
      } catch {
        // Some changes contradict what there is.
      }
  }
}
