import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { type Clock, systemClock } from "../../core/clock.ts";
import { type Limit, withinLimits } from "../../core/limits.ts";
import { mergeRequests } from "../otlp/merge.ts";
import { bySignal, type Signal } from "../signal.ts";
import { answerTo, type HttpAnswer } from "./http_answer.ts";
import { type Compression, type Endpoint, endpointOf, type PerSignal, withoutSecrets } from "./http_endpoint.ts";
import { networkFailure } from "./network_failure.ts";
import { parseRetryAfter } from "./retry_after.ts";
import { BROKEN_BODY, readBody } from "./response_body.ts";
import type { RequestBody, SendAnswer, SendOptions, Transport } from "./transport.ts";
import { brokenAnswer, linkAborts, shutdownAnswer, unsentAnswer } from "./unsent.ts";

/** Where an {@linkcode HttpTransport} sends to, and how. */
export interface HttpTransportOptions {
  /**
   * Full `http:` or `https:` URL of each signal's route. A user and password in it become an `Authorization` header.
   */
  readonly endpoints: Readonly<Record<Signal, string>>;
  /** Headers for every request, such as `authorization`. @default {{}} */
  readonly headers?: PerSignal<Readonly<Record<string, string>>>;
  /** How bodies are made smaller. @default {"none"} */
  readonly compression?: PerSignal<Compression>;
  /** How long one attempt may take, the answer's body included, in milliseconds, 1 to 86 400 000. @default {10_000} */
  readonly timeoutMs?: PerSignal<number>;
  /** Statuses from 400 to 599 that are sent again beside 429, 502, 503 and 504. @default {[]} */
  readonly retryableStatuses?: readonly number[];
  /** How much of an answer is read, after decompression, in bytes, 0 to 67 108 864. @default {4_194_304} */
  readonly responseBytesMax?: number;
  /** What `User-Agent` begins with. @default {"Breakwater/<version>"} */
  readonly product?: string;
  /** What makes the requests. @default {globalThis.fetch} */
  readonly fetch?: typeof globalThis.fetch;
  /**
   * Whether `fetch` takes an array of parts for a body, which the platforms' own do not: what is sent in parts need not
   * be copied then. @default {false}
   */
  readonly fetchTakesParts?: boolean;
  /** The clock that reads `Retry-After` dates. @default {systemClock} */
  readonly clock?: Clock;
}

/** The largest request that OTLP lets a client send, before and after compression. */
const REQUEST_BYTES_MAX = 67_108_864;

const LIMITS = {
  responseBytesMax: { default: 4_194_304, min: 0, max: REQUEST_BYTES_MAX, integer: true },
} satisfies Record<string, Limit>;

/** Level 1 costs 0.27 µs a span where the default level 6 costs 1.8, for a sixth more bytes. */
const GZIP_OPTIONS = { level: 1 } as const;

/**
 * Sends OTLP protobuf over HTTP with `fetch`, one attempt for each `send`, and tells what became of it by the table of
 * {@linkcode SendAnswer}. It follows no redirects, reads answers only up to a limit, and never throws or rejects.
 *
 * Deno's `fetch` itself repeats a request whose kept-alive connection broke before the answer. That hides connections
 * that grew stale while idle; it also means that a backend may see such a request twice where this transport made one
 * attempt.
 *
 * @example
 * ```ts
 * const at = (path: string) => `http://127.0.0.1:4318/v1/${path}`;
 * const transport = new HttpTransport({
 *   endpoints: { traces: at("traces"), metrics: at("metrics"), logs: at("logs") },
 *   fetch: () => Promise.resolve(new Response(null, { status: 503, headers: { "retry-after": "2" } })),
 * });
 * const answer = await transport.send(new Uint8Array(), { signal: "traces", itemCount: 0, deadlineMs: 1_000 });
 * console.assert(answer.status === "throttled" && answer.retryAfterMs === 2_000);
 * await transport.close();
 * ```
 */
export class HttpTransport implements Transport {
  readonly #endpoints: Readonly<Record<Signal, Endpoint>>;
  readonly #fetch: typeof globalThis.fetch;
  readonly #fetchTakesParts: boolean;
  readonly #clock: Clock;
  readonly #responseBytesMax: number;
  readonly #retryableStatuses: ReadonlySet<number>;
  /** Tells a wrong address from a signal that this backend does not take. */
  readonly #succeeded = new Set<Signal>();
  readonly #closing = new AbortController();
  readonly #attempts = new Set<Promise<SendAnswer>>();

  /**
   * Checks the options; connects to nothing yet.
   *
   * @throws {TypeError} When an endpoint is no `http:` or `https:` URL, or a header cannot be sent.
   * @throws {RangeError} When a number is outside its range.
   */
  constructor(options: HttpTransportOptions) {
    this.#endpoints = bySignal((signal) => endpointOf(signal, options));
    const { responseBytesMax } = options;
    this.#responseBytesMax = withinLimits("create HTTP transport", { responseBytesMax }, LIMITS).responseBytesMax;
    this.#retryableStatuses = checkedStatuses(options.retryableStatuses ?? []);
    this.#fetch = options.fetch ?? globalThis.fetch;
    this.#fetchTakesParts = options.fetchTakesParts ?? false;
    this.#clock = options.clock ?? systemClock;
  }

  /** Makes one attempt. */
  async send(body: RequestBody, options: SendOptions): Promise<SendAnswer> {
    const attempt = this.#attempt(body, options).catch(brokenAnswer);
    this.#attempts.add(attempt);
    try {
      return await attempt;
    } finally {
      this.#attempts.delete(attempt);
    }
  }

  /** Ends the attempts in flight. Idle connections belong to `fetch`. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#attempts);
  }

  async #attempt(body: RequestBody, options: SendOptions): Promise<SendAnswer> {
    const unsent = unsentAnswer(options, this.#closing.signal.aborted);
    if (unsent !== undefined) return unsent;
    const bytes = bytesOf(body);
    if (bytes > REQUEST_BYTES_MAX) return tooLarge(bytes);

    const endpoint = this.#endpoints[options.signal];
    const timeoutMs = Math.min(endpoint.timeoutMs, options.deadlineMs);
    const exchange = new Exchange();
    const end = new AbortController();
    const timer = setTimeout(() => end.abort("deadline"), timeoutMs);
    const unlink = linkAborts(end, [options.abort, this.#closing.signal]);
    try {
      // The race makes sure of the end even where a given `fetch` ignores its signal.
      const answered = this.#exchange(body, endpoint, options, exchange, end.signal);
      const answer = await Promise.race([answered, aborted(end.signal)]);
      if (answer !== "ended") return answer;
      if (exchange.head !== undefined) return this.#judge(endpoint, options, { ...exchange.head, body: BROKEN_BODY });
      if (end.signal.reason === "shutdown") return shutdownAnswer(`to ${endpoint.host}`, exchange.began);
      return outOfTime(endpoint, timeoutMs, exchange.began);
    } finally {
      clearTimeout(timer);
      unlink();
    }
  }

  async #exchange(
    body: RequestBody,
    endpoint: Endpoint,
    options: SendOptions,
    exchange: Exchange,
    end: AbortSignal,
  ): Promise<SendAnswer | "ended"> {
    const payload = endpoint.gzip
      ? unshared(await promisify(gzip)(wholeOf(body), GZIP_OPTIONS))
      : this.#fetchTakesParts
      ? partsOf(body).map(unshared)
      : wholeOf(body);
    const bytes = bytesOf(payload);
    if (bytes > REQUEST_BYTES_MAX) return tooLarge(bytes);
    if (end.aborted) return "ended";
    const headers = new Headers(endpoint.headers);
    for (const [name, value] of Object.entries(options.headers ?? {})) headers.set(name, value);

    const fetch = this.#fetch; // A bare call: a platform's fetch refuses another object's `this`.
    try {
      exchange.began = true;
      const init = { method: "POST", headers, body: payload as BodyInit, redirect: "manual", signal: end } as const;
      const response = await fetch(endpoint.url, init);
      exchange.head = this.#headOf(response);
      const responseBody = await readBody(response, this.#responseBytesMax);
      return this.#judge(endpoint, options, { ...exchange.head, body: responseBody });
    } catch (error) {
      return end.aborted ? "ended" : unreachable(endpoint, error);
    }
  }

  #headOf({ status, headers }: Response): Omit<HttpAnswer, "body"> {
    return {
      status,
      retryAfterMs: parseRetryAfter(headers.get("retry-after"), this.#clock.wallMs()),
      contentType: (headers.get("content-type") ?? "").toLowerCase(),
      location: headers.get("location"),
    };
  }

  #judge(endpoint: Endpoint, { signal, itemCount }: SendOptions, http: HttpAnswer): SendAnswer {
    const { host } = endpoint;
    const sent = { host, signal, itemCount, succeeded: this.#succeeded, retryableStatuses: this.#retryableStatuses };
    const answer = answerTo(sent, http);
    if (answer.status === "delivered") this.#succeeded.add(signal);
    return { ...answer, message: withoutSecrets(endpoint, answer.message) };
  }
}

/** How far one attempt has come: what its end means depends on it. */
class Exchange {
  /** True from the moment at which bytes may have left. */
  began = false;
  /** The answer without its body, once its first line and headers are here. */
  head: Omit<HttpAnswer, "body"> | undefined;
}

function aborted(end: AbortSignal): Promise<"ended"> {
  return new Promise((resolve) => end.addEventListener("abort", () => resolve("ended"), { once: true }));
}

function outOfTime({ host }: Endpoint, timeoutMs: number, answerLost: boolean): SendAnswer {
  const message = `${host} did not answer within ${Math.round(timeoutMs)} ms`;
  return { status: "retryable", reason: "deadline", message, answerLost };
}

function unreachable({ host }: Endpoint, error: unknown): SendAnswer {
  const { cause, neverSent } = networkFailure(error);
  const message = neverSent ? `${host} cannot be reached: ${cause}` : `${host} broke off without an answer: ${cause}`;
  return { status: "retryable", reason: "export_failed", message, answerLost: !neverSent };
}

function tooLarge(bytes: number): SendAnswer {
  const message = `The request is ${bytes} bytes; OTLP allows ${REQUEST_BYTES_MAX}, so it was not sent`;
  return { status: "too_large", reason: "too_large", message };
}

function partsOf(body: RequestBody): readonly Uint8Array[] {
  return body instanceof Uint8Array ? [body] : body;
}

function wholeOf(body: RequestBody): Uint8Array<ArrayBuffer> {
  return unshared(mergeRequests(partsOf(body)));
}

function bytesOf(body: RequestBody): number {
  return partsOf(body).reduce((sum, part) => sum + part.length, 0);
}

/** `fetch` and `node:zlib` take no shared memory, and what they are given must not change under them. */
function unshared(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? bytes as Uint8Array<ArrayBuffer> : new Uint8Array(bytes);
}

function checkedStatuses(statuses: readonly number[]): ReadonlySet<number> {
  for (const status of statuses) {
    if (Number.isInteger(status) && status >= 400 && status <= 599) continue;
    throw new RangeError(
      `Cannot create HTTP transport: "retryableStatuses" must be integers from 400 to 599, received ${status}`,
    );
  }
  return new Set(statuses);
}
