import type { CircuitBreaker } from "../core/breaker.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { type Limit, withinLimits } from "../core/limits.ts";
import type { ExportObserver } from "../exporters/export_observer.ts";
import type { Cursor } from "../exporters/journal/journal.ts";
import type { QuarantineStore } from "../exporters/journal/quarantine.ts";
import type { Signal } from "../exporters/signal.ts";
import { type Sleep, sleep } from "../exporters/sleep.ts";
import type { Destination } from "./destination.ts";
import type { Log } from "./log.ts";
import { OTLP_REQUESTS, type RequestTools } from "./otlp_requests.ts";

/** The numbers of a lane. All times are in milliseconds. */
export interface LaneLimits {
  /** How long one attempt may take, 1 to 86 400 000. @default {10_000} */
  readonly attemptTimeoutMs?: number;
  /**
   * Requests in flight while the circuit is closed, 1 to 64. Four keep a backend busy over a slow line; more only make
   * the window of possible duplicates larger.
   * @default {4}
   */
  readonly inFlightMax?: number;
  /**
   * Records are merged up to so many bytes, 1 to 64 MiB: collectors refuse larger ones (gRPC: 4 MiB).
   * @default {4_194_304}
   */
  readonly mergeBytesMax?: number;
  /** Records are merged up to so many items, 1 to 1 000 000. @default {8192} */
  readonly mergeItemsMax?: number;
  /** So many records are merged, 1 to 65 536: this bounds how many are sent alone after a refusal. @default {1024} */
  readonly mergeRecordsMax?: number;
  /**
   * So many bytes that wait when the circuit closes, or at the start, are a backlog, 1 to 2^40: live records pass it.
   * Less is gone with a request or two, and keeps its order.
   * @default {4_194_304}
   */
  readonly backlogBytesMin?: number;
  /** The wait after a first failure while the circuit is closed, 1 to 60 000; it doubles. @default {1000} */
  readonly backoffMs?: number;
  /** The longest such wait, 1 to 3 600 000. @default {30_000} */
  readonly backoffMaxMs?: number;
  /** The pause between attempts while the destination refuses us for what we are, 1 to 3 600 000. @default {5000} */
  readonly misconfiguredPauseMs?: number;
  /** The pause between attempts at a signal that the destination does not have, 1 to 86 400 000. @default {300_000} */
  readonly suspendedMs?: number;
  /** Failed probes with the same head after which the next ones carry the records behind it, 1 to 1000. @default {3} */
  readonly headProbesMax?: number;
  /** Records that are put aside at once, 1 to 1000: each is held in memory. @default {16} */
  readonly parkedRecordsMax?: number;
  /** Failures of a parked record, while the circuit is closed, after which it is given up, 1 to 1000. @default {5} */
  readonly parkedFailuresMax?: number;
}

const LIMITS = {
  attemptTimeoutMs: { default: 10_000, min: 1, max: 86_400_000, integer: true },
  inFlightMax: { default: 4, min: 1, max: 64, integer: true },
  mergeBytesMax: { default: 4_194_304, min: 1, max: 67_108_864, integer: true },
  mergeItemsMax: { default: 8192, min: 1, max: 1_000_000, integer: true },
  mergeRecordsMax: { default: 1024, min: 1, max: 65_536, integer: true },
  backlogBytesMin: { default: 4_194_304, min: 1, max: 2 ** 40, integer: true },
  backoffMs: { default: 1000, min: 1, max: 60_000, integer: true },
  backoffMaxMs: { default: 30_000, min: 1, max: 3_600_000, integer: true },
  misconfiguredPauseMs: { default: 5000, min: 1, max: 3_600_000, integer: true },
  suspendedMs: { default: 300_000, min: 1, max: 86_400_000, integer: true },
  headProbesMax: { default: 3, min: 1, max: 1000, integer: true },
  parkedRecordsMax: { default: 16, min: 1, max: 1000, integer: true },
  parkedFailuresMax: { default: 5, min: 1, max: 1000, integer: true },
} as const satisfies Record<keyof LaneLimits, Limit>;

/** How a lane is made. */
export interface LaneOptions extends LaneLimits {
  readonly signal: Signal;
  readonly destination: Destination;
  /** The destination's place in the signal's journal. */
  readonly cursor: Cursor;
  /** Whether what is left at the end is kept by the journal. @default {false} */
  readonly isDurable?: boolean;
  /** Where records go that the destination refuses for good. @default {nowhere: they are rejected} */
  readonly quarantine?: QuarantineStore | undefined;
  /** The lane's own circuit. */
  readonly breaker: CircuitBreaker;
  /** Our id in `breakwater-hop`: it keeps requests from going round in a circle. */
  readonly hopId: string;
  readonly log: Log;
  readonly observer?: ExportObserver;
  /** @default {OTLP protobuf} */
  readonly requests?: RequestTools;
  /** @default {systemClock} */
  readonly clock?: Clock;
  /** @default {a timer that does not keep the process alive} */
  readonly sleep?: Sleep;
  /** Numbers from 0 to 1, for jitter. @default {Math.random} */
  readonly random?: () => number;
}

/** Options with their defaults filled in. */
export type LaneSetup = Readonly<Required<Omit<LaneOptions, "quarantine">> & Pick<LaneOptions, "quarantine">>;

/** @throws {RangeError} When a number is outside its range. @throws {TypeError} When it is none. */
export function laneSetup(options: LaneOptions): LaneSetup {
  return {
    ...options,
    ...withinLimits<keyof LaneLimits>("create lane", options, LIMITS),
    isDurable: options.isDurable ?? false,
    observer: options.observer ?? {},
    requests: options.requests ?? OTLP_REQUESTS,
    clock: options.clock ?? systemClock,
    sleep: options.sleep ?? sleep,
    random: options.random ?? Math.random,
  };
}
