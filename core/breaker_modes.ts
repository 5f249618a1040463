import { describe } from "./limits.ts";

/**
 * What an operator wants of a circuit, whatever its calls come to.
 *
 * - `auto`: the circuit decides.
 * - `disabled`: the kill switch. No call passes and no probe, until another mode is set. That is no alarm.
 * - `metrics_only`: the circuit decides and tells, and every call passes: what it would have refused is counted as
 *   refused, and its result is `stale`.
 * - `forced_open`: no call passes and no probe, until another mode is set.
 * - `forced_closed`: every call passes. Outcomes are counted and open nothing.
 */
export type CircuitMode = "auto" | "disabled" | "metrics_only" | "forced_open" | "forced_closed";

/** The modes in the order of their numbers in assembly/layout.ts. */
export const MODES = [
  "auto",
  "disabled",
  "metrics_only",
  "forced_open",
  "forced_closed",
] as const satisfies readonly CircuitMode[];

/**
 * The number of a mode.
 *
 * @param action What the caller was about to do, as it begins the message: `"create circuit breaker"`.
 * @throws {TypeError} When it is not the name of a mode.
 */
export function checkMode(action: string, mode: unknown): number {
  const number = MODES.indexOf(mode as CircuitMode);
  if (number >= 0) return number;
  throw new TypeError(`Cannot ${action}: "mode" must be one of ${MODES.join(", ")}, received ${describe(mode)}`);
}

/**
 * A hold on a circuit, which stays open as long as anybody has one.
 *
 * ```ts
 * import { CircuitBreaker } from "@breakwater/otel/core";
 *
 * const breaker = new CircuitBreaker();
 * {
 *   using _maintenance = breaker.forceOpen();
 *   console.assert(breaker.acquire() < 0 && breaker.mode === "forced_open");
 * }
 * console.assert(breaker.acquire() >= 0);
 * ```
 */
export class CircuitHold {
  #letGo: (() => void) | undefined;

  /** Made by `CircuitBreaker.forceOpen`. */
  constructor(letGo: () => void) {
    this.#letGo = letGo;
  }

  /** Lets go. Doing it again does nothing. */
  release(): void {
    const letGo = this.#letGo;
    this.#letGo = undefined;
    letGo?.();
  }

  /** Lets go, at the end of a `using`. */
  [Symbol.dispose](): void {
    this.release();
  }
}
