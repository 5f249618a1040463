import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { Readable } from "node:stream";
import { type Limit, withinLimits } from "../core/limits.ts";
import { mergeRequests } from "../exporters/otlp/merge.ts";

/** How a {@linkcode PlainFetch} keeps its connections. */
export interface PlainFetchOptions {
  /**
   * How long a connection is kept without a request, in milliseconds: less than the time after which what lies between
   * forgets it in silence, often 60 s. From 1 to 3 600 000.
   *
   * @default {50_000}
   */
  readonly idleTimeoutMs?: number;
}

const LIMITS = {
  idleTimeoutMs: { default: 50_000, min: 1, max: 3_600_000, integer: true },
} satisfies Record<keyof PlainFetchOptions, Limit>;

/** Statuses whose answers have no body, by the Fetch standard. */
const BODILESS_STATUSES: ReadonlySet<number> = new Set([204, 205, 304]);

/**
 * A `fetch` for the path that every byte takes: `http:` URLs are asked over `node:http`, which hands a body to the socket
 * as it is, where the runtime's `fetch` copies it twice. All other URLs go to the runtime's `fetch`. A body may be an
 * array of parts: nobody has to copy them behind each other.
 *
 * It does what forwarding asks for and no more: no redirects, no cookies, no compressed answers, no proxy. The body must
 * not change until the answer is here. Like Deno's `fetch`, Deno's `node:http` repeats a request, once, when the kept
 * connection that it was sent on broke before the answer.
 */
export class PlainFetch {
  /** To be given to whoever takes a `fetch`. */
  readonly fetch: typeof globalThis.fetch;
  readonly #agent: Agent;

  /**
   * @throws {RangeError} When the timeout is outside its range.
   * @throws {TypeError} When it is not a number.
   */
  constructor(options: PlainFetchOptions = {}) {
    const { idleTimeoutMs } = withinLimits("create plain fetch", options, LIMITS);
    this.#agent = new Agent({ keepAlive: true, timeout: idleTimeoutMs });
    this.fetch = (input, init = {}) => {
      if (typeof input === "string" && input.startsWith("http:")) return ask(this.#agent, input, init);
      const { body } = init;
      return fetch(input, { ...init, body: Array.isArray(body) ? mergeRequests(body) as BodyInit : body });
    };
  }

  /** Frees the connections. */
  close(): void {
    this.#agent.destroy();
  }
}

function ask(agent: Agent, url: string, { method, signal, ...init }: RequestInit): Promise<Response> {
  return new Promise((resolve, reject) => {
    const parts = partsOf(init.body);
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    const headers = { ...Object.fromEntries(new Headers(init.headers)), "content-length": bytes };
    const asked: ClientRequest = request(url, { agent, method, headers, signal: signal ?? undefined });
    asked.on("error", reject);
    asked.on("response", (answer) => {
      try {
        const response = responseOf(answer);
        if (response.body !== null) return resolve(response);
        // Only an answer that was read to its end gives its connection back, so the next request waits for that.
        answer.on("end", () => resolve(response)).resume();
      } catch (error) {
        // Some of what HTTP lets a backend say cannot be said by a `Response`.
        asked.destroy();
        reject(error);
      }
    });
    for (const part of parts) asked.write(part);
    asked.end();
  });
}

function partsOf(body: unknown): readonly Uint8Array[] {
  if (Array.isArray(body)) return body;
  return body instanceof Uint8Array ? [body] : [];
}

function responseOf(answer: IncomingMessage): Response {
  const { statusCode: status = 0, rawHeaders } = answer;
  const headers = new Headers();
  for (let at = 0; at < rawHeaders.length; at += 2) headers.append(rawHeaders[at], rawHeaders[at + 1]);
  const isEmpty = BODILESS_STATUSES.has(status) || headers.get("content-length") === "0";
  const body = isEmpty ? null : Readable.toWeb(answer) as ReadableStream<Uint8Array>;
  return new Response(body, { status, headers });
}
