/** A circuit whose runs are looked at by breaker_run_test.ts and breaker_outcome_test.ts. */

import { CircuitBreaker, type CircuitBreakerOptions, type CircuitCounters } from "../../core/mod.ts";
import { FakeClock } from "../fakes/clock.ts";

/** What a call that fails rejects with. */
export const DOWN = new Error("down");
export const RESULT = { status: 200 };

/** A circuit that only time lets probe. */
export function circuit(options: CircuitBreakerOptions = {}): CircuitBreaker & { readonly clock: FakeClock } {
  const clock = new FakeClock();
  const breaker = new CircuitBreaker({
    name: "stock",
    probeEveryNth: 0,
    cooldownMs: 1_000,
    cooldownJitter: 0,
    clock,
    ...options,
  });
  return Object.assign(breaker, { clock });
}

export function open(breaker: CircuitBreaker): void {
  while (breaker.state === "closed") breaker.record(breaker.acquire(), "failure");
}

export const fails = () => Promise.reject(DOWN);

/** What became of the permits, without what was never counted. */
export function outcomes(breaker: CircuitBreaker): Partial<CircuitCounters> {
  const { permitted, refused, successes, failures, ignored, throttled, stale, duplicate, listenerErrors } =
    breaker.counters;
  const counts = { permitted, refused, successes, failures, ignored, throttled, stale, duplicate, listenerErrors };
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}
