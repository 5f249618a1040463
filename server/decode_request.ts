import { gunzipSync } from "node:zlib";
import { filterItems } from "../exporters/otlp/filter.ts";
import { requestFromJson } from "../exporters/otlp/json.ts";
import type { Encoding } from "../exporters/otlp/response.ts";
import { keepsTrace } from "../exporters/otlp/sampling.ts";
import { skim } from "../exporters/otlp/skim.ts";
import { MalformedRequest } from "../exporters/otlp/wire.ts";
import type { Signal } from "../exporters/signal.ts";
import { isTooHeavy, JSON_CONTAINERS_MAX } from "./json_weight.ts";

/** A body as it came, and what must be known to read it. */
export interface EncodedRequest {
  readonly body: Uint8Array;
  readonly gzip: boolean;
  readonly encoding: Encoding;
  readonly signal: Signal;
  /** The part of all traces that is kept, from 0 to 1. Other signals are not sampled. */
  readonly sampleRatio: number;
}

/** A request that could be read. */
export interface DecodedRequest {
  readonly outcome: "decoded";
  /** OTLP protobuf with the items that are kept. It shares no memory with anything larger than itself. */
  readonly payload: Uint8Array;
  /** Items that came, whatever becomes of them. */
  readonly itemCount: number;
  /** Items among them that are no good, and not in the payload. */
  readonly invalidCount: number;
  /** Good items that sampling leaves out, and not in the payload. */
  readonly sampledCount: number;
}

/** A request that could not be read, for good. */
export interface UnreadableRequest {
  /** `too_large` in bytes; `too_heavy` in objects that would have to be made of them. */
  readonly outcome: "malformed" | "too_large" | "too_heavy";
  readonly message: string;
}

/** What zlib allocates at a time for its output when the size is not known. */
const INFLATE_CHUNK_BYTES = 65_536;

/** The smallest piece of output that `node:zlib` takes. */
const INFLATE_CHUNK_BYTES_MIN = 64;

/** A journal keeps what it is given, so no more than this much of it may be memory that nobody looks at. */
const SLACK_BYTES_MAX = 4096;

/**
 * Inflates a request, translates it to protobuf, counts its items, and leaves out those that are invalid or not
 * sampled. A pure function that allocates at most `inflatedBytesMax` for the inflated body: a small body that grows
 * without end ends there.
 */
export function decodeRequest(request: EncodedRequest, inflatedBytesMax: number): DecodedRequest | UnreadableRequest {
  try {
    const inflated = request.gzip ? inflate(request.body, inflatedBytesMax) : request.body;
    if (inflated === undefined || inflated.length > inflatedBytesMax) {
      return {
        outcome: "too_large",
        message: `The body must be at most ${inflatedBytesMax} bytes, also when inflated.`,
      };
    }
    if (request.encoding === "json" && isTooHeavy(inflated)) {
      return {
        outcome: "too_heavy",
        message: `The body must hold at most ${JSON_CONTAINERS_MAX} JSON objects and arrays. Send less at once.`,
      };
    }
    return select(toProtobuf(inflated, request), request);
  } catch (error) {
    if (error instanceof MalformedRequest) return { outcome: "malformed", message: error.message };
    throw error;
  }
}

/** The inflated body; undefined when it would be larger than `bytesMax`. */
function inflate(body: Uint8Array, bytesMax: number): Uint8Array | undefined {
  try {
    return gunzipSync(body, { maxOutputLength: bytesMax, chunkSize: outputBytesGuess(body, bytesMax) });
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    if (code === "ERR_BUFFER_TOO_LARGE") return undefined;
    if (code?.startsWith("Z_")) throw new MalformedRequest(`the body is not gzip: ${message}`);
    throw error;
  }
}

/**
 * How much output zlib should make room for at once. One step, without joining pieces, takes half the time and half the
 * memory, and an honest sender says the size in the last four bytes (RFC 1952). They may lie, and they are only the
 * last member's, so nothing else is decided by them; each step that they make too small is still at least half as large
 * as the body.
 */
function outputBytesGuess(body: Uint8Array, bytesMax: number): number {
  const at = body.length - 4;
  if (at < 0) return INFLATE_CHUNK_BYTES;
  const size = (body[at] | body[at + 1] << 8 | body[at + 2] << 16 | body[at + 3] << 24) >>> 0;
  if (size * 2 < body.length || size > bytesMax) return INFLATE_CHUNK_BYTES;
  // One byte more, because zlib must see that there is no more.
  return Math.max(size + 1, INFLATE_CHUNK_BYTES_MIN);
}

function toProtobuf(body: Uint8Array, { encoding, signal }: EncodedRequest): Uint8Array {
  // An empty body is the empty request, in JSON too.
  return encoding === "json" && body.length > 0 ? requestFromJson(textOf(body), signal) : body;
}

function textOf(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw new MalformedRequest("the body is not UTF-8");
  }
}

function select(payload: Uint8Array, { signal, sampleRatio }: EncodedRequest): DecodedRequest {
  const { itemCount, invalidCount } = skim(payload, signal);
  const samples = signal === "traces" && sampleRatio < 1;
  if (invalidCount === 0 && !samples) {
    return { outcome: "decoded", payload: compact(payload), itemCount, invalidCount, sampledCount: 0 };
  }
  const kept = filterItems(payload, signal, ({ valid, traceId }) => {
    return valid && (!samples || traceId === undefined || keepsTrace(traceId, sampleRatio));
  });
  const sampledCount = itemCount - invalidCount - kept.itemCount;
  return { outcome: "decoded", payload: compact(kept.payload), itemCount, invalidCount, sampledCount };
}

/** The same bytes as a plain array of their own, unless they have their memory (nearly) to themselves already. */
function compact(bytes: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = bytes;
  if (buffer.byteLength - length <= SLACK_BYTES_MAX && buffer.byteLength < 2 * length) {
    return bytes.constructor === Uint8Array ? bytes : new Uint8Array(buffer, byteOffset, length);
  }
  return new Uint8Array(bytes);
}
