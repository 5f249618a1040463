// What a snapshot says of a circuit, and how it is made to be so again. breaker_snapshot.ts draws the snapshot.

import {
  ATTACHMENTS_MAX, ATTEMPTS, BY_ATTEMPT, CLOSED, DEADLINE, deadlineWord, FAILURES_MASK, FAILURES_MAX, FAILURES_SHIFT,
  generationOf, LEVEL_MAX, levelOf, modeOf, msOf, OK_MASK, OPEN, OPENING_MASK, OPENING_MAX, OPENING_SHIFT, openingOf,
  ownerOf, slotOf, stateOf, WORD,
} from "./layout";
import { floorMs, probeDeadline, raise, raiseFloor, wholeMs } from "./deadlines";
import { isShut, WAS_CLOSED } from "./modes";
import { CUT_KIND, tape } from "./tape";
import { begin, change, CHANGED } from "./transitions";
import { RESTORED, tellNothing } from "./told";

/** The state that a snapshot keeps: what it was before, while the circuit is shut. */
export function lastingState(base: usize): i32 {
  const w = atomic.load<u64>(base, WORD);
  return <i32>(isShut(modeOf(w)) && (w & OK_MASK) == WAS_CLOSED ? CLOSED : stateOf(w));
}

/** How often a probe by cooldown has failed since the opening. */
export function level(base: usize): i32 {
  return <i32>levelOf(atomic.load<u64>(base, WORD));
}

/** How many calls have asked since the opening. */
export function attempts(base: usize): f64 {
  const w = atomic.load<u64>(base, WORD);
  const a = atomic.load<u64>(base, ATTEMPTS);
  return stateOf(w) != CLOSED && ownerOf(a) == openingOf(w) ? <f64>msOf(a) : 0;
}

/** Milliseconds until an open circuit may probe by cooldown. */
export function cooldownLeftMs(base: usize, nowMs: f64): f64 {
  const w = atomic.load<u64>(base, WORD);
  if (stateOf(w) != OPEN) return 0;
  const now = wholeMs(nowMs);
  const deadline = probeDeadline(base, w, now);
  return deadline > now ? <f64>(deadline - now) : 0;
}

/** Milliseconds until a pause that the backend asked for is over, whatever the state is. */
export function pauseLeftMs(base: usize, nowMs: f64): f64 {
  const w = atomic.load<u64>(base, WORD);
  if (stateOf(w) == CLOSED) return 0;
  const now = wholeMs(nowMs);
  const floor = floorMs(base, w, now);
  return floor > now ? <f64>(floor - now) : 0;
}

/** Makes the circuit what a snapshot says, in a generation of its own. Waits begin anew with what was left of them. */
export function restore(
  base: usize, attachment: u32, state: u32, failures: u32, lastLevel: u32, asked: f64, cooldownMs: f64, pauseMs: f64, nowMs: f64,
): void {
  if (attachment >= ATTACHMENTS_MAX) return; // detached
  const slot = slotOf(base, attachment);
  const now = wholeMs(nowMs);
  tellNothing(slot);
  while (true) {
    const w = atomic.load<u64>(base, WORD);
    const target = isShut(modeOf(w)) ? OPEN : <u64>state;
    // Always an opening of its own, so that attempts and pause begin with what the snapshot says.
    let next = begin(w, target, BY_ATTEMPT, min<u64>(lastLevel, LEVEL_MAX)) & ~(FAILURES_MASK | OPENING_MASK);
    next |= min<u64>(failures, FAILURES_MAX) << FAILURES_SHIFT | ((openingOf(w) + 1) & OPENING_MAX) << OPENING_SHIFT;
    if (isShut(modeOf(w)) && state == CLOSED) next |= WAS_CLOSED;
    // Before the change, so that nobody sees it without; if another change comes first, these are its own no more than of a circuit
    // that opened for the same pause.
    if (pauseMs > 0) raiseFloor(base, openingOf(next), now + wholeMs(pauseMs));
    if (change(base, slot, w, next, RESTORED, 0, 0, now) != CHANGED) continue;
    raise(base + ATTEMPTS, deadlineWord(openingOf(next), wholeMs(asked)), OPENING_MAX);
    if (target == OPEN) {
      const d = deadlineWord(generationOf(next), now + wholeMs(cooldownMs));
      const seen = atomic.load<u64>(base, DEADLINE);
      if (ownerOf(seen) == generationOf(next)) atomic.cmpxchg<u64>(base, seen, d, DEADLINE);
    }
    tape(base, generationOf(next), now, CUT_KIND, 0, 0);
    return;
  }
}
