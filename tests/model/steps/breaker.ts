/** breaker.ts of core/assembly, step by step, and the face of core/breaker.ts that reads the clock when the core asks. */

import { floorMs, leaseDeadline, probeDeadline, raiseFloor, renewLease } from "./deadlines.ts";
import { cmpxchg, load, type Settings, type Steps, type Thread } from "./memory.ts";
import { isShut, settle } from "./modes.ts";
import { AGAIN, FIRST, isMarked, issue, mark } from "./tickets.ts";
import {
  ATTEMPT_DUE,
  begin,
  change,
  CHANGED,
  COOLDOWN_ENDED,
  FAILED_OFTEN,
  LEASE_EXPIRED,
  PAUSE_ASKED,
  PROBE_FAILED,
  PROBE_REPLACED,
  PROBE_SUCCEEDED,
  swing,
  tellNothing,
} from "./transitions.ts";
// deno-fmt-ignore
import {
  ATTEMPTS, bitsOf, BY_ATTEMPT, BY_COOLDOWN, BY_THROTTLE, CLOCK, CLOSED, deadlineWord, FAILURES_MASK, FAILURES_MAX,
  FAILURES_ONE, failuresOf, FORCED_CLOSED, GENERATION_FAR, GENERATION_MASK, GENERATION_MAX, GENERATION_SHIFT, generationOf, HALF_OPEN,
  IN_FLIGHT_ONE, inFlightOf, isLater, isPermit, LEVEL_MAX, levelOf, METRICS_ONLY, modeOf, msOf, OK_ONE, okOf, OPEN,
  OPENING_MAX, openingOf, ownerOf, permitGenerationOf, STATE_MASK, stateOf, wayOf, WORD,
} from "./words.ts";
import { countVerdict, enterCount } from "./window.ts";

export const REFUSED = -1;
export const NEEDS_TIME = -2;
export const REFUSED_TOLD = -3;

export const APPLIED = 0;
export const STALE = 1;
export const DUPLICATE = 2;
export const NEEDS_TIME_UNMARKED = 3;
export const NEEDS_TIME_MARKED = 4;
export const NEEDS_TIME_ENTERED = 5;
export const TOLD_FLAG = 8;
export const NOT_USUAL = -1;
const OVERTAKEN = -2;

export const SUCCESS = 0;
export const FAILURE = 1;
export const IGNORED = 2;
export const THROTTLED = 3;
const OUTCOMES = ["success", "failure", "ignored", "throttled"] as const;

const NOT_READ = -1n;

/** `CircuitBreaker.acquire`. */
export function* acquire(thread: Thread): Steps<number> {
  const permit = yield* acquireAtOnce(thread);
  return permit === NEEDS_TIME ? yield* acquireInTime(thread, yield* load(CLOCK)) : permit;
}

/** `CircuitBreaker.record`. */
export function* record(thread: Thread, permit: number, outcome: number, throttledMs: number): Steps<number> {
  let progress = 0;
  if (outcome === SUCCESS) {
    const answer = yield* recordUsual(thread, permit);
    if (answer === APPLIED) return APPLIED;
    if (answer !== NOT_USUAL) progress = answer - NEEDS_TIME_UNMARKED;
  }
  const time = progress > 0 ? yield* load(CLOCK) : NOT_READ;
  const answer = yield* recordInTime(thread, permit, outcome, throttledMs, time, progress);
  if ((answer & ~TOLD_FLAG) < NEEDS_TIME_UNMARKED) return answer;
  return yield* recordInTime(thread, permit, outcome, throttledMs, yield* load(CLOCK), answer - NEEDS_TIME_UNMARKED);
}

function* acquireAtOnce(thread: Thread): Steps<number> {
  const w = yield* load(WORD);
  return stateOf(w) === CLOSED ? issue(thread, w) : NEEDS_TIME;
}

function* acquireInTime(thread: Thread, nowMs: bigint): Steps<number> {
  const { settings } = thread;
  tellNothing(thread);
  let w = yield* load(WORD);
  let attempt = -1n;
  let countedIn = -1n; // the opening in which this call has its number
  let replaces = false;
  while (true) {
    if (stateOf(w) === CLOSED) return issue(thread, w);
    if (isShut(modeOf(w))) {
      if (thread.told.length > 0 || !(yield* settle(thread, nowMs))) break;
      w = yield* load(WORD);
      continue;
    }
    if (countedIn !== openingOf(w)) {
      countedIn = openingOf(w);
      attempt = yield* countAttempt(settings, w);
    }

    if (stateOf(w) === HALF_OPEN) {
      const mayReplace = inFlightOf(w) > 0n && thread.told.length === 0;
      if (mayReplace && nowMs >= (yield* leaseDeadline(settings, w, nowMs))) {
        const opened = begin(w, OPEN, BY_ATTEMPT, levelOf(w));
        const seen = yield* change(thread, w, opened, LEASE_EXPIRED, settings.probeLeaseMs, 0, nowMs);
        if (seen === CHANGED) thread.counts.leaseExpired++;
        replaces = seen === CHANGED;
        w = seen === CHANGED ? opened : seen;
        continue;
      }
      if (inFlightOf(w) >= settings.probeConcurrency || nowMs < (yield* floorMs(settings, w, nowMs))) break;
      const seen = yield* swing(w, w + IN_FLIGHT_ONE);
      if (seen === w) {
        if (inFlightOf(w) === 0n) yield* renewLease(settings, w, nowMs);
        return issue(thread, w);
      }
      w = seen;
      continue;
    }

    const cooledDown = nowMs >= (yield* probeDeadline(settings, w, nowMs));
    const nth = BigInt(settings.probeEveryNth);
    const isDue = nth > 0n && attempt >= 0n && attempt % nth === 0n;
    if (!(cooledDown || isDue || replaces) || nowMs < (yield* floorMs(settings, w, nowMs))) break;
    const probing = begin(w, HALF_OPEN, cooledDown ? BY_COOLDOWN : BY_ATTEMPT, levelOf(w)) + IN_FLIGHT_ONE;
    const reason = replaces ? PROBE_REPLACED : cooledDown ? COOLDOWN_ENDED : ATTEMPT_DUE;
    const seen = yield* change(thread, w, probing, reason, Number(attempt), 0, nowMs);
    if (seen === CHANGED) return issue(thread, probing);
    w = seen;
  }

  thread.counts.refused++;
  if (modeOf(w) === METRICS_ONLY) return issue(thread, w ^ GENERATION_FAR);
  return thread.told.length > 0 ? REFUSED_TOLD : REFUSED;
}

function* countAttempt(settings: Settings, w: bigint): Steps<bigint> {
  if (settings.probeEveryNth === 0) return -1n;
  let a = yield* load(ATTEMPTS);
  while (!isLater(ownerOf(a), openingOf(w), OPENING_MAX)) {
    const attempt = ownerOf(a) === openingOf(w) ? msOf(a) : 0n;
    const seen = yield* cmpxchg(ATTEMPTS, a, deadlineWord(openingOf(w), attempt + 1n));
    if (seen === a) return attempt;
    a = seen;
  }
  return -1n;
}

function* recordUsual(thread: Thread, permit: number): Steps<number> {
  const bits = bitsOf(permit);
  const w = yield* load(WORD);
  const generation = permitGenerationOf(bits);
  const closed = CLOSED | (generation << GENERATION_SHIFT);
  if ((w & (STATE_MASK | FAILURES_MASK | GENERATION_MASK)) !== closed) return NOT_USUAL;
  if (!isPermit(bits)) return NOT_USUAL;
  if ((yield* mark(thread, bits)) !== FIRST) return NOT_USUAL;
  if (thread.settings.countWindowSize > 0) {
    yield* enterCount(generation, false);
    if ((yield* countVerdict(thread.settings, generation)) !== undefined) return NEEDS_TIME_ENTERED;
  }
  thread.counts.success++;
  return APPLIED;
}

// deno-fmt-ignore
function* recordInTime(
  thread: Thread, permit: number, outcome: number, throttledMs: number, time: bigint, progress: number,
): Steps<number> {
  const bits = bitsOf(permit);
  if (!isPermit(bits)) return stale(thread);
  const generation = permitGenerationOf(bits);
  const w = yield* load(WORD);
  const knowsTime = time >= 0n;
  if (!knowsTime && needsTime(thread.settings, w, generation, outcome)) return NEEDS_TIME_UNMARKED + progress;

  const nowMs = knowsTime ? time : 0n;
  if (progress === 0) {
    if (generation !== generationOf(w)) {
      if (yield* isMarked(thread, bits)) return duplicate(thread);
      return yield* late(thread, w, generation, outcome, throttledMs, nowMs);
    }
    const first = yield* mark(thread, bits);
    if (first === AGAIN) return duplicate(thread);
    if (first !== FIRST) return stale(thread);
  }
  return yield* apply(thread, generation, outcome, throttledMs, knowsTime, nowMs, progress);
}

function needsTime(settings: Settings, w: bigint, generation: bigint, outcome: number): boolean {
  if (outcome === THROTTLED) return true;
  if (generation !== generationOf(w)) return false;
  if (stateOf(w) !== CLOSED) return true;
  if (outcome === IGNORED || outcome === SUCCESS) return false;
  return settings.countWindowSize > 0 || failuresOf(w) + 1n >= settings.failureThreshold;
}

// deno-fmt-ignore
function* apply(
  thread: Thread, generation: bigint, outcome: number, throttledMs: number, knowsTime: boolean, nowMs: bigint,
  progress: number,
): Steps<number> {
  const { settings } = thread;
  let hasEntered = progress === NEEDS_TIME_ENTERED - NEEDS_TIME_UNMARKED;
  while (true) {
    const w = yield* load(WORD);
    const isAwaited = stateOf(w) === CLOSED || (stateOf(w) === HALF_OPEN && inFlightOf(w) > 0n);
    if (generation !== generationOf(w) || !isAwaited) return yield* late(thread, w, generation, outcome, throttledMs, nowMs);
    if (!knowsTime && needsTime(settings, w, generation, outcome)) {
      return hasEntered ? NEEDS_TIME_ENTERED : NEEDS_TIME_MARKED;
    }
    let answer: number;
    if (stateOf(w) === HALF_OPEN) answer = yield* applyToProbes(thread, w, outcome, throttledMs, nowMs);
    else {
      if (!hasEntered && outcome <= FAILURE && settings.countWindowSize > 0) {
        yield* enterCount(generation, outcome === FAILURE);
      }
      hasEntered = true;
      answer = yield* applyToClosed(thread, w, outcome, throttledMs, knowsTime, nowMs);
    }
    if (answer !== OVERTAKEN) return answer;
  }
}

// deno-fmt-ignore
function* applyToClosed(
  thread: Thread, w: bigint, outcome: number, throttledMs: number, knowsTime: boolean, nowMs: bigint,
): Steps<number> {
  const { settings } = thread;
  const mayOpen = modeOf(w) !== FORCED_CLOSED;
  if (outcome === THROTTLED && mayOpen) {
    const pause = pauseMs(settings, throttledMs);
    const opened = begin(w, OPEN, BY_THROTTLE, levelOf(w));
    yield* raiseFloor(openingOf(opened), nowMs + pause);
    return yield* turn(thread, outcome, w, opened, PAUSE_ASKED, Number(pause), 0, nowMs);
  }
  let next = w;
  if (outcome === SUCCESS) next &= ~FAILURES_MASK;
  if (outcome === FAILURE && failuresOf(w) < FAILURES_MAX) next += FAILURES_ONE;
  if (outcome <= FAILURE && mayOpen) {
    const failures = failuresOf(next);
    if (outcome === FAILURE && failures >= settings.failureThreshold) {
      const opened = begin(next, OPEN, BY_COOLDOWN, 0n);
      return yield* turn(thread, outcome, w, opened, FAILED_OFTEN, Number(failures), 0, nowMs);
    }
    const verdict = settings.countWindowSize > 0 ? yield* countVerdict(settings, generationOf(w)) : undefined;
    if (verdict !== undefined) {
      if (!knowsTime) return NEEDS_TIME_ENTERED;
      const { reason, bad, calls } = verdict;
      return yield* turn(thread, outcome, w, begin(next, OPEN, BY_COOLDOWN, 0n), reason, bad, calls, nowMs);
    }
  }
  if (next !== w && (yield* swing(w, next)) !== w) return OVERTAKEN;
  return applied(thread, outcome);
}

// deno-fmt-ignore
function* applyToProbes(
  thread: Thread, w: bigint, outcome: number, throttledMs: number, nowMs: bigint,
): Steps<number> {
  const { settings } = thread;
  if (outcome === THROTTLED) {
    const pause = pauseMs(settings, throttledMs);
    yield* raiseFloor(openingOf(w), nowMs + pause);
    const opened = begin(w, OPEN, BY_ATTEMPT, levelOf(w));
    return yield* turn(thread, outcome, w, opened, PAUSE_ASKED, Number(pause), 0, nowMs);
  }
  if (outcome === FAILURE) {
    const failed = w + (failuresOf(w) < FAILURES_MAX ? FAILURES_ONE : 0n);
    const longer = wayOf(w) === BY_COOLDOWN && levelOf(w) < LEVEL_MAX ? levelOf(w) + 1n : levelOf(w);
    return yield* turn(thread, outcome, w, begin(failed, OPEN, wayOf(w), longer), PROBE_FAILED, 0, 0, nowMs);
  }
  let next = w - IN_FLIGHT_ONE;
  if (outcome === SUCCESS) {
    const succeeded = okOf(w) + 1n;
    if (succeeded >= settings.successThreshold) {
      const closed = begin(w, CLOSED, BY_ATTEMPT, 0n);
      return yield* turn(thread, outcome, w, closed, PROBE_SUCCEEDED, Number(succeeded), 0, nowMs);
    }
    next += OK_ONE;
  }
  if ((yield* swing(w, next)) !== w) return OVERTAKEN;
  yield* renewLease(settings, w, nowMs);
  return applied(thread, outcome);
}

// deno-fmt-ignore
function* turn(
  thread: Thread, outcome: number, w: bigint, next: bigint, reason: number, detail: number, second: number,
  nowMs: bigint,
): Steps<number> {
  tellNothing(thread);
  if ((yield* change(thread, w, next, reason, detail, second, nowMs)) !== CHANGED) return OVERTAKEN;
  return applied(thread, outcome) | TOLD_FLAG;
}

function applied(thread: Thread, outcome: number): number {
  thread.counts[OUTCOMES[outcome]!]++;
  return APPLIED;
}

// deno-fmt-ignore
function* late(
  thread: Thread, w: bigint, generation: bigint, outcome: number, throttledMs: number, nowMs: bigint,
): Steps<number> {
  const wasLetThrough = generation === generationOf(w) || isLater(generationOf(w), generation, GENERATION_MAX);
  if (outcome === THROTTLED && stateOf(w) !== CLOSED && wasLetThrough) {
    yield* raiseFloor(openingOf(w), nowMs + pauseMs(thread.settings, throttledMs));
  }
  return stale(thread);
}

function stale(thread: Thread): number {
  thread.counts.stale++;
  return STALE;
}

function duplicate(thread: Thread): number {
  thread.counts.duplicate++;
  return DUPLICATE;
}

function pauseMs(settings: Settings, throttledMs: number): bigint {
  return throttledMs > 0 ? BigInt(Math.ceil(Math.min(throttledMs, settings.throttleMaxMs))) : 0n;
}
