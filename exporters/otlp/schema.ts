/**
 * The messages of OTLP 1.11 as one table: each field's name in OTLP/JSON, its number and its kind in protobuf. What
 * walks, checks or translates requests reads it from here.
 *
 * @module
 */

import type { Signal } from "../signal.ts";

/**
 * The scalar kinds. The three kinds of identifiers are protobuf `bytes` which OTLP/JSON writes in hexadecimal; they are
 * told apart because validity is asked of some and not of others.
 */
export type ScalarKind =
  | "string"
  | "bytes"
  | "traceId"
  | "spanId"
  | "parentSpanId"
  | "bool"
  | "enum"
  | "int32"
  | "uint32"
  | "sint32"
  | "int64"
  | "uint64"
  | "fixed32"
  | "fixed64"
  | "sfixed64"
  | "double";

/** The wire types of protobuf that OTLP uses. 3 and 4 are groups, which proto3 does not have; 6 and 7 do not exist. */
export const WireType = { varint: 0, fixed64: 1, lengthDelimited: 2, fixed32: 5 } as const;

const WIRE_TYPES: Readonly<Record<ScalarKind, number>> = {
  string: WireType.lengthDelimited,
  bytes: WireType.lengthDelimited,
  traceId: WireType.lengthDelimited,
  spanId: WireType.lengthDelimited,
  parentSpanId: WireType.lengthDelimited,
  bool: WireType.varint,
  enum: WireType.varint,
  int32: WireType.varint,
  uint32: WireType.varint,
  sint32: WireType.varint,
  int64: WireType.varint,
  uint64: WireType.varint,
  fixed32: WireType.fixed32,
  fixed64: WireType.fixed64,
  sfixed64: WireType.fixed64,
  double: WireType.fixed64,
};

type Kind = ScalarKind | MessageName;
type FieldTable = Readonly<Record<string, readonly [number: number, kind: Kind | `${Kind}[]`]>>;

/** The messages that a request is made of: items first, then their envelopes, then the rest. */
export type MessageName =
  | "Span"
  | "LogRecord"
  | "NumberDataPoint"
  | "HistogramDataPoint"
  | "ExponentialHistogramDataPoint"
  | "SummaryDataPoint"
  | "ExportTraceServiceRequest"
  | "ResourceSpans"
  | "ScopeSpans"
  | "ExportLogsServiceRequest"
  | "ResourceLogs"
  | "ScopeLogs"
  | "ExportMetricsServiceRequest"
  | "ResourceMetrics"
  | "ScopeMetrics"
  | "Metric"
  | "Gauge"
  | "Sum"
  | "Histogram"
  | "ExponentialHistogram"
  | "Summary"
  | "SpanEvent"
  | "SpanLink"
  | "SpanStatus"
  | "Buckets"
  | "ValueAtQuantile"
  | "Exemplar"
  | "Resource"
  | "EntityRef"
  | "InstrumentationScope"
  | "KeyValue"
  | "AnyValue"
  | "ArrayValue"
  | "KeyValueList";

/** Messages below this index are items: what the account counts. */
export const ITEM_INDEX_END = 6;

/** Messages from the items' end to below this index are envelopes: they hold items, directly or not. */
export const ENVELOPE_INDEX_END = 21;

// deno-fmt-ignore: a table
const TABLES: Readonly<Record<MessageName, FieldTable>> = {
  // Items: what the account counts.
  Span: {
    traceId:                [1,  "traceId"],
    spanId:                 [2,  "spanId"],
    traceState:             [3,  "string"],
    parentSpanId:           [4,  "parentSpanId"],
    name:                   [5,  "string"],
    kind:                   [6,  "enum"],
    startTimeUnixNano:      [7,  "fixed64"],
    endTimeUnixNano:        [8,  "fixed64"],
    attributes:             [9,  "KeyValue[]"],
    droppedAttributesCount: [10, "uint32"],
    events:                 [11, "SpanEvent[]"],
    droppedEventsCount:     [12, "uint32"],
    links:                  [13, "SpanLink[]"],
    droppedLinksCount:      [14, "uint32"],
    status:                 [15, "SpanStatus"],
    flags:                  [16, "fixed32"],
  },
  LogRecord: {
    timeUnixNano:           [1,  "fixed64"],
    severityNumber:         [2,  "enum"],
    severityText:           [3,  "string"],
    body:                   [5,  "AnyValue"],
    attributes:             [6,  "KeyValue[]"],
    droppedAttributesCount: [7,  "uint32"],
    flags:                  [8,  "fixed32"],
    traceId:                [9,  "traceId"],
    spanId:                 [10, "spanId"],
    observedTimeUnixNano:   [11, "fixed64"],
    eventName:              [12, "string"],
  },
  NumberDataPoint: {
    startTimeUnixNano:      [2,  "fixed64"],
    timeUnixNano:           [3,  "fixed64"],
    asDouble:               [4,  "double"],
    exemplars:              [5,  "Exemplar[]"],
    asInt:                  [6,  "sfixed64"],
    attributes:             [7,  "KeyValue[]"],
    flags:                  [8,  "uint32"],
  },
  HistogramDataPoint: {
    startTimeUnixNano:      [2,  "fixed64"],
    timeUnixNano:           [3,  "fixed64"],
    count:                  [4,  "fixed64"],
    sum:                    [5,  "double"],
    bucketCounts:           [6,  "fixed64[]"],
    explicitBounds:         [7,  "double[]"],
    exemplars:              [8,  "Exemplar[]"],
    attributes:             [9,  "KeyValue[]"],
    flags:                  [10, "uint32"],
    min:                    [11, "double"],
    max:                    [12, "double"],
  },
  ExponentialHistogramDataPoint: {
    attributes:             [1,  "KeyValue[]"],
    startTimeUnixNano:      [2,  "fixed64"],
    timeUnixNano:           [3,  "fixed64"],
    count:                  [4,  "fixed64"],
    sum:                    [5,  "double"],
    scale:                  [6,  "sint32"],
    zeroCount:              [7,  "fixed64"],
    positive:               [8,  "Buckets"],
    negative:               [9,  "Buckets"],
    flags:                  [10, "uint32"],
    exemplars:              [11, "Exemplar[]"],
    min:                    [12, "double"],
    max:                    [13, "double"],
    zeroThreshold:          [14, "double"],
  },
  SummaryDataPoint: {
    startTimeUnixNano:      [2,  "fixed64"],
    timeUnixNano:           [3,  "fixed64"],
    count:                  [4,  "fixed64"],
    sum:                    [5,  "double"],
    quantileValues:         [6,  "ValueAtQuantile[]"],
    attributes:             [7,  "KeyValue[]"],
    flags:                  [8,  "uint32"],
  },

  // Envelopes: what lies around items.
  ExportTraceServiceRequest: { resourceSpans: [1, "ResourceSpans[]"] },
  ResourceSpans: {
    resource:               [1,  "Resource"],
    scopeSpans:             [2,  "ScopeSpans[]"],
    schemaUrl:              [3,  "string"],
  },
  ScopeSpans: {
    scope:                  [1,  "InstrumentationScope"],
    spans:                  [2,  "Span[]"],
    schemaUrl:              [3,  "string"],
  },
  ExportLogsServiceRequest: { resourceLogs: [1, "ResourceLogs[]"] },
  ResourceLogs: {
    resource:               [1,  "Resource"],
    scopeLogs:              [2,  "ScopeLogs[]"],
    schemaUrl:              [3,  "string"],
  },
  ScopeLogs: {
    scope:                  [1,  "InstrumentationScope"],
    logRecords:             [2,  "LogRecord[]"],
    schemaUrl:              [3,  "string"],
  },
  ExportMetricsServiceRequest: { resourceMetrics: [1, "ResourceMetrics[]"] },
  ResourceMetrics: {
    resource:               [1,  "Resource"],
    scopeMetrics:           [2,  "ScopeMetrics[]"],
    schemaUrl:              [3,  "string"],
  },
  ScopeMetrics: {
    scope:                  [1,  "InstrumentationScope"],
    metrics:                [2,  "Metric[]"],
    schemaUrl:              [3,  "string"],
  },
  Metric: {
    name:                   [1,  "string"],
    description:            [2,  "string"],
    unit:                   [3,  "string"],
    gauge:                  [5,  "Gauge"],
    sum:                    [7,  "Sum"],
    histogram:              [9,  "Histogram"],
    exponentialHistogram:   [10, "ExponentialHistogram"],
    summary:                [11, "Summary"],
    metadata:               [12, "KeyValue[]"],
  },
  Gauge: { dataPoints:      [1,  "NumberDataPoint[]"] },
  Sum: {
    dataPoints:             [1,  "NumberDataPoint[]"],
    aggregationTemporality: [2,  "enum"],
    isMonotonic:            [3,  "bool"],
  },
  Histogram: {
    dataPoints:             [1,  "HistogramDataPoint[]"],
    aggregationTemporality: [2,  "enum"],
  },
  ExponentialHistogram: {
    dataPoints:             [1,  "ExponentialHistogramDataPoint[]"],
    aggregationTemporality: [2,  "enum"],
  },
  Summary: { dataPoints:    [1,  "SummaryDataPoint[]"] },

  // What lies inside items, and beside them.
  SpanEvent: {
    timeUnixNano:           [1,  "fixed64"],
    name:                   [2,  "string"],
    attributes:             [3,  "KeyValue[]"],
    droppedAttributesCount: [4,  "uint32"],
  },
  SpanLink: {
    traceId:                [1,  "traceId"],
    spanId:                 [2,  "spanId"],
    traceState:             [3,  "string"],
    attributes:             [4,  "KeyValue[]"],
    droppedAttributesCount: [5,  "uint32"],
    flags:                  [6,  "fixed32"],
  },
  SpanStatus: {
    message:                [2,  "string"],
    code:                   [3,  "enum"],
  },
  Buckets: {
    offset:                 [1,  "sint32"],
    bucketCounts:           [2,  "uint64[]"],
  },
  ValueAtQuantile: {
    quantile:               [1,  "double"],
    value:                  [2,  "double"],
  },
  Exemplar: {
    timeUnixNano:           [2,  "fixed64"],
    asDouble:               [3,  "double"],
    spanId:                 [4,  "spanId"],
    traceId:                [5,  "traceId"],
    asInt:                  [6,  "sfixed64"],
    filteredAttributes:     [7,  "KeyValue[]"],
  },
  Resource: {
    attributes:             [1,  "KeyValue[]"],
    droppedAttributesCount: [2,  "uint32"],
    entityRefs:             [3,  "EntityRef[]"],
  },
  EntityRef: {
    schemaUrl:              [1,  "string"],
    type:                   [2,  "string"],
    idKeys:                 [3,  "string[]"],
    descriptionKeys:        [4,  "string[]"],
  },
  InstrumentationScope: {
    name:                   [1,  "string"],
    version:                [2,  "string"],
    attributes:             [3,  "KeyValue[]"],
    droppedAttributesCount: [4,  "uint32"],
  },
  KeyValue: {
    key:                    [1,  "string"],
    value:                  [2,  "AnyValue"],
    keyStrindex:            [3,  "int32"],
  },
  AnyValue: {
    stringValue:            [1,  "string"],
    boolValue:              [2,  "bool"],
    intValue:               [3,  "int64"],
    doubleValue:            [4,  "double"],
    arrayValue:             [5,  "ArrayValue"],
    kvlistValue:            [6,  "KeyValueList"],
    bytesValue:             [7,  "bytes"],
    stringValueStrindex:    [8,  "int32"],
  },
  ArrayValue: { values:     [1,  "AnyValue[]"] },
  KeyValueList: { values:   [1,  "KeyValue[]"] },
};

/** A field as the table gives it, with what follows from it. */
export interface Field {
  readonly name: string;
  readonly number: number;
  /** How one value of it is written; a packed field is written `lengthDelimited` all the same. */
  readonly wireType: number;
  readonly repeated: boolean;
  /** The kind of a scalar; undefined for a message. */
  readonly scalar: ScalarKind | undefined;
  /** The message it holds; undefined for a scalar. */
  readonly message: Message | undefined;
}

/** A message with its fields by their names in OTLP/JSON. */
export interface Message {
  readonly name: MessageName;
  /** Its place among all messages, from 0; items are below {@linkcode ITEM_INDEX_END}. */
  readonly index: number;
  readonly fields: ReadonlyMap<string, Field>;
}

/** All messages, in the order of their indexes. */
export const MESSAGES: readonly Message[] = compile();

/** The request of each signal: where a payload begins. */
export const REQUESTS: Readonly<Record<Signal, Message>> = {
  traces: messageOf("ExportTraceServiceRequest"),
  metrics: messageOf("ExportMetricsServiceRequest"),
  logs: messageOf("ExportLogsServiceRequest"),
};

/** A message by its name. */
export function messageOf(name: MessageName): Message {
  return MESSAGES.find((message) => message.name === name)!;
}

function compile(): readonly Message[] {
  const names = Object.keys(TABLES) as MessageName[];
  const messages = names.map((name, index) => ({ name, index, fields: new Map<string, Field>() }));
  const byName = new Map(messages.map((message) => [message.name, message]));
  for (const message of messages) {
    for (const [name, [number, kindText]] of Object.entries(TABLES[message.name])) {
      const repeated = kindText.endsWith("[]");
      const kind = (repeated ? kindText.slice(0, -2) : kindText) as Kind;
      const child = byName.get(kind as MessageName);
      const scalar = child === undefined ? kind as ScalarKind : undefined;
      const wireType = scalar === undefined ? WireType.lengthDelimited : WIRE_TYPES[scalar];
      message.fields.set(name, { name, number, wireType, repeated, scalar, message: child });
    }
  }
  return messages;
}
