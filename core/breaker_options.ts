import { checkMode, type CircuitMode } from "./breaker_modes.ts";
import type { OutcomePredicates } from "./breaker_run.ts";
import { checkClock, type Clock } from "./clock.ts";
import { checkObject, type Limit, withinLimits } from "./limits.ts";
import type { Core } from "./loader.ts";
import { freshSeed } from "./seed.ts";

/** The part of a circuit breaker's behaviour that is numbers, and may be changed while it works. */
export interface CircuitBreakerNumbers {
  /** Consecutive failures that open the circuit, from 1 to 4095. @default {3} */
  readonly failureThreshold?: number | undefined;
  /** Successful probes that close it again, from 1 to 63. @default {1} */
  readonly successThreshold?: number | undefined;
  /**
   * While not closed, calls are counted from 0, and number `i` may probe when `i % probeEveryNth` is 0. From 1 to
   * 1000000; 0 leaves probing to the cooldown. @default {10}
   */
  readonly probeEveryNth?: number | undefined;
  /** Milliseconds from opening to the first probe by cooldown, from 1 to 86400000. @default {30000} */
  readonly cooldownMs?: number | undefined;
  /** How many times as long the next cooldown is after a probe by cooldown failed, from 1 to 100. @default {2} */
  readonly cooldownBackoff?: number | undefined;
  /**
   * The longest cooldown in milliseconds, jitter included, from `cooldownMs` to 86400000.
   * @default {the greater of 300000 and cooldownMs}
   */
  readonly cooldownMaxMs?: number | undefined;
  /** By which share of itself a cooldown is made longer or shorter by luck, from 0 to 1. @default {0.2} */
  readonly cooldownJitter?: number | undefined;
  /** Probes in flight at once, over all workers, from 1 to 63. @default {1} */
  readonly probeConcurrency?: number | undefined;
  /**
   * Milliseconds after which a half-open circuit that has heard from no probe gives up on those in flight and lets
   * another through, from 1 to 86400000. @default {exportTimeoutMs + 5000}
   */
  readonly probeLeaseMs?: number | undefined;
  /**
   * How long one guarded call may take in milliseconds, from 1 to 86400000: only `probeLeaseMs` uses it.
   * @default {15000}
   */
  readonly exportTimeoutMs?: number | undefined;
  /** The longest pause in milliseconds that a backend is granted, from 1 to 86400000. @default {300000} */
  readonly throttleMaxMs?: number | undefined;
  /**
   * A window opens the circuit only when it holds so many calls, from 1 to 1000000, but not more than `countWindowSize`.
   * @default {the lesser of 10 and countWindowSize}
   */
  readonly minimumCalls?: number | undefined;
  /**
   * The last so many completed calls, over all workers, are a window, from 1 to 1024.
   * @default {none; 100 when another option asks for a window and there is none}
   */
  readonly countWindowSize?: number | undefined;
  /**
   * The calls of the last so many milliseconds are a window, from 10 to 86400000. It moves on by tenths of itself.
   * @default {none}
   */
  readonly timeWindowMs?: number | undefined;
  /** The share of failed calls in a window that opens the circuit, from 0.001 to 1. @default {0.5} */
  readonly failureRatio?: number | undefined;
  /**
   * A call that took so many milliseconds is slow, from 1 to 86400000. Measuring it reads the clock twice for a call.
   * @default {none}
   */
  readonly slowCallMs?: number | undefined;
  /** The share of slow calls in a window that opens the circuit, from 0.001 to 1. @default {0.5} */
  readonly slowCallRatio?: number | undefined;
}

/** How a circuit breaker behaves. */
export interface CircuitBreakerOptions extends CircuitBreakerNumbers, OutcomePredicates {
  /** What observers are told the circuit is called: at most 128 bytes of UTF-8. @default {"circuit"} */
  readonly name?: string | undefined;
  /** Where time comes from. @default {systemClock} */
  readonly clock?: Clock | undefined;
  /**
   * Decides the jitter: the same seed makes the same waits. An integer from 0 to 4294967295.
   * @default {another each time}
   */
  readonly seed?: number | undefined;
  /**
   * Entries that the tape keeps, from 1 to 65536: 16 bytes each. Dating them reads the clock twice for a call.
   * @default {no tape}
   */
  readonly tapeSize?: number | undefined;
  /** The mode it begins in. @default {"auto"} */
  readonly mode?: CircuitMode | undefined;
}

/** The numbers as the core has them: all known, 0 for what is off. */
export type CheckedNumbers = Readonly<Record<keyof CircuitBreakerNumbers, number>>;

/** The options that are numbers, all known, 0 for what is off. */
export type CheckedOptions = CheckedNumbers & {
  readonly seed: number;
  readonly tapeSize: number;
  readonly clock: Clock;
};

/** The longest wait, window or call that an option can name. */
export const DAY_MS = 86_400_000;

/** 6 bits of the breaker's word count probes. */
const PROBES_MAX = 63;

/** 12 bits of the breaker's word count failures. */
const FAILURES_MAX = 4095;

/** 128 pages of 14 calls hold this window and what is being filled; a longer one is a matter of time. */
export const COUNT_WINDOW_MAX = 1024;

/** A megabyte. */
export const TAPE_MAX = 65_536;

/** A name's share of the breaker's memory. */
export const NAME_BYTES_MAX = 128;

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
  minimumCalls: { default: 10, min: 1, max: 1_000_000, integer: true },
  countWindowSize: { default: 0, min: 1, max: COUNT_WINDOW_MAX, integer: true },
  timeWindowMs: { default: 0, min: 10, max: DAY_MS, integer: true },
  failureRatio: { default: 0.5, min: 0.001, max: 1, integer: false },
  slowCallMs: { default: 0, min: 1, max: DAY_MS, integer: true },
  slowCallRatio: { default: 0.5, min: 0.001, max: 1, integer: false },
} satisfies Record<keyof CircuitBreakerNumbers, Limit>;

const LIMITS_ONCE = {
  seed: { default: 0, min: 0, max: 0xffff_ffff, integer: true },
  tapeSize: { default: 0, min: 1, max: TAPE_MAX, integer: true },
} satisfies Record<"seed" | "tapeSize", Limit>;

/** The settings in the order in which assembly/layout.ts has them; the seed comes last. */
export const SETTINGS = Object.keys(LIMITS) as readonly (keyof CircuitBreakerNumbers)[];

/** What a probe may take beyond the timeout of a call, before it counts as lost. */
const LEASE_MARGIN_MS = 5_000;

/** The window that a ratio is of when none is named. */
const COUNT_WINDOW_DEFAULT = 100;

/**
 * Fills in the defaults and checks everything. The caller's object is left as it is.
 *
 * @throws {TypeError} When a value is of the wrong type, or options contradict each other.
 * @throws {RangeError} When a number or the name's length is out of its range.
 */
export function checkOptions(options: CircuitBreakerOptions): CheckedOptions {
  checkObject("create circuit breaker", "options", options);
  const clock = checkClock("create circuit breaker", options.clock);
  if (options.name !== undefined && typeof options.name !== "string") {
    throw new TypeError(`Cannot create circuit breaker: "name" must be a string, received ${typeof options.name}`);
  }
  const nameBytes = new TextEncoder().encode(options.name).length;
  if (nameBytes > NAME_BYTES_MAX) {
    throw new RangeError(
      `Cannot create circuit breaker: "name" must be at most ${NAME_BYTES_MAX} bytes of UTF-8, received ${nameBytes}`,
    );
  }
  if (options.mode !== undefined) checkMode("create circuit breaker", options.mode);
  const { seed, tapeSize } = withinLimits<"seed" | "tapeSize">("create circuit breaker", options, LIMITS_ONCE);
  return {
    ...checkNumbers("create circuit breaker", options),
    seed: options.seed === undefined ? freshSeed(clock) : seed,
    tapeSize,
    clock,
  };
}

/**
 * The seed, checked.
 *
 * @throws {TypeError} When it is not a number.
 * @throws {RangeError} When it is out of its range.
 */
export function checkSeed(action: string, seed: number): number {
  return withinLimits<"seed">(action, { seed }, { seed: LIMITS_ONCE.seed }).seed;
}

/**
 * Fills in the defaults and checks what may be changed while a breaker works.
 *
 * @throws {TypeError} When a value is not a number, or options contradict each other.
 * @throws {RangeError} When a number is out of its range, or of what another one leaves it.
 */
export function checkNumbers(action: string, options: CircuitBreakerNumbers): CheckedNumbers {
  const checked = withinLimits<keyof CircuitBreakerNumbers>(action, options, LIMITS);
  if (options.slowCallRatio !== undefined && options.slowCallMs === undefined) {
    throw new TypeError(`Cannot ${action}: "slowCallRatio" needs "slowCallMs", which says what slow is`);
  }
  const numbers = { ...checked, ...derived(options, checked) };
  if (numbers.cooldownMaxMs < numbers.cooldownMs) {
    throw new RangeError(
      `Cannot ${action}: "cooldownMaxMs" must be at least "cooldownMs" (${numbers.cooldownMs}), received ${numbers.cooldownMaxMs}`,
    );
  }
  if (numbers.countWindowSize > 0 && numbers.minimumCalls > numbers.countWindowSize) {
    throw new RangeError(
      `Cannot ${action}: "minimumCalls" must be at most "countWindowSize" (${numbers.countWindowSize}), received ${numbers.minimumCalls}`,
    );
  }
  return numbers;
}

/** What depends on other options unless it is given. */
function derived(options: CircuitBreakerNumbers, checked: CheckedNumbers) {
  const { failureRatio, slowCallMs, minimumCalls, timeWindowMs } = options;
  const asksForWindow = failureRatio !== undefined || slowCallMs !== undefined || minimumCalls !== undefined;
  const byDefault = asksForWindow && timeWindowMs === undefined ? COUNT_WINDOW_DEFAULT : 0;
  const countWindowSize = options.countWindowSize ?? byDefault;
  return {
    cooldownMaxMs: options.cooldownMaxMs ?? Math.max(LIMITS.cooldownMaxMs.default, checked.cooldownMs),
    probeLeaseMs: options.probeLeaseMs ?? Math.min(checked.exportTimeoutMs + LEASE_MARGIN_MS, DAY_MS),
    countWindowSize,
    minimumCalls: minimumCalls ?? Math.min(LIMITS.minimumCalls.default, countWindowSize || Infinity),
  };
}

/**
 * The numbers that are in force when `changes` are made: those that are not named stay, `undefined` is the default.
 *
 * @throws {TypeError} When one cannot be changed, is not a number, or they contradict each other.
 * @throws {RangeError} When a number is out of its range.
 */
export function changed(action: string, numbers: CheckedNumbers, changes: CircuitBreakerNumbers): CheckedNumbers {
  checkObject(action, "options", changes);
  for (const name of Object.keys(changes)) {
    if (!SETTINGS.includes(name as keyof CircuitBreakerNumbers)) {
      throw new TypeError(`Cannot ${action}: "${name}" cannot be changed, only ${SETTINGS.join(", ")}`);
    }
  }
  return checkNumbers(action, { ...optionsOf(numbers), ...changes });
}

/** The numbers as they stand in the core. */
export function readNumbers(core: Core, base: number): CheckedNumbers {
  return Object.fromEntries(SETTINGS.map((name, index) => [name, core.setting(base, index)])) as CheckedNumbers;
}

/** Writes numbers, and the seed if there is one, to the core: only those that are not as `before`, which others may be changing. */
export function writeNumbers(
  core: Core,
  base: number,
  numbers: CheckedNumbers & { readonly seed?: number },
  before?: CheckedNumbers,
): void {
  for (const [index, name] of SETTINGS.entries()) {
    if (numbers[name] !== before?.[name]) core.setSetting(base, index, numbers[name]);
  }
  if (numbers.seed !== undefined) core.setSetting(base, SETTINGS.length, numbers.seed);
}

/** The seed as it stands in the core. */
export function readSeed(core: Core, base: number): number {
  return core.setting(base, SETTINGS.length);
}

/** The options that make these numbers, without what is off and without what follows from the others anyway. */
function optionsOf(numbers: CheckedNumbers): CircuitBreakerNumbers {
  const { minimumCalls, countWindowSize, timeWindowMs, failureRatio, slowCallMs, slowCallRatio, ...rest } = numbers;
  const { cooldownMaxMs, probeLeaseMs, ...always } = rest;
  const given = {
    ...always,
    ...(countWindowSize > 0 ? { countWindowSize } : {}),
    ...(timeWindowMs > 0 ? { timeWindowMs } : {}),
    ...(failureRatio === LIMITS.failureRatio.default ? {} : { failureRatio }),
    ...(slowCallMs > 0 ? { slowCallMs } : {}),
    ...(slowCallRatio === LIMITS.slowCallRatio.default ? {} : { slowCallRatio }),
  };
  const byDefault = derived(given, numbers);
  return {
    ...given,
    ...(cooldownMaxMs === byDefault.cooldownMaxMs ? {} : { cooldownMaxMs }),
    ...(probeLeaseMs === byDefault.probeLeaseMs ? {} : { probeLeaseMs }),
    ...(minimumCalls === byDefault.minimumCalls ? {} : { minimumCalls }),
  };
}

/** The numbers without those of rules that are off. */
export function inForce(numbers: CheckedNumbers): CircuitBreakerNumbers {
  const { minimumCalls, countWindowSize, timeWindowMs, failureRatio, slowCallMs, slowCallRatio, ...always } = numbers;
  return {
    ...always,
    ...(countWindowSize > 0 ? { countWindowSize } : {}),
    ...(timeWindowMs > 0 ? { timeWindowMs } : {}),
    ...(countWindowSize + timeWindowMs > 0 ? { failureRatio, minimumCalls } : {}),
    ...(slowCallMs > 0 ? { slowCallMs, slowCallRatio } : {}),
  };
}
