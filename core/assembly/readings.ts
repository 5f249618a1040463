// What a breaker shows: read by anyone at any time, without a lock. None of it changes what the circuit does.

import {
  ATTACHMENTS_MAX, ATTEMPTS, CLOSED, COOLDOWN_MAX_MS, failuresOf, GENERATION_MAX, generationOf, HALF_OPEN, HIGHEST,
  inFlightOf, LAST, METRICS_ONLY, modeOf, msOf, OPEN, OPENED_AT, openingOf, ownerOf, PROBE_CONCURRENCY, PROBE_EVERY_NTH, saw,
  SEEN_COUNT, SEEN_MS, settingOf, slotOf, stateOf, SUCCESS_COUNT, TOLD, TOLD_FIRST, WORD,
} from "./layout";
import { floorMs, leaseDeadline, probeDeadline, remaining, wholeMs } from "./deadlines";
import { isShut } from "./modes";

/** How many changes of state the attachment's last call made. */
export function toldCount(base: usize, attachment: u32): i32 {
  return attachment < ATTACHMENTS_MAX ? load<i32>(slotOf(base, attachment), TOLD) : 0;
}

/** One of them: field 0 is generation:20 | from:2 | to:2 | reason:8, fields 1 and 2 are the numbers behind the reason. */
export function told(base: usize, attachment: u32, index: u32, field: u32): f64 {
  return load<f64>(slotOf(base, attachment) + TOLD_FIRST + (<usize>index << 5) + (<usize>field << 3));
}

/** The place in LAST of the newest change of state. */
export function lastPlace(base: usize): u32 {
  const generation = generationOf(atomic.load<u64>(base, WORD));
  let newest: u32 = 0;
  let least: u64 = u64.MAX_VALUE;
  for (let place: u32 = 0; place < 4; place++) {
    const stamp = atomic.load<u64>(base + LAST + (<usize>place << 5));
    const age = (generation - ownerOf(stamp)) & GENERATION_MAX;
    if (stamp == 0 || age >= least) continue;
    least = age;
    newest = place;
  }
  return newest;
}

/** What stands there: the generation that began, when, and what is told of it; generation and time are 0 when nothing does. */
export function last(base: usize, place: u32, field: u32): f64 {
  const address = base + LAST + (<usize>(place & 3) << 5);
  const stamp = atomic.load<u64>(address);
  if (field == 0) return <f64>ownerOf(stamp);
  return field == 1 ? <f64>msOf(stamp) : load<f64>(address + (<usize>(field - 1) << 3));
}

/** When the circuit last opened from closed; -1 when it never did. */
export function openedAtMs(base: usize): f64 {
  return load<f64>(base, OPENED_AT);
}

/** When a call last succeeded; -1 when none did. A success for which the circuit read no clock is dated by whoever looks next. */
export function lastSuccessMs(base: usize, nowMs: f64): f64 {
  const highest = atomic.load<u32>(base, HIGHEST);
  let last: f64 = -1;
  for (let attachment: u32 = 0; attachment < highest; attachment++) {
    const slot = slotOf(base, attachment);
    const successes = load<u64>(slot + (SUCCESS_COUNT << 3));
    if (successes == 0) continue;
    if (load<u64>(slot, SEEN_COUNT) != successes) saw(slot, nowMs);
    last = max<f64>(last, load<f64>(slot, SEEN_MS));
  }
  return last;
}

/** The state, without a side effect: an open circuit whose cooldown has ended is open until somebody asks. */
export function state(base: usize): i32 {
  return <i32>stateOf(atomic.load<u64>(base, WORD));
}

/** The mode in force, by its number. */
export function mode(base: usize): i32 {
  return <i32>modeOf(atomic.load<u64>(base, WORD));
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
  return stateOf(w) == OPEN && !isShut(modeOf(w)) ? remaining(floorMs(base, w, now), now) : 0;
}

/** Milliseconds until a call may pass; 0 when one would pass now. Of a circuit that is shut nobody knows: the longest cooldown. */
export function retryAfterMs(base: usize, nowMs: f64): f64 {
  const w = atomic.load<u64>(base, WORD);
  if (stateOf(w) == CLOSED || modeOf(w) == METRICS_ONLY) return 0;
  if (isShut(modeOf(w))) return load<f64>(base, COOLDOWN_MAX_MS);
  const now = wholeMs(nowMs);
  const paused = remaining(floorMs(base, w, now), now);
  if (stateOf(w) == HALF_OPEN) {
    if (inFlightOf(w) < settingOf(base, PROBE_CONCURRENCY)) return paused;
    return max<f64>(remaining(leaseDeadline(base, w, now), now), paused);
  }
  const nth = settingOf(base, PROBE_EVERY_NTH);
  const a = atomic.load<u64>(base, ATTEMPTS);
  if (nth > 0 && (ownerOf(a) != openingOf(w) || msOf(a) % nth == 0)) return paused;
  return max<f64>(remaining(probeDeadline(base, w, now), now), paused);
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
