/**
 * How long do live records wait while the backlog of an outage drains, and what do they cost the drain?
 *
 * The backend is away until the backlog is there; then it comes back. In every other run senders go on meanwhile. What
 * counts is what arrives at the sink: how old live requests are there, and how soon all of the backlog is.
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startChild } from "../demo/child.ts";
import { MARK, MARK_DIGITS, type SinkReport } from "./backlog/mark.ts";
import { firstLine, startBreakwater, startListening } from "./gateway/processes.ts";
import { requestBody } from "./gateway/request.ts";
import { answer, bar, median } from "./measure.ts";

/** `BREAKWATER_BENCH_BACKLOG_MIB=64` makes a short variant. */
const BACKLOG_BYTES = Number(Deno.env.get("BREAKWATER_BENCH_BACKLOG_MIB") ?? 1024) * 2 ** 20;

/** Spans of one request of the backlog: the SDK's batch. */
const BACKLOG_SPAN_COUNT = 512;

/** Live traffic: 5 120 spans a second. */
const LIVE_SPAN_COUNT = 128;
const LIVE_REQUESTS_PER_SECOND = 40;

/** Requests in flight while the backlog is made. */
const CONCURRENCY = 8;

/** The circuit asks this often whether the backend is back: the wait for it is not what is measured. */
const COOLDOWN_MS = 1_000;

/** A request that was sent this long after the first delivery has met a closed circuit. */
const CLOSED_AFTER_MS = 100;

const POLL_MS = 20;

/** How long a backlog may take to drain. */
const DRAIN_BOUND_MS = 180_000;

const SINK = new URL("backlog/sink.ts", import.meta.url);
const LIVE_LOAD = new URL("backlog/live_load.ts", import.meta.url);

const ROUND_COUNT = 3;
const RATIO_MIN = 0.5;
const AGE_MS_MAX = 1_000;

/** Runs the rounds, some minutes, prints the answers, and says whether the bars are met. */
export async function benchBacklog(): Promise<boolean> {
  const alone: number[] = [];
  const beside: number[] = [];
  const ages: number[] = [];
  for (let round = 0; round < ROUND_COUNT; round++) {
    alone.push((await drain(false)).mibPerSecond);
    const { mibPerSecond, liveAgesMs } = await drain(true);
    beside.push(mibPerSecond);
    ages.push(percentile(liveAgesMs, 0.99));
  }
  answer(`How fast does a backlog of ${BACKLOG_BYTES / 2 ** 20} MiB drain?`, {
    "alone": alone,
    "beside live traffic": beside,
  }, "MiB/s");
  answer("How old are live requests at the sink meanwhile?", { "99 of 100 are younger than": ages }, "ms");
  const ratios = beside.map((rate, round) => rate / alone[round]);
  const met = [
    bar("ms, of 99 of 100 live requests", median(ages), "most", AGE_MS_MAX),
    bar("of the rate without live traffic", median(ratios), "least", RATIO_MIN),
  ];
  return met.every((ok) => ok);
}

/** One outage and what comes after it. */
async function drain(withLive: boolean): Promise<{ mibPerSecond: number; liveAgesMs: readonly number[] }> {
  const folder = await mkdtemp(join(tmpdir(), "backlog-bench-"));
  try {
    const liveBody = requestBody(LIVE_SPAN_COUNT, MARK + "0".repeat(MARK_DIGITS));
    await writeFile(join(folder, "live.pb"), liveBody);
    await using sink = await startListening(SINK);
    await using server = await startBreakwater(join(folder, "data"), sink.url, {
      BREAKWATER_QUEUE_BYTES_MAX: String(2 * BACKLOG_BYTES),
      BREAKWATER_COOLDOWN_MS: String(COOLDOWN_MS),
      BREAKWATER_COOLDOWN_MAX_MS: String(COOLDOWN_MS),
      BREAKWATER_DRAIN_TIMEOUT_MS: "0",
    });
    const backlogBytes = await makeBacklog(server.url);
    const traffic = [server.url, join(folder, "live.pb"), String(LIVE_REQUESTS_PER_SECOND)];
    await using live = withLive ? startChild(LIVE_LOAD, traffic, {}) : undefined;
    if (live !== undefined) await firstLine(live);
    await fetch(`${sink.url}/open`, { method: "POST" });
    const { firstAtMs, endedAtMs, liveAges } = await untilDrained(sink.url, backlogBytes, liveBody.length);
    await live?.closeInput();
    return {
      mibPerSecond: backlogBytes / 2 ** 20 / (endedAtMs - firstAtMs) * 1_000,
      liveAgesMs: liveAges.filter(([sentAtMs]) => sentAtMs > firstAtMs + CLOSED_AFTER_MS).map(([, ageMs]) => ageMs),
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Sends until the server holds a backlog. @returns How many bytes were accepted. */
async function makeBacklog(url: string): Promise<number> {
  const body = requestBody(BACKLOG_SPAN_COUNT);
  let left = Math.ceil(BACKLOG_BYTES / body.length);
  let bytes = 0;
  await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
    while (left-- > 0) {
      const headers = { "content-type": "application/x-protobuf" };
      const response = await fetch(`${url}/v1/traces`, { method: "POST", body, headers });
      await response.arrayBuffer();
      if (!response.ok) throw new Error(`The server refused a request of the backlog: ${response.status}`);
      bytes += body.length;
    }
  }));
  return bytes;
}

async function untilDrained(sinkUrl: string, backlogBytes: number, liveBytes: number) {
  const beganAtMs = Date.now();
  for (;;) {
    const { bytes, firstAtMs, live } = await (await fetch(sinkUrl)).json() as SinkReport;
    const endedAtMs = Date.now();
    if (bytes - live.length * liveBytes >= backlogBytes) return { firstAtMs, endedAtMs, liveAges: live };
    if (endedAtMs - beganAtMs > DRAIN_BOUND_MS) throw new Error(`The backlog was not drained in ${DRAIN_BOUND_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function percentile(numbers: readonly number[], ratio: number): number {
  if (numbers.length === 0) throw new Error("No live request arrived while the backlog was drained");
  return numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * ratio))]!;
}
