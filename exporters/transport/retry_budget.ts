import { type Clock, systemClock } from "../../core/clock.ts";

/**
 * Tokens are counted in fifths, so that the 0.2 that a first attempt earns is a whole number and five of them are
 * exactly one.
 */
const RETRY_COST = 5;
/** In the long run one retry for every five requests. */
const EARNED = 1;
/** A quiet sender has three retries in each period, earned or not. */
const FREE = 3 * RETRY_COST;
const FREE_PERIOD_MS = 10_000;
/** What a busy, healthy hour may save up: an outage begins with at most 100 retries at once. */
const SAVED_MAX = 100 * RETRY_COST;

/**
 * Bounds the retries to one destination, so that a backend in trouble is not buried under the same request again and
 * again: a token bucket. Share one between everything that sends to the same destination.
 */
export class RetryBudget {
  readonly #clock: Clock;
  #fifths = FREE;
  #refilledAtMs: number;

  /** A budget with its free part filled. */
  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#refilledAtMs = clock.nowMs();
  }

  /** To be called for each first attempt. */
  earn(): void {
    this.#refill();
    this.#fifths = Math.min(SAVED_MAX, this.#fifths + EARNED);
  }

  /** Takes one retry out of the bucket, or says that there is none. A half-open circuit's probe need not ask. */
  take(): boolean {
    this.#refill();
    if (this.#fifths < RETRY_COST) return false;
    this.#fifths -= RETRY_COST;
    return true;
  }

  /** Time alone fills the bucket only up to the free part; the rest is earned. */
  #refill(): void {
    const nowMs = this.#clock.nowMs();
    const grown = (nowMs - this.#refilledAtMs) * FREE / FREE_PERIOD_MS;
    this.#refilledAtMs = nowMs;
    if (this.#fifths < FREE) this.#fifths = Math.min(FREE, this.#fifths + grown);
  }
}
