import assert from "node:assert/strict";
import { join } from "node:path";
import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Disk, type DiskFile, nodeDisk } from "../../../exporters/journal/disk.ts";
import { DiskJournal } from "../../../exporters/journal/disk_journal.ts";
import { TemporaryFolder } from "../../fakes/temporary_folder.ts";
import { ALL } from "./disk_journal_fixture.ts";

const MIB = 2 ** 20;

Deno.test("a backlog is not held in memory: neither 96 MiB of payloads nor a word for each of 50 000 records", async () => {
  for (
    const { recordCount, payloadBytes } of [
      { recordCount: 96, payloadBytes: MIB },
      { recordCount: 50_000, payloadBytes: 8 },
    ]
  ) {
    using folder = new TemporaryFolder();
    const journal = await DiskJournal.open("traces", { folder: join(folder.path, "data"), fsync: "never" });
    const cursor = journal.cursor("a", "reject");
    const before = bytesHeld();
    for (let index = 0; index < recordCount;) {
      const group: Promise<unknown>[] = [];
      for (; group.length < 50 && index < recordCount; index++) {
        const payload = new Uint8Array(payloadBytes).fill(index);
        group.push(journal.append({ payload, itemCount: 1, receivedAtMs: index, hops: "" }));
      }
      for (const answer of await Promise.all(group)) assert.equal(answer, "appended");
    }
    const grownBytes = bytesHeld() - before;
    assert.ok(grownBytes < 2 * MIB, `${grownBytes} bytes for ${recordCount} records of ${payloadBytes}`);
    assert.equal(cursor.queued.items, recordCount);
    await journal.close();
  }
});

Deno.test("opening reads the last segment and the headers of the others, and one take reads at most 64 MiB", async () => {
  using folder = new TemporaryFolder();
  const read = { bytes: 0 };
  const disk: Disk = {
    ...nodeDisk,
    create: async (path) => counted(await nodeDisk.create(path), read),
    open: async (path) => counted(await nodeDisk.open(path), read),
  };
  const options = { folder: join(folder.path, "data"), fsync: "never", segmentBytesMax: 8 * MIB, disk } as const;
  const journal = await DiskJournal.open("traces", options);
  journal.cursor("a", "reject");
  for (let index = 0; index < 80; index++) {
    const payload = new Uint8Array(MIB).fill(index);
    assert.equal(await journal.append({ payload, itemCount: 1, receivedAtMs: index, hops: "" }), "appended");
  }
  assert.equal(read.bytes, 0, "nothing is read that nobody takes");
  await journal.close();

  const later = await DiskJournal.open("traces", options);
  assert.ok(read.bytes < 8.1 * MIB, `opening read ${read.bytes} bytes`);
  const cursor = later.cursor("a", "reject");
  assert.equal(cursor.queued.items, 80);
  const payloads = cursor.take(ALL).map(({ payload }) => payload);
  assert.deepEqual(payloads.map((payload) => payload[77]), Array.from({ length: 64 }, (_, index) => index));
  assert.equal(cursor.take(ALL).length, 16);
  await later.close();
});

/** What this isolate holds on to: its heap and its buffers. */
function bytesHeld(): number {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  gc();
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** A file whose reads are counted. */
function counted(file: DiskFile, read: { bytes: number }): DiskFile {
  return {
    get size() {
      return file.size;
    },
    get isLinked() {
      return file.isLinked;
    },
    write: (offset, bytes) => file.write(offset, bytes),
    read: (offset, into) => {
      const count = file.read(offset, into);
      read.bytes += count;
      return count;
    },
    sync: () => file.sync(),
    close: () => file.close(),
  };
}
