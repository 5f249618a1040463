/** What real senders send lands in the server, and in the collector behind it, to the item. */

import assert from "node:assert/strict";
import { SpanStatusCode } from "@opentelemetry/api";
import { SeverityNumber } from "@opentelemetry/api-logs";
import { OTLPLogExporter as JsonLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPLogExporter as ProtobufLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter as JsonMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPMetricExporter as ProtobufMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter as JsonTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { type Signal, SIGNALS } from "../../exporters/signal.ts";
import { type CollectedRequest, startCollector } from "../../exporters/testing/collector.ts";
import { started } from "../fakes/running_server.ts";
import { decodeMessage, itemsOf, REQUEST_TYPES } from "../model/otlp_schema.ts";

const SPAN_COUNT = 700; // more than one batch of 512
const LOG_COUNT = 600;
const POINT_COUNT = 5; // two label sets of a counter, one of a histogram, one gauge of two

const exporters = {
  "protobuf": { Trace: ProtobufTraceExporter, Metric: ProtobufMetricExporter, Log: ProtobufLogExporter },
  "JSON": { Trace: JsonTraceExporter, Metric: JsonMetricExporter, Log: JsonLogExporter },
};

for (const [encoding, { Trace, Metric, Log }] of Object.entries(exporters)) {
  for (const compression of ["none", "gzip"] as const) {
    Deno.test(`R2 R3 the stock exporters' ${encoding} with compression ${compression} lands with exact counts`, async () => {
      await throughServer(async (url) => {
        const options = (signal: Signal) => ({ url: `${url}/v1/${signal}`, compression: compression as never });
        const tracers = new BasicTracerProvider({
          spanProcessors: [new BatchSpanProcessor(new Trace(options("traces")))],
        });
        const meters = new MeterProvider({
          readers: [
            new PeriodicExportingMetricReader({
              exporter: new Metric(options("metrics")),
              exportIntervalMillis: 3_600_000, // once, at shutdown
              exportTimeoutMillis: 30_000,
            }),
          ],
        });
        const loggers = new LoggerProvider({
          processors: [new BatchLogRecordProcessor({ exporter: new Log(options("logs")) })],
        });
        makeTelemetry(tracers, meters, loggers);
        await Promise.all([tracers.shutdown(), meters.shutdown(), loggers.shutdown()]);
      }, () => ({ traces: SPAN_COUNT, metrics: POINT_COUNT, logs: LOG_COUNT }));
    });
  }
}

for (const protocol of ["http/protobuf", "http/json"]) {
  Deno.test(`R2 Deno's built-in exporter, ${protocol}, lands with exact counts`, async () => {
    await throughServer(async (url) => {
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "--allow-all", new URL("../fakes/built_in_sender.ts", import.meta.url).href],
        env: { OTEL_DENO: "true", OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_PROTOCOL: protocol },
      }).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      // Deno adds points of its own (garbage collections, as many as there were): those are counted one by one.
    }, (requests) => ({ traces: 50, metrics: 2 + pointsOutside("built-in", requests), logs: 20 }));
  });
}

/** Runs senders against a server with a collector behind it, drains it, and holds the three counts against each other. */
async function throughServer(
  send: (url: string) => Promise<void>,
  sentAccordingTo: (requests: readonly CollectedRequest[]) => Readonly<Record<Signal, number>>,
): Promise<void> {
  await using collector = await startCollector();
  await using server = await started({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, BREAKWATER_ADMIN_LISTEN: "off" });
  try {
    await send(server.otlpUrl ?? "");
  } finally {
    const { balanced, equations } = await server.drain();
    const sent = sentAccordingTo(collector.requests);
    assert.ok(balanced, equations.join("\n"));
    for (const signal of SIGNALS) {
      const count = sent[signal];
      assert.ok(
        equations.some((line) =>
          line.startsWith(`${signal} `) && line.includes(`received ${count} = accepted ${count} + refused 0`)
        ),
        equations.join("\n"),
      );
    }
    assert.deepEqual(collector.items, sent);
  }
}

/** The data points that another scope than `scope` has sent. */
function pointsOutside(scope: string, requests: readonly CollectedRequest[]): number {
  let count = 0;
  for (const { signal, payload } of requests) {
    if (signal !== "metrics") continue;
    const request = decodeMessage(REQUEST_TYPES.metrics, payload) as unknown as MetricsRequest;
    for (const { scopeMetrics } of request.resourceMetrics) {
      const others = scopeMetrics.filter((metrics) => metrics.scope.name !== scope);
      count += itemsOf("metrics", { resourceMetrics: [{ scopeMetrics: others }] }).length;
    }
  }
  return count;
}

interface MetricsRequest {
  readonly resourceMetrics: readonly {
    readonly scopeMetrics: readonly { readonly scope: { readonly name: string } }[];
  }[];
}

function makeTelemetry(tracers: BasicTracerProvider, meters: MeterProvider, loggers: LoggerProvider): void {
  const tracer = tracers.getTracer("senders", "1.0.0");
  for (let index = 0; index < SPAN_COUNT; index++) {
    const span = tracer.startSpan(`span ${index}`, { attributes: { index, "name.ü": "ß", flags: [true, false] } });
    span.addEvent("event", { at: index / 3 });
    if (index % 10 === 0) span.setStatus({ code: SpanStatusCode.ERROR, message: "failed" });
    span.end();
  }
  const meter = meters.getMeter("senders");
  const counter = meter.createCounter("orders");
  counter.add(1, { kind: "express" });
  counter.add(2, { kind: "standard" });
  meter.createHistogram("duration").record(12.5);
  meter.createObservableGauge("temperature").addCallback((result) => {
    result.observe(20.5, { room: "a" });
    result.observe(Number.MAX_SAFE_INTEGER, { room: "b" });
  });
  const logger = loggers.getLogger("senders");
  for (let index = 0; index < LOG_COUNT; index++) {
    logger.emit({ severityNumber: SeverityNumber.WARN, body: { order: index, text: "taken" } });
  }
}
