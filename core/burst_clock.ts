import type { Clock } from "./clock.ts";

/** Readings less than this apart belong to one burst. */
const BURST_GAP_MS = 1;

/** So many readings in a row make a burst. Fewer are not worth the trouble. */
const BURST_READINGS = 32;

/** How many refusals of a burst one reading of the clock serves: each costs nanoseconds, so they are soon over. */
export const REFUSALS_OF_ONE_TIME = 256;

/** How many successes of a burst one reading serves. Between two of them lies a call, which may take its time. */
export const SUCCESSES_OF_ONE_TIME = 32;

/**
 * A clock for questions that come in bursts: while a circuit is open, a program that goes on calling asks for the time
 * at each refusal, and reading it costs ten times as much as the refusal. In a burst the time is read once for some
 * questions, and never used beyond the turn of the event loop in which it was read. Outside of one every reading is
 * a new one.
 */
export class BurstClock implements Clock {
  readonly #clock: Clock;
  readonly #usesMax: number;
  #ms = 0;
  #readings = 0;
  #usesLeft = 0;
  #willForget = false;

  /** `usesMax` is how often a time is used again, even when the program never lets go of the thread. */
  constructor(clock: Clock, usesMax: number) {
    this.#clock = clock;
    this.#usesMax = usesMax;
  }

  nowMs(): number {
    if (this.#usesLeft === 0) return this.#read();
    this.#usesLeft--;
    return this.#ms;
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  #read(): number {
    const ms = this.#clock.nowMs();
    this.#readings = ms - this.#ms < BURST_GAP_MS ? this.#readings + 1 : 0;
    this.#ms = ms;
    if (this.#readings < BURST_READINGS) return ms;
    this.#usesLeft = this.#usesMax;
    if (!this.#willForget) {
      this.#willForget = true;
      queueMicrotask(this.#forget);
    }
    return ms;
  }

  readonly #forget = (): void => {
    this.#usesLeft = 0;
    this.#willForget = false;
  };
}
