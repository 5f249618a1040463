import assert from "node:assert/strict";
import type { DiskJournal } from "../../../exporters/journal/disk_journal.ts";
import type { Cursor } from "../../../exporters/journal/journal.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { ALL, assertBalance, atRest, idOf, openJournal, recordOf } from "./disk_journal_fixture.ts";

const LIMITS = { bytesMax: 4096, segmentBytesMax: 512, fsync: "never" } as const;

/** As the options say. */
const DISK_BYTES_MAX = 2 * (LIMITS.bytesMax + LIMITS.segmentBytesMax);

Deno.test("backlogs of outages at different times, together larger than the disk's bound, hold nobody back: the oldest goes", async () => {
  const journal = await openJournal(new FakeDisk(), LIMITS);
  const first = journal.cursor("first", "reject");
  const others = ["b", "c", "d", "e", "f"].map((name) => journal.cursor(name, "drop_oldest"));
  let id = 0;
  for (const out of [...others, undefined]) {
    for (let record = 0; record < 30; record++) {
      await mustAppend(journal, ++id);
      deliver(first);
      // What came in an outage stays where it is; what comes later passes it.
      for (const other of others) if (other !== out) deliver(other);
      await atRest();
      assert.ok(journal.health.diskBytes <= DISK_BYTES_MAX, `${journal.health.diskBytes} bytes`);
      assertBalance(journal);
    }
    out?.split();
  }
  const kept = others.map(({ queued }) => queued.items > 0);
  assert.deepEqual(kept, [false, false, true, true, true], "the youngest are kept");
  assert.deepEqual(first.totals.dropped, {});
  const [last] = others.at(-1)!.take(ALL);
  assert.equal(idOf(last), 4 * 30 + 1, "and whole");
  await journal.close();
});

Deno.test("what waits for destinations that were given up, one after the other, holds nobody back, however often that was", async () => {
  const disk = new FakeDisk();
  const clock = new FakeClock();
  for (const [life, name] of ["v1", "v2", "v3", "v4", "v5"].entries()) {
    const journal = await openJournal(disk, LIMITS, clock);
    const cursor = journal.cursor(name, "reject");
    const retired = journal.retireOthers();
    assert.equal(retired.length, life);
    for (let record = 0; record < 38; record++) {
      await mustAppend(journal, life * 100 + record);
      await atRest();
      assert.ok(journal.health.diskBytes <= DISK_BYTES_MAX, `${journal.health.diskBytes} bytes`);
      assertBalance(journal);
    }
    assert.deepEqual(cursor.totals.dropped.queue_full, undefined);
    await journal.close();
  }
  const last = await openJournal(disk, LIMITS, clock);
  assert.deepEqual(last.retireOthers().map(({ queued }) => queued.items > 0), [false, false, false, true, true]);
  await last.close();
});

async function mustAppend(journal: DiskJournal, id: number): Promise<void> {
  assert.equal(await journal.append(recordOf(id, 40)), "appended", `record ${id}`);
}

/** Delivers what is live. */
function deliver(cursor: Cursor): void {
  for (const entry of cursor.take({ ...ALL, from: "live" })) cursor.acknowledge(entry, { delivered: entry.itemCount });
}
