import assert from "node:assert/strict";
import { type CollectedRequest, startCollector } from "../../exporters/testing/collector.ts";
import { accountAt, assertBalanced, type ShownEquation } from "../fakes/metrics_account.ts";
import { sendSpans } from "../fakes/otlp_client.ts";
import { until } from "../fakes/running_server.ts";
import { ServerProcess } from "../fakes/server_process.ts";
import { TemporaryFolder } from "../fakes/temporary_folder.ts";
import { decodeMessage, itemsOf, REQUEST_TYPES } from "../model/otlp_schema.ts";

Deno.test("P2-10 P2-16 a server that is killed in an outage delivers after its restart all that it had answered 200, once", async () => {
  using folder = new TemporaryFolder();
  await using collector = await startCollector();
  await collector.refuse();
  const answered: string[] = [];
  const asked: string[] = [];
  {
    await using server = new ServerProcess(environment(collector.url, folder));
    const { otlp } = await server.ready();
    const { promise: enough, resolve } = Promise.withResolvers<void>();
    const sender = async (): Promise<void> => {
      for (;;) {
        const name = `span ${asked.length}`;
        asked.push(name);
        try {
          if (await sendSpan(otlp!, name) === 200) answered.push(name);
        } catch {
          return; // The server is no more.
        }
        if (answered.length >= 200) resolve();
      }
    };
    const senders = Promise.all([sender(), sender(), sender(), sender()]);
    await enough;
    server.signal("SIGKILL");
    await senders;
    await server.ended();
  }

  await collector.recover();
  await using server = new ServerProcess(environment(collector.url, folder));
  const { admin } = await server.ready();
  const { upstream, received } = await whenDelivered(admin!);
  const delivered = collector.requests.flatMap(spanNamesIn);
  assert.deepEqual(answered.filter((name) => !delivered.includes(name)), [], "what was answered has been delivered");
  assert.equal(new Set(delivered).size, delivered.length, "and nothing twice");
  assert.deepEqual(delivered.filter((name) => !asked.includes(name)), []);
  // What the kill left without an answer may be there as well.
  assert.equal(received.whole, delivered.length);
  assert.equal(upstream.parts.delivered, delivered.length);
});

Deno.test("P2-16 what was out when the server was killed is sent again, and counted as redelivered", async () => {
  using folder = new TemporaryFolder();
  await using collector = await startCollector();
  collector.hang();
  {
    await using server = new ServerProcess(environment(collector.url, folder));
    const { otlp } = await server.ready();
    assert.equal(await sendSpans(otlp!, 7), 200);
    await until(() => collector.requests.length === 1);
    assert.equal(await sendSpans(otlp!, 0), 200);
    server.signal("SIGKILL");
    await server.ended();
  }
  await collector.recover();
  await using server = new ServerProcess(environment(collector.url, folder));
  const { admin } = await server.ready();
  const { upstream } = await whenDelivered(admin!);
  assert.equal(upstream.whole, 7);
  const text = await (await fetch(`${admin}/metrics`)).text();
  assert.match(text, /^breakwater_items_redelivered_total\{signal="traces",destination="upstream"\} 7$/m);
});

Deno.test("P2-16 SIGTERM in an outage ends at once, whatever time it would have: the next start delivers what was left", async () => {
  using folder = new TemporaryFolder();
  await using collector = await startCollector();
  await collector.refuse();
  {
    await using server = new ServerProcess({
      ...environment(collector.url, folder),
      BREAKWATER_DRAIN_TIMEOUT_MS: "86400000",
    });
    const { otlp } = await server.ready();
    assert.equal(await sendSpans(otlp!, 20), 200);
    assert.ok(await server.logged(/circuit closed -> open/));
    server.signal("SIGTERM");
    const { code, stdout, stderr } = await server.ended();
    assert.equal(code, 0, stderr.join("\n"));
    assert.ok(stdout.some((line) => line.includes("queued 20 (on the disk)   balanced")), stdout.join("\n"));
  }
  await collector.recover();
  await using server = new ServerProcess(environment(collector.url, folder));
  const { otlp, admin } = await server.ready();
  assert.ok(await server.logged(/traces -> upstream: 20 spans wait from before/));
  assert.equal(await sendSpans(otlp!, 5), 200);
  const { received, upstream } = await whenDelivered(admin!, 25);
  assert.deepEqual([received.whole, upstream.parts.delivered, collector.items.traces], [25, 25, 25]);
  server.signal("SIGTERM");
  const { stdout } = await server.ended();
  assert.ok(
    stdout.some((line) => line.includes("received 25 = accepted 25 + refused 0   balanced")),
    stdout.join("\n"),
  );
});

Deno.test("P2-16 a start without the upstream says what waits for it, keeps that, and adds nothing to it", async () => {
  using folder = new TemporaryFolder();
  await using collector = await startCollector();
  await collector.refuse();
  const { OTEL_EXPORTER_OTLP_ENDPOINT: _, ...nowhere } = environment(collector.url, folder);
  for (const [env, spanCount] of [[environment(collector.url, folder), 4], [nowhere, 3]] as const) {
    await using server = new ServerProcess(env);
    const { otlp, admin } = await server.ready();
    assert.equal(await sendSpans(otlp!, spanCount), 200);
    if (env === nowhere) {
      assert.ok(
        await server.logged(/warning .*traces -> upstream: 4 spans wait for a destination that is not configured/),
      );
      const account = await accountAt(admin!);
      assertBalanced(account.values());
      assert.deepEqual(account.get("traces -> upstream")!.reasons, { "dropped no_destination": 3 });
      assert.equal(account.get("traces -> upstream")!.parts.queued, 4);
    }
    server.signal("SIGTERM");
    assert.equal((await server.ended()).code, 0);
  }
  await collector.recover();
  await using server = new ServerProcess(environment(collector.url, folder));
  const { upstream } = await whenDelivered((await server.ready()).admin!, 7);
  assert.deepEqual([upstream.parts.delivered, upstream.parts.dropped, collector.items.traces], [4, 3, 4]);
});

Deno.test("a second server on the same folder refuses to start and names the first; after SIGKILL the folder is free", async () => {
  using folder = new TemporaryFolder();
  const env = { BREAKWATER_DATA_DIR: folder.path };
  await using first = new ServerProcess(env);
  await first.ready();
  await using second = new ServerProcess(env);
  const { code, stdout, stderr } = await second.ended();
  assert.equal(code, 2);
  assert.deepEqual(stdout, []);
  assert.match(stderr.at(-1)!, /^ {2}BREAKWATER_DATA_DIR must not be in use by another server/);
  assert.ok(stderr.at(-1)!.includes(folder.path) && stderr.at(-1)!.includes(`pid ${first.pid},`), stderr.at(-1));
  first.signal("SIGKILL");
  await first.ended();
  await using third = new ServerProcess(env);
  assert.equal((await third.ready()).data, folder.path);
});

function environment(upstream: string, folder: TemporaryFolder): Record<string, string> {
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: upstream,
    BREAKWATER_DATA_DIR: folder.path,
    BREAKWATER_METRICS_RATE_LIMIT: "off",
    BREAKWATER_FAILURE_THRESHOLD: "1",
  };
}

/** Waits until nothing is queued of so many spans, and holds the account against itself. */
async function whenDelivered(admin: string, spanCount = 1): Promise<Record<"received" | "upstream", ShownEquation>> {
  let account = await accountAt(admin);
  await until(async () => {
    account = await accountAt(admin);
    const { whole, parts } = account.get("traces -> upstream")!;
    return whole >= spanCount && parts.queued === 0;
  });
  assertBalanced(account.values());
  return { received: account.get("traces")!, upstream: account.get("traces -> upstream")! };
}

async function sendSpan(url: string, name: string): Promise<number> {
  const span = {
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "00f067aa0ba902b7",
    name,
    startTimeUnixNano: "1",
    endTimeUnixNano: "2",
  };
  const response = await fetch(`${url}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }),
  });
  await response.body?.cancel();
  return response.status;
}

function spanNamesIn({ payload }: CollectedRequest): readonly string[] {
  return itemsOf("traces", decodeMessage(REQUEST_TYPES.traces, payload)).map(({ name }) => String(name));
}
