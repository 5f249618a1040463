/**
 * The core: what the rest stands on, without knowing any of it. No OpenTelemetry, no input or output; state that
 * workers share lies in WebAssembly memory, and every step that needs time is given a clock.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { CircuitBreaker } from "@breakwater/otel/core";
 *
 * let nowMs = 0;
 * const clock = { nowMs: () => nowMs, wallMs: () => nowMs };
 * using breaker = new CircuitBreaker({ failureThreshold: 2, probeEveryNth: 0, cooldownMs: 100, cooldownJitter: 0, clock });
 *
 * breaker.record(breaker.acquire(), "failure");
 * breaker.record(breaker.acquire(), "failure");
 * assert.equal(breaker.state, "open");
 * assert.ok(breaker.acquire() < 0); // refused
 * assert.equal(breaker.retryAfterMs, 100);
 *
 * nowMs = 100;
 * const probe = breaker.acquire(); // the cooldown has ended: one call may try
 * assert.ok(breaker.acquire() < 0); // and only one
 * breaker.record(probe, "success");
 * assert.equal(breaker.state, "closed");
 * ```
 *
 * @module
 */

export {
  CircuitBreaker,
  type CircuitBreakerHandle,
  type CircuitBreakerOptions,
  type CircuitCounters,
  type CircuitState,
  type CircuitTransition,
  type Outcome,
  type OutcomePredicates,
  type Recorded,
  type RunOptions,
} from "./breaker.ts";
export { CircuitOpenError, type RefusingCircuit } from "./circuit_open_error.ts";
export { type Clock, systemClock } from "./clock.ts";
