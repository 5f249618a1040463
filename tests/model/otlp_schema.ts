/**
 * The oracle of the OTLP tests: the protocol's messages as protobuf's own language has them, read by protobufjs, which shares
 * nothing with the code under test.
 */

import fc from "fast-check";
import protobuf from "protobufjs";
import type { Signal } from "../../exporters/signal.ts";

const PROTO = `
syntax = "proto3";

message ExportTraceServiceRequest { repeated ResourceSpans resource_spans = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; string schema_url = 3; }
message ScopeSpans { InstrumentationScope scope = 1; repeated Span spans = 2; string schema_url = 3; }
message Span {
  bytes trace_id = 1;
  bytes span_id = 2;
  string trace_state = 3;
  bytes parent_span_id = 4;
  fixed32 flags = 16;
  string name = 5;
  Enumeration kind = 6;
  fixed64 start_time_unix_nano = 7;
  fixed64 end_time_unix_nano = 8;
  repeated KeyValue attributes = 9;
  uint32 dropped_attributes_count = 10;
  repeated Event events = 11;
  uint32 dropped_events_count = 12;
  repeated Link links = 13;
  uint32 dropped_links_count = 14;
  Status status = 15;
}
message Event {
  fixed64 time_unix_nano = 1;
  string name = 2;
  repeated KeyValue attributes = 3;
  uint32 dropped_attributes_count = 4;
}
message Link {
  bytes trace_id = 1;
  bytes span_id = 2;
  string trace_state = 3;
  repeated KeyValue attributes = 4;
  uint32 dropped_attributes_count = 5;
  fixed32 flags = 6;
}
message Status { reserved 1; string message = 2; Enumeration code = 3; }

message ExportLogsServiceRequest { repeated ResourceLogs resource_logs = 1; }
message ResourceLogs { Resource resource = 1; repeated ScopeLogs scope_logs = 2; string schema_url = 3; }
message ScopeLogs { InstrumentationScope scope = 1; repeated LogRecord log_records = 2; string schema_url = 3; }
message LogRecord {
  fixed64 time_unix_nano = 1;
  fixed64 observed_time_unix_nano = 11;
  Enumeration severity_number = 2;
  string severity_text = 3;
  AnyValue body = 5;
  repeated KeyValue attributes = 6;
  uint32 dropped_attributes_count = 7;
  fixed32 flags = 8;
  bytes trace_id = 9;
  bytes span_id = 10;
  string event_name = 12;
}

message ExportMetricsServiceRequest { repeated ResourceMetrics resource_metrics = 1; }
message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; string schema_url = 3; }
message ScopeMetrics { InstrumentationScope scope = 1; repeated Metric metrics = 2; string schema_url = 3; }
message Metric {
  string name = 1;
  string description = 2;
  string unit = 3;
  oneof data {
    Gauge gauge = 5;
    Sum sum = 7;
    Histogram histogram = 9;
    ExponentialHistogram exponential_histogram = 10;
    Summary summary = 11;
  }
  repeated KeyValue metadata = 12;
}
message Gauge { repeated NumberDataPoint data_points = 1; }
message Sum {
  repeated NumberDataPoint data_points = 1;
  Enumeration aggregation_temporality = 2;
  bool is_monotonic = 3;
}
message Histogram { repeated HistogramDataPoint data_points = 1; Enumeration aggregation_temporality = 2; }
message ExponentialHistogram {
  repeated ExponentialHistogramDataPoint data_points = 1;
  Enumeration aggregation_temporality = 2;
}
message Summary { repeated SummaryDataPoint data_points = 1; }
message NumberDataPoint {
  repeated KeyValue attributes = 7;
  fixed64 start_time_unix_nano = 2;
  fixed64 time_unix_nano = 3;
  oneof value { double as_double = 4; sfixed64 as_int = 6; }
  repeated Exemplar exemplars = 5;
  uint32 flags = 8;
}
message HistogramDataPoint {
  repeated KeyValue attributes = 9;
  fixed64 start_time_unix_nano = 2;
  fixed64 time_unix_nano = 3;
  fixed64 count = 4;
  optional double sum = 5;
  repeated fixed64 bucket_counts = 6;
  repeated double explicit_bounds = 7;
  repeated Exemplar exemplars = 8;
  uint32 flags = 10;
  optional double min = 11;
  optional double max = 12;
}
message ExponentialHistogramDataPoint {
  repeated KeyValue attributes = 1;
  fixed64 start_time_unix_nano = 2;
  fixed64 time_unix_nano = 3;
  fixed64 count = 4;
  optional double sum = 5;
  sint32 scale = 6;
  fixed64 zero_count = 7;
  Buckets positive = 8;
  Buckets negative = 9;
  uint32 flags = 10;
  repeated Exemplar exemplars = 11;
  optional double min = 12;
  optional double max = 13;
  double zero_threshold = 14;
}
message Buckets { sint32 offset = 1; repeated uint64 bucket_counts = 2; }
message SummaryDataPoint {
  repeated KeyValue attributes = 7;
  fixed64 start_time_unix_nano = 2;
  fixed64 time_unix_nano = 3;
  fixed64 count = 4;
  double sum = 5;
  repeated ValueAtQuantile quantile_values = 6;
  uint32 flags = 8;
}
message ValueAtQuantile { double quantile = 1; double value = 2; }
message Exemplar {
  repeated KeyValue filtered_attributes = 7;
  fixed64 time_unix_nano = 2;
  oneof value { double as_double = 3; sfixed64 as_int = 6; }
  bytes span_id = 4;
  bytes trace_id = 5;
}

message Resource {
  repeated KeyValue attributes = 1;
  uint32 dropped_attributes_count = 2;
  repeated EntityRef entity_refs = 3;
}
message EntityRef {
  string schema_url = 1;
  string type = 2;
  repeated string id_keys = 3;
  repeated string description_keys = 4;
}
message InstrumentationScope {
  string name = 1;
  string version = 2;
  repeated KeyValue attributes = 3;
  uint32 dropped_attributes_count = 4;
}
message KeyValue { string key = 1; AnyValue value = 2; int32 key_strindex = 3; }
message AnyValue {
  oneof value {
    string string_value = 1;
    bool bool_value = 2;
    int64 int_value = 3;
    double double_value = 4;
    ArrayValue array_value = 5;
    KeyValueList kvlist_value = 6;
    bytes bytes_value = 7;
    int32 string_value_strindex = 8;
  }
}
message ArrayValue { repeated AnyValue values = 1; }
message KeyValueList { repeated KeyValue values = 1; }

// Every enumeration of OTLP is open and small, so one stands for all.
enum Enumeration { ZERO = 0; ONE = 1; TWO = 2; THREE = 3; FOUR = 4; FIVE = 5; TWENTY_FOUR = 24; }

message ExportTraceServiceResponse { ExportTracePartialSuccess partial_success = 1; }
message ExportTracePartialSuccess { int64 rejected_spans = 1; string error_message = 2; }
message ExportMetricsServiceResponse { ExportMetricsPartialSuccess partial_success = 1; }
message ExportMetricsPartialSuccess { int64 rejected_data_points = 1; string error_message = 2; }
message ExportLogsServiceResponse { ExportLogsPartialSuccess partial_success = 1; }
message ExportLogsPartialSuccess { int64 rejected_log_records = 1; string error_message = 2; }

message RpcStatus { int32 code = 1; string message = 2; repeated Any details = 3; }
message Any { string type_url = 1; bytes value = 2; }
message BadRequest { repeated FieldViolation field_violations = 1; }
message FieldViolation { string field = 1; string description = 2; }
`;

const { root } = protobuf.parse(PROTO);
root.resolveAll();

/** The type of each signal's request. */
export const REQUEST_TYPES: Readonly<Record<Signal, protobuf.Type>> = {
  traces: root.lookupType("ExportTraceServiceRequest"),
  metrics: root.lookupType("ExportMetricsServiceRequest"),
  logs: root.lookupType("ExportLogsServiceRequest"),
};

/** A message of the oracle by its name. */
export function typeOf(name: string): protobuf.Type {
  return root.lookupType(name);
}

/** A plain object with what a message says: 64-bit integers as strings, ids and bytes in base64, absent fields absent. */
export type Plain = { readonly [name: string]: unknown };

/** Reads protobuf into a plain object. Throws what protobufjs throws. */
export function decodeMessage(type: protobuf.Type, bytes: Uint8Array): Plain {
  return type.toObject(type.decode(bytes), { longs: String, bytes: String, enums: Number });
}

/** Writes a plain object as protobuf. Throws when it does not fit the message. */
export function encodeMessage(type: protobuf.Type, message: Plain): Uint8Array {
  return Uint8Array.from(type.encode(type.fromObject(message)).finish());
}

/** The items of a decoded request, in order: each a Span, a LogRecord or a data point. */
export function itemsOf(signal: Signal, request: Plain): readonly Plain[] {
  const each = (messages: readonly Plain[], name: string) => messages.flatMap((message) => list(message[name]));
  switch (signal) {
    case "traces":
      return each(each(list(request.resourceSpans), "scopeSpans"), "spans");
    case "logs":
      return each(each(list(request.resourceLogs), "scopeLogs"), "logRecords");
    case "metrics":
      return each(each(list(request.resourceMetrics), "scopeMetrics"), "metrics")
        .flatMap((metric) => METRIC_KINDS.flatMap((kind) => list((metric[kind] as Plain | undefined)?.dataPoints)));
  }
}

const METRIC_KINDS = ["gauge", "sum", "histogram", "exponentialHistogram", "summary"];

function list(value: unknown): readonly Plain[] {
  return (value ?? []) as readonly Plain[];
}

/** The same message as OTLP/JSON writes it: as {@linkcode decodeMessage} gives it, but with ids in hexadecimal. */
export function toOtlpJson(type: protobuf.Type, message: Plain): Plain {
  const json: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(message)) {
    const field = type.fields[name].resolve();
    const child = field.resolvedType;
    const convert = (one: unknown): unknown => {
      if (child instanceof protobuf.Type) return toOtlpJson(child, one as Plain);
      if (/^(traceId|spanId|parentSpanId)$/.test(name)) return hexOf(one as string);
      if (typeof one === "number" && !Number.isFinite(one)) return String(one);
      if (Object.is(one, -0)) return "-0";
      return one;
    };
    json[name] = Array.isArray(value) ? value.map(convert) : convert(value);
  }
  return json;
}

function hexOf(base64: string): string {
  return Array.from(atob(base64), (character) => character.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}

/** Any request of a signal, every field of it included, with ids that are mostly valid. */
export function anyRequest(signal: Signal): fc.Arbitrary<Plain> {
  return anyMessage(REQUEST_TYPES[signal], 0);
}

/** Spans and log records are this deep, the request being at 0. */
const ITEM_DEPTH = 3;

/** Deeper than this nothing repeats, and values are scalars. A span's attributes are at depth 4. */
const GENERATED_DEPTH_MAX = 7;

function anyMessage(type: protobuf.Type, depth: number): fc.Arbitrary<Plain> {
  const choices = type.oneofsArray.filter((oneof) => oneof.fieldsArray.length > 1);
  const alone = type.fieldsArray.filter((field) => !choices.some((oneof) => oneof.fieldsArray.includes(field)));
  // Envelopes always hold something, so that few requests are empty.
  const requiredKeys = alone.filter((field) => depth < ITEM_DEPTH && isMessage(field)).map(({ name }) => name);
  const parts: fc.Arbitrary<Plain>[] = [
    fc.record(Object.fromEntries(alone.map((field) => [field.name, anyField(field, depth)])), { requiredKeys }),
    ...choices.map(({ fieldsArray }) => {
      const fields = depth < GENERATED_DEPTH_MAX ? fieldsArray : fieldsArray.filter((field) => !isMessage(field));
      return fc.oneof(...fields.map((field) => anyField(field, depth).map((value) => ({ [field.name]: value }))));
    }),
  ];
  return fc.tuple(...parts).map((some) => Object.assign({}, ...some));
}

function anyField(field: protobuf.Field, depth: number): fc.Arbitrary<unknown> {
  const one = anyValue(field, depth);
  if (!field.repeated) return one;
  const minLength = depth < ITEM_DEPTH && depth !== 1 ? 1 : 0;
  return fc.array(one, { minLength, maxLength: depth >= GENERATED_DEPTH_MAX ? 1 : 3, size: "max" });
}

function anyValue(field: protobuf.Field, depth: number): fc.Arbitrary<unknown> {
  const child = field.resolve().resolvedType;
  if (child instanceof protobuf.Type) {
    return depth < GENERATED_DEPTH_MAX
      ? fc.constant(undefined).chain(() => anyMessage(child, depth + 1))
      : fc.constant({});
  }
  if (child instanceof protobuf.Enum) return fc.constantFrom(...Object.values(child.values));
  if (field.name === "traceId") return anyId(16);
  if (field.name === "spanId" || field.name === "parentSpanId") return anyId(8);
  switch (field.type) {
    case "string":
      return fc.string({ unit: "grapheme", maxLength: 12 });
    case "bytes":
      return fc.uint8Array({ maxLength: 20 }).map(base64Of);
    case "bool":
      return fc.boolean();
    case "double":
      return fc.double();
    case "int32":
    case "sint32":
      return fc.integer();
    case "uint32":
    case "fixed32":
      return fc.integer({ min: 0, max: 0xffff_ffff });
    case "int64":
    case "sfixed64":
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
    case "uint64":
    case "fixed64":
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
    default:
      throw new TypeError(`no values are known for a ${field.type}`);
  }
}

function anyId(length: number): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 8, arbitrary: fc.uint8Array({ minLength: length, maxLength: length }) },
    { weight: 1, arbitrary: fc.constant(new Uint8Array(length)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }) },
  ).map(base64Of);
}

function base64Of(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function isMessage(field: protobuf.Field): boolean {
  return field.resolve().resolvedType instanceof protobuf.Type;
}
