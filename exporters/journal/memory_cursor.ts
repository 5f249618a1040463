import type { Reason } from "../reason.ts";
import { EntryHeap } from "./entry_heap.ts";
import type {
  Cursor,
  CursorTotals,
  JournalEntry,
  JournalRecord,
  OnFull,
  Part,
  Queued,
  Settlement,
  TakeLimits,
} from "./journal.ts";
import { CursorLedger, mustAddUp } from "./ledger.ts";
import { Waiters } from "./waiters.ts";

/**
 * What a record costs beside its payload, measured as resident memory: without it, small records would escape the
 * bound.
 */
export const RECORD_OVERHEAD_BYTES = 512;

/** What a record takes of the room in memory. */
export function storedBytes(record: JournalRecord): number {
  return record.payload.length + RECORD_OVERHEAD_BYTES;
}

/** A record in memory, and how many cursors still want it. */
export interface MemorySlot {
  readonly entry: JournalEntry;
  holderCount: number;
}

/** What a cursor needs of its journal. */
export interface MemoryCursorOptions {
  readonly name: string;
  readonly onFull: OnFull;
  /** What is in memory, by sequence. */
  readonly slots: Map<number, MemorySlot>;
  /** The sequence of the next record. */
  readonly end: number;
  /** What was accepted before the cursor was there. */
  readonly missedItems: number;
  /** The wall-clock time before which a record is too old, in Unix milliseconds. */
  readonly oldestMs: () => number;
}

/**
 * One cursor of a journal in memory. An entry is in exactly one place, so each operation moves it once:
 *
 * ```
 *   backlog, live: each in order ──take──► in flight ──acknowledge──► settled
 *      ▲                                      │
 *      └──────────────── release ◄────────────┘
 * ```
 */
export class MemoryCursor implements Cursor {
  readonly name: string;
  readonly onFull: OnFull;
  readonly #slots: Map<number, MemorySlot>;
  readonly #oldestMs: () => number;
  readonly #backlog = new MemoryPart();
  #live = new MemoryPart();
  /** The sequence at which the cursor was last split. */
  #liveFrom = 0;
  /** Where the stream ends, as far as this cursor was told. */
  #end: number;
  readonly #inFlight = new Set<JournalEntry>();
  readonly #waiters = new Waiters();
  readonly #ledger = new CursorLedger({});

  constructor({ name, onFull, slots, end, missedItems, oldestMs }: MemoryCursorOptions) {
    this.name = name;
    this.onFull = onFull;
    this.#slots = slots;
    this.#end = end;
    this.#oldestMs = oldestMs;
    // What was accepted before this destination was there is part of its account too, which would not balance
    // otherwise.
    this.#ledger.drop(missedItems, "no_destination");
  }

  get queuedItems(): number {
    return this.#backlog.items + this.#live.items;
  }

  get queuedBytes(): number {
    return this.#backlog.bytes + this.#live.bytes;
  }

  get queued(): Queued {
    return { items: this.queuedItems, bytes: this.queuedBytes, oldestReceivedAtMs: this.#oldest()?.receivedAtMs };
  }

  get backlog(): Pick<Queued, "items" | "bytes"> {
    return { items: this.#backlog.items, bytes: this.#backlog.bytes };
  }

  get totals(): CursorTotals {
    return this.#ledger.totals;
  }

  take({ recordCountMax, itemCountMax, bytesMax, from }: TakeLimits): readonly JournalEntry[] {
    const taken: JournalEntry[] = [];
    let itemCount = 0;
    let bytes = 0;
    this.dropExpired();
    while (taken.length < recordCountMax) {
      const entry = this.#nextWaiting(from);
      if (entry === undefined) break;
      itemCount += entry.itemCount;
      bytes += entry.payload.length;
      const fits = itemCount <= itemCountMax && bytes <= bytesMax && entry.hops === taken[0]?.hops;
      if (taken.length > 0 && !fits) break;
      this.#partWith(entry).remove(entry);
      this.#inFlight.add(entry);
      taken.push(entry);
    }
    return taken;
  }

  /** Nothing outlives the process. */
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
      if (this.#inFlight.delete(entry)) this.#partWith(entry).givenBack.push(entry);
    }
    if (entries.length > 0) this.#waiters.wake();
  }

  split(): void {
    if (!this.#live.somethingWaits) return;
    this.#backlog.absorb(this.#live);
    this.#live = new MemoryPart();
    this.#liveFrom = this.#end;
  }

  partOf({ sequence }: Pick<JournalEntry, "sequence">): Part {
    return sequence < this.#liveFrom ? "backlog" : "live";
  }

  countRedelivered(itemCount: number): void {
    this.#ledger.countRedelivered(itemCount);
  }

  untilSomethingWaits(abort: AbortSignal): Promise<void> {
    return this.#nextWaiting() === undefined ? this.#waiters.next(abort) : Promise.resolve();
  }

  /** Lets go of the oldest entry that is not in flight; false when there is none. */
  dropOldest(): boolean {
    const entry = this.#nextWaiting();
    if (entry !== undefined) this.#drop(entry, "queue_full");
    return entry !== undefined;
  }

  /** Lets go of what has become too old, as far as it can be seen from the front. */
  dropExpired(): void {
    const oldestMs = this.#oldestMs();
    for (;;) {
      const entry = this.#nextWaiting();
      if (entry === undefined || entry.receivedAtMs >= oldestMs) return;
      this.#drop(entry, "expired");
    }
  }

  /** Steps over an entry at the stream's end, for which nothing else could make room. */
  dropNewcomer(entry: JournalEntry): void {
    this.#ledger.drop(entry.itemCount, "queue_full");
    this.#end = entry.sequence + 1;
  }

  /** The stream has become longer by this entry. */
  appended(entry: JournalEntry): void {
    if (this.#end > entry.sequence) return;
    this.#end = entry.sequence + 1;
    this.#live.append(entry);
    this.#waiters.wake();
  }

  discard(itemCount: number, reason: Reason): void {
    this.#ledger.drop(itemCount, reason);
  }

  /** The oldest entry of a part that waits there, or of both. */
  #nextWaiting(from?: Part): JournalEntry | undefined {
    const backlog = from === "live" ? undefined : this.#backlog.next(this.#slots);
    return backlog ?? (from === "backlog" ? undefined : this.#live.next(this.#slots));
  }

  /** Lets go of the oldest entry that waits. */
  #drop(entry: JournalEntry, reason: Reason): void {
    this.#partWith(entry).remove(entry);
    this.#ledger.drop(entry.itemCount, reason);
    this.#forget(entry);
  }

  #partWith(entry: JournalEntry): MemoryPart {
    return this.partOf(entry) === "backlog" ? this.#backlog : this.#live;
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
    this.#partWith(entry).forget(entry);
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

/** One part of a cursor: stretches of the stream of which nothing was taken, and entries that were given back. */
class MemoryPart {
  /** What is not settled, in flight included. */
  items = 0;
  bytes = 0;
  readonly givenBack = new EntryHeap<JournalEntry>();
  /** Sequences, in order, none of them empty: an outage during a drain may add one. */
  readonly #stretches: { from: number; to: number }[] = [];

  get somethingWaits(): boolean {
    return this.#stretches.length > 0 || this.givenBack.oldest !== undefined;
  }

  append(entry: JournalEntry): void {
    this.items += entry.itemCount;
    this.bytes += storedBytes(entry);
    this.#join({ from: entry.sequence, to: entry.sequence + 1 });
  }

  /** Puts a younger part behind this one. What was of that is of this now. */
  absorb(part: MemoryPart): void {
    this.items += part.items;
    this.bytes += part.bytes;
    for (const stretch of part.#stretches) this.#join(stretch);
    for (let entry = part.givenBack.pop(); entry !== undefined; entry = part.givenBack.pop()) {
      this.givenBack.push(entry);
    }
  }

  /** The oldest entry that waits. */
  next(slots: ReadonlyMap<number, MemorySlot>): JournalEntry | undefined {
    const givenBack = this.givenBack.oldest;
    const [first] = this.#stretches;
    if (first === undefined || (givenBack !== undefined && givenBack.sequence < first.from)) return givenBack;
    return slots.get(first.from)?.entry;
  }

  /** Takes the next entry from where it waits. */
  remove(next: JournalEntry): void {
    if (next === this.givenBack.oldest) return void this.givenBack.pop();
    const [first] = this.#stretches;
    if (++first.from === first.to) this.#stretches.shift();
  }

  /** An entry is settled. */
  forget(entry: JournalEntry): void {
    this.items -= entry.itemCount;
    this.bytes -= storedBytes(entry);
  }

  #join({ from, to }: { readonly from: number; readonly to: number }): void {
    const last = this.#stretches.at(-1);
    if (last?.to === from) last.to = to;
    else this.#stretches.push({ from, to });
  }
}
