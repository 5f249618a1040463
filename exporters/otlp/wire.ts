/**
 * The wire format of protobuf, as much of it as OTLP needs.
 *
 * Tags and lengths take up to 5 bytes, values up to 10, minimal or not, as in protobuf's own libraries. Every read is
 * checked against the end of the message it is in.
 *
 * @module
 */

import { WireType } from "./schema.ts";

/** How deep messages may lie in one another, the request itself at 0: the limit of protobuf's own libraries. */
export const DEPTH_MAX = 100;

const TAG_BYTES_MAX = 5;
const SIZE_BYTES_MAX = 5;
const VALUE_BYTES_MAX = 10;

/** Up to here writing byte by byte is the faster way; its length takes one byte. */
const SHORT_TEXT_LENGTH_MAX = 48;
/** The most that one character takes in UTF-8: with this much room the encoder always gets on. */
const CHARACTER_BYTES_MAX = 4;
const TWO_TO_32 = 4_294_967_296;

/**
 * What came in cannot be decoded: the sender's mistake, for good. The message says what, where, and what was expected.
 */
export class MalformedRequest extends Error {
  override readonly name = "MalformedRequest";

  constructor(problem: string) {
    super(`Cannot decode OTLP: ${problem}`);
  }
}

/**
 * The position after the varint at `at`.
 *
 * @throws {MalformedRequest} When it does not end before `end` or in `bytesMax`.
 */
export function endOfVarint(bytes: Uint8Array, at: number, end: number, bytesMax = VALUE_BYTES_MAX): number {
  const last = Math.min(end, at + bytesMax);
  for (let pos = at; pos < last; pos++) {
    if (bytes[pos] < 0x80) return pos + 1;
  }
  if (last === end) throw truncated(at, "a varint", end);
  throw new MalformedRequest(`at byte ${at}: expected a varint of at most ${bytesMax} bytes`);
}

/** The position after the tag at `at`; its value is then `uint32At(bytes, at, position)`. @throws {MalformedRequest} */
export function endOfTag(bytes: Uint8Array, at: number, end: number): number {
  const after = endOfVarint(bytes, at, end, TAG_BYTES_MAX);
  // The fifth byte has room for the four highest of 32 bits.
  if (after - at === TAG_BYTES_MAX && bytes[after - 1] > 0x0f) {
    throw new MalformedRequest(`at byte ${at}: expected a field number below 536870912`);
  }
  return after;
}

/**
 * The position after the length at `at`.
 *
 * @throws {MalformedRequest} When what it measures does not end before `end`.
 */
export function endOfSize(bytes: Uint8Array, at: number, end: number): number {
  const after = endOfVarint(bytes, at, end, SIZE_BYTES_MAX);
  const size = after - at === SIZE_BYTES_MAX && bytes[after - 1] > 0x0f ? Infinity : uint32At(bytes, at, after);
  if (size > end - after) throw oversized(at, size, end - after);
  return after;
}

/** The low 32 bits of the varint that lies between `at` and `after`. */
export function uint32At(bytes: Uint8Array, at: number, after: number): number {
  let value = 0;
  const last = Math.min(after, at + 5);
  for (let pos = at, shift = 0; pos < last; pos++, shift += 7) value |= (bytes[pos] & 0x7f) << shift;
  return value >>> 0;
}

/** The error for a message that ends too soon. */
export function truncated(at: number, expected: string, end: number): MalformedRequest {
  return new MalformedRequest(`at byte ${at}: expected ${expected}, found the end of its message at byte ${end}`);
}

/** The error for a length that leads out of its message. */
export function oversized(at: number, size: number, left: number): MalformedRequest {
  return new MalformedRequest(`at byte ${at}: expected a length of at most ${left}, received ${size}`);
}

/** The error for a tag that no proto3 message can have here. */
export function badTag(at: number, tag: number): MalformedRequest {
  const number = tag >>> 3;
  const wireType = tag & 7;
  if (number === 0) return new MalformedRequest(`at byte ${at}: expected a field number from 1, received 0`);
  const groups = wireType === 3 || wireType === 4 ? " (groups are not part of proto3)" : "";
  return new MalformedRequest(`at byte ${at}: field ${number} cannot have the wire type ${wireType}${groups}`);
}

/** Steps over the fields of one message, one at a time, without allocating. */
export class FieldReader {
  /** The field's number and wire type. */
  number = 0;
  wireType = 0;
  /** Where its tag begins, where its value begins (after the length, if it has one), and where it ends. */
  start = 0;
  valueStart = 0;
  end: number;
  readonly bytes: Uint8Array;
  readonly #limit: number;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.end = start;
    this.#limit = end;
  }

  /** Moves to the next field; false when there is none. @throws {MalformedRequest} */
  next(): boolean {
    const { bytes } = this;
    const limit = this.#limit;
    const start = this.end;
    if (start >= limit) return false;
    const afterTag = endOfTag(bytes, start, limit);
    const tag = uint32At(bytes, start, afterTag);
    this.start = start;
    this.number = tag >>> 3;
    this.wireType = tag & 7;
    this.valueStart = afterTag;
    if (this.number === 0) throw badTag(start, tag);
    switch (this.wireType) {
      case WireType.varint:
        this.end = endOfVarint(bytes, afterTag, limit);
        return true;
      case WireType.fixed64:
        this.end = afterTag + 8;
        break;
      case WireType.fixed32:
        this.end = afterTag + 4;
        break;
      case WireType.lengthDelimited:
        this.valueStart = endOfSize(bytes, afterTag, limit);
        this.end = this.valueStart + uint32At(bytes, afterTag, this.valueStart);
        return true;
      default:
        throw badTag(start, tag);
    }
    if (this.end > limit) throw truncated(start, `${this.end - afterTag} bytes`, limit);
    return true;
  }

  /** @throws {MalformedRequest} When this field, known by its number, has not the wire type that it must have. */
  expect(wireType: number): void {
    if (this.wireType !== wireType) throw badTag(this.start, this.number << 3 | this.wireType);
  }

  /** The value of a length-delimited field: a view, not a copy. */
  get value(): Uint8Array {
    return this.bytes.subarray(this.valueStart, this.end);
  }

  /** The value of a varint field as a signed 64-bit integer, to the precision of a number. */
  get int64(): number {
    let low = 0;
    let high = 0;
    for (let pos = this.valueStart, bit = 0; pos < this.end; pos++, bit += 7) {
      const seven = this.bytes[pos] & 0x7f;
      if (bit < 32) low |= seven << bit;
      if (bit === 28) high |= seven >>> 4;
      if (bit > 32) high |= seven << (bit - 32);
    }
    return high * TWO_TO_32 + (low >>> 0);
  }
}

/** Writes protobuf into a buffer that grows. Lengths come out minimal. */
export class WireWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;
  readonly #encoder = new TextEncoder();

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(Math.max(capacity, 64));
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Writes an unsigned integer of up to 32 bits. */
  uint32(value: number): void {
    this.#reserve(5);
    this.#length = writeUint32(this.#bytes, this.#length, value);
  }

  /** Writes a 64-bit integer as a varint, from its two halves. */
  varint64(low: number, high: number): void {
    this.#reserve(10);
    let lowRest = low >>> 0;
    let highRest = high >>> 0;
    while (highRest > 0 || lowRest > 0x7f) {
      this.#bytes[this.#length++] = lowRest & 0x7f | 0x80;
      lowRest = (lowRest >>> 7 | highRest << 25) >>> 0;
      highRest >>>= 7;
    }
    this.#bytes[this.#length++] = lowRest;
  }

  fixed32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  /** Writes a 64-bit integer in 8 bytes, from its two halves. */
  fixed64(low: number, high: number): void {
    this.fixed32(low);
    this.fixed32(high);
  }

  double(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  tag(number: number, wireType: number): void {
    this.uint32(number << 3 | wireType);
  }

  /** Writes a length and the bytes. */
  bytes(value: Uint8Array): void {
    this.uint32(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** Writes a length and the text in UTF-8. */
  string(text: string): void {
    const mark = this.open();
    // A short ASCII text, as most are, is written faster here than by the platform's encoder.
    if (text.length <= SHORT_TEXT_LENGTH_MAX && this.#ascii(text)) {
      this.#bytes[mark - 1] = text.length;
      return;
    }
    // As much as fits at a time: room for three bytes a unit, the most it can take, would be three times what most
    // texts need.
    for (let rest = text; rest !== "";) {
      this.#reserve(rest.length + CHARACTER_BYTES_MAX);
      const { read, written } = this.#encoder.encodeInto(rest, this.#bytes.subarray(this.#length));
      this.#length += written;
      rest = rest.slice(read);
    }
    this.close(mark);
  }

  /** Writes the text if it is ASCII; otherwise nothing. */
  #ascii(text: string): boolean {
    this.#reserve(text.length);
    const bytes = this.#bytes;
    const start = this.#length;
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index);
      if (unit > 0x7f) return false;
      bytes[start + index] = unit;
    }
    this.#length = start + text.length;
    return true;
  }

  /** Begins something whose length goes before it and is not known yet. */
  open(): number {
    this.#reserve(1);
    return ++this.#length;
  }

  /** Ends it: writes the length, and moves what was written if the length takes more than one byte. */
  close(mark: number): void {
    const size = this.#length - mark;
    const extra = widthOf(size) - 1;
    if (extra > 0) {
      this.#reserve(extra);
      this.#bytes.copyWithin(mark + extra, mark, this.#length);
      this.#length += extra;
    }
    writeUint32(this.#bytes, mark - 1, size);
  }

  /** What was written, in memory of exactly its size: it may be kept for long. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Writes an unsigned integer of up to 32 bits as a minimal varint at `at`; gives the position after it. */
export function writeUint32(bytes: Uint8Array, at: number, value: number): number {
  let pos = at;
  let rest = value >>> 0;
  for (; rest > 0x7f; rest >>>= 7) bytes[pos++] = rest & 0x7f | 0x80;
  bytes[pos++] = rest;
  return pos;
}

/** How many bytes the number takes as a varint. */
export function widthOf(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  return value < 0x10000000 ? 4 : 5;
}
