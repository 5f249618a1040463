import type { CircuitState } from "../core/breaker.ts";

/** Why an export was refused: its circuit is not closed, so the backend was not asked. */
export class CircuitOpenError extends Error {
  /** Tells this error from others where `instanceof` cannot. */
  override readonly name = "CircuitOpenError";
  /** Name of the circuit that refused. */
  readonly circuitName: string;
  /**
   * Milliseconds until a probe may pass: by the end of the cooldown, of a pause that the backend asked for, or of the
   * time that a probe under way is given. Counted attempts, or that probe's success, may let one pass earlier.
   */
  readonly retryAfterMs: number;

  /** Says which circuit, what it is doing, and for how long. */
  constructor(circuitName: string, state: CircuitState, retryAfterMs: number) {
    const circuit = `circuit ${JSON.stringify(circuitName)}`;
    const wait = `may pass in ${Math.ceil(retryAfterMs)} ms at the latest`;
    super(
      state === "half_open"
        ? `Cannot export: ${circuit} is half-open and its probe is under way, another ${wait}`
        : `Cannot export: ${circuit} is open, a probe ${wait}`,
    );
    this.circuitName = circuitName;
    this.retryAfterMs = retryAfterMs;
  }
}
