/** Spans and log records of every shape that the SDK's types allow, as plain objects: they fit SDK 2.x and 3.x. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeResource, encodeScope } from "../../../exporters/otlp/encode_envelope.ts";
import { encodeLogRecord } from "../../../exporters/otlp/encode_log.ts";
import { encodeSpan } from "../../../exporters/otlp/encode_span.ts";
import { type EncodedItem, frameRequest } from "../../../exporters/otlp/frame.ts";
import { type Outcome, Scratch } from "../../../exporters/otlp/scratch.ts";
import type { ReadableLogRecord, ReadableSpan } from "../../../exporters/sdk_types.ts";

/** Ids that are well formed. */
export const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
export const SPAN_ID = "b7ad6b7169203331";

/** Larger than every item that is made here. */
export const SCRATCH_BYTES = 1 << 20;

const scratch = new Scratch(new Uint8Array(SCRATCH_BYTES));

/** The message that an encoder writes; it must be encoded. */
export function messageOf<Item>(encode: (item: Item, scratch: Scratch) => Outcome, item: Item): Uint8Array {
  assert.equal(encode(item, scratch), "encoded");
  return scratch.message.slice();
}

/** The request that we make of spans: to be compared with the stock serializer's. */
export function requestOfSpans(spans: readonly ReadableSpan[]): Uint8Array {
  return requestOf(spans, encodeSpan);
}

/** The request that we make of log records. */
export function requestOfLogs(records: readonly ReadableLogRecord[]): Uint8Array {
  return requestOf(records, encodeLogRecord);
}

type Item = ReadableSpan | ReadableLogRecord;

function requestOf<Kind extends Item>(
  items: readonly Kind[],
  encode: (item: Kind, scratch: Scratch) => Outcome,
): Uint8Array {
  const envelopes = new Map<unknown, Uint8Array>();
  const once = <Part>(encodePart: (part: Part, scratch: Scratch) => Outcome, part: Part): Uint8Array => {
    const known = envelopes.get(part) ?? messageOf(encodePart, part);
    envelopes.set(part, known);
    return known;
  };
  return frameRequest(items.map((item): EncodedItem => ({
    resource: once(encodeResource, item.resource),
    scope: once(encodeScope, item.instrumentationScope),
    message: messageOf(encode, item),
  })));
}

const RESOURCE = { attributes: { "service.name": "harbour" } };
const SCOPE = { name: "lighthouse" };

/** A small span, but for what is given. */
export function spanWith(parts: Readonly<Record<string, unknown>>): ReadableSpan {
  return {
    name: "span",
    kind: 0,
    spanContext: () => ({ traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1 }),
    startTime: [1_700_000_000, 1],
    endTime: [1_700_000_000, 2],
    status: { code: 0 },
    attributes: {},
    links: [],
    events: [],
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
    resource: RESOURCE,
    instrumentationScope: SCOPE,
    ...parts,
  } as unknown as ReadableSpan;
}

/** A small log record, but for what is given. */
export function logWith(parts: Readonly<Record<string, unknown>>): ReadableLogRecord {
  return {
    hrTime: [1_700_000_000, 1],
    hrTimeObserved: [1_700_000_000, 2],
    attributes: {},
    droppedAttributesCount: 0,
    resource: RESOURCE,
    instrumentationScope: SCOPE,
    ...parts,
  } as unknown as ReadableLogRecord;
}

/** Lengths at which something changes: the faster way for short texts, and how many bytes a length takes. */
const LENGTHS = [0, 1, 41, 42, 43, 47, 48, 49, 60, 61, 62, 63, 64, 117, 118, 119, 123, 124, 125, 126, 127, 128, 129];
const RARE_LENGTHS = [511, 512, 513, 5_461, 5_462, 16_383, 16_384, 16_385];
const UNITS = ["a", "\x7f", "\x80", "é", "߿", "ࠀ", "世", "\uffff", "🌊", "\ud800", "\udfff"];

const lengths = fc.oneof({ weight: 15, arbitrary: fc.constantFrom(...LENGTHS) }, fc.constantFrom(...RARE_LENGTHS));

/** Texts of every kind, with halves of surrogate pairs and without. */
const text = fc.oneof(
  { weight: 3, arbitrary: fc.string({ maxLength: 20, size: "max" }) },
  { weight: 2, arbitrary: fc.string({ unit: "grapheme", maxLength: 20, size: "max" }) },
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 20, size: "max" })
    .map((units) => String.fromCharCode(...units)),
  fc.tuple(fc.constantFrom(...UNITS), lengths).map(([unit, length]) => unit.repeat(length)),
  fc.tuple(fc.constantFrom(...UNITS), lengths).map(([unit, length]) => "a".repeat(length) + unit),
);

const EDGES = [0, -0, 1, -1, 127, 128, -128, NaN, Infinity, -Infinity, 0.5, Number.MIN_VALUE, Number.MAX_VALUE]
  .concat(
    [31, 32, 33, 52, 53, 54, 62, 63, 64].flatMap((bits) => [2 ** bits, -(2 ** bits), 2 ** bits - 1, 1 - 2 ** bits]),
  )
  .concat([2 ** 63 - 1024, -(2 ** 63) + 1024, -(2 ** 63) - 2048]);

const number = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.double({ noInteger: false, min: -(2 ** 64), max: 2 ** 64 }).map(Math.trunc),
  fc.constantFrom(...EDGES),
);

/** What has no value in OTLP, or one that one would not expect. */
const stranger: fc.Arbitrary<unknown> = fc.constantFrom<unknown>(
  null,
  undefined,
  12n,
  -(2n ** 70n),
  Symbol("value"),
  () => 1,
  new Date(0),
  new Map([[1, 2]]),
  /x/,
  new String("boxed"),
  new Float64Array([0.5]),
  new ArrayBuffer(3),
  [1, , 3],
  Object.create({ inherited: 1 }, { own: { value: 2, enumerable: true }, hidden: { value: 3 } }),
);

const { value } = fc.letrec<{ value: unknown; map: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    { weight: 4, arbitrary: text },
    { weight: 4, arbitrary: number },
    fc.boolean(),
    stranger,
    lengths.chain((length) => fc.uint8Array({ minLength: length, maxLength: length, size: "max" })),
    fc.array(tie("value"), { maxLength: 5, size: "max" }),
    tie("map"),
  ),
  map: fc.dictionary(text, tie("value"), { maxKeys: 4, size: "max" }),
}));

const attributes = fc.dictionary(text, value, { maxKeys: 6, size: "max" });

/** Times that 64 bits can hold, normalised or not. */
export const time = fc.oneof(
  fc.tuple(fc.integer({ min: 1_600_000_000, max: 1_900_000_000 }), fc.nat(999_999_999)),
  fc.tuple(fc.integer({ min: 4, max: 18_446_744_000 }), fc.integer({ min: -4_000_000_000, max: 70_000_000_000 })),
  fc.constantFrom([0, 0], [0, 1], [4, 294_967_295], [4, 294_967_296], [18_446_744_073, 709_551_615]),
);

/** Counts as they are, and as they should not be. */
const count = fc.oneof(
  { weight: 4, arbitrary: fc.nat(300) },
  fc.constantFrom(undefined, null, NaN, -1, -0.5, 1.5, 127.5, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 64, -(2 ** 32), Infinity),
);

const hex = (bytes: number) =>
  fc.tuple(fc.uint8Array({ minLength: bytes, maxLength: bytes }), fc.boolean())
    .filter(([id]) => id.some((byte) => byte !== 0))
    .map(([id, upper]) => {
      const digits = Array.from(id, (byte) => byte.toString(16).padStart(2, "0")).join("");
      return upper ? digits.toUpperCase() : digits;
    });

const traceState = fc.option(text.map((state) => ({ serialize: () => state })), { nil: undefined });
const flags = fc.oneof(fc.constantFrom(0, 1, undefined), fc.integer());
const remote = fc.constantFrom(true, false, undefined);
const context = fc.record({ traceId: hex(16), spanId: hex(8), traceFlags: flags, isRemote: remote, traceState });
const orNone = (id: fc.Arbitrary<string>, length: number) =>
  fc.oneof({ weight: 3, arbitrary: id }, fc.constantFrom("", "0".repeat(length)));

const event = fc.record({ time, name: text, attributes, droppedAttributesCount: count }, {
  requiredKeys: ["time", "name"],
});
const link = fc.record({
  context: fc.record({
    traceId: orNone(hex(16), 32),
    spanId: orNone(hex(8), 16),
    traceFlags: flags,
    isRemote: remote,
    traceState,
  }),
  attributes,
  droppedAttributesCount: count,
}, { requiredKeys: ["context"] });

const RESOURCES = fc.sample(
  fc.record({ attributes, schemaUrl: text }, { requiredKeys: ["attributes"] }),
  { numRuns: 40, seed: 7 },
);
const SCOPES = fc.sample(
  fc.record({ name: text, version: text, schemaUrl: text, attributes, droppedAttributesCount: count }, {
    requiredKeys: ["name"],
  }),
  { numRuns: 40, seed: 8 },
);
const where = { resource: fc.constantFrom(...RESOURCES), instrumentationScope: fc.constantFrom(...SCOPES) };

/** Any span that the stock serializer can express. */
export const anySpan: fc.Arbitrary<ReadableSpan> = fc.record({
  name: text,
  kind: fc.constantFrom(-1, 0, 1, 2, 3, 4, undefined),
  spanContext: context.map((context) => () => context),
  parentSpanContext: fc.option(
    fc.record({ spanId: orNone(hex(8), 16), isRemote: remote }),
    { nil: undefined },
  ),
  startTime: time,
  endTime: time,
  status: fc.record({ code: fc.constantFrom(0, 1, 2, undefined), message: text }, { requiredKeys: ["code"] }),
  attributes,
  links: fc.array(link, { maxLength: 3, size: "max" }),
  events: fc.array(event, { maxLength: 3, size: "max" }),
  droppedAttributesCount: count,
  droppedEventsCount: count,
  droppedLinksCount: count,
  ...where,
}).map((span) => span as unknown as ReadableSpan);

/** Any log record that the stock serializer can express. */
export const anyLog: fc.Arbitrary<ReadableLogRecord> = fc.record({
  hrTime: time,
  hrTimeObserved: time,
  spanContext: fc.record({
    traceId: fc.oneof(hex(16), fc.constant("")),
    spanId: fc.oneof(hex(8), fc.constant("")),
    traceFlags: flags,
  }),
  severityText: text,
  severityNumber: fc.constantFrom(0, 1, 9, 24, null, undefined),
  body: value,
  eventName: text,
  attributes,
  droppedAttributesCount: count,
  ...where,
}, { requiredKeys: ["hrTime", "hrTimeObserved", "resource", "instrumentationScope"] })
  .map((record) => record as unknown as ReadableLogRecord);

/** Items of several resources and scopes, taking turns. */
export function manyOf<Kind>(one: fc.Arbitrary<Kind>): fc.Arbitrary<Kind[]> {
  return fc.array(one, { minLength: 1, maxLength: 4, size: "max" }).map((items) => items.concat(items.slice(0, 2)));
}
