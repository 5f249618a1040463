/** The breaker's machine written without WebAssembly: what the core has to be better than to be worth its build. */

import type { Clock } from "../core/clock.ts";
import { AtomicsWindow, PlainWindow } from "./breaker_machine_windows.ts";

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

// A permit: attachment:8 | generation:18 | ticket:25. The first attachment's first permits are small integers, on which
// JavaScript is fastest.
const PERMIT_ATTACHMENT = 2 ** 43;
const PERMIT_GENERATION = 2 ** 25;
const TICKET_MAX = PERMIT_GENERATION - 1;
const TICKETS_REMEMBERED = 1024;
const TICKET_WORDS = 128; // of 16 tickets each, under a tag of 16 bits

// Int32 cells of the shared array. What different threads write never shares a line of 128 bytes, which is 32 cells.
const WORD = 0;
const SLOTS = 32; // one for each attachment
const SLOT_CELLS = 32 + TICKET_WORDS;
const ATTACHMENTS = 2;

// In a slot.
const ISSUED = 0;
const REFUSED = 1;
const SUCCESSES = 2;
const FAILURES = 3;
const STALE = 4;
const DUPLICATE = 5;
const TICKETS = 32;

/** What the attachments of one `AtomicsBreaker` share. */
export interface SharedCells {
  readonly cells: Int32Array<SharedArrayBuffer>;
  readonly deadlineMs: Float64Array<SharedArrayBuffer>;
  readonly window?: Int32Array<SharedArrayBuffer>;
}

/** A closed circuit, to be attached to. */
export function makeSharedCells(countWindowSize?: number): SharedCells {
  const cells = new Int32Array(new SharedArrayBuffer(4 * (SLOTS + ATTACHMENTS * SLOT_CELLS)));
  cells[WORD] = 1 << GENERATION_SHIFT;
  return {
    cells,
    deadlineMs: new Float64Array(new SharedArrayBuffer(8)),
    window: countWindowSize === undefined ? undefined : AtomicsWindow.makeCells(countWindowSize),
  };
}

/** The machine of core/assembly/breaker.ts on a SharedArrayBuffer and JavaScript's Atomics. */
export class AtomicsBreaker implements Machine {
  readonly #cells: Int32Array<SharedArrayBuffer>;
  readonly #deadlineMs: Float64Array<SharedArrayBuffer>;
  readonly #clock: Clock;
  readonly #window: AtomicsWindow | undefined;
  readonly #slot: number;
  readonly #firstPermit: number;

  constructor(clock: Clock, { cells, deadlineMs, window } = makeSharedCells(), attachment = 0) {
    this.#clock = clock;
    this.#cells = cells;
    this.#deadlineMs = deadlineMs;
    this.#window = window === undefined ? undefined : new AtomicsWindow(window);
    this.#slot = SLOTS + attachment * SLOT_CELLS;
    this.#firstPermit = attachment * PERMIT_ATTACHMENT;
  }

  acquire(): number {
    const cells = this.#cells;
    for (;;) {
      const word = Atomics.load(cells, WORD);
      if ((word & 3) === CLOSED) return this.#issue(word);
      if ((word & 3) === HALF_OPEN || this.#clock.nowMs() < this.#deadlineMs[0]!) {
        cells[this.#slot + REFUSED]!++;
        return -1;
      }
      const probing = next(word, HALF_OPEN);
      if (Atomics.compareExchange(cells, WORD, word, probing) === word) return this.#issue(probing);
    }
  }

  record(permit: number, outcome: "success" | "failure"): string {
    const cells = this.#cells;
    const generation = (permit / PERMIT_GENERATION) & GENERATION_MASK;
    let word = Atomics.load(cells, WORD);
    if (generation !== (word >>> GENERATION_SHIFT)) return this.#count(STALE, "stale");
    const first = this.#mark(SLOTS + ((permit / PERMIT_ATTACHMENT) | 0) * SLOT_CELLS, permit & TICKET_MAX);
    if (first !== "applied") return this.#count(first === "stale" ? STALE : DUPLICATE, first);
    const window = this.#window;
    const tripped = window !== undefined && (word & 3) === CLOSED && window.slide(outcome === "failure" ? 1 : 0);
    for (;;) {
      let changed = word;
      if ((word & 3) === CLOSED) {
        if (tripped) changed = next(word, OPEN);
        else if (outcome === "success") changed = word & ~FAILURES_MASK;
        else if (((word & FAILURES_MASK) >> 2) + 1 >= FAILURE_THRESHOLD) changed = next(word, OPEN);
        else changed = word + FAILURE_ONE;
      } else changed = next(word, outcome === "success" ? CLOSED : OPEN);
      if (changed === word || Atomics.compareExchange(cells, WORD, word, changed) === word) {
        if ((changed & 3) === OPEN) this.#deadlineMs[0] = this.#clock.nowMs() + COOLDOWN_MS;
        else if ((word & 3) !== CLOSED) window?.clear();
        return this.#count(outcome === "success" ? SUCCESSES : FAILURES, "applied");
      }
      word = Atomics.load(cells, WORD);
      if (generation !== (word >>> GENERATION_SHIFT)) return this.#count(STALE, "stale");
    }
  }

  #issue(word: number): number {
    const ticket = this.#cells[this.#slot + ISSUED]!++;
    return this.#firstPermit + (word >>> GENERATION_SHIFT) * PERMIT_GENERATION +
      (ticket & TICKET_MAX);
  }

  #count(counter: number, answer: string): string {
    this.#cells[this.#slot + counter]!++;
    return answer;
  }

  #mark(slot: number, ticket: number): "applied" | "stale" | "duplicate" {
    const cells = this.#cells;
    if (((cells[slot + ISSUED]! - 1 - ticket) & TICKET_MAX) >= TICKETS_REMEMBERED) return "stale";
    const tag = (ticket >>> 4) & 0xffff;
    const index = slot + TICKETS + (tag & (TICKET_WORDS - 1));
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
  readonly #window: PlainWindow | undefined;
  #state = CLOSED;
  #generation = 1;
  #failures = 0;
  #deadlineMs = 0;
  #issued = 0;
  #counters = { refused: 0, successes: 0, failures: 0, stale: 0, duplicate: 0 };

  constructor(clock: Clock, countWindowSize?: number) {
    this.#clock = clock;
    this.#window = countWindowSize === undefined ? undefined : new PlainWindow(countWindowSize);
  }

  acquire(): number {
    if (this.#state !== CLOSED) {
      if (this.#state === HALF_OPEN || this.#clock.nowMs() < this.#deadlineMs) {
        this.#counters.refused++;
        return -1;
      }
      this.#enter(HALF_OPEN);
    }
    return this.#generation * PERMIT_GENERATION + (this.#issued++ & TICKET_MAX);
  }

  record(permit: number, outcome: "success" | "failure"): string {
    const ticket = permit & TICKET_MAX;
    const isForgotten = ((this.#issued - 1 - ticket) & TICKET_MAX) >= TICKETS_REMEMBERED;
    if (((permit / PERMIT_GENERATION) & GENERATION_MASK) !== this.#generation || isForgotten) {
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
    const window = this.#window;
    const tripped = window !== undefined && this.#state === CLOSED && window.slide(outcome === "failure" ? 1 : 0);
    if (outcome === "success") {
      this.#counters.successes++;
      this.#failures = 0;
      if (this.#state === HALF_OPEN) this.#enter(CLOSED);
      else if (tripped) this.#enter(OPEN);
    } else {
      this.#counters.failures++;
      if (++this.#failures >= FAILURE_THRESHOLD || this.#state === HALF_OPEN || tripped) this.#enter(OPEN);
    }
    return "applied";
  }

  #enter(state: number): void {
    this.#state = state;
    this.#generation = (this.#generation + 1) & GENERATION_MASK;
    if (state === OPEN) this.#deadlineMs = this.#clock.nowMs() + COOLDOWN_MS;
    if (state !== CLOSED) return;
    this.#failures = 0;
    this.#window?.clear();
  }
}
