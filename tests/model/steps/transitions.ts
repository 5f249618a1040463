/** transitions.ts and told.ts of core/assembly, step by step. */

import { beginOpening, probeDeadline, renewLease } from "./deadlines.ts";
import { cmpxchg, load, type Steps, type Thread } from "./memory.ts";
import * as words from "./words.ts";
import { CLOSED, deadlineWord, generationOf, HALF_OPEN, LAST, OPEN, openingOf, stateOf, WORD } from "./words.ts";

// Why the state changed.
export const FAILED_OFTEN = 0;
export const PROBE_FAILED = 1;
export const PAUSE_ASKED = 2;
export const PROBE_SUCCEEDED = 3;
export const COOLDOWN_ENDED = 4;
export const ATTEMPT_DUE = 5;
export const LEASE_EXPIRED = 6;
export const PROBE_REPLACED = 7;
export const COUNT_FAILED = 8;
export const MODE_CHANGED = 13;

const TOLD_MAX = 2;
const LAST_MASK = 3n;

export function begin(w: bigint, state: bigint, way: bigint, level: bigint): bigint {
  let opening = openingOf(w);
  if (stateOf(w) === CLOSED) opening = (opening + 1n) & words.OPENING_MAX;
  const { STATE_MASK, IN_FLIGHT_MASK, OK_MASK, GENERATION_MASK, WAY_MASK, LEVEL_MASK, OPENING_MASK } = words;
  let next = w & ~(STATE_MASK | IN_FLIGHT_MASK | OK_MASK | GENERATION_MASK | WAY_MASK | LEVEL_MASK | OPENING_MASK);
  if (state === CLOSED) next &= ~words.FAILURES_MASK;
  return next | state | (((generationOf(w) + 1n) & words.GENERATION_MAX) << words.GENERATION_SHIFT) |
    (way << words.WAY_SHIFT) | (level << words.LEVEL_SHIFT) | (opening << words.OPENING_SHIFT);
}

export function* swing(w: bigint, next: bigint): Steps<bigint> {
  return yield* cmpxchg(WORD, w, next);
}

export const CHANGED = (1n << 64n) - 1n;

// deno-fmt-ignore
export function* change(
  thread: Thread, w: bigint, next: bigint, reason: number, detail: number, second: number, nowMs: bigint,
): Steps<bigint> {
  const seen = yield* swing(w, next);
  if (seen !== w) return seen;
  if (generationOf(next) !== generationOf(w)) {
    if (openingOf(next) !== openingOf(w)) yield* beginOpening(openingOf(next));
    if (stateOf(next) === OPEN) yield* probeDeadline(thread.settings, next, nowMs);
    if (stateOf(next) === HALF_OPEN) yield* renewLease(thread.settings, next, nowMs);
  }
  if (stateOf(next) !== stateOf(w)) yield* tell(thread, w, next, reason, detail, second, nowMs);
  return CHANGED;
}

export function tellNothing(thread: Thread): void {
  thread.told.length = 0;
}

// deno-fmt-ignore
function* tell(
  thread: Thread, from: bigint, to: bigint, reason: number, detail: number, second: number, nowMs: bigint,
): Steps<void> {
  const what = Number(generationOf(to) << 12n | stateOf(from) << 10n | stateOf(to) << 8n) | reason;
  thread.told[Math.min(thread.told.length, TOLD_MAX - 1)] = { what, detail, second };
  thread.counts[stateOf(to) === OPEN ? "opened" : stateOf(to) === CLOSED ? "closed" : "halfOpened"]++;

  const place = LAST + Number(generationOf(to) & LAST_MASK) * 32;
  const before = yield* load(place);
  yield* cmpxchg(place, before, deadlineWord(generationOf(to), nowMs));
}
