// The circuit breaker: a machine of three states in one word of shared memory.
//
//            failures reach the threshold, or the backend asks for a pause
//    CLOSED ───────────────────────────────────────────────────────────────► OPEN ◄─┐
//      ▲                                                                      │     │ a probe fails, or
//      │ enough probes succeed                 cooldown ended, or the n-th    │     │ the lease expires
//      └──────────────────────── HALF_OPEN ◄────────────── attempt ───────────┘     │
//                                    └──────────────────────────────────────────────┘
//
// W is changed by compare-and-swap alone, in `swing`. Every arrow above begins a generation (`begin`), so a result carries
// the generation in which its call was let through and is stale in any other.

import {
  ABI, ABI_VERSION, ATTACHMENT_SHIFT, ATTACHMENTS_MAX, ATTEMPTS, BREAKER_BYTES, BY_ATTEMPT, BY_COOLDOWN, BY_THROTTLE,
  CLOSED, CLOSED_COUNT, COOLDOWN_BACKOFF, COOLDOWN_JITTER, COOLDOWN_MAX_MS, COOLDOWN_MS, count, deadlineWord,
  DUPLICATE_COUNT, FAILURE_THRESHOLD, FAILURES_MASK, FAILURES_MAX, FAILURES_ONE, failuresOf, GENERATION_MASK,
  GENERATION_MAX, GENERATION_SHIFT, generationOf, HALF_OPEN, HALF_OPENED_COUNT, HIGHEST, IN_FLIGHT_MASK, IN_FLIGHT_ONE,
  inFlightOf, LEASE_EXPIRED_COUNT, LEVEL_MASK, LEVEL_MAX, LEVEL_SHIFT, levelOf, MAGIC, MAGIC_VALUE, msOf, OK_MASK,
  OK_ONE, okOf, OPEN, OPENED_COUNT, OPENING_MASK, OPENING_MAX, OPENING_SHIFT, openingOf, ownerOf, isPermit,
  PERMIT_GENERATION_SHIFT, PROBE_CONCURRENCY, PROBE_EVERY_NTH, PROBE_LEASE_MS, REFUSED_COUNT, SEED, slotOf, STALE_COUNT,
  STATE_MASK, stateOf, SUCCESS_COUNT, SUCCESS_THRESHOLD, THROTTLE_MAX_MS, TICKET_MAX, TOLD, TOLD_FIRST, WAY_MASK,
  WAY_SHIFT, wayOf, WORD,
} from "./layout";
import { floorMs, isLater, leaseDeadline, probeDeadline, raiseFloor, renewLease, wholeMs } from "./deadlines";
import { AGAIN, FIRST, isMarked, issue, mark } from "./tickets";

// What `acquire` answers instead of a permit.
export const REFUSED: f64 = -1;
export const NEEDS_TIME: f64 = -2; // ask again with the time: the circuit is not closed
export const REFUSED_TOLD: f64 = -3; // refused, and the circuit changed state on the way: see `toldCount`

// What `record` answers. TOLD_FLAG is added to APPLIED when the result changed the state.
export const APPLIED: i32 = 0;
export const STALE: i32 = 1;
export const DUPLICATE: i32 = 2;
export const RECORD_NEEDS_TIME: i32 = 3; // nothing was done yet: record again with the time
export const MARKED_NEEDS_TIME: i32 = 4; // the ticket is marked: record again with the time and `marked`
export const TOLD_FLAG: i32 = 8;
export const NOT_USUAL: i32 = -1; // from `recordUsual`

// The ranges of the settings; breaker_options.ts says them to the user.
const PROBES_MAX: f64 = 63;
const EVERY_NTH_MAX: f64 = 1000000;
const BACKOFF_MAX: f64 = 100;
const DAY_MS: f64 = 86400000;

// Outcomes.
export const SUCCESS: i32 = 0;
export const FAILURE: i32 = 1;
export const IGNORED: i32 = 2;
export const THROTTLED: i32 = 3;

// Why the state changed.
export const FAILED_OFTEN: u32 = 0; // detail: consecutive failures
export const PROBE_FAILED: u32 = 1;
export const PAUSE_ASKED: u32 = 2; // detail: milliseconds
export const PROBE_SUCCEEDED: u32 = 3; // detail: how many
export const COOLDOWN_ENDED: u32 = 4;
export const ATTEMPT_DUE: u32 = 5; // detail: the attempt's number
export const LEASE_EXPIRED: u32 = 6; // detail: milliseconds
export const PROBE_REPLACED: u32 = 7;

/** Makes a breaker of zeroed memory. Called once, before anything else knows the memory. */
export function init(
  base: usize, failureThreshold: u32, successThreshold: u32, probeEveryNth: u32, probeConcurrency: u32, cooldownMs: f64,
  cooldownBackoff: f64, cooldownMaxMs: f64, cooldownJitter: f64, probeLeaseMs: f64, throttleMaxMs: f64, seed: u32,
): void {
  assert((base & 127) == 0); // lines are lines only from an aligned base
  assert(base + BREAKER_BYTES <= <usize>memory.size() << 16); // the breaker lies within its memory
  assert(load<u32>(base, MAGIC) == 0); // nobody's memory is made twice
  store<u32>(base, failureThreshold, FAILURE_THRESHOLD);
  store<u32>(base, successThreshold, SUCCESS_THRESHOLD);
  store<u32>(base, probeEveryNth, PROBE_EVERY_NTH);
  store<u32>(base, probeConcurrency, PROBE_CONCURRENCY);
  store<f64>(base, cooldownMs, COOLDOWN_MS);
  store<f64>(base, cooldownBackoff, COOLDOWN_BACKOFF);
  store<f64>(base, cooldownMaxMs, COOLDOWN_MAX_MS);
  store<f64>(base, cooldownJitter, COOLDOWN_JITTER);
  store<f64>(base, probeLeaseMs, PROBE_LEASE_MS);
  store<f64>(base, throttleMaxMs, THROTTLE_MAX_MS);
  store<u32>(base, seed, SEED);
  store<i32>(base, ABI_VERSION, ABI);
  atomic.store<u64>(base, CLOSED | (1 << GENERATION_SHIFT), WORD); // from 1, so that no permit is 0
  atomic.store<u32>(base, MAGIC_VALUE, MAGIC);
}

/** True when a breaker of this ABI lies at `base`, with settings that the machine can work with. */
export function isBreaker(base: usize): bool {
  if ((base & 127) != 0 || <u64>base + BREAKER_BYTES > <u64>memory.size() << 16) return false;
  if (atomic.load<u32>(base, MAGIC) != MAGIC_VALUE || load<i32>(base, ABI) != ABI_VERSION) return false;
  return isWithin(load<u32>(base, FAILURE_THRESHOLD), 1, <f64>FAILURES_MAX) &&
    isWithin(load<u32>(base, SUCCESS_THRESHOLD), 1, PROBES_MAX) &&
    isWithin(load<u32>(base, PROBE_CONCURRENCY), 1, PROBES_MAX) &&
    isWithin(load<u32>(base, PROBE_EVERY_NTH), 0, EVERY_NTH_MAX) &&
    isWithin(load<f64>(base, COOLDOWN_MS), 1, DAY_MS) && isWithin(load<f64>(base, COOLDOWN_BACKOFF), 1, BACKOFF_MAX) &&
    isWithin(load<f64>(base, COOLDOWN_MAX_MS), load<f64>(base, COOLDOWN_MS), DAY_MS) &&
    isWithin(load<f64>(base, COOLDOWN_JITTER), 0, 1) && isWithin(load<f64>(base, PROBE_LEASE_MS), 1, DAY_MS) &&
    isWithin(load<f64>(base, THROTTLE_MAX_MS), 1, DAY_MS) && load<u32>(base, HIGHEST) <= ATTACHMENTS_MAX &&
    stateOf(atomic.load<u64>(base, WORD)) <= OPEN;
}

/** False for what is not a number, too. */
function isWithin(value: f64, least: f64, most: f64): bool {
  return value >= least && value <= most;
}

/** A permit for a call while the circuit is closed, which needs no time; else REFUSED or NEEDS_TIME. */
export function acquire(base: usize, attachment: u32): f64 {
  if (attachment >= ATTACHMENTS_MAX) return REFUSED; // detached
  const w = atomic.load<u64>(base, WORD);
  return stateOf(w) == CLOSED ? issue(slotOf(base, attachment), attachment, w) : NEEDS_TIME;
}

/** The same with the time. While the circuit is not closed this call is an attempt, and may become a probe. */
export function acquireInTime(base: usize, attachment: u32, time: f64): f64 {
  if (attachment >= ATTACHMENTS_MAX) return REFUSED; // detached
  const nowMs = wholeMs(time);
  let w = atomic.load<u64>(base, WORD);
  const slot = slotOf(base, attachment);
  store<i32>(slot, 0, TOLD);
  let attempt: i64 = -1;
  let countedIn: u64 = u64.MAX_VALUE; // the opening in which this call has its number
  let replaces = false;
  while (true) {
    if (stateOf(w) == CLOSED) return issue(slot, attachment, w);
    if (countedIn != openingOf(w)) {
      countedIn = openingOf(w);
      attempt = countAttempt(base, w);
    }

    if (stateOf(w) == HALF_OPEN) {
      if (inFlightOf(w) > 0 && nowMs >= leaseDeadline(base, w, nowMs)) {
        // Whoever held the probe is gone or too late: the episode is void, and this call takes its place if it may.
        const opened = begin(w, OPEN, BY_ATTEMPT, levelOf(w));
        const seen = swing(base, w, opened);
        if (seen == w) {
          count(slot, LEASE_EXPIRED_COUNT);
          tell(slot, w, opened, LEASE_EXPIRED, load<f64>(base, PROBE_LEASE_MS));
          replaces = true;
        }
        w = seen == w ? opened : seen;
        continue;
      }
      if (inFlightOf(w) >= load<u32>(base, PROBE_CONCURRENCY) || nowMs < floorMs(base, w, nowMs)) break;
      const seen = swing(base, w, w + IN_FLIGHT_ONE);
      if (seen == w) {
        if (inFlightOf(w) == 0) renewLease(base, w, nowMs);
        return issue(slot, attachment, w);
      }
      w = seen;
      continue;
    }

    const cooledDown = nowMs >= probeDeadline(base, w, nowMs);
    const isDue = attempt >= 0 && attempt % load<u32>(base, PROBE_EVERY_NTH) == 0;
    if (!(cooledDown || isDue || replaces) || nowMs < floorMs(base, w, nowMs)) break;
    const probing = begin(w, HALF_OPEN, cooledDown ? BY_COOLDOWN : BY_ATTEMPT, levelOf(w)) + IN_FLIGHT_ONE;
    const seen = swing(base, w, probing);
    if (seen == w) {
      renewLease(base, probing, nowMs);
      const reason = replaces ? PROBE_REPLACED : cooledDown ? COOLDOWN_ENDED : ATTEMPT_DUE;
      tell(slot, w, probing, reason, <f64>attempt);
      return issue(slot, attachment, probing);
    }
    w = seen;
  }
  count(slot, REFUSED_COUNT);
  return load<i32>(slot, TOLD) > 0 ? REFUSED_TOLD : REFUSED;
}

/**
 * Records the most usual of all results: a success while the circuit is closed and has no failures to forget. Answers APPLIED, or
 * NOT_USUAL when it did nothing because `record` has to look closer.
 */
export function recordUsual(base: usize, attachment: u32, permit: f64): i32 {
  const bits = reinterpret<u64>(permit);
  const w = atomic.load<u64>(base, WORD);
  const closed = CLOSED | (bits >> (PERMIT_GENERATION_SHIFT - GENERATION_SHIFT) & GENERATION_MASK);
  if ((w & (STATE_MASK | FAILURES_MASK | GENERATION_MASK)) != closed) return NOT_USUAL;
  if (attachment >= ATTACHMENTS_MAX || !isPermit(bits)) return NOT_USUAL;
  const issuer = slotOf(base, <u32>(bits >> ATTACHMENT_SHIFT) & (ATTACHMENTS_MAX - 1));
  if (mark(issuer, bits & TICKET_MAX) != FIRST) return NOT_USUAL; // found again by `record`, which counts it
  count(slotOf(base, attachment), SUCCESS_COUNT);
  return APPLIED;
}

/** Records what became of a call. `throttledMs` counts only with THROTTLED; a negative `nowMs` is a time not yet read. */
export function record(
  base: usize, attachment: u32, permit: f64, outcome: i32, throttledMs: f64, nowMs: f64, marked: bool,
): i32 {
  if (attachment >= ATTACHMENTS_MAX) return STALE; // detached
  const slot = slotOf(base, attachment);
  const bits = reinterpret<u64>(permit);
  if (!isPermit(bits)) return stale(slot);
  const generation = (bits >> PERMIT_GENERATION_SHIFT) & GENERATION_MAX;
  let w = atomic.load<u64>(base, WORD);
  if (!(nowMs >= 0) && needsTime(base, w, generation, outcome)) return RECORD_NEEDS_TIME;

  const issuer = slotOf(base, <u32>(bits >> ATTACHMENT_SHIFT) & (ATTACHMENTS_MAX - 1));
  if (generation != generationOf(w)) {
    // Too late to say how the backend is; not too late to say when it wants to be asked again.
    if (!marked && isMarked(issuer, bits & TICKET_MAX)) return duplicate(slot);
    if (outcome == THROTTLED && stateOf(w) != CLOSED) raiseFloor(base, openingOf(w), wholeMs(nowMs) + pauseMs(base, throttledMs));
    return stale(slot);
  }
  if (!marked) {
    const first = mark(issuer, bits & TICKET_MAX);
    if (first == AGAIN) return duplicate(slot);
    if (first != FIRST) return stale(slot);
  }
  return apply(base, slot, w, generation, outcome, throttledMs, nowMs);
}

/** True when recording `outcome` in the circuit `w` may set a deadline. */
// @ts-ignore: decorator
@inline function needsTime(base: usize, w: u64, generation: u64, outcome: i32): bool {
  if (outcome == THROTTLED) return true;
  if (generation != generationOf(w)) return false;
  if (stateOf(w) != CLOSED) return true;
  return outcome == FAILURE && failuresOf(w) + 1 >= load<u32>(base, FAILURE_THRESHOLD);
}

function apply(base: usize, slot: usize, w: u64, generation: u64, outcome: i32, throttledMs: f64, nowMs: f64): i32 {
  const now = wholeMs(nowMs);
  while (true) {
    if (!(nowMs >= 0) && needsTime(base, w, generation, outcome)) return MARKED_NEEDS_TIME;
    const state = stateOf(w);
    if (generation != generationOf(w) || state == OPEN || (state == HALF_OPEN && inFlightOf(w) == 0)) {
      // Another thread changed the state since the ticket was marked.
      if (outcome == THROTTLED && state != CLOSED) raiseFloor(base, openingOf(w), now + pauseMs(base, throttledMs));
      return stale(slot);
    }
    let next = w;
    let reason: u32 = 0;
    let detail: f64 = 0;
    if (outcome == FAILURE) {
      const failed = w + (failuresOf(w) < FAILURES_MAX ? FAILURES_ONE : 0);
      if (state == HALF_OPEN) {
        // Only a probe by cooldown that fails makes the next one wait longer; one by attempt leaves the deadline alone.
        const longer = wayOf(w) == BY_COOLDOWN && levelOf(w) < LEVEL_MAX ? levelOf(w) + 1 : levelOf(w);
        next = begin(failed, OPEN, wayOf(w), longer);
        reason = PROBE_FAILED;
      } else if (failuresOf(failed) >= load<u32>(base, FAILURE_THRESHOLD)) {
        next = begin(failed, OPEN, BY_COOLDOWN, 0);
        reason = FAILED_OFTEN;
        detail = <f64>failuresOf(failed);
      } else next = failed;
    } else if (outcome == THROTTLED) {
      const pause = pauseMs(base, throttledMs);
      next = begin(w, OPEN, state == CLOSED ? BY_THROTTLE : BY_ATTEMPT, levelOf(w));
      raiseFloor(base, openingOf(next), now + pause);
      reason = PAUSE_ASKED;
      detail = <f64>pause;
    } else if (state == HALF_OPEN) {
      next = w - IN_FLIGHT_ONE;
      if (outcome == SUCCESS) {
        next += OK_ONE;
        if (okOf(w) + 1 >= load<u32>(base, SUCCESS_THRESHOLD)) {
          next = begin(w, CLOSED, BY_ATTEMPT, 0);
          reason = PROBE_SUCCEEDED;
          detail = <f64>(okOf(w) + 1);
        }
      }
    } else if (outcome == SUCCESS) next = w & ~FAILURES_MASK;

    const seen = next == w ? w : swing(base, w, next);
    if (seen != w) {
      w = seen;
      continue;
    }
    count(slot, SUCCESS_COUNT + outcome);
    if (generationOf(next) == generation) {
      if (state == HALF_OPEN) renewLease(base, w, now); // the episode has reported
      return APPLIED;
    }
    if (stateOf(next) == OPEN) probeDeadline(base, next, now);
    store<i32>(slot, 0, TOLD);
    tell(slot, w, next, reason, detail);
    return APPLIED | TOLD_FLAG;
  }
  return STALE; // never reached: the loop ends by returning
}

function duplicate(slot: usize): i32 {
  count(slot, DUPLICATE_COUNT);
  return DUPLICATE;
}

function stale(slot: usize): i32 {
  count(slot, STALE_COUNT);
  return STALE;
}

/** The pause that a backend asked for, as far as we follow it. Anything but a number of milliseconds is no pause. */
function pauseMs(base: usize, throttledMs: f64): u64 {
  if (!(throttledMs > 0)) return 0;
  return <u64>ceil<f64>(min<f64>(throttledMs, load<f64>(base, THROTTLE_MAX_MS)));
}

/** This call's number among those that asked since the circuit opened, from 0; -1 when they are not counted. */
function countAttempt(base: usize, w: u64): i64 {
  if (load<u32>(base, PROBE_EVERY_NTH) == 0) return -1;
  let a = atomic.load<u64>(base, ATTEMPTS);
  while (!isLater(ownerOf(a), openingOf(w), OPENING_MAX)) {
    const attempt: u64 = ownerOf(a) == openingOf(w) ? msOf(a) : 0;
    const seen = atomic.cmpxchg<u64>(base, a, deadlineWord(openingOf(w), attempt + 1), ATTEMPTS);
    if (seen == a) return <i64>attempt;
    a = seen;
  }
  return -1; // `w` is of an opening that is over: this call is refused as it would have been then
}

/** The word of the next generation: `w` in another state, with nothing in flight. From closed it begins an opening. */
function begin(w: u64, state: u64, way: u64, level: u64): u64 {
  let opening = openingOf(w);
  if (stateOf(w) == CLOSED) opening = (opening + 1) & OPENING_MAX;
  let next = w & ~(STATE_MASK | IN_FLIGHT_MASK | OK_MASK | GENERATION_MASK | WAY_MASK | LEVEL_MASK | OPENING_MASK);
  if (state == CLOSED) next &= ~FAILURES_MASK;
  return next | state | (((generationOf(w) + 1) & GENERATION_MAX) << GENERATION_SHIFT) | (way << WAY_SHIFT) |
    (level << LEVEL_SHIFT) | (opening << OPENING_SHIFT);
}

/** The one door: W changes here or nowhere. Answers what W was, which is `w` exactly when it changed. */
// @ts-ignore: decorator
@inline function swing(base: usize, w: u64, next: u64): u64 {
  return atomic.cmpxchg<u64>(base, w, next, WORD);
}

/** Leaves word of a change of state for the caller to tell its listeners, and counts it. */
function tell(slot: usize, from: u64, to: u64, reason: u32, detail: f64): void {
  const index = load<i32>(slot, TOLD);
  assert(index < 2); // one call changes the state at most twice: a void lease, then a probe in its place
  const place = slot + TOLD_FIRST + (<usize>index << 4);
  store<f64>(place, <f64>(<u32>generationOf(to) << 8 | <u32>stateOf(from) << 6 | <u32>stateOf(to) << 4 | reason));
  store<f64>(place, detail, 8);
  store<i32>(slot, index + 1, TOLD);
  count(slot, stateOf(to) == OPEN ? OPENED_COUNT : stateOf(to) == CLOSED ? CLOSED_COUNT : HALF_OPENED_COUNT);
}
