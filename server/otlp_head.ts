import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Encoding } from "../exporters/otlp/response.ts";
import { type Signal, SIGNALS } from "../exporters/signal.ts";
import { formatHops, HOP_HEADER, loopIn, parseHops } from "./hops.ts";
import { GRPC_HINT } from "./not_http.ts";

/** What the head of an OTLP/HTTP request says about its body. */
export interface OtlpHead {
  readonly signal: Signal;
  readonly encoding: Encoding;
  readonly gzip: boolean;
  /** The servers that forwarded it, as they are kept with the record. */
  readonly hops: string;
}

/** An answer other than 200: becomes a `google.rpc.Status`. */
export interface HttpRefusal {
  readonly status: 400 | 401 | 404 | 405 | 408 | 413 | 415 | 417 | 500 | 503;
  readonly message: string;
  /** The request's encoding, or JSON where it has none that is known. */
  readonly encoding: Encoding;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a head is held against. */
export interface HeadRules {
  /** Our own id in `breakwater-hop`. */
  readonly hopId: string;
  readonly token: BearerToken | undefined;
}

/** The content types of OTLP/HTTP. An answer has its request's. */
export const CONTENT_TYPES: Readonly<Record<Encoding, string>> = {
  protobuf: "application/x-protobuf",
  json: "application/json",
};

const SIGNAL_BY_PATH: ReadonlyMap<string, Signal> = new Map(SIGNALS.map((signal) => [`/v1/${signal}`, signal]));
const ENCODING_BY_TYPE: ReadonlyMap<string, Encoding> = new Map([
  [CONTENT_TYPES.protobuf, "protobuf"],
  [CONTENT_TYPES.json, "json"],
]);

/** Reads a request's head, before any of its body. What is refused here never takes memory. */
export function readHead(
  { method, url = "", headers }: { method?: string; url?: string; headers: IncomingHttpHeaders },
  { hopId, token }: HeadRules,
): OtlpHead | HttpRefusal {
  const mediaType = mediaTypeOf(headers["content-type"]);
  if (mediaType.startsWith("application/grpc")) return { status: 415, message: GRPC_HINT, encoding: "json" };
  const signal = SIGNAL_BY_PATH.get(pathOf(url));
  if (signal === undefined) {
    const paths = [...SIGNAL_BY_PATH.keys()].join(", ");
    return {
      status: 404,
      message: `There is nothing at this path. OTLP/HTTP is served at ${paths}.`,
      encoding: "json",
    };
  }
  if (method !== "POST") {
    return { status: 405, message: "Only POST is served here.", encoding: "json", headers: { allow: "POST" } };
  }
  const encoding = ENCODING_BY_TYPE.get(mediaType);
  if (encoding === undefined) {
    const types = [...ENCODING_BY_TYPE.keys()].join(" or ");
    return { status: 415, message: `"content-type" must be ${types}.`, encoding: "json" };
  }
  if (token !== undefined && !token.isIn(headers.authorization)) {
    const message = '"authorization" must be the bearer token of this server.';
    return { status: 401, message, encoding, headers: { "www-authenticate": "Bearer" } };
  }
  const contentEncoding = headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  if (!CONTENT_ENCODINGS.has(contentEncoding)) {
    const message = '"content-encoding" must be gzip or identity.';
    return { status: 415, message, encoding, headers: { "accept-encoding": "gzip, identity" } };
  }
  const hops = parseHops(single(headers[HOP_HEADER]));
  const loop = loopIn(hops, hopId);
  if (loop !== undefined) return { status: 400, message: loop, encoding };
  return { signal, encoding, gzip: contentEncoding.endsWith("gzip"), hops: formatHops(hops) };
}

/** What `content-encoding` may be; x-gzip is gzip's old name (RFC 9110). */
const CONTENT_ENCODINGS: ReadonlySet<string> = new Set(["identity", "", "gzip", "x-gzip"]);

/** A secret that a sender must show. Comparing takes the same time however much of a guess is right. */
export class BearerToken {
  readonly #digest: Uint8Array;

  constructor(token: string) {
    this.#digest = digestOf(token);
  }

  /** Whether an `Authorization` header shows it. */
  isIn(authorization: string | undefined): boolean {
    const [, token] = /^Bearer +(\S+) *$/i.exec(authorization ?? "") ?? [];
    return token !== undefined && timingSafeEqual(digestOf(token), this.#digest);
  }
}

/** Digests have one length, which `timingSafeEqual` asks for, and do not tell that of the token. */
function digestOf(token: string): Uint8Array {
  return createHash("sha256").update(token).digest();
}

/** The type without its parameters: `application/json; charset=utf-8` is JSON. */
function mediaTypeOf(contentType = ""): string {
  const parametersAt = contentType.indexOf(";");
  return (parametersAt < 0 ? contentType : contentType.slice(0, parametersAt)).trim().toLowerCase();
}

/** The path of a request target, which proxies may send as a whole URL. */
function pathOf(target: string): string {
  const path = target.startsWith("/") ? target : URL.parse(target)?.pathname ?? "";
  const queryAt = path.indexOf("?");
  return queryAt < 0 ? path : path.slice(0, queryAt);
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(",") : header;
}
