import assert from "node:assert/strict";
import { UNSETTLED_COUNT_MAX } from "../../../exporters/journal/cursor.ts";
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

function segmentCount(disk: FakeDisk): number {
  return disk.paths.filter((path) => path.endsWith(".segment")).length;
}

Deno.test("a segment goes when no cursor wants anything in it, even behind one that is still wanted", async () => {
  const disk = new FakeDisk();
  const clock = new FakeClock();
  const journal = await openJournal(disk, {}, clock);
  const a = journal.cursor("a", "reject");
  const b = journal.cursor("b", "reject");
  for (let id = 1; id <= 20; id++) await journal.append(recordOf(id));
  await clock.advance(200);
  const count = segmentCount(disk);
  assert.ok(count > 4);
  drain(a);
  await atRest();
  assert.equal(segmentCount(disk), count, "the other cursor wants them all");
  const [first, ...others] = b.take(ALL).concat(b.take(ALL));
  for (const entry of [...others, ...b.take(ALL)]) b.acknowledge(entry, { delivered: entry.itemCount });
  drain(b);
  await atRest();
  assert.equal(segmentCount(disk), 2, "the one in which the first record is, and the one that is written to");

  const later = await openJournal(disk.afterKill());
  const again = later.cursor("b", "reject");
  assert.deepEqual(drain(again), [idOf(first)]);
  assert.equal(lostItems(again), 0, "what is gone was settled");
  assertBalance(later);
  await atRest();
  assert.equal(later.health.diskBytes, 0, "nothing is wanted any more");
  assert.equal(await later.append(recordOf(21)), "appended");
  assert.deepEqual(drain(again), [21]);
  await later.close();
  await journal.close();
});

Deno.test("what passes through takes no more room than it needs, however much passes", async () => {
  const disk = new FakeDisk();
  const journal = await openJournal(disk, { bytesMax: 4096, fsync: "never" });
  const cursor = journal.cursor("a", "reject");
  journal.cursor("dead", "drop_oldest");
  let bytesMax = 0;
  for (let id = 1; id <= 300; id++) {
    assert.equal(await journal.append(recordOf(id % 200)), "appended");
    drain(cursor);
    await Promise.resolve();
    bytesMax = Math.max(bytesMax, journal.health.diskBytes);
  }
  assert.ok(bytesMax <= 2 * (4096 + 512), `${bytesMax} bytes`);
  assert.ok((journal.cursor("dead", "drop_oldest").totals.dropped.queue_full ?? 0) > 0);
  assertBalance(journal);
  await journal.close();
});

Deno.test("records that stay in flight do not let the files grow without end: when they pin too many, the queue is full", async () => {
  const disk = new FakeDisk();
  const journal = await openJournal(disk, { bytesMax: 1024, fsync: "never" });
  const cursor = journal.cursor("a", "reject");
  let answer = "appended";
  for (let round = 0; round < 100 && answer === "appended"; round++) {
    // Two fill a segment: a small one that stays in flight, and a large one that passes.
    for (const bytes of [0, 310]) answer = await journal.append({ ...recordOf(1), payload: new Uint8Array(bytes) });
    for (const entry of cursor.take(ALL)) {
      if (entry.payload.length > 0) cursor.acknowledge(entry, { delivered: 1 });
    }
    await atRest();
    assert.ok(journal.health.diskBytes <= 2 * (1024 + 512), `${journal.health.diskBytes} bytes`);
  }
  assert.equal(answer, "queue_full");
  assert.ok(cursor.queued.bytes < 512, "the queue itself has room");
  await journal.close();
});

Deno.test("a record that is too old is dropped as expired, wherever the cursor stands, and makes room", async () => {
  const clock = new FakeClock();
  const disk = new FakeDisk();
  const journal = await openJournal(disk, { recordAgeMaxMs: 1000, itemsMax: 10 }, clock);
  const taking = journal.cursor("taking", "reject");
  const dead = journal.cursor("dead", "reject");
  const record = (itemCount: number) => ({ ...recordOf(1), itemCount, receivedAtMs: clock.wallMs() });
  await journal.append(record(3));
  await clock.advance(600);
  await journal.append(record(7));
  assert.equal(await journal.append(record(1)), "queue_full");
  await clock.advance(401);
  assert.equal(await journal.append(record(3)), "appended");
  assert.deepEqual(dead.totals.dropped, { expired: 3 });
  assert.deepEqual(taking.take(ALL).map(({ itemCount }) => itemCount), [7, 3]);
  await clock.advance(1000);
  assert.deepEqual(dead.take(ALL).map(({ itemCount }) => itemCount), [3]);
  assert.deepEqual(dead.totals.dropped, { expired: 10 });
  assertBalance(journal);
  await journal.close();
});

Deno.test("what was let go of while nobody had a cursor open was accepted for no destination", async () => {
  const disk = new FakeDisk();
  const journal = await openJournal(disk);
  journal.cursor("away", "reject");
  await journal.append(recordOf(1));
  await journal.close();
  const meanwhile = await openJournal(disk, { fsync: "commit" });
  const cursor = meanwhile.cursor("here", "reject");
  for (let id = 2; id <= 12; id++) await meanwhile.append(recordOf(id));
  drain(cursor);
  await atRest();
  assert.equal(segmentCount(disk), 1);
  for (let seed = 0; seed < 20; seed++) {
    const later = await openJournal(disk.afterPowerLoss(seededRandom(seed)));
    const back = later.cursor("away", "reject");
    assert.ok((back.totals.dropped.no_destination ?? 0) > 0);
    assertBalance(later);
    assert.deepEqual(drain(back).at(-1), 12, "what is there still is delivered");
    assert.equal(lostItems(back), 0);
    assertBalance(later);
    await later.close();
  }
});

Deno.test(`at most ${UNSETTLED_COUNT_MAX} entries are in flight or given back at a cursor, and each settled one lets the next in`, async () => {
  const disk = new FakeDisk();
  const journal = await openJournal(disk, { fsync: "never", segmentBytesMax: 2 ** 24 });
  const cursor = journal.cursor("a", "reject");
  const appends: Promise<unknown>[] = [];
  for (let index = 0; index <= UNSETTLED_COUNT_MAX; index++) {
    appends.push(journal.append({ payload: new Uint8Array(1), itemCount: 1, receivedAtMs: 0, hops: "" }));
  }
  await Promise.all(appends);
  const taken = cursor.take(ALL);
  assert.equal(taken.length, UNSETTLED_COUNT_MAX);
  assert.deepEqual(cursor.take(ALL), []);
  let woken = false;
  void cursor.untilSomethingWaits(new AbortController().signal).then(() => woken = true);
  await atRest();
  assert.equal(woken, false);
  for (const [index, entry] of taken.entries()) if (index % 2 === 0) cursor.acknowledge(entry, { delivered: 1 });
  await atRest();
  assert.equal(woken, true);
  assert.equal(journal.health.isWell, true, "such a cursor fits into its slot");
  assert.deepEqual(cursor.take(ALL).map(({ sequence }) => sequence), [UNSETTLED_COUNT_MAX]);
  assertBalance(journal);
  await journal.close();
});

Deno.test("the folder is kept by a lock while the journal is open, and refused when it is not ours alone", async () => {
  const disk = new FakeDisk();
  const held = new Set<string>();
  const lock = (folder: string) => {
    if (held.has(folder)) return Promise.reject(new Error(`${folder} is in use`));
    held.add(folder);
    return Promise.resolve({ release: () => Promise.resolve(void held.delete(folder)) });
  };
  const journal = await openJournal(disk, { lock });
  await assert.rejects(openJournal(disk, { lock }), { message: `${FOLDER}/traces is in use` });
  await journal.close();
  await (await openJournal(disk, { lock })).close();
  assert.equal(held.size, 0);

  disk.folders.set("/tmp", { kind: "folder", mode: 0o1777, userId: 0 });
  await assert.rejects(openJournal(disk, { folder: "/tmp/journal" }), {
    message:
      'Cannot open journal: "folder" must not stand directly in a folder that others can write, received /tmp/journal',
  });
  await (await openJournal(disk, { folder: "/tmp/private/journal" })).close();
  for (const stat of [{ mode: 0o755, userId: 1000 }, { mode: 0o700, userId: 0 }]) {
    disk.folders.set("/data/other", { kind: "folder", ...stat });
    await assert.rejects(openJournal(disk, { folder: "/data/other" }), {
      message: 'Cannot open journal: "folder" must be a folder of our own that nobody else may enter (mode 0700), ' +
        "received /data/other",
    });
  }
});

Deno.test("impossible limits, records and hops are refused by name, and appends after close", async () => {
  const disk = new FakeDisk();
  await assert.rejects(openJournal(disk, { segmentBytesMax: 10 }), {
    name: "RangeError",
    message: 'Cannot open journal: "segmentBytesMax" must be an integer from 256 to 4294967296, received 10',
  });
  const journal = await openJournal(disk);
  await assert.rejects(journal.append({ ...recordOf(1), itemCount: -1 }), {
    name: "RangeError",
    message: 'Cannot append: "itemCount" must be an integer from 0, received -1',
  });
  await assert.rejects(journal.append({ ...recordOf(1), hops: "é".repeat(2049) }), {
    name: "RangeError",
    message: 'Cannot append: "hops" must have at most 4096 bytes, received 4098',
  });
  await journal.close();
  await journal.close();
  await assert.rejects(journal.append(recordOf(1)), { message: "Cannot append: the journal of traces is closed" });
});
