import type { Signal } from "../signal.ts";
import { isId, SPAN_ID_BYTES, TRACE_ID_BYTES } from "./ids.ts";
import { ENVELOPE_INDEX_END, ITEM_INDEX_END, type Message, MESSAGES, REQUESTS, WireType } from "./schema.ts";
import { FieldReader, widthOf, writeUint32 } from "./wire.ts";

/** What a filter is told of an item. The ids are views into the request. */
export interface Item {
  /** The trace id as it came, of whatever length; undefined when the item has none. */
  readonly traceId: Uint8Array | undefined;
  /** The span id as it came, of whatever length; undefined when the item has none. */
  readonly spanId: Uint8Array | undefined;
  /** False when the ids have a wrong length or are all zero, by the rules of `skim`. */
  readonly valid: boolean;
}

/** A request and how many items it holds. */
export interface CountedRequest {
  readonly payload: Uint8Array;
  readonly itemCount: number;
}

/**
 * Takes the items out of an OTLP protobuf request for which `keep` says no. Items are offered in their order.
 *
 * Everything else stays as it came, byte for byte and in its order: resources, scopes, unknown fields. Only the
 * envelopes left without an item are left out as well. When every item is kept the answer is the payload itself.
 *
 * @throws {MalformedRequest} When the request cannot be decoded.
 */
export function filterItems(payload: Uint8Array, signal: Signal, keep: (item: Item) => boolean): CountedRequest {
  const rewriter = new Rewriter(payload, keep);
  rewriter.copy(REQUESTS[signal], 0, payload.length);
  if (rewriter.refusedCount === 0) return { payload, itemCount: rewriter.keptCount };
  return { payload: rewriter.finish(), itemCount: rewriter.keptCount };
}

/** Copies one request. What is written never gets ahead of what was read, so one buffer of the same size is enough. */
class Rewriter {
  keptCount = 0;
  refusedCount = 0;
  readonly #source: Uint8Array;
  readonly #keep: (item: Item) => boolean;
  readonly #target: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(source: Uint8Array, keep: (item: Item) => boolean) {
    this.#source = source;
    this.#keep = keep;
    this.#target = new Uint8Array(source.length);
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#target.slice(0, this.#length);
  }

  /** Copies the fields of one envelope. */
  copy(message: Message, start: number, end: number): void {
    const envelopeFields = ENVELOPE_FIELDS[message.index];
    const fields = new FieldReader(this.#source, start, end);
    while (fields.next()) {
      const child = envelopeFields[fields.number];
      if (child === undefined) {
        this.#copyBytes(fields.start, fields.end);
        continue;
      }
      fields.expect(WireType.lengthDelimited);
      if (child.index >= ITEM_INDEX_END) this.#copyEnvelope(child, fields);
      else if (this.#keep(itemAt(child, fields))) {
        this.keptCount++;
        this.#copyBytes(fields.start, fields.end);
      } else {
        this.refusedCount++;
      }
    }
  }

  /** Copies an envelope with what is kept of it, or nothing. */
  #copyEnvelope(message: Message, fields: FieldReader): void {
    const source = { start: fields.start, bodyStart: fields.valueStart, end: fields.end };
    const keptBefore = this.keptCount;
    const start = this.#length;
    this.#copyBytes(source.start, source.bodyStart);
    const bodyStart = this.#length;
    this.copy(message, source.bodyStart, source.end);
    const size = this.#length - bodyStart;
    if (this.keptCount === keptBefore) this.#length = start;
    else if (size < source.end - source.bodyStart) this.#writeHeader(fields.number, start, bodyStart, size);
  }

  /** Writes a smaller length in front of a body that has become smaller, and closes the gap that this may leave. */
  #writeHeader(number: number, start: number, bodyStart: number, size: number): void {
    const target = this.#target;
    // Envelopes have field numbers below 16, so their tag is one byte.
    const bodyMovesTo = start + 1 + widthOf(size);
    target.copyWithin(bodyMovesTo, bodyStart, bodyStart + size);
    this.#length = bodyMovesTo + size;
    target[start] = number << 3 | WireType.lengthDelimited;
    writeUint32(target, start + 1, size);
  }

  #copyBytes(start: number, end: number): void {
    this.#target.set(this.#source.subarray(start, end), this.#length);
    this.#length += end - start;
  }
}

function itemAt(message: Message, item: FieldReader): Item {
  const traceIdNumber = message.fields.get("traceId")?.number;
  const spanIdNumber = message.fields.get("spanId")?.number;
  if (traceIdNumber === undefined || spanIdNumber === undefined) return DATA_POINT;
  let traceId: Uint8Array | undefined;
  let spanId: Uint8Array | undefined;
  const fields = new FieldReader(item.bytes, item.valueStart, item.end);
  while (fields.next()) {
    if (fields.number !== traceIdNumber && fields.number !== spanIdNumber) continue;
    fields.expect(WireType.lengthDelimited);
    if (fields.number === traceIdNumber) traceId = fields.value;
    else spanId = fields.value;
  }
  const mayLack = message.name === "LogRecord";
  const valid = isValid(traceId, TRACE_ID_BYTES, mayLack) && isValid(spanId, SPAN_ID_BYTES, mayLack);
  return { traceId, spanId, valid };
}

/** Data points have no ids, so none can be wrong. */
const DATA_POINT: Item = { traceId: undefined, spanId: undefined, valid: true };

function isValid(id: Uint8Array | undefined, lengthWanted: number, mayLack: boolean): boolean {
  if (id === undefined || id.length === 0) return mayLack;
  return isId(id, 0, id.length, lengthWanted);
}

/** Which fields of an envelope lead to items: the message in each, by message index and field number. */
const ENVELOPE_FIELDS: readonly (readonly (Message | undefined)[])[] = MESSAGES.map((message) => {
  const children: (Message | undefined)[] = [];
  for (const field of message.fields.values()) {
    if (field.message !== undefined && field.message.index < ENVELOPE_INDEX_END) children[field.number] = field.message;
  }
  return children;
});
