import process from "node:process";
import { type CountByReason, type Reason, total } from "../exporters/reason.ts";
import type { DestinationBalance, SignalBalance } from "./account.ts";
import { type LaneStatus, oldestAgeSeconds, worstState } from "./health.ts";
import type { JournalStatus, QuarantineStatus } from "./journals.ts";

export type Labels = Readonly<Record<string, string>>;
export type Show = (labels: Labels, value: number) => void;

/** One reading of everything that is not counted here but elsewhere. */
export interface Reading {
  readonly signals: readonly SignalBalance[];
  readonly lanes: readonly LaneStatus[];
  readonly journals: readonly JournalStatus[];
  readonly quarantine: readonly QuarantineStatus[];
  readonly wallMs: number;
  readonly uptimeSeconds: number;
  readonly startedAtSeconds: number;
  readonly version: string;
}

export interface Definition {
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
const COMMON_REJECTED: readonly Reason[] = [
  "partial_success",
  "too_large",
  "unsupported",
  "quarantine_full",
  "http_400",
  "http_500",
];
const COMMON_DROPPED: readonly Reason[] = ["queue_full", "expired", "corrupt", "sampled", "no_destination", "shutdown"];

/** Left out of the drops of the circuit breaker: these were never meant for a backend. */
const NOT_FOR_A_BACKEND: readonly Reason[] = ["sampled", "no_destination"];

const STATE_VALUES = { closed: 0, half_open: 1, open: 2 } as const;
const STATES = ["closed", "half_open", "open"] as const;
const BY_LANE = ["signal", "destination"] as const;
const BY_LANE_AND_REASON = ["signal", "destination", "reason"] as const;

/** Every metric of the server. The first eight carry no destination: they tell of all traces lanes together. */
export const METRICS = {
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

  breakwater_journal_disk_bytes: {
    type: "gauge",
    help: "What the segments of the journal take on the disk.",
    labels: ["signal"],
    read: eachJournal(({ diskBytes }) => diskBytes),
  },
  breakwater_journal_failures_total: {
    type: "counter",
    help: "How often the disk of the journal failed.",
    labels: ["signal"],
    read: eachJournal(({ failureCount }) => failureCount),
  },
  breakwater_journal_damaged_stretches_total: {
    type: "counter",
    help: "Stretches of the journal that could not be read; their items are dropped as corrupt.",
    labels: ["signal"],
    read: eachJournal(({ damageCount }) => damageCount),
  },

  breakwater_quarantine_records: {
    type: "gauge",
    help: "Records that destinations refused for good, kept for people to look at.",
    labels: ["signal"],
    read: eachQuarantine(({ records }) => records),
  },
  breakwater_quarantine_bytes: {
    type: "gauge",
    help: "Bytes that these take on the disk.",
    labels: ["signal"],
    read: eachQuarantine(({ bytes }) => bytes),
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

function eachJournal(value: (journal: JournalStatus) => number): Definition["read"] {
  return ({ journals }, show) => {
    for (const journal of journals) show({ signal: journal.signal }, value(journal));
  };
}

function eachQuarantine(value: (quarantine: QuarantineStatus) => number): Definition["read"] {
  return ({ quarantine }, show) => {
    for (const status of quarantine) show({ signal: status.signal }, value(status));
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
