/** What OpenTelemetry's own serializers send, from its own SDK: both of their encodings must come to the same request. */

import assert from "node:assert/strict";
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags, ValueType } from "@opentelemetry/api";
import { SeverityNumber } from "@opentelemetry/api-logs";
import {
  JsonLogsSerializer,
  JsonMetricsSerializer,
  JsonTraceSerializer,
  ProtobufLogsSerializer,
  ProtobufMetricsSerializer,
  ProtobufTraceSerializer,
} from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs";
import {
  AggregationTemporality,
  AggregationType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
  type ResourceMetrics,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { decodeExportResponse, encodeExportResponse } from "../../../exporters/otlp/response.ts";
import { filterItems } from "../../../exporters/otlp/filter.ts";
import { requestFromJson } from "../../../exporters/otlp/json.ts";
import { skim } from "../../../exporters/otlp/skim.ts";
import { splitRequest } from "../../../exporters/otlp/split.ts";
import type { Signal } from "../../../exporters/signal.ts";
import { decodeMessage, itemsOf, type Plain, REQUEST_TYPES } from "../../model/otlp_schema.ts";

const RESOURCE = resourceFromAttributes({ "service.name": "harbour", "process.pid": 42, "tags": ["a", "b"] });
const ATTRIBUTES = {
  text: "Grüße, 世界 🌊",
  integer: -42,
  double: 1.5,
  flag: false,
  texts: ["x", "y"],
  numbers: [1, 2, 3],
  long: "a".repeat(300),
};

Deno.test("R11 R14 spans of the stock SDK come to the same request from JSON and from protobuf", async () => {
  const spans = await someSpans();
  assertSame("traces", 5, ProtobufTraceSerializer.serializeRequest(spans), JsonTraceSerializer.serializeRequest(spans));
});

Deno.test("R11 R14 metrics of the stock SDK, of every kind it makes, come to the same request from JSON and from protobuf", async () => {
  const metrics = await someMetrics();
  const request = assertSame(
    "metrics",
    7,
    ProtobufMetricsSerializer.serializeRequest(metrics),
    JsonMetricsSerializer.serializeRequest(metrics),
  );
  const text = JSON.stringify(request);
  for (const kind of ["gauge", "sum", "histogram", "exponentialHistogram"]) {
    assert.ok(text.includes(`"${kind}":`), kind);
  }
});

Deno.test("R11 R14 log records of the stock SDK come to the same request from JSON and from protobuf", async () => {
  const exporter = new InMemoryLogRecordExporter();
  const provider = new LoggerProvider({ resource: RESOURCE, processors: [new SimpleLogRecordProcessor({ exporter })] });
  const logger = provider.getLogger("lighthouse", "1.2.3");
  const context = trace.setSpanContext(ROOT_CONTEXT, {
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    traceFlags: TraceFlags.SAMPLED,
  });
  logger.emit({
    body: "plain",
    severityNumber: SeverityNumber.WARN,
    severityText: "WARN",
    attributes: ATTRIBUTES,
    context,
  });
  logger.emit({
    body: { nested: { list: [1, "two", true, 2.5], bytes: new Uint8Array([0, 255]) } },
    eventName: "ship.arrived",
  });
  logger.emit({ body: "" });
  await provider.forceFlush();
  const records = exporter.getFinishedLogRecords();
  assertSame("logs", 3, ProtobufLogsSerializer.serializeRequest(records), JsonLogsSerializer.serializeRequest(records));
  await provider.shutdown();
});

Deno.test("R5 R7 the stock exporters read our answers: nothing in a full success, the count in a partial one", () => {
  const partial = { rejectedCount: 3, message: "3 are invalid" };
  for (const serializer of [ProtobufTraceSerializer, JsonTraceSerializer]) {
    const encoding = serializer === JsonTraceSerializer ? "json" : "protobuf";
    assert.deepEqual(serializer.deserializeResponse(encodeExportResponse("traces", encoding)), {});
    const body = encodeExportResponse("traces", encoding, partial);
    const { partialSuccess } = serializer.deserializeResponse(body);
    assert.equal(Number(partialSuccess?.rejectedSpans), 3);
    assert.equal(partialSuccess?.errorMessage, "3 are invalid");
    assert.deepEqual(decodeExportResponse(body, encoding, "traces"), partial);
  }
});

/** Both encodings are counted alike, say the same, and survive being split and filtered. */
function assertSame(signal: Signal, itemCount: number, protobuf?: Uint8Array, json?: Uint8Array): Plain {
  assert.ok(protobuf && json);
  const type = REQUEST_TYPES[signal];
  const translated = requestFromJson(new TextDecoder().decode(json), signal);
  const request = decodeMessage(type, protobuf);
  assert.equal(itemsOf(signal, request).length, itemCount);
  assert.deepEqual(decodeMessage(type, translated), request);
  for (const payload of [protobuf, translated]) {
    assert.deepEqual(skim(payload, signal), { itemCount, invalidCount: 0 });
    assert.equal(filterItems(payload, signal, ({ valid }) => valid).payload, payload);
    const halves = splitRequest(payload, signal);
    assert.deepEqual(
      halves.flatMap((half) => itemsOf(signal, decodeMessage(type, half))),
      itemsOf(signal, decodeMessage(type, payload)),
    );
  }
  return request;
}

async function someSpans(): Promise<ReadableSpan[]> {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ resource: RESOURCE, spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const tracer = provider.getTracer("lighthouse", "1.2.3", { schemaUrl: "https://example.org/schema" });
  const parent = tracer.startSpan("parent", { kind: SpanKind.SERVER, attributes: ATTRIBUTES });
  const context = trace.setSpan(ROOT_CONTEXT, parent);
  const child = tracer.startSpan("child", {
    kind: SpanKind.CLIENT,
    links: [{ context: parent.spanContext(), attributes: ATTRIBUTES }],
  }, context);
  child.addEvent("event", ATTRIBUTES);
  child.recordException(new Error("broken"));
  child.setStatus({ code: SpanStatusCode.ERROR, message: "broken" });
  child.end();
  parent.setStatus({ code: SpanStatusCode.OK });
  parent.end();
  for (const kind of [SpanKind.PRODUCER, SpanKind.CONSUMER, SpanKind.INTERNAL]) {
    provider.getTracer(`scope-${kind}`).startSpan("", { kind }).end();
  }
  await provider.forceFlush();
  const spans = exporter.getFinishedSpans();
  await provider.shutdown();
  return spans;
}

async function someMetrics(): Promise<ResourceMetrics> {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const provider = new MeterProvider({
    resource: RESOURCE,
    readers: [reader],
    views: [{ instrumentName: "exponential", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
  });
  const meter = provider.getMeter("lighthouse", "1.2.3");
  const counter = meter.createCounter("counter", {
    unit: "{ship}",
    description: "Ships seen",
    valueType: ValueType.INT,
  });
  counter.add(3, { port: "a" });
  counter.add(4, { port: "b" });
  meter.createUpDownCounter("balance").add(-1.5, ATTRIBUTES);
  meter.createGauge("gauge").record(-7.25);
  meter.createObservableGauge("observed", { valueType: ValueType.INT }).addCallback((result) => result.observe(-9));
  const histogram = meter.createHistogram("histogram", { advice: { explicitBucketBoundaries: [1, 2.5, 10] } });
  const exponential = meter.createHistogram("exponential");
  for (const value of [0, 0.1, 2, 3, 500]) {
    histogram.record(value);
    exponential.record(value);
  }
  await provider.forceFlush();
  const [metrics] = exporter.getMetrics();
  await provider.shutdown();
  return metrics;
}
