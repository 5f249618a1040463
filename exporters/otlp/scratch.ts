import { widthOf, writeUint32 } from "./wire.ts";

/**
 * What became of an item. `too_large`: it does not fit into the scratch. `invalid`: it cannot be an OTLP item, or
 * reading it threw. Both are reasons for which the account drops.
 */
export type Outcome = "encoded" | "too_large" | "invalid";

/** Up to here a loop is faster than the platform's encoder; the length takes one byte. */
const SHORT_TEXT_LENGTH_MAX = 48;

const TWO_TO_32 = 4_294_967_296;
const TWO_TO_64 = 18_446_744_073_709_551_616;

/** What ends an item early. They never leave {@linkcode Scratch.encode}, so they are made once and have no story. */
const TOO_LARGE = new RangeError("The item does not fit into the scratch");
const INVALID = new TypeError("The item cannot be written as OTLP");

/** Ends the item that is being written: it is invalid. */
export function refuse(): never {
  throw INVALID;
}

/**
 * Memory in which one OTLP message at a time is written, and a writer of protobuf's fields into it.
 *
 * A message is written front to back, in one pass and without allocating, except for texts that are long or not ASCII.
 * Nothing is ever written outside of the memory, which may be shared; what is left in it after an item that did not fit
 * is rubbish.
 *
 * ```
 *   tag │ length │ tag value  tag value …     open() writes the tag and leaves a hole for the length, of one byte
 *       └ hole ──┴─ mark                      unless it must take more; close() fills it, and moves what follows
 *                                             if it is too small
 * ```
 */
export class Scratch {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #encoder = new TextEncoder();
  #pos = 0;
  #busy = false;

  /** @param bytes All of the memory: a view of exactly what may be written. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** How many bytes the last message takes, from the start of the memory; 0 if it was not encoded. */
  get length(): number {
    return this.#pos;
  }

  /** The last message: a view, which the next one overwrites. */
  get message(): Uint8Array {
    return this.#bytes.subarray(0, this.#pos);
  }

  /**
   * Writes one message in place of the last one. Never throws, whatever the item is and does while it is read. An item
   * that has another one written meanwhile, in a getter, finds the scratch taken: the other one is invalid.
   */
  encode<Item>(write: (scratch: Scratch, item: Item) => void, item: Item): Outcome {
    if (this.#busy) return "invalid";
    this.#busy = true;
    this.#pos = 0;
    try {
      write(this, item);
      return "encoded";
    } catch (problem) {
      this.#pos = 0;
      return problem === TOO_LARGE ? "too_large" : "invalid";
    } finally {
      this.#busy = false;
    }
  }

  /** Begins a sub-message that takes at least so many bytes; gives the mark with which to close it. */
  open(tag: number, bytesMin = 0): number {
    const headBytes = 1 + widthOf(bytesMin);
    const pos = this.#room(headBytes);
    this.#bytes[pos] = tag;
    return this.#pos = pos + headBytes;
  }

  /** Ends the sub-message: writes its length before it. What `open` was told is told again. */
  close(mark: number, bytesMin = 0): void {
    const size = this.#pos - mark;
    if (size < 0x80) this.#bytes[mark - 1] = size;
    else this.#closeWide(mark, size, widthOf(bytesMin));
  }

  #closeWide(mark: number, size: number, width: number): void {
    const extra = widthOf(size) - width;
    if (extra > 0) {
      const end = this.#room(extra);
      this.#bytes.copyWithin(mark + extra, mark, end);
      this.#pos = end + extra;
    }
    writeUint32(this.#bytes, mark - width, size);
  }

  /** Writes an integer; a negative one as 64 bits in two's complement. What is no number at all becomes 0. */
  varint(tag: number, value: number): void {
    const pos = this.#room(2);
    this.#bytes[pos] = tag;
    if (value >= 0 && value < 0x80) {
      this.#bytes[pos + 1] = value;
      this.#pos = pos + 2;
    } else {
      this.#pos = pos + 1;
      this.#varint(value);
    }
  }

  #varint(value: number): void {
    // Both halves of the magnitude, whose fraction falls away; then, if it is negative, of its complement.
    const magnitude = Math.abs(value);
    let low = magnitude >>> 0;
    let high = (magnitude / TWO_TO_32) >>> 0;
    if (value < 0) {
      low = -low >>> 0;
      high = (low === 0 ? -high : ~high) >>> 0;
    }
    while (high > 0 || low > 0x7f) {
      this.#byte(low & 0x7f | 0x80);
      low = (low >>> 7 | high << 25) >>> 0;
      high >>>= 7;
    }
    this.#byte(low);
  }

  /** Writes 32 bits in 4 bytes. The tag may take two. */
  fixed32(tag: number, value: number): void {
    const pos = writeUint32(this.#bytes, this.#room(widthOf(tag) + 4), tag);
    this.#view.setUint32(pos, value, true);
    this.#pos = pos + 4;
  }

  double(tag: number, value: number): void {
    const pos = this.#room(9);
    this.#bytes[pos] = tag;
    this.#view.setFloat64(pos + 1, value, true);
    this.#pos = pos + 9;
  }

  /** Writes `[seconds, nanoseconds]` as nanoseconds; as 0, which is "unknown", what 64 bits cannot hold. */
  time(tag: number, time: readonly [number, number]): void {
    const pos = this.#room(9);
    const seconds = Math.floor(time[0]);
    const nanoseconds = Math.floor(time[1]);
    const total = seconds * 1e9 + nanoseconds;
    const fits = total >= 0 && total <= TWO_TO_64;
    // The low half is exact, because multiplying wraps around. The total is not, but so nearly that what it has above
    // the low half comes to a multiple of 2^32 when rounded.
    const low = fits ? (Math.imul(seconds, 1e9) + nanoseconds) >>> 0 : 0;
    const high = fits ? Math.round((total - low) / TWO_TO_32) : 0;
    this.#bytes[pos] = tag;
    this.#view.setUint32(pos + 1, low, true);
    this.#view.setUint32(pos + 5, high, true);
    this.#pos = pos + 9;
  }

  /** Writes an id from its hexadecimal digits. False, and nothing is written, when it is not exactly so many bytes. */
  id(tag: number, digits: string, byteCount: number): boolean {
    if (typeof digits !== "string" || digits.length !== 2 * byteCount) return false;
    const start = this.#room(2 + byteCount);
    const bytes = this.#bytes;
    let seen = 0;
    for (let index = 0; index < byteCount; index++) {
      const first = digits.charCodeAt(2 * index);
      const second = digits.charCodeAt(2 * index + 1);
      const high = DIGIT_VALUES[first & 0x7f]!;
      const low = DIGIT_VALUES[second & 0x7f]!;
      // Digits are below 0x80; what is below and none is worth 0x80.
      seen |= first | second | high | low;
      bytes[start + 2 + index] = high << 4 | low;
    }
    if (seen > 0x7f) return false;
    bytes[start] = tag;
    bytes[start + 1] = byteCount;
    this.#pos = start + 2 + byteCount;
    return true;
  }

  bytes(tag: number, value: Uint8Array): void {
    // A subclass may say of its length what it likes.
    const size = value.length >>> 0;
    this.#tagAndSize(tag, size);
    const pos = this.#room(size);
    this.#bytes.set(value, pos);
    this.#pos = pos + size;
  }

  /** Writes a text in UTF-8, a lone surrogate as U+FFFD. What is no text is written as the empty one. */
  string(tag: number, text: string): void {
    if (typeof text !== "string") return this.#tagAndSize(tag, 0);
    const length = text.length;
    if (length > SHORT_TEXT_LENGTH_MAX) return this.#longString(tag, text);
    const start = this.#room(2 + length) + 2;
    const bytes = this.#bytes;
    for (let index = 0; index < length; index++) {
      const unit = text.charCodeAt(index);
      if (unit > 0x7f) return this.#longString(tag, text);
      bytes[start + index] = unit;
    }
    bytes[start - 2] = tag;
    bytes[start - 1] = length;
    this.#pos = start + length;
  }

  #longString(tag: number, text: string): void {
    // Every unit takes a byte at least: what cannot fit is not even looked at.
    const mark = this.open(tag, text.length);
    this.#room(text.length);
    const { read, written } = this.#encoder.encodeInto(text, this.#bytes.subarray(mark));
    if (read < text.length) throw TOO_LARGE;
    this.#pos = mark + written;
    this.close(mark, text.length);
  }

  #tagAndSize(tag: number, size: number): void {
    const pos = this.#room(1 + widthOf(size));
    this.#bytes[pos] = tag;
    this.#pos = writeUint32(this.#bytes, pos + 1, size);
  }

  #byte(value: number): void {
    const pos = this.#room(1);
    this.#bytes[pos] = value;
    this.#pos = pos + 1;
  }

  /** The position, from which so many bytes may be written. */
  #room(count: number): number {
    const pos = this.#pos;
    if (pos + count > this.#bytes.length) throw TOO_LARGE;
    return pos;
  }
}

/** What a hexadecimal digit is worth, by its code below 0x80; 0x80 if it is none. */
const DIGIT_VALUES = Uint8Array.from({ length: 0x80 }, (_, code) => {
  const value = parseInt(String.fromCharCode(code), 16);
  return Number.isNaN(value) ? 0x80 : value;
});
