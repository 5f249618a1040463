import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { requestFromJson } from "../otlp/json.ts";
import { skim } from "../otlp/skim.ts";
import { bySignal, type Signal, SIGNALS } from "../signal.ts";

/** Where the collector listens, and how much of what it has seen it keeps. */
export interface CollectorOptions {
  /** TCP port, 0 to 65535; 0 is any free one. @default {0} */
  readonly port?: number;
  /** Address to listen on. @default {"127.0.0.1"} */
  readonly hostname?: string;
  /** How many requests `requests` keeps; older ones are let go. 0 or more. @default {1000} */
  readonly requestCountMax?: number;
}

/** One request as it arrived, with its body inflated. */
export interface CollectedRequest {
  readonly signal: Signal;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
  /** Wall-clock time, in Unix milliseconds. */
  readonly receivedAt: number;
}

/** Which requests a fault is for. */
export interface FaultScope {
  /** Only this signal's requests; all signals when absent. */
  readonly signal?: Signal;
  /** Only requests whose body, inflated, is of this kind: how a payload is made on which a backend chokes; all when absent. */
  readonly when?: (payload: Uint8Array) => boolean;
  /** How many requests it is for, after which the next fault or health follows; until `recover()` when absent. */
  readonly times?: number;
}

/** What a scripted answer consists of beside its status. */
export interface ScriptedResponse extends FaultScope {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

/** How a hanging collector hangs. */
export interface HangOptions extends FaultScope {
  /** Sends a status of 200 and half a body first, and hangs then. @default {false} */
  readonly duringBody?: boolean;
}

/**
 * An OTLP/HTTP backend that behaves as told. It answers like a healthy one until a fault is scripted; faults are used
 * in the order in which they were asked for, and one without `times` takes the place of those without `times` before
 * it.
 */
export interface Collector extends AsyncDisposable {
  /** Base address, such as `http://127.0.0.1:40123`: what `OTEL_EXPORTER_OTLP_ENDPOINT` is set to. */
  readonly url: string;
  /** The three routes, as a transport takes them. */
  readonly endpoints: Readonly<Record<Signal, string>>;
  /** Items in the requests that were answered with success. */
  readonly items: Readonly<Record<Signal, number>>;
  /** The newest requests, oldest first, faulty answers included. */
  readonly requests: readonly CollectedRequest[];
  /** How many connections are open at this moment. */
  readonly connectionCount: number;
  /** Answers with this status. */
  respond(status: number, response?: ScriptedResponse): void;
  /** Reads requests and never answers them. */
  hang(options?: HangOptions): void;
  /** Reads requests and then cuts the connection. */
  disconnect(scope?: FaultScope): void;
  /** Stops listening and cuts every connection: the next one is refused. */
  refuse(): Promise<void>;
  /** Forgets all faults, cuts what hangs, and listens again on the same port. */
  recover(): Promise<void>;
}

type Fault =
  & FaultScope
  & ({ readonly kind: "respond"; readonly status: number; readonly response: ScriptedResponse } | {
    readonly kind: "hang";
    readonly duringBody: boolean;
  } | { readonly kind: "disconnect" });

const REQUEST_COUNT_MAX = 1_000;
/** The largest body that is read or inflated: OTLP's own limit for a request. */
const BODY_BYTES_MAX = 67_108_864;
const OTLP_PROTOBUF = "application/x-protobuf";
const OTLP_JSON = "application/json";

/**
 * Starts a collector that can be told to fail.
 *
 * @throws {Error} When the port is taken.
 *
 * @example
 * ```ts
 * await using collector = await startCollector();
 * collector.respond(503, { headers: { "retry-after": "1" }, times: 1 });
 * const send = () => fetch(collector.endpoints.traces, {
 *   method: "POST",
 *   headers: { "content-type": "application/x-protobuf" },
 *   body: new Uint8Array(),
 * });
 * const first = await send();
 * await first.body?.cancel();
 * const second = await send();
 * await second.body?.cancel();
 * console.assert(first.status === 503 && second.status === 200);
 * ```
 */
export async function startCollector(options: CollectorOptions = {}): Promise<Collector> {
  const collector = new ScriptedCollector(options);
  await collector.listen();
  return collector;
}

class ScriptedCollector implements Collector {
  readonly items: Record<Signal, number> = { traces: 0, metrics: 0, logs: 0 };
  readonly requests: CollectedRequest[] = [];
  readonly #hostname: string;
  readonly #requestCountMax: number;
  #port: number;
  #server: Server | undefined;
  #faults: Fault[] = [];
  #usesLeft = new Map<Fault, number>();
  #sockets = new Set<Socket>();
  #hung = new Set<Socket>();

  constructor(options: CollectorOptions) {
    this.#hostname = options.hostname ?? "127.0.0.1";
    this.#port = options.port ?? 0;
    this.#requestCountMax = options.requestCountMax ?? REQUEST_COUNT_MAX;
  }

  get url(): string {
    const host = this.#hostname.includes(":") ? `[${this.#hostname}]` : this.#hostname;
    return `http://${host}:${this.#port}`;
  }

  get endpoints(): Readonly<Record<Signal, string>> {
    return bySignal((signal) => `${this.url}/v1/${signal}`);
  }

  get connectionCount(): number {
    return this.#sockets.size;
  }

  respond(status: number, response: ScriptedResponse = {}): void {
    this.#script({ kind: "respond", status, response, ...scopeOf(response) });
  }

  hang(options: HangOptions = {}): void {
    this.#script({ kind: "hang", duringBody: options.duringBody ?? false, ...scopeOf(options) });
  }

  disconnect(scope: FaultScope = {}): void {
    this.#script({ kind: "disconnect", ...scopeOf(scope) });
  }

  async refuse(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async recover(): Promise<void> {
    this.#faults = [];
    this.#usesLeft.clear();
    for (const socket of this.#hung) socket.destroy();
    if (this.#server === undefined) await this.listen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.refuse();
  }

  listen(): Promise<void> {
    const server = createServer((request, response) => void this.#answer(request, response));
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {}); // A sender that goes away is part of the play.
      socket.on("close", () => {
        this.#sockets.delete(socket);
        this.#hung.delete(socket);
      });
    });
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, this.#hostname, () => {
        this.#port = (server.address() as AddressInfo).port;
        this.#server = server;
        resolve();
      });
    });
  }

  #script(fault: Fault): void {
    const replaces = (other: Fault) =>
      fault.times === undefined && other.times === undefined && other.signal === fault.signal &&
      other.when === fault.when;
    this.#faults = [...this.#faults.filter((other) => !replaces(other)), fault];
    if (fault.times !== undefined) this.#usesLeft.set(fault, fault.times);
  }

  #nextFault(signal: Signal, payload: Uint8Array): Fault | undefined {
    for (const fault of this.#faults) {
      if (fault.signal !== undefined && fault.signal !== signal) continue;
      if (fault.when !== undefined && !fault.when(payload)) continue;
      const usesLeft = this.#usesLeft.get(fault);
      if (usesLeft === undefined) return fault;
      if (usesLeft === 0) continue;
      this.#usesLeft.set(fault, usesLeft - 1);
      return fault;
    }
    return undefined;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "/").split("?")[0];
    const isJson = (request.headers["content-type"] ?? "").startsWith(OTLP_JSON);
    const type = isJson ? OTLP_JSON : OTLP_PROTOBUF;
    const signal = SIGNALS.find((name) => path.endsWith(`/v1/${name}`));
    let payload: Uint8Array;
    try {
      payload = await readBody(request);
    } catch {
      return reply(response, 400, { "content-type": "text/plain" }, "The body cannot be read");
    }
    if (request.method !== "POST") return reply(response, 405, { "content-type": "text/plain" }, "POST only");
    if (signal === undefined) return reply(response, 404, { "content-type": "text/plain" }, "No such path");

    this.#remember({ signal, path, headers: flatten(request.headers), payload, receivedAt: Date.now() });
    const fault = this.#nextFault(signal, payload);
    if (fault?.kind === "disconnect") {
      request.socket.destroy();
    } else if (fault?.kind === "hang") {
      this.#hung.add(request.socket);
      if (!fault.duringBody) return;
      this.#count(payload, signal, isJson);
      response.writeHead(200, { "content-type": type, "content-length": "1000" });
      response.write(new Uint8Array(500));
    } else {
      const status = fault?.status ?? 200;
      if (status >= 200 && status < 300) this.#count(payload, signal, isJson);
      const { headers, body } = fault?.response ?? {};
      reply(response, status, { "content-type": type, ...headers }, body ?? (isJson ? "{}" : ""));
    }
  }

  #count(payload: Uint8Array, signal: Signal, isJson: boolean): void {
    try {
      const request = isJson ? requestFromJson(new TextDecoder().decode(payload), signal) : payload;
      this.items[signal] += skim(request, signal).itemCount;
    } catch {
      // What is no request has no items; it is kept in `requests` all the same.
    }
  }

  #remember(request: CollectedRequest): void {
    this.requests.push(request);
    if (this.requests.length > this.#requestCountMax) this.requests.shift();
  }
}

function scopeOf(scope: FaultScope): FaultScope {
  return { signal: scope.signal, when: scope.when, times: scope.times };
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new RangeError("The body is too large");
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  const inflated = request.headers["content-encoding"] === "gzip"
    ? await promisify(gunzip)(body, { maxOutputLength: BODY_BYTES_MAX })
    : body;
  return new Uint8Array(inflated);
}

function reply(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array | string,
): void {
  response.writeHead(status, { ...headers, "content-length": String(Buffer.byteLength(body)) });
  response.end(body);
}

function flatten(headers: IncomingMessage["headers"]): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    flat[name] = Array.isArray(value) ? value.join(", ") : value ?? "";
  }
  return flat;
}
