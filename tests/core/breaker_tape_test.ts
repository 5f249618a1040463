/** The tape of a circuit: what is on it, what it costs, and what is refused as one. */

import assert from "node:assert/strict";
import { CircuitBreaker, type CircuitBreakerOptions, type CircuitTape } from "../../core/breaker.ts";
import { replayTape } from "../../core/breaker_replay.ts";
import { checkTape, type TapeEntry } from "../../core/breaker_tape.ts";
import { BREAKER_BYTES, loadCore } from "../../core/loader.ts";
import { circuit as shared, gather, release, start } from "./breaker_threads.ts";
import { type Journey, packed, type Task } from "./breaker_worker.ts";

const ENTRY_BYTES = 16;

/** Entries as lines, in the words of assembly/tape.ts. */
const WHAT = [
  ...["nothing", "success", "failure", "ignored", "throttled", "late success", "late failure", "late ignored"],
  ...["late throttled", "refused", "probe", "mode", "cut"],
];
const TURNED = ["", " -> closed", " -> half_open", " -> open"];

function lineOf({ atMs, generation, what, turned, latencyMs, throttledMs }: TapeEntry): string {
  const numbers = what === WHAT.indexOf("mode") ? ` ${latencyMs} to ${throttledMs}` : [
    latencyMs > 0 ? ` took ${latencyMs}` : "",
    throttledMs > 0 ? ` asks ${throttledMs}` : "",
  ].join("");
  return `${atMs} ${WHAT[what]}${numbers} in ${generation}${TURNED[turned]}`;
}

function linesOf(tape: CircuitTape | undefined): string[] {
  return checkTape(tape!).entries.map(lineOf);
}

/** A circuit whose time stands still unless a test moves it. */
function circuit(options: CircuitBreakerOptions) {
  const time = { nowMs: 0, readings: 0 };
  const clock = {
    nowMs: () => {
      time.readings++;
      return time.nowMs;
    },
    wallMs: () => time.nowMs,
  };
  return { time, breaker: new CircuitBreaker({ probeEveryNth: 0, cooldownJitter: 0, seed: 1, ...options, clock }) };
}

Deno.test("without tapeSize there is no tape, not a byte for one, and no reading of the clock for a success", () => {
  const { breaker, time } = circuit({});
  const { memory, base } = breaker.handle;
  const before = time.readings;
  for (let call = 0; call < 100; call++) breaker.record(breaker.acquire(), "success");
  assert.equal(time.readings, before);
  assert.equal(breaker.tape, undefined);
  assert.equal(loadCore(memory).bytesOf(base), BREAKER_BYTES);
});

Deno.test("everything that the circuit was asked is on the tape: outcomes in time or late, probes, refusals, modes, cuts", () => {
  const { breaker, time } = circuit({ failureThreshold: 2, cooldownMs: 10, tapeSize: 100 });
  const early = breaker.acquire();
  const late = breaker.acquire();
  time.nowMs = 3.9;
  breaker.record(early, "ignored");
  breaker.record(breaker.acquire(), "success");
  for (let call = 0; call < 2; call++) breaker.record(breaker.acquire(), "failure");
  breaker.acquire();
  time.nowMs = 7;
  breaker.record(late, { throttledMs: 4.5 });
  time.nowMs = 20;
  const probe = breaker.acquire();
  time.nowMs = 25;
  breaker.record(probe, "success");
  breaker.record(probe, "success"); // a duplicate is no news
  breaker.mode = "metrics_only";
  breaker.mode = "forced_open";
  breaker.forceOpen().release(); // nothing of that either
  breaker.reconfigure({ cooldownMs: 20 });
  breaker.restore(breaker.snapshot());
  assert.deepEqual(linesOf(breaker.tape), [
    "3 ignored took 3 in 1",
    "3 success in 1",
    "3 failure in 1",
    "3 failure in 1 -> open",
    "3 refused in 2",
    "7 late throttled took 7 asks 5 in 1",
    "20 probe in 3 -> half_open",
    "25 success took 5 in 3 -> closed",
    "25 mode 0 to 2 in 4",
    "25 mode 2 to 3 in 4 -> open",
    "25 cut in 5",
    "25 cut in 6 -> open",
  ]);
});

Deno.test("a tape is an object for JSON: name, numbers and mode in force, and what was lost", () => {
  const { breaker } = circuit({ name: "stock", failureThreshold: 7, countWindowSize: 20, tapeSize: 2 });
  for (let call = 0; call < 5; call++) breaker.record(breaker.acquire(), "success");
  const tape = breaker.tape!;
  assert.deepEqual(JSON.parse(JSON.stringify(tape)), tape);
  const { entries, checksum, ...rest } = tape;
  assert.equal(atob(entries).length, 2 * ENTRY_BYTES);
  assert.ok(Number.isInteger(checksum));
  const options = { ...breaker.options, seed: 1 };
  assert.deepEqual(rest, { kind: "circuit-tape", version: 1, name: "stock", options, mode: "auto", lost: 3 });
});

Deno.test("the longest tape keeps the last 65 536 entries in a megabyte, whatever comes", () => {
  const { breaker, time } = circuit({ tapeSize: 65_536 });
  const { memory } = breaker.handle;
  const bytes = memory.buffer.byteLength;
  for (time.nowMs = 0; time.nowMs < 65_546; time.nowMs++) breaker.record(breaker.acquire(), "success");
  const { lost, entries } = checkTape(breaker.tape!);
  assert.deepEqual([lost, entries.length, entries[0]!.atMs, entries.at(-1)!.atMs], [10, 65_536, 10, 65_545]);
  assert.equal(memory.buffer.byteLength, bytes);
  assert.throws(() => circuit({ tapeSize: 65_537 }), /"tapeSize" must be an integer from 1 to 65536, received 65537/);
});

Deno.test("times, latencies and pauses that do not fit are cut to what does", () => {
  const { breaker, time } = circuit({ tapeSize: 3, throttleMaxMs: 86_400_000 });
  const [first, second] = [breaker.acquire(), breaker.acquire()];
  time.nowMs = 2 ** 31;
  breaker.record(first, "success");
  time.nowMs = Infinity;
  breaker.record(second, { throttledMs: Infinity });
  assert.deepEqual(linesOf(breaker.tape), [
    `${2 ** 31} success took ${2 ** 29 - 1} in 1`,
    `${2 ** 43 - 1} throttled took ${2 ** 29 - 1} asks ${2 ** 27 - 1} in 1 -> open`,
  ]);
  assert.equal(replayTape(breaker.tape!).isExact, false);
});

// On a tape of five places, whose entries 2 to 6 are there: [what was done to it, at which place, to which word, what is left].
const FIRST_LAP = 1n << 43n;
const SECOND_LAP = 1n << 27n;
// deno-fmt-ignore
const TORN: readonly (readonly [string, number, 0 | 1, bigint, readonly number[]])[] = [
  ["nothing",                                    0, 0, 0n,              [2, 3, 4, 5, 6]],
  ["the newest is half written",                 1, 1, SECOND_LAP,      [2, 3, 4, 5]],
  ["a thread that slept wrote over half of one", 1, 0, FIRST_LAP,       [2, 3, 4, 5]],
  ["the one before it is half written",          0, 1, SECOND_LAP,      [2, 3, 4]],
  ["one between is of two laps later",           3, 1, 2n * SECOND_LAP, [4, 5, 6]],
  ["the one in the middle is half overwritten",  4, 0, FIRST_LAP,       [5, 6]],
  ["the oldest is half overwritten",             2, 0, FIRST_LAP,       [3, 4, 5, 6]],
];
for (const [what, place, word, flip, left] of TORN) {
  Deno.test(`of a tape are read the most entries that are whole and follow each other: ${what}`, () => {
    const { breaker, time } = circuit({ tapeSize: 5 });
    for (time.nowMs = 0; time.nowMs < 7; time.nowMs++) breaker.record(breaker.acquire(), "success");
    const words = wordsOf(breaker);
    words[2 * place + word]! ^= flip;
    const { lost, entries } = checkTape(breaker.tape!);
    assert.deepEqual(entries.map(({ atMs }) => atMs), left);
    assert.equal(lost, left[0]);
  });
}

Deno.test("a tape that nothing was written on is empty, and a place that nobody wrote is no success at 0 ms", () => {
  const { breaker } = circuit({ tapeSize: 4 });
  assert.deepEqual([linesOf(breaker.tape), breaker.tape!.lost], [[], 0]);
  assert.deepEqual(replayTape(breaker.tape!).isExact, true);
  breaker.record(breaker.acquire(), "success");
  wordsOf(breaker).fill(0n);
  assert.deepEqual(linesOf(breaker.tape), []);
});

function wordsOf(breaker: CircuitBreaker): BigUint64Array {
  const { memory, base } = breaker.handle;
  return new BigUint64Array(memory.buffer, base + BREAKER_BYTES);
}

Deno.test("a tape is read while three threads write it: each entry whole, none twice, and in the end all of them", async () => {
  const workers = 3;
  const options = { failureThreshold: 3, probeEveryNth: 7, cooldownMs: 3, cooldownMaxMs: 9, tapeSize: 65_536 };
  const { breaker, cells } = shared(options);
  const task: Task = { does: "roam", calls: 400, seed: 1, naps: false };
  const roaming = [1, 2, 3].map((seed) => start<Journey>(breaker, cells, { ...task, seed }));
  gather(cells, workers);
  let isDone = false;
  const all = Promise.all(roaming.map(({ answer }) => answer)).finally(() => isDone = true);
  release(cells);
  let sofar: readonly TapeEntry[] = [];
  while (!isDone) {
    const { lost, entries } = checkTape(breaker.tape!);
    if (lost === 0 && entries.length >= sofar.length) {
      assert.deepEqual(entries.slice(0, sofar.length), sofar);
      sofar = entries;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  const journeys = await all;
  for (const { worker } of roaming) await worker.terminate();
  const { entries } = checkTape(breaker.tape!);
  const count = (...what: string[]) => entries.filter((entry) => what.includes(WHAT[entry.what]!)).length;
  const sum = (answer: keyof Journey["answers"]) => journeys.reduce((sum, { answers }) => sum + answers[answer], 0);
  assert.equal(breaker.tape!.lost, 0);
  assert.equal(count("success", "failure", "throttled"), sum("applied"));
  assert.equal(count("late success", "late failure", "late throttled"), sum("stale"));
  assert.equal(count("refused"), sum("refused"));
  assert.equal(count("probe"), breaker.counters.halfOpened);
  assert.equal(entries.filter(({ turned }) => turned > 0).length, breaker.counters.transitions);
  const { transitions, isExact } = replayTape(breaker.tape!);
  const live = journeys.flatMap(({ transitions }) => [...transitions]).sort((a, b) => a - b);
  if (isExact) assert.deepEqual(transitions.map((transition) => packed({ ...transition, name: "" })), live);
});

const TAPE: CircuitTape = (() => {
  const { breaker } = circuit({ failureThreshold: 1, tapeSize: 10 });
  breaker.record(breaker.acquire(), "failure");
  breaker.acquire();
  return breaker.tape!;
})();

/** The tape with other entries, and the checksum that goes with them. */
function resealed(entries: string): CircuitTape {
  const checksum = /must be (\d+)/.exec(messageOf({ ...TAPE, entries, checksum: -1 }))?.[1];
  return { ...TAPE, entries, checksum: Number(checksum) };
}

/** The same with one byte of the entries made more. */
function forged(at: number, added: number): CircuitTape {
  const bytes = Array.from(atob(TAPE.entries), (letter) => letter.charCodeAt(0));
  bytes[at]! += added;
  return resealed(btoa(String.fromCharCode(...bytes)));
}

function messageOf(tape: unknown): string {
  try {
    replayTape(tape as CircuitTape);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

// deno-fmt-ignore
const WRONG: readonly (readonly [string, unknown, typeof TypeError | typeof RangeError, RegExp])[] = [
  ["nothing",                undefined,                              TypeError,  /the tape must be an object, received undefined/],
  ["text",                   "tape",                                 TypeError,  /the tape must be an object, received "tape"/],
  ["a snapshot",             { ...TAPE, kind: "circuit-snapshot" },  TypeError,  /"kind" must be "circuit-tape", received "circuit-snapshot"/],
  ["another version",        { ...TAPE, version: 2 },                TypeError,  /"version" must be 1, received 2/],
  ["no name",                { ...TAPE, name: undefined },           TypeError,  /"name" must be a string, received undefined/],
  ["no options",             { ...TAPE, options: null },             TypeError,  /"options" must be an object, received null/],
  ["a wrong option",         { ...TAPE, options: { cooldownMs: 0 }}, RangeError, /"cooldownMs" must be an integer from 1 to 86400000, received 0/],
  ["no seed",                { ...TAPE, options: { seed: "1" } },    TypeError,  /"seed" must be an integer from 0 to 4294967295, received "1"/],
  ["a mode there is not",    { ...TAPE, mode: "manual" },            TypeError,  /"mode" must be one of .*, received "manual"/],
  ["no count of the lost",   { ...TAPE, lost: "0" },                 TypeError,  /"lost" must be a number, received "0"/],
  ["fewer lost than none",   { ...TAPE, lost: -1 },                  RangeError, /"lost" must be a whole number from 0, received -1/],
  ["no entries",             { ...TAPE, entries: [] },               TypeError,  /"entries" must be a string/],
  ["no checksum",            { ...TAPE, checksum: undefined },       TypeError,  /"checksum" must be a number, received undefined/],
  ["another name",           { ...TAPE, name: "other" },             RangeError, /"checksum" must be \d+, that of the rest, received \d+/],
  ["another number",         { ...TAPE, options: { ...TAPE.options, cooldownMs: 5 } }, RangeError, /"checksum" must be/],
  ["another seed",           { ...TAPE, options: { ...TAPE.options, seed: 5 } },       RangeError, /"checksum" must be/],
  ["more lost",              { ...TAPE, lost: 1 },                   RangeError, /"checksum" must be/],
  ["another mode",           { ...TAPE, mode: "disabled" },          RangeError, /"checksum" must be/],
  ["a letter changed",       { ...TAPE, entries: TAPE.entries.replace("A", "B") },     RangeError, /"checksum" must be/],
  ["an entry too short",     resealed(TAPE.entries.slice(0, 20)),    RangeError, /"entries" must be at most 65536 entries of 16 bytes, received 15 bytes/],
  ["too many entries",       resealed("AAAA".repeat(349_528)),       RangeError, /"entries" must be at most 65536 entries/],
  ["what is not base64",     resealed("%"),                          TypeError,  /"entries" must be base64/],
  ["nothing in an entry",    resealed(btoa("\0".repeat(16))),        RangeError, /entry 0 says what cannot happen/],
  ["a failure that closes",  forged(11, -0x40),                    RangeError, /entry 0 says what cannot happen/],
  ["a lap in a first word",  forged(5, 0x08),                      RangeError, /entry 0 says what cannot happen/],
  ["a lap in a second word", forged(27, 0x08),                     RangeError, /entry 1 says what cannot happen/],
];
for (const [what, tape, type, message] of WRONG) {
  Deno.test(`a tape is refused that is or has ${what}`, () => {
    assert.throws(() => replayTape(tape as CircuitTape), (error) => {
      assert.ok(error instanceof type, String(error));
      assert.match((error as Error).message, /^Cannot replay tape: /);
      assert.match((error as Error).message, message);
      return true;
    });
  });
}

Deno.test("the order of its fields is no part of a tape: one that came by way of a database is the same", () => {
  const { options, ...rest } = TAPE;
  const turned = (object: object) => Object.fromEntries(Object.entries(object).reverse());
  assert.deepEqual(
    replayTape(turned({ ...rest, options: turned(options) }) as unknown as CircuitTape),
    replayTape(TAPE),
  );
});
