import assert from "node:assert/strict";
import { get } from "node:http";
import { startCollector } from "../../exporters/testing/collector.ts";
import type { LaneHealth } from "../../server/health.ts";
import { addressesOf, type Lookup } from "../../server/own_listener.ts";
import { type RunningServer, startServer } from "../../server/server.ts";
import { SETTINGS } from "../../server/settings.ts";
import { StartError } from "../../server/start_error.ts";
import { FakeClock } from "../fakes/clock.ts";
import { sendSpans } from "../fakes/otlp_client.ts";
import { TemporaryFolder } from "../fakes/temporary_folder.ts";
import { configOf, health, started, until } from "../fakes/running_server.ts";

Deno.test("P1-09 every series is there at 0 before any traffic, also when no upstream is set", async () => {
  await using server = await started({});
  const response = await fetch(`${server.adminUrl}/metrics`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const text = await response.text();
  for (
    const line of [
      "circuit_state 0",
      "spans_processed_total 0",
      'circuit_breaker_state{state="half_open"} 0',
      "circuit_breaker_drops_total 0",
      "circuit_breaker_successes_total 0",
      "circuit_breaker_failures_total 0",
      "span_export_batch_size_count 0",
      'breakwater_items_received_total{signal="logs"} 0',
    ]
  ) {
    assert.ok(text.split("\n").includes(line), `${line}\n${text}`);
  }
});

Deno.test("P1-09 P1-10 exports move the names of P1-10, and traffic adds no series that was not there before it", async () => {
  await using collector = await startCollector();
  collector.respond(503, { times: 2 });
  const clock = new FakeClock();
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    BREAKWATER_FAILURE_THRESHOLD: "1",
    BREAKWATER_METRICS_RATE_LIMIT: "off",
  };
  await using server = await started(env, { clock, sleep: clock.sleep });
  const before = await samplesOf(server);
  assert.equal(await sendSpans(server.otlpUrl!, 20), 200);

  await until(async () => (await samplesOf(server)).get("circuit_breaker_failures_total") === 1);
  const open = await samplesOf(server);
  assert.equal(open.get("circuit_state"), 2);
  assert.equal(open.get('circuit_breaker_state{state="open"}'), 1);
  assert.equal(open.get('circuit_breaker_state{state="closed"}'), 0);

  const isDelivered = async () => (await samplesOf(server)).get("spans_processed_total") === 20;
  await until(isDelivered, () => clock.advance(1000));
  const after = await samplesOf(server);
  assert.equal(after.get("circuit_state"), 0);
  assert.equal(after.get("circuit_breaker_failures_total"), 2);
  assert.equal(after.get("circuit_breaker_successes_total"), 1);
  assert.equal(after.get("span_export_latency_seconds_count"), 3);
  assert.equal(after.get("span_export_batch_size_count"), 3);
  assert.equal(after.get("span_export_batch_size_sum"), 60);
  assert.deepEqual([...after.keys()], [...before.keys()]);
});

Deno.test("P1-12 the eleventh scrape of the server itself is 429, from loopback too, unless loopback is trusted", async () => {
  await using server = await started({});
  const statuses = await scrapes(server, 11);
  assert.deepEqual(statuses, [...Array(10).fill(200), 429]);
  await using trusting = await started({ BREAKWATER_TRUSTED_SCRAPERS: "127.0.0.0/8" });
  assert.deepEqual(await scrapes(trusting, 12), Array(12).fill(200));
});

Deno.test("P1-12 behind a trusted proxy each forwarded client has its own ten", async () => {
  await using server = await started({ BREAKWATER_TRUSTED_PROXIES: "127.0.0.1" });
  assert.deepEqual(await scrapes(server, 11, { "x-forwarded-for": "203.0.113.1" }), [...Array(10).fill(200), 429]);
  assert.deepEqual(await scrapes(server, 1, { "x-forwarded-for": "203.0.113.2" }), [200]);
});

for (const threshold of [1, 2]) {
  Deno.test(`P1-13 APP_OTEL__CIRCUIT_BREAKER_THRESHOLD=${threshold} opens the circuit after that many failures`, async () => {
    await using collector = await startCollector();
    collector.respond(503);
    const clock = new FakeClock();
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, APP_OTEL__CIRCUIT_BREAKER_THRESHOLD: `${threshold}` };
    await using server = await started(env, { clock, sleep: clock.sleep });
    await sendSpans(server.otlpUrl!, 1);
    for (let failure = 1; failure <= threshold; failure++) {
      await until(async () => (await health(server)).body.failure_count === failure, () => clock.advance(100));
      assert.equal((await health(server)).body.circuit_state, failure < threshold ? "closed" : "open");
    }
    assert.equal((await health(server)).status, 503);
    collector.respond(200);
    await until(async () => (await health(server)).status === 200, () => clock.advance(1000));
    assert.equal(collector.items.traces, 1);
  });
}

for (const [rate, delivered] of [["0", 0], ["1", 100]] as const) {
  Deno.test(`P1-13 APP_OTEL__SAMPLE_RATE=${rate} lets ${delivered} of 100 spans through, and counts the others as sampled`, async () => {
    await using collector = await startCollector();
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, APP_OTEL__SAMPLE_RATE: rate };
    await using server = await started(env);
    assert.equal(await sendSpans(server.otlpUrl!, 100), 200);
    const { balanced, equations } = await server.drain();
    assert.ok(balanced, equations.join("\n"));
    assert.equal(collector.items.traces, delivered);
    assert.match(equations[1]!, new RegExp(`delivered ${delivered} .* dropped ${100 - delivered}`));
  });
}

// deno-fmt-ignore
const REFUSALS: [row: string, name: string, text: string, status: number][] = [
  ["R4",    "BREAKWATER_BODY_BYTES_MAX",     "100", 413],
  ["R9",    "BREAKWATER_INFLIGHT_BYTES_MAX", "100", 503],
  ["P2-02", "BREAKWATER_QUEUE_ITEMS_MAX",    "2",   413],
  ["P2-02", "BREAKWATER_QUEUE_BYTES_MAX",    "100", 413],
];
for (const [row, name, text, status] of REFUSALS) {
  Deno.test(`${row} ${name}=${text} refuses three spans with ${status}, and the account balances`, async () => {
    await using collector = await startCollector();
    await using server = await started({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, [name]: text });
    assert.equal(await sendSpans(server.otlpUrl!, 3), status);
    const { balanced, equations } = await server.drain();
    assert.ok(balanced, equations.join("\n"));
    assert.equal(collector.items.traces, 0);
  });
}

Deno.test("BREAKWATER_RECORD_AGE_MAX_MS drops what has waited longer, as expired", async () => {
  await using collector = await startCollector();
  collector.respond(503);
  const clock = new FakeClock();
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, BREAKWATER_RECORD_AGE_MAX_MS: "60000" };
  await using server = await started(env, { clock, sleep: clock.sleep });
  await sendSpans(server.otlpUrl!, 4);
  await until(async () => (await health(server)).body.failure_count > 0);
  assert.equal((await health(server)).body.queue.items, 4);
  await until(async () => (await health(server)).body.queue.items === 0, () => clock.advance(10_000));
  const { equations } = await server.drain();
  assert.match(equations.join(), /dropped 4 \(expired 4\)/);
});

Deno.test("admin answers to the names it was given, and to the address it was told to listen on", async () => {
  await using server = await started({ BREAKWATER_ADMIN_HOSTS: "ops.example" });
  const healthz = `${server.adminUrl}/healthz`;
  assert.equal(await statusForHost(healthz, "ops.example:9464"), 200);
  assert.equal(await statusForHost(healthz, "evil.example:9464"), 421);
  const own = { BREAKWATER_ADMIN_LISTEN: "0.0.0.0:0", BREAKWATER_ADMIN_ALLOW_ANONYMOUS: "true" };
  await using everywhere = await started(own);
  const everywhereUrl = everywhere.adminUrl!.replace("0.0.0.0", "127.0.0.1");
  assert.equal(await statusOf(`${everywhereUrl}/healthz`), 200);
  assert.equal(await statusForHost(`${everywhereUrl}/healthz`, "0.0.0.0"), 421);
});

Deno.test("P1-12 BREAKWATER_METRICS_RATE_LIMIT sets how often /metrics may be read", async () => {
  await using server = await started({ BREAKWATER_METRICS_RATE_LIMIT: "2/hour" });
  assert.deepEqual(await scrapes(server, 3), [200, 200, 429]);
  await using unlimited = await started({ BREAKWATER_METRICS_RATE_LIMIT: "off" });
  assert.deepEqual(await scrapes(unlimited, 12), Array(12).fill(200));
});

Deno.test("senders must show the ingest token once one is set", async () => {
  await using server = await started({ BREAKWATER_INGEST_TOKEN: "hunter2" });
  assert.equal(await sendSpans(server.otlpUrl!, 1), 401);
  assert.equal(await sendSpans(server.otlpUrl!, 1, { authorization: "Bearer hunter3" }), 401);
  assert.equal(await sendSpans(server.otlpUrl!, 1, { authorization: "Bearer hunter2" }), 200);
});

Deno.test("a request that has been here before is refused: the server knows its own id among the hops", async () => {
  await using collector = await startCollector();
  await using server = await started({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  await sendSpans(server.otlpUrl!, 1);
  await until(() => Promise.resolve(collector.requests.length === 1));
  const hops = collector.requests[0]!.headers["breakwater-hop"]!;
  assert.equal(await sendSpans(server.otlpUrl!, 1, { "breakwater-hop": hops }), 400);
  assert.equal(await sendSpans(server.otlpUrl!, 1, { "breakwater-hop": "somebody-else" }), 200);
});

Deno.test("P1-08 health tells the circuit's state while the upstream is down, and readiness does not care", async () => {
  await using collector = await startCollector();
  await collector.refuse();
  await using server = await started({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    BREAKWATER_FAILURE_THRESHOLD: "1",
    BREAKWATER_COOLDOWN_MS: "600000",
    BREAKWATER_COOLDOWN_MAX_MS: "600000",
    BREAKWATER_DRAIN_TIMEOUT_MS: "0",
  });
  assert.equal((await health(server)).status, 200);
  await sendSpans(server.otlpUrl!, 1);
  await until(async () => (await health(server)).status === 503);
  const { body } = await health(server);
  assert.equal(body.status, "degraded");
  assert.equal(body.otlp_backend, "unreachable");
  assert.equal(body.queue.items, 1);
  assert.equal(await statusOf(`${server.adminUrl}/readyz`), 200);
  assert.equal(await statusOf(`${server.adminUrl}/healthz`), 200);
});

Deno.test("signals whose endpoints are on other hosts go there, and the pause of one host is not the other's", async () => {
  await using traces = await startCollector();
  await using logs = await startCollector();
  traces.respond(503, { headers: { "retry-after": "60" } });
  await using server = await started({
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: traces.endpoints.traces,
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: logs.endpoints.logs,
  });
  await sendSpans(server.otlpUrl!, 2);
  await until(async () => (await health(server)).status === 503);
  const { body } = await health(server);
  assert.deepEqual(body.destinations.map(({ name }: { name: string }) => name), ["upstream"]);
  const lanes: readonly LaneHealth[] = body.destinations[0].lanes;
  assert.deepEqual(lanes.map(({ signal, throttled }) => [signal, throttled]), [["traces", true], ["logs", false]]);
  const { balanced, equations } = await server.drain();
  assert.ok(balanced, equations.join("\n"));
  assert.match(equations.join("\n"), /^traces -> upstream .*queued 2 \(on the disk\)/m);
  assert.equal(logs.requests.length, 0);
});

Deno.test("draining twice is draining once, and both ports are closed afterwards", async () => {
  const server = await started({});
  assert.equal(await server.drain(), await server.drain());
  for (const url of [server.otlpUrl, server.adminUrl]) await assert.rejects(fetch(url!), TypeError);
});

Deno.test("a listener that is off is not there", async () => {
  await using noAdmin = await started({ BREAKWATER_ADMIN_LISTEN: "off" });
  assert.equal(noAdmin.adminUrl, undefined);
  assert.ok(noAdmin.otlpUrl !== undefined);
  await using noOtlp = await started({ BREAKWATER_OTLP_HTTP_LISTEN: "off" });
  assert.equal(noOtlp.otlpUrl, undefined);
  assert.equal(await statusOf(`${noOtlp.adminUrl}/readyz`), 200);
});

Deno.test("every number that a setting allows is one that the parts allow", async () => {
  const numbers = SETTINGS.flatMap(({ name, is }) =>
    is.kind === "integer" || is.kind === "number" ? [{ name, ...is }] : []
  );
  const ends = [
    ...numbers.flatMap(({ name, min, max }) => [[name, min], [name, max]] as const),
    ["OTEL_EXPORTER_OTLP_TIMEOUT", 1] as const,
    ["OTEL_EXPORTER_OTLP_TIMEOUT", 86_400_000] as const,
  ];
  for (const [name, value] of ends) {
    const env: Record<string, string> = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9", [name]: `${value}` };
    // The two depend on each other.
    if (name === "BREAKWATER_COOLDOWN_MS") env.BREAKWATER_COOLDOWN_MAX_MS = "86400000";
    if (name === "BREAKWATER_COOLDOWN_MAX_MS") env.BREAKWATER_COOLDOWN_MS = "1";
    await assert.doesNotReject(async () => {
      await using server = await started(env);
      await server.drain();
    }, `${name}=${value}`);
  }
});

Deno.test("an upstream at one of this machine's addresses is our own listener when that is open to all of them", async () => {
  const port = freePort();
  const config = configOf({
    BREAKWATER_OTLP_HTTP_LISTEN: `0.0.0.0:${port}`,
    BREAKWATER_INGEST_ALLOW_ANONYMOUS: "true",
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://192.0.2.1:${port}`,
  });
  await assert.rejects(startServer(config, { ownAddresses: ["192.0.2.1"] }), (error) => {
    assert.ok(error instanceof StartError);
    assert.match(error.message, /^Cannot start server: OTEL_EXPORTER_OTLP_ENDPOINT must not lead back here/);
    return true;
  });
  // Nothing is left open by a start that failed.
  Deno.listen({ hostname: "0.0.0.0", port }).close();
});

Deno.test("a start that fails leaves the data folder free", async () => {
  using folder = new TemporaryFolder();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const env = { BREAKWATER_DATA_DIR: folder.path, BREAKWATER_ADMIN_LISTEN: `127.0.0.1:${taken.addr.port}` };
  await assert.rejects(startServer(configOf(env)), StartError);
  await using server = await started({ BREAKWATER_DATA_DIR: folder.path });
  assert.equal(server.dataDir, folder.path);
});

Deno.test("an upstream whose name stands for our own listener is refused, one whose name stands for nothing is not", async () => {
  const port = freePort();
  const config = configOf({
    BREAKWATER_OTLP_HTTP_LISTEN: `127.0.0.1:${port}`,
    BREAKWATER_ADMIN_LISTEN: "off",
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://collector.example:${port}`,
  });
  await assert.rejects(
    startServer(config, { lookup: () => Promise.resolve(["192.0.2.7", "127.0.0.1"]) }),
    /OTEL_EXPORTER_OTLP_ENDPOINT must not lead back here: http:\/\/collector\.example:\d+ is BREAKWATER_OTLP_HTTP_LISTEN/,
  );
  const server = await startServer(config, { lookup: () => Promise.reject(new Error("ENOTFOUND")) });
  await server.drain();
});

Deno.test("a name server that does not answer does not hold up the start", async () => {
  const asked: string[] = [];
  const lookup: Lookup = (host) => {
    asked.push(host);
    return host === "known.example" ? Promise.resolve(["192.0.2.7"]) : new Promise(() => {});
  };
  const clock = new FakeClock();
  const addresses = addressesOf(["silent.example", "known.example", "known.example", "192.0.2.1"], lookup, clock.sleep);
  await clock.advance(2000);
  assert.deepEqual([...await addresses], [["known.example", ["192.0.2.7"]]]);
  assert.deepEqual(asked, ["silent.example", "known.example"]);
});

async function scrapes(server: RunningServer, count: number, headers: HeadersInit = {}): Promise<readonly number[]> {
  const statuses: number[] = [];
  for (let scrape = 0; scrape < count; scrape++) statuses.push(await statusOf(`${server.adminUrl}/metrics`, headers));
  return statuses;
}

/** The value of each series, by its name and labels. */
async function samplesOf(server: RunningServer): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(`${server.adminUrl}/metrics`);
  const lines = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => {
    const space = line.lastIndexOf(" ");
    return [line.slice(0, space), Number(line.slice(space + 1))];
  }));
}

async function statusOf(url: string, headers: HeadersInit = {}): Promise<number> {
  const response = await fetch(url, { headers });
  await response.body?.cancel();
  return response.status;
}

/** `fetch` does not let a page, or us, choose the host. */
function statusForHost(url: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(url, { headers: { host }, agent: false }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode));
    }).on("error", reject);
  });
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
