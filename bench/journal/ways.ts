/** The ways to put records on a disk that the journal's bench compares. */

import { closeSync, fdatasync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { rm } from "node:fs/promises";
import { setImmediate } from "node:timers";
import { DiskJournal } from "../../exporters/journal/disk_journal.ts";
import type { FsyncPolicy } from "../../exporters/journal/writer.ts";

/** What is written. */
export interface RecordLoad {
  readonly recordBytes: number;
  readonly recordCount: number;
}

/** Appends that wait at a time: as many senders. */
const SENDER_COUNT = 8;

const SYNC_INTERVAL_MS = 100;
const MB = 1e6;

/** The baseline: writes the records one behind the other, and syncs as the policy says. @returns MB a second. */
export async function appendRaw(path: string, { recordBytes, recordCount }: RecordLoad, fsync: FsyncPolicy) {
  const record = new Uint8Array(recordBytes).fill(7);
  const file = openSync(path, "w");
  let syncing: Promise<void> = Promise.resolve();
  let syncedAtMs = performance.now();
  const startMs = performance.now();
  for (let index = 0; index < recordCount; index++) {
    writeSync(file, record, 0, recordBytes, index * recordBytes);
    if (fsync === "commit" && index % SENDER_COUNT === SENDER_COUNT - 1) fdatasyncSync(file);
    if (fsync !== "interval") continue;
    if (performance.now() - syncedAtMs < SYNC_INTERVAL_MS) continue;
    syncedAtMs = performance.now();
    syncing = new Promise((resolve) => fdatasync(file, () => resolve()));
    await new Promise((resolve) => setImmediate(resolve)); // It begins now, and goes on beside the writes.
  }
  const elapsedMs = performance.now() - startMs;
  await syncing;
  closeSync(file);
  await rm(path);
  return rate(recordBytes * recordCount, elapsedMs);
}

/** Appends the records to a journal of its own. @returns MB a second. */
export async function appendJournal(folder: string, load: RecordLoad, fsync: FsyncPolicy): Promise<number> {
  const journal = await DiskJournal.open("traces", { folder, fsync });
  journal.cursor("backend", "reject");
  await append(journal, { ...load, recordCount: 1 }, 1); // The first one makes the files.
  const startMs = performance.now();
  await append(journal, load, SENDER_COUNT);
  const elapsedMs = performance.now() - startMs;
  await journal.close();
  await rm(folder, { recursive: true });
  return rate(load.recordBytes * load.recordCount, elapsedMs);
}

/** Leaves a journal of so many records, each segment as full as it can be. */
export async function fillJournal(folder: string, load: RecordLoad, segmentBytesMax: number): Promise<void> {
  const journal = await DiskJournal.open("traces", { folder, segmentBytesMax, fsync: "never" });
  journal.cursor("backend", "reject");
  await append(journal, load, 1);
  await journal.close();
}

/** How long it takes until a journal that was left can be taken from, in milliseconds. */
export async function openingMs(folder: string, recordCount: number): Promise<number> {
  const startMs = performance.now();
  const journal = await DiskJournal.open("traces", { folder });
  const cursor = journal.cursor("backend", "reject");
  const [first] = cursor.take({ recordCountMax: 1, itemCountMax: Infinity, bytesMax: Infinity });
  const elapsedMs = performance.now() - startMs;
  if (first === undefined || cursor.queued.items !== recordCount) throw new Error("The journal is not all there");
  cursor.release([first]);
  await journal.close();
  return elapsedMs;
}

async function append(
  journal: DiskJournal,
  { recordBytes, recordCount }: RecordLoad,
  senderCount: number,
): Promise<void> {
  const payload = new Uint8Array(recordBytes).fill(7);
  let left = recordCount;
  await Promise.all(Array.from({ length: senderCount }, async () => {
    while (left > 0) {
      left--;
      const answer = await journal.append({ payload, itemCount: 1, receivedAtMs: 0, hops: "" });
      if (answer !== "appended") throw new Error(`The journal answered ${answer}`);
    }
  }));
}

function rate(bytes: number, elapsedMs: number): number {
  return bytes / MB / elapsedMs * 1000;
}
