import type { Signal } from "../signal.ts";
import { isId, SPAN_ID_BYTES, TRACE_ID_BYTES } from "./ids.ts";
import { type Field, ITEM_INDEX_END, MESSAGES, REQUESTS, WireType } from "./schema.ts";
import {
  badTag,
  DEPTH_MAX,
  endOfSize,
  endOfTag,
  endOfVarint,
  MalformedRequest,
  oversized,
  truncated,
  uint32At,
} from "./wire.ts";

/** What a request holds. */
export interface Skimmed {
  /** Spans, data points or log records, the invalid ones included. */
  readonly itemCount: number;
  /** Items whose trace or span id has a wrong length or is all zero. */
  readonly invalidCount: number;
}

/**
 * Walks through an OTLP protobuf request without decoding it: counts its items, and the ones among them that must be refused,
 * and makes sure that whoever decodes it later can.
 *
 * Every length, tag and nested message that the schema knows is checked; unknown fields are stepped over. Not checked is
 * whether strings are UTF-8.
 *
 * A span must have a trace id of 16 and a span id of 8 bytes, neither all zero; a log record may have none, but not a wrong one.
 * Data points have no ids.
 *
 * @throws {MalformedRequest} When the request cannot be decoded.
 */
export function skim(payload: Uint8Array, signal: Signal): Skimmed {
  const tally = { itemCount: 0, invalidCount: 0 };
  walk(payload, 0, payload.length, REQUESTS[signal].index, 0, tally);
  return tally;
}

interface Tally {
  itemCount: number;
  invalidCount: number;
}

/**
 * What to do at a tag, by message and tag: `ACTIONS[message * 256 + tag]`. A tag below 256 is a field number below 32, and OTLP
 * has no greater one. From `message` on, an action is a message to walk into: its index + `message`.
 */
const Action = {
  refuse: 0,
  varint: 1,
  fixed64: 2,
  fixed32: 3,
  bytes: 4,
  traceId: 5,
  spanId: 6,
  packedVarint: 7,
  packedFixed64: 8,
  message: 9,
} as const;

const ACTIONS = compileActions();
const LOG_RECORD_INDEX = 1;

/** One message, from `pos` to `end`. Bytes are read only below `end`. */
function walk(bytes: Uint8Array, pos: number, end: number, message: number, depth: number, tally: Tally): void {
  const row = message << 8;
  let traceIdAt = 0;
  let traceIdLength = 0;
  let spanIdAt = 0;
  let spanIdLength = 0;
  while (pos < end) {
    const start = pos;
    let tag = bytes[pos++];
    if (tag > 0x7f) {
      pos = endOfTag(bytes, start, end);
      tag = uint32At(bytes, start, pos);
    }
    const action = tag < 256 ? ACTIONS[row | tag] : actionOfUnknown(tag);
    if (action >= Action.bytes) {
      if (pos >= end) throw truncated(pos, "a length", end);
      let size = bytes[pos];
      if (size < 0x80) {
        pos++;
        if (size > end - pos) throw oversized(pos - 1, size, end - pos);
      } else {
        const after = endOfSize(bytes, pos, end);
        size = uint32At(bytes, pos, after);
        pos = after;
      }
      if (action >= Action.message) {
        const child = action - Action.message;
        if (depth === DEPTH_MAX) throw tooDeep(start);
        if (child < ITEM_INDEX_END) tally.itemCount++;
        walk(bytes, pos, pos + size, child, depth + 1, tally);
      } else if (action === Action.traceId) {
        traceIdAt = pos;
        traceIdLength = size;
      } else if (action === Action.spanId) {
        spanIdAt = pos;
        spanIdLength = size;
      } else if (action === Action.packedVarint) {
        for (let at = pos; at < pos + size;) at = endOfVarint(bytes, at, pos + size);
      } else if (action === Action.packedFixed64 && size % 8 !== 0) {
        throw new MalformedRequest(`at byte ${start}: expected packed values of 8 bytes, received ${size} bytes`);
      }
      pos += size;
    } else if (action === Action.fixed64) {
      pos += 8;
    } else if (action === Action.varint) {
      if (pos < end && bytes[pos] < 0x80) pos++;
      else pos = endOfVarint(bytes, pos, end);
    } else if (action === Action.fixed32) {
      pos += 4;
    } else {
      throw badTag(start, tag);
    }
  }
  if (pos > end) throw truncated(end, `${pos - end} more bytes`, end);
  if (message <= LOG_RECORD_INDEX) {
    // A log record may be without ids; a span may not.
    const mayLack = message === LOG_RECORD_INDEX;
    const traceIdFits = isId(bytes, traceIdAt, traceIdLength, TRACE_ID_BYTES) || (mayLack && traceIdLength === 0);
    const spanIdFits = isId(bytes, spanIdAt, spanIdLength, SPAN_ID_BYTES) || (mayLack && spanIdLength === 0);
    if (!traceIdFits || !spanIdFits) tally.invalidCount++;
  }
}

function tooDeep(at: number): MalformedRequest {
  return new MalformedRequest(`at byte ${at}: expected messages at most ${DEPTH_MAX} deep`);
}

function compileActions(): Uint8Array {
  const actions = new Uint8Array(MESSAGES.length * 256);
  for (const { index, fields } of MESSAGES) {
    const row = index << 8;
    for (let tag = 8; tag < 256; tag++) actions[row | tag] = actionOfUnknown(tag);
    for (const field of fields.values()) {
      // A known field with another wire type than its own cannot be decoded as what it must be.
      for (let wireType = 0; wireType < 8; wireType++) actions[row | field.number << 3 | wireType] = Action.refuse;
      actions[row | field.number << 3 | field.wireType] = actionOf(field);
      const packed = packedActionOf(field);
      if (packed !== undefined) actions[row | field.number << 3 | WireType.lengthDelimited] = packed;
    }
  }
  return actions;
}

function actionOf(field: Field): number {
  if (field.message !== undefined) return Action.message + field.message.index;
  if (field.scalar === "traceId") return Action.traceId;
  if (field.scalar === "spanId") return Action.spanId;
  return actionOfUnknown(field.number << 3 | field.wireType);
}

/** Repeated numbers may come packed, many in one field, or one by one. */
function packedActionOf(field: Field): number | undefined {
  if (!field.repeated) return undefined;
  if (field.wireType === WireType.varint) return Action.packedVarint;
  return field.wireType === WireType.fixed64 ? Action.packedFixed64 : undefined;
}

function actionOfUnknown(tag: number): number {
  switch (tag & 7) {
    case WireType.varint:
      return Action.varint;
    case WireType.fixed64:
      return Action.fixed64;
    case WireType.lengthDelimited:
      return Action.bytes;
    case WireType.fixed32:
      return Action.fixed32;
    default:
      return Action.refuse;
  }
}
