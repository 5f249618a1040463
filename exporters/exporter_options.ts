import { diag } from "@opentelemetry/api";
import { CircuitBreaker, type CircuitBreakerOptions } from "../core/breaker.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { type Limit, withinLimits } from "../core/limits.ts";
import type { ExportObserver } from "./export_observer.ts";
import { type Report, runIsolated } from "./isolation.ts";
import type { Signal } from "./signal.ts";
import { type Sleep, sleep } from "./sleep.ts";

/**
 * How a wrapped exporter behaves: the breaker's own options, and these. Give either a `breaker` or its options, not
 * both; `exportTimeoutMs` and `clock` go with either.
 */
export interface CircuitBreakerExporterOptions extends CircuitBreakerOptions {
  /**
   * A breaker to share, so that exporters of one backend open and close together. Its transitions are not told to
   * `observer`, which would hear each of them once for every exporter: use `breaker.onTransition`.
   * @default {one of its own}
   */
  readonly breaker?: CircuitBreaker;
  /**
   * Exports that may be in flight at once, 1 to 1000000; more are dropped as `queue_full` and say nothing about the
   * backend. @default {2048}
   */
  readonly concurrentExportsMax?: number;
  /** Is told of attempts, drops and transitions. It may throw. @default {none} */
  readonly observer?: ExportObserver;
  /** Is told when the observer or a result callback throws. @default {the OpenTelemetry diagnostic logger} */
  readonly report?: Report;
  /** How waiting is done: a fake in tests. @default {a timer that does not keep the process alive} */
  readonly sleep?: Sleep;
}

/** Options with nothing left open. */
export interface ExporterSettings {
  readonly breaker: CircuitBreaker;
  /** False when the breaker was given, and its transitions are its owner's to tell. */
  readonly ownsBreaker: boolean;
  readonly exportTimeoutMs: number;
  readonly concurrentExportsMax: number;
  readonly observer: ExportObserver;
  readonly report: Report;
  readonly clock: Clock;
  readonly sleep: Sleep;
}

/** What is counted here rather than in the breaker, with its limits. */
const LIMITS = {
  /** At most a day: a longer wait is a forgotten one. */
  exportTimeoutMs: { default: 15_000, min: 1, max: 86_400_000, integer: true },
  /** As many exports of a single span as the stock batch processor would queue spans. */
  concurrentExportsMax: { default: 2_048, min: 1, max: 1_000_000, integer: true },
} satisfies Record<string, Limit>;

/** These may stand beside `breaker`; every other option belongs to a breaker that is yet to be made. */
const BESIDE_BREAKER = new Set<keyof CircuitBreakerExporterOptions>([
  "breaker",
  "exportTimeoutMs",
  "concurrentExportsMax",
  "observer",
  "report",
  "clock",
  "sleep",
]);

/**
 * Checks options and fills in what is missing.
 *
 * @throws {RangeError} When a number is outside its range.
 * @throws {TypeError} When a value is of the wrong kind, or a breaker comes together with options of a breaker.
 */
export function exporterSettings(signal: Signal, options: CircuitBreakerExporterOptions): ExporterSettings {
  const { exportTimeoutMs, concurrentExportsMax } = options;
  const limits = withinLimits("create circuit breaker exporter", { exportTimeoutMs, concurrentExportsMax }, LIMITS);
  if (options.breaker !== undefined) refuseBreakerOptions(options);
  const report = options.report ?? ((message, error) => diag.warn(message, error));
  return {
    ...limits,
    breaker: options.breaker ?? new CircuitBreaker({ ...options, name: options.name ?? signal }),
    ownsBreaker: options.breaker === undefined,
    observer: options.observer ?? {},
    report: (message, error) => runIsolated(() => report(message, error), () => {}),
    clock: options.clock ?? systemClock,
    sleep: options.sleep ?? sleep,
  };
}

function refuseBreakerOptions(options: CircuitBreakerExporterOptions): void {
  for (const name of Object.keys(options) as (keyof CircuitBreakerExporterOptions)[]) {
    if (BESIDE_BREAKER.has(name) || options[name] === undefined) continue;
    throw new TypeError(
      `Cannot create circuit breaker exporter: "${name}" is an option of a breaker, and "breaker" brings its own`,
    );
  }
}
