// The circuit breaker: a machine of three states in one word of shared memory.
//
//            failures reach the threshold, a window says so, or the backend asks for a pause
//    CLOSED ───────────────────────────────────────────────────────────────────► OPEN ◄─┐
//      ▲                                                                          │     │ a probe fails, or
//      │ enough probes succeed                     cooldown ended, or the n-th    │     │ the lease expires
//      └──────────────────────── HALF_OPEN ◄────────────────── attempt ───────────┘     │
//                                    └──────────────────────────────────────────────────┘
//
// W is changed by compare-and-swap alone (transitions.ts). Every arrow above begins a generation, so a result carries the
// generation in which its call was let through and is stale in any other. Modes (modes.ts) may shut the circuit or keep it closed.
//
// `acquire` and `recordUsual` are what nearly all calls take. They are given no time; what needs one says so and is asked again.

import {
  ATTACHMENT_SHIFT, ATTACHMENTS_MAX, ATTEMPTS, BY_ATTEMPT, BY_COOLDOWN, BY_THROTTLE, CLOSED, count, COUNT_WINDOW,
  deadlineWord, DUPLICATE_COUNT, FAILURE_THRESHOLD, FAILURES_MASK, FAILURES_MAX, FAILURES_ONE, failuresOf, FORCED_CLOSED,
  GENERATION_FAR, GENERATION_MASK, GENERATION_MAX, GENERATION_SHIFT, generationOf, HALF_OPEN, IN_FLIGHT_ONE, inFlightOf,
  isPermit, ISSUED, LEASE_EXPIRED_COUNT, LEVEL_MAX, levelOf, METRICS_ONLY, modeOf, msOf, OK_ONE, okOf, OPEN, OPENING_MAX,
  openingOf, ownerOf, PERMIT_GENERATION_SHIFT, PROBE_CONCURRENCY, PROBE_EVERY_NTH, PROBE_LEASE_MS, REFUSED_COUNT, RULES, saw,
  settingOf, slotOf, SLOW_CALL_MS, SLOW_CALLS, STALE_COUNT, STATE_MASK, stateOf, SUCCESS_COUNT, SUCCESS_THRESHOLD, TAPE,
  THROTTLE_MAX_MS, TICKET_MAX, TIME_WINDOW, TIMED, TOLD, wayOf, whole, WINDOWS, WORD,
} from "./layout";
import { floorMs, isLater, leaseDeadline, probeDeadline, raiseFloor, renewLease, wholeMs } from "./deadlines";
import { isShut, settle } from "./modes";
import { latencyMs, start } from "./starts";
import { APPLIED_OUTCOME, PROBE, REFUSED_CALL, STALE_OUTCOME, tape } from "./tape";
import { AGAIN, FIRST, isMarked, issue, mark } from "./tickets";
import {
  ATTEMPT_DUE, COOLDOWN_ENDED, FAILED_OFTEN, LEASE_EXPIRED, PAUSE_ASKED, PROBE_FAILED, PROBE_REPLACED, PROBE_SLOW, PROBE_SUCCEEDED,
  tellNothing,
} from "./told";
import { begin, change, CHANGED, swing } from "./transitions";
import {
  countVerdict, enterCount, ENTERS_FAILED, ENTERS_SLOW, enterTime, timeVerdict, VERDICT_BAD_SHIFT, VERDICT_MASK,
  VERDICT_REASON_SHIFT,
} from "./window";

// What `acquire` answers instead of a permit.
const REFUSED: f64 = -1;
const NEEDS_TIME: f64 = -2; // ask again with the time: the circuit is not closed
const REFUSED_TOLD: f64 = -3; // refused, and the circuit changed state on the way: see `toldCount`
const NEEDS_EXACT_TIME: f64 = -4; // ask again with the time: it is the beginning of a call that is timed

// What `record` answers. TOLD_FLAG is added to APPLIED when the result changed the state.
const APPLIED: i32 = 0;
const STALE: i32 = 1;
const DUPLICATE: i32 = 2;
const NEEDS_TIME_UNMARKED: i32 = 3; // nothing was done yet: record again with the time, and so with these two, which tell …
const NEEDS_TIME_MARKED: i32 = 4; // … that the ticket is marked
const NEEDS_TIME_ENTERED: i32 = 5; // … and that the call is in the windows
const TOLD_FLAG: i32 = 8;
const NOT_USUAL: i32 = -1; // from `recordUsual`, and so is this:
const NEEDS_COARSE_TIME: i32 = -3; // record again with a time that only says into which tenth of a window the call falls
const OVERTAKEN: i32 = -2; // another thread changed W: look again

// Outcomes.
const SUCCESS: i32 = 0;
const FAILURE: i32 = 1;
const IGNORED: i32 = 2;
const THROTTLED: i32 = 3;

/** A permit for a call while the circuit is closed, which needs no time; else REFUSED, NEEDS_TIME or NEEDS_EXACT_TIME. */
export function acquire(base: usize, attachment: u32): f64 {
  if (attachment >= ATTACHMENTS_MAX) return REFUSED; // detached
  if ((load<u32>(base, RULES) & TIMED) != 0) return NEEDS_EXACT_TIME;
  const w = atomic.load<u64>(base, WORD);
  return stateOf(w) == CLOSED ? issue(slotOf(base, attachment), attachment, w) : NEEDS_TIME;
}

/** The same with the time. While the circuit is not closed this call is an attempt, and may become a probe. */
export function acquireInTime(base: usize, attachment: u32, time: f64): f64 {
  if (attachment >= ATTACHMENTS_MAX) return REFUSED; // detached
  const nowMs = wholeMs(time);
  const slot = slotOf(base, attachment);
  tellNothing(slot);
  let w = atomic.load<u64>(base, WORD);
  let attempt: i64 = -1;
  let countedIn: u64 = u64.MAX_VALUE; // the opening in which this call has its number
  let replaces = false;
  let begun: u64 = 0; // W as this call opened it
  while (true) {
    if (stateOf(w) == CLOSED) return pass(base, slot, attachment, w, nowMs, 0);
    if (isShut(modeOf(w))) {
      // Who wanted it so may have died before all was undone. A call changes the state twice at most: who has is refused.
      if (load<i32>(slot, TOLD) > 0 || !settle(base, slot, nowMs)) break;
      w = atomic.load<u64>(base, WORD);
      continue;
    }
    if (countedIn != openingOf(w)) {
      countedIn = openingOf(w);
      attempt = countAttempt(base, w);
    }

    if (stateOf(w) == HALF_OPEN) {
      if (inFlightOf(w) > 0 && load<i32>(slot, TOLD) == 0 && nowMs >= leaseDeadline(base, w, nowMs)) {
        // Whoever held the probe is gone or too late: the episode is void, and this call takes its place if it may.
        const opened = begin(w, OPEN, BY_ATTEMPT, levelOf(w));
        const seen = change(base, slot, w, opened, LEASE_EXPIRED, load<f64>(base, PROBE_LEASE_MS), 0, nowMs);
        replaces = seen == CHANGED;
        w = replaces ? opened : seen;
        if (replaces) {
          count(slot, LEASE_EXPIRED_COUNT);
          begun = w;
        }
        continue;
      }
      if (inFlightOf(w) >= settingOf(base, PROBE_CONCURRENCY) || nowMs < floorMs(base, w, nowMs)) break;
      const seen = swing(base, w, w + IN_FLIGHT_ONE);
      if (seen == w) {
        if (inFlightOf(w) == 0) renewLease(base, w, nowMs);
        return pass(base, slot, attachment, w, nowMs, 0);
      }
      w = seen;
      continue;
    }

    const cooledDown = nowMs >= probeDeadline(base, w, nowMs);
    const nth = <i64>load<f64>(base, PROBE_EVERY_NTH);
    const isDue = nth > 0 && attempt >= 0 && attempt % nth == 0;
    if (!(cooledDown || isDue || replaces) || nowMs < floorMs(base, w, nowMs)) break;
    const probing = begin(w, HALF_OPEN, cooledDown ? BY_COOLDOWN : BY_ATTEMPT, levelOf(w)) + IN_FLIGHT_ONE;
    const reason = replaces ? PROBE_REPLACED : cooledDown ? COOLDOWN_ENDED : ATTEMPT_DUE;
    const seen = change(base, slot, w, probing, reason, <f64>attempt, 0, nowMs);
    if (seen == CHANGED) return pass(base, slot, attachment, probing, nowMs, 1 + HALF_OPEN);
    w = seen;
  }

  count(slot, REFUSED_COUNT);
  tape(base, generationOf(begun != 0 ? begun : w), nowMs, REFUSED_CALL, begun != 0 ? 1 + OPEN : 0, 0, 0);
  // Where calls are only watched this one passes all the same, in a generation that is never there: its result is stale.
  if (modeOf(w) == METRICS_ONLY) {
    note(base, slot, attachment, nowMs);
    return issue(slot, attachment, w ^ GENERATION_FAR);
  }
  return load<i32>(slot, TOLD) > 0 ? REFUSED_TOLD : REFUSED;
}

/** Lets a call through. */
function pass(base: usize, slot: usize, attachment: u32, w: u64, nowMs: u64, turned: u64): f64 {
  note(base, slot, attachment, nowMs);
  if (stateOf(w) != CLOSED) tape(base, generationOf(w), nowMs, PROBE, turned, 0, 0);
  return issue(slot, attachment, w);
}

/** Notes when the next call begins, where calls are timed. */
// @ts-ignore: decorator
@inline function note(base: usize, slot: usize, attachment: u32, nowMs: u64): void {
  if ((load<u32>(base, RULES) & TIMED) != 0) start(base, attachment, load<u64>(slot, ISSUED), nowMs);
}

/** This call's number among those that asked since the circuit opened, from 0; -1 when they are not counted. */
function countAttempt(base: usize, w: u64): i64 {
  if (load<f64>(base, PROBE_EVERY_NTH) == 0) return -1;
  let a = atomic.load<u64>(base, ATTEMPTS);
  while (!isLater(ownerOf(a), openingOf(w), OPENING_MAX)) {
    const attempt: u64 = ownerOf(a) == openingOf(w) ? msOf(a) : 0;
    const seen = atomic.cmpxchg<u64>(base, a, deadlineWord(openingOf(w), attempt + 1), ATTEMPTS);
    if (seen == a) return <i64>attempt;
    a = seen;
  }
  return -1; // `w` is of an opening that is over: this call is refused as it would have been then
}

/**
 * Records the most usual of all results: a success while the circuit is closed, has no failures to forget and times no calls.
 * Answers APPLIED; NEEDS_COARSE_TIME, when a window wants to know the time; NEEDS_TIME_ENTERED; or NOT_USUAL when it did nothing
 * because `record` has to look closer.
 */
export function recordUsual(base: usize, attachment: u32, permit: f64): i32 {
  return recordSuccess(base, attachment, permit, -1);
}

/** The same with the time, by a function of its own: every call would pay for an argument that few need. */
export function recordUsualInTime(base: usize, attachment: u32, permit: f64, time: f64): i32 {
  return recordSuccess(base, attachment, permit, time);
}

// @ts-ignore: decorator
@inline function recordSuccess(base: usize, attachment: u32, permit: f64, time: f64): i32 {
  const bits = reinterpret<u64>(permit);
  const w = atomic.load<u64>(base, WORD);
  const generation = bits >> PERMIT_GENERATION_SHIFT & GENERATION_MAX;
  const closed = CLOSED | (generation << GENERATION_SHIFT);
  const rules = load<u32>(base, RULES);
  if ((w & (STATE_MASK | FAILURES_MASK | GENERATION_MASK)) != closed || (rules & ~WINDOWS) != 0) return NOT_USUAL;
  if ((rules & TIME_WINDOW) != 0 && !(time >= 0)) return NEEDS_COARSE_TIME;
  if (attachment >= ATTACHMENTS_MAX || !isPermit(bits)) return NOT_USUAL;
  const issuer = slotOf(base, <u32>(bits >> ATTACHMENT_SHIFT) & (ATTACHMENTS_MAX - 1));
  if (mark(issuer, bits & TICKET_MAX) != FIRST) return NOT_USUAL; // found again by `record`, which counts it
  const slot = slotOf(base, attachment);
  if (rules != 0) {
    const nowMs = wholeMs(time);
    enter(base, rules, generation, SUCCESS, false, nowMs);
    if (windowVerdict(base, rules, generation, nowMs) != 0) return NEEDS_TIME_ENTERED;
    if ((rules & TIME_WINDOW) != 0) return applied(slot, SUCCESS, true, nowMs);
  }
  count(slot, SUCCESS_COUNT);
  return APPLIED;
}

/**
 * Records what became of a call. `throttledMs` counts only with THROTTLED; a negative `time` is one not yet read. `progress` is how
 * far it came when it was asked before: 0 at first and after NEEDS_TIME_UNMARKED, 1 after NEEDS_TIME_MARKED, 2 after
 * NEEDS_TIME_ENTERED.
 */
export function record(
  base: usize, attachment: u32, permit: f64, outcome: i32, throttledMs: f64, time: f64, progress: i32,
): i32 {
  if (attachment >= ATTACHMENTS_MAX) return STALE; // detached
  const slot = slotOf(base, attachment);
  const bits = reinterpret<u64>(permit);
  if (!isPermit(bits)) return stale(slot);
  const generation = bits >> PERMIT_GENERATION_SHIFT & GENERATION_MAX;
  const w = atomic.load<u64>(base, WORD);
  const knowsTime = time >= 0;
  if (!knowsTime && needsTime(base, w, generation, outcome)) return NEEDS_TIME_UNMARKED + progress;

  const from = <u32>(bits >> ATTACHMENT_SHIFT) & (ATTACHMENTS_MAX - 1);
  const ticket = bits & TICKET_MAX;
  const nowMs = wholeMs(time);
  const isTimed = knowsTime && (load<u32>(base, RULES) & TIMED) != 0;
  const tookMs = isTimed ? latencyMs(base, from, ticket, nowMs) : 0;
  if (progress == 0) {
    // A result that comes too late leaves its ticket as it is.
    if (generation != generationOf(w)) {
      if (isMarked(slotOf(base, from), ticket)) return duplicate(slot);
      return late(base, slot, w, generation, outcome, throttledMs, nowMs, tookMs);
    }
    const first = mark(slotOf(base, from), ticket);
    if (first == AGAIN) return duplicate(slot);
    if (first != FIRST) return stale(slot);
  }
  return apply(base, slot, generation, outcome, tookMs, throttledMs, knowsTime, nowMs, progress);
}

/** True when recording `outcome` in the circuit `w` may take a time. */
// @ts-ignore: decorator
@inline function needsTime(base: usize, w: u64, generation: u64, outcome: i32): bool {
  const rules = load<u32>(base, RULES);
  if (outcome == THROTTLED || (rules & TAPE) != 0) return true;
  if (generation != generationOf(w)) return false;
  if (stateOf(w) != CLOSED) return true;
  if (outcome == IGNORED) return false;
  if ((rules & (TIME_WINDOW | SLOW_CALLS)) != 0) return true;
  return outcome == FAILURE && ((rules & COUNT_WINDOW) != 0 || failuresOf(w) + 1 >= settingOf(base, FAILURE_THRESHOLD));
}

/** Lets the first result of a call have its effect on the circuit as it is now. */
function apply(
  base: usize, slot: usize, generation: u64, outcome: i32, tookMs: u32, throttledMs: f64, knowsTime: bool, nowMs: u64,
  progress: i32,
): i32 {
  const slowMs = settingOf(base, SLOW_CALL_MS); // 0 when another thread has just turned it off
  const isSlow = (load<u32>(base, RULES) & SLOW_CALLS) != 0 && slowMs > 0 && <u64>tookMs >= slowMs;
  let hasEntered = progress == NEEDS_TIME_ENTERED - NEEDS_TIME_UNMARKED;
  while (true) {
    const w = atomic.load<u64>(base, WORD);
    const isAwaited = stateOf(w) == CLOSED || (stateOf(w) == HALF_OPEN && inFlightOf(w) > 0);
    if (generation != generationOf(w) || !isAwaited) return late(base, slot, w, generation, outcome, throttledMs, nowMs, tookMs);
    if (!knowsTime && needsTime(base, w, generation, outcome)) return hasEntered ? NEEDS_TIME_ENTERED : NEEDS_TIME_MARKED;
    let answer = OVERTAKEN;
    if (stateOf(w) == HALF_OPEN) answer = applyToProbes(base, slot, w, outcome, isSlow, tookMs, throttledMs, nowMs);
    else {
      if (!hasEntered && outcome <= FAILURE) enter(base, load<u32>(base, RULES), generation, outcome, isSlow, nowMs);
      hasEntered = true;
      answer = applyToClosed(base, slot, w, outcome, throttledMs, knowsTime, nowMs);
    }
    if (answer == OVERTAKEN) continue;
    if (answer != NEEDS_TIME_ENTERED) {
      const closes = stateOf(w) == HALF_OPEN && outcome == SUCCESS && !isSlow;
      const turned = (answer & TOLD_FLAG) == 0 ? 0 : 1 + (closes ? CLOSED : OPEN);
      tape(base, generation, nowMs, APPLIED_OUTCOME + outcome, turned, tookMs, wholeMs(ceil<f64>(throttledMs)));
    }
    return answer;
  }
}

/** The result of a call while the circuit is closed. */
function applyToClosed(base: usize, slot: usize, w: u64, outcome: i32, throttledMs: f64, knowsTime: bool, nowMs: u64): i32 {
  const mayOpen = modeOf(w) != FORCED_CLOSED;
  if (outcome == THROTTLED && mayOpen) {
    const pause = pauseMs(base, throttledMs);
    const opened = begin(w, OPEN, BY_THROTTLE, levelOf(w));
    raiseFloor(base, openingOf(opened), nowMs + pause);
    return turn(base, slot, outcome, w, opened, PAUSE_ASKED, <f64>pause, 0, nowMs);
  }
  let next = w;
  if (outcome == SUCCESS) next &= ~FAILURES_MASK;
  if (outcome == FAILURE && failuresOf(w) < FAILURES_MAX) next += FAILURES_ONE;
  if (outcome <= FAILURE && mayOpen) {
    const failures = failuresOf(next);
    if (outcome == FAILURE && failures >= settingOf(base, FAILURE_THRESHOLD)) {
      return turn(base, slot, outcome, w, begin(next, OPEN, BY_COOLDOWN, 0), FAILED_OFTEN, <f64>failures, 0, nowMs);
    }
    const verdict = windowVerdict(base, load<u32>(base, RULES), generationOf(w), nowMs);
    if (verdict != 0) {
      if (!knowsTime) return NEEDS_TIME_ENTERED;
      const bad = <f64>(verdict >> VERDICT_BAD_SHIFT & VERDICT_MASK);
      const calls = <f64>(verdict & VERDICT_MASK);
      return turn(base, slot, outcome, w, begin(next, OPEN, BY_COOLDOWN, 0), verdict >> VERDICT_REASON_SHIFT, bad, calls, nowMs);
    }
  }
  if (next != w && swing(base, w, next) != w) return OVERTAKEN;
  return applied(slot, outcome, knowsTime, nowMs);
}

/** The result of a probe. */
function applyToProbes(
  base: usize, slot: usize, w: u64, outcome: i32, isSlow: bool, tookMs: u32, throttledMs: f64, nowMs: u64,
): i32 {
  if (outcome == THROTTLED) {
    const pause = pauseMs(base, throttledMs);
    raiseFloor(base, openingOf(w), nowMs + pause);
    return turn(base, slot, outcome, w, begin(w, OPEN, BY_ATTEMPT, levelOf(w)), PAUSE_ASKED, <f64>pause, 0, nowMs);
  }
  if (outcome == FAILURE || (outcome == SUCCESS && isSlow)) {
    const failed = w + (outcome == FAILURE && failuresOf(w) < FAILURES_MAX ? FAILURES_ONE : 0);
    // Only a probe by cooldown that fails makes the next one wait longer; one by attempt leaves the deadline alone.
    const longer = wayOf(w) == BY_COOLDOWN && levelOf(w) < LEVEL_MAX ? levelOf(w) + 1 : levelOf(w);
    const reason = outcome == FAILURE ? PROBE_FAILED : PROBE_SLOW;
    return turn(base, slot, outcome, w, begin(failed, OPEN, wayOf(w), longer), reason, <f64>tookMs, 0, nowMs);
  }
  let next = w - IN_FLIGHT_ONE;
  if (outcome == SUCCESS) {
    const succeeded = okOf(w) + 1;
    if (succeeded >= settingOf(base, SUCCESS_THRESHOLD)) {
      return turn(base, slot, outcome, w, begin(w, CLOSED, BY_ATTEMPT, 0), PROBE_SUCCEEDED, <f64>succeeded, 0, nowMs);
    }
    next += OK_ONE;
  }
  if (swing(base, w, next) != w) return OVERTAKEN;
  renewLease(base, w, nowMs); // the episode has reported
  return applied(slot, outcome, true, nowMs);
}

/** Changes the state because of a result. */
function turn(
  base: usize, slot: usize, outcome: i32, w: u64, next: u64, reason: u64, detail: f64, second: f64, nowMs: u64,
): i32 {
  tellNothing(slot);
  if (change(base, slot, w, next, reason, detail, second, nowMs) != CHANGED) return OVERTAKEN;
  return applied(slot, outcome, true, nowMs) | TOLD_FLAG;
}

/** Counts a result that had its effect. */
function applied(slot: usize, outcome: i32, knowsTime: bool, nowMs: u64): i32 {
  count(slot, SUCCESS_COUNT + outcome);
  if (outcome == SUCCESS && knowsTime) saw(slot, <f64>nowMs);
  return APPLIED;
}

/** A result of an earlier generation: too late to say how the backend is, not too late to say when it wants to be asked again. */
function late(
  base: usize, slot: usize, w: u64, generation: u64, outcome: i32, throttledMs: f64, nowMs: u64, tookMs: u32,
): i32 {
  const wasLetThrough = generation == generationOf(w) || isLater(generationOf(w), generation, GENERATION_MAX);
  if (outcome == THROTTLED && stateOf(w) != CLOSED && wasLetThrough) {
    raiseFloor(base, openingOf(w), nowMs + pauseMs(base, throttledMs));
  }
  tape(base, generation, nowMs, STALE_OUTCOME + outcome, 0, tookMs, wholeMs(ceil<f64>(throttledMs)));
  return stale(slot);
}

function stale(slot: usize): i32 {
  count(slot, STALE_COUNT);
  return STALE;
}

function duplicate(slot: usize): i32 {
  count(slot, DUPLICATE_COUNT);
  return DUPLICATE;
}

/** The pause that a backend asked for, as far as we follow it. Anything but a number of milliseconds is no pause. */
function pauseMs(base: usize, throttledMs: f64): u64 {
  if (!(throttledMs > 0)) return 0;
  return whole(ceil<f64>(min<f64>(throttledMs, load<f64>(base, THROTTLE_MAX_MS))));
}

/** Enters a completed call into the windows that are on. */
// @ts-ignore: decorator
@inline function enter(base: usize, rules: u32, generation: u64, outcome: i32, isSlow: bool, nowMs: u64): void {
  if ((rules & WINDOWS) == 0) return;
  const call = (outcome == FAILURE ? ENTERS_FAILED : 0) | (isSlow ? ENTERS_SLOW : 0);
  if ((rules & COUNT_WINDOW) != 0) enterCount(base, generation, call);
  if ((rules & TIME_WINDOW) != 0) enterTime(base, generation, nowMs, call);
}

/** What the windows say now; 0 when none of them opens the circuit. */
// @ts-ignore: decorator
@inline function windowVerdict(base: usize, rules: u32, generation: u64, nowMs: u64): u64 {
  let verdict: u64 = 0;
  if ((rules & COUNT_WINDOW) != 0) verdict = countVerdict(base, generation);
  if (verdict == 0 && (rules & TIME_WINDOW) != 0) verdict = timeVerdict(base, generation, nowMs);
  return verdict;
}
