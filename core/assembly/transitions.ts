// How the word W changes: by compare-and-swap, here or nowhere.

import {
  CLOSED, FAILURES_MASK, GENERATION_MASK, GENERATION_MAX, GENERATION_SHIFT, generationOf, HALF_OPEN, IN_FLIGHT_MASK,
  LEVEL_MASK, LEVEL_SHIFT, OK_MASK, OPEN, OPENING_MASK, OPENING_MAX, OPENING_SHIFT, openingOf, STATE_MASK, stateOf, WAY_MASK,
  WAY_SHIFT, WORD,
} from "./layout";
import { beginOpening, probeDeadline, renewLease } from "./deadlines";
import { tell } from "./told";

/** The word of the next generation: `w` in another state, with nothing in flight. From closed it begins an opening. */
export function begin(w: u64, state: u64, way: u64, level: u64): u64 {
  let opening = openingOf(w);
  if (stateOf(w) == CLOSED) opening = (opening + 1) & OPENING_MAX;
  let next = w & ~(STATE_MASK | IN_FLIGHT_MASK | OK_MASK | GENERATION_MASK | WAY_MASK | LEVEL_MASK | OPENING_MASK);
  if (state == CLOSED) next &= ~FAILURES_MASK;
  return next | state | (((generationOf(w) + 1) & GENERATION_MAX) << GENERATION_SHIFT) | (way << WAY_SHIFT) |
    (level << LEVEL_SHIFT) | (opening << OPENING_SHIFT);
}

/** The one door. Answers what W was, which is `w` exactly when it changed. */
// @ts-ignore: decorator
@inline export function swing(base: usize, w: u64, next: u64): u64 {
  return atomic.cmpxchg<u64>(base, w, next, WORD);
}

/** What `change` answers when it made the change; anything else is what W is instead. No circuit's word is all ones. */
export const CHANGED: u64 = u64.MAX_VALUE;

/** Swings W into another generation, publishes the deadline that goes with it and tells. */
export function change(base: usize, slot: usize, w: u64, next: u64, reason: u64, detail: f64, second: f64, nowMs: u64): u64 {
  const seen = swing(base, w, next);
  if (seen != w) return seen;
  if (generationOf(next) != generationOf(w)) {
    if (openingOf(next) != openingOf(w)) beginOpening(base, openingOf(next));
    if (stateOf(next) == OPEN) probeDeadline(base, next, nowMs);
    if (stateOf(next) == HALF_OPEN) renewLease(base, next, nowMs);
  }
  if (stateOf(next) != stateOf(w)) tell(base, slot, w, next, reason, detail, second, nowMs);
  return CHANGED;
}
