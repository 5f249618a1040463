import type { OutcomePredicates } from "./breaker_run.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type Limit, withinLimits } from "./limits.ts";
import { freshSeed } from "./seed.ts";

/** How a circuit breaker behaves. */
export interface CircuitBreakerOptions extends OutcomePredicates {
  /** Consecutive failures that open the circuit, from 1 to 4095. @default {3} */
  readonly failureThreshold?: number;
  /** Successful probes that close it again, from 1 to 63. @default {1} */
  readonly successThreshold?: number;
  /**
   * While not closed, calls are counted from 0, and number `i` may probe when `i % probeEveryNth` is 0. From 1 to
   * 1000000; 0 leaves probing to the cooldown. @default {10}
   */
  readonly probeEveryNth?: number;
  /** Milliseconds from opening to the first probe by cooldown, from 1 to 86400000. @default {30000} */
  readonly cooldownMs?: number;
  /** How many times as long the next cooldown is after a probe by cooldown failed, from 1 to 100. @default {2} */
  readonly cooldownBackoff?: number;
  /**
   * The longest cooldown in milliseconds, jitter included, from `cooldownMs` to 86400000.
   * @default {the greater of 300000 and cooldownMs}
   */
  readonly cooldownMaxMs?: number;
  /** By which share of itself a cooldown is made longer or shorter by luck, from 0 to 1. @default {0.2} */
  readonly cooldownJitter?: number;
  /** Probes in flight at once, over all workers, from 1 to 63. @default {1} */
  readonly probeConcurrency?: number;
  /**
   * Milliseconds after which a half-open circuit that has heard from no probe gives up on those in flight and lets
   * another through, from 1 to 86400000. @default {exportTimeoutMs + 5000}
   */
  readonly probeLeaseMs?: number;
  /**
   * How long one guarded call may take in milliseconds, from 1 to 86400000: only `probeLeaseMs` uses it.
   * @default {15000}
   */
  readonly exportTimeoutMs?: number;
  /** The longest pause in milliseconds that a backend is granted, from 1 to 86400000. @default {300000} */
  readonly throttleMaxMs?: number;
  /** What observers are told the circuit is called. @default {"circuit"} */
  readonly name?: string;
  /** Where time comes from. @default {systemClock} */
  readonly clock?: Clock;
  /** Decides the jitter: the same seed makes the same waits. An integer from 0 to 4294967295. @default {another each time} */
  readonly seed?: number;
}

/** The options that are numbers, all known. */
export type CheckedOptions = Readonly<
  Record<Exclude<keyof CircuitBreakerOptions, "name" | "clock" | keyof OutcomePredicates>, number>
>;

const DAY_MS = 86_400_000;

/** 6 bits of the breaker's word count probes. */
const PROBES_MAX = 63;

/** 12 bits of the breaker's word count failures. */
const FAILURES_MAX = 4095;

const LIMITS = {
  failureThreshold: { default: 3, min: 1, max: FAILURES_MAX, integer: true },
  successThreshold: { default: 1, min: 1, max: PROBES_MAX, integer: true },
  probeEveryNth: { default: 10, min: 0, max: 1_000_000, integer: true },
  cooldownMs: { default: 30_000, min: 1, max: DAY_MS, integer: true },
  cooldownBackoff: { default: 2, min: 1, max: 100, integer: false },
  cooldownMaxMs: { default: 300_000, min: 1, max: DAY_MS, integer: true },
  cooldownJitter: { default: 0.2, min: 0, max: 1, integer: false },
  probeConcurrency: { default: 1, min: 1, max: PROBES_MAX, integer: true },
  probeLeaseMs: { default: 20_000, min: 1, max: DAY_MS, integer: true },
  exportTimeoutMs: { default: 15_000, min: 1, max: DAY_MS, integer: true },
  throttleMaxMs: { default: 300_000, min: 1, max: DAY_MS, integer: true },
  seed: { default: 0, min: 0, max: 0xffff_ffff, integer: true },
} satisfies Record<keyof CheckedOptions, Limit>;

/** What a probe may take beyond the timeout of a call, before it counts as lost. */
const LEASE_MARGIN_MS = 5_000;

/**
 * Fills in the defaults and checks every number. The caller's object is left as it is.
 *
 * @throws {TypeError} When a number or the name is not one.
 * @throws {RangeError} When a number is out of its range, or `cooldownMaxMs` is less than `cooldownMs`.
 */
export function checkOptions(options: CircuitBreakerOptions): CheckedOptions {
  if (options.name !== undefined && typeof options.name !== "string") {
    throw new TypeError(`Cannot create circuit breaker: "name" must be a string, received ${typeof options.name}`);
  }
  const checked = withinLimits<keyof CheckedOptions>("create circuit breaker", options, LIMITS);
  const cooldownMaxMs = options.cooldownMaxMs ?? Math.max(checked.cooldownMaxMs, checked.cooldownMs);
  if (cooldownMaxMs < checked.cooldownMs) {
    throw new RangeError(
      `Cannot create circuit breaker: "cooldownMaxMs" must be at least "cooldownMs" (${checked.cooldownMs}), received ${cooldownMaxMs}`,
    );
  }
  return {
    ...checked,
    cooldownMaxMs,
    probeLeaseMs: options.probeLeaseMs ?? Math.min(checked.exportTimeoutMs + LEASE_MARGIN_MS, DAY_MS),
    seed: options.seed ?? freshSeed(options.clock ?? systemClock),
  };
}
