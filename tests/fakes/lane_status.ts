import type { LaneStatus } from "../../server/health.ts";

/** The status of an idle, healthy traces lane of the destination "collector", with changes. */
export function laneStatus(changes: Partial<LaneStatus>): LaneStatus {
  return {
    destination: "collector",
    signal: "traces",
    circuitState: "closed",
    throttled: false,
    suspended: false,
    misconfigured: false,
    inFlightCount: 0,
    parkedCount: 0,
    queued: { items: 0, bytes: 0, oldestReceivedAtMs: undefined },
    lastSuccessAtMs: undefined,
    lastFailureAtMs: undefined,
    lastFailure: undefined,
    failureCount: 0,
    openedCount: 0,
    retryInMs: 0,
    loopDueAtMs: Infinity,
    ...changes,
  };
}
