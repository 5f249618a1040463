// What a snapshot says of a circuit, and how it is made to be so again. breaker_snapshot.ts draws the snapshot.

import {
  ATTACHMENTS_MAX, ATTEMPTS, BY_ATTEMPT, CLOSED, COOLDOWN_MAX_MS, DEADLINE, deadlineWord, FAILURES_MASK, FAILURES_MAX,
  FAILURES_SHIFT, failuresOf, FORCED_CLOSED, GENERATION_MAX, generationOf, LEVEL_MAX, levelOf, MODE_MASK, MODE_SHIFT, modeOf,
  msOf, OK_MASK, OPEN, OPENING_MASK, OPENING_MAX, OPENING_SHIFT, openingOf, ownerOf, settingOf, slotOf, stateOf,
  THROTTLE_MAX_MS, WORD,
} from "./layout";
import { floorMs, probeDeadline, raise, raiseFloor, remaining, wholeMs } from "./deadlines";
import { choose, chosenMode, isShut, settle, wantedMode, WAS_CLOSED } from "./modes";
import { CUT, tape } from "./tape";
import { RESTORED, tellNothing } from "./told";
import { begin, change, CHANGED } from "./transitions";

/** W as a snapshot keeps it: that of a circuit which is to close, when it is not shut any more or at once, is closed and clean. */
function lasting(base: usize): u64 {
  const w = atomic.load<u64>(base, WORD);
  const isToClose = chosenMode(base) == FORCED_CLOSED || (isShut(modeOf(w)) && (w & OK_MASK) == WAS_CLOSED);
  return stateOf(w) != CLOSED && isToClose ? CLOSED : w;
}

export function lastingState(base: usize): i32 {
  return <i32>stateOf(lasting(base));
}

export function lastingFailures(base: usize): i32 {
  return <i32>failuresOf(lasting(base));
}

/** How often a probe by cooldown has failed since the opening. */
export function level(base: usize): i32 {
  return <i32>levelOf(lasting(base));
}

/** How many calls have asked since the opening. */
export function attempts(base: usize): f64 {
  const w = lasting(base);
  const a = atomic.load<u64>(base, ATTEMPTS);
  return stateOf(w) != CLOSED && ownerOf(a) == openingOf(w) ? <f64>msOf(a) : 0;
}

/** Milliseconds until an open circuit may probe by cooldown. */
export function cooldownLeftMs(base: usize, nowMs: f64): f64 {
  const w = lasting(base);
  if (stateOf(w) != OPEN) return 0;
  const now = wholeMs(nowMs);
  return remaining(probeDeadline(base, w, now), now);
}

/** Milliseconds until a pause that the backend asked for is over, open or half-open. */
export function pauseLeftMs(base: usize, nowMs: f64): f64 {
  const w = lasting(base);
  if (stateOf(w) == CLOSED) return 0;
  const now = wholeMs(nowMs);
  return remaining(floorMs(base, w, now), now);
}

/**
 * Makes the circuit what a snapshot says, in a generation of its own. Waits begin anew with what was left of them, as far as the
 * settings allow. False when it did nothing, for who asked is detached.
 */
export function restore(
  base: usize, attachment: u32, state: u32, mode: u32, failures: u32, lastLevel: u32, asked: f64, cooldownMs: f64, pauseMs: f64,
  nowMs: f64,
): bool {
  if (attachment >= ATTACHMENTS_MAX) return false;
  const slot = slotOf(base, attachment);
  const now = wholeMs(nowMs);
  const pause = min<u64>(wholeMs(pauseMs), settingOf(base, THROTTLE_MAX_MS));
  const cooldown = min<u64>(wholeMs(cooldownMs), max<u64>(settingOf(base, COOLDOWN_MAX_MS), pause));
  tellNothing(slot);
  choose(base, mode);
  while (true) {
    const w = atomic.load<u64>(base, WORD);
    const rules = wantedMode(base); // the mode of the snapshot, unless somebody holds the circuit
    const shut = isShut(rules);
    let next = begin(w, shut ? OPEN : <u64>state, BY_ATTEMPT, min<u64>(lastLevel, LEVEL_MAX));
    next &= ~(FAILURES_MASK | OPENING_MASK | MODE_MASK);
    // Always an opening of its own, so that attempts and pause begin with what the snapshot says.
    next |= (rules << MODE_SHIFT) | min<u64>(failures, FAILURES_MAX) << FAILURES_SHIFT |
      ((openingOf(w) + 1) & OPENING_MAX) << OPENING_SHIFT;
    if (shut && state == CLOSED) next |= WAS_CLOSED;
    // Before the change, so that nobody sees it without. If another comes first, the next round is of a later generation.
    if (pause > 0) raiseFloor(base, openingOf(next), now + pause);
    raise(base + ATTEMPTS, deadlineWord(openingOf(next), wholeMs(asked)), OPENING_MAX);
    raise(base + DEADLINE, deadlineWord(generationOf(next), now + cooldown), GENERATION_MAX);
    if (change(base, slot, w, next, RESTORED, 0, 0, now) != CHANGED) continue;
    tape(base, generationOf(next), now, CUT, 1 + stateOf(next), 0, 0);
    settle(base, slot, now); // a mode that was set meanwhile
    return true;
  }
}
