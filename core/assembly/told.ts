// What is told of a change of state: to the caller, whose listeners run when the call is over, and to whoever asks later why.

import {
  CLOSED, CLOSED_COUNT, count, deadlineWord, generationOf, HALF_OPENED_COUNT, LAST, OPEN, OPENED_AT, OPENED_COUNT, stateOf,
  TOLD, TOLD_FIRST,
} from "./layout";

// Why the state changed, and the numbers behind it.
export const FAILED_OFTEN: u64 = 0; // consecutive failures
export const PROBE_FAILED: u64 = 1;
export const PAUSE_ASKED: u64 = 2; // milliseconds
export const PROBE_SUCCEEDED: u64 = 3; // how many
export const COOLDOWN_ENDED: u64 = 4;
export const ATTEMPT_DUE: u64 = 5; // the attempt's number
export const LEASE_EXPIRED: u64 = 6; // milliseconds
export const PROBE_REPLACED: u64 = 7;
export const COUNT_FAILED: u64 = 8; // bad calls, calls
export const COUNT_SLOW: u64 = 9; // bad calls, calls
export const TIME_FAILED: u64 = 10; // bad calls, calls
export const TIME_SLOW: u64 = 11; // bad calls, calls
export const PROBE_SLOW: u64 = 12; // milliseconds
export const MODE_CHANGED: u64 = 13; // the mode now, the mode before
export const RESTORED: u64 = 14;

/**
 * So many changes of one call are told: a void lease, a probe in its place. Who sets a mode while others do may bring about more.
 * Then the last one takes the place of the one before it; all are counted.
 */
const TOLD_MAX: i32 = 2;
const TOLD_SHIFT: usize = 5;

/** LAST keeps so many changes, each in the place that its generation names. */
const LAST_MASK: u64 = 3;

/** Begins a call that may change the state. */
// @ts-ignore: decorator
@inline export function tellNothing(slot: usize): void {
  store<i32>(slot, 0, TOLD);
}

/** Leaves word of a change of state, and counts it. Only who made the change tells it. */
export function tell(base: usize, slot: usize, from: u64, to: u64, reason: u64, detail: f64, second: f64, nowMs: u64): void {
  const index = min<i32>(load<i32>(slot, TOLD), TOLD_MAX - 1);
  const what = <f64>(generationOf(to) << 12 | stateOf(from) << 10 | stateOf(to) << 8 | reason);
  write(slot + TOLD_FIRST + (<usize>index << TOLD_SHIFT), what, detail, second);
  store<i32>(slot, index + 1, TOLD);
  count(slot, stateOf(to) == OPEN ? OPENED_COUNT : stateOf(to) == CLOSED ? CLOSED_COUNT : HALF_OPENED_COUNT);

  if (stateOf(from) == CLOSED && stateOf(to) == OPEN) store<f64>(base, <f64>nowMs, OPENED_AT);
  const place = base + LAST + (<usize>(generationOf(to) & LAST_MASK) << TOLD_SHIFT);
  write(place + 8, what, detail, second);
  const before = atomic.load<u64>(place);
  atomic.cmpxchg<u64>(place, before, deadlineWord(generationOf(to), nowMs));
}

// @ts-ignore: decorator
@inline function write(place: usize, what: f64, detail: f64, second: f64): void {
  store<f64>(place, what);
  store<f64>(place, detail, 8);
  store<f64>(place, second, 16);
}
