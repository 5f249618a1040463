import type { CircuitBreaker } from "../core/breaker.ts";
import type { CircuitBreakerExporterOptions } from "./exporter_options.ts";
import { type ExportAccount, GuardedExport } from "./guarded_export.ts";
import type { PushMetricExporter, ResourceMetrics, ResultCallback } from "./sdk_types.ts";

/**
 * Makes any push metric exporter safe, in the way of {@linkcode CircuitBreakerSpanExporter}. Its items are data points.
 *
 * @example
 * ```ts
 * import { CircuitBreakerMetricExporter } from "@breakwater/otel/exporters";
 * import {
 *   AggregationTemporality,
 *   InMemoryMetricExporter,
 *   MeterProvider,
 *   PeriodicExportingMetricReader,
 * } from "@opentelemetry/sdk-metrics";
 *
 * const inner = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
 * const exporter = new CircuitBreakerMetricExporter(inner);
 * const provider = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter })] });
 * provider.getMeter("example").createCounter("requests").add(1);
 * await provider.forceFlush();
 * console.assert(exporter.account.delivered === 1);
 * await provider.shutdown();
 * ```
 */
export class CircuitBreakerMetricExporter implements PushMetricExporter {
  readonly #guard: GuardedExport<ResourceMetrics>;

  /** What the inner exporter wants of its reader; present when the inner exporter has it. */
  declare readonly selectAggregation?: PushMetricExporter["selectAggregation"];

  /** What the inner exporter wants of its reader; present when the inner exporter has it. */
  declare readonly selectAggregationTemporality?: PushMetricExporter["selectAggregationTemporality"];

  /**
   * Wraps an exporter, which belongs to the wrapper from here on.
   *
   * @throws {RangeError} When an option is outside its range.
   * @throws {TypeError} When an option is of the wrong kind.
   */
  constructor(inner: PushMetricExporter, options: CircuitBreakerExporterOptions = {}) {
    this.#guard = new GuardedExport("metrics", inner, countDataPoints, options);
    if (inner.selectAggregation !== undefined) this.selectAggregation = inner.selectAggregation.bind(inner);
    if (inner.selectAggregationTemporality !== undefined) {
      this.selectAggregationTemporality = inner.selectAggregationTemporality.bind(inner);
    }
  }

  /** The circuit: its state, its counters, its transitions. */
  get breaker(): CircuitBreaker {
    return this.#guard.breaker;
  }

  /** What became of the data points: `accepted = delivered + dropped + queued`. */
  get account(): ExportAccount {
    return this.#guard.account;
  }

  /** Exports a batch and answers through the callback exactly once. Never throws; a refusal is a `CircuitOpenError`. */
  export(metrics: ResourceMetrics, resultCallback: ResultCallback): void {
    this.#guard.export(metrics, resultCallback);
  }

  /**
   * Flushes the inner exporter, for at most `exportTimeoutMs`; while the circuit is open, or when the inner exporter
   * has nothing to flush with, it resolves at once. Rejects when the inner exporter fails or does not answer in time.
   */
  forceFlush(): Promise<void> {
    return this.#guard.forceFlush();
  }

  /**
   * Waits for exports in flight and shuts the inner exporter down, for at most `exportTimeoutMs` together. Every call
   * gives the same promise. Rejects when the inner exporter fails or does not answer in time.
   */
  shutdown(): Promise<void> {
    return this.#guard.shutdown();
  }
}

function countDataPoints({ scopeMetrics }: ResourceMetrics): number {
  let count = 0;
  for (const { metrics } of scopeMetrics) {
    for (const { dataPoints } of metrics) count += dataPoints.length;
  }
  return count;
}
