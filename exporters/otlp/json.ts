import type { Signal } from "../signal.ts";
import { type Field, type Message, REQUESTS, type ScalarKind, WireType } from "./schema.ts";
import { DEPTH_MAX, MalformedRequest, WireWriter } from "./wire.ts";

/**
 * Translates an OTLP/JSON request into the same request in protobuf.
 *
 * OTLP/JSON is protobuf's JSON with three rules of its own: ids are hexadecimal, enum values are integers, and names
 * are lowerCamelCase only. Unknown names are ignored, `null` is as good as absent, and 64-bit integers keep every
 * digit, as strings or as numbers. An id of a wrong length goes through, so that `skim` can refuse the item it belongs
 * to and not the request.
 *
 * @throws {MalformedRequest} When the text is not JSON or a value is not what its field must hold; the message names its path.
 */
export function requestFromJson(text: string, signal: Signal): Uint8Array<ArrayBuffer> {
  const request = parse(text);
  // Protobuf takes about a third of the bytes of JSON.
  return new Translator(text.length >> 1).translate(REQUESTS[signal], request);
}

/**
 * An integer in the text that may have more digits than a number can hold. One inside a string is a false alarm, no
 * more.
 */
const LONG_INTEGER = /[:,[]\s*-?\d{16}/;

function parse(text: string): unknown {
  try {
    // With a reviver parsing takes several times as long, so only those pay who send such numbers.
    return LONG_INTEGER.test(text) ? JSON.parse(text, keepEveryDigit as Reviver) : JSON.parse(text);
  } catch (error) {
    throw new MalformedRequest(`the body is not JSON: ${(error as Error).message}`);
  }
}

type Reviver = (this: unknown, key: string, value: unknown) => unknown;

/** Reads integers beyond 2^53 from their source text, where the runtime gives it to revivers. */
function keepEveryDigit(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  return source !== undefined && /^-?\d{16,20}$/.test(source) ? BigInt(source) : value;
}

class Translator {
  readonly #writer: WireWriter;
  /** Where in the request we are: names and positions. */
  readonly #path: (string | number)[] = [];
  /** The halves of the 64-bit integer read last. */
  #low = 0;
  #high = 0;
  readonly #idBytes = new Uint8Array(16);

  constructor(capacity: number) {
    this.#writer = new WireWriter(capacity);
  }

  translate(message: Message, value: unknown): Uint8Array<ArrayBuffer> {
    this.#message(message, value, 0);
    return this.#writer.finish();
  }

  #message(message: Message, value: unknown, depth: number): void {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw this.#mismatch("an object", value);
    if (depth > DEPTH_MAX) throw this.#mismatch(`at most ${DEPTH_MAX} messages deep`, value);
    for (const name of Object.keys(value)) {
      const field = message.fields.get(name);
      if (field === undefined) continue;
      const fieldValue = (value as Record<string, unknown>)[name];
      if (fieldValue === null) continue;
      this.#path.push(name);
      if (field.repeated) this.#list(field, fieldValue, depth);
      else this.#single(field, fieldValue, depth);
      this.#path.pop();
    }
  }

  #list(field: Field, values: unknown, depth: number): void {
    if (!Array.isArray(values)) throw this.#mismatch("an array", values);
    if (values.length === 0) return;
    const packed = field.wireType !== WireType.lengthDelimited;
    let mark = 0;
    if (packed) {
      this.#writer.tag(field.number, WireType.lengthDelimited);
      mark = this.#writer.open();
    }
    const last = this.#path.length;
    for (let index = 0; index < values.length; index++) {
      this.#path[last] = index;
      if (packed) this.#scalar(field.scalar!, values[index]);
      else this.#single(field, values[index], depth);
    }
    this.#path.pop();
    if (packed) this.#writer.close(mark);
  }

  #single(field: Field, value: unknown, depth: number): void {
    this.#writer.tag(field.number, field.wireType);
    if (field.message === undefined) return this.#scalar(field.scalar!, value);
    const mark = this.#writer.open();
    this.#message(field.message, value, depth + 1);
    this.#writer.close(mark);
  }

  #scalar(kind: ScalarKind, value: unknown): void {
    const writer = this.#writer;
    switch (kind) {
      case "string":
        if (typeof value !== "string") throw this.#mismatch("a string", value);
        return writer.string(value);
      case "bytes":
        return writer.bytes(this.#base64(value));
      case "traceId":
        return writer.bytes(this.#hex(value, 32));
      case "spanId":
      case "parentSpanId":
        return writer.bytes(this.#hex(value, 16));
      case "bool":
        if (typeof value !== "boolean") throw this.#mismatch("true or false", value);
        return writer.byte(value ? 1 : 0);
      case "double":
        return writer.double(this.#double(value));
      case "fixed32":
        return writer.fixed32(this.#integer(value, 0, 0xffff_ffff));
      case "uint32":
        return writer.uint32(this.#integer(value, 0, 0xffff_ffff));
      case "sint32": {
        const integer = this.#integer(value, -0x8000_0000, 0x7fff_ffff);
        return writer.uint32(integer << 1 ^ integer >> 31);
      }
      case "enum":
        // The names of enum values are not part of OTLP/JSON, and a number in a string is a name.
        if (typeof value !== "number") throw this.#mismatch("an integer", value);
        return this.#int32(value);
      case "int32":
        return this.#int32(value);
      case "int64":
        this.#readHalves(value, INT64);
        return writer.varint64(this.#low, this.#high);
      case "uint64":
        this.#readHalves(value, UINT64);
        return writer.varint64(this.#low, this.#high);
      case "sfixed64":
        this.#readHalves(value, INT64);
        return writer.fixed64(this.#low, this.#high);
      case "fixed64":
        this.#readHalves(value, UINT64);
        return writer.fixed64(this.#low, this.#high);
    }
  }

  #int32(value: unknown): void {
    const integer = this.#integer(value, -0x8000_0000, 0x7fff_ffff);
    // A negative one is written as 64 bits.
    this.#writer.varint64(integer, integer < 0 ? -1 : 0);
  }

  #integer(value: unknown, min: number, max: number): number {
    const integer = typeof value === "string" && DECIMAL_INTEGER.test(value) ? Number(value) : value;
    if (typeof integer !== "number" || !Number.isInteger(integer) || integer < min || integer > max) {
      throw this.#mismatch(`an integer from ${min} to ${max}`, value);
    }
    return integer;
  }

  /** Reads an integer of up to 64 bits, a number or a decimal string, into `#low` and `#high`, without BigInt. */
  #readHalves(value: unknown, range: Range64): void {
    const decimal = typeof value === "string" ? value : isWhole(value) ? String(value) : "";
    if (!DECIMAL_INTEGER.test(decimal)) throw this.#mismatch(range.name, value);
    const negative = decimal.charCodeAt(0) === MINUS;
    const digits = negative ? decimal.slice(1) : decimal;
    // Up to 11 and 9 digits: each part is an exact number.
    const head = Number(digits.slice(0, -9));
    const tail = Number(digits.slice(-9));
    const [headMax, tailMax] = negative ? range.negativeMax : range.positiveMax;
    if (head > headMax || (head === headMax && tail > tailMax)) throw this.#mismatch(range.name, value);
    // head x 10^9 + tail, with the head in two parts so that every product stays below 2^53.
    const product = (head % 65_536) * 1e9 + tail;
    const upperProduct = Math.floor(head / 65_536) * 1e9;
    const lowSum = (upperProduct % 65_536) * 65_536 + product;
    this.#low = lowSum % TWO_TO_32;
    this.#high = Math.floor(upperProduct / 65_536) + Math.floor(lowSum / TWO_TO_32);
    if (!negative) return;
    this.#low = -this.#low >>> 0;
    this.#high = ~this.#high + (this.#low === 0 ? 1 : 0);
  }

  #double(value: unknown): number {
    if (typeof value === "number") return value;
    if (typeof value === "bigint") return Number(value);
    if (value === "NaN" || value === "Infinity" || value === "-Infinity") return Number(value);
    if (typeof value === "string" && DECIMAL_NUMBER.test(value)) return Number(value);
    throw this.#mismatch('a number, "NaN", "Infinity" or "-Infinity"', value);
  }

  #hex(value: unknown, digitsWanted: number): Uint8Array {
    if (typeof value !== "string") throw this.#mismatch(`${digitsWanted} hexadecimal digits`, value);
    // Half a byte cannot be written: an odd id comes out of at most 7 bytes, a length that no id has.
    const length = value.length % 2 === 0 ? value.length / 2 : Math.min(Math.ceil(value.length / 2), 7);
    const bytes = length <= this.#idBytes.length ? this.#idBytes.subarray(0, length) : new Uint8Array(length);
    for (let pos = 0; pos < value.length; pos++) {
      const digit = HEX_DIGITS[value.charCodeAt(pos)] ?? NOT_HEX;
      if (digit === NOT_HEX) throw this.#mismatch(`${digitsWanted} hexadecimal digits`, value);
      if (pos >> 1 < length) bytes[pos >> 1] = pos % 2 === 0 ? digit << 4 : bytes[pos >> 1] | digit;
    }
    return bytes;
  }

  #base64(value: unknown): Uint8Array {
    // Protobuf's JSON takes both alphabets, with or without padding.
    if (typeof value !== "string" || !BASE64.test(value) || value.replace(/=+$/, "").length % 4 === 1) {
      throw this.#mismatch("bytes in base64", value);
    }
    const binary = atob(value.replaceAll("-", "+").replaceAll("_", "/").replace(/=+$/, ""));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  }

  #mismatch(expected: string, value: unknown): MalformedRequest {
    let path = "";
    for (const part of this.#path) {
      path += typeof part === "number" ? `[${part}]` : path === "" ? part : `.${part}`;
    }
    return new MalformedRequest(`${path === "" ? "the body" : path} must be ${expected}, received ${describe(value)}`);
  }
}

interface Range64 {
  readonly name: string;
  /** The greatest positive and negative magnitudes, cut before the last nine digits. */
  readonly positiveMax: readonly [head: number, tail: number];
  readonly negativeMax: readonly [head: number, tail: number];
}

const INT64: Range64 = {
  name: "an integer of 64 bits",
  positiveMax: [9_223_372_036, 854_775_807],
  negativeMax: [9_223_372_036, 854_775_808],
};

const UINT64: Range64 = {
  name: "an integer of 64 bits from 0",
  positiveMax: [18_446_744_073, 709_551_615],
  negativeMax: [0, 0],
};

const TWO_TO_32 = 4_294_967_296;
const MINUS = 0x2d;
const DECIMAL_INTEGER = /^-?\d{1,20}$/;
const DECIMAL_NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** The value of each hexadecimal digit by its character code. */
const NOT_HEX = 255;
const HEX_DIGITS = new Uint8Array(128).fill(NOT_HEX);
for (let digit = 0; digit < 16; digit++) {
  HEX_DIGITS[digit.toString(16).charCodeAt(0)] = digit;
  HEX_DIGITS[digit.toString(16).toUpperCase().charCodeAt(0)] = digit;
}

/** Whether it is an integer that prints as one: a BigInt, or a number below 10^21. */
function isWhole(value: unknown): boolean {
  return typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value));
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value !== "string") return String(value);
  return JSON.stringify(value.length > RECEIVED_LENGTH_MAX ? `${value.slice(0, RECEIVED_LENGTH_MAX)}…` : value);
}

/** How much of a wrong text a message repeats. */
const RECEIVED_LENGTH_MAX = 40;
