import type { CircuitMode } from "./breaker_modes.ts";
import type { CircuitState } from "./circuit.ts";

/** A circuit as a refusal tells of it; a `CircuitBreaker` is one. */
export interface RefusingCircuit {
  /** What it is called. */
  readonly name: string;
  /** What it is doing. */
  readonly state: CircuitState;
  /** Who decides: the circuit itself unless this is `"forced_open"` or `"disabled"`. */
  readonly mode?: CircuitMode;
  /** Milliseconds until a probe may pass. */
  readonly retryAfterMs: number;
}

/** Why a call was not made: its circuit refused it, so the backend was not asked. */
export class CircuitOpenError extends Error {
  /** Tells this error from others where `instanceof` cannot. */
  override readonly name = "CircuitOpenError";
  /** Name of the circuit that refused. */
  readonly circuitName: string;
  /**
   * Whole milliseconds until a probe may pass: by the end of the cooldown, of a pause that the backend asked for, or of
   * the time that a probe under way is given. Counted attempts, or that probe's success, may let one pass earlier. Of a
   * circuit that is held open it is only how long to wait before asking again.
   */
  readonly retryAfterMs: number;

  /**
   * Says which circuit refused, what it is doing, and for how long.
   *
   * @param action What it refused, as it begins the message: `"export"`.
   */
  constructor(action: string, circuit: RefusingCircuit) {
    const retryAfterMs = Math.ceil(circuit.retryAfterMs);
    super(`Cannot ${action}: circuit ${JSON.stringify(circuit.name)} ${predicateOf(circuit, retryAfterMs)}`);
    this.circuitName = circuit.name;
    this.retryAfterMs = retryAfterMs;
  }
}

function predicateOf({ state, mode }: RefusingCircuit, retryAfterMs: number): string {
  if (mode === "disabled") return "is disabled, nothing passes until another mode is set";
  if (mode === "forced_open") return "is forced open, nothing passes until it is released or another mode is set";
  const wait = `may pass in ${retryAfterMs} ms at the latest`;
  switch (state) {
    case "open":
      return `is open, a probe ${wait}`;
    case "half_open":
      return `is half-open and its probe is under way, another ${wait}`;
    case "closed": // refused all the same: another thread closed it in between, or this object has no part in it
      return "has closed since it refused, or this breaker is detached from it";
  }
}
