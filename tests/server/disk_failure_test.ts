import assert from "node:assert/strict";
import type { Disk } from "../../exporters/journal/disk.ts";
import { startCollector } from "../../exporters/testing/collector.ts";
import { openDataFolder } from "../../server/data_folder.ts";
import { type RunningServer, startServer } from "../../server/server.ts";
import { StartError } from "../../server/start_error.ts";
import { FakeClock } from "../fakes/clock.ts";
import { type DiskOperation, FakeDisk } from "../fakes/disk.ts";
import { accountAt, assertBalanced } from "../fakes/metrics_account.ts";
import { sendSpans } from "../fakes/otlp_client.ts";
import { configOf, health, started, until } from "../fakes/running_server.ts";
import { TemporaryFolder } from "../fakes/temporary_folder.ts";

/** A folder that is there is not made, whatever the disk would say to it. */
const WRITING: readonly DiskOperation[] = ["create", "write", "rename", "remove", "sync", "syncFolder"];

for (const code of ["ENOSPC", "EIO", "EROFS"]) {
  Deno.test(`P2-10 a disk that answers ${code} makes senders come back: 503, told by readiness and metrics, well again by itself`, async () => {
    using folder = new TemporaryFolder();
    const disk = new FakeDisk();
    await using play = await serving(folder, disk);
    const { server, collector, clock, log } = play;
    assert.equal(await sendSpans(server.otlpUrl!, 1), 200);
    assert.deepEqual(await ready(server), { status: 200, body: { status: "ready", reason: null } });
    assert.equal((await accountAt(server.adminUrl!)).get("traces")!.parts.refused, 0);
    assert.match(await metricsOf(server), /^breakwater_items_refused_total\{signal="logs",reason="journal_full"\} 0$/m);
    assert.match(await metricsOf(server), /^breakwater_journal_failures_total\{signal="traces"\} 0$/m);

    failWriting(disk, code);
    const response = await fetch(`${server.otlpUrl}/v1/traces`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [SPAN] }] }] }),
    });
    assert.equal(response.status, 503);
    assert.equal(response.headers.get("retry-after"), "1");
    assert.match((await response.json()).message, /The disk takes nothing now/);
    const { status, body } = await ready(server);
    assert.deepEqual([status, body.status], [503, "disk_failed"]);
    assert.match(body.reason!, new RegExp(`^journal of traces: .*${code}`));
    assert.equal((await health(server)).status, 200, "the upstream is well");
    const account = await accountAt(server.adminUrl!);
    assertBalanced(account.values());
    assert.deepEqual(account.get("traces")!.reasons, { "refused journal_full": 1 });
    assert.doesNotMatch(await metricsOf(server), /^breakwater_journal_failures_total\{signal="traces"\} 0$/m);

    disk.failWith = () => undefined;
    await until(async () => (await ready(server)).status === 200, () => clock.advance(1000));
    assert.equal(await sendSpans(server.otlpUrl!, 2), 200);
    await until(() => collector.items.traces === 3);
    assert.equal(log.filter((line) => line.includes("the disk fails")).length, 1);
    assert.equal(log.filter((line) => line.includes("well again")).length, 1);
  });
}

Deno.test("P2-16 on a disk that has become read-only what is there is delivered, and nothing is accepted", async () => {
  using folder = new TemporaryFolder();
  const disk = new FakeDisk();
  {
    await using before = await serving(folder, disk);
    await before.collector.refuse();
    assert.equal(await sendSpans(before.server.otlpUrl!, 3), 200);
  }
  failWriting(disk, "EROFS");
  await using play = await serving(folder, disk);
  const { server, collector } = play;
  await until(() => collector.items.traces === 3);
  assert.equal(await sendSpans(server.otlpUrl!, 1), 503);
  const { status, body } = await ready(server);
  assert.deepEqual([status, body.status], [503, "disk_failed"]);
  const account = await accountAt(server.adminUrl!);
  assertBalanced(account.values());
  assert.deepEqual(account.get("traces")!.parts, { accepted: 3, refused: 1 });
  assert.equal(account.get("traces -> upstream")!.parts.delivered, 3);
  await server.drain();
  assert.deepEqual(play.log.filter((line) => line.includes("well again")), []);
});

for (const operation of ["makeFolder", "list"] as const) {
  Deno.test(`a journal that cannot be opened (${operation}: EIO) is one sentence, and leaves nothing locked`, async () => {
    using folder = new TemporaryFolder();
    const disk = new FakeDisk();
    disk.failWith = (asked) => asked === operation ? "EIO" : undefined;
    const starting = startServer(configOf({ BREAKWATER_DATA_DIR: folder.path }), { disk });
    await assert.rejects(starting, (error) => {
      assert.ok(error instanceof StartError);
      assert.equal(error.mistakes.length, 1);
      assert.match(error.mistakes[0]!, /^BREAKWATER_DATA_DIR must hold journals that can be opened, received .*: EIO/);
      assert.ok(error.mistakes[0]!.includes(folder.path));
      return true;
    });
    const opening = openDataFolder(folder.path, 0);
    assert.ok("folder" in opening, JSON.stringify(opening));
    opening.folder.release();
  });
}

Deno.test("P2-16 a disk that hangs does not hold up the end, and keeps others out until it has answered", async () => {
  using folder = new TemporaryFolder();
  const disk = new FakeDisk();
  const { promise: answering, resolve: answer } = Promise.withResolvers<void>();
  let gate: Promise<void> = Promise.resolve();
  {
    await using play = await serving(folder, behindGate(disk, () => gate));
    await play.collector.refuse();
    assert.equal(await sendSpans(play.server.otlpUrl!, 4), 200);
    gate = answering;
    let ended = false;
    const drained = play.server.drain().finally(() => ended = true);
    await until(() => ended, () => play.clock.advance(1000));
    const { balanced, equations } = await drained;
    assert.ok(balanced, equations.join("\n"));
    assert.match(equations.join("\n"), /queued 4 \(on the disk\)/);
    assert.ok(play.log.some((line) => line.startsWith("The disk did not finish in time")), play.log.join("\n"));
    assert.ok("mistake" in openDataFolder(folder.path, 0), "what still writes must not meet the next server");
  }
  answer();
  await until(() => isFree(folder.path));
  await using play = await serving(folder, disk);
  await until(() => play.collector.items.traces === 4);
});

Deno.test("P2-16 what a quarantine still writes keeps others out as well", async () => {
  using folder = new TemporaryFolder();
  const disk = new FakeDisk();
  await using play = await serving(folder, disk, { BREAKWATER_DRAIN_TIMEOUT_MS: "1000" });
  const { server, collector, clock } = play;
  collector.respond(400);
  let isAsked = false;
  disk.hangs = (operation, path) => path.includes("quarantine") && operation === "create" && (isAsked = true);
  assert.equal(await sendSpans(server.otlpUrl!, 1), 200);
  await until(() => isAsked);
  let ended = false;
  const drained = server.drain().finally(() => ended = true);
  await until(() => ended, () => clock.advance(100));
  assert.match((await drained).equations.join("\n"), /quarantined 0 .* queued 1 \(on the disk\) {3}balanced/);
  assert.ok("mistake" in openDataFolder(folder.path, 0), "what still writes must not meet the next server");
  disk.answerAll();
  await until(() => isFree(folder.path));
});

const SPAN = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "00f067aa0ba902b7",
  name: "work",
  startTimeUnixNano: "1",
  endTimeUnixNano: "2",
};

/** A server on a disk that a test has in hand, with a collector behind it, in the test's own time. */
async function serving(folder: TemporaryFolder, disk: Disk, settings: Readonly<Record<string, string>> = {}) {
  const collector = await startCollector();
  const clock = new FakeClock();
  const log: string[] = [];
  const environment = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    BREAKWATER_DATA_DIR: folder.path,
    BREAKWATER_METRICS_RATE_LIMIT: "off",
    ...settings,
  };
  const options = { clock, sleep: clock.sleep, disk, log: (_level: string, message: string) => log.push(message) };
  const server = await started(environment, options);
  return {
    server,
    collector,
    clock,
    log,
    async [Symbol.asyncDispose](): Promise<void> {
      await server[Symbol.asyncDispose]();
      await collector[Symbol.asyncDispose]();
    },
  };
}

function failWriting(disk: FakeDisk, code: string): void {
  disk.failWith = (operation) => WRITING.includes(operation) ? code : undefined;
}

/** A disk, or a file of it, that answers nothing but reads while the gate is shut. */
function behindGate<Part extends object>(part: Part, gate: () => Promise<void>): Part {
  return new Proxy(part, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function" || name === "read") return value;
      return async (...args: unknown[]) => {
        await gate();
        const result = await value.apply(target, args);
        return name === "create" || name === "open" ? behindGate(result, gate) : result;
      };
    },
  });
}

function isFree(path: string): boolean {
  const opening = openDataFolder(path, 0);
  if ("mistake" in opening) return false;
  opening.folder.release();
  return true;
}

async function ready(
  server: RunningServer,
): Promise<{ status: number; body: { status: string; reason: string | null } }> {
  const response = await fetch(`${server.adminUrl}/readyz`);
  return { status: response.status, body: await response.json() };
}

async function metricsOf(server: RunningServer): Promise<string> {
  return await (await fetch(`${server.adminUrl}/metrics`)).text();
}
