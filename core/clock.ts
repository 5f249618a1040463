import { describe } from "./limits.ts";

/** Where time comes from. Everything that needs time is given one of these, so a test owns it. */
export interface Clock {
  /** Monotonic milliseconds from an origin of its own: only differences mean anything. */
  nowMs(): number;
  /** Wall-clock time in Unix milliseconds. It may step in either direction: for people, never for deadlines. */
  wallMs(): number;
}

/** The real clock: the one place in the house that reads `performance.now()` and `Date.now()`. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
};

/**
 * The clock that was given, or the real one.
 *
 * @param action What the caller was about to do, as it begins the message: `"create circuit breaker"`.
 * @throws {TypeError} When it is no clock.
 */
export function checkClock(action: string, clock: unknown): Clock {
  if (clock === undefined) return systemClock;
  const { nowMs, wallMs } = (clock ?? {}) as Record<string, unknown>;
  if (typeof nowMs === "function" && typeof wallMs === "function") return clock as Clock;
  throw new TypeError(
    `Cannot ${action}: "clock" must be an object with the functions nowMs and wallMs, received ${describe(clock)}`,
  );
}
