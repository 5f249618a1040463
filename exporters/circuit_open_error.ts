/** Why an export was refused: its circuit is open, so the backend was not asked. */
export class CircuitOpenError extends Error {
  /** Tells this error from others where `instanceof` cannot. */
  override readonly name = "CircuitOpenError";
  /** Name of the circuit that refused. */
  readonly circuitName: string;
  /** Milliseconds until a probe may pass by cooldown or by the backend's own wish; counted attempts may let one pass earlier. */
  readonly retryAfterMs: number;

  /** Says which circuit, and how long. */
  constructor(circuitName: string, retryAfterMs: number) {
    super(
      `Cannot export: circuit ${JSON.stringify(circuitName)} is open, a probe may pass in ${
        Math.ceil(retryAfterMs)
      } ms ` +
        "at the latest",
    );
    this.circuitName = circuitName;
    this.retryAfterMs = retryAfterMs;
  }
}
