/**
 * A program that measures itself while it makes spans: stock SDK, stock batch processor, stock OTLP exporter in a
 * wrapper. It runs as a process of its own, so that its memory and its event loop are nobody else's, and prints one
 * `TracedServiceReport`.
 */

import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { CircuitBreakerSpanExporter, type ExportAccount } from "../exporters/mod.ts";

/** What the program is told, as JSON in its first argument. */
export interface TracedServiceOptions {
  /** Where the spans go: the full address of the traces route. */
  readonly url: string;
  readonly spansPerSecond: number;
  /**
   * Milliseconds of work before anything is measured: compilation and first connections are not what is asked about.
   */
  readonly warmupMs: number;
  readonly measuredMs: number;
  readonly exportTimeoutMs: number;
  readonly maxQueueSize: number;
}

/** What it prints, as JSON in its last line. */
export interface TracedServiceReport {
  readonly spanCount: number;
  /** The most spans that waited in the batch processor at any tick. */
  readonly queueLengthMax: number;
  /** The most spans that were in flight at any tick. */
  readonly inFlightMax: number;
  readonly account: ExportAccount;
  readonly opened: number;
  /** How much later than asked for a timer ran, in milliseconds, at this share of all ticks. */
  readonly delayMs: { readonly p50: number; readonly p99: number };
  /** Live heap at the end, after a collection, less that after the warm-up. */
  readonly heapGrowthBytes: number;
  readonly rssGrowthBytes: number;
}

const TICK_MS = 5;

if (import.meta.main) {
  const report = await serve(JSON.parse(process.argv[2] ?? "{}"));
  console.log(JSON.stringify(report));
  process.exit(0); // Whatever still hangs in the stock exporter is not waited for.
}

async function serve(options: TracedServiceOptions): Promise<TracedServiceReport> {
  const { url, exportTimeoutMs, maxQueueSize } = options;
  const exporter = new CircuitBreakerSpanExporter(new OTLPTraceExporter({ url }), { exportTimeoutMs });
  const processor = new BatchSpanProcessor(exporter, { maxQueueSize, scheduledDelayMillis: 100 });
  const tracer = new BasicTracerProvider({ spanProcessors: [processor] }).getTracer("traced service");
  // The SDK tells nobody how many spans wait: this is the list itself.
  const queue = () => (processor as unknown as { _finishedSpans: unknown[] })._finishedSpans.length;

  const delaysMs: number[] = [];
  let [spanCount, queueLengthMax, inFlightMax] = [0, 0, 0];
  const work = async (forMs: number) => {
    const startedMs = performance.now();
    const spansBefore = spanCount;
    for (let nowMs = startedMs; nowMs - startedMs < forMs;) {
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
      const tickMs = performance.now();
      delaysMs.push(Math.max(0, tickMs - nowMs - TICK_MS));
      const due = Math.floor((tickMs - startedMs) / 1_000 * options.spansPerSecond);
      while (spanCount - spansBefore < due) {
        const attributes = {
          "http.request.method": "GET",
          "http.route": "/tasks/{id}",
          "task.id": spanCount,
          cached: false,
        };
        tracer.startSpan("GET /tasks/{id}", { attributes }).end();
        spanCount++;
      }
      queueLengthMax = Math.max(queueLengthMax, queue());
      inFlightMax = Math.max(inFlightMax, exporter.account.queued);
      nowMs = performance.now(); // The spans themselves are work that was asked for, not a delay.
    }
  };

  await work(options.warmupMs);
  delaysMs.length = 0;
  const before = memory();
  await work(options.measuredMs);
  const after = memory();
  delaysMs.sort((a, b) => a - b);
  const at = (share: number) => delaysMs[Math.floor(delaysMs.length * share)] ?? 0;
  return {
    spanCount,
    queueLengthMax,
    inFlightMax,
    account: exporter.account,
    opened: exporter.breaker.counters.opened,
    delayMs: { p50: at(0.5), p99: at(0.99) },
    heapGrowthBytes: after.heapUsed - before.heapUsed,
    rssGrowthBytes: after.rss - before.rss,
  };
}

/** Memory in use, garbage left out. */
function memory(): { readonly heapUsed: number; readonly rss: number } {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage();
}
