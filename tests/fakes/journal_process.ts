/**
 * A process that lives on a journal and is killed: appends records, takes and delivers some, and says on standard output
 * what it was told. Arguments: the folder, the fsync policy, the first id.
 */

import { DiskJournal } from "../../exporters/journal/disk_journal.ts";
import type { FsyncPolicy } from "../../exporters/journal/writer.ts";

const [folder, fsync, firstId] = Deno.args;
const journal = await DiskJournal.open("traces", { folder, fsync: fsync as FsyncPolicy, segmentBytesMax: 65_536 });
const cursor = journal.cursor("a", "reject");
const dropping = journal.cursor("b", "drop_oldest");

/** Whole lines, at once: what the reader has read was said before the process ended. */
function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

async function write(writer: number): Promise<void> {
  for (let id = Number(firstId) + writer;; id += 4) {
    const payload = new Uint8Array(100 + (id * 7919) % 3000);
    new DataView(payload.buffer).setUint32(0, id);
    const answer = await journal.append({ payload, itemCount: 1 + id % 5, receivedAtMs: Date.now(), hops: "" });
    if (answer === "appended") say(`appended ${id}`);
  }
}

async function read(): Promise<void> {
  const never = new AbortController().signal;
  for (;;) {
    await cursor.untilSomethingWaits(never);
    for (const entry of cursor.take({ recordCountMax: 5, itemCountMax: 100, bytesMax: 100_000 })) {
      const id = new DataView(entry.payload.buffer, entry.payload.byteOffset).getUint32(0);
      // Each third is given back now and then, so that it is settled out of order.
      if (id % 3 === 0 && Math.random() < 0.5) cursor.release([entry]);
      else {
        say(`delivered ${id}`);
        cursor.acknowledge(entry, { delivered: entry.itemCount });
      }
    }
    for (const entry of dropping.take({ recordCountMax: 2, itemCountMax: 100, bytesMax: 100_000 })) {
      dropping.acknowledge(entry, { rejected: { http_400: entry.itemCount } });
    }
    journal.discard(1, "sampled");
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

await Promise.all([write(0), write(1), write(2), write(3), read()]);
