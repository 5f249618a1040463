import { type Clock, systemClock } from "../../core/clock.ts";

/** What each first attempt earns: in the long run one retry for every five requests. */
const EARNED_TOKENS = 0.2;
/** A quiet sender has this many retries in each period, earned or not. */
const FREE_TOKENS = 3;
const FREE_PERIOD_MS = 10_000;
/** What a busy, healthy hour may save up: an outage then begins with at most this many retries at once. */
const TOKENS_MAX = 100;

/**
 * Bounds the retries to one destination, so that a backend in trouble is not buried under the same request again and
 * again: a token bucket. Share one between everything that sends to the same destination.
 */
export class RetryBudget {
  readonly #clock: Clock;
  #tokens = FREE_TOKENS;
  #refilledAtMs: number;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#refilledAtMs = clock.nowMs();
  }

  /** How many retries may follow at once, in fractions. */
  get tokens(): number {
    this.#refill();
    return this.#tokens;
  }

  /** To be called for each first attempt. */
  earn(): void {
    this.#refill();
    this.#tokens = Math.min(TOKENS_MAX, this.#tokens + EARNED_TOKENS);
  }

  /** Takes one retry out of the bucket, or says that there is none. A half-open circuit's probe need not ask. */
  take(): boolean {
    this.#refill();
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Time alone fills the bucket only up to the free part; the rest is earned. */
  #refill(): void {
    const nowMs = this.#clock.nowMs();
    const grownTokens = (nowMs - this.#refilledAtMs) * FREE_TOKENS / FREE_PERIOD_MS;
    this.#refilledAtMs = nowMs;
    if (this.#tokens < FREE_TOKENS) this.#tokens = Math.min(FREE_TOKENS, this.#tokens + grownTokens);
  }
}
