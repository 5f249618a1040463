import type { SendAnswer, SendOptions } from "./transport.ts";

/**
 * The answer to a request that need not be tried: the transport is closed, the caller has given up, no time is left.
 */
export function unsentAnswer(options: SendOptions, closed: boolean): SendAnswer | undefined {
  if (closed || options.abort?.aborted) return shutdownAnswer("before it was sent", false);
  // NaN is no time either.
  if (options.deadlineMs > 0) return undefined;
  return { status: "retryable", reason: "deadline", message: "There was no time left to send", answerLost: false };
}

/** The answer to a request that a shutdown ended. */
export function shutdownAnswer(when: string, answerLost: boolean): SendAnswer {
  return { status: "retryable", reason: "shutdown", message: `A shutdown ended the request ${when}`, answerLost };
}

/** The answer in place of an exception, which only a bug can raise: the data is kept and the sender lives. */
export function brokenAnswer(error: unknown): SendAnswer {
  const cause = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const message = `The transport failed: ${cause.slice(0, 200)}`;
  return { status: "retryable", reason: "export_failed", message, answerLost: true };
}

/**
 * Lets `controller` abort for a shutdown when any of `signals` does.
 *
 * @returns What undoes it. `AbortSignal.any` would leave an entry at a signal that outlives many sends.
 */
export function linkAborts(controller: AbortController, signals: readonly (AbortSignal | undefined)[]): () => void {
  const abort = () => controller.abort("shutdown");
  for (const signal of signals) signal?.addEventListener("abort", abort, { once: true });
  if (signals.some((signal) => signal?.aborted)) abort();
  return () => {
    for (const signal of signals) signal?.removeEventListener("abort", abort);
  };
}
