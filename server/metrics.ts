import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { type Clock, systemClock } from "../core/clock.ts";
import type { ExportObserver } from "../exporters/export_observer.ts";
import type { Account, SignalBalance } from "./account.ts";
import type { LaneStatus } from "./health.ts";
import type { JournalStatus, QuarantineStatus } from "./journals.ts";
import type { Log } from "./log.ts";
import { type Definition, type Labels, METRICS, type Reading } from "./metric_table.ts";

/** What `GET /metrics` is answered with. The content type is complete: nothing may add a second charset to it. */
export interface Exposition {
  readonly contentType: string;
  readonly text: string;
}

/** What the metrics are read from. */
export interface ServerMetricsOptions {
  readonly account: Account;
  /** The lanes as they stand now; an empty list when no upstream is set. */
  readonly lanes: () => readonly LaneStatus[];
  /** The journals as they stand now. */
  readonly journals: () => readonly JournalStatus[];
  /** What is in the quarantine now. */
  readonly quarantine: () => readonly QuarantineStatus[];
  /** Shown as a label of `breakwater_build_info`. */
  readonly version: string;
  readonly log: Log;
  /** @default {systemClock} */
  readonly clock?: Clock;
  /** @default {a registry of its own, so that nobody else's metrics are mixed in} */
  readonly registry?: Registry;
}

/** Each failure to record a metric is told once in so many milliseconds: a broken registry must not flood the log. */
const FAILURE_LOG_INTERVAL_MS = 60_000;

/** The name of one of the server's metrics. */
export type MetricName = keyof typeof METRICS;

/** All names, in the order in which they are shown. */
export const METRIC_NAMES = Object.keys(METRICS) as readonly MetricName[];

/**
 * The server's metrics. What the account and the lanes know is read from them at each scrape, so a number here cannot
 * differ from theirs; what only happens once (an export, its duration) is recorded as it happens. Neither a recording
 * nor a reading that throws reaches whoever caused it.
 */
export class ServerMetrics implements ExportObserver {
  readonly #options: ServerMetricsOptions;
  readonly #clock: Clock;
  readonly #registry: Registry;
  readonly #startedNowMs: number;
  readonly #startedAtSeconds: number;
  readonly #failureLoggedAtMs = new Map<MetricName, number>();
  readonly #successes: Counter;
  readonly #failures: Counter;
  readonly #latency: Histogram;
  readonly #batchSize: Histogram;

  constructor(options: ServerMetricsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#registry = options.registry ?? new Registry();
    this.#startedNowMs = this.#clock.nowMs();
    this.#startedAtSeconds = this.#clock.wallMs() / 1000;
    const made = new Map(METRIC_NAMES.map((name) => [name, this.#define(name)]));
    this.#successes = made.get("circuit_breaker_successes_total") as Counter;
    this.#failures = made.get("circuit_breaker_failures_total") as Counter;
    this.#latency = made.get("span_export_latency_seconds") as Histogram;
    this.#batchSize = made.get("span_export_batch_size") as Histogram;
  }

  /** The registry, for whoever wants to add metrics of its own to the same page. */
  get registry(): Registry {
    return this.#registry;
  }

  readonly attempted: NonNullable<ExportObserver["attempted"]> = ({ signal, itemCount, durationMs, succeeded }) => {
    if (signal !== "traces") return;
    if (succeeded) this.#guard("circuit_breaker_successes_total", () => this.#successes.inc());
    else this.#guard("circuit_breaker_failures_total", () => this.#failures.inc());
    this.#guard("span_export_latency_seconds", () => this.#latency.observe(durationMs / 1000));
    this.#guard("span_export_batch_size", () => this.#batchSize.observe(itemCount));
  };

  /** All metrics in the Prometheus text format. A metric that cannot be read shows what it showed before. */
  async exposition(): Promise<Exposition> {
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  #define(name: MetricName): Counter | Gauge | Histogram {
    const { type, help, labels = [], buckets, read }: Definition = METRICS[name];
    const common = { name, help, labelNames: [...labels], registers: [this.#registry] };
    if (type === "histogram") return new Histogram({ ...common, buckets: [...buckets ?? []] });
    // A counter of this library only grows by steps. It is taken back to 0 and given its true value in one go, between
    // which no scrape can look; the value itself never falls, because its source does not. All metrics are collected in
    // one turn of the event loop, so one scrape is one moment.
    const collect = (): void => {
      if (read === undefined) return;
      this.#guard(name, () => {
        const values: [Labels, number][] = [];
        read(this.#read(), (labels, value) => values.push([labels, value]));
        metric.reset();
        for (const [shownLabels, value] of values) metric.inc(shownLabels, value);
      });
    };
    const metric = type === "counter" ? new Counter({ ...common, collect }) : new Gauge({ ...common, collect });
    return metric;
  }

  /** Getters, so that a part that cannot be read hides only the metrics that need it. */
  #read(): Reading {
    const { account, lanes, journals, quarantine, version } = this.#options;
    const wallMs = this.#clock.wallMs();
    const uptimeSeconds = (this.#clock.nowMs() - this.#startedNowMs) / 1000;
    return {
      get signals(): readonly SignalBalance[] {
        return account.balance().signals;
      },
      get lanes(): readonly LaneStatus[] {
        return lanes();
      },
      get journals(): readonly JournalStatus[] {
        return journals();
      },
      get quarantine(): readonly QuarantineStatus[] {
        return quarantine();
      },
      wallMs,
      uptimeSeconds,
      startedAtSeconds: this.#startedAtSeconds,
      version,
    };
  }

  #guard(name: MetricName, record: () => void): void {
    try {
      record();
    } catch (error) {
      const nowMs = this.#clock.nowMs();
      const loggedAtMs = this.#failureLoggedAtMs.get(name) ?? -Infinity;
      if (nowMs - loggedAtMs < FAILURE_LOG_INTERVAL_MS) return;
      this.#failureLoggedAtMs.set(name, nowMs);
      this.#options.log("warning", `metric ${name} cannot be recorded: ${String(error)}`);
    }
  }
}
