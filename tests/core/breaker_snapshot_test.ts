/** Snapshots: what they say of a circuit, and that restoring one gives the same again. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { CircuitBreaker, CircuitBreakerOptions, CircuitSnapshot } from "../../core/breaker.ts";
import { bytesOf } from "../../core/breaker_snapshot.ts";
import { call, circuit, MovedClock, WINDOWS } from "./snapshot_circuit.ts";

type Doing = (breaker: CircuitBreaker, clock: MovedClock) => void;

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
