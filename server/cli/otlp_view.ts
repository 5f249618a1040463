import { Buffer } from "node:buffer";
import { type Field, type Message, REQUESTS, type ScalarKind, WireType } from "../../exporters/otlp/schema.ts";
import { DEPTH_MAX, FieldReader } from "../../exporters/otlp/wire.ts";
import type { Signal } from "../../exporters/signal.ts";

/** A message as OTLP/JSON writes it. */
export type MessageView = { [name: string]: unknown };

/**
 * A request as OTLP/JSON, for people to look at. What cannot be decoded is shown in base64 under `undecoded`, with the
 * reason: whoever looks wants to know why it was refused, and this may be it. Fields that OTLP does not have are left
 * out.
 */
export function requestView(payload: Uint8Array, signal: Signal): MessageView {
  return messageView(REQUESTS[signal], payload, 0);
}

function messageView(message: Message, bytes: Uint8Array, depth: number): MessageView {
  const view: MessageView = {};
  const reader = new FieldReader(bytes);
  try {
    if (depth > DEPTH_MAX) throw new Error(`deeper than ${DEPTH_MAX} messages`);
    while (reader.next()) {
      const field = fieldOf(message, reader.number);
      if (field !== undefined) addField(view, field, reader, depth);
    }
  } catch (error) {
    view.undecoded = { why: (error as Error).message, bytes: base64(bytes) };
  }
  return view;
}

function fieldOf(message: Message, number: number): Field | undefined {
  for (const field of message.fields.values()) if (field.number === number) return field;
  return undefined;
}

function addField(view: MessageView, field: Field, reader: FieldReader, depth: number): void {
  const { name, scalar, message, repeated, wireType } = field;
  const add = (value: unknown) => {
    if (repeated) (view[name] ??= [] as unknown[]) && (view[name] as unknown[]).push(value);
    else view[name] = value;
  };
  if (message !== undefined) {
    reader.expect(WireType.lengthDelimited);
    return add(messageView(message, reader.value, depth + 1));
  }
  const isPacked = repeated && reader.wireType === WireType.lengthDelimited && wireType !== WireType.lengthDelimited;
  if (!isPacked) {
    reader.expect(wireType);
    return add(scalarView(scalar!, reader.bytes.subarray(reader.valueStart, reader.end)));
  }
  for (let at = reader.valueStart; at < reader.end;) {
    const end = wireType === WireType.varint
      ? endOfVarint(reader.bytes, at)
      : at + (wireType === WireType.fixed64 ? 8 : 4);
    add(scalarView(scalar!, reader.bytes.subarray(at, Math.min(end, reader.end))));
    at = end;
  }
}

function scalarView(kind: ScalarKind, bytes: Uint8Array): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (kind) {
    case "string":
      return new TextDecoder().decode(bytes);
    case "bytes":
      return base64(bytes);
    case "traceId":
    case "spanId":
    case "parentSpanId":
      return Buffer.from(bytes).toString("hex");
    case "bool":
      return varint(bytes) !== 0n;
    case "enum":
    case "int32":
      return Number(BigInt.asIntN(32, varint(bytes)));
    case "uint32":
      return Number(BigInt.asUintN(32, varint(bytes)));
    case "sint32":
      return Number(varint(bytes) >> 1n ^ -(varint(bytes) & 1n));
    case "int64":
      return String(BigInt.asIntN(64, varint(bytes)));
    case "uint64":
      return String(BigInt.asUintN(64, varint(bytes)));
    case "fixed32":
      return view.getUint32(0, true);
    case "fixed64":
      return String(view.getBigUint64(0, true));
    case "sfixed64":
      return String(view.getBigInt64(0, true));
    case "double":
      return doubleView(view.getFloat64(0, true));
  }
}

/** JSON has no word for what is no finite number, nor JavaScript's for -0: protobuf's JSON writes them as text. */
function doubleView(value: number): number | string {
  if (Object.is(value, -0)) return "-0";
  return Number.isFinite(value) ? value : String(value);
}

function varint(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => value << 7n | BigInt(byte & 0x7f), 0n);
}

function endOfVarint(bytes: Uint8Array, at: number): number {
  let end = at;
  while (end < bytes.length && bytes[end] >= 0x80) end++;
  return end + 1;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
