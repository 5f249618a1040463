import type { Signal } from "../signal.ts";
import { isId, SPAN_ID_BYTES, TRACE_ID_BYTES } from "./ids.ts";
import { type Field, ITEM_INDEX_END, messageOf, MESSAGES, REQUESTS, WireType } from "./schema.ts";
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
 * Walks through an OTLP protobuf request without decoding it: counts its items, and the ones among them that must be
 * refused, and makes sure that whoever decodes it later can.
 *
 * Every length, tag and nested message that the schema knows is checked; unknown fields are stepped over. Not checked
 * is whether strings are UTF-8.
 *
 * A span must have a trace id of 16 and a span id of 8 bytes, neither all zero; a log record may have none, but not a
 * wrong one. Data points have no ids.
 *
 * @throws {MalformedRequest} When the request cannot be decoded.
 */
export function skim(payload: Uint8Array, signal: Signal): Skimmed {
  return walk(payload, REQUESTS[signal].index << 8);
}

/**
 * What to do at a tag, by message and tag: `ACTIONS[message * 256 + tag]`. A tag below 256 is a field number below 32,
 * and OTLP has no greater one. From `bytes` on there is a length; from `message` on, a message to walk into: `message`
 * and its index, added up.
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
const KEY_VALUE = Action.message + messageOf("KeyValue").index;

/** Rows of the table, where `row` is a message's index * 256: a span's, and where those of items end. */
const SPAN_ROW = messageOf("Span").index << 8;
const ITEM_ROWS_END = ITEM_INDEX_END << 8;

/** What is known of an id. */
const ABSENT = 0;
const VALID = 1;
const WRONG = 2;

/**
 * Walks a request whose message has the row given: one loop with a stack of its own, three times as fast as calls, and
 * however deep the messages lie, nothing overflows. Bytes are read only below `end`, the end of the message that `pos`
 * is in.
 */
function walk(bytes: Uint8Array, requestRow: number): Skimmed {
  const outerEnds = new Int32Array(DEPTH_MAX);
  const outerRows = new Int32Array(DEPTH_MAX);
  let depth = 0;
  let row = requestRow;
  let pos = 0;
  let end = bytes.length;
  let traceId = ABSENT;
  let spanId = ABSENT;
  let itemCount = 0;
  let invalidCount = 0;
  for (;;) {
    if (pos >= end) {
      if (pos > end) throw truncated(end, `${pos - end} more bytes`, end);
      if (depth === 0) return { itemCount, invalidCount };
      if (row === SPAN_ROW) {
        if (traceId !== VALID || spanId !== VALID) invalidCount++;
      } else if (row < ITEM_ROWS_END) {
        if (traceId === WRONG || spanId === WRONG) invalidCount++;
      }
      depth--;
      end = outerEnds[depth];
      row = outerRows[depth];
      continue;
    }
    let tag = bytes[pos++];
    if (tag > 0x7f) {
      // Two bytes are read here, where it is cheap, and what is longer elsewhere; the same below.
      if (pos < end && bytes[pos] < 0x80) tag = tag & 0x7f | bytes[pos++] << 7;
      else {
        const start = pos - 1;
        pos = endOfTag(bytes, start, end);
        tag = uint32At(bytes, start, pos);
      }
    }
    const action = tag < 256 ? ACTIONS[row | tag] : actionOfUnknown(tag);
    if (action >= Action.bytes) {
      if (pos >= end) throw truncated(pos, "a length", end);
      let size = bytes[pos++];
      if (size > 0x7f) {
        if (pos < end && bytes[pos] < 0x80) size = size & 0x7f | bytes[pos++] << 7;
        else {
          const start = pos - 1;
          pos = endOfSize(bytes, start, end);
          size = uint32At(bytes, start, pos);
        }
      }
      if (size > end - pos) throw oversized(pos - 1, size, end - pos);
      if (action >= Action.message) {
        if (action !== KEY_VALUE || !isPlainAttribute(bytes, pos, pos + size)) {
          if (depth === DEPTH_MAX) throw tooDeep(pos);
          outerEnds[depth] = end;
          outerRows[depth] = row;
          depth++;
          end = pos + size;
          row = (action - Action.message) << 8;
          if (row < ITEM_ROWS_END) {
            itemCount++;
            traceId = ABSENT;
            spanId = ABSENT;
          }
          continue;
        }
      } else if (action !== Action.bytes) {
        if (action === Action.traceId) traceId = idState(bytes, pos, size, TRACE_ID_BYTES);
        else if (action === Action.spanId) spanId = idState(bytes, pos, size, SPAN_ID_BYTES);
        else checkPacked(bytes, pos, size, action);
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
      throw badTag(pos - 1, tag);
    }
  }
}

function idState(bytes: Uint8Array, at: number, length: number, lengthWanted: number): number {
  if (length === 0) return ABSENT;
  return isId(bytes, at, length, lengthWanted) ? VALID : WRONG;
}

/**
 * Whether the `KeyValue` between `start` and `end` is one of those that nearly all are: a short key and then a short
 * string, an integer, a boolean or a double, and nothing else. A glance finds them in order; all others are walked like
 * any message.
 */
function isPlainAttribute(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 6 || bytes[start] !== TAG_KEY) return false;
  const value = start + 2 + bytes[start + 1];
  if (bytes[start + 1] > 0x7f || value + 4 > end || bytes[value] !== TAG_VALUE) return false;
  if (bytes[value + 1] > 0x7f || value + 2 + bytes[value + 1] !== end) return false;
  switch (bytes[value + 2]) {
    case TAG_STRING_VALUE:
      return bytes[value + 3] < 0x80 && value + 4 + bytes[value + 3] === end;
    case TAG_BOOL_VALUE:
    case TAG_INT_VALUE:
      return isVarint(bytes, value + 3, end);
    case TAG_DOUBLE_VALUE:
      return value + 11 === end;
    default:
      return false;
  }
}

const TAG_KEY = 1 << 3 | WireType.lengthDelimited;
const TAG_VALUE = 2 << 3 | WireType.lengthDelimited;
const TAG_STRING_VALUE = 1 << 3 | WireType.lengthDelimited;
const TAG_BOOL_VALUE = 2 << 3 | WireType.varint;
const TAG_INT_VALUE = 3 << 3 | WireType.varint;
const TAG_DOUBLE_VALUE = 4 << 3 | WireType.fixed64;

/** Whether exactly one varint lies between `start` and `end`. */
function isVarint(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > 10 || bytes[end - 1] > 0x7f) return false;
  for (let pos = start; pos < end - 1; pos++) {
    if (bytes[pos] < 0x80) return false;
  }
  return true;
}

function checkPacked(bytes: Uint8Array, at: number, size: number, action: number): void {
  if (action === Action.packedVarint) {
    for (let pos = at; pos < at + size;) pos = endOfVarint(bytes, pos, at + size);
  } else if (size % 8 !== 0) {
    throw new MalformedRequest(`at byte ${at}: expected packed values of 8 bytes, received ${size} bytes`);
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
      actions[row | field.number << 3 | field.wireType] = actionOf(field, index < ITEM_INDEX_END);
      const packed = packedActionOf(field);
      if (packed !== undefined) actions[row | field.number << 3 | WireType.lengthDelimited] = packed;
    }
  }
  return actions;
}

function actionOf(field: Field, isItem: boolean): number {
  if (field.message !== undefined) return Action.message + field.message.index;
  if (isItem && field.scalar === "traceId") return Action.traceId;
  if (isItem && field.scalar === "spanId") return Action.spanId;
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
