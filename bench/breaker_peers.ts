/** The breaker's machine written without WebAssembly: what the core has to be better than to be worth its build. */

import type { Clock } from "../core/clock.ts";

/** The part of the face that a bench asks. */
export interface Machine {
  acquire(): number;
  record(permit: number, outcome: "success" | "failure"): string;
}

const FAILURE_THRESHOLD = 3;
const COOLDOWN_MS = 30_000;

const CLOSED = 0;
const HALF_OPEN = 1;
const OPEN = 2;

// The word: state:2 | failures:12 | generation:18. An Int32, for a BigInt costs ten times as much and would be unfair.
const FAILURE_ONE = 1 << 2;
const FAILURES_MASK = 0xfff << 2;
const GENERATION_SHIFT = 14;
const GENERATION_MASK = 0x3ffff;

const TICKET_RANGE = 2 ** 25;
const TICKETS_REMEMBERED = 1024;

// Int32 cells of the shared array, each on a line of its own.
const WORD = 0;
const ISSUED = 32;
const REFUSED = 33;
const SUCCESSES = 34;
const FAILURES = 35;
const STALE = 36;
const DUPLICATE = 37;
const TICKETS = 64;
const TICKET_WORDS = 128; // of 16 tickets each, under a tag of 16 bits

/** The machine of core/assembly/breaker.ts on a SharedArrayBuffer and JavaScript's Atomics, for one attachment. */
export class AtomicsBreaker implements Machine {
  readonly #cells = new Int32Array(new SharedArrayBuffer(4 * (TICKETS + TICKET_WORDS)));
  readonly #deadlineMs = new Float64Array(new SharedArrayBuffer(8));
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
    Atomics.store(this.#cells, WORD, 1 << GENERATION_SHIFT);
  }

  acquire(): number {
    const cells = this.#cells;
    for (;;) {
      const word = Atomics.load(cells, WORD);
      if ((word & 3) === CLOSED) return this.#issue(word);
      if ((word & 3) === HALF_OPEN || this.#clock.nowMs() < this.#deadlineMs[0]!) {
        cells[REFUSED]!++;
        return -1;
      }
      const probing = next(word, HALF_OPEN);
      if (Atomics.compareExchange(cells, WORD, word, probing) === word) return this.#issue(probing);
    }
  }

  record(permit: number, outcome: "success" | "failure"): string {
    const cells = this.#cells;
    const generation = Math.floor(permit / TICKET_RANGE);
    const ticket = permit % TICKET_RANGE;
    let word = Atomics.load(cells, WORD);
    if (generation !== (word >>> GENERATION_SHIFT)) {
      cells[STALE]!++;
      return "stale";
    }
    const first = this.#mark(ticket);
    if (first !== "applied") {
      cells[first === "stale" ? STALE : DUPLICATE]!++;
      return first;
    }
    for (;;) {
      let changed = word;
      if ((word & 3) === CLOSED) {
        if (outcome === "success") changed = word & ~FAILURES_MASK;
        else if (((word & FAILURES_MASK) >> 2) + 1 >= FAILURE_THRESHOLD) changed = next(word, OPEN);
        else changed = word + FAILURE_ONE;
      } else changed = next(word, outcome === "success" ? CLOSED : OPEN);
      if (changed === word || Atomics.compareExchange(cells, WORD, word, changed) === word) {
        if ((changed & 3) === OPEN) this.#deadlineMs[0] = this.#clock.nowMs() + COOLDOWN_MS;
        cells[outcome === "success" ? SUCCESSES : FAILURES]!++;
        return "applied";
      }
      word = Atomics.load(cells, WORD);
      if (generation !== (word >>> GENERATION_SHIFT)) return "stale";
    }
  }

  #issue(word: number): number {
    const ticket = this.#cells[ISSUED]!++;
    return (word >>> GENERATION_SHIFT) * TICKET_RANGE + (ticket & (TICKET_RANGE - 1));
  }

  #mark(ticket: number): "applied" | "stale" | "duplicate" {
    const cells = this.#cells;
    if (((cells[ISSUED]! - 1 - ticket) & (TICKET_RANGE - 1)) >= TICKETS_REMEMBERED) return "stale";
    const tag = (ticket >>> 4) & 0xffff;
    const index = TICKETS + (tag & (TICKET_WORDS - 1));
    for (;;) {
      const seen = Atomics.load(cells, index);
      const bit = 1 << (ticket & 15);
      const mine = (seen >>> 16) === tag;
      if (mine && (seen & bit) !== 0) return "duplicate";
      if (Atomics.compareExchange(cells, index, seen, mine ? seen | bit : (tag << 16) | bit) === seen) return "applied";
    }
  }
}

function next(word: number, state: number): number {
  return state | ((((word >>> GENERATION_SHIFT) + 1) & GENERATION_MASK) << GENERATION_SHIFT);
}

/** The same machine as a plain object, which no other thread can see: what a breaker costs that shares nothing. */
export class PlainBreaker implements Machine {
  readonly #tickets = new Int32Array(TICKET_WORDS);
  readonly #clock: Clock;
  #state = CLOSED;
  #generation = 1;
  #failures = 0;
  #deadlineMs = 0;
  #issued = 0;
  #counters = { refused: 0, successes: 0, failures: 0, stale: 0, duplicate: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  acquire(): number {
    if (this.#state !== CLOSED) {
      if (this.#state === HALF_OPEN || this.#clock.nowMs() < this.#deadlineMs) {
        this.#counters.refused++;
        return -1;
      }
      this.#enter(HALF_OPEN);
    }
    return this.#generation * TICKET_RANGE + (this.#issued++ & (TICKET_RANGE - 1));
  }

  record(permit: number, outcome: "success" | "failure"): string {
    const ticket = permit % TICKET_RANGE;
    const isForgotten = ((this.#issued - 1 - ticket) & (TICKET_RANGE - 1)) >= TICKETS_REMEMBERED;
    if (Math.floor(permit / TICKET_RANGE) !== this.#generation || isForgotten) {
      this.#counters.stale++;
      return "stale";
    }
    const tag = (ticket >>> 4) & 0xffff;
    const bit = 1 << (ticket & 15);
    const seen = this.#tickets[tag & (TICKET_WORDS - 1)]!;
    const mine = (seen >>> 16) === tag;
    if (mine && (seen & bit) !== 0) {
      this.#counters.duplicate++;
      return "duplicate";
    }
    this.#tickets[tag & (TICKET_WORDS - 1)] = mine ? seen | bit : (tag << 16) | bit;
    if (outcome === "success") {
      this.#counters.successes++;
      this.#failures = 0;
      if (this.#state === HALF_OPEN) this.#enter(CLOSED);
    } else {
      this.#counters.failures++;
      if (++this.#failures >= FAILURE_THRESHOLD || this.#state === HALF_OPEN) this.#enter(OPEN);
    }
    return "applied";
  }

  #enter(state: number): void {
    this.#state = state;
    this.#generation = (this.#generation + 1) & GENERATION_MASK;
    if (state === OPEN) this.#deadlineMs = this.#clock.nowMs() + COOLDOWN_MS;
  }
}
