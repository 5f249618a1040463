import process from "node:process";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { type Clock, systemClock } from "../core/clock.ts";
import type { ExportObserver } from "../exporters/export_observer.ts";
import { type CountByReason, type Reason, total } from "../exporters/reason.ts";
import type { Account, DestinationBalance, SignalBalance } from "./account.ts";
import { type LaneStatus, oldestAgeSeconds, worstState } from "./health.ts";
import type { Log } from "./log.ts";

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
  /** Shown as a label of `breakwater_build_info`. */
  readonly version: string;
  readonly log: Log;
  /** @default {systemClock} */
  readonly clock?: Clock;
  /** @default {a registry of its own, so that nobody else's metrics are mixed in} */
  readonly registry?: Registry;
}

type Labels = Readonly<Record<string, string>>;
type Show = (labels: Labels, value: number) => void;

/** One reading of everything that is not counted here but elsewhere. */
interface Reading {
  readonly signals: readonly SignalBalance[];
  readonly lanes: readonly LaneStatus[];
  readonly wallMs: number;
  readonly uptimeSeconds: number;
  readonly startedAtSeconds: number;
  readonly version: string;
}

interface Definition {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels?: readonly string[];
  readonly buckets?: readonly number[];
  /** Where the value is read from at each scrape. Without it the metric is recorded as things happen. */
  readonly read?: (reading: Reading, show: Show) => void;
}

/** A reason is a label, and a series that appears with its first event hides that event from `rate()`. */
const COMMON_REFUSED: readonly Reason[] = [
  "invalid",
  "too_large",
  "queue_full",
  "journal_full",
  "memory_full",
  "shutdown",
];
const COMMON_REJECTED: readonly Reason[] = ["partial_success", "too_large", "unsupported", "http_400", "http_500"];
const COMMON_DROPPED: readonly Reason[] = ["queue_full", "expired", "sampled", "no_destination", "shutdown"];

/** Left out of the drops of the circuit breaker: these were never meant for a backend. */
const NOT_FOR_A_BACKEND: readonly Reason[] = ["sampled", "no_destination"];

/** Each failure to record a metric is told once in so many milliseconds: a broken registry must not flood the log. */
const FAILURE_LOG_INTERVAL_MS = 60_000;

const STATE_VALUES = { closed: 0, half_open: 1, open: 2 } as const;
const STATES = ["closed", "half_open", "open"] as const;
const BY_LANE = ["signal", "destination"] as const;
const BY_LANE_AND_REASON = ["signal", "destination", "reason"] as const;

/** Every metric of the server. The first eight carry no destination: they tell of all traces lanes together. */
const METRICS = {
  circuit_state: {
    type: "gauge",
    help: "State of the worst circuit: 0 closed, 1 half-open, 2 open.",
    read: ({ lanes }, show) => show({}, STATE_VALUES[worstState(lanes)]),
  },
  spans_processed_total: {
    type: "counter",
    help: "Spans delivered, all destinations together.",
    read: (reading, show) => show({}, sumOfTraces(reading, ({ delivered }) => delivered)),
  },
  circuit_breaker_state: {
    type: "gauge",
    help: "1 for the state that the worst circuit is in, 0 for the others.",
    labels: ["state"],
    read: ({ lanes }, show) => {
      const worst = worstState(lanes);
      for (const state of STATES) show({ state }, state === worst ? 1 : 0);
    },
  },
  circuit_breaker_drops_total: {
    type: "counter",
    help: "Spans dropped before a destination had them, all destinations together; sampling is not counted.",
    read: (reading, show) => show({}, sumOfTraces(reading, ({ dropped }) => withoutReasons(dropped))),
  },
  circuit_breaker_successes_total: { type: "counter", help: "Exports of spans that the backend took." },
  circuit_breaker_failures_total: { type: "counter", help: "Exports of spans that failed." },
  span_export_latency_seconds: {
    type: "histogram",
    help: "Duration of one export of spans.",
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  },
  span_export_batch_size: {
    type: "histogram",
    help: "Spans in one export.",
    buckets: [1, 5, 10, 25, 50, 100, 250, 500, 1000],
  },

  breakwater_items_received_total: {
    type: "counter",
    help: "Items received: spans, data points, log records.",
    labels: ["signal"],
    read: eachSignal((signal) => signal.received),
  },
  breakwater_items_accepted_total: {
    type: "counter",
    help: "Items accepted into the queue.",
    labels: ["signal"],
    read: eachSignal((signal) => signal.accepted),
  },
  breakwater_items_refused_total: {
    type: "counter",
    help: "Items refused at the door; the sender was told.",
    labels: ["signal", "reason"],
    read: ({ signals }, show) => {
      for (const { signal, refused } of signals) showReasons({ signal }, refused, COMMON_REFUSED, show);
    },
  },
  breakwater_items_delivered_total: {
    type: "counter",
    help: "Items that the destination took.",
    labels: BY_LANE,
    read: eachDestination(({ delivered }, labels, show) => show(labels, delivered)),
  },
  breakwater_items_rejected_total: {
    type: "counter",
    help: "Items that the destination refused for good.",
    labels: BY_LANE_AND_REASON,
    read: eachDestination(({ rejected }, labels, show) => showReasons(labels, rejected, COMMON_REJECTED, show)),
  },
  breakwater_items_quarantined_total: {
    type: "counter",
    help: "Items refused for good whose bytes are kept.",
    labels: BY_LANE,
    read: eachDestination(({ quarantined }, labels, show) => show(labels, quarantined)),
  },
  breakwater_items_dropped_total: {
    type: "counter",
    help: "Items given up before the destination had them.",
    labels: BY_LANE_AND_REASON,
    read: eachDestination(({ dropped }, labels, show) => showReasons(labels, dropped, COMMON_DROPPED, show)),
  },
  breakwater_items_redelivered_total: {
    type: "counter",
    help: "Items sent again although the destination may already have them.",
    labels: BY_LANE,
    read: eachDestination(({ redelivered }, labels, show) => show(labels, redelivered)),
  },
  breakwater_queue_items: {
    type: "gauge",
    help: "Items that wait for the destination, in flight included.",
    labels: BY_LANE,
    read: eachDestination(({ queued }, labels, show) => show(labels, queued)),
  },
  breakwater_queue_bytes: {
    type: "gauge",
    help: "Bytes that wait for the destination, in flight included.",
    labels: BY_LANE,
    read: eachDestination(({ queuedBytes }, labels, show) => show(labels, queuedBytes)),
  },
  breakwater_queue_oldest_age_seconds: {
    type: "gauge",
    help: "Age of the oldest record that waits for the destination, 0 when none waits.",
    labels: BY_LANE,
    read: eachLane((lane, { wallMs }) => oldestAgeSeconds(lane.queued, wallMs)),
  },

  breakwater_circuit_state: {
    type: "gauge",
    help: "State of one circuit: 0 closed, 1 half-open, 2 open.",
    labels: BY_LANE,
    read: eachLane((lane) => STATE_VALUES[lane.circuitState]),
  },
  breakwater_circuit_opened_total: {
    type: "counter",
    help: "How often a circuit has opened.",
    labels: BY_LANE,
    read: eachLane((lane) => lane.openedCount),
  },
  breakwater_circuit_throttled: {
    type: "gauge",
    help: "1 while the destination has asked for a pause that has not ended.",
    labels: BY_LANE,
    read: eachLane((lane) => lane.throttled ? 1 : 0),
  },
  breakwater_lane_suspended: {
    type: "gauge",
    help: "1 while the destination has no such signal, so that its items are rejected at once.",
    labels: BY_LANE,
    read: eachLane((lane) => lane.suspended ? 1 : 0),
  },
  breakwater_lane_in_flight_requests: {
    type: "gauge",
    help: "Requests whose answer is awaited.",
    labels: BY_LANE,
    read: eachLane((lane) => lane.inFlightCount),
  },

  breakwater_build_info: {
    type: "gauge",
    help: "Always 1; the version is the label.",
    labels: ["version"],
    read: ({ version }, show) => show({ version }, 1),
  },
  breakwater_uptime_seconds: {
    type: "gauge",
    help: "Time since the server started, by a clock that does not step.",
    read: ({ uptimeSeconds }, show) => show({}, uptimeSeconds),
  },
  process_start_time_seconds: {
    type: "gauge",
    help: "Start of the server since the Unix epoch.",
    read: ({ startedAtSeconds }, show) => show({}, startedAtSeconds),
  },
  process_resident_memory_bytes: {
    type: "gauge",
    help: "Resident memory.",
    read: (_, show) => show({}, process.memoryUsage().rss),
  },
  process_cpu_seconds_total: {
    type: "counter",
    help: "User and system CPU time.",
    read: (_, show) => {
      const { user, system } = process.cpuUsage();
      show({}, (user + system) / 1e6);
    },
  },
} as const satisfies Readonly<Record<string, Definition>>;

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
    const { account, lanes, version } = this.#options;
    const wallMs = this.#clock.wallMs();
    const uptimeSeconds = (this.#clock.nowMs() - this.#startedNowMs) / 1000;
    return {
      get signals(): readonly SignalBalance[] {
        return account.balance().signals;
      },
      get lanes(): readonly LaneStatus[] {
        return lanes();
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

function eachSignal(value: (signal: SignalBalance) => number): Definition["read"] {
  return ({ signals }, show) => {
    for (const balance of signals) show({ signal: balance.signal }, value(balance));
  };
}

function eachDestination(
  showOne: (balance: DestinationBalance, labels: Labels, show: Show) => void,
): Definition["read"] {
  return ({ signals }, show) => {
    for (const { signal, destinations } of signals) {
      for (const balance of destinations) showOne(balance, { signal, destination: balance.destination }, show);
    }
  };
}

function eachLane(value: (lane: LaneStatus, reading: Reading) => number): Definition["read"] {
  return (reading, show) => {
    for (const lane of reading.lanes) {
      show({ signal: lane.signal, destination: lane.destination }, value(lane, reading));
    }
  };
}

function showReasons(labels: Labels, counts: Readonly<CountByReason>, common: readonly Reason[], show: Show): void {
  const atZero = Object.fromEntries(common.map((reason) => [reason, 0]));
  for (const [reason, itemCount] of Object.entries({ ...atZero, ...counts })) {
    show({ ...labels, reason }, itemCount ?? 0);
  }
}

function sumOfTraces({ signals }: Reading, value: (balance: DestinationBalance) => number): number {
  const destinations = signals.find(({ signal }) => signal === "traces")?.destinations ?? [];
  return destinations.reduce((sum, balance) => sum + value(balance), 0);
}

function withoutReasons(dropped: Readonly<CountByReason>): number {
  return NOT_FOR_A_BACKEND.reduce((sum, reason) => sum - (dropped[reason] ?? 0), total(dropped));
}
