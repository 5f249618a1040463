import { type CircuitBreakerHandle, coreOf, wallAheadMs } from "./breaker_handle.ts";
import { checkOptions, type CircuitBreakerOptions } from "./breaker_options.ts";
import { type OutcomePredicates, Runner, type RunOptions } from "./breaker_run.ts";
import { type CircuitTransition, STATES, TransitionListeners, transitionsOf } from "./breaker_transitions.ts";
import { BurstClock } from "./burst_clock.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type Core, CORE_ABI_VERSION, makePlace } from "./loader.ts";

export type { CircuitBreakerHandle, CircuitBreakerOptions, CircuitTransition, OutcomePredicates, RunOptions };

/** What a circuit is doing. Gauges show closed as 0, half-open as 1, open as 2. */
export type CircuitState = "closed" | "half_open" | "open";

/** What became of a call. `throttledMs` is how long the backend asked to be left alone. */
export type Outcome = "success" | "failure" | "ignored" | { readonly throttledMs: number };

/** What became of a result: it counted, it came from an earlier generation, or its call had a result already. */
export type Recorded = "applied" | "stale" | "duplicate";

/** What happened so far, added up over all workers. */
export interface CircuitCounters {
  /** Calls let through. */
  readonly permitted: number;
  /** Calls refused. */
  readonly refused: number;
  /** Calls that succeeded. */
  readonly successes: number;
  /** Calls that failed. */
  readonly failures: number;
  /** Calls whose outcome says nothing about the backend. */
  readonly ignored: number;
  /** Calls that the backend answered by asking for a pause. */
  readonly throttled: number;
  /** Results that changed nothing because the circuit had moved on. */
  readonly stale: number;
  /** Results that changed nothing because their call had one. */
  readonly duplicate: number;
  /** Half-open episodes given up because no probe reported. */
  readonly leaseExpired: number;
  /** Changes of state. */
  readonly transitions: number;
  /** Changes to open, from closed or from half-open. */
  readonly opened: number;
  /** Changes to half-open. */
  readonly halfOpened: number;
  /** Changes to closed. */
  readonly closed: number;
  /** Failures since the last success; also counted while open. */
  readonly consecutiveFailures: number;
  /** Probes in flight now. */
  readonly probesInFlight: number;
  /** Listeners and predicates of this object that threw, or answered what is no outcome. */
  readonly listenerErrors: number;
}

// What the core answers; see assembly/breaker.ts.
const NEEDS_TIME = -2;
const REFUSED_TOLD = -3;
const RECORD_NEEDS_TIME = 3;
const MARKED_NEEDS_TIME = 4;
const TOLD_FLAG = 8;
const THROTTLED = 3;
const NOT_READ_MS = -1;

const OUTCOMES = { success: 0, failure: 1, ignored: 2 } as const;
const RECORDED = ["applied", "stale", "duplicate"] as const;

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
  /** The clock of `acquire`. A clock that was given is read at every refusal; ours may be spared in a burst of them. */
  readonly #askingClock: Clock;
  /** When the memory was made, on `#clock`. */
  readonly #originMs: number;
  readonly #listeners = new TransitionListeners();
  readonly #runner: Runner;
  #attachment: number = DETACHED;

  /**
   * A closed circuit in memory of its own.
   *
   * @throws {TypeError} When an option is of the wrong type.
   * @throws {RangeError} When a number is out of its range.
   */
  constructor(options?: CircuitBreakerOptions);
  constructor(options: CircuitBreakerOptions | Joining = {}) {
    if (options instanceof Joining) {
      this.#runner = new Runner("attach circuit breaker", this, options.predicates);
      this.#core = coreOf(options.handle);
      this.name = options.handle.name;
      this.#clock = options.clock;
      this.#memory = options.handle.memory;
      this.#base = options.handle.base;
      this.#originMs = options.originMs;
    } else {
      const checked = checkOptions(options);
      this.#runner = new Runner("create circuit breaker", this, options);
      this.name = options.name ?? "circuit";
      this.#clock = options.clock ?? systemClock;
      ({ core: this.#core, memory: this.#memory, base: this.#base } = makePlace());
      // Whole, so that subtracting it from a time loses no part of that.
      this.#originMs = Math.floor(this.#clock.nowMs());
      // deno-fmt-ignore
      this.#core.init(
        this.#base, checked.failureThreshold, checked.successThreshold, checked.probeEveryNth, checked.probeConcurrency,
        checked.cooldownMs, checked.cooldownBackoff, checked.cooldownMaxMs, checked.cooldownJitter, checked.probeLeaseMs,
        checked.throttleMaxMs, checked.seed,
      );
    }
    this.#askingClock = this.#clock === systemClock ? new BurstClock(systemClock) : this.#clock;
    this.#attachment = this.#core.claim(this.#base);
    if (this.#attachment < 0) {
      throw new Error(
        `Cannot attach circuit breaker: all ${this.#core.ATTACHMENTS_MAX.value} attachments of "${this.name}" are taken`,
      );
    }
  }

  /**
   * Shares the breaker that `handle` was read from, in this worker or another. Changes nothing in it: whoever joins an
   * open circuit finds it open. The predicates are this object's own.
   *
   * @throws {TypeError} When `handle` is not the handle of a breaker, its memory holds none, or a predicate is none.
   * @throws {Error} When 256 are attached already.
   */
  static attach(
    handle: CircuitBreakerHandle,
    options: { readonly clock?: Clock } & OutcomePredicates = {},
  ): CircuitBreaker {
    return new CircuitBreaker(new Joining(handle, options.clock ?? systemClock, options));
  }

  /** Asks to make a call. A number that is not negative is the permit to make it; a negative one is a refusal. */
  acquire(): number {
    const permit = this.#core.acquire(this.#base, this.#attachment);
    return permit === NEEDS_TIME ? this.#acquireInTime() : permit;
  }

  /**
   * Says what became of the call that a permit was given for. Every permit is to be recorded once, whatever happens.
   */
  record(permit: number, outcome: Outcome): Recorded {
    if (outcome === "success" && this.#core.recordUsual(this.#base, this.#attachment, permit) === 0) return "applied";
    return this.#record(permit, outcome);
  }

  /**
   * Makes a call if the circuit lets it: `fn` is called once at most, what it returns or throws is passed on untouched,
   * and the circuit is told once how it ended. A refusal is a `CircuitOpenError`, without a stack of calls; refusals in
   * a row that say the same are one and the same error.
   *
   * A signal does not end the call by itself: it is handed to `fn`. An error while it is aborted is `"ignored"`, so a
   * deadline that is to count against the backend belongs into `fn`.
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

  /** What happened so far, over all workers. */
  get counters(): CircuitCounters {
    const count = (index: number) => this.#core.counter(this.#base, index);
    const [opened, halfOpened, closed] = [count(9), count(10), count(11)];
    return {
      permitted: count(0),
      refused: count(1),
      successes: count(2),
      failures: count(3),
      ignored: count(4),
      throttled: count(5),
      stale: count(6),
      duplicate: count(7),
      leaseExpired: count(8),
      transitions: opened + halfOpened + closed,
      opened,
      halfOpened,
      closed,
      consecutiveFailures: this.#core.consecutiveFailures(this.#base),
      probesInFlight: this.#core.probesInFlight(this.#base),
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
    return {
      kind: "circuit-breaker",
      abiVersion: CORE_ABI_VERSION,
      name: this.name,
      memory: this.#memory,
      base: this.#base,
      originMs: this.#originMs,
      wallAheadMs: wallAheadMs(this.#clock),
    };
  }

  /** Gives this object's place back. It refuses every call from now on; what others share is not affected. */
  detach(): void {
    if (this.#attachment === DETACHED) return;
    this.#core.release(this.#base, this.#attachment);
    this.#attachment = DETACHED;
  }

  /** Detaches, at the end of a `using`. */
  [Symbol.dispose](): void {
    this.detach();
  }

  #acquireInTime(): number {
    const permit = this.#core.acquireInTime(this.#base, this.#attachment, this.#nowMs(this.#askingClock));
    if (permit >= 0 || permit === REFUSED_TOLD) this.#tell();
    return permit;
  }

  #record(permit: number, outcome: Outcome): Recorded {
    const code = typeof outcome === "object" ? THROTTLED : OUTCOMES[outcome];
    const throttledMs = typeof outcome === "object" ? outcome.throttledMs : 0;
    const core = this.#core;
    let answer = core.record(this.#base, this.#attachment, permit, code, throttledMs, NOT_READ_MS, 0);
    if (answer === RECORD_NEEDS_TIME || answer === MARKED_NEEDS_TIME) {
      const marked = answer === MARKED_NEEDS_TIME ? 1 : 0;
      answer = core.record(this.#base, this.#attachment, permit, code, throttledMs, this.#nowMs(), marked);
    }
    if ((answer & TOLD_FLAG) !== 0) this.#tell();
    return RECORDED[answer & ~TOLD_FLAG]!;
  }

  #tell(): void {
    const transitions = transitionsOf(this.#core, this.#base, this.#attachment, this.name);
    for (const transition of transitions) this.#listeners.tell(transition);
  }

  /** Shared time. A clock that answers no number stands still. */
  #nowMs(clock = this.#clock): number {
    const nowMs = clock.nowMs() - this.#originMs;
    return nowMs > 0 ? nowMs : 0;
  }
}

/** What the constructor is given instead of options by `attach`. */
class Joining {
  readonly handle: CircuitBreakerHandle;
  readonly clock: Clock;
  readonly predicates: OutcomePredicates;

  constructor(handle: CircuitBreakerHandle, clock: Clock, predicates: OutcomePredicates) {
    this.handle = handle;
    this.clock = clock;
    this.predicates = predicates;
  }

  /** When the memory was made, on our clock: both threads read one wall clock, which tells their own two apart. */
  get originMs(): number {
    return this.handle.originMs + this.handle.wallAheadMs - wallAheadMs(this.clock);
  }
}
