import { explanationOf } from "./breaker_explanation.ts";
import { NOBODY } from "./breaker_handle.ts";
import { MODES } from "./breaker_modes.ts";
import { changed, type CheckedNumbers, type CircuitBreakerNumbers, writeNumbers } from "./breaker_options.ts";
import {
  APPLIED_OUTCOME,
  beganMsOf,
  type CheckedTape,
  checkTape,
  type CircuitTape,
  isOutcome,
  isStale,
  LATENCY_MAX_MS,
  MODE,
  PROBE,
  REFUSED_CALL,
  STALE_OUTCOME,
  type TapeEntry,
} from "./breaker_tape.ts";
import { type CircuitTransition, transitionsOf } from "./breaker_transitions.ts";
import { type CircuitState, STATES } from "./circuit.ts";
import { type Core, makePlaceApart } from "./loader.ts";
import { countUpTo, isOfBefore, type PlannedCall, planOf, type TapePlan } from "./breaker_tape_plan.ts";

/** A change of state that a replay came to. */
export interface ReplayedTransition extends Omit<CircuitTransition, "name"> {
  /** When, in milliseconds since the breaker of the tape was made. */
  readonly atMs: number;
}

/** What a replay came to. */
export interface TapeReplay {
  /** The changes of state, in their order. */
  readonly transitions: readonly ReplayedTransition[];
  /** What the circuit is doing at the end. */
  readonly state: CircuitState;
  /** The same as a sentence, as `breaker.explain()` says it. */
  readonly explanation: string;
  /** Calls that were let through. */
  readonly permitted: number;
  /** Calls that were refused; in the mode `metrics_only` those that would have been. */
  readonly refused: number;
  /** Calls that were let through though the tape knows no outcome of them: each was given that of its neighbour in time. */
  readonly assumed: number;
  /**
   * True when nothing had to be guessed: the state to begin with was known, `assumed` is 0, and, with the options of the
   * tape, each entry did what it had done before.
   */
  readonly isExact: boolean;
}

/**
 * Plays a tape to a circuit of its own. With the options of the tape that circuit changes as the one of the tape did: at
 * the same times, into the same generations, for the same reasons. With others it shows what would have been.
 *
 * A tape that has lost its beginning, or that was cut by `restore` or `reconfigure`, is played from where the circuit
 * next closed, for there it was clean. If it never did, it is played as if it had been closed, which is not exact. Nor
 * is it where threads met within nanoseconds, and came onto the tape in another order than they changed the circuit.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { CircuitBreaker, replayTape } from "@breakwater/otel/core";
 *
 * let nowMs = 0;
 * const clock = { nowMs: () => nowMs, wallMs: () => nowMs };
 * const breaker = new CircuitBreaker({ failureThreshold: 2, tapeSize: 1000, clock });
 * for (nowMs = 1; nowMs <= 3; nowMs++) breaker.record(breaker.acquire(), "failure");
 *
 * const report = JSON.stringify(breaker.tape); // into a file, and from there into a test
 * const tape = JSON.parse(report);
 * assert.deepEqual(replayTape(tape).transitions.map(({ atMs, reason }) => `${atMs} ms: ${reason}`), [
 *   "2 ms: 2 consecutive failures",
 *   "3 ms: attempt 0 may probe",
 *   "3 ms: probe failed",
 * ]);
 * assert.deepEqual(replayTape(tape, { failureThreshold: 4 }).transitions, []); // what if
 * ```
 *
 * @param tape What `breaker.tape` gave, also by way of JSON.
 * @param options What would have been other. The others stay; one that is `undefined` is its default.
 * @throws {TypeError} When it is no tape, or a part of it or an option is of the wrong type.
 * @throws {RangeError} When the tape was damaged, or an option is out of its range.
 */
export function replayTape(tape: CircuitTape, options?: CircuitBreakerNumbers): TapeReplay {
  const checked = checkTape(tape);
  const isSame = options === undefined;
  const numbers = isSame ? checked.numbers : changed("replay tape", checked.numbers, options);
  return new Replay(checked, numbers, isSame).run();
}

// What the core takes and answers; see assembly/breaker.ts.
const IGNORED = 2;
const APPLIED = 0;
const STALE = 1;
const ANSWER_MASK = 7;
const TOLD_FLAG = 8;
const PERMITTED_COUNT = 0;
const REFUSED_COUNT = 1;

// A permit; see assembly/layout.ts.
const PERMIT_ONE = 2 ** 52;
const PERMIT_GENERATION_ONE = 2 ** 32;
const TICKET_MAX = 0xff_ffff;

/** So many of its last calls an attachment tells apart. */
const CALLS_OF_AN_ATTACHMENT = 1024;

/** The attachment that records. */
const RECORDER = 0;

/** How an assumed call ends. */
interface Ending {
  readonly atMs: number;
  readonly permit: number;
  readonly outcome: number;
  readonly throttledMs: number;
}

/** A circuit that a tape is played to. */
class Replay {
  readonly #name: string;
  readonly #plan: TapePlan;
  /** True when what happens is to be what happened before. */
  readonly #isSame: boolean;
  readonly #core: Core;
  readonly #base: number;
  readonly #transitions: ReplayedTransition[] = [];
  /** What the calls that are out were given, by the place of their outcome. */
  readonly #permits = new Map<number, number>();
  /** How assumed calls that are out end, the next one last. */
  readonly #endings: Ending[] = [];
  /** The outcomes that are known, by the beginning of their calls. Made when one is needed. */
  #known: readonly TapeEntry[] | undefined;
  #callCount = 0;
  #assumed = 0;
  #isExact: boolean;

  constructor(tape: CheckedTape, numbers: CheckedNumbers, isSame: boolean) {
    this.#name = tape.name;
    this.#plan = planOf(tape);
    this.#isSame = isSame;
    const { entries, generation, mode, isKnown } = this.#plan;
    this.#isExact = isKnown && entries.every(({ latencyMs }) => latencyMs < LATENCY_MAX_MS);
    ({ core: this.#core, base: this.#base } = makePlaceApart());
    writeNumbers(this.#core, this.#base, { ...numbers, seed: tape.seed });
    // All other modes begin a generation.
    const isBegunIn = mode === "auto" || mode === "metrics_only";
    this.#core.init(this.#base, 0, isBegunIn ? generation : generation - 1);
    for (let calls = 0; calls <= entries.length; calls += CALLS_OF_AN_ATTACHMENT) this.#core.claim(this.#base, NOBODY);
    if (mode !== "auto") this.#core.setMode(this.#base, RECORDER, MODES.indexOf(mode), entries[0]?.atMs ?? 0);
  }

  run(): TapeReplay {
    for (const [index, entry] of this.#plan.entries.entries()) {
      for (const call of this.#plan.beginnings.get(index) ?? []) this.#begin(call);
      this.#play(index, entry);
    }
    const endMs = this.#plan.entries.at(-1)?.atMs ?? 0;
    this.#endCalls(endMs);
    return {
      transitions: this.#transitions,
      state: STATES[this.#core.state(this.#base)]!,
      explanation: explanationOf(this.#core, this.#base, this.#name, endMs),
      permitted: this.#core.counter(this.#base, PERMITTED_COUNT),
      refused: this.#core.counter(this.#base, REFUSED_COUNT),
      assumed: this.#assumed,
      isExact: this.#isExact && this.#assumed === 0,
    };
  }

  /** A call whose beginning is not on the tape: it was let through, and changed nothing. */
  #begin({ beganMs, outcome }: PlannedCall): void {
    const before = this.#core.generation(this.#base);
    const permit = this.#acquire(beganMs);
    this.#permits.set(outcome, permit);
    this.#compare(this.#isThrough(permit) && this.#core.generation(this.#base) === before);
  }

  /** Does what an entry says. */
  #play(index: number, entry: TapeEntry): void {
    this.#endCalls(entry.atMs);
    const before = this.#core.generation(this.#base);
    const answer = entry.what === MODE
      ? this.#setMode(entry)
      : isOutcome(entry)
      ? this.#end(index, entry)
      : this.#ask(index, entry);
    const after = this.#core.generation(this.#base);
    const turned = after === before ? 0 : 1 + this.#core.state(this.#base);
    const generation = isStale(entry) ? entry.generation : isOfBefore(entry) ? before : after;
    this.#compare(answer && turned === entry.turned && generation === entry.generation);
  }

  #compare(isAsBefore: boolean): void {
    if (this.#isSame && !isAsBefore) this.#isExact = false;
  }

  // These three answer whether it went as it did before.

  #setMode({ throttledMs: mode, atMs }: TapeEntry): boolean {
    this.#core.setMode(this.#base, RECORDER, mode, atMs);
    this.#tell(RECORDER, atMs);
    return true;
  }

  #end(index: number, entry: TapeEntry): boolean {
    const { atMs, generation, throttledMs } = entry;
    // What was let through before the beginning has a permit of then, with a ticket that nobody was given since.
    const permit = this.#permits.get(index) ?? PERMIT_ONE + generation * PERMIT_GENERATION_ONE + TICKET_MAX;
    this.#permits.delete(index);
    if (permit < 0) return false; // refused, where it had been let through
    const answer = this.#record({ permit, outcome: outcomeOf(entry), throttledMs, atMs });
    return answer === (isStale(entry) ? STALE : APPLIED);
  }

  #ask(index: number, { what, atMs }: TapeEntry): boolean {
    const permit = this.#acquire(atMs);
    const isThrough = this.#isThrough(permit);
    const outcome = this.#plan.outcomes.get(index);
    if (outcome !== undefined) this.#permits.set(outcome, permit);
    else if (isThrough && what === REFUSED_CALL) this.#assume(permit, atMs);
    return isThrough === (what === PROBE);
  }

  /** Lets a call that the tape only knows as refused end as the one does that began nearest to it. */
  #assume(permit: number, atMs: number): void {
    this.#assumed++;
    this.#known ??= this.#plan.entries.filter(isOutcome).sort((a, b) => beganMsOf(a) - beganMsOf(b));
    const entry = nearest(this.#known, atMs);
    const [outcome, tookMs] = entry === undefined ? [IGNORED, 0] : [outcomeOf(entry), entry.latencyMs];
    const ending = { permit, outcome, throttledMs: entry?.throttledMs ?? 0, atMs: atMs + tookMs };
    // Behind what ends later, before what ends at the same time.
    const place = countUpTo(-ending.atMs - 1, this.#endings, (other) => -other.atMs);
    this.#endings.splice(place, 0, ending);
  }

  /** Ends the assumed calls whose time has come. */
  #endCalls(nowMs: number): void {
    while (this.#endings.length > 0 && this.#endings.at(-1)!.atMs <= nowMs) this.#record(this.#endings.pop()!);
  }

  #acquire(atMs: number): number {
    this.#endCalls(atMs);
    const attachment = Math.floor(this.#callCount++ / CALLS_OF_AN_ATTACHMENT);
    const permit = this.#core.acquireInTime(this.#base, attachment, atMs);
    this.#tell(attachment, atMs);
    return permit;
  }

  /** False when it is a refusal, or, with metrics only, the permit of a call that would have been refused. */
  #isThrough(permit: number): boolean {
    return Math.floor((permit - PERMIT_ONE) / PERMIT_GENERATION_ONE) === this.#core.generation(this.#base);
  }

  #record({ permit, outcome, throttledMs, atMs }: Ending): number {
    const answer = this.#core.record(this.#base, RECORDER, permit, outcome, throttledMs, atMs, 0);
    if ((answer & TOLD_FLAG) !== 0) this.#tell(RECORDER, atMs);
    return answer & ANSWER_MASK;
  }

  #tell(attachment: number, atMs: number): void {
    const count = this.#core.toldCount(this.#base, attachment);
    for (const transition of transitionsOf(this.#core, this.#base, attachment, count, this.#name)) {
      const { name: _, ...rest } = transition;
      this.#transitions.push({ atMs, ...rest });
    }
  }
}

/** An outcome by its number in the core. */
function outcomeOf(entry: TapeEntry): number {
  return entry.what - (isStale(entry) ? STALE_OUTCOME : APPLIED_OUTCOME);
}

/** The outcome of the call that began nearest to a time; of two of the earlier. */
function nearest(outcomes: readonly TapeEntry[], atMs: number): TapeEntry | undefined {
  const place = countUpTo(atMs, outcomes, beganMsOf);
  const [earlier, later] = [outcomes[place - 1], outcomes[place]];
  if (earlier === undefined || later === undefined) return earlier ?? later;
  return atMs - beganMsOf(earlier) <= beganMsOf(later) - atMs ? earlier : later;
}
