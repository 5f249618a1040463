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
 * `run` makes the call itself: it asks, judges how the call ended, and reports that.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { CircuitBreaker, CircuitOpenError } from "@breakwater/otel/core";
 *
 * const breaker = new CircuitBreaker({
 *   name: "stock",
 *   failureThreshold: 1,
 *   errorOutcome: (error) => error instanceof RangeError ? "ignored" : "failure", // our own mistake says nothing of it
 * });
 * const answer = { status: 503, retryAfterMs: 5_000 };
 *
 * const given = await breaker.run(() => answer, {
 *   resultOutcome: ({ status, retryAfterMs }) => status === 503 ? { throttledMs: retryAfterMs } : "success",
 * });
 * assert.equal(given, answer);
 * await assert.rejects(breaker.run(() => answer), (error) => {
 *   assert.ok(error instanceof CircuitOpenError);
 *   assert.match(error.message, /^Cannot run: circuit "stock" is open, a probe may pass in \d+ ms at the latest$/);
 *   return true;
 * });
 * ```
 *
 * `ByteRing` is a queue that workers share: any of them pushes records, bounded in items and bytes, and one drains them
 * where they lie.
 *
 * @module
 */

export {
  CircuitBreaker,
  type CircuitBreakerHandle,
  type CircuitBreakerNumbers,
  type CircuitBreakerOptions,
  type CircuitCounters,
  type CircuitHold,
  type CircuitMode,
  type CircuitSnapshot,
  type CircuitState,
  type CircuitTape,
  type CircuitTransition,
  type LentHandle,
  type Outcome,
  type OutcomePredicates,
  type Recorded,
  type RunOptions,
  type WindowTenth,
} from "./breaker.ts";
export {
  ByteRing,
  ByteRingConsumer,
  type ByteRingCounters,
  type ByteRingHandle,
  type ByteRingNumbers,
  type ByteRingOptions,
  type CheckedRingOptions,
  type LentByteRingHandle,
  type Pushed,
  RingBatch,
  type RingOverflow,
  type RingRecord,
} from "./byte_ring.ts";
export { type ReplayedTransition, replayTape, type TapeReplay } from "./breaker_replay.ts";
export { CircuitOpenError, type RefusingCircuit } from "./circuit_open_error.ts";
export { type Clock, systemClock } from "./clock.ts";
