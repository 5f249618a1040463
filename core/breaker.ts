import { type CircuitCounters, countersOf } from "./breaker_counters.ts";
import { explanationOf } from "./breaker_explanation.ts";
import { type CircuitBreakerHandle, handleOf, Joining, joiningBy, type LentHandle, NOBODY } from "./breaker_handle.ts";
import { checkMode, CircuitHold, type CircuitMode, MODES } from "./breaker_modes.ts";
import {
  changed,
  checkOptions,
  type CircuitBreakerNumbers,
  type CircuitBreakerOptions,
  inForce,
  readNumbers,
  writeNumbers,
} from "./breaker_options.ts";
import { type OutcomePredicates, Runner, type RunOptions } from "./breaker_run.ts";
import { bytesOf, checkSnapshot, type CircuitSnapshot, restoreFrom, snapshotOf } from "./breaker_snapshot.ts";
import { type CircuitTape, tapeOf } from "./breaker_tape.ts";
import { type CircuitTransition, TransitionListeners, transitionsOf } from "./breaker_transitions.ts";
import { BurstClock, REFUSALS_OF_ONE_TIME, SUCCESSES_OF_ONE_TIME } from "./burst_clock.ts";
import { type CircuitState, type Outcome, outcomeNumber, type Recorded, STATES } from "./circuit.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type Core, FIRST_GENERATION, makePlace, writeName, writeOrigin } from "./loader.ts";

export type { CircuitCounters } from "./breaker_counters.ts";
export type { CircuitBreakerHandle, LentHandle } from "./breaker_handle.ts";
export type { CircuitHold, CircuitMode } from "./breaker_modes.ts";
export type { CircuitBreakerNumbers, CircuitBreakerOptions } from "./breaker_options.ts";
export type { OutcomePredicates, RunOptions } from "./breaker_run.ts";
export type { CircuitSnapshot, WindowTenth } from "./breaker_snapshot.ts";
export type { CircuitTape } from "./breaker_tape.ts";
export type { CircuitTransition } from "./breaker_transitions.ts";
export type { CircuitState, Outcome, Recorded } from "./circuit.ts";

// What the core answers; see assembly/breaker.ts.
const NEEDS_TIME = -2;
const REFUSED_TOLD = -3;
const NEEDS_EXACT_TIME = -4;
const NEEDS_TIME_UNMARKED = 3;
const TOLD_FLAG = 8;
const ANSWER_MASK = 7;
const NEEDS_COARSE_TIME = -3;
const NOT_READ_MS = -1;

const RECORDED = ["applied", "stale", "duplicate"] as const;

// How calls are timed: for slow calls and the tape exactly, for a time window just well enough.
const NOT_AT_ALL = 0;
const COARSELY = 1;
const EXACTLY = 2;

/** An attachment's number that the core refuses: what `detach` leaves. */
const DETACHED = -1;

/**
 * A circuit breaker: it stops calls to a backend that fails, tries it again from time to time, and lets calls through
 * when it is well. Its state lies in shared memory, so that workers share it, and a call costs nanoseconds.
 *
 * ```ts
 * import { CircuitBreaker } from "@breakwater/otel/core";
 *
 * const breaker = new CircuitBreaker({ failureThreshold: 5, cooldownMs: 10_000 });
 *
 * async function send(body: Uint8Array<ArrayBuffer>): Promise<boolean> {
 *   const permit = breaker.acquire();
 *   if (permit < 0) return false; // refused: no need to wait for a timeout to know
 *   try {
 *     const response = await fetch("http://localhost:4318/v1/traces", { method: "POST", body });
 *     breaker.record(permit, response.ok ? "success" : "failure");
 *     return response.ok;
 *   } catch {
 *     breaker.record(permit, "failure");
 *     return false;
 *   }
 * }
 * ```
 */
export class CircuitBreaker {
  /** What observers are told the circuit is called. */
  readonly name: string;

  readonly #core: Core;
  readonly #memory: WebAssembly.Memory;
  readonly #base: number = 0;
  readonly #clock: Clock;
  /** The clock of refusals. A clock that was given is read at each; ours may be spared in a burst of them. */
  readonly #askingClock: Clock;
  /** The clock by which calls fall into the time window. */
  readonly #windowClock: Clock;
  /** When the memory was made, on `#clock`. */
  readonly #originMs: number;
  readonly #listeners = new TransitionListeners();
  readonly #runner: Runner;
  #attachment: number = DETACHED;
  /** Which times the core has asked for that it could do without when all was well. */
  #timing = NOT_AT_ALL;

  /**
   * A closed circuit in memory of its own.
   *
   * @throws {TypeError} When an option is of the wrong type, or options contradict each other.
   * @throws {RangeError} When a number is out of its range.
   */
  constructor(options?: CircuitBreakerOptions);
  constructor(options: CircuitBreakerOptions | Joining = {}) {
    if (options instanceof Joining) {
      this.#runner = new Runner("attach circuit breaker", this, options.predicates);
      ({ name: this.name, clock: this.#clock, originMs: this.#originMs } = options);
      ({ core: this.#core, memory: this.#memory, base: this.#base } = options.place);
    } else {
      const { tapeSize, clock, ...settings } = checkOptions(options);
      this.#clock = clock;
      this.name = options.name ?? "circuit";
      this.#runner = new Runner("create circuit breaker", this, options);
      const place = makePlace(tapeSize);
      ({ core: this.#core, memory: this.#memory, base: this.#base } = place);
      // Whole, so that subtracting it from a time loses no part of that.
      this.#originMs = Math.floor(this.#clock.nowMs());
      writeName(place, this.name);
      writeOrigin(place, this.#originMs);
      writeNumbers(this.#core, this.#base, settings);
      this.#core.init(this.#base, tapeSize, FIRST_GENERATION);
    }
    const isOurs = this.#clock === systemClock;
    this.#askingClock = isOurs ? new BurstClock(systemClock, REFUSALS_OF_ONE_TIME) : this.#clock;
    this.#windowClock = isOurs ? new BurstClock(systemClock, SUCCESSES_OF_ONE_TIME) : this.#clock;
    this.#attachment = this.#core.claim(this.#base, options instanceof Joining ? options.owner : NOBODY);
    if (this.#attachment < 0) {
      throw new Error(
        `Cannot attach circuit breaker: all ${this.#core.ATTACHMENTS_MAX.value} attachments of "${this.name}" are taken`,
      );
    }
    if (!(options instanceof Joining) && options.mode !== undefined) this.mode = options.mode;
  }

  /**
   * Shares a breaker with the workers that use it. Changes nothing in it: whoever joins an open circuit finds it open.
   *
   * @param which The handle of a breaker, posted from another thread or not; or the name of one that lies in a memory
   * which this thread has made or joined before.
   * @param options The clock and the predicates are this object's own.
   * @throws {TypeError} When it is not the handle of a breaker, its memory holds none, or a predicate is none.
   * @throws {Error} When no breaker, or more than one, is called so, or when 256 are attached already.
   */
  static attach(
    which: CircuitBreakerHandle | string,
    options: { readonly clock?: Clock } & OutcomePredicates = {},
  ): CircuitBreaker {
    return new CircuitBreaker(joiningBy(which, options));
  }

  /** Asks to make a call. A number that is not negative is the permit to make it; a negative one is a refusal. */
  acquire(): number {
    if (this.#timing === EXACTLY) return this.#acquireInTime(this.#clock);
    const permit = this.#core.acquire(this.#base, this.#attachment);
    if (permit === NEEDS_TIME) return this.#acquireInTime(this.#askingClock);
    if (permit !== NEEDS_EXACT_TIME) return permit;
    this.#timing = EXACTLY; // from now on
    return this.#acquireInTime(this.#clock);
  }

  /**
   * Says what became of the call that a permit was given for. Every permit is to be recorded once, whatever happens.
   *
   * @throws {TypeError} When it is no outcome. Nothing is recorded then.
   */
  record(permit: number, outcome: Outcome): Recorded {
    if (outcome !== "success" || this.#timing === EXACTLY) return this.#record(permit, outcome, 0);
    const answer = this.#timing === COARSELY
      ? this.#core.recordUsualInTime(this.#base, this.#attachment, permit, this.#windowClock.nowMs() - this.#originMs)
      : this.#core.recordUsual(this.#base, this.#attachment, permit);
    if (answer === 0) return "applied";
    if (answer === NEEDS_COARSE_TIME) this.#timing = COARSELY; // from now on
    return this.#record(permit, outcome, answer > 0 ? answer - NEEDS_TIME_UNMARKED : 0);
  }

  /**
   * Makes a call if the circuit lets it: `fn` is called once at most, what it returns or throws is passed on untouched,
   * and the circuit is told once how it ended. A refusal is a `CircuitOpenError`, without a stack of calls; refusals in
   * a row that say the same are one and the same error.
   *
   * A signal does not end the call by itself: it is handed to `fn`. An error while it is aborted is `"ignored"`, unless
   * a deadline passed: then the backend took too long.
   *
   * ```ts
   * import { CircuitBreaker } from "@breakwater/otel/core";
   *
   * const breaker = new CircuitBreaker({ name: "stock" });
   *
   * function stock(signal?: AbortSignal): Promise<Response> {
   *   return breaker.run((signal) => fetch("http://localhost:8080/stock", { signal }), {
   *     signal,
   *     resultOutcome: ({ status }) => status >= 500 ? "failure" : "success",
   *   });
   * }
   * ```
   *
   * Rejects with what `fn` throws, and with
   * - a `CircuitOpenError` when the circuit refuses,
   * - the signal's reason when it is aborted already: then the circuit is not asked,
   * - a `TypeError` when an argument is of the wrong type.
   */
  run<T>(fn: (signal?: AbortSignal) => T | PromiseLike<T>, options?: RunOptions<NoInfer<T>>): Promise<T> {
    return this.#runner.run(fn, options);
  }

  /** What the circuit is doing. Reading it changes nothing: an open circuit is open until a call is let through. */
  get state(): CircuitState {
    return STATES[this.#core.state(this.#base)]!;
  }

  /** True while the circuit is open because the backend asked for a pause that has not ended. */
  get throttled(): boolean {
    return this.#core.throttledMs(this.#base, this.#nowMs()) > 0;
  }

  /** Milliseconds until the next probe may pass; 0 when a call would pass now. */
  get retryAfterMs(): number {
    return this.#core.retryAfterMs(this.#base, this.#nowMs(this.#askingClock));
  }

  /** What rules: what the circuit's calls come to, or what an operator wants. */
  get mode(): CircuitMode {
    return MODES[this.#core.mode(this.#base)]!;
  }

  /**
   * Sets the mode for all who share the circuit. While somebody holds it open it stays `forced_open`, and this is the
   * mode that follows. Unless it changes between `auto` and `metrics_only`, results of calls still out are stale.
   */
  set mode(mode: CircuitMode) {
    const number = checkMode("set the mode of a circuit breaker", mode);
    this.#core.setMode(this.#base, this.#attachment, number, this.#nowMs());
    this.#tell();
  }

  /** Holds the circuit open, for all who share it, until the hold is released or this object is detached. */
  forceOpen(): CircuitHold {
    const attachment = this.#attachment;
    this.#core.hold(this.#base, attachment, this.#nowMs());
    this.#tell();
    return new CircuitHold(() => {
      if (this.#attachment !== attachment) return; // given back with the attachment
      this.#core.letGo(this.#base, attachment, this.#nowMs());
      this.#tell();
    });
  }

  /** The numbers in force, without those of rules that are off. */
  get options(): CircuitBreakerNumbers {
    return inForce(readNumbers(this.#core, this.#base));
  }

  /**
   * Changes numbers for all who share the circuit; those that are not named stay, and one that is `undefined` goes back
   * to its default. State, windows and attempts are kept. (A time window of another length holds what the one before
   * held, as if it had just happened; a window that was off begins empty.)
   *
   * @throws {TypeError} When a number is not one, options contradict each other, or one cannot be changed.
   * @throws {RangeError} When a number is out of its range. Nothing is changed then.
   */
  reconfigure(changes: CircuitBreakerNumbers): void {
    const before = readNumbers(this.#core, this.#base);
    const numbers = changed("reconfigure circuit breaker", before, changes);
    if (this.#attachment === DETACHED) return;
    writeNumbers(this.#core, this.#base, numbers, before);
    this.#core.applySettings(this.#base, before.timeWindowMs, this.#nowMs());
    this.#timing = NOT_AT_ALL;
  }

  /**
   * What the circuit is and has seen, as an object for JSON: state, mode, failures, windows, attempts and what is left of
   * its waits. A half-open circuit is taken as open and ready to probe; holds and counters are not part of it.
   */
  snapshot(): CircuitSnapshot {
    return snapshotOf(this.#core, this.#base, this.name, this.#nowMs());
  }

  /** The same in bytes. */
  snapshotBytes(): Uint8Array<ArrayBuffer> {
    return bytesOf(this.snapshot());
  }

  /**
   * Makes the circuit what a snapshot says, for all who share it, as far as its own numbers allow: each window takes the
   * last calls that it holds, no wait is longer than its maximum. Waits go on with what was left of them. This is one
   * change at most, told as `"restored"`; results of calls still out are stale.
   *
   * @throws {TypeError} When it is no snapshot, or a part of it is of the wrong type or contradicts another.
   * @throws {RangeError} When a part is out of its range, or was damaged on its way. Nothing is changed then.
   */
  restore(snapshot: CircuitSnapshot | Uint8Array): void {
    restoreFrom(this.#core, this.#base, this.#attachment, checkSnapshot(snapshot), this.#nowMs());
    this.#tell();
  }

  /**
   * What the circuit is, why, and what comes next, in one sentence with the numbers behind its last change: for people.
   * `"collector" has been open for 2.3 s: 3 consecutive failures reached failureThreshold 3; the next probe may pass in 27.7 s`
   */
  explain(): string {
    return explanationOf(this.#core, this.#base, this.name, this.#nowMs());
  }

  /** What happened lately, for `replayTape`; `undefined` without `tapeSize`. Reading it changes nothing. */
  get tape(): CircuitTape | undefined {
    return tapeOf({ core: this.#core, memory: this.#memory, base: this.#base }, this.name);
  }

  /** What happened so far, over all workers. */
  get counters(): CircuitCounters {
    const nowMs = this.#nowMs();
    return {
      ...countersOf(this.#core, this.#base, nowMs, this.#clock.wallMs() - nowMs),
      listenerErrors: this.#listeners.errorCount + this.#runner.errorCount,
    };
  }

  /**
   * Calls `listener` after each change of state that a call on this object brings about: of all who share a circuit,
   * exactly one tells each change. What a listener throws is counted and goes no further. Returns what removes it.
   */
  onTransition(listener: (transition: CircuitTransition) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** What `attach` takes: post it to a worker at once, for it carries the time. */
  get handle(): CircuitBreakerHandle {
    return handleOf(this.name, this.#memory, this.#base, this.#originMs, this.#clock);
  }

  /**
   * A handle for one worker. When that worker's exit was seen, `reclaim` gives back what it attached by the handle and
   * releases its holds, which a worker that was terminated cannot do itself. Call it for no other reason: a worker that
   * still runs must not lose its places. (Deno may tell of the exit before a busy worker has stopped, so another takes
   * its place only when no other is left.)
   */
  lend(): LentHandle {
    const owner = this.#core.lend(this.#base);
    return {
      handle: { ...this.handle, owner },
      reclaim: () => {
        const reclaimed = this.#core.reclaim(this.#base, this.#attachment, owner, this.#nowMs());
        this.#tell();
        return reclaimed;
      },
    };
  }

  /**
   * Gives this object's place back, and with it what it holds. It refuses every call from now on; what others share is
   * not affected.
   */
  detach(): void {
    if (this.#attachment === DETACHED) return;
    this.#core.detach(this.#base, this.#attachment, this.#nowMs());
    this.#tell();
    this.#attachment = DETACHED;
  }

  /** Detaches, at the end of a `using`. */
  [Symbol.dispose](): void {
    this.detach();
  }

  #acquireInTime(clock: Clock): number {
    const permit = this.#core.acquireInTime(this.#base, this.#attachment, this.#nowMs(clock));
    if (permit >= 0 || permit === REFUSED_TOLD) this.#tell();
    return permit;
  }

  /** `progress` is how far the core came with it already. */
  #record(permit: number, outcome: Outcome, progress: number): Recorded {
    const code = outcomeNumber(outcome);
    const throttledMs = typeof outcome === "object" ? outcome.throttledMs : 0;
    const [core, base, attachment] = [this.#core, this.#base, this.#attachment];
    const time = progress > 0 || this.#timing === EXACTLY ? this.#nowMs() : NOT_READ_MS;
    let answer = core.record(base, attachment, permit, code, throttledMs, time, progress);
    if ((answer & ANSWER_MASK) >= NEEDS_TIME_UNMARKED) {
      const reached = (answer & ANSWER_MASK) - NEEDS_TIME_UNMARKED;
      answer = core.record(base, attachment, permit, code, throttledMs, this.#nowMs(), reached);
    }
    if ((answer & TOLD_FLAG) !== 0) this.#tell();
    return RECORDED[answer & ANSWER_MASK]!;
  }

  #tell(): void {
    const count = this.#core.toldCount(this.#base, this.#attachment);
    if (count === 0) return;
    const transitions = transitionsOf(this.#core, this.#base, this.#attachment, count, this.name);
    for (const transition of transitions) this.#listeners.tell(transition);
  }

  /** Shared time. A clock that answers no number stands still. */
  #nowMs(clock = this.#clock): number {
    const nowMs = clock.nowMs() - this.#originMs;
    return nowMs > 0 ? nowMs : 0;
  }
}
