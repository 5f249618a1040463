import { type Limit, withinLimits } from "../../core/limits.ts";
import type { Reason } from "../reason.ts";
import type { Signal } from "../signal.ts";
import { EntryHeap } from "./entry_heap.ts";
import type {
  Cursor,
  CursorTotals,
  Journal,
  JournalEntry,
  JournalRecord,
  OnFull,
  Queued,
  Settlement,
  TakeLimits,
} from "./journal.ts";
import { CursorLedger, mustAddUp, mustBeCount } from "./ledger.ts";
import { Waiters } from "./waiters.ts";

/** How much a {@linkcode MemoryJournal} may hold. */
export interface MemoryJournalOptions {
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
}

/**
 * What a record costs beside its payload, measured as resident memory: without it, small records would escape the
 * bound.
 */
export const RECORD_OVERHEAD_BYTES = 512;

const LIMITS = {
  bytesMax: { default: 67_108_864, min: 1, max: 2 ** 40, integer: true },
  itemsMax: { default: 10_000_000, min: 1, max: 2 ** 40, integer: true },
} satisfies Record<keyof MemoryJournalOptions, Limit>;

/** A record in memory, and how many cursors still want it. */
interface Slot {
  readonly entry: JournalEntry;
  holderCount: number;
}

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
  readonly #bytesMax: number;
  readonly #itemsMax: number;
  readonly #slots = new Map<number, Slot>();
  readonly #cursors = new Map<string, MemoryCursor>();
  #nextSequence = 0;
  #acceptedItems = 0;
  #closed = false;

  /**
   * @throws {RangeError} When a limit is outside its range.
   * @throws {TypeError} When a limit is not a number.
   */
  constructor(signal: Signal, options: MemoryJournalOptions = {}) {
    const { bytesMax, itemsMax } = withinLimits("create memory journal", options, LIMITS);
    this.signal = signal;
    this.#bytesMax = bytesMax;
    this.#itemsMax = itemsMax;
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
      if (cursor.onFull === "reject" && !this.#hasRoom(cursor, bytes, itemCount)) return "queue_full";
    }

    const entry: JournalEntry = { ...record, sequence: this.#nextSequence++ };
    const slot: Slot = { entry, holderCount: 0 };
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
      cursor = new MemoryCursor(name, onFull, this.#slots, this.#nextSequence, this.#acceptedItems);
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

/**
 * One cursor. An entry is in exactly one place, so each operation moves it once:
 *
 * ```
 *   stream, from the frontier on ──take──► in flight ──acknowledge──► settled
 *                                          │      ▲
 *                                     release    take, first
 *                                          ▼      │
 *                                        given back
 * ```
 */
class MemoryCursor implements Cursor {
  readonly name: string;
  readonly onFull: OnFull;
  queuedItems = 0;
  queuedBytes = 0;
  readonly #slots: Map<number, Slot>;
  /** The stream's first entry that was never taken here. It only moves forward. */
  #frontier: number;
  /** Where the stream ends, as far as this cursor was told. */
  #end: number;
  readonly #inFlight = new Set<JournalEntry>();
  readonly #givenBack = new EntryHeap<JournalEntry>();
  readonly #waiters = new Waiters();
  readonly #ledger = new CursorLedger({});

  constructor(name: string, onFull: OnFull, slots: Map<number, Slot>, end: number, missedItems: number) {
    this.name = name;
    this.onFull = onFull;
    this.#slots = slots;
    this.#frontier = end;
    this.#end = end;
    // What was accepted before this destination was there is part of its account too, which would not balance
    // otherwise.
    this.#ledger.drop(missedItems, "no_destination");
  }

  get queued(): Queued {
    return { items: this.queuedItems, bytes: this.queuedBytes, oldestReceivedAtMs: this.#oldest()?.receivedAtMs };
  }

  get totals(): CursorTotals {
    return this.#ledger.totals;
  }

  take({ recordCountMax, itemCountMax, bytesMax }: TakeLimits): readonly JournalEntry[] {
    const taken: JournalEntry[] = [];
    let itemCount = 0;
    let bytes = 0;
    while (taken.length < recordCountMax) {
      const entry = this.#nextWaiting();
      if (entry === undefined) break;
      itemCount += entry.itemCount;
      bytes += entry.payload.length;
      const fits = itemCount <= itemCountMax && bytes <= bytesMax && entry.hops === taken[0]?.hops;
      if (taken.length > 0 && !fits) break;
      this.#removeNextWaiting();
      this.#inFlight.add(entry);
      taken.push(entry);
    }
    return taken;
  }

  noted(): undefined {
    return undefined;
  }

  acknowledge(entry: JournalEntry, settlement: Settlement): void {
    mustAddUp(entry.itemCount, settlement);
    this.#mustBeInFlight("acknowledge", entry);
    this.#inFlight.delete(entry);
    this.#ledger.settle(settlement);
    this.#forget(entry);
  }

  /** @throws {RangeError} When an entry is not in flight; none is given back then. */
  release(entries: readonly JournalEntry[]): void {
    for (const entry of entries) this.#mustBeInFlight("release", entry);
    for (const entry of entries) {
      // An entry that is named twice is given back once.
      if (this.#inFlight.delete(entry)) this.#givenBack.push(entry);
    }
    if (entries.length > 0) this.#waiters.wake();
  }

  countRedelivered(itemCount: number): void {
    this.#ledger.countRedelivered(itemCount);
  }

  untilSomethingWaits(abort: AbortSignal): Promise<void> {
    return this.#nextWaiting() === undefined ? this.#waiters.next(abort) : Promise.resolve();
  }

  /** Lets go of the oldest entry that is not in flight; false when there is none. */
  dropOldest(): boolean {
    const entry = this.#removeNextWaiting();
    if (entry === undefined) return false;
    this.#ledger.drop(entry.itemCount, "queue_full");
    this.#forget(entry);
    return true;
  }

  /** Steps over an entry at the stream's end, for which nothing else could make room. */
  dropNewcomer(entry: JournalEntry): void {
    this.#ledger.drop(entry.itemCount, "queue_full");
    this.#frontier = entry.sequence + 1;
  }

  /** The stream has become longer by this entry. */
  appended(entry: JournalEntry): void {
    this.#end = entry.sequence + 1;
    if (this.#frontier === this.#end) return;
    this.queuedItems += entry.itemCount;
    this.queuedBytes += storedBytes(entry);
    this.#waiters.wake();
  }

  discard(itemCount: number, reason: Reason): void {
    this.#ledger.drop(itemCount, reason);
  }

  #nextWaiting(): JournalEntry | undefined {
    // Whatever was given back was taken from before the frontier.
    return this.#givenBack.oldest ?? (this.#frontier < this.#end ? this.#slots.get(this.#frontier)?.entry : undefined);
  }

  #removeNextWaiting(): JournalEntry | undefined {
    const entry = this.#nextWaiting();
    if (entry !== undefined && this.#givenBack.pop() === undefined) this.#frontier++;
    return entry;
  }

  #oldest(): JournalEntry | undefined {
    let oldest = this.#nextWaiting();
    for (const entry of this.#inFlight) {
      if (oldest === undefined || entry.sequence < oldest.sequence) oldest = entry;
    }
    return oldest;
  }

  /** Takes an entry off this cursor's queue, and out of memory when no other wants it. */
  #forget(entry: JournalEntry): void {
    this.queuedItems -= entry.itemCount;
    this.queuedBytes -= storedBytes(entry);
    const slot = this.#slots.get(entry.sequence);
    if (slot !== undefined && --slot.holderCount === 0) this.#slots.delete(entry.sequence);
  }

  #mustBeInFlight(action: string, entry: JournalEntry): void {
    if (this.#inFlight.has(entry)) return;
    throw new RangeError(
      `Cannot ${action}: "entry" must have been taken at cursor "${this.name}" and not be settled or given back, ` +
        `received sequence ${entry.sequence}`,
    );
  }
}

function storedBytes(record: JournalRecord): number {
  return record.payload.length + RECORD_OVERHEAD_BYTES;
}
