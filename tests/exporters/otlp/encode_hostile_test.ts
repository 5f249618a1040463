/** Whatever stands in an item: what is encoded can be decoded, and where the stock serializers write it, in their bytes. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { ProtobufLogsSerializer, ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import fc from "fast-check";
import { encodeResource, encodeScope } from "../../../exporters/otlp/encode_envelope.ts";
import { encodeLogRecord } from "../../../exporters/otlp/encode_log.ts";
import { encodeSpan } from "../../../exporters/otlp/encode_span.ts";
import { frameRequest } from "../../../exporters/otlp/frame.ts";
import { type Outcome, Scratch } from "../../../exporters/otlp/scratch.ts";
import { skim } from "../../../exporters/otlp/skim.ts";
import type { ReadableLogRecord, ReadableSpan } from "../../../exporters/sdk_types.ts";
import type { Signal } from "../../../exporters/signal.ts";
import { decodeMessage, itemsOf, REQUEST_TYPES, typeOf } from "../../model/otlp_schema.ts";
import {
  anyLog,
  anySpan,
  logWith,
  messageOf,
  requestOfLogs,
  requestOfSpans,
  SCRATCH_BYTES,
  SPAN_ID,
  spanWith,
  TRACE_ID,
} from "./encode_cases.ts";
import { bytesOf } from "./requests.ts";

const SPAN = typeOf("Span");
const LOG_RECORD = typeOf("LogRecord");

type Parts = Readonly<Record<string, unknown>>;

/** A request of one span or log record, ours and the stock serializer's; ours is undefined when it is refused. */
interface Requests {
  readonly signal: Signal;
  readonly ours: () => Uint8Array | undefined;
  readonly stock: () => Uint8Array | undefined;
}

function ofSpan(parts: Parts): Requests {
  const span = spanWith(parts);
  return {
    signal: "traces",
    ours: () => unlessInvalid(encodeSpan, span, () => requestOfSpans([span])),
    stock: () => ProtobufTraceSerializer.serializeRequest([span]),
  };
}

function ofLog(parts: Parts): Requests {
  const record = logWith(parts);
  return {
    signal: "logs",
    ours: () => unlessInvalid(encodeLogRecord, record, () => requestOfLogs([record])),
    stock: () => ProtobufLogsSerializer.serializeRequest([record]),
  };
}

const scratch = new Scratch(new Uint8Array(SCRATCH_BYTES));

function unlessInvalid<Kind extends ReadableSpan | ReadableLogRecord>(
  encode: (item: Kind, scratch: Scratch) => Outcome,
  item: Kind,
  request: () => Uint8Array,
): Uint8Array | undefined {
  const outcomes = [
    encode(item, scratch),
    encodeResource(item.resource, scratch),
    encodeScope(item.instrumentationScope, scratch),
  ];
  assert.ok(!outcomes.includes("too_large"));
  return outcomes.includes("invalid") ? undefined : request();
}

/** Everywhere in a request where a value can be. */
const PLACES: Readonly<Record<string, (value: unknown) => Requests>> = {
  "a span's attribute": (value) => ofSpan({ attributes: { value } }),
  "an event's attribute": (value) => ofSpan({ events: [{ time: [0, 0], name: "", attributes: { value } }] }),
  "a link's attribute": (value) =>
    ofSpan({ links: [{ context: { traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1 }, attributes: { value } }] }),
  "a body": (body) => ofLog({ body }),
  "a log record's attribute": (value) => ofLog({ attributes: { value } }),
  "a scope's attribute": (value) => ofSpan({ instrumentationScope: { name: "", attributes: { value } } }),
  "a resource's attribute": (value) => ofSpan({ resource: { attributes: { value } } }),
};

const WRAPS: readonly ((value: unknown, depth: number) => unknown)[] = [
  (value) => [value],
  (value) => ({ a: value }),
  (value, depth) => depth % 2 === 0 ? [value] : { a: value },
];

for (const [place, requestsWith] of Object.entries(PLACES)) {
  Deno.test(`${place} lies as deep as decoders go; what is one deeper, they refuse and we do`, () => {
    for (const innermost of [1, [], {}, new Uint8Array(1)]) {
      for (const wrap of WRAPS) {
        let value: unknown = innermost;
        for (let depth = 0;; depth++) {
          assert.ok(depth < 60, "nothing is refused");
          const { signal, ours, stock } = requestsWith(value);
          const request = ours();
          if (request === undefined) {
            assert.throws(() => REQUEST_TYPES[signal].decode(stock()!), /max depth/);
            break;
          }
          assert.deepEqual(request, new Uint8Array(stock()!));
          skim(request, signal);
          REQUEST_TYPES[signal].decode(request);
          value = wrap(value, depth);
        }
      }
    }
  });
}

/** Anything at all, where a span or a log record has something. */
const anything = fc.anything({
  maxDepth: 3,
  maxKeys: 4,
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withNullPrototype: true,
  withObjectString: true,
  withSparseArray: true,
  withTypedArray: true,
  withUnicodeString: true,
});

for (
  const [signal, items, wreck] of [
    ["traces", anySpan, ofSpan],
    ["logs", anyLog, ofLog],
  ] as const
) {
  Deno.test(`${signal} with anything in place of one field are refused or can be decoded, and are never a surprise`, () => {
    let encodedCount = 0;
    fc.assert(
      fc.property(items as fc.Arbitrary<object>, fc.nat(), anything, (item, pick, intruder) => {
        const names = Object.keys(item).filter((name) => !["resource", "instrumentationScope"].includes(name));
        const name = names[pick % names.length];
        const { ours, stock } = wreck({ ...item, [name]: intruder });
        const request = ours();
        if (!WITH_TIMES_OR_IDS.has(name)) assertLikeStock(request, stock);
        if (request === undefined) return;
        encodedCount++;
        assert.deepEqual(skim(request, signal), { itemCount: 1, invalidCount: 0 });
        assert.equal(itemsOf(signal, decodeMessage(REQUEST_TYPES[signal], request)).length, 1);
      }),
      { numRuns: 600 },
    );
    assert.ok(encodedCount > 150, `only ${encodedCount} were encoded`);
  });
}

/** What the stock serializers write without asking whether it is a time or an id. */
const WITH_TIMES_OR_IDS = new Set([
  ...["spanContext", "parentSpanContext", "startTime", "endTime", "events", "links"],
  ...["hrTime", "hrTimeObserved"],
]);

/** What the stock serializer can write, we write, and in the same bytes. */
function assertLikeStock(request: Uint8Array | undefined, stock: () => Uint8Array | undefined): void {
  let expected: Uint8Array | undefined;
  try {
    expected = stock();
  } catch {
    return;
  }
  assert.ok(request && expected);
  assert.equal(Buffer.compare(request, expected), 0);
}

Deno.test("everything that is encoded is read by protobuf's own library as it was meant", () => {
  const attributes = {
    text: "Grüße \ud800",
    large: 2 ** 53 + 2,
    least: -(2 ** 63),
    zero: -0,
    nan: NaN,
    bytes: new Uint8Array([1, 2]),
    map: { list: [null, [true], { a: 0.5 }] },
  };
  const span = decodeMessage(
    SPAN,
    messageOf(
      encodeSpan,
      spanWith({
        attributes,
        startTime: [1_700_000_000, 123_456_789],
        events: [{ time: [2_000_000_000, 1], name: "event", attributes: { a: 1 } }],
        links: [{ context: { traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1, isRemote: true } }],
        status: { code: 2, message: "broken" },
        parentSpanContext: { spanId: "00000000000000ff" },
        droppedLinksCount: 300,
      }),
    ),
  );
  const expectedAttributes = [
    { key: "text", value: { stringValue: "Grüße \ufffd" } },
    { key: "large", value: { intValue: "9007199254740994" } },
    { key: "least", value: { intValue: "-9223372036854775808" } },
    { key: "zero", value: { intValue: "0" } },
    { key: "nan", value: { doubleValue: NaN } },
    { key: "bytes", value: { bytesValue: "AQI=" } },
    {
      key: "map",
      value: {
        kvlistValue: {
          values: [{
            key: "list",
            value: {
              arrayValue: {
                values: [
                  {},
                  { arrayValue: { values: [{ boolValue: true }] } },
                  { kvlistValue: { values: [{ key: "a", value: { doubleValue: 0.5 } }] } },
                ],
              },
            },
          }],
        },
      },
    },
  ];
  assert.deepEqual(span, {
    traceId: base64Of(TRACE_ID),
    spanId: base64Of(SPAN_ID),
    parentSpanId: base64Of("00000000000000ff"),
    name: "span",
    kind: 1,
    startTimeUnixNano: "1700000000123456789",
    endTimeUnixNano: "1700000000000000002",
    attributes: expectedAttributes,
    events: [{
      timeUnixNano: "2000000000000000001",
      name: "event",
      attributes: [{ key: "a", value: { intValue: "1" } }],
    }],
    links: [{
      traceId: base64Of(TRACE_ID),
      spanId: base64Of(SPAN_ID),
      flags: 0x301,
    }],
    droppedLinksCount: 300,
    status: { message: "broken", code: 2 },
    flags: 0x101,
  });
  const record = decodeMessage(
    LOG_RECORD,
    messageOf(
      encodeLogRecord,
      logWith({
        attributes,
        body: [1],
        severityNumber: 9,
        severityText: "INFO",
        eventName: "event",
        spanContext: { traceId: TRACE_ID, spanId: SPAN_ID, traceFlags: 1 },
      }),
    ),
  );
  assert.deepEqual(record, {
    timeUnixNano: "1700000000000000001",
    severityNumber: 9,
    severityText: "INFO",
    body: { arrayValue: { values: [{ intValue: "1" }] } },
    attributes: expectedAttributes,
    flags: 1,
    traceId: base64Of(TRACE_ID),
    spanId: base64Of(SPAN_ID),
    observedTimeUnixNano: "1700000000000000002",
    eventName: "event",
  });
});

function base64Of(hex: string): string {
  return btoa(String.fromCharCode(...bytesOf(hex)));
}

Deno.test("no items make the empty request", () => {
  assert.equal(frameRequest([]).length, 0);
});
