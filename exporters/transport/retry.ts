import { type Clock, systemClock } from "../../core/clock.ts";
import { type Limit, withinLimits } from "../../core/limits.ts";
import { type Sleep, sleep } from "../sleep.ts";
import { type BackoffLimits, backoffMs } from "./backoff.ts";
import { RetryBudget } from "./retry_budget.ts";
import type { RequestBody, SendAnswer, SendOptions, Transport } from "./transport.ts";
import { brokenAnswer, linkAborts, shutdownAnswer, unsentAnswer } from "./unsent.ts";

/** How a {@linkcode RetryTransport} waits and how often it tries. */
export interface RetryTransportOptions {
  /**
   * The full wait before the first retry, in milliseconds, 1 to 3 600 000; up to half of it is left to luck.
   * @default {1_000}
   */
  readonly initialBackoffMs?: number;
  /** The longest full wait, in milliseconds, 1 to 3 600 000. @default {30_000} */
  readonly maxBackoffMs?: number;
  /** Shared by all that sends to the same destination. @default {new RetryBudget(clock)} */
  readonly budget?: RetryBudget;
  /** Numbers from 0 to 1 for the jitter. @default {Math.random} */
  readonly random?: () => number;
  /** What deadlines and the budget are measured with. @default {systemClock} */
  readonly clock?: Clock;
  /** What waits. @default {a timer that does not keep the process alive} */
  readonly sleep?: Sleep;
}

const LIMITS = {
  initialBackoffMs: { default: 1_000, min: 1, max: 3_600_000, integer: true },
  maxBackoffMs: { default: 30_000, min: 1, max: 3_600_000, integer: true },
} satisfies Record<string, Limit>;

/**
 * Sends again what is `retryable` or `throttled`, until `deadlineMs`: with exponential back-off and jitter, never
 * before the moment that the backend or the circuit names, and within a budget of retries. When the next attempt would
 * come too late it answers at once what the last one answered, so that the caller keeps the data and the time.
 */
export class RetryTransport implements Transport {
  readonly #inner: Transport;
  readonly #backoff: BackoffLimits;
  readonly #budget: RetryBudget;
  readonly #random: () => number;
  readonly #clock: Clock;
  readonly #sleep: Sleep;
  readonly #closing = new AbortController();
  readonly #sends = new Set<Promise<SendAnswer>>();

  /**
   * Retries what `inner` says can be sent again.
   *
   * @throws {RangeError} When a back-off is outside its range.
   */
  constructor(inner: Transport, options: RetryTransportOptions = {}) {
    const { initialBackoffMs, maxBackoffMs } = options;
    const limits = withinLimits("create retry transport", { initialBackoffMs, maxBackoffMs }, LIMITS);
    this.#inner = inner;
    this.#backoff = { initialMs: limits.initialBackoffMs, maxMs: limits.maxBackoffMs };
    this.#random = options.random ?? Math.random;
    this.#clock = options.clock ?? systemClock;
    this.#sleep = options.sleep ?? sleep;
    this.#budget = options.budget ?? new RetryBudget(this.#clock);
  }

  /** Sends, and sends again, until the answer is final or `deadlineMs` is too near. */
  async send(body: RequestBody, options: SendOptions): Promise<SendAnswer> {
    const unsent = unsentAnswer(options, this.#closing.signal.aborted);
    if (unsent !== undefined) return unsent;
    const controller = new AbortController();
    const unlink = linkAborts(controller, [options.abort, this.#closing.signal]);
    const sending = this.#sendUntilDeadline(body, { ...options, abort: controller.signal }).catch(brokenAnswer);
    this.#sends.add(sending);
    try {
      return await sending;
    } finally {
      this.#sends.delete(sending);
      unlink();
    }
  }

  /** Ends waits and attempts, and closes what is inside. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#inner.close();
    await Promise.all(this.#sends);
  }

  async #sendUntilDeadline(
    body: RequestBody,
    options: SendOptions & { readonly abort: AbortSignal },
  ): Promise<SendAnswer> {
    const { abort } = options;
    const endsAtMs = this.#clock.nowMs() + options.deadlineMs;
    let attemptCount = 0;
    let answerLost = false;
    for (;;) {
      const answer = await this.#inner.send(body, { ...options, deadlineMs: endsAtMs - this.#clock.nowMs() });
      if (answer.status !== "retryable" && answer.status !== "throttled") return answer;
      if (answer.status === "retryable") answerLost ||= answer.answerLost;
      const kept = answer.status === "retryable" ? { ...answer, answerLost } : answer;
      if (answer.reason === "shutdown") return kept;

      // Nothing was sent while the circuit is open: that is no attempt, and what follows it is the circuit's probe.
      const refused = answer.reason === "circuit_open";
      if (!refused && attemptCount++ === 0) this.#budget.earn();
      const retryIndex = refused ? 0 : attemptCount - 1;
      const waitMs = backoffMs(retryIndex, this.#backoff, this.#random(), answer.retryAfterMs);
      if (this.#clock.nowMs() + waitMs >= endsAtMs) return kept;
      if (!refused && !this.#budget.take()) return kept;
      await this.#sleep(waitMs, abort);
      if (abort.aborted) return shutdownAnswer("while it waited to be sent again", answerLost);
    }
  }
}
