/**
 * A process that lives on a journal and does not live long: it appends, takes, delivers, gives back and discards, and
 * says on standard output what it was told. Whoever reads that knows what must still be there when it has been killed.
 *
 * ```
 *   open               the journal is open
 *   + 17               record 17 was accepted
 *   - 17               it was refused
 *   a 17               destination "a" has record 17, and its cursor will be told
 *   discards 3         three items are about to be discarded
 *   closed             after SIGTERM: everything was made durable
 * ```
 */

import { DiskJournal } from "../../exporters/journal/disk_journal.ts";
import type { Cursor } from "../../exporters/journal/journal.ts";
import type { FsyncPolicy } from "../../exporters/journal/writer.ts";
import { crashRecord, crashRecordId } from "./crash_record.ts";
import { MortalDisk } from "./mortal_disk.ts";
import { seededRandom } from "./random.ts";

/** What a process is told to do. */
export interface JournalLife {
  readonly folder: string;
  readonly seed: number;
  readonly fsync: FsyncPolicy;
  readonly segmentBytesMax: number;
  readonly bytesMax: number;
  readonly cursors: readonly CursorLife[];
  /** Records are numbered from here on. */
  readonly firstId: number;
  /** The operation of the disk in which it kills itself; undefined when somebody else will. */
  readonly diesInOperation?: number | undefined;
}

/** How a cursor is used. */
export interface CursorLife {
  readonly name: string;
  readonly onFull: Cursor["onFull"];
  /** How much of its time it stands still, from 0 to 1. */
  readonly idle: number;
}

/** Appends that are out at a time, each of its own writer: record `firstId + writer + n * WRITER_COUNT`. */
export const WRITER_COUNT = 4;

/** Entries that one cursor has out at a time, at most. */
export const IN_FLIGHT_MAX = 10;

/** Takes that are out at a time at one cursor. */
const SENDER_COUNT = 2;

/** Lives until it is killed, or closed by SIGTERM. */
async function live(life: JournalLife): Promise<void> {
  const { folder, fsync, segmentBytesMax, bytesMax, firstId } = life;
  const random = seededRandom(life.seed);
  const disk = new MortalDisk(life.diesInOperation ?? Infinity, random);
  const ending = new AbortController();
  Deno.addSignalListener("SIGTERM", () => ending.abort());
  const journal = await DiskJournal.open("traces", { folder, fsync, segmentBytesMax, bytesMax, disk });
  const cursors = life.cursors.map(({ name, onFull, idle }) => ({ cursor: journal.cursor(name, onFull), idle }));
  say("open");

  async function write(writer: number): Promise<void> {
    for (let id = firstId + writer; !ending.signal.aborted; id += WRITER_COUNT) {
      const answer = await journal.append(crashRecord(id));
      say(`${answer === "appended" ? "+" : "-"} ${id}`);
      if (random() < 0.02) {
        say("discards 3");
        journal.discard(3, "sampled");
      }
      if (answer !== "appended" || random() < 0.1) await pause(random() * 3);
    }
  }

  async function send({ cursor, idle }: typeof cursors[number]): Promise<void> {
    while (!ending.signal.aborted) {
      if (random() < idle) {
        await pause(random() * 5);
        continue;
      }
      await cursor.untilSomethingWaits(ending.signal);
      if (random() < 0.02) cursor.split();
      const from = ([undefined, "backlog", "live"] as const)[Math.floor(random() * 3)];
      const taken = cursor.take({
        recordCountMax: Math.ceil(random() * IN_FLIGHT_MAX / SENDER_COUNT),
        itemCountMax: 100,
        bytesMax: 20_000,
        ...(from && { from }),
      });
      if (random() < 0.1) {
        cursor.release(taken);
        continue;
      }
      await cursor.noted();
      if (random() < 0.5) await pause(random() * 2);
      for (const entry of taken) {
        // One or the other is given back, so that what is behind it is settled first.
        if (random() < 0.1) {
          cursor.release([entry]);
          continue;
        }
        say(`${cursor.name} ${crashRecordId(entry)}`);
        cursor.acknowledge(entry, { delivered: entry.itemCount });
      }
      await pause(0);
    }
  }

  await Promise.all([
    ...Array.from({ length: WRITER_COUNT }, (_, writer) => write(writer)),
    ...cursors.flatMap((each) => Array.from({ length: SENDER_COUNT }, () => send(each))),
  ]);
  await journal.close();
  say("closed");
}

/** Whole lines, at once: what the reader has read was said before the process ended. */
function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) {
  await live(JSON.parse(Deno.args[0]));
  Deno.exit();
}
