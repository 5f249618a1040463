/** A killed journal to be damaged, and where in its files each record stands. */

import assert from "node:assert/strict";
import { RECORD_HEAD_BYTES } from "../../../exporters/journal/format.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { ALL, atRest, openJournal, recordOf } from "./disk_journal_fixture.ts";

export const RECORD_COUNT = 12;

/** All ids of a backlog. */
export const ALL_IDS: readonly number[] = Array.from({ length: RECORD_COUNT }, (_, index) => index + 1);

/** Where a record stands: in which file, and from where to where. */
export interface Place {
  readonly id: number;
  readonly path: string;
  readonly from: number;
  readonly to: number;
}

/** What a killed journal has left. */
export interface Backlog {
  readonly disk: FakeDisk;
  readonly places: readonly Place[];
  /** The paths of its segments, in order: there is a first, a last and one in the middle. */
  readonly segments: readonly string[];
  /** The paths of its cursor and of the state of the stream. */
  readonly slots: readonly string[];
}

/**
 * A killed journal of several segments.
 *
 * @param settledCount How many records its one cursor has delivered; another that many are in flight.
 */
export async function backlog(
  { segmentBytesMax = 512, payloadBytes = undefined as number | undefined, settledCount = 0 } = {},
): Promise<Backlog> {
  const disk = new FakeDisk();
  const journal = await openJournal(disk, { segmentBytesMax });
  const cursor = journal.cursor("a", "reject");
  const places: Place[] = [];
  for (const id of ALL_IDS) {
    const record = recordOf(id, payloadBytes);
    await journal.append(record);
    const path = disk.paths.filter((path) => path.endsWith(".segment")).at(-1) ?? "";
    const to = disk.content(path).length;
    places.push({ id, path, from: to - RECORD_HEAD_BYTES - record.hops.length - record.payload.length, to });
  }
  for (let index = 0; index < settledCount; index++) {
    const [entry] = cursor.take({ ...ALL, recordCountMax: 1 });
    cursor.acknowledge(entry, { delivered: entry.itemCount });
  }
  for (let index = 0; index < settledCount; index++) cursor.take({ ...ALL, recordCountMax: 1 });
  await atRest();
  const segments = disk.paths.filter((path) => path.endsWith(".segment"));
  assert.ok(segments.length >= 3);
  return { disk: disk.afterKill(), places, segments, slots: disk.paths.filter((path) => !segments.includes(path)) };
}
