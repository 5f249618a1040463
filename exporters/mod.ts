/**
 * What stands between an application and its telemetry backend: wrappers that make any OpenTelemetry exporter safe.
 *
 * Each of the three puts a circuit breaker and a deadline around `export()`, so that a backend that is down, slow or hung costs
 * the application nothing, and keeps an account of what was delivered and what was dropped, and why.
 *
 * @example One line makes an exporter safe
 * ```ts
 * import { CircuitBreakerSpanExporter } from "@breakwater/otel/exporters";
 * import { BasicTracerProvider, BatchSpanProcessor, ConsoleSpanExporter } from "@opentelemetry/sdk-trace-base";
 *
 * const exporter = new CircuitBreakerSpanExporter(new ConsoleSpanExporter());
 * const provider = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });
 * await provider.shutdown();
 * ```
 *
 * @module
 */

export { CircuitBreakerLogRecordExporter } from "./log_record_exporter.ts";
export { CircuitBreakerMetricExporter } from "./metric_exporter.ts";
export { CircuitBreakerSpanExporter } from "./span_exporter.ts";
export type { CircuitBreakerExporterOptions } from "./exporter_options.ts";
export type { ExportAccount } from "./guarded_export.ts";
export { CircuitOpenError } from "./circuit_open_error.ts";
export type { CircuitState, ExportObserver } from "./export_observer.ts";
export type { Report } from "./isolation.ts";
export type { CountByReason, Reason } from "./reason.ts";
export type { Signal } from "./signal.ts";
export type { Sleep } from "./sleep.ts";
export type {
  ExportResult,
  LogRecordExporter,
  PushMetricExporter,
  ReadableLogRecord,
  ReadableSpan,
  ResourceMetrics,
  ResultCallback,
  SpanExporter,
} from "./sdk_types.ts";
export { CircuitBreaker } from "../core/breaker.ts";
export type { CircuitBreakerOptions } from "../core/breaker.ts";
