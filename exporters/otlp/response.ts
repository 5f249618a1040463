import type { Signal } from "../signal.ts";
import { WireType } from "./schema.ts";
import { FieldReader, MalformedRequest, WireWriter } from "./wire.ts";

/** The two encodings of OTLP/HTTP: `application/x-protobuf` and `application/json`. */
export type Encoding = "protobuf" | "json";

/** What an `Export…ServiceResponse` says when it says more than "all taken". */
export interface PartialSuccess {
  /** How many of the request's items were refused for good; 0 makes the message a warning. */
  readonly rejectedCount: number;
  readonly message: string;
}

/** A response is at most this large, as OTLP asks: a client reads no more of it. */
export const RESPONSE_BYTES_MAX = 4_194_304;

const REJECTED_NAMES: Readonly<Record<Signal, string>> = {
  traces: "rejectedSpans",
  metrics: "rejectedDataPoints",
  logs: "rejectedLogRecords",
};

/** The field numbers of `Export…ServiceResponse` and of its partial success, which are the same for every signal. */
const PARTIAL_SUCCESS = 1;
const REJECTED_COUNT = 1;
const ERROR_MESSAGE = 2;

/**
 * The body of a 200 answer to an export. A full success is the empty message: no bytes, or `{}`. A message too long for
 * {@linkcode RESPONSE_BYTES_MAX} is cut.
 */
export function encodeExportResponse(
  signal: Signal,
  encoding: Encoding,
  partial?: PartialSuccess,
): Uint8Array<ArrayBuffer> {
  const encode = encoding === "json" ? responseToJson : responseToProtobuf;
  const body = encode(signal, partial);
  if (body.length <= RESPONSE_BYTES_MAX || partial === undefined) return body;
  return encode(signal, { rejectedCount: partial.rejectedCount, message: cutMessage(partial.message) });
}

function responseToJson(signal: Signal, partial?: PartialSuccess): Uint8Array<ArrayBuffer> {
  if (partial === undefined || isFullSuccess(partial)) return encodeJson({});
  const { rejectedCount, message } = partial;
  return encodeJson({
    partialSuccess: {
      // 64-bit integers are strings in protobuf's JSON.
      ...(rejectedCount > 0 && { [REJECTED_NAMES[signal]]: String(rejectedCount) }),
      ...(message !== "" && { errorMessage: message }),
    },
  });
}

function responseToProtobuf(_signal: Signal, partial?: PartialSuccess): Uint8Array<ArrayBuffer> {
  if (partial === undefined || isFullSuccess(partial)) return new Uint8Array();
  const { rejectedCount, message } = partial;
  const writer = new WireWriter(message.length + 32);
  writer.tag(PARTIAL_SUCCESS, WireType.lengthDelimited);
  const mark = writer.open();
  if (rejectedCount > 0) {
    writer.tag(REJECTED_COUNT, WireType.varint);
    writer.varint64(rejectedCount, Math.floor(rejectedCount / 4_294_967_296));
  }
  if (message !== "") {
    writer.tag(ERROR_MESSAGE, WireType.lengthDelimited);
    writer.string(message);
  }
  writer.close(mark);
  return writer.finish();
}

function isFullSuccess({ rejectedCount, message }: PartialSuccess): boolean {
  return rejectedCount === 0 && message === "";
}

/**
 * What a backend's 200 answer says: undefined when it took everything and has nothing to add.
 *
 * @throws {MalformedRequest} When the body cannot be read. The request was taken all the same.
 */
export function decodeExportResponse(body: Uint8Array, encoding: Encoding, signal: Signal): PartialSuccess | undefined {
  if (body.length === 0) return undefined;
  const partial = encoding === "json" ? readJson(body, signal) : readProtobuf(body);
  // A count below zero means nothing; it is not allowed to give items back.
  const rejectedCount = Math.min(Math.max(partial.rejectedCount, 0), Number.MAX_SAFE_INTEGER);
  const clamped = { rejectedCount, message: partial.message };
  return isFullSuccess(clamped) ? undefined : clamped;
}

function readProtobuf(body: Uint8Array): PartialSuccess {
  let rejectedCount = 0;
  let message = "";
  const response = new FieldReader(body);
  while (response.next()) {
    if (response.number !== PARTIAL_SUCCESS) continue;
    response.expect(WireType.lengthDelimited);
    const partial = new FieldReader(body, response.valueStart, response.end);
    while (partial.next()) {
      if (partial.number === REJECTED_COUNT) {
        partial.expect(WireType.varint);
        rejectedCount = partial.int64;
      } else if (partial.number === ERROR_MESSAGE) {
        partial.expect(WireType.lengthDelimited);
        message = new TextDecoder().decode(partial.value);
      }
    }
  }
  return { rejectedCount, message };
}

function readJson(body: Uint8Array, signal: Signal): PartialSuccess {
  const response = parseJsonObject(body);
  const partial = response.partialSuccess ?? {};
  if (!isObject(partial)) throw new MalformedRequest("partialSuccess must be an object");
  const rejected = partial[REJECTED_NAMES[signal]] ?? 0;
  const rejectedCount = typeof rejected === "string" && /^-?\d+$/.test(rejected) ? Number(rejected) : rejected;
  if (typeof rejectedCount !== "number" || !Number.isInteger(rejectedCount)) {
    throw new MalformedRequest(`partialSuccess.${REJECTED_NAMES[signal]} must be an integer`);
  }
  const message = partial.errorMessage ?? "";
  if (typeof message !== "string") throw new MalformedRequest("partialSuccess.errorMessage must be a string");
  return { rejectedCount, message };
}

/** The JSON object that a body holds. @throws {MalformedRequest} When it holds something else. */
export function parseJsonObject(body: Uint8Array): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(body));
  } catch (error) {
    throw new MalformedRequest(`the body is not JSON: ${(error as Error).message}`);
  }
  if (!isObject(parsed)) throw new MalformedRequest("the body must be a JSON object");
  return parsed;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function encodeJson(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** As much of a message as always fits into a response: a character takes at most 6 bytes, escaped in JSON. */
export function cutMessage(message: string): string {
  return message.slice(0, Math.floor((RESPONSE_BYTES_MAX - ENVELOPE_BYTES_MAX) / 6));
}

/** What lies around the message in the largest answer without details: names, a code, a count. */
const ENVELOPE_BYTES_MAX = 4096;
