import assert from "node:assert/strict";
import { FakeClock } from "../../fakes/clock.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { ALL, atRest, drain, openJournal, recordOf } from "./disk_journal_fixture.ts";

Deno.test("what was noted as taken is counted as redelivered when it is taken again after a kill, in the moment after it", async () => {
  const disk = new FakeDisk();
  const journal = await openJournal(disk);
  const cursor = journal.cursor("a", "reject");
  for (let id = 1; id <= 3; id++) await journal.append(recordOf(id));
  await atRest();
  cursor.take({ ...ALL, recordCountMax: 2 });
  await cursor.noted();
  const later = await openJournal(disk.afterKill());
  const again = later.cursor("a", "reject");
  assert.deepEqual(drain(again), [1, 2, 3]);
  assert.equal(again.totals.redelivered, 3, "records 1 and 2 have as many items");
  await later.close();
  await journal.close();
});

Deno.test("what was given back with its answer lost is counted by a process after this one, and not by this one", async () => {
  const disk = new FakeDisk();
  const journal = await openJournal(disk);
  const cursor = journal.cursor("a", "reject");
  for (let id = 1; id <= 3; id++) await journal.append(recordOf(id));
  const [first, second] = cursor.take({ ...ALL, recordCountMax: 2 });
  cursor.release([first], true);
  cursor.release([second]);
  await cursor.noted();
  const later = await openJournal(disk.afterKill());
  const again = later.cursor("a", "reject");
  assert.deepEqual(drain(again), [1, 2, 3]);
  assert.equal(again.totals.redelivered, 1, "the first record has one item");
  await later.close();
  assert.deepEqual(drain(cursor), [1, 2, 3]);
  assert.equal(cursor.totals.redelivered, 0, "who has given it back knows by himself");
  await journal.close();
});

Deno.test("a disk that hangs is not waited for: what is taken can be sent when it has not answered for a while", async () => {
  const disk = new FakeDisk();
  const clock = new FakeClock();
  const journal = await openJournal(disk, { retryMs: 1000 }, clock);
  const cursor = journal.cursor("a", "reject");
  await journal.append(recordOf(1));
  await atRest();
  disk.stopAfter(0);
  cursor.take(ALL);
  let isNoted = false;
  void cursor.noted()?.then(() => isNoted = true);
  await clock.advance(999);
  assert.equal(isNoted, false);
  await clock.advance(1);
  assert.equal(isNoted, true);
});
