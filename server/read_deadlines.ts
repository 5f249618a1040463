import type { Clock } from "../core/clock.ts";
import type { Sleep } from "../exporters/sleep.ts";

/** Something that must be done with in time. */
export interface Expiring {
  /** Called once, when it was not. */
  expire(): void;
}

/**
 * Deadlines that are all equally far away, so that the first to begin is the first to end: one timer serves them all, and one
 * that is met costs two operations on a map.
 */
export class ReadDeadlines {
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #sleep: Sleep;
  /** In the order in which they began. */
  readonly #open = new Map<Expiring, number>();
  #watching = false;

  constructor(timeoutMs: number, clock: Clock, sleep: Sleep) {
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#sleep = sleep;
  }

  begin(read: Expiring): void {
    this.#open.set(read, this.#clock.nowMs() + this.#timeoutMs);
    if (!this.#watching) void this.#watch();
  }

  /** Met, or no longer of interest. */
  end(read: Expiring): void {
    this.#open.delete(read);
  }

  async #watch(): Promise<void> {
    this.#watching = true;
    // Not by an iterator that outlives a wait: it would hold on to every table that the map has outgrown meanwhile.
    for (let first = this.#first(); first !== undefined; first = this.#first()) {
      const [read, deadlineMs] = first;
      while (this.#open.has(read) && this.#clock.nowMs() < deadlineMs) {
        await this.#sleep(deadlineMs - this.#clock.nowMs());
      }
      if (this.#open.delete(read)) read.expire();
    }
    this.#watching = false;
  }

  #first(): readonly [Expiring, number] | undefined {
    const [first] = this.#open;
    return first;
  }
}
