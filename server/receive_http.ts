import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Clock, systemClock } from "../core/clock.ts";
import { type Limit, withinLimits } from "../core/limits.ts";
import type { Journal } from "../exporters/journal/journal.ts";
import { encodeExportResponse } from "../exporters/otlp/response.ts";
import type { Reason } from "../exporters/reason.ts";
import { ITEM_NAMES, type Signal } from "../exporters/signal.ts";
import { type Sleep, sleep as realSleep } from "../exporters/sleep.ts";
import type { Receipts } from "./account.ts";
import { type DecodedRequest, decodeRequest } from "./decode_request.ts";
import { type DecodeAnswer, DecodeWorker } from "./decode_worker.ts";
import { FullQueueNotes } from "./full_queue_notes.ts";
import { type IngestBudget, Reservation } from "./ingest_budget.ts";
import type { Log } from "./log.ts";
import { answerNotHttp } from "./not_http.ts";
import { BearerToken, CONTENT_TYPES, type HeadRules, type HttpRefusal, type OtlpHead, readHead } from "./otlp_head.ts";
import { OtlpRefusals, refusalBody } from "./otlp_refusals.ts";
import { announcedBytes, type BodyRead, readBody } from "./read_body.ts";
import { ReadDeadlines } from "./read_deadlines.ts";

/** The limits of an {@linkcode OtlpHttpReceiver}. */
export interface ReceiverLimits {
  /**
   * Bytes of one body, as it comes and inflated. From 1 to 1 GiB.
   *
   * @default {67_108_864}
   */
  readonly bodyBytesMax?: number;
  /**
   * How long a body may take to arrive, in milliseconds. From 1 to 3 600 000.
   *
   * @default {30_000}
   */
  readonly bodyReadTimeoutMs?: number;
  /**
   * How long the head of a request may take to arrive, in milliseconds. From 1 to 3 600 000.
   *
   * @default {10_000}
   */
  readonly headersTimeoutMs?: number;
  /**
   * How long a connection is kept without a request, in milliseconds: longer than the 60 s after which metrics are
   * usually sent again, so that a sender does not write into a connection that is just being closed. From 1 to 3 600 000.
   *
   * @default {75_000}
   */
  readonly keepAliveTimeoutMs?: number;
  /**
   * Connections at once; further ones are closed at once. From 1 to 1 000 000.
   *
   * @default {4096}
   */
  readonly connectionCountMax?: number;
  /**
   * When a sender that was refused for want of room may try again, in milliseconds; told in whole seconds. From 0 to
   * 3 600 000.
   *
   * @default {1000}
   */
  readonly retryAfterMs?: number;
  /**
   * The part of all traces that is kept, by the randomness of the trace id. From 0 to 1.
   *
   * @default {1}
   */
  readonly sampleRatio?: number;
}

/** What an {@linkcode OtlpHttpReceiver} works with. */
export interface OtlpHttpReceiverOptions extends ReceiverLimits {
  /** Where accepted requests go. */
  readonly journals: Readonly<Record<Signal, Journal>>;
  /** Who keeps the account of what came. */
  readonly receipts: Receipts;
  /** The memory that all receivers share. */
  readonly budget: IngestBudget;
  /** Our own id in `breakwater-hop`. */
  readonly hopId: string;
  /** The bearer token that senders must show, if any. */
  readonly ingestToken?: string;
  /** While it says yes, requests are refused with 503. Asked when a request begins. */
  readonly isDraining?: () => boolean;
  readonly log?: Log;
  readonly clock?: Clock;
  readonly sleep?: Sleep;
  /** Decodes large requests; closed with the receiver. */
  readonly decodeWorker?: DecodeWorker;
}

const LIMITS = {
  bodyBytesMax: { default: 67_108_864, min: 1, max: 1_073_741_824, integer: true },
  bodyReadTimeoutMs: { default: 30_000, min: 1, max: 3_600_000, integer: true },
  headersTimeoutMs: { default: 10_000, min: 1, max: 3_600_000, integer: true },
  keepAliveTimeoutMs: { default: 75_000, min: 1, max: 3_600_000, integer: true },
  connectionCountMax: { default: 4096, min: 1, max: 1_000_000, integer: true },
  retryAfterMs: { default: 1000, min: 0, max: 3_600_000, integer: true },
  sampleRatio: { default: 1, min: 0, max: 1, integer: false },
} satisfies Record<keyof ReceiverLimits, Limit>;

/** Larger bodies, compressed or inflated, go to the worker: about 4 ms of the main thread, by the speed of `skim`. */
const INLINE_PROTOBUF_BYTES_MAX = 1_048_576;

/** JSON takes some 15 times as long as protobuf, so less of it makes the others wait. */
const INLINE_JSON_BYTES_MAX = 131_072;

/** How often the runtime looks for connections whose time is up. */
const CONNECTION_CHECK_MS = 1000;

/**
 * OTLP/HTTP over `node:http`: takes requests, counts what is in them, and puts them into the journals. The answer is 200
 * when the journal has the record.
 *
 * ```
 *   head ──► body ──► inflate, translate, count, sample ──► journal ──► 200
 *    │        │                     │                          │
 *    └────────┴─────────────────────┴──────────────────────────┴──► 4xx or 503 and a google.rpc.Status
 * ```
 */
export class OtlpHttpReceiver {
  readonly #options: OtlpHttpReceiverOptions;
  readonly #limits: Readonly<Required<ReceiverLimits>>;
  readonly #rules: HeadRules;
  readonly #refusals: OtlpRefusals;
  readonly #clock: Clock;
  readonly #sleep: Sleep;
  readonly #deadlines: ReadDeadlines;
  readonly #fullQueues: FullQueueNotes;
  readonly #worker: DecodeWorker;
  readonly #server: Server;
  #closing = false;

  /**
   * @throws {RangeError} When a number is outside its range.
   * @throws {TypeError} When one is not a number.
   */
  constructor(options: OtlpHttpReceiverOptions) {
    this.#options = options;
    this.#limits = withinLimits<keyof ReceiverLimits>("create OTLP/HTTP receiver", options, LIMITS);
    this.#refusals = new OtlpRefusals(this.#limits);
    const { hopId, ingestToken, clock = systemClock, sleep = realSleep, decodeWorker } = options;
    this.#rules = { hopId, token: ingestToken === undefined ? undefined : new BearerToken(ingestToken) };
    this.#clock = clock;
    this.#sleep = sleep;
    this.#deadlines = new ReadDeadlines(this.#limits.bodyReadTimeoutMs, clock, sleep);
    this.#fullQueues = new FullQueueNotes(options.log ?? (() => {}), clock);
    this.#worker = decodeWorker ?? new DecodeWorker();
    this.#server = this.#createServer();
  }

  /** Opens the port. Rejects when it cannot be opened. */
  listen({ hostname, port }: { readonly hostname: string; readonly port: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, hostname, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
  }

  /** Where it listens; undefined while it does not. */
  get address(): { readonly hostname: string; readonly port: number } | undefined {
    const address = this.#server.address() as AddressInfo | null;
    return address === null ? undefined : { hostname: address.address, port: address.port };
  }

  /** `http://127.0.0.1:4318`; undefined while it does not listen. */
  get url(): string | undefined {
    if (this.address === undefined) return undefined;
    const { hostname, port } = this.address;
    return `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  }

  /** Takes no more connections, lets requests that have begun end until the deadline, and cuts off the others. */
  async close(deadlineMs = 0): Promise<void> {
    this.#closing = true;
    const ended = new AbortController();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    await Promise.race([closed, this.#sleep(deadlineMs, ended.signal)]);
    ended.abort();
    this.#server.closeAllConnections();
    await this.#worker.close();
    await closed;
  }

  #createServer(): Server {
    const { bodyReadTimeoutMs, headersTimeoutMs, keepAliveTimeoutMs, connectionCountMax } = this.#limits;
    const server = createServer({
      headersTimeout: headersTimeoutMs,
      // For what we do not read ourselves: the body of a request that was refused by its head.
      requestTimeout: headersTimeoutMs + bodyReadTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      connectionsCheckingInterval: CONNECTION_CHECK_MS,
    });
    server.maxConnections = connectionCountMax;
    server.on("request", (request, response) => this.#onRequest(request, response, false));
    server.on("checkContinue", (request, response) => this.#onRequest(request, response, true));
    server.on("checkExpectation", (request, response) => this.#onExpectation(request, response));
    server.on("clientError", answerNotHttp);
    return server;
  }

  #onRequest(request: IncomingMessage, response: ServerResponse, waitsForContinue: boolean): void {
    request.on("error", ignore);
    response.on("error", ignore);
    const head = readHead(request, this.#rules);
    const refusal = "status" in head ? head : this.#refusalBySize(head, announcedBytes(request) ?? 0);
    if (refusal !== undefined) {
      // Somebody who waits for leave to send may send all the same; the connection would then begin with a body.
      this.#refuse(response, refusal, waitsForContinue);
      return;
    }
    if (waitsForContinue) response.writeContinue();
    void this.#receive(request, response, head as OtlpHead);
  }

  #onExpectation(request: IncomingMessage, response: ServerResponse): void {
    request.on("error", ignore);
    response.on("error", ignore);
    this.#refuse(response, { status: 417, message: '"expect" must be 100-continue.', encoding: "json" }, true);
  }

  /** Why a body of that many bytes is not even begun. */
  #refusalBySize({ encoding }: OtlpHead, bytes: number): HttpRefusal | undefined {
    if (bytes > this.#limits.bodyBytesMax) return this.#refusals.tooLarge(encoding);
    if (bytes > this.#options.budget.freeBytes) return this.#refusals.overloaded(encoding);
    return undefined;
  }

  async #receive(request: IncomingMessage, response: ServerResponse, head: OtlpHead): Promise<void> {
    const draining = this.#options.isDraining?.() ?? false;
    const { bodyBytesMax } = this.#limits;
    const reservation = new Reservation(this.#options.budget);
    try {
      const read = await readBody(request, { bodyBytesMax, reservation, deadlines: this.#deadlines });
      if (read.status !== "complete") return this.#refuseBody(response, head, read.status);
      const inline = this.#decodeInline(head, read.body, reservation);
      const decoded = inline ?? await this.#decodeInWorker(head, read.body, reservation);
      if (decoded.outcome === "decoded") await this.#keep(response, head, decoded, draining);
      else this.#refuse(response, this.#refusals.notDecoded(head.encoding, decoded));
    } catch (error) {
      this.#options.log?.("error", `A request of ${head.signal} could not be received: ${error}`);
      this.#refuse(response, { status: 500, message: "The server has failed.", encoding: head.encoding });
    } finally {
      reservation.close();
    }
  }

  /** Undefined when the request is large, so that the worker should do it. */
  #decodeInline(head: OtlpHead, body: Uint8Array, reservation: Reservation): DecodeAnswer | undefined {
    const inlineBytesMax = head.encoding === "json" ? INLINE_JSON_BYTES_MAX : INLINE_PROTOBUF_BYTES_MAX;
    const { bodyBytesMax, sampleRatio } = this.#limits;
    if (body.length > inlineBytesMax) return undefined;
    const bytesBefore = reservation.bytes;
    const inflatedBytesMax = Math.min(inlineBytesMax, bodyBytesMax);
    if (head.gzip && !reservation.grow(inflatedBytesMax)) return NO_MEMORY;
    const decoded = decodeRequest({ ...head, body, sampleRatio }, inflatedBytesMax);
    if (decoded.outcome !== "decoded") reservation.shrinkTo(bytesBefore);
    else reservation.shrinkTo(Math.max(bytesBefore, decoded.payload.length));
    return decoded.outcome === "too_large" && inflatedBytesMax < bodyBytesMax ? undefined : decoded;
  }

  async #decodeInWorker(head: OtlpHead, body: Uint8Array, reservation: Reservation): Promise<DecodeAnswer> {
    const { signal, encoding, gzip } = head;
    const { bodyBytesMax, sampleRatio } = this.#limits;
    let inflatedBytesMax = bodyBytesMax;
    const begin = () => {
      // The inflated body, or what is translated from JSON, lies beside the body as it came.
      if (gzip) inflatedBytesMax = Math.min(bodyBytesMax, this.#options.budget.freeBytes);
      const bytesNeeded = gzip ? inflatedBytesMax : encoding === "json" ? body.length : 0;
      return inflatedBytesMax > 0 && reservation.grow(bytesNeeded) ? inflatedBytesMax : undefined;
    };
    const answer = await this.#worker.decode({ signal, encoding, gzip, body, sampleRatio }, begin);
    if (answer.outcome === "decoded") reservation.shrinkTo(answer.payload.length);
    return answer.outcome === "too_large" && inflatedBytesMax < bodyBytesMax ? NO_MEMORY : answer;
  }

  /** Puts what is good into the journal, tells the account, and answers. */
  async #keep(response: ServerResponse, head: OtlpHead, decoded: DecodedRequest, draining: boolean): Promise<void> {
    const { signal, encoding } = head;
    const { journals, receipts } = this.#options;
    const { itemCount, invalidCount, sampledCount } = decoded;
    const outcome = draining ? "shutdown" : await this.#append(head, decoded);
    receipts.received(signal, itemCount);
    if (outcome === "appended") this.#fullQueues.taken(signal);
    else {
      if (outcome === "queue_full") this.#fullQueues.refused(signal, itemCount);
      receipts.refused(signal, outcome, itemCount);
      return this.#refuse(response, this.#refusals.notKept(encoding, outcome));
    }
    if (sampledCount > 0) journals[signal].discard(sampledCount, "sampled");
    if (invalidCount > 0) receipts.refused(signal, "invalid", invalidCount);
    const items = ITEM_NAMES[signal];
    const partial = invalidCount === 0 ? undefined : {
      rejectedCount: invalidCount,
      message: `${invalidCount} of ${itemCount} ${items} have a trace or span id of the wrong length or all zero.`,
    };
    this.#answer(response, 200, CONTENT_TYPES[encoding], encodeExportResponse(signal, encoding, partial));
  }

  async #append({ signal, hops }: OtlpHead, decoded: DecodedRequest): Promise<"appended" | Reason> {
    const { payload, itemCount, invalidCount, sampledCount } = decoded;
    const keptCount = itemCount - invalidCount - sampledCount;
    // An empty request is taken, and there is nothing to keep of it.
    if (keptCount === 0) return "appended";
    const record = { payload, itemCount: keptCount, receivedAtMs: this.#clock.wallMs(), hops };
    try {
      return await this.#options.journals[signal].append(record);
    } catch (error) {
      this.#options.log?.("error", `The journal of ${signal} could not take a record: ${error}`);
      return "journal_full";
    }
  }

  #refuseBody(response: ServerResponse, { encoding }: OtlpHead, status: Exclude<BodyRead["status"], "complete">): void {
    if (status === "aborted") return;
    if (status === "too_large") this.#refuse(response, this.#refusals.tooLarge(encoding));
    else if (status === "memory_full") this.#refuse(response, this.#refusals.overloaded(encoding));
    else this.#refuse(response, { status: 408, message: "The body did not arrive in time.", encoding }, true);
  }

  #refuse(response: ServerResponse, refusal: HttpRefusal, thenClose = false): void {
    const { status, encoding, headers } = refusal;
    // What still comes of the body is thrown away, up to the request's timeout: unread, it would hold up the connection,
    // or reset it before the sender has seen the answer.
    response.req.resume();
    const connection = thenClose ? { connection: "close" } : undefined;
    const allHeaders = { ...headers, ...connection };
    this.#answer(response, status, CONTENT_TYPES[encoding], refusalBody(refusal), allHeaders);
  }

  #answer(
    response: ServerResponse,
    status: number,
    contentType: string,
    body: Uint8Array,
    headers?: Readonly<Record<string, string>>,
  ): void {
    if (response.headersSent || response.destroyed) return;
    const connection = this.#closing ? { connection: "close" } : undefined;
    response.writeHead(status, {
      "content-type": contentType,
      "content-length": body.length,
      ...headers,
      ...connection,
    });
    response.end(body);
  }
}

const NO_MEMORY: DecodeAnswer = { outcome: "failed", message: "There is no memory free to decode the request." };

/** What goes wrong with a connection shows as the end of its requests; the event needs a listener all the same. */
function ignore(): void {}
