import assert from "node:assert/strict";
import { UNSETTLED_COUNT_MAX } from "../../../exporters/journal/cursor.ts";
import { cursorFileName } from "../../../exporters/journal/cursor_state.ts";
import { encodeSlot } from "../../../exporters/journal/format.ts";
import type { Cursor, JournalEntry } from "../../../exporters/journal/journal.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { sequences } from "../../model/journal_model.ts";
import {
  ALL,
  assertBalance,
  atRest,
  drain,
  idOf,
  itemsOf,
  lostItems,
  openJournal,
  recordOf,
  STREAM_FOLDER,
  untilStopped,
} from "./disk_journal_fixture.ts";

const LIVE = { ...ALL, from: "live" } as const;
const BACKLOG = { ...ALL, from: "backlog" } as const;

/** Takes whatever a part has, with any hops. */
function takeAll(cursor: Cursor, from: "backlog" | "live", recordCountMax = Infinity): JournalEntry[] {
  const taken: JournalEntry[] = [];
  for (;;) {
    const entries = cursor.take({ ...ALL, recordCountMax: recordCountMax - taken.length, from });
    if (entries.length === 0) return taken;
    taken.push(...entries);
  }
}

Deno.test("a split is there after the end of the process, however it ended, with what was taken of either part", async () => {
  for (const ending of ["closed", "killed"] as const) {
    const disk = new FakeDisk();
    const journal = await openJournal(disk);
    const cursor = journal.cursor("a", "reject");
    for (let id = 1; id <= 6; id++) await journal.append(recordOf(id));
    cursor.split();
    for (let id = 7; id <= 12; id++) await journal.append(recordOf(id));
    const [, , inFlight] = takeAll(cursor, "live", 3);
    for (const entry of takeAll(cursor, "backlog", 2)) cursor.acknowledge(entry, { delivered: entry.itemCount });
    await atRest();
    if (ending === "closed") await journal.close();

    const later = await openJournal(disk.afterKill());
    const again = later.cursor("a", "reject");
    assertBalance(later);
    assert.equal(again.backlog.items, 3 + 4 + 5 + 6);
    assert.equal(again.partOf(inFlight), "live");
    await later.append(recordOf(13));
    assert.deepEqual(takeAll(again, "live").map(idOf), [7, 8, 9, 10, 11, 12, 13]);
    assert.equal(again.totals.redelivered, 7 + 8 + 9, "what was in flight may have arrived");
    assert.deepEqual(takeAll(again, "backlog").map(idOf), [3, 4, 5, 6]);
    assert.equal(again.totals.redelivered, 7 + 8 + 9);
    await later.close();
  }
});

Deno.test("killed at any moment between splits: what was answered is there, each part in its order, and accounts balance", async () => {
  const life = async (disk: FakeDisk, told: { appended: number[]; delivered: number[] }) => {
    const journal = await openJournal(disk, { fsync: "never" });
    const cursor = journal.cursor("a", "reject");
    for (let id = 1; id <= 12; id++) {
      if (await journal.append(recordOf(id)) === "appended") told.appended.push(id);
      if (id % 4 === 0) cursor.split();
      for (const entry of cursor.take({ ...ALL, recordCountMax: 1, from: id % 2 === 0 ? "live" : "backlog" })) {
        cursor.acknowledge(entry, { delivered: entry.itemCount });
        told.delivered.push(idOf(entry));
      }
    }
    await journal.close();
  };
  const whole = new FakeDisk();
  await life(whole, { appended: [], delivered: [] });
  for (let operations = 0; operations <= whole.operationCount; operations++) {
    const disk = new FakeDisk();
    disk.stopAfter(operations);
    const told = { appended: [], delivered: [] } as { appended: number[]; delivered: number[] };
    await untilStopped(disk, life(disk, told));
    const journal = await openJournal(disk.afterKill());
    const cursor = journal.cursor("a", "reject");
    assertBalance(journal);
    for (const part of ["live", "backlog"] as const) {
      const taken = takeAll(cursor, part);
      assert.deepEqual(sequences(taken), sequences(taken).toSorted((a, b) => a - b));
      for (const entry of taken) cursor.acknowledge(entry, { delivered: entry.itemCount });
      told.delivered.push(...taken.map(idOf));
    }
    assertBalance(journal);
    assert.deepEqual([cursor.queued.items, cursor.backlog.items, lostItems(cursor)], [0, 0, 0]);
    const had = new Set(told.delivered);
    assert.deepEqual(told.appended.filter((id) => !had.has(id)), [], `killed after ${operations} operations`);
    await journal.close();
  }
});

Deno.test("a segment that is lost costs each part what it had there, and not an item more", async () => {
  const disk = new FakeDisk();
  const journal = await openJournal(disk);
  const cursor = journal.cursor("a", "reject");
  const paths = new Map<number, string>();
  const append = async (id: number) => {
    await journal.append(recordOf(id));
    paths.set(id, disk.paths.filter((path) => path.endsWith(".segment")).at(-1) ?? "");
  };
  for (let id = 1; id <= 7; id++) await append(id);
  cursor.split();
  for (let id = 8; id <= 14; id++) await append(id);
  for (const part of ["backlog", "live"] as const) {
    const [, second] = takeAll(cursor, part, 3);
    cursor.acknowledge(second, { delivered: second.itemCount });
  }
  cursor.split();
  for (let id = 15; id <= 20; id++) await append(id);
  await atRest();
  const open = [...paths.keys()].filter((id) => id !== 2 && id !== 9);
  const segments = [...new Set(paths.values())];
  assert.ok(segments.length >= 5);
  for (const gone of [...segments.map((path) => [path]), segments.slice(1, 3), segments.slice(2, 5), segments]) {
    const damaged = disk.afterKill();
    for (const path of gone) damaged.delete(path);
    const later = await openJournal(damaged);
    const again = later.cursor("a", "reject");
    assertBalance(later);
    const lost = open.filter((id) => gone.includes(paths.get(id) ?? ""));
    const left = open.filter((id) => !lost.includes(id));
    assert.deepEqual(takeAll(again, "live").map(idOf), left.filter((id) => id > 14), `without ${gone}`);
    assert.deepEqual(takeAll(again, "backlog").map(idOf), left.filter((id) => id <= 14), `without ${gone}`);
    assert.equal(lostItems(again), itemsOf(lost), `without ${gone}`);
    assertBalance(later);
    await later.close();
  }
  await journal.close();
});

Deno.test("segments of either part are deleted as soon as it has passed them", async () => {
  const disk = new FakeDisk();
  const journal = await openJournal(disk, { fsync: "never" });
  const cursor = journal.cursor("a", "reject");
  const segmentCount = () => disk.paths.filter((path) => path.endsWith(".segment")).length;
  for (let id = 1; id <= 12; id++) await journal.append(recordOf(id));
  cursor.split();
  const backlogCount = segmentCount();
  for (let id = 13; id <= 60; id++) {
    await journal.append(recordOf(id));
    for (const entry of takeAll(cursor, "live")) cursor.acknowledge(entry, { delivered: entry.itemCount });
  }
  await atRest();
  assert.ok(segmentCount() <= backlogCount + 1, "what is live passes, whatever the backlog keeps");
  for (const entry of cursor.take({ ...BACKLOG, recordCountMax: 2 })) {
    cursor.acknowledge(entry, { delivered: entry.itemCount });
  }
  assert.deepEqual(drain(cursor), [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  await atRest();
  assert.equal(segmentCount(), 1);
  assertBalance(journal);
  await journal.close();
});

Deno.test("what is too old expires in either part", async () => {
  const clock = new FakeClock();
  const journal = await openJournal(new FakeDisk(), { recordAgeMaxMs: 1000 }, clock);
  const cursor = journal.cursor("a", "reject");
  const append = () => journal.append({ ...recordOf(1), receivedAtMs: clock.wallMs() });
  await append();
  cursor.split();
  await append();
  await clock.advance(600);
  await append();
  await clock.advance(500);
  assert.deepEqual(sequences(cursor.take(LIVE)), [2]);
  assert.deepEqual(cursor.take(BACKLOG), []);
  assert.deepEqual(cursor.totals.dropped, { expired: 2 });
  assertBalance(journal);
  await journal.close();
});

Deno.test("a cursor's file of before there were splits is read: one frontier, and each open entry named", async () => {
  const disk = new FakeDisk();
  const journal = await openJournal(disk, { segmentBytesMax: 65_536 });
  journal.cursor("a", "reject");
  for (let id = 1; id <= 6; id++) await journal.append(recordOf(id, 36));
  await journal.close();
  const position = (id: number) => [1, 2, 3, 4, 5].filter((before) => before < id).length * 100 + (id > 3 ? 3 : 0);
  const point = (
    id: number,
  ) => [id - 1, itemsOf(Array.from({ length: id - 1 }, (_, index) => index + 1)), position(id)];
  // 2 was in flight, 3 was given back, 1 and 4 were delivered, and 5 and 6 were never taken.
  const value = {
    name: "a",
    onFull: "reject",
    frontier: point(5),
    unsettled: [[...point(2), 2, 0, 36, 1002, 1], [...point(3), 3, 3, 36, 1003, 0]],
    totals: { delivered: 5, rejected: {}, quarantined: 0, dropped: {}, redelivered: 0 },
    discardedBefore: {},
  };
  disk.damage(`${STREAM_FOLDER}/${cursorFileName("a")}`, encodeSlot({ generation: 100, value }));
  const later = await openJournal(disk.afterKill());
  const cursor = later.cursor("a", "reject");
  assertBalance(later);
  assert.equal(cursor.backlog.items, 0);
  assert.deepEqual(drain(cursor), [2, 3, 5, 6]);
  assert.equal(cursor.totals.redelivered, 2);
  assert.equal(lostItems(cursor), 0);
  assertBalance(later);
  await later.close();
});

Deno.test("a cursor whose file names as many stretches as it can goes on, one entry at a time until there are fewer", async () => {
  const disk = new FakeDisk();
  const options = { fsync: "never", segmentBytesMax: 2 ** 24 } as const;
  const journal = await openJournal(disk, options);
  const cursor = journal.cursor("a", "reject");
  const recordCount = 2 * UNSETTLED_COUNT_MAX + 10;
  const record = { payload: new Uint8Array(1), itemCount: 1, receivedAtMs: 0, hops: "" };
  await Promise.all(Array.from({ length: recordCount }, () => journal.append(record)));
  for (let kept = 0; kept < UNSETTLED_COUNT_MAX;) {
    for (const entry of cursor.take(ALL)) {
      if (entry.sequence % 2 === 0 && kept < UNSETTLED_COUNT_MAX) kept++;
      else cursor.acknowledge(entry, { delivered: 1 });
    }
  }
  await atRest();
  assert.equal(journal.health.isWell, true, "it fits into its slot");
  const later = await openJournal(disk.afterKill(), options);
  const again = later.cursor("a", "reject");
  const first = again.take(ALL);
  assert.equal(first.length, 1);
  assert.deepEqual(again.take(ALL), []);
  again.acknowledge(first[0], { delivered: 1 });
  await again.untilSomethingWaits(AbortSignal.timeout(60_000));
  for (let entries = again.take(ALL); entries.length > 0; entries = again.take(ALL)) {
    for (const entry of entries) again.acknowledge(entry, { delivered: 1 });
  }
  assert.equal(again.totals.delivered, recordCount);
  assertBalance(later);
  await later.close();
});

Deno.test("a backlog that cannot be read does not hold up what is live, and is stepped over in the end all the same", async () => {
  const disk = new FakeDisk();
  const clock = new FakeClock();
  const journal = await openJournal(disk, { fsync: "never", retryMs: 1000 }, clock);
  const cursor = journal.cursor("a", "reject");
  for (let id = 1; id <= 12; id++) await journal.append(recordOf(id));
  cursor.split();
  const [first] = disk.paths.filter((path) => path.endsWith(".segment"));
  disk.failWith = (operation, path) => operation === "read" && path.startsWith(first) ? "EIO" : undefined;
  for (let attempt = 0; attempt < 3; attempt++) {
    assert.deepEqual(cursor.take(BACKLOG), []);
    assert.equal(lostItems(cursor), 0);
    const woken: string[] = [];
    const never = new AbortController().signal;
    const wait = (name: string) => void cursor.untilSomethingWaits(never).then(() => woken.push(name));
    wait("live");
    await atRest();
    assert.deepEqual(woken, []);
    await journal.append(recordOf(13 + attempt));
    await atRest();
    assert.deepEqual(woken, ["live"]);
    assert.deepEqual(takeAll(cursor, "live").map(idOf), [13 + attempt]);
    wait("backlog");
    await clock.advance(999);
    assert.deepEqual(woken, ["live"]);
    await clock.advance(1);
    assert.deepEqual(woken, ["live", "backlog"], "it is tried again");
  }
  const left = takeAll(cursor, "backlog").map(idOf);
  assert.ok(left.length > 0);
  assert.equal(lostItems(cursor), itemsOf([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].filter((id) => !left.includes(id))));
  assertBalance(journal);
  await journal.close();
});
