/** A circuit that is made, called, and asked for its snapshot by breaker_snapshot_test.ts, breaker_restore_test.ts and snapshot_refusal_test.ts. */

import { CircuitBreaker, type CircuitBreakerOptions, type CircuitSnapshot } from "../../core/breaker.ts";

/** A clock with an origin of its own, and a wall clock that has nothing to do with it. */
export class MovedClock {
  ms: number;

  constructor(ms = 0) {
    this.ms = ms;
  }

  nowMs(): number {
    return this.ms;
  }

  wallMs(): number {
    return 1_700_000_000_000 - 7 * this.ms;
  }
}

export function circuit(options: CircuitBreakerOptions = {}, clock = new MovedClock()) {
  const settings = { name: "collector", probeEveryNth: 0, cooldownMs: 1_000, cooldownMaxMs: 60_000, cooldownJitter: 0 };
  return { clock, breaker: new CircuitBreaker({ ...settings, seed: 1, ...options, clock }) };
}

/** Calls by their outcomes: `o` succeeds, `x` fails, capitals take 100 ms for it; `.` only asks. */
export function call(breaker: CircuitBreaker, clock: MovedClock, outcomes: string): void {
  for (const outcome of outcomes) {
    const permit = breaker.acquire();
    if (outcome === "O" || outcome === "X") clock.ms += 100;
    if (outcome !== ".") breaker.record(permit, outcome.toLowerCase() === "o" ? "success" : "failure");
  }
}

export const WINDOWS = {
  failureThreshold: 9,
  countWindowSize: 6,
  minimumCalls: 6,
  timeWindowMs: 1_000,
  slowCallMs: 100,
};

/** A snapshot with all that it may have in its state. */
export function rich(state: "closed" | "open"): CircuitSnapshot {
  const { breaker, clock } = circuit({ ...WINDOWS, probeEveryNth: 10, failureThreshold: state === "open" ? 2 : 9 });
  call(breaker, clock, state === "open" ? "xxx...." : "oxOooX");
  if (state === "open") breaker.restore(breaker.snapshot());
  return breaker.snapshot();
}
