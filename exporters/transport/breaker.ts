import type { CircuitState, Outcome } from "../../core/breaker.ts";
import type { RequestBody, SendAnswer, SendOptions, Transport } from "./transport.ts";
import { brokenAnswer, unsentAnswer } from "./unsent.ts";

/** What a transport needs of a circuit breaker; `CircuitBreaker` is one. */
export interface Circuit {
  /** A permit, or a negative number for a refusal. */
  acquire(): number;
  /** Takes a permit back, with what became of the call. */
  record(permit: number, outcome: Outcome): unknown;
  /** Milliseconds until a call may pass, by what is known now. */
  readonly retryAfterMs: number;
  /** Reading it changes nothing. */
  readonly state: CircuitState;
}

/**
 * Asks a circuit before each attempt and tells it how the attempt ended. Refusals are answers: nothing was sent, and
 * `retryAfterMs` says when it is worth asking again. The circuit stays the caller's: `close` leaves it alone.
 *
 * @example
 * ```ts
 * const refusing = { acquire: () => -1, record: () => "stale", retryAfterMs: 5_000, state: "open" } as const;
 * const backend = { send: () => { throw new Error("not reached"); }, close: () => Promise.resolve() };
 * const transport = new BreakerTransport(backend, refusing);
 * const answer = await transport.send(new Uint8Array(), { signal: "logs", itemCount: 0, deadlineMs: 1_000 });
 * console.assert(answer.status === "retryable" && answer.reason === "circuit_open" && answer.retryAfterMs === 5_000);
 * ```
 */
export class BreakerTransport implements Transport {
  readonly #inner: Transport;
  readonly #circuit: Circuit;
  #closed = false;

  /** Guards `inner` with `circuit`. */
  constructor(inner: Transport, circuit: Circuit) {
    this.#inner = inner;
    this.#circuit = circuit;
  }

  /** Sends if the circuit lets it. */
  async send(body: RequestBody, options: SendOptions): Promise<SendAnswer> {
    // Asked first: a permit that is not used would hold up a probe.
    const unsent = unsentAnswer(options, this.#closed);
    if (unsent !== undefined) return unsent;
    try {
      const permit = this.#circuit.acquire();
      if (permit < 0) return this.#refusal();
      const answer = await this.#ask(body, options);
      this.#circuit.record(permit, outcomeOf(answer));
      return answer;
    } catch (error) {
      return brokenAnswer(error);
    }
  }

  /** Closes what is inside; the circuit stays as it is. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#inner.close();
  }

  /** Always an answer, so that every permit is given back. */
  async #ask(body: RequestBody, options: SendOptions): Promise<SendAnswer> {
    try {
      return await this.#inner.send(body, options);
    } catch (error) {
      return brokenAnswer(error);
    }
  }

  #refusal(): SendAnswer {
    const answer = { status: "retryable", reason: "circuit_open", answerLost: false } as const;
    if (this.#circuit.state === "half_open") {
      // The circuit only knows when it would give its probe up; that one may be back at any moment.
      return { ...answer, message: "The circuit is half-open and its probe is under way: nothing was sent" };
    }
    const { retryAfterMs } = this.#circuit;
    return { ...answer, message: "The circuit is open: nothing was sent", retryAfterMs };
  }
}

/** The circuit's column in the table of {@linkcode SendAnswer}. */
export function outcomeOf(answer: SendAnswer): Outcome {
  switch (answer.status) {
    case "delivered":
      return "success";
    case "throttled":
      return { throttledMs: answer.retryAfterMs };
    case "misconfigured":
      return "failure";
    case "too_large":
    case "unsupported":
      return "ignored";
    case "rejected":
      return answer.backendFailed ? "failure" : "ignored";
    case "retryable":
      return saysNothingOfTheBackend(answer) ? "ignored" : "failure";
  }
}

/** True for what we ended or never began: it is no fault of the backend. */
function saysNothingOfTheBackend(answer: SendAnswer & { readonly status: "retryable" }): boolean {
  const { reason, answerLost } = answer;
  return reason === "shutdown" || reason === "circuit_open" || (reason === "deadline" && !answerLost);
}
