import { type Clock, systemClock } from "../../core/clock.ts";
import { type Limit, withinLimits } from "../../core/limits.ts";
import type { Reason } from "../reason.ts";
import type { Signal } from "../signal.ts";
import type { Cursor, Journal, JournalEntry, JournalRecord, OnFull } from "./journal.ts";
import { mustBeCount } from "./ledger.ts";
import { MemoryCursor, type MemorySlot, storedBytes } from "./memory_cursor.ts";

export { RECORD_OVERHEAD_BYTES } from "./memory_cursor.ts";

/** How much a {@linkcode MemoryJournal} may hold, and for how long. */
export interface MemoryJournalLimits {
  /**
   * Bytes that one cursor may have waiting, in flight included: payloads and {@linkcode RECORD_OVERHEAD_BYTES} for each
   * record. From 1 to 2^40.
   *
   * @default {67_108_864}
   */
  readonly bytesMax?: number;
  /**
   * Items (spans, data points, log records) that one cursor may have waiting, in flight included. From 1 to 2^40.
   *
   * @default {10_000_000}
   */
  readonly itemsMax?: number;
  /**
   * How old a record may become before it is dropped as `expired`, in milliseconds by the wall clock; 0 for any age. Up
   * to 2^40.
   *
   * @default {0}
   */
  readonly recordAgeMaxMs?: number;
}

/** How a {@linkcode MemoryJournal} is made. */
export interface MemoryJournalOptions extends MemoryJournalLimits {
  /** @default {the system's clock} */
  readonly clock?: Clock;
}

const LIMITS = {
  bytesMax: { default: 67_108_864, min: 1, max: 2 ** 40, integer: true },
  itemsMax: { default: 10_000_000, min: 1, max: 2 ** 40, integer: true },
  recordAgeMaxMs: { default: 0, min: 0, max: 2 ** 40, integer: true },
} satisfies Record<keyof MemoryJournalLimits, Limit>;

/**
 * A {@linkcode Journal} in memory: bounded in bytes and in items, gone with the process.
 *
 * There is one for each signal, so one signal's backlog never takes another's room. The bounds hold at every cursor, so
 * one destination's backlog never takes another's room either. A payload that several cursors want is kept once, and
 * freed when the last of them has settled it, even when an older one is still in flight.
 *
 * @example
 * ```ts
 * import { MemoryJournal } from "./memory_journal.ts";
 *
 * const journal = new MemoryJournal("traces", { itemsMax: 100 });
 * const cursor = journal.cursor("backend", "reject");
 * await journal.append({ payload: new Uint8Array(8), itemCount: 1, receivedAtMs: Date.now(), hops: "" });
 * const [entry] = cursor.take({ recordCountMax: 1, itemCountMax: 10, bytesMax: 1000 });
 * cursor.acknowledge(entry, { delivered: entry.itemCount });
 * ```
 */
export class MemoryJournal implements Journal {
  readonly signal: Signal;
  readonly isDurable = false;
  readonly #bytesMax: number;
  readonly #itemsMax: number;
  readonly #recordAgeMaxMs: number;
  readonly #clock: Clock;
  readonly #slots = new Map<number, MemorySlot>();
  readonly #cursors = new Map<string, MemoryCursor>();
  #nextSequence = 0;
  #acceptedItems = 0;
  #closed = false;

  /**
   * @throws {RangeError} When a limit is outside its range.
   * @throws {TypeError} When a limit is not a number.
   */
  constructor(signal: Signal, options: MemoryJournalOptions = {}) {
    const limits = withinLimits<keyof MemoryJournalLimits>("create memory journal", options, LIMITS);
    this.signal = signal;
    this.#bytesMax = limits.bytesMax;
    this.#itemsMax = limits.itemsMax;
    this.#recordAgeMaxMs = limits.recordAgeMaxMs;
    this.#clock = options.clock ?? systemClock;
  }

  get acceptedItems(): number {
    return this.#acceptedItems;
  }

  get cursors(): readonly Cursor[] {
    return [...this.#cursors.values()];
  }

  /** How many records are kept for at least one cursor. */
  get recordCount(): number {
    return this.#slots.size;
  }

  // Async for the disk's sake and for its errors; everything happens before the first await of whoever calls.
  // deno-lint-ignore require-await
  async append(record: JournalRecord): Promise<"appended" | "queue_full" | "too_large"> {
    const { itemCount } = record;
    const bytes = storedBytes(record);
    if (this.#closed) throw new Error(`Cannot append: the journal of ${this.signal} is closed`);
    mustBeCount("append", "itemCount", itemCount);
    if (bytes > this.#bytesMax || itemCount > this.#itemsMax) return "too_large";
    for (const cursor of this.#cursors.values()) {
      cursor.dropExpired();
      if (cursor.onFull === "reject" && !this.#hasRoom(cursor, bytes, itemCount)) return "queue_full";
    }

    const entry: JournalEntry = { ...record, sequence: this.#nextSequence++ };
    const slot: MemorySlot = { entry, holderCount: 0 };
    this.#acceptedItems += itemCount;
    for (const cursor of this.#cursors.values()) {
      while (!this.#hasRoom(cursor, bytes, itemCount) && cursor.dropOldest());
      // With nothing left but what is in flight, the newcomer itself is the oldest that can be dropped.
      if (this.#hasRoom(cursor, bytes, itemCount)) slot.holderCount++;
      else cursor.dropNewcomer(entry);
    }
    if (slot.holderCount > 0) this.#slots.set(entry.sequence, slot);
    for (const cursor of this.#cursors.values()) cursor.appended(entry);
    return "appended";
  }

  discard(itemCount: number, reason: Reason): void {
    mustBeCount("discard", "itemCount", itemCount);
    this.#acceptedItems += itemCount;
    for (const cursor of this.#cursors.values()) cursor.discard(itemCount, reason);
  }

  /** @throws {RangeError} When the cursor is open with another `onFull`. */
  cursor(name: string, onFull: OnFull): Cursor {
    let cursor = this.#cursors.get(name);
    if (cursor === undefined) {
      cursor = new MemoryCursor({
        name,
        onFull,
        slots: this.#slots,
        end: this.#nextSequence,
        missedItems: this.#acceptedItems,
        oldestMs: () => this.#recordAgeMaxMs === 0 ? -Infinity : this.#clock.wallMs() - this.#recordAgeMaxMs,
      });
      this.#cursors.set(name, cursor);
    }
    if (cursor.onFull !== onFull) {
      throw new RangeError(
        `Cannot open cursor "${name}": "onFull" is "${cursor.onFull}" already, received "${onFull}"`,
      );
    }
    return cursor;
  }

  /** Refuses further records. What waits can still be taken and settled. */
  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  #hasRoom(cursor: MemoryCursor, bytes: number, itemCount: number): boolean {
    return cursor.queuedBytes + bytes <= this.#bytesMax && cursor.queuedItems + itemCount <= this.#itemsMax;
  }
}
