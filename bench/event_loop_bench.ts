/**
 * Does a hung collector slow down the event loop of an application whose exporter is wrapped?
 *
 * The same program runs as two processes at once, one with a healthy collector and one with a hung one, so that
 * whatever else the machine does happens to both. Five rounds; the ratio of the medians is what counts.
 */

import { fileURLToPath } from "node:url";
import { type Collector, startCollector } from "../exporters/testing/collector.ts";
import { answer, bar, median } from "./measure.ts";
import type { TracedServiceOptions, TracedServiceReport } from "./traced_service.ts";

const QUESTION = "How much later do timers run at p99 with a hung collector than with a healthy one?";
const RATIO_MAX = 1.5;
const ROUND_COUNT = 5;

const LOAD: Omit<TracedServiceOptions, "url"> = {
  spansPerSecond: 2_000,
  warmupMs: 2_000,
  measuredMs: 4_000,
  exportTimeoutMs: 500,
  maxQueueSize: 2_048,
};

/** Runs the rounds, about half a minute, prints the answer, and says whether the bar is met. */
export async function benchEventLoop(): Promise<boolean> {
  await using healthy = await startCollector();
  await using hung = await startCollector();
  hung.hang();
  const healthyP99Ms: number[] = [];
  const hungP99Ms: number[] = [];
  for (let round = 0; round < ROUND_COUNT; round++) {
    const [well, stuck] = await Promise.all([serve(healthy), serve(hung)]);
    if (well.account.delivered === 0 || stuck.opened === 0) {
      throw new Error("The collectors did not do as they were told");
    }
    healthyP99Ms.push(well.delayMs.p99);
    hungP99Ms.push(stuck.delayMs.p99);
  }
  answer(QUESTION, { "healthy collector": healthyP99Ms, "hung collector": hungP99Ms }, "ms");
  const ratio = median(hungP99Ms) / median(healthyP99Ms);
  return bar("of the p99 with a healthy collector", ratio, "most", RATIO_MAX);
}

async function serve(collector: Collector): Promise<TracedServiceReport> {
  const program = fileURLToPath(new URL("traced_service.ts", import.meta.url));
  const options: TracedServiceOptions = { ...LOAD, url: collector.endpoints.traces };
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", program, JSON.stringify(options)],
    cwd: fileURLToPath(new URL("..", import.meta.url)),
  }).output();
  if (!success) throw new Error(`The traced service failed: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}
