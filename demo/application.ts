/**
 * The traced program of the demonstration: a small shop on the real OpenTelemetry SDK, in a process of its own. It
 * makes spans, metrics and logs until its standard input ends, flushes, and prints what became of them as one line of
 * JSON.
 *
 * `deno run application.ts http://127.0.0.1:4318`
 */

import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { SeverityNumber } from "@opentelemetry/api-logs";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { total } from "../exporters/reason.ts";
import type { Signal } from "../exporters/signal.ts";
import {
  CircuitBreakerLogRecordExporter,
  CircuitBreakerMetricExporter,
  CircuitBreakerSpanExporter,
  type ExportAccount,
} from "../exporters/mod.ts";

/** One simulated request every so often: 40 spans, 20 log records a second. */
const REQUEST_INTERVAL_MS = 50;

/** The SDK's own waits, shortened from 5 s, 1 s and 60 s so that the play has something to show. */
const BATCH_DELAY_MS = 250;
const METRIC_INTERVAL_MS = 1_000;

/** What became of one signal here, in items. */
export interface SentItems {
  readonly made: number;
  /** The server said that it has them. */
  readonly acknowledged: number;
  /** It did not, although it was asked again. */
  readonly givenUp: number;
}

/** What this process says when it ends. */
export type Sent = Readonly<Record<Signal, SentItems>>;

if (import.meta.main) await main(Deno.args[0] ?? "http://127.0.0.1:4318");

async function main(url: string): Promise<void> {
  const resource = resourceFromAttributes({ "service.name": "demo-shop" });

  // Adoption is this one line a signal: the stock exporter, wrapped.
  const spanExporter = new CircuitBreakerSpanExporter(new OTLPTraceExporter({ url: `${url}/v1/traces` }));
  const metricExporter = new CircuitBreakerMetricExporter(new OTLPMetricExporter({ url: `${url}/v1/metrics` }));
  const logExporter = new CircuitBreakerLogRecordExporter(new OTLPLogExporter({ url: `${url}/v1/logs` }));

  const tracers = new BasicTracerProvider({
    resource,
    spanProcessors: [new BatchSpanProcessor(spanExporter, { scheduledDelayMillis: BATCH_DELAY_MS })],
  });
  const meters = new MeterProvider({
    resource,
    readers: [
      new PeriodicExportingMetricReader({
        exporter: metricExporter,
        exportIntervalMillis: METRIC_INTERVAL_MS,
        exportTimeoutMillis: METRIC_INTERVAL_MS,
      }),
    ],
  });
  const loggers = new LoggerProvider({
    resource,
    processors: [new BatchLogRecordProcessor({ exporter: logExporter, scheduledDelayMillis: BATCH_DELAY_MS })],
  });

  const tracer = tracers.getTracer("demo");
  const logger = loggers.getLogger("demo");
  const orders = meters.getMeter("demo").createCounter("orders", { description: "Orders taken" });
  const duration = meters.getMeter("demo").createHistogram("order.duration", { unit: "ms" });
  let requestCount = 0;

  const timer = setInterval(serveOneRequest, REQUEST_INTERVAL_MS);
  await Deno.stdin.readable.pipeTo(new WritableStream());
  clearInterval(timer);

  await Promise.all([tracers.shutdown(), meters.shutdown(), loggers.shutdown()]);
  // Data points are made when the reader collects them, so only their exporter knows how many there were.
  const sent: Sent = {
    traces: sentItems(requestCount * 2, spanExporter.account),
    metrics: sentItems(metricExporter.account.accepted, metricExporter.account),
    logs: sentItems(requestCount, logExporter.account),
  };
  console.log(JSON.stringify(sent));

  function serveOneRequest(): void {
    const id = requestCount++;
    const request = tracer.startSpan("POST /orders", { kind: SpanKind.SERVER, attributes: { "order.id": id } });
    const context = trace.setSpan(ROOT_CONTEXT, request);
    const query = tracer.startSpan("INSERT orders", { kind: SpanKind.CLIENT }, context);
    query.end();
    if (id % 50 === 49) request.setStatus({ code: SpanStatusCode.ERROR, message: "card declined" });
    request.end();
    orders.add(1, { kind: id % 3 === 0 ? "express" : "standard" });
    duration.record(5 + (id % 17));
    logger.emit({ severityNumber: SeverityNumber.INFO, body: `order ${id} taken`, context });
  }
}

function sentItems(made: number, { delivered, dropped }: ExportAccount): SentItems {
  return { made, acknowledged: delivered, givenUp: total(dropped) };
}
