import type { Core } from "./loader.ts";

/** What happened so far, added up over all workers. */
export interface CircuitCounters {
  /** Calls let through. */
  readonly permitted: number;
  /** Calls refused; in the mode `metrics_only` those that would have been. */
  readonly refused: number;
  /** Calls that succeeded. */
  readonly successes: number;
  /** Calls that failed. */
  readonly failures: number;
  /** Calls whose outcome says nothing about the backend. */
  readonly ignored: number;
  /** Calls that the backend answered by asking for a pause. */
  readonly throttled: number;
  /** Results that changed nothing because the circuit had moved on. */
  readonly stale: number;
  /** Results that changed nothing because their call had one. */
  readonly duplicate: number;
  /** Half-open episodes given up because no probe reported. */
  readonly leaseExpired: number;
  /** Changes of state. */
  readonly transitions: number;
  /** Changes to open, from closed or from half-open. */
  readonly opened: number;
  /** Changes to half-open. */
  readonly halfOpened: number;
  /** Changes to closed. */
  readonly closed: number;
  /** Failures since the last success; also counted while open. */
  readonly consecutiveFailures: number;
  /** Probes in flight now. */
  readonly probesInFlight: number;
  /** When it last opened from closed, in Unix milliseconds; `undefined` if it never did. */
  readonly openedAtMs: number | undefined;
  /**
   * When a call last succeeded, in Unix milliseconds; `undefined` if none did. A closed circuit does not read the clock
   * for a success: unless it does for a window or slow calls, the first reading of the counters after a success dates it.
   */
  readonly lastSuccessMs: number | undefined;
  /** Listeners and predicates of this object that threw. */
  readonly listenerErrors: number;
}

/** What the core counted. `nowMs` is shared time, of which `wallAtZeroMs` is the beginning in Unix milliseconds. */
export function countersOf(
  core: Core,
  base: number,
  nowMs: number,
  wallAtZeroMs: number,
): Omit<CircuitCounters, "listenerErrors"> {
  const count = (index: number) => core.counter(base, index);
  const dated = (ms: number) => ms < 0 ? undefined : Math.floor(wallAtZeroMs + ms);
  const [opened, halfOpened, closed] = [count(9), count(10), count(11)];
  return {
    permitted: count(0),
    refused: count(1),
    successes: count(2),
    failures: count(3),
    ignored: count(4),
    throttled: count(5),
    stale: count(6),
    duplicate: count(7),
    leaseExpired: count(8),
    transitions: opened + halfOpened + closed,
    opened,
    halfOpened,
    closed,
    consecutiveFailures: core.consecutiveFailures(base),
    probesInFlight: core.probesInFlight(base),
    openedAtMs: dated(core.openedAtMs(base)),
    lastSuccessMs: dated(core.lastSuccessMs(base, nowMs)),
  };
}
