import { CircuitBreaker, type CircuitBreakerOptions } from "../../core/breaker.ts";
import { SIGNALS } from "../signal.ts";
import { logTransitions } from "../transition_log.ts";
import { BreakerTransport } from "./breaker.ts";
import { HttpTransport, type HttpTransportOptions } from "./http.ts";
import { ATTEMPT_TIMEOUT_DEFAULT_MS, perSignal } from "./http_endpoint.ts";
import { RetryTransport, type RetryTransportOptions } from "./retry.ts";
import type { Transport } from "./transport.ts";

/** Everything that {@linkcode otlpTransport} puts together. */
export interface OtlpTransportOptions extends HttpTransportOptions, RetryTransportOptions {
  /** A circuit shared with others. It stays the caller's. @default {one of the transport's own} */
  readonly breaker?: CircuitBreaker;
  /** How the transport's own circuit differs from {@linkcode TRANSPORT_CIRCUIT}. @default {{}} */
  readonly circuit?: CircuitBreakerOptions;
}

/** A transport with the circuit that guards it. */
export interface OtlpTransport extends Transport {
  /** What guards it: its state, its counters, its transitions. */
  readonly breaker: CircuitBreaker;
}

/** How circuits inside transports differ from others: what retries waits for a deadline and does not count attempts. */
export const TRANSPORT_CIRCUIT = { probeEveryNth: 0, cooldownMs: 5_000, cooldownMaxMs: 30_000 } as const;

/**
 * `retry(breaker(http))`: the one place where the three are put together. One failure is one attempt. Use one for each
 * signal, so that a backend that is unwell for one does not stop the others.
 *
 * @throws {TypeError | RangeError} When an option is none.
 *
 * @example
 * ```ts
 * const at = (path: string) => `http://127.0.0.1:4318/v1/${path}`;
 * const transport = otlpTransport({
 *   endpoints: { traces: at("traces"), metrics: at("metrics"), logs: at("logs") },
 *   compression: "gzip",
 *   fetch: () => Promise.resolve(new Response()),
 * });
 * const answer = await transport.send(new Uint8Array(), { signal: "traces", itemCount: 0, deadlineMs: 30_000 });
 * console.assert(answer.status === "delivered" && transport.breaker.state === "closed");
 * await transport.close();
 * ```
 */
export function otlpTransport(options: OtlpTransportOptions): OtlpTransport {
  const http = new HttpTransport(options);
  const breaker = options.breaker ??
    new CircuitBreaker({ ...TRANSPORT_CIRCUIT, ...leaseOf(options), ...options.circuit });
  logTransitions(breaker);
  const transport = new RetryTransport(new BreakerTransport(http, breaker), options);
  return {
    breaker,
    send: (body, sendOptions) => transport.send(body, sendOptions),
    close: async () => {
      await transport.close();
      if (options.breaker === undefined) breaker.detach();
    },
  };
}

/** A probe may take one attempt's timeout, of whichever signal it is; the circuit gives it a little more. */
function leaseOf({ timeoutMs, clock }: OtlpTransportOptions): CircuitBreakerOptions {
  const timeoutsMs = SIGNALS.map((signal) => perSignal(timeoutMs, signal) ?? ATTEMPT_TIMEOUT_DEFAULT_MS);
  return { exportTimeoutMs: Math.max(...timeoutsMs), clock };
}
