import type { Outcome } from "./circuit.ts";
import { CircuitOpenError, type RefusingCircuit } from "./circuit_open_error.ts";

/** How a circuit judges the calls that `run` makes. */
export interface OutcomePredicates<Result = unknown> {
  /**
   * What an error says about the backend, where `run` makes the call: `"ignored"` for one that is the caller's own
   * fault. One that throws, or answers no outcome, is counted in `listenerErrors`, and the default stands in for it.
   * @default {every error is a "failure"}
   */
  readonly errorOutcome?: (error: unknown) => Outcome;
  /**
   * What a result says about the backend, where `run` makes the call: `"failure"` or `{ throttledMs }` for a response
   * that is none. Faults of its own are treated as those of `errorOutcome`.
   * @default {every result is a "success"}
   */
  readonly resultOutcome?: (result: Result) => Outcome;
}

/** How one call is made; what is absent is as the breaker's own options have it. */
export interface RunOptions<Result = unknown> extends OutcomePredicates<Result> {
  /**
   * Ends the call early, as far as the call itself listens to it: it is handed on. An error while it is aborted is
   * `"ignored"`, for a caller who gives up says nothing about the backend. A deadline that passed does: where the reason
   * is a `TimeoutError`, as that of `AbortSignal.timeout`, the error is judged like any other. @default {none}
   */
  readonly signal?: AbortSignal;
}

/** What makes calls asks of a breaker. */
export interface Guard extends RefusingCircuit {
  acquire(): number;
  record(permit: number, outcome: Outcome): unknown;
}

/** A call that may be made: it is given the signal of its options. */
export type Call<Result> = (signal?: AbortSignal) => Result | PromiseLike<Result>;

const NO_OPTIONS: RunOptions = Object.freeze({});

/** Makes calls for a breaker: asks for the permit, judges how the call ended, and gives the permit back, once. */
export class Runner {
  readonly #breaker: Guard;
  readonly #defaults: OutcomePredicates;
  #errorCount = 0;
  #lastRefusal: Refusal | undefined;

  /**
   * @param action What the caller was about to do, as it begins the message: `"create circuit breaker"`.
   * @throws {TypeError} When a predicate is no function.
   */
  constructor(action: string, breaker: Guard, { errorOutcome, resultOutcome }: OutcomePredicates) {
    checkPredicate(action, "errorOutcome", errorOutcome);
    checkPredicate(action, "resultOutcome", resultOutcome);
    this.#breaker = breaker;
    this.#defaults = { errorOutcome, resultOutcome };
  }

  /** How often a predicate threw, or answered what is no outcome. */
  get errorCount(): number {
    return this.#errorCount;
  }

  run<Result>(fn: Call<Result>, options: RunOptions<Result> = NO_OPTIONS): Promise<Result> {
    try {
      if (typeof fn !== "function") throw mistake("run", "fn", "a function", fn);
      if (typeof options !== "object" || options === null) throw mistake("run", "options", "an object", options);
      const { signal, errorOutcome, resultOutcome } = options;
      checkPredicate("run", "errorOutcome", errorOutcome);
      checkPredicate("run", "resultOutcome", resultOutcome);
      checkSignal(signal);
      if (signal?.aborted) return Promise.reject(signal.reason);
      const permit = this.#breaker.acquire();
      if (permit >= 0) return this.#call(permit, fn, signal, errorOutcome, resultOutcome);
      // A promise of the caller's own, not rejected before someone can listen: what nobody hears yet is taken down by the
      // runtime and struck off again, which takes as long as the refusal.
      return this.#refusal().rejected.then();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #call<Result>(
    permit: number,
    fn: Call<Result>,
    signal: AbortSignal | undefined,
    errorOutcome: OutcomePredicates["errorOutcome"] = this.#defaults.errorOutcome,
    resultOutcome: OutcomePredicates<Result>["resultOutcome"] = this.#defaults.resultOutcome,
  ): Promise<Result> {
    let result: Result;
    try {
      result = await fn(signal);
    } catch (error) {
      this.#breaker.record(permit, hasGivenUp(signal) ? "ignored" : this.#judge(error, errorOutcome, "failure"));
      throw error;
    }
    this.#breaker.record(permit, this.#judge(result, resultOutcome, "success"));
    return result;
  }

  /** What a predicate answers, or `byDefault` without one that does. */
  #judge<Ending>(ending: Ending, predicate: ((ending: Ending) => unknown) | undefined, byDefault: Outcome): Outcome {
    if (predicate === undefined) return byDefault;
    try {
      const answer = predicate(ending);
      const outcome = outcomeOf(answer);
      if (outcome !== undefined) return outcome;
      // An async function is no predicate, and its rejection would end the host's process.
      if (answer instanceof Promise) answer.catch(() => {});
    } catch {
      // Counted like an answer that makes no sense.
    }
    this.#errorCount++;
    return byDefault;
  }

  /**
   * Why the circuit refuses now. To make an error costs more than all else in a refusal, so those in a row that say the
   * same are one: in a burst that is one each millisecond.
   */
  #refusal(): Refusal {
    const { name, state, mode } = this.#breaker;
    const retryAfterMs = Math.ceil(this.#breaker.retryAfterMs);
    const last = this.#lastRefusal;
    if (last?.state === state && last.mode === mode && last.error.retryAfterMs === retryAfterMs) return last;
    const error = new CircuitOpenError("run", { name, state, mode, retryAfterMs });
    error.stack = `${error.name}: ${error.message}`; // the way to here would be that of the first caller alone
    return this.#lastRefusal = { state, mode, error, rejected: Promise.reject(error) };
  }
}

/** The error that was given last, what it tells of, and the promise that those of all callers follow. */
interface Refusal extends Pick<RefusingCircuit, "state" | "mode"> {
  readonly error: CircuitOpenError;
  readonly rejected: Promise<never>;
}

/** True when the caller gave the call up. A deadline that passed is the backend's doing. */
function hasGivenUp(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true && (signal.reason as { readonly name?: unknown } | null)?.name !== "TimeoutError";
}

function outcomeOf(answer: unknown): Outcome | undefined {
  if (answer === "success" || answer === "failure" || answer === "ignored") return answer;
  const throttledMs = (answer as { readonly throttledMs?: unknown } | null | undefined)?.throttledMs;
  return typeof throttledMs === "number" ? { throttledMs } : undefined;
}

function checkPredicate(action: string, name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "function") throw mistake(action, name, "a function", value);
}

/** A signal of another realm or library is one too, so it is known by what it has. */
function checkSignal(value: unknown): void {
  if (value === undefined) return;
  const isSignal = typeof value === "object" && value !== null && "aborted" in value;
  if (!isSignal) throw mistake("run", "signal", "an AbortSignal", value);
}

function mistake(action: string, name: string, wanted: string, value: unknown): TypeError {
  return new TypeError(
    `Cannot ${action}: "${name}" must be ${wanted}, received ${value === null ? "null" : typeof value}`,
  );
}
