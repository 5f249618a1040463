// The tape: what was asked of the machine, in the order in which it came. The machine is a function of its state, the time and
// what is asked, so who plays a tape to another breaker sees it change as this one did.
//
//   an entry   generation:20 | ms:44,  latencyMs:30 | kind:4 | lap:3 | throttledMs:27     lap tells it from what stood there before

import { BREAKER_BYTES, deadlineWord, RULES, TAPE, TAPE_ENTRY_BYTES, TAPE_NEXT, TAPE_SIZE } from "./layout";

// Kinds: an outcome, with STALE_KIND when it changed nothing, or one of the others.
export const STALE_KIND: u64 = 8;
export const REFUSED_KIND: u64 = 4;
export const PROBE_KIND: u64 = 5; // a call that was let through while half-open
export const MODE_KIND: u64 = 6; // throttledMs is the mode
export const CUT_KIND: u64 = 7; // settings or state were replaced: what comes then does not follow from what was before

const LATENCY_SHIFT: u64 = 34;
const LATENCY_MAX: u64 = 0x3fffffff;
const KIND_SHIFT: u64 = 30;
const LAP_SHIFT: u64 = 27;
const LAP_MASK: u64 = 7;
const THROTTLED_MAX: u64 = 0x7ffffff;

/** Puts an entry on the tape, over the oldest one when it is full. Does nothing where there is no tape. */
// @ts-ignore: decorator
@inline export function tape(base: usize, generation: u64, nowMs: u64, kind: u64, latencyMs: u64, throttledMs: u64): void {
  if ((load<u32>(base, RULES) & TAPE) != 0) append(base, generation, nowMs, kind, latencyMs, throttledMs);
}

function append(base: usize, generation: u64, nowMs: u64, kind: u64, latencyMs: u64, throttledMs: u64): void {
  const size = <u64>load<u32>(base, TAPE_SIZE);
  const index = atomic.add<u64>(base, 1, TAPE_NEXT);
  const place = base + BREAKER_BYTES + <usize>(index % size) * TAPE_ENTRY_BYTES;
  store<u64>(place, deadlineWord(generation, nowMs));
  store<u64>(place, min<u64>(latencyMs, LATENCY_MAX) << LATENCY_SHIFT | kind << KIND_SHIFT |
    (index / size & LAP_MASK) << LAP_SHIFT | min<u64>(throttledMs, THROTTLED_MAX), 8);
}

/** How many entries ever went onto the tape. */
export function tapeNext(base: usize): f64 {
  return <f64>atomic.load<u64>(base, TAPE_NEXT);
}
