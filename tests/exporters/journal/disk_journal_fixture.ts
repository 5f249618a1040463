import assert from "node:assert/strict";
import { DiskJournal } from "../../../exporters/journal/disk_journal.ts";
import type { DiskJournalOptions } from "../../../exporters/journal/disk_journal_options.ts";
import type { Cursor, JournalEntry, JournalRecord } from "../../../exporters/journal/journal.ts";
import { FakeClock, settle } from "../../fakes/clock.ts";
import type { FakeDisk } from "../../fakes/disk.ts";
import { settled } from "../../model/journal_model.ts";

/** Where the tests keep their journal of traces. */
export const FOLDER = "/data/journal";
export const STREAM_FOLDER = `${FOLDER}/traces`;

export const ALL = { recordCountMax: Infinity, itemCountMax: Infinity, bytesMax: Infinity };

/** Opens the journal of traces on a fake disk. */
export function openJournal(
  disk: FakeDisk,
  options: Partial<DiskJournalOptions> = {},
  clock = new FakeClock(),
): Promise<DiskJournal> {
  return DiskJournal.open("traces", {
    folder: FOLDER,
    disk,
    clock,
    sleep: clock.sleep,
    segmentBytesMax: 512,
    randomSalt: () => 0x5a17,
    ...options,
  });
}

/** A record that is told from others by its id, which is also how many items it has. */
export function recordOf(id: number, payloadBytes = 20 + (id * 37) % 90): JournalRecord {
  const payload = Uint8Array.from({ length: payloadBytes }, (_, index) => id + index * 7);
  new DataView(payload.buffer).setUint32(0, id);
  return { payload, itemCount: id, receivedAtMs: 1000 + id, hops: id % 3 === 0 ? "hop" : "" };
}

/** The id of an entry that came back just as it was appended. */
export function idOf({ payload, itemCount, receivedAtMs, hops }: JournalEntry): number {
  const id = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
  const expected = recordOf(id, payload.length);
  assert.deepEqual({ payload, itemCount, receivedAtMs, hops }, { ...expected });
  return id;
}

/** Takes and delivers whatever there is. @returns The ids, in order. */
export function drain(cursor: Cursor): number[] {
  const ids: number[] = [];
  for (let round = 0; round < 1000; round++) {
    const entries = cursor.take(ALL);
    if (entries.length === 0) break;
    for (const entry of entries) {
      ids.push(idOf(entry));
      cursor.acknowledge(entry, { delivered: entry.itemCount });
    }
  }
  return ids;
}

/** Asserts that the account balances at every cursor. */
export function assertBalance(journal: DiskJournal): void {
  for (const cursor of journal.cursors) {
    assert.equal(journal.acceptedItems, settled(cursor.totals) + cursor.queued.items, `the account of ${cursor.name}`);
  }
}

/** What a cursor has lost to damage, in items. */
export function lostItems(cursor: Cursor): number {
  return cursor.totals.dropped.corrupt ?? 0;
}

/** The sum of ids, which is the sum of their items. */
export function itemsOf(ids: Iterable<number>): number {
  return [...ids].reduce((sum, id) => sum + id, 0);
}

/** Lets a journal on a fake disk do what it does in the background. */
export async function atRest(): Promise<void> {
  await settle(2000);
}

/** Lets a life go on until it is over, or the disk has stopped under it. */
export async function untilStopped(disk: FakeDisk, life: Promise<void>): Promise<void> {
  let isOver = false;
  void life.then(() => isOver = true);
  for (let turns = 0; turns < 1000 && !isOver && !disk.isStopped; turns++) await settle();
  await atRest();
}
