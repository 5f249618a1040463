import type { CircuitState } from "../exporters/export_observer.ts";
import type { Queued } from "../exporters/journal/journal.ts";
import type { Reason } from "../exporters/reason.ts";
import type { Signal } from "../exporters/signal.ts";

/** What a lane says of itself, for health, metrics and people. Times are wall-clock Unix milliseconds. */
export interface LaneStatus {
  readonly destination: string;
  readonly signal: Signal;
  readonly circuitState: CircuitState;
  /** Waiting because the backend asked for it, through this lane or through another of the same destination. */
  readonly throttled: boolean;
  /** The backend has no such signal: nothing is held, so the circuit says nothing about the backend's health. */
  readonly suspended: boolean;
  /** The last answer was about what we are (credentials, address), not about what we sent. */
  readonly misconfigured: boolean;
  readonly inFlightCount: number;
  readonly parkedCount: number;
  readonly queued: Queued;
  readonly lastSuccessAtMs: number | undefined;
  readonly lastFailureAtMs: number | undefined;
  readonly lastFailure: { readonly reason: Reason; readonly message: string } | undefined;
  /** Failed sends since the start. */
  readonly failureCount: number;
  /** How often the circuit has opened since the start. */
  readonly openedCount: number;
  /** Until the next send may pass, in milliseconds; 0 when it may now. */
  readonly retryInMs: number;
  /** The monotonic moment by which the lane's loop must have come round again; Infinity while it may sleep. */
  readonly loopDueAtMs: number;
}

/** A status code with the JSON that goes with it. */
export interface HealthAnswer<Body> {
  readonly status: 200 | 503;
  readonly body: Body;
}

/** The body of `GET /health/telemetry`. */
export interface TelemetryHealth {
  readonly status: "healthy" | "degraded" | "disabled";
  readonly circuit_state: CircuitState | "disabled";
  readonly throttled: boolean;
  readonly otlp_backend: "reachable" | "unreachable" | "unknown";
  readonly last_success: string | null;
  readonly last_failure: string | null;
  readonly failure_count: number;
  readonly timestamp: string;
  readonly circuit_breaker: { readonly state: "CLOSED" | "HALF_OPEN" | "OPEN" | "N/A"; readonly reason?: string };
  readonly destinations: readonly DestinationHealth[];
  readonly queue: { readonly items: number; readonly bytes: number; readonly oldest_age_seconds: number };
}

/** One destination in `destinations`: its lanes by signal. */
export interface DestinationHealth {
  readonly name: string;
  readonly lanes: readonly LaneHealth[];
}

/** One lane as health shows it. */
export interface LaneHealth {
  readonly signal: Signal;
  readonly circuit_state: CircuitState;
  readonly throttled: boolean;
  readonly suspended: boolean;
  readonly misconfigured: boolean;
  readonly last_success: string | null;
  readonly last_failure: string | null;
  readonly last_failure_reason: Reason | null;
  readonly last_failure_message: string | null;
  readonly failure_count: number;
  readonly retry_in_seconds: number;
  readonly queue: { readonly items: number; readonly bytes: number; readonly oldest_age_seconds: number };
}

/**
 * The loops' liveness bound: a lane that is this late has stopped, whatever the process says. A loop comes round within
 * milliseconds of its due time, so this forgives a machine that was asleep or starved, not a loop that is stuck.
 */
export const LOOP_LATE_MAX_MS = 30_000;

/**
 * Answers `GET /health/telemetry` from the lanes: the worst one counts, and 200 means closed.
 *
 * @param lanes All lanes; none when no upstream is set, which is not an illness.
 * @param wallMs The wall-clock time of the answer, in Unix milliseconds.
 */
export function telemetryHealth(lanes: readonly LaneStatus[], wallMs: number): HealthAnswer<TelemetryHealth> {
  if (lanes.length === 0) return { status: 200, body: notConfigured(wallMs) };
  const circuitState = worstState(lanes);
  const throttled = lanes.some((lane) => lane.throttled && !lane.suspended);
  const healthy = circuitState === "closed" && !throttled;
  return {
    status: healthy ? 200 : 503,
    body: {
      status: healthy ? "healthy" : "degraded",
      circuit_state: circuitState,
      throttled,
      otlp_backend: reachability(lanes),
      last_success: iso(latest(lanes.map((lane) => lane.lastSuccessAtMs))),
      last_failure: iso(latest(lanes.map((lane) => lane.lastFailureAtMs))),
      failure_count: lanes.reduce((sum, lane) => sum + lane.failureCount, 0),
      timestamp: new Date(wallMs).toISOString(),
      circuit_breaker: { state: STATE_NAMES[circuitState] },
      destinations: byDestination(lanes, wallMs),
      queue: queueHealth(lanes.map((lane) => lane.queued), wallMs),
    },
  };
}

/**
 * The worst circuit of all lanes that are in use: open, then half-open, then closed. A suspended lane holds nothing.
 */
export function worstState(lanes: readonly LaneStatus[]): CircuitState {
  const states = new Set(lanes.filter((lane) => !lane.suspended).map((lane) => lane.circuitState));
  return states.has("open") ? "open" : states.has("half_open") ? "half_open" : "closed";
}

/** The body of `GET /healthz`. */
export interface Liveness {
  readonly status: "alive" | "stuck";
  readonly stuck: readonly string[];
}

/**
 * Answers `GET /healthz`: whether every loop makes progress.
 *
 * @param lanes Whatever has a loop: the time by which it must have come round tells whether it still turns.
 * @param nowMs Monotonic time, from the clock the loops use.
 */
export function liveness(
  lanes: readonly Pick<LaneStatus, "destination" | "signal" | "loopDueAtMs">[],
  nowMs: number,
): HealthAnswer<Liveness> {
  const stuck = lanes
    .filter((lane) => nowMs - lane.loopDueAtMs > LOOP_LATE_MAX_MS)
    .map((lane) => `${lane.signal} -> ${lane.destination}`);
  return stuck.length === 0
    ? { status: 200, body: { status: "alive", stuck } }
    : { status: 503, body: { status: "stuck", stuck } };
}

/** What readiness depends on. The upstream is not among it: an outage of the backend is what we are here for. */
export interface ReadinessInputs {
  readonly started: boolean;
  readonly draining: boolean;
  /** Why the disk is not trusted, where it is not. */
  readonly diskFailure?: string;
}

/** The body of `GET /readyz`. */
export interface Readiness {
  readonly status: "ready" | "starting" | "draining" | "disk_failed";
  readonly reason: string | null;
}

/** Answers `GET /readyz`: whether telemetry may be sent here. */
export function readiness({ started, draining, diskFailure }: ReadinessInputs): HealthAnswer<Readiness> {
  if (draining) return { status: 503, body: { status: "draining", reason: "the server is shutting down" } };
  if (!started) return { status: 503, body: { status: "starting", reason: "the listeners are not open yet" } };
  if (diskFailure !== undefined) return { status: 503, body: { status: "disk_failed", reason: diskFailure } };
  return { status: 200, body: { status: "ready", reason: null } };
}

const STATE_NAMES = { closed: "CLOSED", half_open: "HALF_OPEN", open: "OPEN" } as const;

function notConfigured(wallMs: number): TelemetryHealth {
  return {
    status: "disabled",
    circuit_state: "disabled",
    throttled: false,
    otlp_backend: "unknown",
    last_success: null,
    last_failure: null,
    failure_count: 0,
    timestamp: new Date(wallMs).toISOString(),
    circuit_breaker: { state: "N/A", reason: "OTLP exporter not configured" },
    destinations: [],
    queue: { items: 0, bytes: 0, oldest_age_seconds: 0 },
  };
}

/** A backend that asks for a pause has answered, so only circuits that are not throttled speak against it. */
function reachability(lanes: readonly LaneStatus[]): TelemetryHealth["otlp_backend"] {
  const inUse = lanes.filter((lane) => !lane.suspended);
  if (inUse.some((lane) => lane.circuitState !== "closed" && !lane.throttled)) return "unreachable";
  const answered = lanes.some((lane) => lane.lastSuccessAtMs !== undefined || lane.throttled);
  return answered ? "reachable" : "unknown";
}

function byDestination(lanes: readonly LaneStatus[], wallMs: number): readonly DestinationHealth[] {
  const names = [...new Set(lanes.map((lane) => lane.destination))];
  return names.map((name) => ({
    name,
    lanes: lanes.filter((lane) => lane.destination === name).map((lane) => laneHealth(lane, wallMs)),
  }));
}

function laneHealth(lane: LaneStatus, wallMs: number): LaneHealth {
  return {
    signal: lane.signal,
    circuit_state: lane.circuitState,
    throttled: lane.throttled,
    suspended: lane.suspended,
    misconfigured: lane.misconfigured,
    last_success: iso(lane.lastSuccessAtMs),
    last_failure: iso(lane.lastFailureAtMs),
    last_failure_reason: lane.lastFailure?.reason ?? null,
    last_failure_message: lane.lastFailure?.message ?? null,
    failure_count: lane.failureCount,
    retry_in_seconds: Math.ceil(lane.retryInMs) / 1000,
    queue: queueHealth([lane.queued], wallMs),
  };
}

/** What waits, added up over lanes: a record that two destinations wait for counts twice, as it does in the account. */
function queueHealth(queues: readonly Queued[], wallMs: number): TelemetryHealth["queue"] {
  return {
    items: queues.reduce((sum, queued) => sum + queued.items, 0),
    bytes: queues.reduce((sum, queued) => sum + queued.bytes, 0),
    // The wall clock may have stepped back since the receipt.
    oldest_age_seconds: Math.max(0, ...queues.map((queued) => oldestAgeSeconds(queued, wallMs))),
  };
}

/** The age of the oldest waiting record in seconds, 0 when none waits. */
export function oldestAgeSeconds({ oldestReceivedAtMs }: Queued, wallMs: number): number {
  return oldestReceivedAtMs === undefined ? 0 : Math.max(0, wallMs - oldestReceivedAtMs) / 1000;
}

function latest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length > 0 ? Math.max(...known) : undefined;
}

function iso(timeMs: number | undefined): string | null {
  return timeMs === undefined ? null : new Date(timeMs).toISOString();
}
