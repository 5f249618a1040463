/**
 * Breakwater: telemetry that can never hurt the service it watches, and is never lost in silence.
 *
 * A backend that is down, slow, hung or full must not reach the application, and what could not be delivered must be
 * counted. One line makes any OpenTelemetry exporter safe: put it into {@linkcode CircuitBreakerSpanExporter},
 * {@linkcode CircuitBreakerMetricExporter} or {@linkcode CircuitBreakerLogRecordExporter}. The SDK, its processors and
 * its readers stay as they are; SDK 2.x and 3.x both fit.
 *
 * @example Adoption in one line
 * ```ts
 * import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
 * import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
 * import { CircuitBreakerSpanExporter } from "@breakwater/otel";
 *
 * const exporter = new CircuitBreakerSpanExporter(new OTLPTraceExporter());
 * const provider = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });
 *
 * const { accepted, delivered, dropped, queued } = exporter.account; // accepted = delivered + dropped + queued
 * console.assert(exporter.breaker.state === "closed" && accepted === delivered + queued && !dropped.circuit_open);
 * await provider.shutdown().catch(console.warn); // the SDK rejects when the last spans could not be sent
 * ```
 *
 * The rooms have doors of their own: `@breakwater/otel/core` holds the circuit breaker, `@breakwater/otel/exporters`
 * the wrappers and the transports, `@breakwater/otel/server` the server that takes OTLP in and passes it on.
 *
 * @module
 */

export * from "./exporters/mod.ts";
