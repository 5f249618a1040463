import type { Clock } from "../../core/clock.ts";
import type { Reason } from "../../exporters/reason.ts";
import type { Signal } from "../../exporters/signal.ts";
import type { RequestBody, SendAnswer, SendOptions, Transport } from "../../exporters/transport/transport.ts";

/** One call of `send`, as it arrived. */
export interface Sent {
  readonly signal: Signal;
  /** The body's bytes: in these tests each byte is an item, and its value is the item's name. */
  readonly items: readonly number[];
  readonly itemCount: number;
  readonly atMs: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly deadlineMs: number;
}

/** What a script says to a call. */
export type Script = (sent: Sent) => SendAnswer | Promise<SendAnswer>;

/** A transport that answers what a test says, and remembers what it was given. */
export class ScriptedTransport implements Transport {
  /** Changed by the test as the story goes on. */
  script: Script;
  readonly sent: Sent[] = [];
  inFlightCount = 0;
  inFlightMaxSeen = 0;
  closed = false;
  readonly #clock: Clock;

  constructor(clock: Clock, script: Script = () => answers.delivered()) {
    this.#clock = clock;
    this.script = script;
  }

  async send(body: RequestBody, options: SendOptions): Promise<SendAnswer> {
    const { signal, itemCount, deadlineMs, headers = {} } = options;
    const sent: Sent = {
      signal,
      items: [body].flat().flatMap((part) => [...part]),
      itemCount,
      atMs: this.#clock.nowMs(),
      headers,
      deadlineMs,
    };
    this.sent.push(sent);
    this.inFlightCount++;
    this.inFlightMaxSeen = Math.max(this.inFlightMaxSeen, this.inFlightCount);
    try {
      return await Promise.race([this.script(sent), aborted(options.abort)]);
    } finally {
      this.inFlightCount--;
    }
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }

  /** The items of every call, in the order of the calls. */
  get bodies(): readonly (readonly number[])[] {
    return this.sent.map(({ items }) => items);
  }
}

/** The answers of the seam, by name. */
export const answers = {
  delivered: (rejectedCount = 0, message = ""): SendAnswer => ({ status: "delivered", rejectedCount, message }),
  throttled: (retryAfterMs: number, wholeDestination = false): SendAnswer => ({
    status: "throttled",
    retryAfterMs,
    wholeDestination,
    reason: wholeDestination ? "http_503" : "http_429",
    message: "slow down",
  }),
  retryable: (answerLost = false, reason: Reason = "export_failed"): SendAnswer => ({
    status: "retryable",
    reason,
    message: "connection reset",
    answerLost,
  }),
  rejected: (reason: Reason = "http_400"): SendAnswer => ({ status: "rejected", reason, message: "bad data" }),
  backendFailed: (): SendAnswer => ({
    status: "rejected",
    reason: "http_500",
    message: "it broke",
    backendFailed: true,
  }),
  tooLarge: (): SendAnswer => ({ status: "too_large", reason: "too_large", message: "too much" }),
  misconfigured: (reason: Reason = "http_401"): SendAnswer => ({
    status: "misconfigured",
    reason,
    message: "who are you?",
  }),
  unsupported: (): SendAnswer => ({ status: "unsupported", reason: "unsupported", message: "no such signal" }),
} as const;

/** A call that is never answered, until it is aborted. */
export const noAnswer: Script = () => new Promise(() => {});

function aborted(abort: AbortSignal | undefined): Promise<SendAnswer> {
  const shutdown: SendAnswer = { status: "retryable", reason: "shutdown", message: "aborted", answerLost: true };
  return new Promise((resolve) => {
    if (abort?.aborted) return resolve(shutdown);
    abort?.addEventListener("abort", () => resolve(shutdown), { once: true });
  });
}
