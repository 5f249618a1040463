import type { Reason } from "../reason.ts";
import type { Signal } from "../signal.ts";

/** How one send is to be done. */
export interface SendOptions {
  /** Which of the destination's three routes the body is for. */
  readonly signal: Signal;
  /** How many items the body holds, so that what the backend says it rejected can be held against what was sent. */
  readonly itemCount: number;
  /** How long this call may take, with every attempt and every wait in it, in milliseconds from now. */
  readonly deadlineMs: number;
  /** Ends the call early, for a shutdown. The answer is then `retryable` with the reason `shutdown`. */
  readonly abort?: AbortSignal;
  /** Sent along with the destination's own headers, over which they win: `breakwater-hop`, for one. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * What became of a request. Network trouble is an answer, never an exception.
 *
 * | HTTP                                                        | answer          | the circuit counts       |
 * | ----------------------------------------------------------- | --------------- | ------------------------ |
 * | 2xx                                                         | `delivered`     | a success                |
 * | 429, 503 with `Retry-After`                                 | `throttled`     | a pause of that length   |
 * | 429, 503 without it; 502, 504; no answer at all             | `retryable`     | a failure                |
 * | 413                                                         | `too_large`     | nothing                  |
 * | 401, 403, 3xx; 404, 405 until another signal was delivered  | `misconfigured` | a failure                |
 * | 404, 405, 501 after another signal was delivered            | `unsupported`   | nothing                  |
 * | 400 and other 4xx                                           | `rejected`      | nothing                  |
 * | 500 and other 5xx                                           | `rejected`      | a failure                |
 *
 * - `delivered`: the backend took it; `rejectedCount` items of it were refused for good (OTLP partial success).
 * - `throttled`: the backend asked for a pause of `retryAfterMs`; `wholeDestination` when the pause is for every signal.
 * - `retryable`: nobody has it, or nobody knows; `answerLost` when the backend may have taken it all the same.
 * - `rejected`: refused for good. `misconfigured`: refused for what we are, not for what we sent. `too_large`: send less
 *   at once. `unsupported`: the backend has no such signal.
 */
export type SendAnswer =
  | { readonly status: "delivered"; readonly rejectedCount: number; readonly message: string }
  | {
    readonly status: "throttled";
    readonly retryAfterMs: number;
    readonly wholeDestination: boolean;
    readonly reason: Reason;
    readonly message: string;
  }
  | {
    readonly status: "retryable";
    readonly reason: Reason;
    readonly message: string;
    /** The earliest moment at which another attempt could pass, in milliseconds from now, where that is known. */
    readonly retryAfterMs?: number;
    readonly answerLost: boolean;
  }
  | {
    readonly status: "rejected" | "too_large" | "misconfigured" | "unsupported";
    readonly reason: Reason;
    readonly message: string;
    /** Only on `rejected`: the backend failed (5xx) rather than the data being bad (4xx), so the breaker counts it. */
    readonly backendFailed?: boolean;
  };

/**
 * One OTLP protobuf `Export…ServiceRequest`: its bytes, or parts whose bytes follow each other. Whole requests may be the
 * parts of one: a request is a list, and so are their lists end to end.
 */
export type RequestBody = Uint8Array | readonly Uint8Array[];

/** The one seam between what has telemetry and what carries it away. Transports wrap transports. */
export interface Transport {
  /** Sends one request. Resolves always, and within `deadlineMs` plus scheduling. */
  send(body: RequestBody, options: SendOptions): Promise<SendAnswer>;
  /** Ends what is in flight and frees connections. Idempotent. */
  close(): Promise<void>;
}
