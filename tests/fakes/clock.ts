import type { Clock } from "../../core/clock.ts";

interface Sleeper {
  readonly wakesAtMs: number;
  readonly wake: () => void;
}

/** A clock that stands still until a test moves it, with the sleeps that wait for it. */
export class FakeClock implements Clock {
  #nowMs = 0;
  #wallOffsetMs = 1_700_000_000_000;
  #sleepers: Sleeper[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#wallOffsetMs + this.#nowMs;
  }

  /** Steps the wall clock alone, as an administrator or NTP would. */
  stepWall(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  /** How many sleeps are waiting. */
  get sleeperCount(): number {
    return this.#sleepers.length;
  }

  /** How long until the first of them ends, in milliseconds; Infinity when none waits. */
  get nextWakeInMs(): number {
    return Math.min(...this.#sleepers.map(({ wakesAtMs }) => wakesAtMs)) - this.#nowMs;
  }

  /** The sleep to give to what would otherwise use a timer. An arrow, so that it can be passed on its own. */
  readonly sleep = (ms: number, abort?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (abort?.aborted || ms <= 0) return resolve();
      const sleeper = { wakesAtMs: this.#nowMs + ms, wake: resolve };
      this.#sleepers.push(sleeper);
      abort?.addEventListener("abort", () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        resolve();
      }, { once: true });
    });

  /** Moves time at once, as for a machine that was asleep: whatever was due meanwhile wakes at the end, once. */
  async leap(ms: number): Promise<void> {
    this.#nowMs += ms;
    await this.advance(0);
  }

  /**
   * Lets what is ready run, then moves time, waking sleepers in the order in which they are due and running what they
   * start.
   */
  async advance(ms: number): Promise<void> {
    await settle();
    const endMs = this.#nowMs + ms;
    for (;;) {
      const next = this.#sleepers
        .filter((sleeper) => sleeper.wakesAtMs <= endMs)
        .sort((a, b) => a.wakesAtMs - b.wakesAtMs)[0];
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.wakesAtMs);
      this.#sleepers = this.#sleepers.filter((sleeper) => sleeper !== next);
      next.wake();
      await settle();
    }
    this.#nowMs = endMs;
    await settle();
  }
}

/** Lets promises that are ready run, and what they make ready, a bounded number of times. */
export async function settle(turns = 200): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await Promise.resolve();
}
