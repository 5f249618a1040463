import assert from "node:assert/strict";
import type { OnFull } from "../../../exporters/journal/journal.ts";
import { RECORD_HEAD_BYTES } from "../../../exporters/journal/format.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { atRest, FOLDER, openJournal, recordOf } from "./disk_journal_fixture.ts";

/** Where a record stands: in which file, and from where to where. */
export interface Place {
  readonly id: number;
  readonly path: string;
  readonly from: number;
  readonly to: number;
}

/** A killed journal of several segments, and where its records are. Its items are numbered as its records. */
export interface Backlog {
  readonly disk: FakeDisk;
  readonly places: readonly Place[];
  readonly segments: readonly string[];
}

/** How many records a backlog has. */
export const RECORD_COUNT = 12;

/** Makes a backlog. @param takenCounts How many records each cursor has taken and settled. */
export async function makeBacklog(
  takenCounts: Readonly<Record<string, number>> = { a: 0 },
  folder = FOLDER,
): Promise<Backlog> {
  const disk = new FakeDisk();
  const journal = await openJournal(disk, { folder });
  const onFull: OnFull[] = ["reject"];
  const cursors = Object.keys(takenCounts).map((name) => journal.cursor(name, onFull.pop() ?? "drop_oldest"));
  const places: Place[] = [];
  for (let id = 1; id <= RECORD_COUNT; id++) {
    const record = recordOf(id);
    await journal.append(record);
    const path = disk.paths.filter((path) => path.endsWith(".segment")).at(-1) ?? "";
    const to = disk.content(path).length;
    places.push({ id, path, from: to - RECORD_HEAD_BYTES - record.hops.length - record.payload.length, to });
  }
  for (const cursor of cursors) {
    for (let count = takenCounts[cursor.name] ?? 0; count > 0; count--) {
      const [entry] = cursor.take({ recordCountMax: 1, itemCountMax: Infinity, bytesMax: Infinity });
      cursor.acknowledge(entry, { delivered: entry.itemCount });
    }
  }
  await atRest();
  const segments = disk.paths.filter((path) => path.endsWith(".segment"));
  assert.ok(segments.length >= 3, "there is a first, a last and one in the middle");
  return { disk: disk.afterKill(), places, segments };
}
