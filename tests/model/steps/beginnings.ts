/** How the circuits that two workers are let loose on are set, and what has happened to them. */

import { FAILURE, SUCCESS } from "./breaker.ts";
import type { Event } from "./circuit.ts";
import type { Settings } from "./memory.ts";

/** Opens at the first failure; the cooldown alone decides when it probes. */
export const BY_TIME: Settings = {
  failureThreshold: 1,
  successThreshold: 1,
  probeEveryNth: 0,
  probeConcurrency: 1,
  cooldownMs: 10,
  cooldownBackoff: 2,
  cooldownMaxMs: 40,
  probeLeaseMs: 20,
  throttleMaxMs: 100,
  countWindowSize: 0,
  minimumCalls: 1,
  failureRatio: 0.5,
};

export const TWO_PROBES: Settings = { ...BY_TIME, probeConcurrency: 2, successThreshold: 2 };

/** Opens when a half of the last three calls failed. */
export const BY_WINDOW: Settings = { ...BY_TIME, failureThreshold: 9, countWindowSize: 3, minimumCalls: 2 };

/** `permit` is the place of a permit among all that were given out. */
export const asks = (by: number): Event => ({ by, does: "acquire" });
export const fails = (by: number, permit: number): Event => ({ by, does: "record", permit, outcome: FAILURE });
export const succeeds = (by: number, permit: number): Event => ({ by, does: "record", permit, outcome: SUCCESS });
export const passes = (ms: number): Event => ({ passesMs: ms });

/** Worker 2, who is gone then, has opened the circuit, and its cooldown has ended. */
export const COOLED: readonly Event[] = [asks(2), fails(2, 0), passes(10)];

/** The numbers of modes. */
export const AUTO = 0;
export const METRICS_ONLY = 2;
export const FORCED_OPEN = 3;
export const FORCED_CLOSED = 4;
