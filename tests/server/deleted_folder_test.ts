import assert from "node:assert/strict";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { nodeDisk } from "../../exporters/journal/disk.ts";
import { startCollector } from "../../exporters/testing/collector.ts";
import { lockedDisk } from "../../server/locked_disk.ts";
import { type RunningServer, startServer } from "../../server/server.ts";
import { StartError } from "../../server/start_error.ts";
import { accountAt, assertBalanced } from "../fakes/metrics_account.ts";
import { sendSpans } from "../fakes/otlp_client.ts";
import { configOf, started, until } from "../fakes/running_server.ts";
import { TemporaryFolder } from "../fakes/temporary_folder.ts";

Deno.test("P2-10 a folder that is deleted under the server is made again: all that was accepted is delivered, some after a restart", async () => {
  using folder = new TemporaryFolder();
  await using collector = await startCollector();
  await collector.refuse();
  const log: string[] = [];
  const env = environment(collector.url, `${folder.path}/data`);
  {
    await using server = await started(env, { log: (_level, message) => log.push(message) });
    assert.equal(await sendSpans(server.otlpUrl!, 3), 200);
    rmSync(`${folder.path}/data`, { recursive: true });
    assert.equal(await sendSpans(server.otlpUrl!, 1), 200);
    await until(() => log.some((line) => line.includes("well again")));
    assert.equal((await ready(server)).status, 200);
    const account = await accountAt(server.adminUrl!);
    assertBalanced(account.values());
    assert.equal(account.get("traces -> upstream")!.parts.queued, account.get("traces")!.parts.accepted);
    assert.ok(log.some((line) => line.includes("was deleted")), log.join("\n"));

    await collector.recover();
    await until(async () => (await accountAt(server.adminUrl!)).get("traces -> upstream")!.parts.queued === 0);
    await collector.refuse();
    assert.equal(await sendSpans(server.otlpUrl!, 2), 200);
    await assert.rejects(startServer(configOf(env)), (error) => {
      assert.ok(error instanceof StartError);
      assert.match(error.mistakes[0]!, /must not be in use by another server, .*\(pid \d+, started/);
      return true;
    });
  }
  const { traces: delivered } = collector.items;
  await collector.recover();
  await using server = await started(env);
  await until(() => collector.items.traces === delivered + 2);
  assertBalanced((await accountAt(server.adminUrl!)).values());
});

Deno.test("a server that was faster on a deleted folder has it: the first one makes its senders come back, and says why", async () => {
  using folder = new TemporaryFolder();
  await using collector = await startCollector();
  const env = environment(collector.url, `${folder.path}/data`);
  await using first = await started(env);
  assert.equal(await sendSpans(first.otlpUrl!, 1), 200);
  rmSync(`${folder.path}/data`, { recursive: true });
  await using second = await started(env);
  // It is noticed when what was written is synced; what was taken until then is in memory.
  let accepted = 1;
  await until(async () => {
    const isAccepted = await sendSpans(first.otlpUrl!, 1) === 200;
    if (isAccepted) accepted++;
    return !isAccepted;
  });
  const { status, body } = await ready(first);
  assert.deepEqual([status, body.status], [503, "disk_failed"]);
  assert.match(body.reason!, /was deleted, and another server has it \(pid \d+, started/);
  const account = await accountAt(first.adminUrl!);
  assertBalanced(account.values());
  assert.deepEqual(account.get("traces")!.parts, { accepted, refused: 1 });
  assert.deepEqual(account.get("traces")!.reasons, { "refused journal_full": 1 });

  assert.equal(await sendSpans(second.otlpUrl!, 4), 200);
  await until(() => collector.items.traces === accepted + 4);
  assertBalanced((await accountAt(second.adminUrl!)).values());
  assert.equal((await ready(second)).status, 200);
});

Deno.test("in a folder that another server has no file is made, nor opened to write to it", async () => {
  using folder = new TemporaryFolder();
  const [there, missing] = [`${folder.path}/there`, `${folder.path}/missing`];
  writeFileSync(there, "");
  let isTaken = false;
  const disk = lockedDisk(nodeDisk, {
    keep: () => {
      if (isTaken) throw new Error("another server has it");
    },
  });
  await (await disk.openToWrite(there)).close();
  isTaken = true;
  await assert.rejects(disk.openToWrite(there), /another server has it/);
  await assert.rejects(disk.create(missing), /another server has it/);
  assert.equal(existsSync(missing), false);
});

function environment(upstream: string, dataDir: string): Record<string, string> {
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: upstream,
    BREAKWATER_DATA_DIR: dataDir,
    BREAKWATER_METRICS_RATE_LIMIT: "off",
    BREAKWATER_FAILURE_THRESHOLD: "1",
    BREAKWATER_COOLDOWN_MS: "50",
    BREAKWATER_COOLDOWN_MAX_MS: "100",
    BREAKWATER_DRAIN_TIMEOUT_MS: "2000",
  };
}

async function ready(
  server: RunningServer,
): Promise<{ status: number; body: { status: string; reason: string | null } }> {
  const response = await fetch(`${server.adminUrl}/readyz`);
  return { status: response.status, body: await response.json() };
}
