import { decodeExportResponse, type PartialSuccess } from "../otlp/response.ts";
import { decodeStatus } from "../otlp/status.ts";
import type { Reason } from "../reason.ts";
import { ITEM_NAMES, type Signal } from "../signal.ts";
import type { ResponseBody } from "./response_body.ts";
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

const JSON_TYPE = "application/json";
const PROTOBUF_TYPE = "application/x-protobuf";

/** A backend's own words are cut here: they go to logs and to health. */
const DETAIL_LENGTH_MAX = 500;

/**
 * The table of {@linkcode SendAnswer} as one function: what a status means for the data and for the circuit.
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
    // No other signal arrives here either: more likely a wrong address, or a route that broke, than a missing signal.
    if (status !== 501) return { status: "misconfigured", reason, message };
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

function delivered(sent: Sent, http: HttpAnswer): SendAnswer {
  const partial = partialSuccessOf(sent.signal, http);
  if (partial === "unreadable") {
    const problem = http.body.problem ?? "its answer is no OTLP response";
    return { status: "delivered", rejectedCount: 0, message: `${sent.host} accepted the request, but ${problem}` };
  }
  if (partial === undefined) return { status: "delivered", rejectedCount: 0, message: "" };
  const rejectedCount = Math.min(partial.rejectedCount, sent.itemCount);
  const items = `${partial.rejectedCount} of ${sent.itemCount} ${ITEM_NAMES[sent.signal]}`;
  const verdict = partial.rejectedCount === 0 ? "warned" : `rejected ${items}`;
  return { status: "delivered", rejectedCount, message: `${sent.host} ${verdict}${said(partial.message)}` };
}

/** Undefined when the backend took everything and has nothing to add. */
function partialSuccessOf(
  signal: Signal,
  { body, contentType }: HttpAnswer,
): PartialSuccess | "unreadable" | undefined {
  // Some short texts are protobuf by accident.
  const isText = contentType.startsWith("text/") && body.bytes.length > 0;
  if (body.problem !== undefined || isText) return "unreadable";
  try {
    return decodeExportResponse(body.bytes, contentType.startsWith(JSON_TYPE) ? "json" : "protobuf", signal);
  } catch {
    return "unreadable";
  }
}

function detailOf({ status, location, contentType, body }: HttpAnswer): string {
  if (status >= 300 && status <= 399) {
    const origin = location === null ? null : URL.parse(location)?.origin;
    return origin ? `, a redirect to ${origin}, which is not followed` : ", a redirect, which is not followed";
  }
  // Whoever writes a sentence and nothing else often does not say that it is one.
  if (contentType === "" || contentType.startsWith("text/plain")) return said(new TextDecoder().decode(body.bytes));
  if (contentType.startsWith(JSON_TYPE)) return said(decodeStatus(body.bytes, "json")?.message ?? "");
  if (contentType.startsWith(PROTOBUF_TYPE)) return said(decodeStatus(body.bytes, "protobuf")?.message ?? "");
  return "";
}

/** A backend's own words behind a colon: in one line, without anything that a terminal would obey. */
function said(words: string): string {
  // deno-lint-ignore no-control-regex
  const line = words.replace(/[\x00-\x20\x7f-\x9f\u2028\u2029]+/g, " ").trim();
  if (line === "") return "";
  return `: ${line.length > DETAIL_LENGTH_MAX ? `${line.slice(0, DETAIL_LENGTH_MAX)}…` : line}`;
}
