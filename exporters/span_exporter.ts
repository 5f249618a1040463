import type { CircuitBreaker } from "../core/breaker.ts";
import type { CircuitBreakerExporterOptions } from "./exporter_options.ts";
import { type ExportAccount, GuardedExport } from "./guarded_export.ts";
import type { ReadableSpan, ResultCallback, SpanExporter } from "./sdk_types.ts";

/**
 * Makes any span exporter safe: a circuit breaker and a deadline around `export`, and an account of every span.
 *
 * One failure is one `export()` that the inner exporter fails, throws in, or does not answer within `exportTimeoutMs`;
 * what it says later changes nothing. While the circuit is open, batches are dropped at once and the backend is left
 * alone. A batch of which the backend says that it is bad (HTTP 400, 413 and the like) is dropped without counting
 * against the backend. A dropped batch is never reported as a success. An empty batch is one, without asking the inner
 * exporter.
 *
 * @example
 * ```ts
 * import { CircuitBreakerSpanExporter } from "@breakwater/otel/exporters";
 * import { BasicTracerProvider, BatchSpanProcessor, InMemorySpanExporter } from "@opentelemetry/sdk-trace-base";
 *
 * const exporter = new CircuitBreakerSpanExporter(new InMemorySpanExporter());
 * const provider = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });
 * provider.getTracer("example").startSpan("work").end();
 * await provider.forceFlush();
 * console.assert(exporter.account.delivered === 1);
 * ```
 */
export class CircuitBreakerSpanExporter implements SpanExporter {
  readonly #guard: GuardedExport<ReadableSpan[]>;

  /**
   * Flushes the inner exporter, for at most `exportTimeoutMs`; while the circuit is open it resolves at once. Present
   * when the inner exporter has it. Rejects when the inner exporter fails or does not answer in time.
   */
  declare readonly forceFlush?: () => Promise<void>;

  /**
   * Wraps an exporter, which belongs to the wrapper from here on.
   *
   * @throws {RangeError} When an option is outside its range.
   * @throws {TypeError} When an option is of the wrong kind.
   */
  constructor(inner: SpanExporter, options: CircuitBreakerExporterOptions = {}) {
    this.#guard = new GuardedExport("traces", inner, (spans) => spans.length, options);
    if (typeof inner.forceFlush === "function") this.forceFlush = () => this.#guard.forceFlush();
  }

  /** The circuit: its state, its counters, its transitions. */
  get breaker(): CircuitBreaker {
    return this.#guard.breaker;
  }

  /** What became of the spans: `accepted = delivered + dropped + queued`. */
  get account(): ExportAccount {
    return this.#guard.account;
  }

  /** Exports a batch and answers through the callback exactly once. Never throws; a refusal is a `CircuitOpenError`. */
  export(spans: ReadableSpan[], resultCallback: ResultCallback): void {
    this.#guard.export(spans, resultCallback);
  }

  /**
   * Waits for exports in flight and shuts the inner exporter down, for at most `exportTimeoutMs` together. Every call
   * gives the same promise. Rejects when the inner exporter fails or does not answer in time.
   */
  shutdown(): Promise<void> {
    return this.#guard.shutdown();
  }
}
