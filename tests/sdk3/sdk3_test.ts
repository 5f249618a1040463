import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { createRequire } from "node:module";
import {
  CircuitBreakerLogRecordExporter,
  CircuitBreakerMetricExporter,
  CircuitBreakerSpanExporter,
} from "../../exporters/mod.ts";
import { type Application, type ApplicationOptions, testOn } from "../exporters/sdk_scenarios.ts";

testOn({
  name: "SDK 3.x",
  apiVersion: "1.10.",
  apiPath: createRequire(import.meta.resolve("@opentelemetry/sdk-trace")).resolve("@opentelemetry/api"),
  start,
});

function start({ endpoints, innerTimeoutMs: timeoutMillis, wrap }: ApplicationOptions): Application {
  const exporters = {
    traces: new CircuitBreakerSpanExporter(new OTLPTraceExporter({ url: endpoints.traces, timeoutMillis }), wrap),
    metrics: new CircuitBreakerMetricExporter(new OTLPMetricExporter({ url: endpoints.metrics, timeoutMillis }), wrap),
    logs: new CircuitBreakerLogRecordExporter(new OTLPLogExporter({ url: endpoints.logs, timeoutMillis }), wrap),
  };
  const providers = [
    new TracerProvider({ spanProcessors: [new BatchSpanProcessor({ exporter: exporters.traces })] }),
    new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter: exporters.metrics })] }),
    new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter: exporters.logs })] }),
  ] as const;
  const tracer = providers[0].getTracer("test");
  const counter = providers[1].getMeter("test").createCounter("work");
  const logger = providers[2].getLogger("test");
  return {
    exporters,
    work(index) {
      tracer.startSpan(`work ${index}`).end();
      counter.add(1, { index });
      logger.emit({ body: `worked ${index}` });
    },
    flush: () => providers.map((provider) => provider.forceFlush()),
    shutdown: () => providers.map((provider) => provider.shutdown()),
  };
}
