import assert from "node:assert/strict";
import type { Cursor, CursorTotals, Journal } from "../../exporters/journal/journal.ts";
import type { Signal } from "../../exporters/signal.ts";
import { Account } from "../../server/account.ts";
import type { LaneStatus } from "../../server/health.ts";
import type { JournalStatus, QuarantineStatus } from "../../server/journals.ts";
import { METRIC_NAMES, type MetricName, ServerMetrics } from "../../server/metrics.ts";
import { FakeClock } from "../fakes/clock.ts";
import { laneStatus } from "../fakes/lane_status.ts";

const P1_10: readonly MetricName[] = [
  "circuit_state",
  "spans_processed_total",
  "circuit_breaker_state",
  "circuit_breaker_drops_total",
  "circuit_breaker_successes_total",
  "circuit_breaker_failures_total",
  "span_export_latency_seconds",
  "span_export_batch_size",
];

Deno.test("P1-09 the exposition is the text format with one charset, and HELP and TYPE for every metric", async () => {
  const { contentType, text } = await serverMetrics({}).metrics.exposition();
  assert.equal(contentType.split(";")[0], "text/plain");
  assert.equal(contentType.match(/charset=/g)?.length, 1);
  for (const name of METRIC_NAMES) {
    assert.match(text, new RegExp(`^# HELP ${name} \\S`, "m"));
    assert.match(text, new RegExp(`^# TYPE ${name} (counter|gauge|histogram)$`, "m"));
  }
});

Deno.test("P1-10 without an upstream and before traffic every name is there, at 0, without a destination", async () => {
  const samples = await serverMetrics({}).samples();
  for (const name of P1_10) assert.ok(METRIC_NAMES.includes(name), name);
  assert.equal(samples.get("circuit_state"), 0);
  assert.equal(samples.get("spans_processed_total"), 0);
  assert.equal(samples.get('circuit_breaker_state{state="closed"}'), 1);
  assert.equal(samples.get('circuit_breaker_state{state="half_open"}'), 0);
  assert.equal(samples.get('circuit_breaker_state{state="open"}'), 0);
  assert.equal(samples.get("circuit_breaker_drops_total"), 0);
  assert.equal(samples.get("circuit_breaker_successes_total"), 0);
  assert.equal(samples.get("circuit_breaker_failures_total"), 0);
  assert.equal(samples.get("span_export_latency_seconds_count"), 0);
  assert.equal(samples.get("span_export_batch_size_count"), 0);
  assert.equal(samples.get('span_export_batch_size_bucket{le="+Inf"}'), 0);
});

Deno.test("P1-10 the histograms have the buckets that dashboards were built on", async () => {
  const samples = await serverMetrics({}).samples();
  const bounds = (name: string) =>
    [...samples.keys()].flatMap((key) => key.match(new RegExp(`^${name}_bucket\\{le="(.*)"\\}$`))?.[1] ?? []);
  assert.deepEqual(
    bounds("span_export_latency_seconds"),
    ["0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"],
  );
  assert.deepEqual(
    bounds("span_export_batch_size"),
    ["1", "5", "10", "25", "50", "100", "250", "500", "1000", "+Inf"],
  );
});

Deno.test("P1-10 successes and failures count exports of spans, drops and processed count spans", async () => {
  const totals = { ...NOTHING, delivered: 40, dropped: { queue_full: 5, shutdown: 2, sampled: 100 } };
  const { metrics, samples } = serverMetrics({
    journals: [journalWith("traces", 147, [cursorWith("a", totals), cursorWith("b", { ...NOTHING, delivered: 2 })])],
  });
  metrics.attempted({ signal: "traces", itemCount: 20, durationMs: 30, succeeded: true });
  metrics.attempted({ signal: "traces", itemCount: 3, durationMs: 700, succeeded: false });
  metrics.attempted({ signal: "logs", itemCount: 9, durationMs: 9, succeeded: false });
  const seen = await samples();
  assert.equal(seen.get("circuit_breaker_successes_total"), 1);
  assert.equal(seen.get("circuit_breaker_failures_total"), 1);
  assert.equal(seen.get("spans_processed_total"), 42);
  assert.equal(seen.get("circuit_breaker_drops_total"), 7);
  assert.equal(seen.get('span_export_latency_seconds_bucket{le="0.05"}'), 1);
  assert.equal(seen.get('span_export_latency_seconds_bucket{le="1"}'), 2);
  assert.equal(seen.get('span_export_batch_size_bucket{le="5"}'), 1);
  assert.equal(seen.get("span_export_batch_size_sum"), 23);
});

Deno.test("P1-10 the state is the worst lane's, as a number and one-hot", async () => {
  for (const [state, value] of [["closed", 0], ["half_open", 1], ["open", 2]] as const) {
    const lanes = [laneStatus({}), laneStatus({ signal: "logs", circuitState: state })];
    const samples = await serverMetrics({ lanes }).samples();
    assert.equal(samples.get("circuit_state"), value);
    assert.equal(samples.get(`circuit_breaker_state{state="${state}"}`), 1);
    const others = ["closed", "half_open", "open"].filter((other) => other !== state);
    for (const other of others) assert.equal(samples.get(`circuit_breaker_state{state="${other}"}`), 0);
  }
});

Deno.test("P1-09 the account's series exist at 0 for every signal, destination and common reason", async () => {
  const signals: readonly Signal[] = ["traces", "metrics", "logs"];
  const journals = signals.map((signal) =>
    journalWith(signal, 0, [cursorWith("a", NOTHING), cursorWith("b", NOTHING)])
  );
  const samples = await serverMetrics({ journals }).samples();
  for (const signal of signals) {
    assert.equal(samples.get(`breakwater_items_received_total{signal="${signal}"}`), 0);
    assert.equal(samples.get(`breakwater_items_accepted_total{signal="${signal}"}`), 0);
    assert.equal(samples.get(`breakwater_items_refused_total{signal="${signal}",reason="invalid"}`), 0);
    for (const destination of ["a", "b"]) {
      const lane = `signal="${signal}",destination="${destination}"`;
      assert.equal(samples.get(`breakwater_items_delivered_total{${lane}}`), 0);
      assert.equal(samples.get(`breakwater_items_rejected_total{${lane},reason="partial_success"}`), 0);
      assert.equal(samples.get(`breakwater_items_quarantined_total{${lane}}`), 0);
      for (const reason of ["shutdown", "corrupt"]) {
        assert.equal(samples.get(`breakwater_items_dropped_total{${lane},reason="${reason}"}`), 0);
      }
      assert.equal(samples.get(`breakwater_items_redelivered_total{${lane}}`), 0);
      assert.equal(samples.get(`breakwater_queue_items{${lane}}`), 0);
      assert.equal(samples.get(`breakwater_queue_bytes{${lane}}`), 0);
    }
  }
});

Deno.test("P1-09 each journal shows what it takes of the disk, how often that failed, and what was damaged", async () => {
  const statuses = [
    journalStatus("traces"),
    journalStatus("logs", { diskBytes: 5000, failureCount: 2, damageCount: 1 }),
  ];
  const samples = await serverMetrics({ statuses }).samples();
  const seen = [...samples].filter(([name]) => name.startsWith("breakwater_journal_"));
  assert.deepEqual(Object.fromEntries(seen), {
    'breakwater_journal_disk_bytes{signal="traces"}': 0,
    'breakwater_journal_disk_bytes{signal="logs"}': 5000,
    'breakwater_journal_failures_total{signal="traces"}': 0,
    'breakwater_journal_failures_total{signal="logs"}': 2,
    'breakwater_journal_damaged_stretches_total{signal="traces"}': 0,
    'breakwater_journal_damaged_stretches_total{signal="logs"}': 1,
  });
});

Deno.test("the account's metrics are the account's numbers at every scrape, not sums of scrapes", async () => {
  const totals = { delivered: 10, rejected: { http_422: 3 }, quarantined: 0, dropped: { expired: 1 }, redelivered: 4 };
  const { account, samples } = serverMetrics({ journals: [journalWith("logs", 14, [cursorWith("a", totals)])] });
  account.received("logs", 15);
  account.refused("logs", "invalid", 1);
  await samples();
  const second = await samples();
  assert.equal(second.get('breakwater_items_received_total{signal="logs"}'), 15);
  assert.equal(second.get('breakwater_items_accepted_total{signal="logs"}'), 14);
  assert.equal(second.get('breakwater_items_refused_total{signal="logs",reason="invalid"}'), 1);
  assert.equal(second.get('breakwater_items_delivered_total{signal="logs",destination="a"}'), 10);
  assert.equal(second.get('breakwater_items_rejected_total{signal="logs",destination="a",reason="http_422"}'), 3);
  assert.equal(second.get('breakwater_items_dropped_total{signal="logs",destination="a",reason="expired"}'), 1);
  assert.equal(second.get('breakwater_items_redelivered_total{signal="logs",destination="a"}'), 4);
});

Deno.test("a destination's name is escaped in its label", async () => {
  const { metrics } = serverMetrics({ journals: [journalWith("traces", 0, [cursorWith('a"b\\c\nd', NOTHING)])] });
  const { text } = await metrics.exposition();
  assert.ok(text.includes(String.raw`breakwater_queue_items{signal="traces",destination="a\"b\\c\nd"} 0`));
});

Deno.test("P1-11 a registry that throws disturbs no export and is logged once a minute for each metric", async () => {
  const { metrics, clock, log } = serverMetrics({});
  for (const name of ["circuit_breaker_successes_total", "span_export_batch_size"]) {
    const broken = metrics.registry.getSingleMetric(name) as unknown as Record<string, () => void>;
    broken["inc"] = broken["observe"] = () => {
      throw new Error("registry on fire");
    };
  }
  const attempt = { signal: "traces", itemCount: 1, durationMs: 1, succeeded: true } as const;
  for (let count = 0; count < 5; count++) metrics.attempted(attempt);
  assert.deepEqual(log.map((line) => line.match(/metric (\w+)/)?.[1]).sort(), [
    "circuit_breaker_successes_total",
    "span_export_batch_size",
  ]);
  await clock.advance(59_999);
  metrics.attempted(attempt);
  assert.equal(log.length, 2);
  await clock.advance(1);
  metrics.attempted(attempt);
  assert.equal(log.length, 4);
  assert.match((await metrics.exposition()).text, /^span_export_latency_seconds_count 7$/m);
});

Deno.test("P1-11 a metric that cannot be read hides no other", async () => {
  const { metrics, log } = serverMetrics({
    lanes: () => {
      throw new Error("lanes are gone");
    },
  });
  const { text } = await metrics.exposition();
  assert.match(text, /^circuit_breaker_successes_total 0$/m);
  assert.match(text, /^spans_processed_total 0$/m);
  assert.match(log.join("\n"), /metric circuit_state cannot be recorded: Error: lanes are gone/);
});

Deno.test("P1-11 an observer is called without its object, as observers are", () => {
  const { metrics } = serverMetrics({});
  const { attempted } = metrics;
  attempted({ signal: "traces", itemCount: 1, durationMs: 1, succeeded: true });
});

Deno.test("the process is described: start, uptime, memory, processor time, version", async () => {
  const { clock, samples } = serverMetrics({});
  await clock.advance(2500);
  const seen = await samples();
  assert.equal(seen.get("process_start_time_seconds"), 1_700_000_000);
  assert.equal(seen.get("breakwater_uptime_seconds"), 2.5);
  assert.equal(seen.get('breakwater_build_info{version="1.2.3"}'), 1);
  assert.ok((seen.get("process_resident_memory_bytes") ?? 0) > 1_000_000);
  assert.ok((seen.get("process_cpu_seconds_total") ?? 0) > 0);
});

Deno.test("what is in the quarantine is shown for each signal", async () => {
  const quarantine = [
    { signal: "traces", records: 2, items: 30, bytes: 4000 },
    { signal: "logs", records: 0, items: 0, bytes: 0 },
  ] as const;
  const samples = await serverMetrics({ quarantine }).samples();
  assert.equal(samples.get('breakwater_quarantine_records{signal="traces"}'), 2);
  assert.equal(samples.get('breakwater_quarantine_bytes{signal="traces"}'), 4000);
  assert.equal(samples.get('breakwater_quarantine_records{signal="logs"}'), 0);
});

const NOTHING: CursorTotals = { delivered: 0, rejected: {}, quarantined: 0, dropped: {}, redelivered: 0 };

interface Setup {
  readonly journals?: readonly Journal[];
  readonly lanes?: readonly LaneStatus[] | (() => readonly LaneStatus[]);
  readonly statuses?: readonly JournalStatus[];
  readonly quarantine?: readonly QuarantineStatus[];
}

function serverMetrics({ journals = [], lanes = [], statuses = [], quarantine = [] }: Setup) {
  const clock = new FakeClock();
  const account = new Account(journals);
  const log: string[] = [];
  const metrics = new ServerMetrics({
    account,
    lanes: typeof lanes === "function" ? lanes : () => lanes,
    journals: () => statuses,
    quarantine: () => quarantine,
    version: "1.2.3",
    clock,
    log: (_level, message) => log.push(message),
  });
  /** Each sample by its name and labels, as they are written. */
  const samples = async () => {
    const { text } = await metrics.exposition();
    const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(lines.map((line) => {
      const space = line.lastIndexOf(" ");
      return [line.slice(0, space), Number(line.slice(space + 1))] as const;
    }));
  };
  return { metrics, account, clock, log, samples };
}

function journalStatus(signal: Signal, changes: Partial<JournalStatus> = {}): JournalStatus {
  return {
    signal,
    isWell: true,
    failure: undefined,
    failureCount: 0,
    refusedRecordCount: 0,
    damageCount: 0,
    diskBytes: 0,
    ...changes,
  };
}

function journalWith(signal: Signal, acceptedItems: number, cursors: readonly Cursor[]): Journal {
  return { signal, acceptedItems, cursors } as Journal;
}

function cursorWith(name: string, totals: CursorTotals): Cursor {
  return { name, totals, queued: { items: 0, bytes: 0, oldestReceivedAtMs: undefined } } as Cursor;
}
