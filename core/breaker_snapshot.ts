// A snapshot in bytes, little-endian:
//
//    0  magic                4 bytes   "BWCS"
//    4  version              u16
//    6  state                u8        as gauges show it: 0 closed, 2 open
//    7  mode                 u8        its place in MODES
//    8  length               u32       of the whole
//   12  consecutiveFailures  u16
//   14  level                u8
//   15  tenths               u8        entries of the time window
//   16  attempts             f64
//   24  cooldownLeftMs       u32
//   28  pauseLeftMs          u32
//   32  calls                u16       in the count window
//   34  nameBytes            u16
//   36  timeWindow           tenths x { u32 calls, u32 failed, u32 slow }
//       countWindow          2 bits a call, the oldest lowest, filled up with 0 to a byte
//       name                 UTF-8
//       checksum             u32       CRC-32 of all before it; the form for JSON has the same

import { crc32 } from "node:zlib";
import { checkMode, type CircuitMode, MODES } from "./breaker_modes.ts";
import { COUNT_WINDOW_MAX, DAY_MS, NAME_BYTES_MAX } from "./breaker_options.ts";
import { STATES } from "./circuit.ts";
import { describe } from "./limits.ts";
import type { Core } from "./loader.ts";

/** What a circuit was at some moment: plain data for JSON, `structuredClone` or a file. */
export interface CircuitSnapshot {
  /** Tells it from other objects. */
  readonly kind: "circuit-snapshot";
  /** How it is made up. */
  readonly version: 1;
  /** The circuit's name. It is for people: a circuit of any name may be restored. */
  readonly name: string;
  /** What it was doing. One that was half-open is open, and its cooldown has ended. */
  readonly state: "closed" | "open";
  /** The mode that was set; that somebody held the circuit open is not part of it. */
  readonly mode: CircuitMode;
  /** Failures since the last success, up to 4095. */
  readonly consecutiveFailures: number;
  /** How often a probe by cooldown had failed since it opened, up to 63: the exponent of the backoff. */
  readonly level: number;
  /** Calls that had asked since it opened. */
  readonly attempts: number;
  /** Milliseconds that were left of the cooldown. */
  readonly cooldownLeftMs: number;
  /** Milliseconds that were left of a pause that the backend had asked for. */
  readonly pauseLeftMs: number;
  /** The calls of the count window, the oldest first: 0 for a success, 1 for a failure, and 2 more if it was slow. */
  readonly countWindow: string;
  /** The calls of the time window by tenths of it, the newest first. */
  readonly timeWindow: readonly WindowTenth[];
  /** CRC-32 of all that, as it is in bytes. */
  readonly checksum: number;
}

/** Calls in a tenth of a time window: how many there were, how many of them failed, and how many were slow. */
export type WindowTenth = readonly [calls: number, failed: number, slow: number];

type Unsigned = Omit<CircuitSnapshot, "checksum">;

const ACTION = "restore circuit breaker";
const KIND = "circuit-snapshot";
const VERSION = 1;
const MAGIC = "BWCS";
const HEAD_BYTES = 36;
const TENTH_BYTES = 12;
const CALLS_PER_BYTE = 4;
const CHECKSUM_BYTES = 4;

/** The ranges of words in the core; the others are those of options. */
const TENTHS_MAX = 10;
const TENTH_CALLS_MAX = 0xff_ffff;
const NUMBERS_MAX = {
  consecutiveFailures: 4095,
  level: 63,
  attempts: 2 ** 43,
  cooldownLeftMs: DAY_MS,
  pauseLeftMs: DAY_MS,
  checksum: 0xffff_ffff,
};

const BYTES_MIN = HEAD_BYTES + CHECKSUM_BYTES;
const BYTES_MAX = BYTES_MIN + TENTHS_MAX * TENTH_BYTES + COUNT_WINDOW_MAX / CALLS_PER_BYTE + NAME_BYTES_MAX;

/** What the circuit is now. When another thread changes it in between it is read again, so that all is of one moment. */
export function snapshotOf(core: Core, base: number, name: string, nowMs: number): CircuitSnapshot {
  for (;;) {
    const [generation, mode] = [core.generation(base), core.chosenMode(base)];
    const unsigned: Unsigned = {
      kind: KIND,
      version: VERSION,
      name,
      state: STATES[core.lastingState(base)] === "closed" ? "closed" : "open",
      mode: MODES[mode]!,
      consecutiveFailures: core.lastingFailures(base),
      level: core.level(base),
      attempts: core.attempts(base),
      cooldownLeftMs: core.cooldownLeftMs(base, nowMs),
      pauseLeftMs: core.pauseLeftMs(base, nowMs),
      countWindow: countWindowOf(core, base),
      timeWindow: timeWindowOf(core, base, nowMs),
    };
    const isOfOneMoment = core.generation(base) === generation && core.chosenMode(base) === mode;
    if (isOfOneMoment) return { ...unsigned, checksum: checksumOf(bytesOf(unsigned)) };
  }
}

/** The calls of the count window, the oldest first. */
export function countWindowOf(core: Core, base: number): string {
  const calls = core.countWindowCalls(base);
  // From the newest, where a call that is no longer there ends it.
  const digits: number[] = [];
  for (let age = 0; age < calls; age++) digits.push(core.countWindowCall(base, age));
  return digits.filter((digit) => digit >= 0).reverse().join("");
}

/** The calls of the time window by tenths, the newest first, as far back as there were any. */
export function timeWindowOf(core: Core, base: number, nowMs: number): WindowTenth[] {
  const tenths = Array.from({ length: TENTHS_MAX }, (_, age): WindowTenth => {
    // The calls last: one that enters meanwhile is a call before it is a failure.
    const [slow, failed, calls] = [2, 1, 0].map((which) => core.timeWindowCount(base, age, which, nowMs));
    return [calls!, failed!, slow!];
  });
  return tenths.slice(0, tenths.findLastIndex(([calls]) => calls > 0) + 1);
}

/** A snapshot in bytes. */
export function bytesOf(snapshot: Unsigned): Uint8Array<ArrayBuffer> {
  const { timeWindow, countWindow } = snapshot;
  const name = new TextEncoder().encode(snapshot.name);
  const callsAt = HEAD_BYTES + timeWindow.length * TENTH_BYTES;
  const nameAt = callsAt + Math.ceil(countWindow.length / CALLS_PER_BYTE);
  const bytes = new Uint8Array(nameAt + name.length + CHECKSUM_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC));
  view.setUint16(4, VERSION, true);
  view.setUint8(6, STATES.indexOf(snapshot.state));
  view.setUint8(7, MODES.indexOf(snapshot.mode));
  view.setUint32(8, bytes.length, true);
  view.setUint16(12, snapshot.consecutiveFailures, true);
  view.setUint8(14, snapshot.level);
  view.setUint8(15, timeWindow.length);
  view.setFloat64(16, snapshot.attempts, true);
  view.setUint32(24, snapshot.cooldownLeftMs, true);
  view.setUint32(28, snapshot.pauseLeftMs, true);
  view.setUint16(32, countWindow.length, true);
  view.setUint16(34, name.length, true);
  for (const [index, calls] of timeWindow.flat().entries()) view.setUint32(HEAD_BYTES + 4 * index, calls, true);
  for (let index = 0; index < countWindow.length; index++) {
    bytes[callsAt + Math.floor(index / CALLS_PER_BYTE)]! |= Number(countWindow[index]) << 2 * (index % CALLS_PER_BYTE);
  }
  bytes.set(name, nameAt);
  view.setUint32(nameAt + name.length, checksumOf(bytes), true);
  return bytes;
}

/** Makes the circuit what a checked snapshot says. Who is detached changes nothing. */
export function restoreFrom(
  core: Core,
  base: number,
  attachment: number,
  { state, mode, consecutiveFailures, level, attempts, cooldownLeftMs, pauseLeftMs, ...windows }: CircuitSnapshot,
  nowMs: number,
): void {
  const [stateNumber, modeNumber] = [STATES.indexOf(state), MODES.indexOf(mode)];
  // deno-fmt-ignore
  const isDone = core.restore(base, attachment, stateNumber, modeNumber, consecutiveFailures, level, attempts,
    cooldownLeftMs, pauseLeftMs, nowMs);
  // One that is shut begins with empty windows when it is not any more.
  if (!isDone || STATES[core.state(base)] !== "closed") return;
  for (const call of windows.countWindow) core.enterCountCall(base, Number(call));
  for (const [age, [calls, failed, slow]] of windows.timeWindow.entries()) {
    core.enterTimeCounts(base, age, calls, failed, slow, nowMs);
  }
}

/**
 * A snapshot, after everything about it was checked.
 *
 * @throws {TypeError} When it is none, or a part of it is of the wrong type or contradicts another.
 * @throws {RangeError} When a part is out of its range, or what it says was damaged.
 */
export function checkSnapshot(given: unknown): CircuitSnapshot {
  if (typeof given !== "object" || given === null) {
    throw new TypeError(`Cannot ${ACTION}: a snapshot must be an object or bytes, received ${describe(given)}`);
  }
  // Read once: what was checked is what counts, whatever the object answers next.
  const snapshot = ArrayBuffer.isView(given) ? parse(given) : { ...given } as CircuitSnapshot;
  const { kind, version, name, state, mode, countWindow, timeWindow, checksum, ...rest } = snapshot;
  check(kind === KIND, TypeError, "kind", JSON.stringify(KIND), kind);
  checkNumber("version", version, VERSION, VERSION);
  check(typeof name === "string", TypeError, "name", "a string", name);
  const nameBytes = new TextEncoder().encode(name).length;
  check(nameBytes <= NAME_BYTES_MAX, RangeError, "name", `at most ${NAME_BYTES_MAX} bytes of UTF-8`, nameBytes);
  check(state === "closed" || state === "open", TypeError, "state", "closed or open", state);
  checkMode(ACTION, mode);
  const numbers: Readonly<Record<string, unknown>> = { ...rest, checksum };
  for (const [field, max] of Object.entries(NUMBERS_MAX)) checkNumber(field, numbers[field], max);
  const unknown = Object.keys(rest).find((field) => !Object.hasOwn(NUMBERS_MAX, field));
  if (unknown !== undefined) throw new TypeError(`Cannot ${ACTION}: a snapshot has no "${unknown}"`);
  checkCountWindow(countWindow);
  checkTimeWindow(timeWindow);
  checkHarmony(snapshot);
  const sum = checksumOf(bytesOf(snapshot));
  check(checksum === sum, RangeError, "checksum", `${sum}, that of what the snapshot says`, checksum);
  return snapshot;
}

function checkCountWindow(calls: unknown): void {
  check(typeof calls === "string", TypeError, "countWindow", "a string", calls);
  check(calls.length <= COUNT_WINDOW_MAX, RangeError, "countWindow", `at most ${COUNT_WINDOW_MAX} calls`, calls.length);
  const wrong = calls.search(/[^0-3]/);
  check(wrong < 0, RangeError, `countWindow[${wrong}]`, "a digit from 0 to 3", calls[wrong]);
}

function checkTimeWindow(tenths: unknown): void {
  check(Array.isArray(tenths), TypeError, "timeWindow", "an array", tenths);
  check(tenths.length <= TENTHS_MAX, RangeError, "timeWindow", `at most ${TENTHS_MAX} tenths`, tenths.length);
  for (const [age, tenth] of tenths.entries()) {
    const where = `timeWindow[${age}]`;
    check(Array.isArray(tenth) && tenth.length === 3, TypeError, where, "an array of three", tenth);
    checkNumber(`${where}[0]`, tenth[0], TENTH_CALLS_MAX);
    for (const which of [1, 2]) checkNumber(`${where}[${which}]`, tenth[which], tenth[0]);
  }
}

/** No part may contradict another. */
function checkHarmony(snapshot: CircuitSnapshot): void {
  const { state, mode, countWindow, timeWindow } = snapshot;
  if (state === "open") {
    check(mode !== "forced_closed", TypeError, "state", "closed in the mode forced_closed", state);
    check(countWindow === "", TypeError, "countWindow", "empty in an open circuit", countWindow);
    check(timeWindow.length === 0, TypeError, "timeWindow", "empty in an open circuit", timeWindow);
    return;
  }
  for (const field of ["level", "attempts", "cooldownLeftMs", "pauseLeftMs"] as const) {
    check(snapshot[field] === 0, TypeError, field, "0 in a closed circuit", snapshot[field]);
  }
}

/** What bytes say, whole and undamaged. What it means is still to be checked. */
function parse({ buffer, byteOffset, byteLength }: ArrayBufferView): CircuitSnapshot {
  const isLongEnough = byteLength >= BYTES_MIN && byteLength <= BYTES_MAX;
  check(isLongEnough, RangeError, "length", `from ${BYTES_MIN} to ${BYTES_MAX} bytes`, byteLength);
  const bytes = Uint8Array.from(new Uint8Array(buffer, byteOffset, byteLength)); // shared memory might change
  const view = new DataView(bytes.buffer);
  const magic = String.fromCharCode(...bytes.subarray(0, MAGIC.length));
  check(magic === MAGIC, TypeError, "magic", JSON.stringify(MAGIC), magic);
  checkNumber("version", view.getUint16(4, true), VERSION, VERSION);
  check(view.getUint32(8, true) === byteLength, RangeError, "length", view.getUint32(8, true), byteLength);
  const [tenths, calls, nameBytes] = [view.getUint8(15), view.getUint16(32, true), view.getUint16(34, true)];
  const callsAt = HEAD_BYTES + tenths * TENTH_BYTES;
  const nameAt = callsAt + Math.ceil(calls / CALLS_PER_BYTE);
  const length = nameAt + nameBytes + CHECKSUM_BYTES;
  check(length === byteLength, RangeError, "length", `${length}, that of its parts`, byteLength);
  const [sum, checksum] = [checksumOf(bytes), view.getUint32(byteLength - CHECKSUM_BYTES, true)];
  check(checksum === sum, RangeError, "checksum", `${sum}, that of the bytes before it`, checksum);
  const callAt = (index: number) => bytes[callsAt + Math.floor(index / 4)]! >> 2 * (index % CALLS_PER_BYTE) & 3;
  const tenthAt = (age: number) =>
    [0, 4, 8].map((at) => view.getUint32(HEAD_BYTES + age * TENTH_BYTES + at, true)) as unknown as WindowTenth;
  return {
    kind: KIND,
    version: VERSION,
    name: new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(nameAt, nameAt + nameBytes)),
    state: STATES[view.getUint8(6)] as CircuitSnapshot["state"],
    mode: MODES[view.getUint8(7)]!,
    consecutiveFailures: view.getUint16(12, true),
    level: view.getUint8(14),
    attempts: view.getFloat64(16, true),
    cooldownLeftMs: view.getUint32(24, true),
    pauseLeftMs: view.getUint32(28, true),
    countWindow: Array.from({ length: calls }, (_, index) => callAt(index)).join(""),
    timeWindow: Array.from({ length: tenths }, (_, age) => tenthAt(age)),
    checksum,
  };
}

function checksumOf(bytes: Uint8Array): number {
  return crc32(bytes.subarray(0, -CHECKSUM_BYTES));
}

function checkNumber(field: string, value: unknown, max: number, min = 0): void {
  const wanted = `an integer from ${min} to ${max}`;
  check(typeof value === "number", TypeError, field, wanted, value);
  check(Number.isInteger(value) && value >= min && value <= max, RangeError, field, wanted, value);
}

function check(
  isRight: boolean,
  Refusal: ErrorConstructor,
  field: string,
  wanted: string | number,
  received: unknown,
): asserts isRight {
  if (isRight) return;
  throw new Refusal(`Cannot ${ACTION}: the snapshot's "${field}" must be ${wanted}, received ${describe(received)}`);
}
