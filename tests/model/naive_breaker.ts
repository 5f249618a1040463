/**
 * The breaker that one writes first, as the predecessor's: what it knows lies under one lock, which a call takes to ask and
 * again to report. (Before its fields were grouped the predecessor took four locks a call: this is the better of its two.)
 */

import type { Clock } from "../../core/clock.ts";

const FAILURE_THRESHOLD = 5;
const TIMEOUT_MS = 30_000;

// Cells.
const LOCK = 0;
const STATE = 1;
const FAILURES = 2;
const TESTING = 3;

const CLOSED = 0;
const HALF_OPEN = 1;
const OPEN = 2;

// The lock.
const FREE = 0;
const TAKEN = 1;
const AWAITED = 2;

/** A circuit breaker on shared memory and a lock. It counts the operations by which threads wait for each other. */
export class NaiveBreaker {
  readonly #cells = new Int32Array(new SharedArrayBuffer(16));
  readonly #failedAtMs = new Float64Array(new SharedArrayBuffer(8));
  readonly #clock: Clock;
  #synchronisations = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Atomic operations that wrote, so far. */
  get synchronisations(): number {
    return this.#synchronisations;
  }

  /** Asks to make a call. */
  acquire(): boolean {
    return this.#locked(() => {
      const cells = this.#cells;
      if (cells[STATE] === CLOSED) return true;
      if (cells[STATE] === OPEN && this.#clock.nowMs() - this.#failedAtMs[0]! >= TIMEOUT_MS) cells[STATE] = HALF_OPEN;
      if (cells[STATE] === OPEN || cells[TESTING] === 1) return false;
      cells[TESTING] = 1;
      return true;
    });
  }

  /** Says what became of it. */
  record(outcome: "success" | "failure"): void {
    this.#locked(() => {
      const cells = this.#cells;
      cells[TESTING] = 0;
      if (outcome === "success") {
        cells[STATE] = CLOSED;
        cells[FAILURES] = 0;
        return;
      }
      this.#failedAtMs[0] = this.#clock.nowMs();
      if (++cells[FAILURES]! >= FAILURE_THRESHOLD || cells[STATE] === HALF_OPEN) cells[STATE] = OPEN;
    });
  }

  #locked<T>(work: () => T): T {
    this.#synchronisations++;
    let seen = Atomics.compareExchange(this.#cells, LOCK, FREE, TAKEN);
    while (seen !== FREE) {
      Atomics.wait(this.#cells, LOCK, AWAITED);
      this.#synchronisations++;
      seen = Atomics.exchange(this.#cells, LOCK, AWAITED);
    }
    try {
      return work();
    } finally {
      this.#synchronisations++;
      if (Atomics.exchange(this.#cells, LOCK, FREE) === AWAITED) Atomics.notify(this.#cells, LOCK, 1);
    }
  }
}
