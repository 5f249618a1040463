import type { CircuitBreaker } from "../core/breaker.ts";
import type { CircuitBreakerExporterOptions } from "./exporter_options.ts";
import { type ExportAccount, GuardedExport } from "./guarded_export.ts";
import type { LogRecordExporter, ReadableLogRecord, ResultCallback } from "./sdk_types.ts";

/**
 * Makes any log record exporter safe, in the way of {@linkcode CircuitBreakerSpanExporter}.
 *
 * @example
 * ```ts
 * import { CircuitBreakerLogRecordExporter } from "@breakwater/otel/exporters";
 * import { BatchLogRecordProcessor, InMemoryLogRecordExporter, LoggerProvider } from "@opentelemetry/sdk-logs";
 *
 * const exporter = new CircuitBreakerLogRecordExporter(new InMemoryLogRecordExporter());
 * const provider = new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter })] });
 * provider.getLogger("example").emit({ body: "something happened" });
 * await provider.forceFlush();
 * console.assert(exporter.account.delivered === 1);
 * ```
 */
export class CircuitBreakerLogRecordExporter implements LogRecordExporter {
  readonly #guard: GuardedExport<ReadableLogRecord[]>;

  /**
   * Wraps an exporter, which belongs to the wrapper from here on. Exporters of older SDKs have no `forceFlush`.
   *
   * @throws {RangeError} When an option is outside its range.
   * @throws {TypeError} When an option is of the wrong kind.
   */
  constructor(
    inner: Omit<LogRecordExporter, "forceFlush"> & Partial<Pick<LogRecordExporter, "forceFlush">>,
    options: CircuitBreakerExporterOptions = {},
  ) {
    this.#guard = new GuardedExport("logs", inner, (records) => records.length, options);
  }

  /** The circuit: its state, its counters, its transitions. */
  get breaker(): CircuitBreaker {
    return this.#guard.breaker;
  }

  /** What became of the log records: `accepted = delivered + dropped + queued`. */
  get account(): ExportAccount {
    return this.#guard.account;
  }

  /** Exports a batch and answers through the callback exactly once. Never throws; a refusal is a `CircuitOpenError`. */
  export(records: ReadableLogRecord[], resultCallback: ResultCallback): void {
    this.#guard.export(records, resultCallback);
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
