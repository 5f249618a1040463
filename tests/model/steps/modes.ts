/** modes.ts of core/assembly, step by step. */

import { add, cmpxchg, load, type Steps, sub, type Thread } from "./memory.ts";
import { begin, change, CHANGED, MODE_CHANGED, tellNothing } from "./transitions.ts";
import {
  BY_ATTEMPT,
  CLOSED,
  DISABLED,
  FORCED_CLOSED,
  FORCED_OPEN,
  HOLDS,
  levelOf,
  MODE_MASK,
  MODE_SHIFT,
  modeOf,
  MODES,
  OK_MASK,
  OK_ONE,
  OPEN,
  slotOf,
  stateOf,
  WORD,
} from "./words.ts";

const SET_MASK = 0xffn;
const HOLD_ONE = 1n << 8n;
export const WAS_CLOSED = OK_ONE;

export const isShut = (mode: bigint) => mode === FORCED_OPEN || mode === DISABLED;

export function* setMode(thread: Thread, mode: bigint, nowMs: bigint): Steps<void> {
  yield* choose(mode);
  tellNothing(thread);
  yield* settle(thread, nowMs);
}

function* choose(mode: bigint): Steps<void> {
  let seen = yield* load(MODES);
  for (let before = seen;; seen = before) {
    before = yield* cmpxchg(MODES, seen, (seen & ~SET_MASK) | mode);
    if (before === seen) return;
  }
}

export function* hold(thread: Thread, nowMs: bigint): Steps<void> {
  yield* add(slotOf(thread.attachment) + HOLDS, 1n);
  yield* add(MODES, HOLD_ONE);
  tellNothing(thread);
  yield* settle(thread, nowMs);
}

/** Called by who holds it: a hold lets go once. */
export function* letGo(thread: Thread, nowMs: bigint): Steps<void> {
  tellNothing(thread);
  yield* sub(slotOf(thread.attachment) + HOLDS, 1n);
  yield* sub(MODES, HOLD_ONE);
  yield* settle(thread, nowMs);
}

export function* settle(thread: Thread, nowMs: bigint): Steps<boolean> {
  let hasChanged = false;
  while (true) {
    const mode = wantedMode(yield* load(MODES));
    const w = yield* load(WORD);
    if (modeOf(w) === mode) return hasChanged;
    const next = inMode(w, mode);
    const seen = yield* change(thread, w, next, MODE_CHANGED, Number(mode), Number(modeOf(w)), nowMs);
    if (seen === CHANGED) hasChanged = true;
  }
}

export function wantedMode(modes: bigint): bigint {
  return modes >= HOLD_ONE ? FORCED_OPEN : modes & SET_MASK;
}

function inMode(w: bigint, mode: bigint): bigint {
  const before = modeOf(w);
  let next = w;
  if (isShut(mode)) {
    if (!isShut(before)) next = begin(w, OPEN, BY_ATTEMPT, levelOf(w)) | (stateOf(w) === CLOSED ? WAS_CLOSED : 0n);
  } else if (mode === FORCED_CLOSED || before === FORCED_CLOSED) next = begin(w, CLOSED, BY_ATTEMPT, 0n);
  else if (isShut(before)) {
    next = (w & OK_MASK) === WAS_CLOSED ? begin(w, CLOSED, BY_ATTEMPT, 0n) : begin(w, OPEN, BY_ATTEMPT, levelOf(w));
  }
  return (next & ~MODE_MASK) | (mode << MODE_SHIFT);
}
