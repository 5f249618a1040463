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
