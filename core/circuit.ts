import { describe } from "./limits.ts";

/** What a circuit is doing. Gauges show closed as 0, half-open as 1, open as 2. */
export type CircuitState = "closed" | "half_open" | "open";

/** The states in the order of their numbers. */
export const STATES = ["closed", "half_open", "open"] as const satisfies readonly CircuitState[];

/** What became of a call. `throttledMs` is how long the backend asked to be left alone. */
export type Outcome = "success" | "failure" | "ignored" | { readonly throttledMs: number };

/** The outcomes by their numbers in assembly/breaker.ts; the next one is a pause that the backend asked for. */
const OUTCOMES: readonly unknown[] = ["success", "failure", "ignored"];

/**
 * The number of an outcome.
 *
 * @throws {TypeError} When it is none: a word that is misspelt must not pass for a success.
 */
export function outcomeNumber(outcome: Outcome): number {
  const number = OUTCOMES.indexOf(outcome);
  if (number >= 0) return number;
  if (typeof outcome === "object" && typeof outcome?.throttledMs === "number") return OUTCOMES.length;
  throw new TypeError(
    `Cannot record: "outcome" must be success, failure, ignored or { throttledMs: number }, received ${
      describe(outcome)
    }`,
  );
}

/** What became of a result: it counted, it came from an earlier generation, or its call had a result already. */
export type Recorded = "applied" | "stale" | "duplicate";
