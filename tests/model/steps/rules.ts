/** What must hold of the lock-free core whoever goes when: the rules that an explorer asks after each step. */

import { APPLIED, DUPLICATE, FAILURE, IGNORED, REFUSED_TOLD, STALE, SUCCESS, THROTTLED, TOLD_FLAG } from "./breaker.ts";
import type { Settings } from "./memory.ts";
import { countOf } from "./window.ts";
import { isShut } from "./modes.ts";
import { type Position, type Recording, TRAPPED } from "./positions.ts";
import * as words from "./words.ts";
import {
  ATTEMPTS,
  CLOSED,
  COUNT_BAD,
  DEADLINE,
  failuresOf,
  FLOOR,
  FORCED_CLOSED,
  generationOf,
  HALF_OPEN,
  HEAD,
  inFlightOf,
  isLater,
  LEASE,
  modeOf,
  MODES,
  msOf,
  okOf,
  OPEN,
  openingOf,
  ownerOf,
  PAGES,
  slotOf,
  stateOf,
  TICKETS,
  WORD,
} from "./words.ts";

/** What an explorer found that must not be. */
export class Violation extends Error {}

/** The arrows of the machine: from, to. */
const ARROWS = new Set(["0>2", "2>1", "1>2", "1>0"]);

/** True for the permit of a call that was let through by its mode alone. No exploration lives through so many generations. */
export function isOnlyWatched(permit: number): boolean {
  return permit >= 0 &&
    (words.permitGenerationOf(words.bitsOf(permit)) << words.GENERATION_SHIFT) >= words.GENERATION_FAR;
}

/** The bits of a page's calls. */
const CALLS = (1n << 28n) - 1n;

/** What the rules about one write may ask of the rest. */
export interface Surroundings {
  /** A shared word as it is before the write. */
  read(address: number): bigint;
  /** FLOOR, as it was when the generation began. */
  readonly floorAtStart: bigint;
  /** From when on the lease of the episode surely counts: generation and time, like a word of deadlines. */
  readonly leasedFrom: bigint;
}

/** The thread that stands at `position` changes the word at `address`. */
export function checkWrite(
  settings: Settings,
  position: Position,
  address: number,
  from: bigint,
  to: bigint,
  around: Surroundings,
): void {
  if (address === WORD) return checkSwing(settings, position, from, to, around);
  const w = around.read(WORD);
  if (address === DEADLINE || address === LEASE) {
    const mask = words.GENERATION_MAX;
    must(!isLater(ownerOf(from), ownerOf(to), mask), "a deadline is never replaced by one of an older generation");
    must(!isLater(ownerOf(to), generationOf(w), mask), "no deadline is of a generation to come");
    if (address === DEADLINE && ownerOf(from) === ownerOf(to)) must(msOf(to) < msOf(from), "a deadline is set once");
  } else if (address === FLOOR) {
    must(
      !isLater(ownerOf(from), ownerOf(to), words.OPENING_MAX),
      "a floor is never replaced by one of an older opening",
    );
    const isToCome = isLater(ownerOf(to), (openingOf(w) + 1n) & words.OPENING_MAX, words.OPENING_MAX);
    must(!isToCome, "no floor is of an opening after the next one");
  } else if (address === ATTEMPTS) {
    const isNext = ownerOf(from) === ownerOf(to) ? msOf(to) === msOf(from) + 1n : msOf(to) <= 1n;
    must(isNext, "no attempt is counted twice, and none is lost");
  } else if (address === HEAD) {
    const before = ownerOf(from) === ownerOf(to) ? msOf(from) : -1n;
    must(
      !isLater(ownerOf(from), ownerOf(to), words.GENERATION_MAX),
      "a window's head never goes back to an older generation",
    );
    must(msOf(to) === before + 1n, "pages are filled one after another");
  } else if (address === COUNT_BAD) {
    must(!isLater(ownerOf(from), ownerOf(to), words.GENERATION_MAX), "what failed last is not of an older generation");
    must(ownerOf(from) !== ownerOf(to) || msOf(to) > msOf(from), "what failed last is no earlier call");
  } else if (address === MODES) {
    must(position.call.does !== "setMode" || from >> 8n === to >> 8n, "who sets a mode leaves the holds as they are");
  } else if (address === PAGES || address === PAGES + 8) {
    must(!isLater(ownerOf(from), ownerOf(to), words.GENERATION_MAX), "no page is turned back to an older generation");
    const [before, after] = [from >> 32n === to >> 32n ? from : (to >> 32n) << 32n, to];
    must(
      countOf(after) === countOf(before) + 1n && (after & before & CALLS) === (before & CALLS),
      "a call enters once",
    );
  } else if (address === slotOf(0) + TICKETS || address === slotOf(1) + TICKETS) {
    const added = to & ~from & 0xffff_ffffn;
    must(from >> 32n === to >> 32n && (to & from) === from, "a page of tickets only gains marks");
    must(added !== 0n && (added & (added - 1n)) === 0n, "a ticket is marked once");
  }
}

function checkSwing(settings: Settings, position: Position, from: bigint, to: bigint, around: Surroundings): void {
  const { call, nowMs } = position;
  const changes = generationOf(from) !== generationOf(to);
  const opens = changes && stateOf(from) === CLOSED;
  must(openingOf(to) === ((openingOf(from) + (opens ? 1n : 0n)) & words.OPENING_MAX), "an opening begins at closed");
  if (changes) {
    must(generationOf(to) === ((generationOf(from) + 1n) & words.GENERATION_MAX), "generations follow each other");
    must(inFlightOf(to) === (stateOf(to) === HALF_OPEN ? 1n : 0n), "a generation begins with nothing in flight");
    must(okOf(to) === 0n || isShut(modeOf(to)), "a generation begins clean");
  } else must(stateOf(from) === stateOf(to), "a change of state begins a generation");

  if (modeOf(from) !== modeOf(to)) {
    must(
      call.does !== "record" && (!isShut(modeOf(to)) || stateOf(to) === OPEN),
      "a mode that shuts the circuit opens it",
    );
    return must(stateOf(to) !== HALF_OPEN || !changes, "no mode half-opens a circuit");
  }
  must(!isShut(modeOf(from)), "what is shut stays shut");
  const arrow = `${stateOf(from)}>${stateOf(to)}`;
  if (changes) must(ARROWS.has(arrow), `there is no arrow ${arrow}`);
  if (call.does === "acquire") checkProbe(settings, position, from, to, around);
  else if (call.does === "record") checkResult(settings, call, nowMs, from, to, around);
  else must(false, "who changes the mode changes nothing else");
}

/** The rules for a question that changes W. */
function checkProbe(settings: Settings, position: Position, from: bigint, to: bigint, around: Surroundings): void {
  const { nowMs } = position;
  const arrow = `${stateOf(from)}>${stateOf(to)}`;
  must(stateOf(from) !== CLOSED, "a closed circuit is not changed by asking");
  if (arrow === "1>2") {
    must(inFlightOf(from) > 0n, "only an episode with a probe in flight is void");
    const leased = ownerOf(around.leasedFrom) === generationOf(from) ? msOf(around.leasedFrom) : 0n;
    return must(nowMs >= leased + BigInt(settings.probeLeaseMs) || leased === 0n, "no lease ends early");
  }
  must(inFlightOf(to) <= settings.probeConcurrency, "no more probes in flight than may be");
  if (ownerOf(around.floorAtStart) === openingOf(to)) {
    must(nowMs >= msOf(around.floorAtStart), "no probe passes while the backend wants a pause");
  }
  if (arrow === "1>1") return must(inFlightOf(to) === inFlightOf(from) + 1n, "one more is in flight");
  const deadline = around.read(DEADLINE);
  const cooledDown = ownerOf(deadline) === generationOf(from) && nowMs >= msOf(deadline);
  const isDue = position.attempt >= 0n && position.attempt % BigInt(settings.probeEveryNth) === 0n;
  const replaces = position.swings.length > 0;
  must(
    cooledDown || isDue || replaces,
    "it half-opens when its cooldown ended, an attempt is due, or for a lost probe",
  );
}

/** The rules for a result that changes W. */
function checkResult(
  settings: Settings,
  { permit, outcome, throttledMs }: Recording,
  nowMs: bigint,
  from: bigint,
  to: bigint,
  around: Surroundings,
): void {
  const arrow = `${stateOf(from)}>${stateOf(to)}`;
  const opens = arrow === "0>2";
  const failures = failuresOf(from) + 1n;
  must(
    words.permitGenerationOf(words.bitsOf(permit)) === generationOf(from),
    "no result of another generation changes W",
  );
  must(stateOf(from) !== OPEN, "no result changes an open circuit");
  if (stateOf(from) === HALF_OPEN) must(inFlightOf(from) > 0n, "only a probe in flight reports");
  if (arrow === "1>1") must(inFlightOf(to) === inFlightOf(from) - 1n, "one less is in flight");
  if (opens && outcome !== THROTTLED) {
    const counts = outcome === FAILURE && failures >= settings.failureThreshold;
    must(counts || settings.countWindowSize > 0, "it opens at the threshold, or when a window says so");
  }
  if (outcome === FAILURE) {
    if (stateOf(from) === HALF_OPEN) must(arrow === "1>2", "a failed probe opens the circuit");
    else {must(
        opens || failures < settings.failureThreshold || modeOf(from) === FORCED_CLOSED,
        "it opens at the threshold",
      );}
    must(failuresOf(to) === failures, "a failure is counted once");
  } else if (outcome === THROTTLED) {
    must(stateOf(to) === OPEN, "a pause opens the circuit");
    const floor = around.read(FLOOR);
    const stands = ownerOf(floor) === openingOf(to) && msOf(floor) >= nowMs + BigInt(throttledMs);
    must(stands, "the pause that opens a circuit is known before it is open");
  } else if (outcome === SUCCESS) {
    if (stateOf(from) === CLOSED) must(failuresOf(to) === 0n, "a success forgets the failures");
    else must((arrow === "1>0") === okOf(from) + 1n >= settings.successThreshold, "it closes after so many successes");
  } else must(outcome === IGNORED && arrow === "1>1", "an ignored result only lands a probe");
}

/** The call ends at `position`: its counts must be those of its answer and of the changes that it brought about. */
export function checkEnd({ call, stop, swings }: Position): void {
  must(stop.answer !== TRAPPED, "the module never traps");
  const answer = stop.answer!;
  const counted = { ...stop.counts, issued: stop.counts.issued - call.issued[call.by]! };
  const arrows = swings.filter(([from, to]) => stateOf(from) !== stateOf(to))
    .map(([from, to]) => ({ from: stateOf(from), to: stateOf(to) }));
  const arrowsTo = (state: bigint) => arrows.filter(({ to }) => to === state).length;
  must(counted.opened === arrowsTo(OPEN), "who opens the circuit counts it");
  must(counted.halfOpened === arrowsTo(HALF_OPEN), "who half-opens the circuit counts it");
  must(counted.closed === arrowsTo(CLOSED), "who closes the circuit counts it");
  if (arrows.length > 0) must(stop.told.length === Math.min(arrows.length, 2), "who changes the state tells it");
  if (call.does === "acquire" || call.does === "record") {
    must(arrows.length <= 2, "a call changes the state twice at most");
  }
  if (call.does !== "acquire" && call.does !== "record") return;

  const { issued, refused, success, failure, ignored, throttled, stale, duplicate, leaseExpired } = counted;
  if (call.does === "acquire") {
    const permitted = answer >= 0;
    const isWatched = permitted && isOnlyWatched(answer);
    must(issued === (permitted ? 1 : 0), "who is let through has a permit");
    must(refused === (permitted && !isWatched ? 0 : 1), "each question is let through or refused");
    must(success + failure + ignored + throttled + stale + duplicate === 0, "a question counts as no result");
    must(leaseExpired === arrows.filter(({ from }) => from === HALF_OPEN).length, "a lost probe is counted");
    if (!permitted) must((answer === REFUSED_TOLD) === (arrows.length > 0), "a refusal says that there is news");
    return;
  }
  const outcomes = [success, failure, ignored, throttled];
  const recorded = answer & ~TOLD_FLAG;
  must(issued + refused + leaseExpired === 0, "a result counts as no question");
  must(outcomes[call.outcome] === (recorded === APPLIED ? 1 : 0), "a result counts once if it applies");
  must(outcomes.reduce((sum, n) => sum + n) + stale + duplicate === 1, "a result is one thing");
  must(
    stale === (recorded === STALE ? 1 : 0) && duplicate === (recorded === DUPLICATE ? 1 : 0),
    "its answer is its count",
  );
  must(((answer & TOLD_FLAG) !== 0) === (arrows.length > 0), "a result says that there is news");
  if (recorded !== APPLIED) must(swings.length === 0, "what did not apply changed nothing");
}

export function must(holds: boolean, rule: string): void {
  if (!holds) throw new Violation(rule);
}
