import assert from "node:assert/strict";
import type { CircuitState } from "../../exporters/export_observer.ts";
import { liveness, LOOP_LATE_MAX_MS, readiness, telemetryHealth, worstState } from "../../server/health.ts";
import { laneStatus } from "../fakes/lane_status.ts";

const WALL_MS = Date.parse("2026-03-01T12:00:00.000Z");

Deno.test("P1-08 without an upstream health is 200, disabled, with N/A and the reason", () => {
  assert.deepEqual(telemetryHealth([], WALL_MS), {
    status: 200,
    body: {
      status: "disabled",
      circuit_state: "disabled",
      throttled: false,
      otlp_backend: "unknown",
      last_success: null,
      last_failure: null,
      failure_count: 0,
      timestamp: "2026-03-01T12:00:00.000Z",
      circuit_breaker: { state: "N/A", reason: "OTLP exporter not configured" },
      destinations: [],
      queue: { items: 0, bytes: 0, oldest_age_seconds: 0 },
    },
  });
});

Deno.test("P1-08 a closed circuit is 200 and healthy, with every field of the body", () => {
  const lane = laneStatus({
    lastSuccessAtMs: WALL_MS - 1000,
    lastFailureAtMs: WALL_MS - 9000,
    lastFailure: { reason: "export_failed", message: "connection refused" },
    failureCount: 2,
    queued: { items: 5, bytes: 500, oldestReceivedAtMs: WALL_MS - 2500 },
  });
  const { status, body } = telemetryHealth([lane], WALL_MS);
  assert.equal(status, 200);
  assert.deepEqual(body, {
    status: "healthy",
    circuit_state: "closed",
    throttled: false,
    otlp_backend: "reachable",
    last_success: "2026-03-01T11:59:59.000Z",
    last_failure: "2026-03-01T11:59:51.000Z",
    failure_count: 2,
    timestamp: "2026-03-01T12:00:00.000Z",
    circuit_breaker: { state: "CLOSED" },
    destinations: [{
      name: "collector",
      lanes: [{
        signal: "traces",
        circuit_state: "closed",
        throttled: false,
        suspended: false,
        misconfigured: false,
        last_success: "2026-03-01T11:59:59.000Z",
        last_failure: "2026-03-01T11:59:51.000Z",
        last_failure_reason: "export_failed",
        last_failure_message: "connection refused",
        failure_count: 2,
        retry_in_seconds: 0,
        queue: { items: 5, bytes: 500, oldest_age_seconds: 2.5 },
      }],
    }],
    queue: { items: 5, bytes: 500, oldest_age_seconds: 2.5 },
  });
});

const BY_STATE: readonly (readonly [CircuitState, boolean, 200 | 503, string, string, string])[] = [
  ["closed", false, 200, "healthy", "CLOSED", "unknown"],
  ["closed", true, 503, "degraded", "CLOSED", "reachable"],
  ["half_open", false, 503, "degraded", "HALF_OPEN", "unreachable"],
  ["open", false, 503, "degraded", "OPEN", "unreachable"],
  ["open", true, 503, "degraded", "OPEN", "reachable"],
];

for (const [circuitState, throttled, status, word, name, backend] of BY_STATE) {
  Deno.test(`P1-08 health is ${status} while ${circuitState}${throttled ? " and throttled" : ""}`, () => {
    const health = telemetryHealth([laneStatus({ circuitState, throttled })], WALL_MS);
    assert.equal(health.status, status);
    assert.equal(health.body.status, word);
    assert.equal(health.body.circuit_state, circuitState);
    assert.equal(health.body.throttled, throttled);
    assert.equal(health.body.circuit_breaker.state, name);
    assert.equal(health.body.circuit_breaker.reason, undefined);
    assert.equal(health.body.otlp_backend, backend);
  });
}

Deno.test("P1-08 with several lanes the worst one counts, and a suspended one does not", () => {
  const closed = laneStatus({});
  const halfOpen = laneStatus({ circuitState: "half_open", signal: "logs" });
  const open = laneStatus({ circuitState: "open", destination: "other" });
  assert.equal(worstState([closed, halfOpen, open]), "open");
  assert.equal(worstState([closed, halfOpen]), "half_open");
  const suspended = laneStatus({ circuitState: "half_open", suspended: true, signal: "metrics", throttled: true });
  assert.equal(telemetryHealth([closed, suspended], WALL_MS).status, 200);
  const { body } = telemetryHealth([closed, open, halfOpen], WALL_MS);
  assert.deepEqual(body.destinations.map(({ name, lanes }) => [name, lanes.length]), [["collector", 2], ["other", 1]]);
});

Deno.test("the queue of all lanes adds up, and the oldest record gives the age", () => {
  const lanes = [
    laneStatus({ queued: { items: 1, bytes: 10, oldestReceivedAtMs: WALL_MS - 1000 } }),
    laneStatus({ queued: { items: 2, bytes: 20, oldestReceivedAtMs: WALL_MS - 4000 }, signal: "logs" }),
    laneStatus({ queued: { items: 0, bytes: 0, oldestReceivedAtMs: undefined }, signal: "metrics" }),
  ];
  assert.deepEqual(telemetryHealth(lanes, WALL_MS).body.queue, { items: 3, bytes: 30, oldest_age_seconds: 4 });
});

Deno.test("a wall clock that stepped back gives no negative age", () => {
  const lane = laneStatus({ queued: { items: 1, bytes: 10, oldestReceivedAtMs: WALL_MS + 60_000 } });
  assert.equal(telemetryHealth([lane], WALL_MS).body.queue.oldest_age_seconds, 0);
});

Deno.test("liveness fails when a loop is later than the bound, and names it; an idle loop is never late", () => {
  const due = laneStatus({ loopDueAtMs: 1000 });
  const idle = laneStatus({ signal: "logs", loopDueAtMs: Infinity });
  assert.equal(liveness([due, idle], 1000 + LOOP_LATE_MAX_MS).status, 200);
  const late = liveness([due, idle], 1001 + LOOP_LATE_MAX_MS);
  assert.deepEqual(late, { status: 503, body: { status: "stuck", stuck: ["traces -> collector"] } });
  assert.equal(liveness([], 0).status, 200);
});

Deno.test("readiness is red while starting, while draining and when the disk fails, and says why", () => {
  assert.equal(readiness({ started: true, draining: false }).status, 200);
  const red = [
    readiness({ started: false, draining: false }),
    readiness({ started: true, draining: true }),
    readiness({ started: true, draining: false, diskFailure: "fsync failed: EIO" }),
  ];
  assert.deepEqual(red.map(({ status, body }) => [status, body.status]), [
    [503, "starting"],
    [503, "draining"],
    [503, "disk_failed"],
  ]);
  assert.equal(red[2]?.body.reason, "fsync failed: EIO");
});
