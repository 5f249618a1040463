import type { Signal } from "../../exporters/signal.ts";

/**
 * The smallest protobuf request with that many items: enough for whatever counts and carries, without encoding
 * anything.
 */
export function requestOf(signal: Signal, itemCount: number): Uint8Array<ArrayBuffer> {
  const items = Array.from({ length: itemCount }, () => field(signal === "metrics" ? 1 : 2, new Uint8Array()));
  const scope = signal === "metrics" ? field(2, field(5, concat(items))) : concat(items);
  return field(1, field(2, scope));
}

/** One length-delimited protobuf field. */
export function field(number: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat([varint(number * 8 + 2), varint(payload.length), payload]);
}

/** One varint protobuf field. */
export function varintField(number: number, value: number): Uint8Array<ArrayBuffer> {
  return concat([varint(number * 8), varint(value)]);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function varint(value: number): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  for (let rest = value;; rest = Math.floor(rest / 128)) {
    if (rest < 128) return new Uint8Array([...bytes, rest]);
    bytes.push(rest % 128 + 128);
  }
}
