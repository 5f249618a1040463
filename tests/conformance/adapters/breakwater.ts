/** Breakwater, deciding by failures in a row, by a window of calls, or by a window of time. */

import {
  CircuitBreaker,
  type CircuitBreakerOptions,
  CircuitOpenError,
  type CircuitSnapshot,
} from "../../../core/mod.ts";
import {
  type Action,
  type Adapter,
  BAD_RESULT,
  type Settings,
  type State,
  type Subject,
  Throttled,
} from "../adapter.ts";
import { OUR_VERSION } from "./versions.ts";

/** What decides where a test does not say it. */
export type Variant = "Consecutive" | "Count" | "Time";

/** So many failures in a row are never seen here: the windows decide. */
const LEFT_TO_THE_WINDOWS = 4095;

/** The options that mean what the settings say. The oracle takes the same. */
export function optionsOf(variant: Variant, settings: Settings): CircuitBreakerOptions {
  const { countWindow, timeWindowMs, ratio, slowMs, isNeutral } = settings;
  const asked = countWindow !== undefined ? "Count" : timeWindowMs !== undefined ? "Time" : undefined;
  const inRow = variant === "Consecutive" && asked === undefined && ratio === undefined && slowMs === undefined;
  const windows: CircuitBreakerOptions = {
    failureThreshold: LEFT_TO_THE_WINDOWS,
    minimumCalls: settings.failures,
    failureRatio: ratio,
    ...((asked ?? variant) === "Time"
      ? { timeWindowMs: timeWindowMs ?? 10_000 }
      : { countWindowSize: countWindow ?? 100 }),
    ...(slowMs === undefined ? {} : { slowCallMs: slowMs, slowCallRatio: settings.slowRatio }),
  };
  return {
    ...(inRow ? { failureThreshold: settings.failures } : windows),
    successThreshold: settings.successes,
    probeConcurrency: settings.probes,
    probeEveryNth: settings.everyNth ?? 0,
    probeLeaseMs: settings.hungMs,
    cooldownMs: settings.openMs,
    cooldownBackoff: settings.backoff ?? 1,
    cooldownMaxMs: settings.openMaxMs,
    cooldownJitter: 0,
    errorOutcome: (error) =>
      error instanceof Throttled ? { throttledMs: error.ms } : isNeutral(error) ? "ignored" : "failure",
    resultOutcome: (result) => result === BAD_RESULT ? "failure" : "success",
  };
}

/** What `failures` is called: the number that `optionsOf` puts it into when a test asks for no window. */
export function failuresName(variant: Variant): "failureThreshold" | "minimumCalls" {
  return variant === "Consecutive" ? "failureThreshold" : "minimumCalls";
}

class BreakwaterSubject implements Subject {
  readonly #variant: Variant;
  readonly #options: CircuitBreakerOptions;
  readonly #breaker: CircuitBreaker;

  constructor(variant: Variant, options: CircuitBreakerOptions, breaker = new CircuitBreaker(options)) {
    this.#variant = variant;
    this.#options = options;
    this.#breaker = breaker;
  }

  call(action: Action, signal?: AbortSignal): Promise<unknown> {
    return this.#breaker.run(action, { signal });
  }

  get state(): State {
    return this.#breaker.state;
  }

  onStateChange(listener: (to: State) => void): void {
    this.#breaker.onTransition(({ to }) => listener(to));
  }

  acquire(): ((outcome: "success" | "failure") => string) | undefined {
    const permit = this.#breaker.acquire();
    return permit < 0 ? undefined : (outcome) => this.#breaker.record(permit, outcome);
  }

  hold(): () => void {
    const hold = this.#breaker.forceOpen();
    return () => hold.release();
  }

  passAll(on: boolean): void {
    this.#breaker.mode = on ? "forced_closed" : "auto";
  }

  watchOnly(on: boolean): void {
    this.#breaker.mode = on ? "metrics_only" : "auto";
  }

  snapshot(): unknown {
    return this.#breaker.snapshot();
  }

  restore(snapshot: unknown): Subject {
    this.#breaker.restore(snapshot as CircuitSnapshot);
    return this;
  }

  reconfigure({ failures }: { readonly failures: number }): void {
    this.#breaker.reconfigure({ [failuresName(this.#variant)]: failures });
  }

  attach(): Subject {
    const breaker = CircuitBreaker.attach(this.#breaker.handle, this.#options);
    return new BreakwaterSubject(this.#variant, this.#options, breaker);
  }
}

function adapter(variant: Variant): Adapter {
  return {
    name: "Breakwater",
    version: OUR_VERSION,
    variant,
    lacks: {},
    notes: {},
    optionNames: { failures: failuresName(variant), openMs: "cooldownMs" },
    options: (settings) => optionsOf(variant, settings),
    make: (options) => new BreakwaterSubject(variant, options),
    retryAfterMs: (refusal) => refusal instanceof CircuitOpenError ? refusal.retryAfterMs : NaN,
  };
}

export const breakwater: readonly Adapter[] = [adapter("Consecutive"), adapter("Count"), adapter("Time")];
