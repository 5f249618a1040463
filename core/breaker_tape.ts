import { crc32 } from "node:zlib";
import { base64Of, bytesOfBase64 } from "./base64.ts";
import { checkMode, type CircuitMode, MODES } from "./breaker_modes.ts";
import {
  type CheckedNumbers,
  checkNumbers,
  checkSeed,
  type CircuitBreakerNumbers,
  inForce,
  readNumbers,
  readSeed,
  SETTINGS,
  TAPE_MAX,
} from "./breaker_options.ts";
import { describe } from "./limits.ts";
import { type Place, tapeWords } from "./loader.ts";

/**
 * What happened to a circuit lately: each outcome with its time, its latency and the pause that it asked for, each probe
 * and refusal, each change of mode. Plain data, for `JSON.stringify`, `structuredClone` or a file; `replayTape` plays it.
 */
export interface CircuitTape {
  /** Tells it from other objects. */
  readonly kind: "circuit-tape";
  /** What it is made of: another version is refused. */
  readonly version: 1;
  /** The circuit's name. */
  readonly name: string;
  /** The numbers that were in force when it was read, and the seed. */
  readonly options: CircuitBreakerNumbers & { readonly seed: number };
  /** The mode that was in force then. */
  readonly mode: CircuitMode;
  /** How many entries there were before the first one here. */
  readonly lost: number;
  /** The entries in base64, 16 bytes each, oldest first. */
  readonly entries: string;
  /** CRC-32 of all that. */
  readonly checksum: number;
}

/** An entry of a tape; see assembly/tape.ts. */
export interface TapeEntry {
  /** In milliseconds since the breaker was made. */
  readonly atMs: number;
  readonly generation: number;
  readonly what: number;
  /** 0, or 1 + the number of the state in which a generation began by this. */
  readonly turned: number;
  readonly latencyMs: number;
  readonly throttledMs: number;
}

/** A tape that was checked. */
export interface CheckedTape {
  readonly name: string;
  readonly numbers: CheckedNumbers;
  readonly seed: number;
  readonly mode: CircuitMode;
  readonly lost: number;
  readonly entries: readonly TapeEntry[];
}

// What an entry says; see assembly/tape.ts.
export const APPLIED_OUTCOME = 1;
export const STALE_OUTCOME = 5;
export const REFUSED_CALL = 9;
export const PROBE = 10;
export const MODE = 11;
export const CUT = 12;

/** What `turned` is where a circuit closed, or began anew being closed. */
export const TURNED_CLOSED = 1;

/** Longer latencies were cut to this: six days. */
export const LATENCY_MAX_MS = 0x1fff_ffff;

export const GENERATION_MAX = 0xf_ffff;

// Fields of an entry's two words; see assembly/tape.ts.
const GENERATION_SHIFT = 44n;
const FIRST_LAP_SHIFT = 43n;
const MS_MASK = (1n << FIRST_LAP_SHIFT) - 1n;
const LATENCY_SHIFT = 35n;
const WHAT_SHIFT = 31n;
const WHAT_MASK = 15n;
const TURNED_SHIFT = 29n;
const TURNED_MASK = 3n;
const SECOND_LAP_SHIFT = 27n;
const SECOND_LAP_MASK = 3n << SECOND_LAP_SHIFT;
const THROTTLED_MASK = (1n << SECOND_LAP_SHIFT) - 1n;

const ENTRY_BYTES = 16;
const WORD_BYTES = 8;

/** What may begin a generation, by what an entry says: of each the values of `turned`. */
const TURNS: readonly (readonly number[])[] = [
  [], // nothing says 0
  ...[[0, 1, 3], [0, 3], [0], [0, 3]], // success, failure, ignored, throttled
  ...[[0], [0], [0], [0]], // the same, stale
  ...[[0, 3], [0, 2], [0, 1, 3], [0, 1, 3]], // refused, probe, mode, cut
];

const ACTION = "replay tape";

/** True for what became of a call. */
export function isOutcome({ what }: TapeEntry): boolean {
  return what < REFUSED_CALL;
}

/** True for an outcome that came too late. */
export function isStale({ what }: TapeEntry): boolean {
  return what >= STALE_OUTCOME && what < REFUSED_CALL;
}

/** When the call of an outcome began. */
export function beganMsOf({ atMs, latencyMs }: TapeEntry): number {
  return Math.max(0, atMs - latencyMs);
}

/** What is on the tape of a breaker, or `undefined` where there is none. Others may write meanwhile. */
export function tapeOf(place: Place, name: string): CircuitTape | undefined {
  const { core, base } = place;
  const contents = {
    name,
    options: { ...inForce(readNumbers(core, base)), seed: readSeed(core, base) },
    mode: MODES[core.mode(base)]!,
  };
  const end = core.tapeNext(base);
  const words = tapeWords(place);
  const size = words.length / 2;
  if (size === 0) return undefined;
  // What the first of these stood over may have been written over while it was read.
  const stretch = longestStretch(words, Math.max(0, core.tapeNext(base) - size), end);
  const bytes = new DataView(new ArrayBuffer((stretch.end - stretch.start) * ENTRY_BYTES));
  for (let index = stretch.start; index < stretch.end; index++) {
    const [at, word] = [(index - stretch.start) * ENTRY_BYTES, index % size * 2];
    bytes.setBigUint64(at, words[word]! & ~(1n << FIRST_LAP_SHIFT), true);
    bytes.setBigUint64(at + WORD_BYTES, words[word + 1]! & ~SECOND_LAP_MASK, true);
  }
  return sealed({ ...contents, lost: stretch.start, entries: base64Of(new Uint8Array(bytes.buffer)) });
}

/**
 * The longest stretch, and of two the later, of entries that are whole. Not whole is what a thread is just writing, and
 * what one that slept wrote over.
 */
function longestStretch(words: BigUint64Array, first: number, end: number): { start: number; end: number } {
  let longest = { start: first, end: first };
  let start = first;
  for (let index = first; index < end; index++) {
    if (!isWhole(words, index)) start = index + 1;
    else if (index + 1 - start >= longest.end - longest.start) longest = { start, end: index + 1 };
  }
  return longest;
}

function isWhole(words: BigUint64Array, index: number): boolean {
  const size = words.length / 2;
  const lap = BigInt(Math.floor(index / size));
  const [first, second] = [words[index % size * 2]!, words[index % size * 2 + 1]!];
  return (second >> WHAT_SHIFT & WHAT_MASK) !== 0n && (first >> FIRST_LAP_SHIFT & 1n) === (lap & 1n) &&
    (second & SECOND_LAP_MASK) >> SECOND_LAP_SHIFT === (lap & 3n);
}

type Contents = Omit<CircuitTape, "kind" | "version" | "checksum">;

function sealed(contents: Contents): CircuitTape {
  return { kind: "circuit-tape", version: 1, ...contents, checksum: checksumOf(contents) };
}

/** CRC-32 of what matters, whatever order the fields of an object are in. */
function checksumOf({ name, options, mode, lost, entries }: Contents): number {
  const numbers = SETTINGS.map((name) => options[name]);
  return crc32(JSON.stringify([name, numbers, options.seed, mode, lost, entries]));
}

/**
 * What a tape says, checked as a whole.
 *
 * @throws {TypeError} When it is no tape, or a part of it is of the wrong type.
 * @throws {RangeError} When a part is out of its range, or the whole was damaged.
 */
export function checkTape(tape: CircuitTape): CheckedTape {
  const given: unknown = tape;
  if (typeof given !== "object" || given === null) throw mistake("the tape", "an object", given);
  // Once: what is checked is what is used.
  const { kind, version, name, options, mode, lost, entries, checksum } = { ...given } as CircuitTape;
  if (kind !== "circuit-tape") throw mistake('"kind"', '"circuit-tape"', kind);
  if (version !== 1) throw mistake('"version"', "1", version);
  if (typeof name !== "string") throw mistake('"name"', "a string", name);
  if (typeof options !== "object" || options === null) throw mistake('"options"', "an object", options);
  const numbers = checkNumbers(ACTION, options);
  const seed = checkSeed(ACTION, options.seed);
  checkMode(ACTION, mode);
  if (typeof lost !== "number") throw mistake('"lost"', "a number", lost);
  if (!Number.isSafeInteger(lost) || lost < 0) throw outOfRange('"lost"', "a whole number from 0", lost);
  if (typeof entries !== "string") throw mistake('"entries"', "a string", entries);
  if (typeof checksum !== "number") throw mistake('"checksum"', "a number", checksum);
  const found = checksumOf({ name, options, mode, lost, entries });
  if (checksum !== found) throw outOfRange('"checksum"', `${found}, that of the rest`, checksum);
  return { name, numbers, seed, mode, lost, entries: entriesOf(entries) };
}

function entriesOf(base64: string): TapeEntry[] {
  let bytes: DataView;
  try {
    bytes = new DataView(bytesOfBase64(base64).buffer);
  } catch {
    throw new TypeError(`Cannot ${ACTION}: "entries" must be base64`);
  }
  const count = bytes.byteLength / ENTRY_BYTES;
  if (!Number.isInteger(count) || count > TAPE_MAX) {
    throw outOfRange('"entries"', `at most ${TAPE_MAX} entries of ${ENTRY_BYTES} bytes`, `${bytes.byteLength} bytes`);
  }
  return Array.from({ length: count }, (_, index) => {
    const at = index * ENTRY_BYTES;
    return entryOf(bytes.getBigUint64(at, true), bytes.getBigUint64(at + WORD_BYTES, true), index);
  });
}

function entryOf(first: bigint, second: bigint, index: number): TapeEntry {
  const entry = {
    atMs: Number(first & MS_MASK),
    generation: Number(first >> GENERATION_SHIFT),
    what: Number(second >> WHAT_SHIFT & WHAT_MASK),
    turned: Number(second >> TURNED_SHIFT & TURNED_MASK),
    latencyMs: Number(second >> LATENCY_SHIFT),
    throttledMs: Number(second & THROTTLED_MASK),
  };
  const { what, turned, latencyMs, throttledMs } = entry;
  const isMode = what !== MODE || (throttledMs < MODES.length && latencyMs < MODES.length);
  const hasNoLap = (first >> FIRST_LAP_SHIFT & 1n) === 0n && (second & SECOND_LAP_MASK) === 0n;
  if (!isMode || !hasNoLap || !TURNS[what]?.includes(turned)) {
    throw new RangeError(`Cannot ${ACTION}: entry ${index} says what cannot happen`);
  }
  return entry;
}

function mistake(what: string, wanted: string, received: unknown): TypeError {
  return new TypeError(`Cannot ${ACTION}: ${what} must be ${wanted}, received ${describe(received)}`);
}

function outOfRange(what: string, wanted: string, received: unknown): RangeError {
  return new RangeError(`Cannot ${ACTION}: ${what} must be ${wanted}, received ${String(received)}`);
}
