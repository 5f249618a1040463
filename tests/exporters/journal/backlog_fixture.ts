import assert from "node:assert/strict";
import { RECORD_HEAD_BYTES } from "../../../exporters/journal/format.ts";
import type { OnFull } from "../../../exporters/journal/journal.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { ALL, atRest, FOLDER, openJournal, recordOf } from "./disk_journal_fixture.ts";

/** How many records a backlog has. */
export const RECORD_COUNT = 12;

/** Their ids. */
export const ALL_IDS: readonly number[] = Array.from({ length: RECORD_COUNT }, (_, index) => index + 1);

/** Where a record stands: in which file, and from where to where. */
export interface Place {
  readonly id: number;
  readonly path: string;
  readonly from: number;
  readonly to: number;
}

/** What a killed journal of several segments has left. */
export interface Backlog {
  readonly disk: FakeDisk;
  readonly places: readonly Place[];
  /** The paths of its segments, in order: there is a first, a last and one in the middle. */
  readonly segments: readonly string[];
  /** The paths of its cursors and of the state of the stream. */
  readonly slots: readonly string[];
}

/** What a backlog is like. */
export interface BacklogOptions {
  /** How many records each cursor has delivered. The first cursor rejects when it is full. */
  readonly settledCounts?: Readonly<Record<string, number>>;
  /** How many more each of them had in flight. */
  readonly inFlightCount?: number;
  readonly folder?: string;
  readonly segmentBytesMax?: number;
  /** The length of each payload; without it they differ. */
  readonly payloadBytes?: number;
}

/** Makes a backlog, of records with the ids {@linkcode ALL_IDS}. */
export async function makeBacklog(
  { settledCounts = { a: 0 }, inFlightCount = 0, folder = FOLDER, segmentBytesMax, payloadBytes }: BacklogOptions = {},
): Promise<Backlog> {
  const disk = new FakeDisk();
  const journal = await openJournal(disk, { folder, ...(segmentBytesMax === undefined ? {} : { segmentBytesMax }) });
  const onFull: OnFull[] = ["reject"];
  const cursors = Object.keys(settledCounts).map((name) => journal.cursor(name, onFull.pop() ?? "drop_oldest"));
  const segments = () => disk.paths.filter((path) => path.endsWith(".segment"));
  const places: Place[] = [];
  for (const id of ALL_IDS) {
    const record = recordOf(id, payloadBytes);
    await journal.append(record);
    const path = segments().at(-1) ?? "";
    const to = disk.content(path).length;
    places.push({ id, path, from: to - RECORD_HEAD_BYTES - record.hops.length - record.payload.length, to });
  }
  for (const cursor of cursors) {
    const settledCount = settledCounts[cursor.name] ?? 0;
    const taken = ALL_IDS.slice(0, settledCount + inFlightCount).flatMap(() =>
      cursor.take({ ...ALL, recordCountMax: 1 })
    );
    for (const entry of taken.slice(0, settledCount)) cursor.acknowledge(entry, { delivered: entry.itemCount });
  }
  await atRest();
  const slots = disk.paths.filter((path) => !segments().includes(path));
  assert.ok(segments().length >= 3, "there is a first, a last and one in the middle");
  return { disk: disk.afterKill(), places, segments: segments(), slots };
}
