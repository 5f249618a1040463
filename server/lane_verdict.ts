import type { Outcome } from "../core/breaker.ts";
import type { Reason } from "../exporters/reason.ts";
import { outcomeOf } from "../exporters/transport/breaker.ts";
import type { SendAnswer } from "../exporters/transport/transport.ts";

/** What a lane makes of an answer. */
export interface Verdict {
  /** What the circuit breaker is told. */
  readonly circuit: Outcome;
  /**
   * What happens to the data.
   *
   * - `delivered`: settled, as far as the backend took it.
   * - `keep`: given back to the queue.
   * - `one_by_one`: a merged request is given back, and its records are sent alone, to find the bad one.
   * - `split`: a single record is too large and is sent in halves.
   * - `give_up`: refused for good; kept in the quarantine, or settled as rejected for `reason`.
   * - `reject`: settled as rejected, for `reason`.
   */
  readonly data: "delivered" | "keep" | "one_by_one" | "split" | "give_up" | "reject";
  /** Why, for the account and the log; undefined for `delivered`. */
  readonly reason: Reason | undefined;
}

/**
 * What each kind of answer means for the circuit and for the data that was sent.
 *
 * @param merged Whether the request held more than one record.
 * @param throttledMsMin What a throttled circuit waits at least, even for `Retry-After: 0`, in milliseconds.
 */
export function verdictOn(answer: SendAnswer, merged: boolean, throttledMsMin: number): Verdict {
  const circuit = outcomeOf(answer);
  switch (answer.status) {
    case "delivered":
      return { circuit, data: "delivered", reason: undefined };
    case "throttled":
      return {
        circuit: { throttledMs: Math.max(answer.retryAfterMs, throttledMsMin) },
        data: "keep",
        reason: answer.reason,
      };
    case "retryable":
    case "misconfigured":
      return { circuit, data: "keep", reason: answer.reason };
    case "too_large":
      return { circuit, data: merged ? "one_by_one" : "split", reason: "too_large" };
    case "rejected":
      // A failed backend answers for the request as a whole and may not be asked again; bad data may be one record's.
      return { circuit, data: merged && !answer.backendFailed ? "one_by_one" : "give_up", reason: answer.reason };
    case "unsupported":
      return { circuit, data: "reject", reason: "unsupported" };
  }
}
