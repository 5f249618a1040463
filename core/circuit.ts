/** What a circuit is doing. Gauges show closed as 0, half-open as 1, open as 2. */
export type CircuitState = "closed" | "half_open" | "open";

/** The states in the order of their numbers. */
export const STATES = ["closed", "half_open", "open"] as const satisfies readonly CircuitState[];

/** What became of a call. `throttledMs` is how long the backend asked to be left alone. */
export type Outcome = "success" | "failure" | "ignored" | { readonly throttledMs: number };

/** What became of a result: it counted, it came from an earlier generation, or its call had a result already. */
export type Recorded = "applied" | "stale" | "duplicate";
