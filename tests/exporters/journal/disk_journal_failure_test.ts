import assert from "node:assert/strict";
import type { DiskJournal } from "../../../exporters/journal/disk_journal.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { seededRandom } from "../../fakes/random.ts";
import {
  ALL,
  assertBalance,
  atRest,
  drain,
  FOLDER,
  idOf,
  lostItems,
  openJournal,
  recordOf,
} from "./disk_journal_fixture.ts";

/** What files have at their ends on a disk that is full: enough for a few digits, and for no new file. */
const BLOCK_REST_BYTES = 30;

async function appended(journal: DiskJournal, from: number, to: number): Promise<void> {
  for (let id = from; id <= to; id++) assert.equal(await journal.append(recordOf(id)), "appended", `record ${id}`);
}

for (const fsync of ["never", "interval", "commit"] as const) {
  Deno.test(`a full disk refuses what it cannot take, keeps what it has, and takes again when there is room, fsync ${fsync}`, async () => {
    const disk = new FakeDisk();
    const clock = new FakeClock();
    const told: string[] = [];
    const journal = await openJournal(disk, { fsync, retryMs: 1000, report: (message) => told.push(message) }, clock);
    const cursor = journal.cursor("a", "reject");
    await appended(journal, 1, 3);
    await clock.advance(200);
    disk.bytesMax = disk.bytes + 40;
    for (let id = 50; id < 60; id++) assert.equal(await journal.append(recordOf(id)), "journal_full");
    assert.equal(journal.health.isWell, false);
    assert.equal(journal.health.refusedRecordCount, 10);
    assert.match(journal.health.failure ?? "", /ENOSPC/);
    assert.deepEqual(drain(cursor), [1, 2, 3], "what is there can be delivered");
    assertBalance(journal);
    disk.bytesMax = Infinity;
    await clock.advance(1000);
    assert.equal(journal.health.isWell, true, "without anybody asking");
    await appended(journal, 4, 6);
    assert.deepEqual(drain(cursor), [4, 5, 6]);
    assertBalance(journal);
    await atRest();
    const later = await openJournal(disk.afterKill());
    assert.equal(later.acceptedItems, 21, "what was refused is not there");
    assert.equal(told.length, 2);
    await journal.close();
  });

  Deno.test(`a disk that the journal has filled by itself has room again once all is delivered, fsync ${fsync}`, async () => {
    for (const restarts of [false, true]) {
      const clock = new FakeClock();
      const options = { fsync, retryMs: 1000, segmentBytesMax: 65_536 };
      let disk = new FakeDisk();
      let journal = await openJournal(disk, options, clock);
      let cursor = journal.cursor("a", "reject");
      await appended(journal, 1, 3);
      await clock.advance(200);
      disk.bytesMax = disk.bytes + 40;
      assert.equal(await journal.append(recordOf(50)), "journal_full");
      if (restarts) {
        disk = disk.afterKill();
        disk.bytesMax = disk.bytes;
        journal = await openJournal(disk, options, clock);
        cursor = journal.cursor("a", "reject");
        assert.equal(await journal.append(recordOf(50)), "journal_full");
      }
      disk.bytesMax = disk.bytes + BLOCK_REST_BYTES;
      await clock.advance(5000);
      assert.equal(journal.health.isWell, false, "nothing is let go of that somebody wants");
      disk.failWith = (operation, path) => operation === "write" && path.includes(".cursor") ? "EIO" : undefined;
      assert.deepEqual(drain(cursor), [1, 2, 3]);
      await clock.advance(3000);
      assert.equal(journal.health.isWell, false, "nothing is let go of before it is known that nobody wants it");
      disk.failWith = () => undefined;
      await clock.advance(3000);
      assert.equal(journal.health.isWell, true);
      await appended(journal, 4, 5);
      assertBalance(journal);
      const later = await openJournal(disk.afterKill(), options);
      assert.deepEqual(drain(later.cursor("a", "reject")), [4, 5], "what was delivered is not delivered again");
      assertBalance(later);
    }
  });

  Deno.test(`a disk that fails in any way degrades the journal, and no call throws or hangs, fsync ${fsync}`, async () => {
    for (const code of ["EIO", "EROFS"]) {
      const disk = new FakeDisk();
      const clock = new FakeClock();
      const journal = await openJournal(disk, { fsync }, clock);
      const cursor = journal.cursor("a", "reject");
      await appended(journal, 1, 4);
      await clock.advance(200);
      disk.failWith = (operation) => operation === "read" ? undefined : code;
      assert.equal(await journal.append(recordOf(5)), "journal_full");
      assert.deepEqual(drain(cursor), [1, 2, 3, 4]);
      await clock.advance(5000);
      assert.equal(await journal.append(recordOf(5)), "journal_full");
      assert.equal(journal.health.isWell, false);
      disk.failWith = () => undefined;
      await clock.advance(2000);
      const later = await openJournal(disk.afterKill());
      assert.equal(later.acceptedItems, 10, "what was refused does not come back");
      await appended(journal, 6, 7);
      assert.deepEqual(drain(cursor), [6, 7]);
      assertBalance(journal);
      disk.failWith = () => code;
      await journal.close();
    }
  });
}

Deno.test("after a failed fsync the file is not trusted again: what was not synced is written anew, and survives", async () => {
  for (const fsync of ["interval", "commit"] as const) {
    for (let seed = 0; seed < 20; seed++) {
      const disk = new FakeDisk();
      const clock = new FakeClock();
      const journal = await openJournal(disk, { fsync, segmentBytesMax: 65_536 }, clock);
      const cursor = journal.cursor("a", "reject");
      await appended(journal, 1, 2);
      await clock.advance(200);
      let failures = 0;
      disk.failWith = (operation, path) =>
        operation === "sync" && path.includes(".segment") && failures++ < 1 ? "EIO" : undefined;
      await appended(journal, 3, 4);
      await clock.advance(200);
      assert.equal(failures > 0, true);
      assert.equal(journal.health.failureCount, 1);
      assert.equal(journal.health.isWell, true, "it was written anew at once");
      const lit = await openJournal(disk.afterPowerLoss(seededRandom(seed)));
      assert.deepEqual(drain(lit.cursor("a", "reject")), [1, 2, 3, 4], `fsync ${fsync}, seed ${seed}`);
      await appended(journal, 5, 6);
      await clock.advance(200);
      const later = await openJournal(disk.afterPowerLoss(seededRandom(seed)));
      assert.deepEqual(drain(later.cursor("a", "reject")), [1, 2, 3, 4, 5, 6], `fsync ${fsync}, seed ${seed}`);
      assert.deepEqual(drain(cursor), [1, 2, 3, 4, 5, 6]);
      await journal.close();
    }
  }
});

Deno.test("a segment that failed before anything in it was durable is replaced as a whole", async () => {
  const disk = new FakeDisk();
  const clock = new FakeClock();
  const journal = await openJournal(disk, {}, clock);
  journal.cursor("a", "reject");
  await appended(journal, 1, 3);
  let failures = 0;
  disk.failWith = (operation, path) =>
    operation === "sync" && path.includes(".segment") && failures++ < 1 ? "EIO" : undefined;
  await clock.advance(200);
  assert.equal(failures > 0, true);
  assert.deepEqual(disk.paths.filter((path) => path.includes(".segment")), [
    "/data/journal/traces/000000000002.segment",
  ]);
  await journal.close();
});

Deno.test("what was refused because it could not be synced does not come back when the disk is well", async () => {
  const disk = new FakeDisk();
  const clock = new FakeClock();
  const journal = await openJournal(disk, { fsync: "commit" }, clock);
  const cursor = journal.cursor("a", "reject");
  await appended(journal, 1, 2);
  disk.failWith = (operation) => operation === "sync" || operation === "create" ? "EIO" : undefined;
  assert.equal(await journal.append(recordOf(50)), "journal_full");
  disk.failWith = () => undefined;
  await clock.advance(2000);
  assert.equal(journal.health.isWell, true);
  const later = await openJournal(disk.afterKill());
  assert.equal(later.acceptedItems, 3);
  await appended(journal, 3, 3);
  assert.deepEqual(drain(cursor), [1, 2, 3]);
  await journal.close();
});

Deno.test("while an interval's records are only in memory, because no file takes them, they are delivered from there", async () => {
  const disk = new FakeDisk();
  const clock = new FakeClock();
  const journal = await openJournal(disk, { fsync: "interval" }, clock);
  const cursor = journal.cursor("a", "reject");
  await appended(journal, 1, 3);
  disk.failWith = () => "EIO";
  await clock.advance(500);
  assert.equal(journal.health.isWell, false);
  assert.deepEqual(drain(cursor), [1, 2, 3]);
  assertBalance(journal);
  await journal.close();
});

Deno.test("a folder that was deleted is made again, and what was accepted meanwhile is in it", async () => {
  for (const fsync of ["never", "interval", "commit"] as const) {
    const disk = new FakeDisk();
    const clock = new FakeClock();
    const journal = await openJournal(disk, { fsync, segmentBytesMax: 65_536 }, clock);
    const cursor = journal.cursor("a", "reject");
    await appended(journal, 1, 3);
    await clock.advance(200);
    disk.delete(FOLDER);
    disk.delete(`${FOLDER}/traces`);
    await appended(journal, 4, 6);
    assert.deepEqual(drain(cursor), [1, 2, 3, 4, 5, 6], "the old files are open still");
    await appended(journal, 7, 8);
    await clock.advance(2000);
    await journal.close();
    const later = await openJournal(disk.afterKill());
    assert.deepEqual(drain(later.cursor("a", "reject")), [7, 8], `fsync ${fsync}`);
    assertBalance(later);
    await later.close();
  }
});

Deno.test("a place that cannot be read is waited for, and stepped over only when others can be read", async () => {
  const disk = new FakeDisk();
  const clock = new FakeClock();
  const journal = await openJournal(disk, { fsync: "never", retryMs: 1000 }, clock);
  const cursor = journal.cursor("a", "reject");
  await appended(journal, 1, 9);
  await atRest();
  const segments = disk.paths.filter((path) => path.endsWith(".segment"));
  const later = await openJournal(disk.afterKill(), {}, clock);
  await later.close();

  let bad = new Set(segments);
  disk.failWith = (operation, path) => operation === "read" && bad.has(path.replace(".new", "")) ? "EIO" : undefined;
  for (let attempt = 0; attempt < 10; attempt++) {
    assert.deepEqual(cursor.take(ALL), []);
    const woken: string[] = [];
    const stop = new AbortController();
    void cursor.untilSomethingWaits(stop.signal).then(() => woken.push("again"));
    await clock.advance(999);
    assert.deepEqual(woken, [], "a disk that does not answer is left alone");
    await clock.advance(1);
    assert.deepEqual(woken, ["again"]);
  }
  assert.equal(journal.health.isWell, false);
  assert.equal(lostItems(cursor), 0, "a disk that reads nothing loses nothing");
  bad = new Set([segments[0]]);
  const [first] = cursor.take(ALL);
  assert.ok(first !== undefined && idOf(first) > 1);
  assert.equal(lostItems(cursor), [1, 2, 3, 4, 5, 6].slice(0, idOf(first) - 1).reduce((sum, id) => sum + id, 0));
  assert.equal(journal.health.isWell, true);
  assertBalance(journal);
  await journal.close();
});

Deno.test("a place that cannot be read is tried three times, a second apart, before it is stepped over", async () => {
  const disk = new FakeDisk();
  const clock = new FakeClock();
  const journal = await openJournal(disk, { fsync: "never", retryMs: 1000 }, clock);
  const cursor = journal.cursor("a", "reject");
  await appended(journal, 1, 9);
  const [first] = disk.paths.filter((path) => path.endsWith(".segment"));
  disk.failWith = (operation, path) => operation === "read" && path.startsWith(first) ? "EIO" : undefined;
  for (let attempt = 0; attempt < 3; attempt++) {
    assert.deepEqual(cursor.take(ALL), []);
    assert.equal(lostItems(cursor), 0);
    await clock.advance(1000);
  }
  assert.ok(drain(cursor).length > 0);
  assert.ok(lostItems(cursor) > 0);
  assertBalance(journal);
  await journal.close();
});

Deno.test("a cursor whose file cannot be made holds up the answer, not the cursors that are there", async () => {
  const disk = new FakeDisk();
  const clock = new FakeClock();
  const journal = await openJournal(disk, {}, clock);
  const old = journal.cursor("old", "reject");
  await appended(journal, 1, 2);
  disk.failWith = (operation, path) => operation === "create" && path.includes("/new-") ? "ENOSPC" : undefined;
  journal.cursor("new", "reject");
  assert.equal(await journal.append(recordOf(3)), "journal_full", "after a crash nobody would know of it");
  assert.deepEqual(drain(old), [1, 2]);
  disk.failWith = () => undefined;
  await appended(journal, 4, 4);
  await journal.close();
});
