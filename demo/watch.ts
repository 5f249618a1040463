/** Looks at a running server through its admin listener, as any dashboard would: `/metrics` and `/health/telemetry`. */

import { type Signal, SIGNALS } from "../exporters/signal.ts";
import type { SignalView } from "./screen.ts";

/** One look may take this long; a server that cannot answer in that time is news in itself. */
const LOOK_TIMEOUT_MS = 5_000;

/** The parts of `/health/telemetry` that the play shows. */
interface TelemetryHealth {
  readonly destinations: readonly {
    readonly lanes: readonly {
      readonly signal: Signal;
      readonly circuit_state: string;
      readonly throttled: boolean;
      readonly last_failure_message: string | null;
      readonly retry_in_seconds: number;
    }[];
  }[];
}

export async function look(adminUrl: string): Promise<Record<Signal, SignalView>> {
  const [samples, health] = await Promise.all([readMetrics(adminUrl), readHealth(adminUrl)]);
  const views = {} as Record<Signal, SignalView>;
  for (const signal of SIGNALS) {
    const lane = health.destinations.flatMap(({ lanes }) => lanes).find((lane) => lane.signal === signal);
    const lost: Record<string, number> = {};
    for (const { name, labels, value } of samples) {
      if (labels["signal"] !== signal || value === 0) continue;
      if (/^breakwater_items_(dropped|rejected|refused)_total$/.test(name)) {
        lost[labels["reason"] ?? "unknown"] = (lost[labels["reason"] ?? "unknown"] ?? 0) + value;
      }
    }
    views[signal] = {
      circuit: lane === undefined ? "none" : lane.throttled ? "throttled" : lane.circuit_state,
      why: lane === undefined || lane.circuit_state === "closed" ? "" : explain(lane),
      received: sumOf(samples, "breakwater_items_received_total", signal),
      delivered: sumOf(samples, "breakwater_items_delivered_total", signal),
      redelivered: sumOf(samples, "breakwater_items_redelivered_total", signal),
      queued: sumOf(samples, "breakwater_queue_items", signal),
      lost,
    };
  }
  return views;
}

function explain(lane: { last_failure_message: string | null; retry_in_seconds: number }): string {
  const next = lane.retry_in_seconds > 0 ? `next probe in ${lane.retry_in_seconds.toFixed(1)} s` : "probing";
  return lane.last_failure_message === null ? next : `${next}: ${lane.last_failure_message}`;
}

/** One line of the Prometheus text format. */
interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

async function readMetrics(adminUrl: string): Promise<Sample[]> {
  const response = await fetch(`${adminUrl}/metrics`, { signal: AbortSignal.timeout(LOOK_TIMEOUT_MS) });
  const text = await response.text();
  if (!response.ok) throw new Error(`GET /metrics answered ${response.status}: ${text}`);
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    const match = /^([a-z_:]\w*)(?:\{(.*)\})? (\S+)$/i.exec(line);
    if (match === null) continue;
    const [, name = "", labelText = "", value = ""] = match;
    const labels = Object.fromEntries([...labelText.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, text]) => [key, text]));
    samples.push({ name, labels, value: Number(value) });
  }
  return samples;
}

async function readHealth(adminUrl: string): Promise<TelemetryHealth> {
  // 503 is an answer too: it says that a circuit is open, and which.
  const response = await fetch(`${adminUrl}/health/telemetry`, { signal: AbortSignal.timeout(LOOK_TIMEOUT_MS) });
  return await response.json() as TelemetryHealth;
}

function sumOf(samples: readonly Sample[], name: string, signal: Signal): number {
  let sum = 0;
  for (const sample of samples) if (sample.name === name && sample.labels["signal"] === signal) sum += sample.value;
  return sum;
}
