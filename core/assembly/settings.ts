// How a breaker is to behave: numbers in shared memory, which any thread may change while others use them. Each is whole at any
// moment, and the machine works with every mixture of old and new ones.

import {
  ABI, ABI_VERSION, ATTACHMENTS_MAX, BREAKER_BYTES, CLOSED, COOLDOWN_BACKOFF, COOLDOWN_JITTER, COOLDOWN_MAX_MS, COOLDOWN_MS,
  COUNT_BAD, COUNT_WINDOW, COUNT_WINDOW_SIZE, DEADLINE, deadlineWord, EXPORT_TIMEOUT_MS, FAILURE_RATIO, FAILURE_THRESHOLD,
  FAILURES_MAX, GENERATION_MAX, GENERATION_SHIFT, generationOf, HEAD, HIGHEST, LEASE, MAGIC, MAGIC_VALUE, MINIMUM_CALLS, OPEN,
  OPENED_AT, PROBE_CONCURRENCY, PROBE_EVERY_NTH, PROBE_LEASE_MS, RULES, SEED, SETTINGS, SETTINGS_COUNT, SLOW_CALL_MS,
  SLOW_CALL_RATIO, SLOW_CALLS, stateOf, SUCCESS_THRESHOLD, TAPE, TAPE_ENTRY_BYTES, TAPE_SIZE, THROTTLE_MAX_MS, TIME_BAD,
  TIME_WINDOW, TIME_WINDOW_MS, TIMED, WINDOWS, WORD,
} from "./layout";
import { shortenWaits, wholeMs } from "./deadlines";
import { forgetStarts } from "./starts";
import { CUT, tape } from "./tape";
import { forgetCountWindow, resizeTimeWindow } from "./window";

// The ranges of the settings; breaker_options.ts says them to the user.
const PROBES_MAX: f64 = 63;
const EVERY_NTH_MAX: f64 = 1000000;
const CALLS_MAX: f64 = 1000000;
const COUNT_WINDOW_MAX: f64 = 1024;
const TIME_WINDOW_MIN_MS: f64 = 10;
const BACKOFF_MAX: f64 = 100;
const DAY_MS: f64 = 86400000;
const SEED_MAX: f64 = 4294967295;
const TAPE_MAX: u32 = 65536;

/**
 * Makes a breaker of zeroed memory whose settings were written, closed and in a generation: the first one is 1, a replay begins in
 * that of the tape. Called once, before anything else knows the memory.
 */
export function init(base: usize, tapeSize: u32, generation: u32): void {
  assert((base & 127) == 0); // lines are lines only from an aligned base
  assert(<u64>base + BREAKER_BYTES + <u64>tapeSize * TAPE_ENTRY_BYTES <= <u64>memory.size() << 16); // it lies within its memory
  assert(load<u32>(base, MAGIC) == 0); // nobody's memory is made twice
  store<u32>(base, tapeSize, TAPE_SIZE);
  store<f64>(base, -1, OPENED_AT);
  store<i32>(base, ABI_VERSION, ABI);
  store<u32>(base, rulesOf(base), RULES);
  // What belongs to generations belongs to the one before.
  const before = deadlineWord((<u64>generation - 1) & GENERATION_MAX, 0);
  store<u64>(base, before, DEADLINE);
  store<u64>(base, before, LEASE);
  store<u64>(base, before, HEAD);
  store<u64>(base, before, COUNT_BAD);
  store<u64>(base, before, TIME_BAD);
  atomic.store<u64>(base, CLOSED | ((<u64>generation & GENERATION_MAX) << GENERATION_SHIFT), WORD);
  atomic.store<u32>(base, MAGIC_VALUE, MAGIC);
}

/** True when a breaker of this ABI lies at `base`, with settings that the machine can work with. */
export function isBreaker(base: usize): bool {
  if ((base & 127) != 0 || <u64>base + BREAKER_BYTES > <u64>memory.size() << 16) return false;
  if (atomic.load<u32>(base, MAGIC) != MAGIC_VALUE || load<i32>(base, ABI) != ABI_VERSION) return false;
  const tapeSize = load<u32>(base, TAPE_SIZE);
  if (tapeSize > TAPE_MAX || <u64>base + BREAKER_BYTES + <u64>tapeSize * TAPE_ENTRY_BYTES > <u64>memory.size() << 16) return false;
  return isFrom(1, base, FAILURE_THRESHOLD, <f64>FAILURES_MAX) && isFrom(1, base, SUCCESS_THRESHOLD, PROBES_MAX) &&
    isFrom(1, base, PROBE_CONCURRENCY, PROBES_MAX) && isFrom(0, base, PROBE_EVERY_NTH, EVERY_NTH_MAX) &&
    isFrom(1, base, COOLDOWN_MS, DAY_MS) && isFrom(1, base, COOLDOWN_BACKOFF, BACKOFF_MAX) &&
    isFrom(1, base, COOLDOWN_MAX_MS, DAY_MS) && isFrom(0, base, COOLDOWN_JITTER, 1) &&
    isFrom(1, base, PROBE_LEASE_MS, DAY_MS) && isFrom(1, base, EXPORT_TIMEOUT_MS, DAY_MS) &&
    isFrom(1, base, THROTTLE_MAX_MS, DAY_MS) && isFrom(1, base, MINIMUM_CALLS, CALLS_MAX) &&
    isFrom(0, base, COUNT_WINDOW_SIZE, COUNT_WINDOW_MAX) &&
    (load<f64>(base, TIME_WINDOW_MS) == 0 || isFrom(TIME_WINDOW_MIN_MS, base, TIME_WINDOW_MS, DAY_MS)) &&
    isFrom(0, base, FAILURE_RATIO, 1) && isFrom(0, base, SLOW_CALL_MS, DAY_MS) && isFrom(0, base, SLOW_CALL_RATIO, 1) &&
    isFrom(0, base, SEED, SEED_MAX) && hasRules(base, load<u32>(base, RULES)) &&
    load<u32>(base, HIGHEST) <= ATTACHMENTS_MAX && stateOf(atomic.load<u64>(base, WORD)) <= OPEN;
}

/** The bytes of the breaker at `base`, with its tape. */
export function bytesOf(base: usize): u32 {
  return <u32>(BREAKER_BYTES + load<u32>(base, TAPE_SIZE) * TAPE_ENTRY_BYTES);
}

/** Of the rules only the tape never changes: while another thread changes numbers, the others may be behind them. */
function hasRules(base: usize, rules: u32): bool {
  return (rules & ~(WINDOWS | TIMED)) == 0 && (rules & TAPE) == (rulesOf(base) & TAPE);
}

/** False for what is not a number, too. */
function isFrom(least: f64, base: usize, setting: usize, most: f64): bool {
  const value = load<f64>(base + setting);
  return value >= least && value <= most;
}

/** A setting by its place in SETTINGS. */
export function setting(base: usize, index: u32): f64 {
  return index < SETTINGS_COUNT ? load<f64>(base + SETTINGS + (<usize>index << 3)) : -1;
}

/** Writes a setting. `applySettings` is to be called when all are written. */
export function setSetting(base: usize, index: u32, value: f64): void {
  assert(index < SETTINGS_COUNT); // what lies behind is not a setting
  store<f64>(base + SETTINGS + (<usize>index << 3), value);
}

/** Brings the machine in line with settings that were changed; `timeWindowMs` is what that setting was. */
export function applySettings(base: usize, timeWindowMs: f64, nowMs: f64): void {
  const before = load<u32>(base, RULES);
  const after = rulesOf(base);
  const begun = after & ~before;
  if ((begun & COUNT_WINDOW) != 0) forgetCountWindow(base);
  if ((begun & SLOW_CALLS) != 0 && (before & TAPE) == 0) forgetStarts(base);
  if (load<f64>(base, TIME_WINDOW_MS) != timeWindowMs) resizeTimeWindow(base, timeWindowMs, nowMs);
  store<u32>(base, after, RULES);
  shortenWaits(base, wholeMs(nowMs));
  tape(base, generationOf(atomic.load<u64>(base, WORD)), wholeMs(nowMs), CUT, 0, 0, 0);
}

function rulesOf(base: usize): u32 {
  return (load<f64>(base, COUNT_WINDOW_SIZE) > 0 ? COUNT_WINDOW : 0) | (load<f64>(base, TIME_WINDOW_MS) > 0 ? TIME_WINDOW : 0) |
    (load<f64>(base, SLOW_CALL_MS) > 0 ? SLOW_CALLS : 0) | (load<u32>(base, TAPE_SIZE) > 0 ? TAPE : 0);
}
