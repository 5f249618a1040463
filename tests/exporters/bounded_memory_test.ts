/** What a backend that never answers costs the application in memory, in numbers. */

import assert from "node:assert/strict";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { TracedServiceOptions, TracedServiceReport } from "../../bench/traced_service.ts";
import { CircuitBreakerSpanExporter, type ReadableSpan, type SpanExporter } from "../../exporters/mod.ts";
import { total } from "../../exporters/reason.ts";
import { startCollector } from "../../exporters/testing/collector.ts";
import { FakeClock } from "../fakes/clock.ts";
import { fails, FakeExporter, hangs } from "../fakes/exporter.ts";

const MIB = 2 ** 20;

Deno.test("P1-06 P1-14 while the collector hangs, a service on the stock SDK keeps its queue and its memory bounded", async () => {
  await using collector = await startCollector();
  collector.hang();
  const report = await serve({
    url: collector.endpoints.traces,
    spansPerSecond: 5_000,
    warmupMs: 1_000,
    measuredMs: 4_000,
    exportTimeoutMs: 500,
    maxQueueSize: 2_048,
  });

  const { account } = report;
  assert.ok(report.spanCount >= 20_000, `only ${report.spanCount} spans were made`);
  assert.ok(report.opened >= 1, "the circuit has opened");
  assert.ok(report.queueLengthMax <= 2_048, `${report.queueLengthMax} spans waited`);
  assert.ok(report.inFlightMax <= 2_048, `${report.inFlightMax} spans were in flight`);
  // 20 000 spans kept would be 20 MiB and more.
  assert.ok(report.heapGrowthBytes < 8 * MIB, `the heap grew by ${report.heapGrowthBytes} bytes`);
  assert.ok(report.rssGrowthBytes < 48 * MIB, `RSS grew by ${report.rssGrowthBytes} bytes`);
  assert.equal(account.delivered, 0);
  assert.equal(account.accepted, total(account.dropped) + account.queued);
  assert.ok((account.dropped.circuit_open ?? 0) > account.accepted / 3, "most batches were refused at once");
  assert.ok(collector.requests.length < 30, `${collector.requests.length} requests went to a backend that hangs`);
});

Deno.test("P1-06 refused exports leave nothing behind: 50 000 batches, and the heap is where it was", () => {
  const exporter = new CircuitBreakerSpanExporter(new FakeExporter(fails) as unknown as SpanExporter, {
    clock: new FakeClock(),
    probeEveryNth: 0,
  });
  const refuse = (batchCount: number) => {
    for (let index = 0; index < batchCount; index++) {
      exporter.export(Array(512).fill({ name: "span" }) as ReadableSpan[], () => {});
    }
  };
  refuse(1_000);
  const before = heapUsed();
  refuse(50_000);
  const growth = heapUsed() - before;
  assert.ok(growth < 1 * MIB, `the heap grew by ${growth} bytes`);
  assert.equal(exporter.account.dropped.circuit_open, (51_000 - 3) * 512);
});

Deno.test("P1-06 an inner exporter that never lets go of a batch does not hold its caller", async () => {
  const clock = new FakeClock();
  const inner = new FakeExporter<unknown>(hangs);
  const exporter = new CircuitBreakerSpanExporter(inner as unknown as SpanExporter, {
    clock,
    sleep: clock.sleep,
    exportTimeoutMs: 100,
  });
  const callerOf = () => {
    const held = { bytes: new Uint8Array(MIB) };
    exporter.export([{ name: "span" } as ReadableSpan], () => void held.bytes);
    return new WeakRef(held);
  };
  const caller = callerOf();
  await clock.advance(100);
  await new Promise((resolve) => setTimeout(resolve)); // A weak reference is held until its task has ended.
  heapUsed();
  assert.equal(inner.callbacks.length, 1, "the inner exporter still has our callback");
  assert.ok(caller.deref() === undefined, "the caller is still held");
});

async function serve(options: TracedServiceOptions): Promise<TracedServiceReport> {
  const program = fileURLToPath(new URL("../../bench/traced_service.ts", import.meta.url));
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", program, JSON.stringify(options)],
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
  }).output();
  const text = new TextDecoder();
  assert.ok(success, text.decode(stderr));
  return JSON.parse(text.decode(stdout));
}

/** Live heap: garbage is collected first. */
function heapUsed(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}
