// The tape: what was asked of the machine, in the order in which it came. The machine is a function of its state, the time and
// what is asked, so who plays a tape to another breaker sees it change as this one did. breaker_replay.ts plays it.
//
//   an entry   generation:20 | lap:1 | ms:43,  latencyMs:29 | what:4 | turned:2 | lap:2 | throttledMs:27
//
//   generation  of an outcome the one in which its call was let through; of a mode the one that it ended or left; of all else the
//               one that it found or began
//   lap         how often the ring was full before, in both words: an entry whose laps are not both the one that is looked for is
//               not written yet, half written, or was written over by a thread that slept
//   turned      0, or 1 + the state in which a generation began by this
//
// A place is taken by adding one to TAPE_NEXT. Of two threads the one that changed W first may take the later place; generation
// and `turned` tell.

import { BREAKER_BYTES, GENERATION_MAX, RULES, TAPE, TAPE_ENTRY_BYTES, TAPE_NEXT, TAPE_SIZE } from "./layout";

// What: an outcome plus one of the first two, or one of the others. Never 0, so that a place that was never written shows it.
export const APPLIED_OUTCOME: u64 = 1;
export const STALE_OUTCOME: u64 = 5;
export const REFUSED_CALL: u64 = 9; // with metrics only one that would have been
export const PROBE: u64 = 10; // a call that was let through while half-open
export const MODE: u64 = 11; // throttledMs is the mode, latencyMs the one before
export const CUT: u64 = 12; // settings or state were replaced: what comes then does not follow from what was before

const GENERATION_SHIFT: u64 = 44;
const FIRST_LAP_SHIFT: u64 = 43;
const MS_MAX: u64 = (1 << FIRST_LAP_SHIFT) - 1;
const LATENCY_SHIFT: u64 = 35;
const LATENCY_MAX: u64 = 0x1fffffff;
const WHAT_SHIFT: u64 = 31;
const TURNED_SHIFT: u64 = 29;
const SECOND_LAP_SHIFT: u64 = 27;
const THROTTLED_MAX: u64 = 0x7ffffff;

/** Puts an entry on the tape, over the oldest one when it is full. Does nothing where there is no tape. */
// @ts-ignore: decorator
@inline export function tape(
  base: usize, generation: u64, nowMs: u64, what: u64, turned: u64, latencyMs: u64, throttledMs: u64,
): void {
  if ((load<u32>(base, RULES) & TAPE) != 0) append(base, generation, nowMs, what, turned, latencyMs, throttledMs);
}

function append(base: usize, generation: u64, nowMs: u64, what: u64, turned: u64, latencyMs: u64, throttledMs: u64): void {
  const size = <u64>load<u32>(base, TAPE_SIZE);
  const index = atomic.add<u64>(base, 1, TAPE_NEXT);
  const lap = index / size;
  const place = base + BREAKER_BYTES + <usize>(index % size) * TAPE_ENTRY_BYTES;
  atomic.xchg<u64>(
    place, (generation & GENERATION_MAX) << GENERATION_SHIFT | (lap & 1) << FIRST_LAP_SHIFT | min<u64>(nowMs, MS_MAX),
  );
  atomic.xchg<u64>(
    place, min<u64>(latencyMs, LATENCY_MAX) << LATENCY_SHIFT | what << WHAT_SHIFT | turned << TURNED_SHIFT |
      (lap & 3) << SECOND_LAP_SHIFT | min<u64>(throttledMs, THROTTLED_MAX), 8,
  );
}

/** How many entries ever went onto the tape. */
export function tapeNext(base: usize): f64 {
  return <f64>atomic.load<u64>(base, TAPE_NEXT);
}
