import assert from "node:assert/strict";
import { startCollector } from "../../exporters/testing/collector.ts";
import { SETTINGS } from "../../server/settings.ts";
import { sendSpans } from "../fakes/otlp_client.ts";
import { permissionFlags, ServerProcess } from "../fakes/server_process.ts";

const LOG_LINE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (info|warning|error) breakwater: \S.*$/;

Deno.test("P2-16 SIGTERM drains: what was accepted is delivered, the account balances, the exit code is 0", async () => {
  await using collector = await startCollector();
  await using server = new ServerProcess({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  const { pid, otlp, admin, data } = await server.ready();
  assert.equal(Number(pid), server.pid);
  assert.equal(data, server.folder);
  assert.equal(await statusOf(`${admin}/readyz`), 200);
  assert.equal(await sendSpans(otlp!, 3), 200);

  server.signal("SIGTERM");
  const { code, stdout, stderr } = await server.ended();
  assert.equal(code, 0, stderr.join("\n"));
  assert.equal(collector.items.traces, 3);
  assert.deepEqual(stdout.slice(1, 3).map((line) => line.replaceAll(/ +/g, " ")), [
    "traces received 3 = accepted 3 + refused 0 balanced",
    "traces -> upstream accepted 3 = delivered 3 + rejected 0 + quarantined 0 + dropped 0 + queued 0 balanced",
  ]);
  assert.ok(!stdout.some((line) => line.includes("NOT BALANCED")), stdout.join("\n"));
  for (const line of stderr) assert.match(line, LOG_LINE);
  assert.ok(stderr.some((line) => line.includes("OTLP/gRPC is not built yet")));
});

Deno.test("a body that is decoded in the worker needs no more permissions than the task gives", async () => {
  await using server = new ServerProcess();
  const { otlp } = await server.ready();
  assert.equal(await sendSpans(otlp!, 20_000), 200);
  server.signal("SIGTERM");
  const { code, stdout } = await server.ended();
  assert.equal(code, 0);
  assert.ok(stdout.some((line) => line.includes("received 20000 = accepted 20000")), stdout.join("\n"));
});

Deno.test("P1-13 without an upstream the server says so, takes what comes, and counts it as dropped", async () => {
  await using server = new ServerProcess();
  const { otlp, admin } = await server.ready();
  assert.ok(await server.logged(/No upstream is set/));
  assert.equal(await sendSpans(otlp!, 2), 200);
  const health = await fetch(`${admin}/health/telemetry`);
  assert.equal(health.status, 200);
  assert.deepEqual((await health.json()).circuit_breaker, { state: "N/A", reason: "OTLP exporter not configured" });
  server.signal("SIGINT");
  const { code, stdout } = await server.ended();
  assert.equal(code, 0);
  assert.ok(stdout.some((line) => line.includes("dropped 2 (no_destination 2)")), stdout.join("\n"));
});

Deno.test("P2-16 what a queue in memory cannot deliver in time is dropped as shutdown, and the account still balances", async () => {
  await using collector = await startCollector();
  collector.hang();
  await using server = new ServerProcess({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    BREAKWATER_DRAIN_TIMEOUT_MS: "50",
    BREAKWATER_DATA_DIR: "off",
  });
  const { otlp, data } = await server.ready();
  assert.equal(data, "memory");
  assert.equal(await sendSpans(otlp!, 5), 200);
  server.signal("SIGTERM");
  const { code, stdout, stderr } = await server.ended();
  assert.equal(code, 0, stderr.join("\n"));
  assert.ok(stdout.some((line) => line.includes("dropped 5 (shutdown 5) + queued 0")), stdout.join("\n"));
});

Deno.test("P2-16 what cannot be delivered in time stays on the disk, and the account still balances", async () => {
  await using collector = await startCollector();
  collector.hang();
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, BREAKWATER_DRAIN_TIMEOUT_MS: "50" };
  await using server = new ServerProcess(env);
  const { otlp } = await server.ready();
  assert.equal(await sendSpans(otlp!, 5), 200);
  server.signal("SIGINT");
  const { code, stdout, stderr } = await server.ended();
  assert.equal(code, 0, stderr.join("\n"));
  assert.ok(stdout.some((line) => line.includes("dropped 0 + queued 5 (on the disk)")), stdout.join("\n"));
  assert.ok(stderr.some((line) => line.includes("left on the disk for the next start: 5 spans")), stderr.join("\n"));
});

Deno.test("P2-16 a second signal ends the process at once, with the code of that signal", async () => {
  await using collector = await startCollector();
  collector.hang();
  await using server = new ServerProcess({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    BREAKWATER_DRAIN_TIMEOUT_MS: "600000",
    OTEL_EXPORTER_OTLP_TIMEOUT: "600000",
  });
  const { otlp, admin } = await server.ready();
  assert.equal(await sendSpans(otlp!, 1), 200);
  server.signal("SIGTERM");
  assert.ok(await server.logged(/SIGTERM: draining for at most 600000 ms/));
  assert.equal(await statusOf(`${admin}/readyz`), 503);
  server.signal("SIGINT");
  assert.equal((await server.ended()).code, 130);
});

Deno.test("P1-13 wrong settings: exit code 2, every mistake named in one message, nothing on standard output", async () => {
  await using server = new ServerProcess({
    APP_OTEL__SAMPLE_RATE: "2",
    APP_OTEL__CIRCUIT_BREAKER_THRESHOLD: "abc",
    BREAKWATER_COOLDOWN: "1",
    BREAKWATER_ADMIN_LISTEN: "0.0.0.0:0",
    BREAKWATER_INGEST_TOKEN: "hunter2 and a space",
    OTEL_DENO: "true",
  });
  const { code, stdout, stderr } = await server.ended();
  assert.equal(code, 2);
  assert.deepEqual(stdout, []);
  assert.equal(stderr[0], "breakwater cannot start: 6 mistakes");
  assert.equal(stderr.length, 7);
  for (
    const word of [
      "SAMPLE_RATE",
      "CIRCUIT_BREAKER_THRESHOLD",
      "COOLDOWN_MS?",
      "ADMIN_LISTEN",
      "INGEST_TOKEN",
      "OTEL_DENO",
    ]
  ) {
    assert.ok(stderr.some((line) => line.includes(word)), `${word}\n${stderr.join("\n")}`);
  }
  assert.ok(!stderr.join().includes("hunter2"));
});

Deno.test("ports that are taken: exit code 2, each of them named", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using alsoTaken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${taken.addr.port}`;
  const other = `127.0.0.1:${alsoTaken.addr.port}`;
  await using server = new ServerProcess({ BREAKWATER_OTLP_HTTP_LISTEN: address, BREAKWATER_ADMIN_LISTEN: other });
  const { code, stdout, stderr } = await server.ended();
  assert.equal(code, 2);
  assert.deepEqual(stdout, []);
  assert.deepEqual(stderr.slice(-3), [
    "breakwater cannot start: 2 mistakes",
    `  BREAKWATER_ADMIN_LISTEN must be a free address of this machine, received ${other} (EADDRINUSE)`,
    `  BREAKWATER_OTLP_HTTP_LISTEN must be a free address of this machine, received ${address} (EADDRINUSE)`,
  ]);
});

Deno.test("an upstream that is our own listener: exit code 2", async () => {
  await using server = new ServerProcess({
    BREAKWATER_OTLP_HTTP_LISTEN: "127.0.0.1:4318",
    APP_OTEL__EXPORTER_ENDPOINT: "http://localhost:4318",
  });
  const { code, stderr } = await server.ended();
  assert.equal(code, 2);
  assert.deepEqual(stderr, [
    "breakwater cannot start: one mistake",
    "  OTEL_EXPORTER_OTLP_ENDPOINT must not lead back here: http://localhost:4318 is BREAKWATER_OTLP_HTTP_LISTEN, 127.0.0.1:4318",
  ]);
});

Deno.test("--help prints every setting, --version the version, anything else is a mistake", async () => {
  await using help = new ServerProcess({}, ["--help"]);
  await using version = new ServerProcess({}, ["--version"]);
  await using unknown = new ServerProcess({}, ["--port", "1"]);
  const helped = await help.ended();
  assert.equal(helped.code, 0);
  assert.deepEqual(helped.stderr, []);
  for (const { name } of SETTINGS) assert.ok(helped.stdout.join("\n").includes(name), name);
  assert.deepEqual(await version.ended(), { code: 0, stdout: ["breakwater 0.1.0"], stderr: [] });
  const refused = await unknown.ended();
  assert.equal(refused.code, 2);
  assert.equal(refused.stderr[0], "breakwater cannot start: 2 mistakes");
});

Deno.test("settings without effect and doubtful ones are said once each, and the server starts", async () => {
  await using server = new ServerProcess({
    BREAKWATER_OTLP_GRPC_LISTEN: "off",
    OTEL_EXPORTER_OTLP_INSECURE: "true",
    APP_OTEL__X: "1",
  });
  await server.ready();
  server.signal("SIGTERM");
  const { code, stderr } = await server.ended();
  assert.equal(code, 0);
  const told = stderr.filter((line) => line.includes("without effect"));
  assert.equal(told.length, 1);
  assert.ok(told[0]!.endsWith(": OTEL_EXPORTER_OTLP_INSECURE, BREAKWATER_OTLP_GRPC_LISTEN"), told[0]);
  assert.equal(stderr.filter((line) => line.includes("APP_OTEL__X")).length, 1);
});

Deno.test("the task that starts the server asks for less than everything", () => {
  const flags = permissionFlags();
  assert.ok(!flags.includes("-A") && !flags.includes("--allow-all"));
  assert.ok(!flags.some((flag) => /^--allow-(run|ffi)/.test(flag)));
});

async function statusOf(url: string): Promise<number> {
  const response = await fetch(url);
  await response.body?.cancel();
  return response.status;
}
