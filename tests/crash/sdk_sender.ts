import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { AggregationTemporality, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { bySignal, type Signal } from "../../exporters/signal.ts";

/** How long the SDK tries to send a batch, in milliseconds: to a server that is gone, not for long. */
const EXPORT_TIMEOUT_MS = 500;

/** Nothing is sent by the clock: `flush` decides. */
const NEVER_MS = 3_600_000;

/** The key of the attribute that tells an item from all others. */
export const ID_KEY = "id";

/**
 * A real OpenTelemetry SDK with the stock OTLP exporters, and what it was told became of its spans, log records and data
 * points.
 */
export class SdkSender {
  /** The ids of all items that were ever made. */
  readonly made: Readonly<Record<Signal, Set<number>>> = bySignal(() => new Set<number>());
  /** The ids of those that were exported with success. */
  readonly answered: Readonly<Record<Signal, Set<number>>> = bySignal(() => new Set<number>());
  readonly #tracers: BasicTracerProvider;
  readonly #meters: MeterProvider;
  readonly #loggers: LoggerProvider;
  #nextId = 1;

  constructor(url: string) {
    const options = (signal: Signal) => ({ url: `${url}/v1/${signal}`, timeoutMillis: EXPORT_TIMEOUT_MS });
    const traces = witnessed(
      new OTLPTraceExporter(options("traces")),
      (spans) => spans.map(({ attributes }) => attributes),
      this.answered.traces,
    );
    const logs = witnessed(
      new OTLPLogExporter(options("logs")),
      (records) => records.map(({ attributes }) => attributes),
      this.answered.logs,
    );
    const metrics = witnessed(
      new OTLPMetricExporter({ ...options("metrics"), temporalityPreference: AggregationTemporality.DELTA }),
      ({ scopeMetrics }) =>
        scopeMetrics.flatMap((scope) => scope.metrics)
          .flatMap(({ dataPoints }) => dataPoints.map(({ attributes }) => attributes)),
      this.answered.metrics,
    );
    const limits = { maxQueueSize: 100_000, maxExportBatchSize: 64, scheduledDelayMillis: NEVER_MS };
    this.#tracers = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(traces, limits)] });
    this.#loggers = new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter: logs, ...limits })] });
    this.#meters = new MeterProvider({
      readers: [new PeriodicExportingMetricReader({ exporter: metrics, exportIntervalMillis: NEVER_MS })],
    });
  }

  /** Makes so many spans, log records and data points. */
  make(count: number): void {
    const tracer = this.#tracers.getTracer("crash");
    const logger = this.#loggers.getLogger("crash");
    const counter = this.#meters.getMeter("crash").createCounter("made");
    const next = (signal: Signal) => {
      const id = this.#nextId++;
      this.made[signal].add(id);
      return { [ID_KEY]: id };
    };
    for (let index = 0; index < count; index++) {
      tracer.startSpan("made", { attributes: next("traces") }).end();
      logger.emit({ body: "made", attributes: next("logs") });
      counter.add(1, next("metrics"));
    }
  }

  /** Sends what was made. Resolves when there is an answer to all of it, whichever. */
  async flush(): Promise<void> {
    await Promise.allSettled([this.#tracers.forceFlush(), this.#loggers.forceFlush(), this.#meters.forceFlush()]);
  }

  async shutdown(): Promise<void> {
    await Promise.allSettled([this.#tracers.shutdown(), this.#loggers.shutdown(), this.#meters.shutdown()]);
  }
}

/** What all exporters of the SDK have in common. */
interface Exporter<Batch> {
  export(batch: Batch, done: (result: { readonly code: number }) => void): void;
}

/** An exporter, of which the ids of what it exported with success are kept. */
function witnessed<Batch, Kind extends Exporter<Batch>>(
  exporter: Kind & Exporter<Batch>,
  attributesOf: (batch: Batch) => readonly { readonly [key: string]: unknown }[],
  answered: Set<number>,
): Kind {
  const send = exporter.export.bind(exporter);
  exporter.export = (batch, done) =>
    send(batch, (result) => {
      if (result.code === 0) { for (const attributes of attributesOf(batch)) answered.add(Number(attributes[ID_KEY])); }
      done(result);
    });
  return exporter;
}
