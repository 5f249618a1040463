import type { Reason } from "../reason.ts";
import { ITEM_NAMES, type Signal } from "../signal.ts";
import { errorMessageOf, partialSuccessOf, type ResponseBody } from "./response_body.ts";
import type { SendAnswer } from "./transport.ts";

/** All that an HTTP answer is judged by. */
export interface HttpAnswer {
  readonly status: number;
  /** What `Retry-After` asks for, in milliseconds; undefined without a readable one. */
  readonly retryAfterMs: number | undefined;
  readonly contentType: string;
  /** The `Location` header of a redirect. */
  readonly location: string | null;
  readonly body: ResponseBody;
}

/** What was sent, to whom, and what that destination is known to take. */
export interface Sent {
  /** Host and port, for messages. */
  readonly host: string;
  readonly signal: Signal;
  readonly itemCount: number;
  /** The signals of this destination that have been delivered at least once. */
  readonly succeeded: ReadonlySet<Signal>;
  /** Statuses that the user wants sent again, beside the protocol's own. */
  readonly retryableStatuses: ReadonlySet<number>;
}

/** A backend's own words are cut here: they go to logs and to health. */
const DETAIL_LENGTH_MAX = 500;

/**
 * The HTTP column of the answer table, as one function: what a status means for the data and for the circuit.
 *
 * Only the status decides. A body that cannot be read costs its detail, and nothing else: a 2xx was delivered.
 */
export function answerTo(sent: Sent, http: HttpAnswer): SendAnswer {
  const { status, retryAfterMs } = http;
  if (status >= 200 && status <= 299) return delivered(sent, http);

  const reason: Reason = `http_${status}`;
  const message = `${sent.host} answered ${status}${detailOf(http)}`;
  if ((status === 429 || status === 503) && retryAfterMs !== undefined) {
    return { status: "throttled", retryAfterMs, wholeDestination: status === 503, reason, message };
  }
  if (isRetryable(status) || sent.retryableStatuses.has(status)) {
    return { status: "retryable", reason, message, retryAfterMs, answerLost: false };
  }
  if (status === 413) return { status: "too_large", reason: "too_large", message };
  if (status <= 399 || status === 401 || status === 403) return { status: "misconfigured", reason, message };
  if (status === 404 || status === 405 || status === 501) {
    if (anotherHasSucceeded(sent)) return { status: "unsupported", reason: "unsupported", message };
    // Nothing has ever arrived here: more likely a wrong address than a backend that takes no telemetry.
    if (status !== 501 && sent.succeeded.size === 0) return { status: "misconfigured", reason, message };
  }
  return { status: "rejected", reason, message, backendFailed: status >= 500 };
}

/** The protocol's list; no other status may be sent again without being asked for. */
function isRetryable(status: number): boolean {
  return status === 429 || status === 502 || status === 503 || status === 504;
}

function anotherHasSucceeded({ signal, succeeded }: Sent): boolean {
  return succeeded.size > (succeeded.has(signal) ? 1 : 0);
}

function delivered(sent: Sent, { body, contentType }: HttpAnswer): SendAnswer {
  const partial = body.problem === undefined ? partialSuccessOf(body.bytes, contentType, sent.signal) : undefined;
  if (partial === undefined) {
    const problem = body.problem ?? "its answer is no OTLP response";
    return { status: "delivered", rejectedCount: 0, message: `${sent.host} accepted the request, but ${problem}` };
  }
  const { rejectedCount: claimedCount } = partial;
  const rejectedCount = Math.min(Math.max(0, Math.trunc(claimedCount)), sent.itemCount);
  if (claimedCount === 0 && partial.message === "") return { status: "delivered", rejectedCount: 0, message: "" };
  const items = `${claimedCount} of ${sent.itemCount} ${ITEM_NAMES[sent.signal]}`;
  const verdict = claimedCount === 0 ? "warned" : `rejected ${items}`;
  return { status: "delivered", rejectedCount, message: `${sent.host} ${verdict}${said(partial.message)}` };
}

function detailOf({ status, location, contentType, body }: HttpAnswer): string {
  if (status >= 300 && status <= 399) {
    const origin = location === null ? null : URL.parse(location)?.origin;
    return origin ? `, a redirect to ${origin}, which is not followed` : ", a redirect, which is not followed";
  }
  return said(errorMessageOf(body.bytes, contentType));
}

/** A backend's own words behind a colon: in one line, without anything that a terminal would obey. */
function said(words: string): string {
  // deno-lint-ignore no-control-regex
  const line = words.replace(/[\x00-\x20\x7f-\x9f\u2028\u2029]+/g, " ").trim();
  if (line === "") return "";
  return `: ${line.length > DETAIL_LENGTH_MAX ? `${line.slice(0, DETAIL_LENGTH_MAX)}…` : line}`;
}
