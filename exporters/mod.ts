/**
 * What stands between an application and its telemetry backend.
 *
 * Three wrappers make any OpenTelemetry exporter safe: a circuit breaker and a deadline around `export()`, so that a
 * backend that is down, slow or hung costs the application nothing, and an account of what was delivered, what was
 * dropped, and why. Below them stands the transport seam: `send(body)` over HTTP, behind a breaker, behind retries,
 * each a {@linkcode Transport} itself.
 *
 * @example One line makes an exporter safe
 * ```ts
 * import assert from "node:assert/strict";
 * import { CircuitBreakerSpanExporter } from "@breakwater/otel/exporters";
 * import { BasicTracerProvider, BatchSpanProcessor, InMemorySpanExporter } from "@opentelemetry/sdk-trace-base";
 *
 * const exporter = new CircuitBreakerSpanExporter(new InMemorySpanExporter());
 * const provider = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });
 * provider.getTracer("example").startSpan("work").end();
 * await provider.shutdown();
 * assert.deepEqual(exporter.account, { accepted: 1, delivered: 1, dropped: {}, queued: 0 });
 * ```
 *
 * @module
 */

export { CircuitBreakerLogRecordExporter } from "./log_record_exporter.ts";
export { CircuitBreakerMetricExporter } from "./metric_exporter.ts";
export { CircuitBreakerSpanExporter } from "./span_exporter.ts";
export type { CircuitBreakerExporterOptions } from "./exporter_options.ts";
export type { ExportAccount } from "./guarded_export.ts";
export type { ExportObserver } from "./export_observer.ts";
export type { Report } from "./isolation.ts";

export {
  type OtlpTransport,
  otlpTransport,
  type OtlpTransportOptions,
  TRANSPORT_CIRCUIT,
} from "./transport/otlp_transport.ts";
export { HttpTransport, type HttpTransportOptions } from "./transport/http.ts";
export type { Compression, PerSignal } from "./transport/http_endpoint.ts";
export { BreakerTransport, type Circuit } from "./transport/breaker.ts";
export { RetryTransport, type RetryTransportOptions } from "./transport/retry.ts";
export { RetryBudget } from "./transport/retry_budget.ts";
export type { RequestBody, SendAnswer, SendOptions, Transport } from "./transport/transport.ts";
export { type Environment, type OtlpEnvironment, otlpFromEnvironment, type OtlpProtocol } from "./env.ts";

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

// What the above is made with.
export {
  CircuitBreaker,
  type CircuitBreakerHandle,
  type CircuitBreakerNumbers,
  type CircuitBreakerOptions,
  type CircuitCounters,
  type CircuitHold,
  type CircuitMode,
  CircuitOpenError,
  type CircuitState,
  type CircuitTransition,
  type Clock,
  type LentHandle,
  type Outcome,
  type OutcomePredicates,
  type Recorded,
  type RefusingCircuit,
  type RunOptions,
} from "../core/mod.ts";
