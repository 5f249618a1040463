import assert from "node:assert/strict";
import type { CursorTotals, Journal, JournalEntry, OnFull, Part } from "../../exporters/journal/journal.ts";
import { total } from "../../exporters/reason.ts";

interface ModelEntry {
  readonly sequence: number;
  readonly itemCount: number;
  readonly bytes: number;
  readonly hops: string;
  place: "waiting" | "in flight";
}

/** What a journal must do, as plainly as it can be said: every cursor is a list of what it has not settled. */
export class JournalModel {
  readonly cursors: readonly CursorModel[];
  accepted = 0;
  #nextSequence = 0;

  constructor(readonly bytesMax: number, readonly itemsMax: number, cursors: Readonly<Record<string, OnFull>>) {
    this.cursors = Object.entries(cursors).map(([name, onFull]) => new CursorModel(name, onFull));
  }

  /** @param bytes With what the store adds to a record. */
  append(itemCount: number, bytes: number, hops: string): "appended" | "queue_full" | "too_large" {
    if (itemCount > this.itemsMax || bytes > this.bytesMax) return "too_large";
    const hasRoom = (cursor: CursorModel) =>
      cursor.items + itemCount <= this.itemsMax && cursor.bytes + bytes <= this.bytesMax;
    if (this.cursors.some((cursor) => cursor.onFull === "reject" && !hasRoom(cursor))) return "queue_full";
    const sequence = this.#nextSequence++;
    this.accepted += itemCount;
    for (const cursor of this.cursors) {
      cursor.queue.push({ sequence, itemCount, bytes, hops, place: "waiting" });
      while (cursor.items > this.itemsMax || cursor.bytes > this.bytesMax) cursor.dropOldest();
    }
    return "appended";
  }

  /** Makes a backlog of what a cursor has, if anything waits there that is none. */
  split(cursor: CursorModel): void {
    if (cursor.waiting("live").length > 0) cursor.liveFrom = this.#nextSequence;
  }
}

/** One cursor of the model. */
export class CursorModel {
  queue: ModelEntry[] = [];
  /** What is before this sequence is backlog. */
  liveFrom = 0;
  delivered = 0;
  rejected = 0;
  dropped = 0;
  quarantined = 0;

  constructor(readonly name: string, readonly onFull: OnFull) {}

  get items(): number {
    return itemsOf(this.queue);
  }

  get bytes(): number {
    return bytesOf(this.queue);
  }

  get backlog(): { readonly items: number; readonly bytes: number } {
    const backlog = this.queue.filter((entry) => this.partOf(entry) === "backlog");
    return { items: itemsOf(backlog), bytes: bytesOf(backlog) };
  }

  partOf({ sequence }: { readonly sequence: number }): Part {
    return sequence < this.liveFrom ? "backlog" : "live";
  }

  /** What is not in flight, of one part or of both. */
  waiting(from?: Part): readonly ModelEntry[] {
    return this.queue.filter((entry) =>
      entry.place === "waiting" && (from === undefined || from === this.partOf(entry))
    );
  }

  dropOldest(): void {
    const [oldest] = this.waiting();
    assert.ok(oldest, "what is in flight fits by itself");
    this.dropped += oldest.itemCount;
    this.queue = this.queue.filter((entry) => entry !== oldest);
  }

  take(recordCountMax: number, itemCountMax: number, from?: Part): number[] {
    const taken: ModelEntry[] = [];
    let items = 0;
    for (const entry of this.waiting(from).slice(0, recordCountMax)) {
      items += entry.itemCount;
      if (taken.length > 0 && (items > itemCountMax || entry.hops !== taken[0].hops)) break;
      entry.place = "in flight";
      taken.push(entry);
    }
    return taken.map(({ sequence }) => sequence);
  }

  /** The process ended and another goes on: nothing is in flight. */
  restart(): void {
    for (const entry of this.queue) entry.place = "waiting";
  }

  settle(sequence: number): void {
    this.queue = this.queue.filter((entry) => entry.sequence !== sequence);
  }

  release(sequence: number): void {
    for (const entry of this.queue) if (entry.sequence === sequence) entry.place = "waiting";
  }
}

/** Asserts that a journal and the model tell the same story, and that the account balances at every cursor. */
export function assertSameAccount(journal: Journal, model: JournalModel): void {
  assert.equal(journal.acceptedItems, model.accepted);
  for (const expected of model.cursors) {
    const cursor = journal.cursor(expected.name, expected.onFull);
    const { items, bytes } = cursor.queued;
    const totals = cursor.totals;
    assert.deepEqual(
      {
        items,
        bytes,
        backlog: cursor.backlog,
        delivered: totals.delivered,
        rejected: total(totals.rejected),
        quarantined: totals.quarantined,
        dropped: total(totals.dropped),
      },
      {
        items: expected.items,
        bytes: expected.bytes,
        backlog: expected.backlog,
        delivered: expected.delivered,
        rejected: expected.rejected,
        quarantined: expected.quarantined,
        dropped: expected.dropped,
      },
    );
    assert.equal(journal.acceptedItems, settled(totals) + items, `the account of "${expected.name}" balances`);
  }
}

function itemsOf(entries: readonly ModelEntry[]): number {
  return entries.reduce((sum, { itemCount }) => sum + itemCount, 0);
}

function bytesOf(entries: readonly ModelEntry[]): number {
  return entries.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** What a cursor is done with, in items. */
export function settled({ delivered, rejected, quarantined, dropped }: CursorTotals): number {
  return delivered + total(rejected) + quarantined + total(dropped);
}

/** The sequences of entries. */
export function sequences(entries: readonly JournalEntry[]): number[] {
  return entries.map(({ sequence }) => sequence);
}
