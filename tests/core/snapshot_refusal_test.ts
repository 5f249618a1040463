/** What is refused as a snapshot: damaged, contradictory, or none at all. A refusal changes nothing. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import type { CircuitSnapshot, CircuitTransition } from "../../core/breaker.ts";
import { bytesOf } from "../../core/breaker_snapshot.ts";
import { call, circuit, rich, WINDOWS } from "./snapshot_circuit.ts";

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
