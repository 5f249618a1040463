import assert from "node:assert/strict";
import { parseAddressRange } from "../../server/address.ts";
import { type AdminParts, createAdminApp } from "../../server/app.ts";
import type { CircuitState } from "../../exporters/export_observer.ts";
import { type LaneStatus, liveness, readiness, telemetryHealth } from "../../server/health.ts";
import { RateLimit } from "../../server/rate_limit.ts";
import { laneStatus } from "../fakes/lane_status.ts";

const WALL_MS = Date.UTC(2026, 10, 21);
const TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8";
const PEER = { peerAddress: "192.0.2.1" };

Deno.test("P1-08 /health/telemetry is 200 and healthy while the circuit is closed", async () => {
  const response = await adminApp({ telemetryHealth: () => telemetryHealth([lane("closed")], WALL_MS) })
    .request("/health/telemetry");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(response.headers.get("cache-control"), "no-store");
  const body = await response.json();
  assert.equal(body.status, "healthy");
  assert.equal(body.circuit_state, "closed");
  assert.equal(body.otlp_backend, "reachable");
  assert.deepEqual(body.circuit_breaker, { state: "CLOSED" });
  assert.equal(body.timestamp, "2026-11-21T00:00:00.000Z");
});

for (const state of ["open", "half_open"] as const) {
  Deno.test(`P1-08 /health/telemetry is 503 and degraded while the circuit is ${state}`, async () => {
    const response = await adminApp({ telemetryHealth: () => telemetryHealth([lane("closed"), lane(state)], WALL_MS) })
      .request("/health/telemetry");
    assert.equal(response.status, 503);
    const body = await response.json();
    assert.equal(body.status, "degraded");
    assert.equal(body.circuit_state, state);
    assert.deepEqual(body.circuit_breaker, { state: state.toUpperCase() });
  });
}

Deno.test("P1-08 /health/telemetry is 200 and N/A when no upstream is set", async () => {
  const response = await adminApp({ telemetryHealth: () => telemetryHealth([], WALL_MS) }).request("/health/telemetry");
  assert.equal(response.status, 200);
  assert.deepEqual((await response.json()).circuit_breaker, { state: "N/A", reason: "OTLP exporter not configured" });
});

Deno.test("P1-08 /health/telemetry is never rate limited, and does not use up what /metrics may", async () => {
  const app = adminApp();
  for (let request = 0; request < 100; request++) {
    assert.equal((await app.request("/health/telemetry", {}, PEER)).status, 200);
  }
  assert.equal((await app.request("/metrics", {}, PEER)).status, 200);
});

Deno.test("P1-09 /metrics is the text format as it was made, with one charset", async () => {
  const response = await adminApp().request("/metrics", {}, PEER);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), TEXT_FORMAT);
  assert.equal(await response.text(), "circuit_state 0\n");
});

Deno.test("P1-12 /metrics answers ten times a minute; the eleventh is 429 with Retry-After; others are not affected", async () => {
  const app = adminApp();
  for (let request = 0; request < 10; request++) assert.equal((await app.request("/metrics", {}, PEER)).status, 200);
  const eleventh = await app.request("/metrics", {}, PEER);
  assert.equal(eleventh.status, 429);
  assert.equal(eleventh.headers.get("retry-after"), "60");
  assert.equal(eleventh.headers.get("content-type"), "application/problem+json");
  assert.equal((await eleventh.json()).title, "Too Many Requests");
  assert.equal((await app.request("/metrics", {}, { peerAddress: "192.0.2.2" })).status, 200);
});

Deno.test("P1-12 a forged X-Forwarded-For does not make a new client; that of a trusted proxy names the client", async () => {
  const app = adminApp({ trustedProxies: [parseAddressRange("10.0.0.1")!] });
  const forwarded = (host: number) => ({ headers: { "x-forwarded-for": `203.0.113.${host}` } });
  const statuses = async (peerAddress: string) => {
    const all: number[] = [];
    for (let host = 0; host < 11; host++) {
      all.push((await app.request("/metrics", forwarded(host), { peerAddress })).status);
    }
    return all;
  };
  assert.deepEqual(await statuses("192.0.2.1"), [...Array(10).fill(200), 429]);
  assert.deepEqual(await statuses("10.0.0.1"), Array(11).fill(200));
});

Deno.test("P1-12 a request that is refused for its Host costs its client nothing", async () => {
  const app = adminApp();
  for (let request = 0; request < 20; request++) {
    assert.equal((await app.request("/metrics", { headers: { host: "evil.example" } }, PEER)).status, 421);
  }
  assert.equal((await app.request("/metrics", {}, PEER)).status, 200);
});

Deno.test("/healthz tells of stuck loops, /readyz of what keeps us from taking telemetry", async () => {
  const alive = adminApp();
  assert.equal((await alive.request("/healthz")).status, 200);
  assert.equal((await alive.request("/readyz")).status, 200);
  const ill = adminApp({
    liveness: () => liveness([{ destination: "upstream", signal: "traces", loopDueAtMs: 0 }], 1e9),
    readiness: () => readiness({ started: true, draining: true }),
  });
  const stuck = await ill.request("/healthz");
  assert.equal(stuck.status, 503);
  assert.deepEqual(await stuck.json(), { status: "stuck", stuck: ["traces -> upstream"] });
  const draining = await ill.request("/readyz");
  assert.equal(draining.status, 503);
  assert.equal((await draining.json()).status, "draining");
});

for (const path of ["/healthz", "/readyz", "/health/telemetry", "/metrics"]) {
  Deno.test(`${path} answers GET and HEAD, and nothing else`, async () => {
    const app = adminApp();
    const head = await app.request(path, { method: "HEAD" }, PEER);
    assert.equal(head.status, 200);
    assert.equal(await head.text(), "");
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      const response = await app.request(path, { method }, PEER);
      assert.equal(response.status, 405, method);
      assert.equal(response.headers.get("allow"), "GET, HEAD");
      assert.equal(response.headers.get("content-type"), "application/problem+json");
      await response.body?.cancel();
    }
  });
}

Deno.test("an unknown path is 404 as a problem, whatever the method", async () => {
  const app = adminApp();
  for (const [path, method] of [["/", "GET"], ["/metrics/", "GET"], ["/v1/traces", "POST"], ["/HEALTHZ", "GET"]]) {
    const response = await app.request(path!, { method });
    assert.equal(response.status, 404, path);
    assert.equal(response.headers.get("content-type"), "application/problem+json");
    assert.deepEqual((await response.json()).title, "Not Found");
  }
});

Deno.test("P1-11 a registry that throws is a 500 without its words, which go to the log", async () => {
  const lines: string[] = [];
  const app = adminApp({
    metrics: () => Promise.reject(new Error("registry has the secret hunter2")),
    log: (level, message) => lines.push(`${level}: ${message}`),
  });
  const response = await app.request("/metrics", {}, PEER);
  assert.equal(response.status, 500);
  assert.ok(!(await response.text()).includes("hunter2"));
  assert.deepEqual(lines, ["error: Admin could not answer: registry has the secret hunter2"]);
  assert.equal((await app.request("/health/telemetry")).status, 200);
});

function adminApp(parts: Partial<AdminParts> = {}) {
  return createAdminApp({
    liveness: () => liveness([], 0),
    readiness: () => readiness({ started: true, draining: false }),
    telemetryHealth: () => telemetryHealth([lane("closed")], WALL_MS),
    metrics: () => Promise.resolve({ contentType: TEXT_FORMAT, text: "circuit_state 0\n" }),
    rateLimit: new RateLimit({
      rate: { count: 10, periodSeconds: 60 },
      clock: { nowMs: () => 0, wallMs: () => WALL_MS },
    }),
    trustedProxies: [],
    hosts: [],
    log: () => {},
    ...parts,
  });
}

function lane(circuitState: CircuitState): LaneStatus {
  return laneStatus({ destination: "upstream", circuitState, lastSuccessAtMs: WALL_MS });
}
