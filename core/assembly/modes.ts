// What an operator wants of the circuit, whatever its calls come to.
//
//   auto            the machine decides
//   metrics_only    the machine decides, and nobody obeys: every call passes
//   forced_closed   every call passes, whatever comes of it
//   forced_open     no call passes                        ┐ shut: the state is open, no probe, until another mode
//   disabled        no call passes, and that is no alarm  ┘ is set; then the circuit goes on from where it was
//
// MODES keeps the mode that was set and how many hold the circuit open; W keeps the mode that follows from these. Both are changed
// one after the other, so whoever finds the circuit shut looks into MODES whether it still should be.

import {
  ATTACHMENTS_MAX, BY_ATTEMPT, CLAIMED, CLOSED, DISABLED, FORCED_CLOSED, FORCED_OPEN, generationOf, HIGHEST, HOLDS, levelOf,
  MODE_MASK, MODE_SHIFT, modeOf, MODES, OK_MASK, OK_ONE, OPEN, OWNER, slotOf, stateOf, WORD,
} from "./layout";
import { wholeMs } from "./deadlines";
import { MODE, tape } from "./tape";
import { release } from "./tickets";
import { MODE_CHANGED, tellNothing } from "./told";
import { begin, change, CHANGED } from "./transitions";

const SET_MASK: u32 = 0xff;
const HOLDS_SHIFT: u32 = 8;
const HOLD_ONE: u32 = 1 << HOLDS_SHIFT;

/** In probesOk of a circuit that is shut: it was closed before. */
export const WAS_CLOSED: u64 = OK_ONE;

/** True when W lets no call through because of its mode. */
// @ts-ignore: decorator
@inline export function isShut(mode: u64): bool { return mode == FORCED_OPEN || mode == DISABLED; }

/** Sets the mode that rules while nobody holds the circuit open. */
export function setMode(base: usize, attachment: u32, mode: u32, nowMs: f64): void {
  if (attachment >= ATTACHMENTS_MAX) return; // detached
  choose(base, mode);
  tellNothing(slotOf(base, attachment));
  settle(base, slotOf(base, attachment), wholeMs(nowMs));
}

/** Notes the mode that is set. `settle` is to be called, or W changed to fit. */
export function choose(base: usize, mode: u32): void {
  let seen = atomic.load<u32>(base, MODES);
  for (let before = seen; ; seen = before) {
    before = atomic.cmpxchg<u32>(base, seen, (seen & ~SET_MASK) | mode, MODES);
    if (before == seen) return;
  }
}

/** Holds the circuit open, once more. */
export function hold(base: usize, attachment: u32, nowMs: f64): void {
  if (attachment >= ATTACHMENTS_MAX) return;
  const slot = slotOf(base, attachment);
  atomic.add<u32>(slot, 1, HOLDS);
  atomic.add<u32>(base, HOLD_ONE, MODES);
  tellNothing(slot);
  settle(base, slot, wholeMs(nowMs));
}

/** Lets go of one hold of an attachment. */
export function letGo(base: usize, attachment: u32, nowMs: f64): void {
  if (attachment >= ATTACHMENTS_MAX) return;
  const slot = slotOf(base, attachment);
  tellNothing(slot);
  if (load<u32>(slot, HOLDS) == 0) return;
  atomic.sub<u32>(slot, 1, HOLDS);
  atomic.sub<u32>(base, HOLD_ONE, MODES);
  settle(base, slot, wholeMs(nowMs));
}

/** Gives an attachment back, with all that it holds. */
export function detach(base: usize, attachment: u32, nowMs: f64): void {
  if (attachment >= ATTACHMENTS_MAX) return;
  tellNothing(slotOf(base, attachment));
  giveBack(base, attachment, slotOf(base, attachment), false, wholeMs(nowMs));
}

/**
 * Gives back what was attached by a lent handle whose worker is gone, and answers how many that were. Who lent it may be detached by
 * now, and is not told then.
 */
export function reclaim(base: usize, attachment: u32, owner: u32, nowMs: f64): i32 {
  const isDetached = attachment >= ATTACHMENTS_MAX;
  if (!isDetached) tellNothing(slotOf(base, attachment));
  let reclaimed = 0;
  for (let other: u32 = 0; other < atomic.load<u32>(base, HIGHEST); other++) {
    const isClaimed = (atomic.load<u32>(base + CLAIMED + ((other >> 5) << 2)) >> (other & 31) & 1) != 0;
    if (!isClaimed || atomic.load<u32>(slotOf(base, other), OWNER) != owner) continue;
    giveBack(base, other, slotOf(base, isDetached ? other : attachment), true, wholeMs(nowMs));
    reclaimed++;
  }
  return reclaimed;
}

/** Gives `attachment` back; `slot` is the caller's, who is told when that opens the way. */
function giveBack(base: usize, attachment: u32, slot: usize, isReclaimed: bool, nowMs: u64): void {
  const holds = atomic.xchg<u32>(slotOf(base, attachment), 0, HOLDS);
  if (holds > 0) {
    atomic.sub<u32>(base, holds * HOLD_ONE, MODES);
    settle(base, slot, nowMs);
  }
  release(base, attachment, isReclaimed);
}

/**
 * Brings W in line with MODES; true when it had to. Looks again after each change: MODES may have been changed and settled before W
 * was, and then nobody else would see that W fell back.
 */
export function settle(base: usize, slot: usize, nowMs: u64): bool {
  let hasChanged = false;
  while (true) {
    const mode = wantedMode(base);
    const w = atomic.load<u64>(base, WORD);
    if (modeOf(w) == mode) return hasChanged;
    const next = inMode(w, mode);
    if (change(base, slot, w, next, MODE_CHANGED, <f64>mode, <f64>modeOf(w), nowMs) != CHANGED) continue;
    const turned = generationOf(next) == generationOf(w) ? 0 : 1 + stateOf(next);
    tape(base, generationOf(w), nowMs, MODE, turned, modeOf(w), mode);
    hasChanged = true;
  }
}

/** The mode that is to be in force. */
export function wantedMode(base: usize): u64 {
  const modes = atomic.load<u32>(base, MODES);
  return modes >= HOLD_ONE ? FORCED_OPEN : <u64>(modes & SET_MASK);
}

/** The mode that was set, by its number: the one in force when nobody holds the circuit open. */
export function chosenMode(base: usize): u32 {
  return atomic.load<u32>(base, MODES) & SET_MASK;
}

/** How many holds there are on the circuit. */
export function holds(base: usize): u32 {
  return atomic.load<u32>(base, MODES) >> HOLDS_SHIFT;
}

/** The word of `w` in another mode. Unless only the name changes, results of calls that are out count no more. */
function inMode(w: u64, mode: u64): u64 {
  const before = modeOf(w);
  let next = w;
  if (isShut(mode)) {
    if (!isShut(before)) next = begin(w, OPEN, BY_ATTEMPT, levelOf(w)) | (stateOf(w) == CLOSED ? WAS_CLOSED : 0);
  } else if (mode == FORCED_CLOSED || before == FORCED_CLOSED) next = begin(w, CLOSED, BY_ATTEMPT, 0);
  else if (isShut(before)) {
    next = (w & OK_MASK) == WAS_CLOSED ? begin(w, CLOSED, BY_ATTEMPT, 0) : begin(w, OPEN, BY_ATTEMPT, levelOf(w));
  }
  return (next & ~MODE_MASK) | (mode << MODE_SHIFT);
}
