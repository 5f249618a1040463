import { refuse, type Scratch } from "./scratch.ts";
import { DEPTH_MAX } from "./wire.ts";

/** `KeyValue` and `AnyValue` as the tags of their fields. */
const KEY = 0x0a;
const VALUE = 0x12;
const STRING_VALUE = 0x0a;
const BOOL_VALUE = 0x10;
const INT_VALUE = 0x18;
const DOUBLE_VALUE = 0x21;
const ARRAY_VALUE = 0x2a;
const KVLIST_VALUE = 0x32;
const BYTES_VALUE = 0x3a;

/** The values of an `ArrayValue` and of a `KeyValueList`. */
const VALUES = 0x0a;

const INT64_MIN = -(2 ** 63);
const INT64_END = 2 ** 63;

/**
 * Writes the own enumerable properties of an object as `KeyValue` messages, each behind `tag`.
 *
 * @param depth How deep they lie in the request, which is at 0.
 */
export function writeAttributes(scratch: Scratch, tag: number, attributes: object | undefined, depth: number): void {
  for (const key in attributes) {
    if (!Object.hasOwn(attributes, key)) continue;
    const value = (attributes as Record<string, unknown>)[key];
    const bytesMin = bytesMinOf(value);
    const pair = scratch.open(tag, bytesMin);
    scratch.string(KEY, key);
    writeValue(scratch, VALUE, value, depth + 1);
    scratch.close(pair, bytesMin);
  }
}

/**
 * Writes an `AnyValue` behind `tag`: a number as an integer if it is one that has 64 bits, otherwise as a double; an
 * object by its own enumerable properties. What OTLP has no value for is written as the empty one. Refuses what lies
 * deeper than decoders go, and so also what contains itself.
 *
 * @param depth How deep the value lies in the request, which is at 0.
 */
export function writeValue(scratch: Scratch, tag: number, value: unknown, depth: number): void {
  if (depth > DEPTH_MAX) refuse();
  const bytesMin = bytesMinOf(value);
  const outer = scratch.open(tag, bytesMin);
  if (typeof value === "string") scratch.string(STRING_VALUE, value);
  else if (typeof value === "number") writeNumber(scratch, value);
  else if (typeof value === "boolean") scratch.varint(BOOL_VALUE, value ? 1 : 0);
  else if (typeof value === "object" && value !== null) writeObject(scratch, value, depth + 1);
  scratch.close(outer, bytesMin);
}

/** What a value takes at least: a long text need not be moved when its length is known. */
function bytesMinOf(value: unknown): number {
  return typeof value === "string" ? value.length : 0;
}

function writeNumber(scratch: Scratch, value: number): void {
  if (Number.isInteger(value) && value >= INT64_MIN && value < INT64_END) scratch.varint(INT_VALUE, value);
  else scratch.double(DOUBLE_VALUE, value);
}

function writeObject(scratch: Scratch, value: object, depth: number): void {
  if (value instanceof Uint8Array) return scratch.bytes(BYTES_VALUE, value);
  if (depth > DEPTH_MAX) refuse();
  if (Array.isArray(value)) {
    const list = scratch.open(ARRAY_VALUE);
    for (const item of value) writeValue(scratch, VALUES, item, depth + 1);
    scratch.close(list);
  } else {
    const list = scratch.open(KVLIST_VALUE);
    writeAttributes(scratch, VALUES, value, depth + 1);
    scratch.close(list);
  }
}
