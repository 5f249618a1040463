/** What an upstream refuses for good, from the sender to the disk. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startCollector } from "../../exporters/testing/collector.ts";
import { accountAt, assertBalanced } from "../fakes/metrics_account.ts";
import { started, until } from "../fakes/running_server.ts";
import { ServerProcess } from "../fakes/server_process.ts";
import { TemporaryFolder } from "../fakes/temporary_folder.ts";
import { span, traces, tracesOf } from "./receiver_fixture.ts";

const isBad = (payload: Uint8Array) => Buffer.from(payload).includes("bad");
const badTraces = (name: string) => tracesOf([span(1, { name: `bad ${name}` }), span(2, { name })]);

Deno.test("P2-10 a record among good ones that the upstream refuses is kept as it was sent, and the account goes on over a restart", async () => {
  using folder = new TemporaryFolder();
  await using collector = await startCollector();
  collector.respond(400, { when: isBad });
  const log: string[] = [];
  const serving = () => started(environment(collector.url, folder), { log: (_level, message) => log.push(message) });
  const first = badTraces("first");
  {
    await using server = await serving();
    for (const signal of ["traces", "metrics", "logs"]) {
      assert.match(
        await metricsAt(server.adminUrl!),
        new RegExp(`^breakwater_quarantine_records{signal="${signal}"} 0$`, "m"),
      );
      assert.match(
        await metricsAt(server.adminUrl!),
        new RegExp(`^breakwater_quarantine_bytes{signal="${signal}"} 0$`, "m"),
      );
    }
    for (let request = 0; request < 5; request++) await send(server.otlpUrl!, traces(3));
    await send(server.otlpUrl!, first);
    for (let request = 0; request < 5; request++) await send(server.otlpUrl!, traces(3));
    assert.deepEqual(await fateAt(server.adminUrl!, 32), { delivered: 30, quarantined: 2 });
    assert.equal(collector.items.traces, 30);
    const [kept, ...others] = keptIn(folder);
    assert.deepEqual(others, []);
    assert.deepEqual(kept!.payload, Buffer.from(first));
    const { reason, destination, itemCount, bytes } = kept!.description;
    assert.deepEqual([reason, destination, itemCount, bytes], ["http_400", "upstream", 2, first.length]);
    const where = `kept in ${join(folder.path, "quarantine")}, see "deno task cli quarantine list"`;
    assert.equal(log.filter((line) => line.startsWith("traces -> upstream: quarantined 2 spans: ")).length, 1);
    assert.ok(log.some((line) => line.endsWith(where)), log.join("\n"));
    const { balanced, equations } = await server.drain();
    assert.ok(balanced, equations.join("\n"));
    assert.match(equations.join("\n"), /delivered 30 \+ rejected 0 \+ quarantined 2 /);
  }
  await using server = await serving();
  assert.deepEqual(await fateAt(server.adminUrl!, 32), { delivered: 30, quarantined: 2 });
  assert.match(await metricsAt(server.adminUrl!), /^breakwater_quarantine_records\{signal="traces"\} 1$/m);
  const second = badTraces("second");
  await send(server.otlpUrl!, second);
  assert.deepEqual(await fateAt(server.adminUrl!, 34), { delivered: 30, quarantined: 4 });
  assert.deepEqual(keptIn(folder).map(({ payload }) => payload), [Buffer.from(first), Buffer.from(second)]);
});

Deno.test("P2-16 a server that is killed while it quarantines keeps each bad record once, and counts it once", async () => {
  using folder = new TemporaryFolder();
  await using collector = await startCollector();
  collector.respond(400, { when: isBad });
  const bad = Array.from({ length: 12 }, (_, index) => badTraces(`number ${index}`));
  {
    await using server = new ServerProcess(environment(collector.url, folder));
    const { otlp } = await server.ready();
    for (const payload of bad) {
      await send(otlp!, traces(1));
      await send(otlp!, payload);
    }
    await until(() => keptIn(folder).length > 0);
    server.signal("SIGKILL");
    await server.ended();
  }
  await using server = new ServerProcess(environment(collector.url, folder));
  const { admin } = await server.ready();
  assert.deepEqual(await fateAt(admin!, 36), { delivered: 12, quarantined: 24 });
  const kept = keptIn(folder).map(({ payload }) => payload.toString("base64"));
  assert.deepEqual(kept.sort(), bad.map((payload) => Buffer.from(payload).toString("base64")).sort());
});

Deno.test("a quarantine that is off or too small keeps nothing that has no room: that is rejected, and said", async () => {
  for (const bytesMax of ["0", "10"]) {
    using folder = new TemporaryFolder();
    await using collector = await startCollector();
    collector.respond(500, { when: isBad });
    const env = { ...environment(collector.url, folder), BREAKWATER_QUARANTINE_BYTES_MAX: bytesMax };
    await using server = await started(env);
    await send(server.otlpUrl!, badTraces("it"));
    assert.deepEqual(await fateAt(server.adminUrl!, 2), { rejected: 2 });
    const { reasons } = (await accountAt(server.adminUrl!)).get("traces -> upstream")!;
    assert.deepEqual(reasons, { "rejected quarantine_full": 2 });
    assert.equal(existsSync(join(folder.path, "quarantine")), bytesMax !== "0");
    assert.deepEqual(keptIn(folder), []);
  }
});

Deno.test("a server whose queue is in memory has no quarantine: what is refused is rejected for its reason", async () => {
  await using collector = await startCollector();
  collector.respond(400, { when: isBad });
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, BREAKWATER_METRICS_RATE_LIMIT: "off" };
  await using server = await started({ ...env, BREAKWATER_DATA_DIR: "off" });
  await send(server.otlpUrl!, badTraces("it"));
  assert.deepEqual(await fateAt(server.adminUrl!, 2), { rejected: 2 });
  const { reasons } = (await accountAt(server.adminUrl!)).get("traces -> upstream")!;
  assert.deepEqual(reasons, { "rejected http_400": 2 });
  assert.match(await metricsAt(server.adminUrl!), /^breakwater_quarantine_records\{signal="traces"\} 0$/m);
});

function environment(upstream: string, folder: TemporaryFolder): Record<string, string> {
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: upstream,
    BREAKWATER_DATA_DIR: folder.path,
    BREAKWATER_METRICS_RATE_LIMIT: "off",
  };
}

async function send(url: string, body: Uint8Array<ArrayBuffer>): Promise<void> {
  const headers = { "content-type": "application/x-protobuf" };
  const response = await fetch(`${url}/v1/traces`, { method: "POST", headers, body });
  await response.body?.cancel();
  assert.equal(response.status, 200);
}

async function metricsAt(adminUrl: string): Promise<string> {
  return await (await fetch(`${adminUrl}/metrics`)).text();
}

/** What became of the spans, once nothing waits: only what is not 0. The account has to balance. */
async function fateAt(adminUrl: string, spanCount: number): Promise<Readonly<Record<string, number>>> {
  let account = await accountAt(adminUrl);
  const lane = () => account.get("traces -> upstream")!;
  await until(async () => {
    account = await accountAt(adminUrl);
    return lane().whole === spanCount && lane().parts.queued === 0;
  });
  assertBalanced(account.values());
  return Object.fromEntries(Object.entries(lane().parts).filter(([, itemCount]) => itemCount > 0));
}

/** The records in the quarantine of traces that are described, as their files are, in the order in which they came. */
function keptIn(folder: TemporaryFolder) {
  const path = join(folder.path, "quarantine", "traces");
  if (!existsSync(path)) return [];
  return readdirSync(path).filter((name) => name.endsWith(".json")).map((name) => {
    const description = readJson(join(path, name));
    return { description, payload: readFileSync(join(path, name.replace(/json$/, "pb"))) };
  }).sort((a, b) => String(a.description.quarantinedAt).localeCompare(String(b.description.quarantinedAt)));
}

/** It may be being written. */
function readJson(path: string): Readonly<Record<string, unknown>> {
  const text = readFileSync(path, "utf8");
  return text.endsWith("}\n") ? JSON.parse(text) : {};
}
