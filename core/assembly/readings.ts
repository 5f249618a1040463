// What a breaker shows: read by anyone at any time, without a lock. None of it changes what the circuit does.

import {
  ATTEMPTS, CLOSED, failuresOf, generationOf, HALF_OPEN, HIGHEST, inFlightOf, msOf, OPEN, openingOf, ownerOf, PROBE_CONCURRENCY,
  PROBE_EVERY_NTH, slotOf, stateOf, TOLD, TOLD_FIRST, WORD,
} from "./layout";
import { floorMs, leaseDeadline, probeDeadline, wholeMs } from "./deadlines";

/** How many changes of state the attachment's last call made, and what they were: generation:20 | from:2 | to:2 | reason:4. */
export function toldCount(base: usize, attachment: u32): i32 {
  return load<i32>(slotOf(base, attachment), TOLD);
}
export function told(base: usize, attachment: u32, index: i32): f64 {
  return load<f64>(slotOf(base, attachment) + TOLD_FIRST + (<usize>index << 4));
}
export function toldDetail(base: usize, attachment: u32, index: i32): f64 {
  return load<f64>(slotOf(base, attachment) + TOLD_FIRST + (<usize>index << 4), 8);
}

/** The state, without a side effect: an open circuit whose cooldown has ended is open until somebody asks. */
export function state(base: usize): i32 {
  return <i32>stateOf(atomic.load<u64>(base, WORD));
}

export function generation(base: usize): i32 {
  return <i32>generationOf(atomic.load<u64>(base, WORD));
}

export function consecutiveFailures(base: usize): i32 {
  return <i32>failuresOf(atomic.load<u64>(base, WORD));
}

export function probesInFlight(base: usize): i32 {
  return <i32>inFlightOf(atomic.load<u64>(base, WORD));
}

/** Milliseconds for which an open circuit goes on honouring a pause the backend asked for; 0 when it does not. */
export function throttledMs(base: usize, nowMs: f64): f64 {
  const w = atomic.load<u64>(base, WORD);
  const now = wholeMs(nowMs);
  return stateOf(w) == OPEN ? remaining(floorMs(base, w, now), now) : 0;
}

/** Milliseconds until a call may pass; 0 when one would pass now. */
export function retryAfterMs(base: usize, nowMs: f64): f64 {
  const w = atomic.load<u64>(base, WORD);
  if (stateOf(w) == CLOSED) return 0;
  const now = wholeMs(nowMs);
  const paused = remaining(floorMs(base, w, now), now);
  if (stateOf(w) == HALF_OPEN) {
    if (inFlightOf(w) < load<u32>(base, PROBE_CONCURRENCY)) return paused;
    return max<f64>(remaining(leaseDeadline(base, w, now), now), paused);
  }
  const nth = load<u32>(base, PROBE_EVERY_NTH);
  const a = atomic.load<u64>(base, ATTEMPTS);
  if (nth > 0 && (ownerOf(a) != openingOf(w) || msOf(a) % nth == 0)) return paused;
  return max<f64>(remaining(probeDeadline(base, w, now), now), paused);
}

// @ts-ignore: decorator
@inline function remaining(deadlineMs: u64, nowMs: u64): f64 {
  return deadlineMs > nowMs ? <f64>(deadlineMs - nowMs) : 0;
}

/** One of the counters of layout.ts, added up over everyone who ever attached. */
export function counter(base: usize, index: u32): f64 {
  const highest = atomic.load<u32>(base, HIGHEST);
  let sum: u64 = 0;
  for (let attachment: u32 = 0; attachment < highest; attachment++) {
    sum += load<u64>(slotOf(base, attachment) + (<usize>index << 3));
  }
  return <f64>sum;
}
