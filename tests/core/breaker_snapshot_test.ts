/** Snapshots: what they say of a circuit, how it is restored from them, and what is refused as one. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import {
  CircuitBreaker,
  type CircuitBreakerNumbers,
  type CircuitBreakerOptions,
  type CircuitSnapshot,
  type CircuitTransition,
} from "../../core/breaker.ts";
import { bytesOf } from "../../core/breaker_snapshot.ts";
import { options as anyOptions, program, type Step } from "../model/breaker_program.ts";

/** A clock with an origin of its own, and a wall clock that has nothing to do with it. */
class MovedClock {
  ms: number;

  constructor(ms = 0) {
    this.ms = ms;
  }

  nowMs(): number {
    return this.ms;
  }

  wallMs(): number {
    return 1_700_000_000_000 - 7 * this.ms;
  }
}

type Doing = (breaker: CircuitBreaker, clock: MovedClock) => void;

function circuit(options: CircuitBreakerOptions = {}, clock = new MovedClock()) {
  const settings = { name: "collector", probeEveryNth: 0, cooldownMs: 1_000, cooldownMaxMs: 60_000, cooldownJitter: 0 };
  return { clock, breaker: new CircuitBreaker({ ...settings, seed: 1, ...options, clock }) };
}

/** Calls by their outcomes: `o` succeeds, `x` fails, capitals take 100 ms for it; `.` only asks. */
function call(breaker: CircuitBreaker, clock: MovedClock, outcomes: string): void {
  for (const outcome of outcomes) {
    const permit = breaker.acquire();
    if (outcome === "O" || outcome === "X") clock.ms += 100;
    if (outcome !== ".") breaker.record(permit, outcome.toLowerCase() === "o" ? "success" : "failure");
  }
}

const CLEAN = {
  kind: "circuit-snapshot",
  version: 1,
  name: "collector",
  state: "closed",
  mode: "auto",
  consecutiveFailures: 0,
  level: 0,
  attempts: 0,
  cooldownLeftMs: 0,
  pauseLeftMs: 0,
  countWindow: "",
  timeWindow: [],
} as const;

const OPEN = { ...CLEAN, state: "open", consecutiveFailures: 3 } as const;

const WINDOWS = { failureThreshold: 9, countWindowSize: 6, minimumCalls: 6, timeWindowMs: 1_000, slowCallMs: 100 };

const TAKEN: readonly {
  readonly of: string;
  readonly options?: CircuitBreakerOptions;
  readonly after: Doing;
  readonly says: Omit<CircuitSnapshot, "checksum">;
}[] = [
  { of: "a new circuit", after: () => {}, says: CLEAN },
  {
    of: "two failures in a row",
    after: (breaker, clock) => call(breaker, clock, "xoxx"),
    says: { ...CLEAN, consecutiveFailures: 2 },
  },
  {
    of: "windows: the last calls by their order, and by how many tenths ago they were",
    options: WINDOWS,
    after: (breaker, clock) => {
      call(breaker, clock, "ooxO");
      clock.ms = 150;
      call(breaker, clock, "oX");
      clock.ms = 460;
      call(breaker, clock, "ooo");
    },
    says: {
      ...CLEAN,
      countWindow: "203000",
      timeWindow: [[3, 0, 0], [0, 0, 0], [1, 1, 1], [2, 0, 1], [3, 1, 0]],
    },
  },
  {
    of: "a time window that has forgotten its calls",
    options: { timeWindowMs: 1_000 },
    after: (breaker, clock) => {
      call(breaker, clock, "oo");
      clock.ms = 1_000;
    },
    says: CLEAN,
  },
  {
    of: "an open circuit",
    after: (breaker, clock) => {
      call(breaker, clock, "xxx");
      clock.ms = 400;
    },
    says: { ...OPEN, cooldownLeftMs: 600 },
  },
  {
    of: "a probe by cooldown that failed, and one by attempt",
    options: { probeEveryNth: 5 },
    after: (breaker, clock) => {
      call(breaker, clock, "xxxx");
      clock.ms = 1_000;
      call(breaker, clock, "x...");
      clock.ms = 1_500;
      call(breaker, clock, "xx.");
    },
    says: { ...OPEN, consecutiveFailures: 6, level: 1, attempts: 8, cooldownLeftMs: 1_500 },
  },
  {
    of: "an open circuit whose cooldown has ended",
    after: (breaker, clock) => {
      call(breaker, clock, "xxx");
      clock.ms = 9_000;
    },
    says: OPEN,
  },
  {
    of: "a half-open circuit: it is open, with its cooldown ended",
    options: { probeEveryNth: 2 },
    after: (breaker, clock) => call(breaker, clock, "xxx."),
    says: { ...OPEN, attempts: 1 },
  },
  {
    of: "a pause that the backend asked for",
    after: (breaker, clock) => {
      breaker.record(breaker.acquire(), { throttledMs: 5_000 });
      clock.ms = 2_000;
    },
    says: { ...OPEN, consecutiveFailures: 0, cooldownLeftMs: 3_000, pauseLeftMs: 3_000 },
  },
  {
    of: "a pause that is longer than the longest cooldown",
    options: { cooldownMaxMs: 2_000 },
    after: (breaker) => breaker.record(breaker.acquire(), { throttledMs: 5_000 }),
    says: { ...OPEN, consecutiveFailures: 0, cooldownLeftMs: 5_000, pauseLeftMs: 5_000 },
  },
  {
    of: "a circuit that was closed when it was disabled: closed and clean it will be",
    options: WINDOWS,
    after: (breaker, clock) => {
      call(breaker, clock, "oxx");
      breaker.mode = "disabled";
    },
    says: { ...CLEAN, mode: "disabled" },
  },
  {
    of: "a circuit that was open when it was forced open",
    after: (breaker, clock) => {
      call(breaker, clock, "xxx");
      breaker.mode = "forced_open";
      clock.ms = 250;
    },
    says: { ...OPEN, mode: "forced_open", cooldownLeftMs: 750 },
  },
  {
    of: "a circuit that is held open: the hold is no part of it",
    after: (breaker, clock) => {
      breaker.mode = "metrics_only";
      call(breaker, clock, "xxx");
      breaker.forceOpen();
      clock.ms = 250;
    },
    says: { ...OPEN, mode: "metrics_only", cooldownLeftMs: 750 },
  },
  {
    of: "an open circuit that is held open and then to be forced closed",
    after: (breaker, clock) => {
      call(breaker, clock, "xxx");
      breaker.forceOpen();
      breaker.mode = "forced_closed";
    },
    says: { ...CLEAN, mode: "forced_closed" },
  },
  {
    of: "a circuit that is forced closed, with what it counts",
    options: WINDOWS,
    after: (breaker, clock) => {
      breaker.mode = "forced_closed";
      call(breaker, clock, "xxxxxxxxxxxx");
    },
    says: {
      ...CLEAN,
      mode: "forced_closed",
      consecutiveFailures: 12,
      countWindow: "111111",
      timeWindow: [[12, 12, 0]],
    },
  },
];

const WAYS: readonly (readonly [string, (snapshot: CircuitSnapshot) => unknown])[] = [
  ["as it is", (snapshot) => snapshot],
  ["through JSON", (snapshot) => JSON.parse(JSON.stringify(snapshot))],
  ["through structuredClone", (snapshot) => structuredClone(snapshot)],
  ["in bytes", bytesOf],
  ["in a Buffer in the middle of another", (snapshot) => {
    const bytes = bytesOf(snapshot);
    return Buffer.concat([Buffer.alloc(7), bytes, Buffer.alloc(9)]).subarray(7, 7 + bytes.length);
  }],
  ["in shared memory", (snapshot) => {
    const bytes = bytesOf(snapshot);
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    return shared;
  }],
];

for (const { of, options, after, says } of TAKEN) {
  Deno.test(`a snapshot is of ${of}`, () => {
    const { breaker, clock } = circuit(options);
    after(breaker, clock);
    const { checksum, ...said } = breaker.snapshot();
    assert.deepEqual(said, says);
    const bytes = breaker.snapshotBytes();
    assert.equal(new DataView(bytes.buffer).getUint32(bytes.length - 4, true), checksum, "one checksum in both forms");
  });

  for (const [how, pass] of WAYS) {
    Deno.test(`a snapshot restores, ${how}, to the same one, ${of}`, () => {
      const from = circuit(options);
      after(from.breaker, from.clock);
      const { breaker } = circuit(options, new MovedClock(123_456_789.5));
      breaker.restore(pass(from.breaker.snapshot()) as CircuitSnapshot);
      assert.deepEqual(breaker.snapshot(), from.breaker.snapshot());
      assert.deepEqual(breaker.snapshotBytes(), from.breaker.snapshotBytes());
      assert.equal(breaker.mode, says.mode);
      assert.equal(breaker.state, /open|disabled/.test(says.mode) ? "open" : says.state);
    });
  }
}

Deno.test("taking a snapshot changes nothing", () => {
  const { breaker, clock } = circuit({ probeEveryNth: 2 });
  call(breaker, clock, "xxx.");
  clock.ms = 70_000;
  const before = breaker.counters;
  for (let time = 0; time < 3; time++) breaker.snapshot();
  assert.deepEqual(breaker.counters, before);
  assert.equal(breaker.state, "half_open");
});

// The picture in core/breaker_snapshot.ts, field by field: whoever changes a byte of it needs another version.
Deno.test("a snapshot in bytes is what it is drawn as", () => {
  const { breaker, clock } = circuit({ ...WINDOWS, name: "größe" });
  breaker.mode = "metrics_only";
  call(breaker, clock, "oxOxo");
  const bytes = breaker.snapshotBytes();
  // deno-fmt-ignore
  assert.deepEqual([...bytes.subarray(0, -4)], [
    0x42, 0x57, 0x43, 0x53,  1, 0,  0,  2,      // BWCS, version 1, closed, metrics_only
    73, 0, 0, 0,                                // bytes
    0, 0,  0,  2,                               // no failure since the last success, level 0, two tenths
    0, 0, 0, 0, 0, 0, 0, 0,                     // attempts
    0, 0, 0, 0,  0, 0, 0, 0,                    // cooldown and pause
    5, 0,  7, 0,                                // five calls, seven bytes of name
    3, 0, 0, 0,  1, 0, 0, 0,  1, 0, 0, 0,       // this tenth of the time window
    2, 0, 0, 0,  1, 0, 0, 0,  0, 0, 0, 0,       // the one before
    0b01_10_01_00, 0b00_00_00_00,               // the calls: 0 1 2 1 and 0
    0x67, 0x72, 0xc3, 0xb6, 0xc3, 0x9f, 0x65,   // the name
  ]);
});

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

/** A circuit about which a snapshot has much to say, and what it was before. */
function unharmed() {
  const made = circuit({ ...WINDOWS, name: "unharmed" });
  call(made.breaker, made.clock, "oxOx");
  const told: CircuitTransition[] = [];
  made.breaker.onTransition((transition) => told.push(transition));
  const before = [made.breaker.snapshot(), made.breaker.counters];
  const permit = made.breaker.acquire();
  return {
    ...made,
    /** What a refused restore must leave as it was. */
    check: () => {
      const { permitted, ...counters } = made.breaker.counters;
      assert.deepEqual([made.breaker.snapshot(), { ...counters, permitted: permitted - 1 }], before);
      assert.deepEqual(told, []);
    },
    /** No generation began. */
    end: () => assert.equal(made.breaker.record(permit, "ignored"), "applied"),
  };
}

/** The snapshot with the checksum that goes with what it says. */
function withChecksum(snapshot: CircuitSnapshot): CircuitSnapshot {
  const bytes = bytesOf(snapshot);
  return { ...snapshot, checksum: new DataView(bytes.buffer).getUint32(bytes.length - 4, true) };
}

/** A snapshot with all that it may have in its state. */
function rich(state: "closed" | "open"): CircuitSnapshot {
  const { breaker, clock } = circuit({ ...WINDOWS, probeEveryNth: 10, failureThreshold: state === "open" ? 2 : 9 });
  call(breaker, clock, state === "open" ? "xxx...." : "oxOooX");
  if (state === "open") breaker.restore(breaker.snapshot());
  return breaker.snapshot();
}

for (const state of ["closed", "open"] as const) {
  Deno.test(`no byte of a snapshot in bytes can be another: ${state}`, () => {
    const { breaker, check, end } = unharmed();
    const bytes = bytesOf(rich(state));
    for (const index of bytes.keys()) {
      for (let flip = 1; flip < 256; flip++) {
        const damaged = Uint8Array.from(bytes);
        damaged[index]! ^= flip;
        assert.throws(() => breaker.restore(damaged), isRefusal, `byte ${index} ^ ${flip}`);
      }
      check();
    }
    end();
  });

  Deno.test(`a snapshot in bytes is refused that is cut short or goes on: ${state}`, () => {
    const { breaker, check, end } = unharmed();
    const bytes = bytesOf(rich(state));
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => breaker.restore(bytes.subarray(0, length)), { name: "RangeError" });
    }
    for (const more of [1, 2, 3, 4, 100, 10_000]) {
      assert.throws(() => breaker.restore(Buffer.concat([bytes, Buffer.alloc(more)])), {
        name: "RangeError",
        message: /"length" must be .*, received \d+$/,
      });
    }
    check();
    end();
  });
}

/** Puts a byte in its place. The rich closed snapshot has its calls from 72 and its name from 74 on. */
const put = (at: number, byte: number) => (bytes: Uint8Array) => Uint8Array.from(bytes.with(at, byte));

/** Makes three tenths of a time window eleven. */
function elevenTenths(bytes: Uint8Array): Uint8Array {
  const more = Uint8Array.from([...bytes.with(15, 11).subarray(0, 36), ...Buffer.alloc(8 * 12), ...bytes.subarray(36)]);
  return more.with(8, more.length);
}

// deno-fmt-ignore
const CRAFTED: readonly (readonly [says: RegExp, state: "closed" | "open", craft: (bytes: Uint8Array) => Uint8Array])[] = [
  [/"magic" must be "BWCS", received "CWCS"$/,                  "closed", put(0, 0x43)],
  [/"version" must be an integer from 1 to 1, received 2$/,     "closed", put(4, 2)],
  [/"state" must be closed or open, received "half_open"$/,     "closed", put(6, 1)],
  [/"state" must be closed or open, received undefined$/,       "closed", put(6, 3)],
  [/"mode" must be one of .*, received undefined$/,             "closed", put(7, 5)],
  [/"length" must be 255, received 87$/,                        "closed", put(8, 255)],
  [/"consecutiveFailures" must be .*, received 4099$/,          "open",   put(13, 16)],
  [/"level" must be an integer from 0 to 63, received 64$/,     "open",   put(14, 64)],
  [/"length" must be 63, that of its parts, received 87$/,      "closed", put(15, 1)],
  [/"timeWindow" must be at most 10 tenths, received 11$/,      "closed", elevenTenths],
  [/"attempts" must be an integer from 0 to \d+, received 5\.0/, "open",  put(16, 1)],
  [/"cooldownLeftMs" must be .*, received \d+$/,                "open",   put(27, 6)],
  [/"pauseLeftMs" must be .*, received \d+$/,                   "open",   put(31, 6)],
  [/"length" must be 90, that of its parts, received 87$/,      "closed", put(32, 20)],
  [/"length" must be 86, that of its parts, received 87$/,      "closed", put(34, 8)],
  [/"timeWindow\[0\]\[0\]" must be .*, received \d+$/,          "closed", put(39, 1)],
  [/"checksum" must be \d+, that of what the snapshot says, /,  "closed", put(73, 0xff)], // behind the last call
  [/"checksum" must be \d+, that of what the snapshot says, /,  "closed", put(74, 0xff)], // no UTF-8
];
for (const [says, state, craft] of CRAFTED) {
  Deno.test(`made-up bytes of ${state} are refused though their checksum is right: ${says.source}`, () => {
    const { breaker, check, end } = unharmed();
    const bytes = craft(bytesOf(rich(state)));
    new DataView(bytes.buffer).setUint32(bytes.length - 4, crc32(bytes.subarray(0, -4)), true);
    assert.throws(() => breaker.restore(bytes), says);
    check();
    end();
  });
}

function isRefusal(error: unknown): boolean {
  assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
  assert.match(error.message, /^Cannot restore circuit breaker: .*must be .*, received /);
  return true;
}

Deno.test("garbage is refused, whatever it is", () => {
  const { breaker, check, end } = unharmed();
  const garbage = fc.oneof(fc.uint8Array({ maxLength: 700 }), fc.anything(), fc.record({ kind: fc.anything() }));
  fc.assert(
    fc.property(garbage, (given) => {
      assert.throws(() => breaker.restore(given as CircuitSnapshot), (error) => {
        assert.ok(error instanceof TypeError || error instanceof RangeError);
        return /^Cannot restore circuit breaker: /.test(error.message);
      });
    }),
    { numRuns: 1_000 },
  );
  check();
  end();
});

// deno-fmt-ignore
const WRONG: readonly (readonly [state: "closed" | "open", wrong: Record<string, unknown>, error: "TypeError" | "RangeError", says: string])[] = [
  ["closed", { kind: "circuit-breaker" },           "TypeError",  `the snapshot's "kind" must be "circuit-snapshot", received "circuit-breaker"`],
  ["closed", { kind: undefined },                   "TypeError",  `the snapshot's "kind" must be "circuit-snapshot", received undefined`],
  ["closed", { version: 2 },                        "RangeError", `the snapshot's "version" must be an integer from 1 to 1, received 2`],
  ["closed", { version: "1" },                      "TypeError",  `the snapshot's "version" must be an integer from 1 to 1, received "1"`],
  ["closed", { name: 5 },                           "TypeError",  `the snapshot's "name" must be a string, received 5`],
  ["closed", { name: "ß".repeat(65) },              "RangeError", `the snapshot's "name" must be at most 128 bytes of UTF-8, received 130`],
  ["closed", { state: "half_open" },                "TypeError",  `the snapshot's "state" must be closed or open, received "half_open"`],
  ["closed", { state: 0 },                          "TypeError",  `the snapshot's "state" must be closed or open, received 0`],
  ["closed", { mode: "off" },                       "TypeError",  `"mode" must be one of auto, disabled, metrics_only, forced_open, forced_closed, received "off"`],
  ["closed", { mode: null },                        "TypeError",  `"mode" must be one of auto, disabled, metrics_only, forced_open, forced_closed, received null`],
  ["closed", { consecutiveFailures: 4096 },         "RangeError", `the snapshot's "consecutiveFailures" must be an integer from 0 to 4095, received 4096`],
  ["closed", { consecutiveFailures: -1 },           "RangeError", `the snapshot's "consecutiveFailures" must be an integer from 0 to 4095, received -1`],
  ["closed", { consecutiveFailures: undefined },    "TypeError",  `the snapshot's "consecutiveFailures" must be an integer from 0 to 4095, received undefined`],
  ["open",   { level: 64 },                         "RangeError", `the snapshot's "level" must be an integer from 0 to 63, received 64`],
  ["open",   { level: 0.5 },                        "RangeError", `the snapshot's "level" must be an integer from 0 to 63, received 0.5`],
  ["open",   { level: {} },                         "TypeError",  `the snapshot's "level" must be an integer from 0 to 63, received an object`],
  ["closed", { level: 1 },                          "TypeError",  `the snapshot's "level" must be 0 in a closed circuit, received 1`],
  ["open",   { attempts: NaN },                     "RangeError", `the snapshot's "attempts" must be an integer from 0 to 8796093022208, received NaN`],
  ["open",   { attempts: Infinity },                "RangeError", `the snapshot's "attempts" must be an integer from 0 to 8796093022208, received Infinity`],
  ["open",   { attempts: [] },                      "TypeError",  `the snapshot's "attempts" must be an integer from 0 to 8796093022208, received an array`],
  ["closed", { attempts: 1 },                       "TypeError",  `the snapshot's "attempts" must be 0 in a closed circuit, received 1`],
  ["open",   { cooldownLeftMs: 86_400_001 },        "RangeError", `the snapshot's "cooldownLeftMs" must be an integer from 0 to 86400000, received 86400001`],
  ["open",   { cooldownLeftMs: true },              "TypeError",  `the snapshot's "cooldownLeftMs" must be an integer from 0 to 86400000, received true`],
  ["closed", { cooldownLeftMs: 1 },                 "TypeError",  `the snapshot's "cooldownLeftMs" must be 0 in a closed circuit, received 1`],
  ["open",   { pauseLeftMs: -1 },                   "RangeError", `the snapshot's "pauseLeftMs" must be an integer from 0 to 86400000, received -1`],
  ["open",   { pauseLeftMs: "1" },                  "TypeError",  `the snapshot's "pauseLeftMs" must be an integer from 0 to 86400000, received "1"`],
  ["closed", { pauseLeftMs: 1 },                    "TypeError",  `the snapshot's "pauseLeftMs" must be 0 in a closed circuit, received 1`],
  ["closed", { countWindow: [0, 1] },               "TypeError",  `the snapshot's "countWindow" must be a string, received an array`],
  ["closed", { countWindow: "0104" },               "RangeError", `the snapshot's "countWindow[3]" must be a digit from 0 to 3, received "4"`],
  ["closed", { countWindow: "0\n" },                "RangeError", `the snapshot's "countWindow[1]" must be a digit from 0 to 3, received "\\n"`],
  ["closed", { countWindow: "0".repeat(1_025) },    "RangeError", `the snapshot's "countWindow" must be at most 1024 calls, received 1025`],
  ["open",   { countWindow: "0" },                  "TypeError",  `the snapshot's "countWindow" must be empty in an open circuit, received "0"`],
  ["closed", { timeWindow: {} },                    "TypeError",  `the snapshot's "timeWindow" must be an array, received an object`],
  ["closed", { timeWindow: null },                  "TypeError",  `the snapshot's "timeWindow" must be an array, received null`],
  ["closed", { timeWindow: Array(11).fill([0, 0, 0]) }, "RangeError", `the snapshot's "timeWindow" must be at most 10 tenths, received 11`],
  ["closed", { timeWindow: [[0, 0, 0], 5] },        "TypeError",  `the snapshot's "timeWindow[1]" must be an array of three, received 5`],
  ["closed", { timeWindow: [[0, 0]] },              "TypeError",  `the snapshot's "timeWindow[0]" must be an array of three, received an array`],
  ["closed", { timeWindow: [[16_777_216, 0, 0]] },  "RangeError", `the snapshot's "timeWindow[0][0]" must be an integer from 0 to 16777215, received 16777216`],
  ["closed", { timeWindow: [[3, 4, 0]] },           "RangeError", `the snapshot's "timeWindow[0][1]" must be an integer from 0 to 3, received 4`],
  ["closed", { timeWindow: [[3, 0, "1"]] },         "TypeError",  `the snapshot's "timeWindow[0][2]" must be an integer from 0 to 3, received "1"`],
  ["open",   { timeWindow: [[0, 0, 0]] },           "TypeError",  `the snapshot's "timeWindow" must be empty in an open circuit, received an array`],
  ["open",   { mode: "forced_closed" },             "TypeError",  `the snapshot's "state" must be closed in the mode forced_closed, received "open"`],
  ["closed", { checksum: 2 ** 32 },                 "RangeError", `the snapshot's "checksum" must be an integer from 0 to 4294967295, received 4294967296`],
  ["closed", { checksum: "0" },                     "TypeError",  `the snapshot's "checksum" must be an integer from 0 to 4294967295, received "0"`],
  ["closed", { toString: 1 },                       "TypeError",  `a snapshot has no "toString"`],
  ["closed", { holds: 1 },                          "TypeError",  `a snapshot has no "holds"`],
];
for (const [state, wrong, name, says] of WRONG) {
  const [[field, value] = []] = Object.entries(wrong);
  const shown = String(JSON.stringify(value) ?? value).slice(0, 30);
  Deno.test(`a snapshot of ${state} is refused whose ${field} is ${typeof value} ${shown}`, () => {
    const { breaker, check, end } = unharmed();
    const snapshot = { ...rich(state), ...wrong } as CircuitSnapshot;
    assert.throws(() => breaker.restore(snapshot), { name, message: `Cannot restore circuit breaker: ${says}` });
    check();
    end();
  });
}

Deno.test("each part of a snapshot is read once: what is checked is what is restored", () => {
  const { breaker } = circuit();
  const levels = [2, 99];
  const shifty = {
    ...rich("open"),
    get level() {
      return levels.shift()!;
    },
  };
  const from = { ...rich("open"), level: 2 };
  const { checksum } = withChecksum(from);
  breaker.restore(Object.defineProperty(shifty, "checksum", { value: checksum, enumerable: true }));
  assert.equal(breaker.snapshot().level, 2);
});

// deno-fmt-ignore
const ALTERED: readonly (readonly [state: "closed" | "open", altered: Partial<CircuitSnapshot>])[] = [
  ["closed", { name: "collectors" }],
  ["closed", { mode: "metrics_only" }],
  ["closed", { consecutiveFailures: 2 }],
  ["closed", { countWindow: "010132" }],
  ["closed", { countWindow: "" }],
  ["closed", { timeWindow: [] }],
  ["closed", { timeWindow: [[1, 1, 1], [4, 1, 1]] }],
  ["closed", { checksum: 0 }],
  ["open",   { level: 5 }],
  ["open",   { attempts: 7 }],
  ["open",   { attempts: -0 }],
  ["open",   { cooldownLeftMs: 0 }],
  ["open",   { pauseLeftMs: 1 }],
];
for (const [state, altered] of ALTERED) {
  Deno.test(`a snapshot of ${state} is refused that was altered on its way: ${JSON.stringify(altered)}`, () => {
    const { breaker, check, end } = unharmed();
    const snapshot = { ...rich(state), ...altered };
    const message = /^Cannot restore circuit breaker: the snapshot's "checksum" must be \d+, that of .*, received \d+$/;
    assert.throws(() => breaker.restore(snapshot), { name: "RangeError", message });
    check();
    end();
  });
}
