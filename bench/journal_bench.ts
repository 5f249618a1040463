/**
 * What does the journal cost, beside writing the same bytes to the same disk?
 *
 * Raw writes and the journal take turns; each writes the same records to files of its own on one disk. The journal is
 * asked by several senders at once, as a server asks it, and raw writes are synced as often as the policy promises.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RECORD_HEAD_BYTES, SEGMENT_HEADER_BYTES } from "../exporters/journal/format.ts";
import type { FsyncPolicy } from "../exporters/journal/writer.ts";
import { dropFromCache } from "./journal/page_cache.ts";
import { appendJournal, appendRaw, fillJournal, openingMs } from "./journal/ways.ts";
import { answer, bar, median } from "./measure.ts";

const MIB = 2 ** 20;

/** A small request, and the SDK's batch of 512 spans. */
const RECORD_SIZES = [4 * 1024, 191 * 1024];

/** What is written in one turn. */
const TURN_BYTES = 96 * MIB;

const ROUND_COUNT = 5;

/** The whole queue of a server. */
const BACKLOG_BYTES = 1024 * MIB;
const OPENING_MS_MAX = 2000;

/** Asks what appending and opening cost, about two minutes, and answers whether the bar is met. */
export async function benchJournal(): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), "journal-bench-"));
  try {
    for (const recordBytes of RECORD_SIZES) await benchAppend(folder, recordBytes);
    return await benchOpening(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function benchAppend(folder: string, recordBytes: number): Promise<void> {
  const load = { recordBytes, recordCount: Math.ceil(TURN_BYTES / recordBytes) };
  const rounds: Record<string, number[]> = {};
  for (let round = -1; round < ROUND_COUNT; round++) {
    for (const fsync of ["never", "interval", "commit"] satisfies FsyncPolicy[]) {
      const raw = await appendRaw(join(folder, "raw"), load, fsync);
      const journal = await appendJournal(join(folder, "append"), load, fsync);
      if (round < 0) continue; // The first is for the compiler.
      (rounds[`raw write, ${RAW_SYNCS[fsync]}`] ??= []).push(raw);
      (rounds[`journal, fsync ${fsync}`] ??= []).push(journal);
      (rounds[`  of the raw rate, ${fsync}`] ??= []).push(journal / raw);
    }
  }
  answer(`How many MB a second are appended, in records of ${recordBytes / 1024} KiB?`, rounds, "");
}

const RAW_SYNCS: Readonly<Record<FsyncPolicy, string>> = {
  never: "no sync",
  interval: "a sync each 100 ms",
  commit: "a sync for each 8",
};

async function benchOpening(folder: string): Promise<boolean> {
  const rounds: Record<string, number[]> = {};
  const ways = [
    { recordBytes: 191 * 1024, segmentBytesMax: 64 * MIB },
    { recordBytes: 4 * 1024, segmentBytesMax: 64 * MIB },
    { recordBytes: 191 * 1024, segmentBytesMax: MIB },
  ];
  for (const { recordBytes, segmentBytesMax } of ways) {
    const path = join(folder, "backlog");
    const segmentCount = BACKLOG_BYTES / segmentBytesMax;
    const name = `${segmentCount} segments of ${recordBytes / 1024} KiB records`;
    // All segments are full, also the last one: that is read as a whole.
    const perSegment = Math.floor((segmentBytesMax - SEGMENT_HEADER_BYTES) / (RECORD_HEAD_BYTES + recordBytes));
    const recordCount = segmentCount * perSegment;
    await fillJournal(path, { recordBytes, recordCount }, segmentBytesMax);
    for (let round = 0; round < ROUND_COUNT; round++) {
      (rounds[name] ??= []).push(await openingMs(path, recordCount));
      if (await dropFromCache(path)) (rounds[`  ${name}, cold`] ??= []).push(await openingMs(path, recordCount));
    }
    await rm(path, { recursive: true });
  }
  answer("How long does it take to open a journal of 1 GiB?", rounds, "ms");
  const slowest = Math.max(...Object.values(rounds).map(median));
  return bar("ms to open a journal of 1 GiB, the slowest way", slowest, "most", OPENING_MS_MAX);
}
