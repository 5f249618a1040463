import assert from "node:assert/strict";
import type { AppendAnswer } from "../../../exporters/journal/journal.ts";
import { PATIENCE_MS } from "../../../exporters/journal/patient_disk.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { type DiskOperation, FakeDisk } from "../../fakes/disk.ts";
import { assertBalance, atRest, drain, openJournal, recordOf } from "./disk_journal_fixture.ts";

/** What a disk that hangs may hang in, while a record is appended. */
const HANGS: readonly (readonly [DiskOperation, "commit" | "interval" | "never"])[] = [
  ["sync", "commit"],
  ["write", "commit"],
  ["write", "interval"],
  ["write", "never"],
];

for (const [operation, fsync] of HANGS) {
  Deno.test(`a disk that hangs in a ${operation} is one that fails: the record is refused in time, and not accepted late, fsync ${fsync}`, async () => {
    const disk = new FakeDisk();
    const clock = new FakeClock();
    const journal = await openJournal(disk, { fsync, segmentBytesMax: 65_536, retryMs: 1000 }, clock);
    const cursor = journal.cursor("a", "reject");
    for (let id = 1; id <= 2; id++) assert.equal(await journal.append(recordOf(id)), "appended");
    await clock.advance(200);

    disk.hangs = (what, path) => path.includes(".segment") && (what === operation || what === "create");
    const answers: AppendAnswer[] = [];
    const answered = (answer: AppendAnswer) => void answers.push(answer);
    void journal.append(recordOf(3)).then(answered);
    await clock.advance(PATIENCE_MS - 1);
    assert.deepEqual(answers, [], "it may only be busy");
    // One wait for the write, one for the new file that is to take its place.
    await clock.advance(PATIENCE_MS + 1);
    assert.deepEqual(answers, ["journal_full"]);
    assert.equal(journal.health.isWell, false);
    assert.match(journal.health.failure ?? "", /has not answered in 10000 ms/);
    assert.equal(await journal.append(recordOf(3)), "journal_full", "the next ones do not wait");
    await clock.advance(1000);
    assert.equal(await journal.append(recordOf(3)), "journal_full", "nor while it is tried again");
    assert.deepEqual(drain(cursor), [1, 2], "what is there can be delivered");

    disk.answerAll();
    await clock.advance(2 * PATIENCE_MS);
    assert.equal(journal.health.isWell, true);
    for (let id = 4; id <= 5; id++) assert.equal(await journal.append(recordOf(id)), "appended");
    assert.equal(journal.acceptedItems, 1 + 2 + 4 + 5);
    assert.deepEqual(drain(cursor), [4, 5], "the write that ended late counts for nothing");
    assertBalance(journal);
    await atRest();
    const later = await openJournal(disk.afterKill());
    assert.equal(later.acceptedItems, 1 + 2 + 4 + 5);
    assertBalance(later);
    await later.close();
    await journal.close();
    assert.equal(disk.openCount, 0, "also what was opened late is closed");
    assert.equal(clock.sleeperCount, 0);
    assert.deepEqual(disk.paths.filter((path) => path.endsWith(".new")), []);
  });
}

Deno.test("a sync in the background that hangs holds up nobody, and is given up in time", async () => {
  const disk = new FakeDisk();
  const clock = new FakeClock();
  const journal = await openJournal(disk, { fsync: "interval", fsyncIntervalMs: 100, segmentBytesMax: 256 }, clock);
  const cursor = journal.cursor("a", "reject");
  disk.hangs = (operation, path) => operation === "sync" && path.includes(".segment");
  for (let id = 1; id <= 9; id++) {
    assert.equal(await journal.append(recordOf(id)), "appended");
    await clock.advance(100);
  }
  assert.equal(journal.health.isWell, true);
  await clock.advance(PATIENCE_MS);
  assert.equal(journal.health.isWell, false);
  disk.answerAll();
  await clock.advance(2 * PATIENCE_MS);
  assert.equal(journal.health.isWell, true);
  assert.deepEqual(drain(cursor), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assertBalance(journal);
  await journal.close();
  assert.equal(disk.openCount, 0);
});

Deno.test("a journal on a disk that hangs can be closed", async () => {
  const disk = new FakeDisk();
  const clock = new FakeClock();
  const journal = await openJournal(disk, {}, clock);
  journal.cursor("a", "reject");
  assert.equal(await journal.append(recordOf(1)), "appended");
  disk.hangs = () => true;
  let isClosed = false;
  const closed = journal.close().then(() => isClosed = true);
  for (let wait = 0; wait < 20 && !isClosed; wait++) await clock.advance(PATIENCE_MS);
  assert.equal(isClosed, true);
  assert.equal(journal.health.isWell, false);
  await closed;
});

Deno.test("a disk that is full for a day is tried again each second, and no file is left open by that", async () => {
  const disk = new FakeDisk();
  const clock = new FakeClock();
  const journal = await openJournal(disk, { retryMs: 1000 }, clock);
  journal.cursor("a", "reject");
  assert.equal(await journal.append(recordOf(1)), "appended");
  await clock.advance(200);
  const { openCount } = disk;
  disk.bytesMax = disk.bytes + 40;
  for (let tries = 0; tries < 20; tries++) {
    assert.equal(await journal.append(recordOf(50)), "journal_full");
    await clock.advance(1000);
  }
  assert.ok(disk.openCount <= openCount, `${disk.openCount} files are open, ${openCount} were`);
  await journal.close();
});
