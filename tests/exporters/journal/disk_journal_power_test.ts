import assert from "node:assert/strict";
import type { Cursor } from "../../../exporters/journal/journal.ts";
import type { FsyncPolicy } from "../../../exporters/journal/writer.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { seededRandom } from "../../fakes/random.ts";
import {
  ALL,
  assertBalance,
  drain,
  idOf,
  lostItems,
  openJournal,
  recordOf,
  untilStopped,
} from "./disk_journal_fixture.ts";

/** What the world was told before the power was gone. */
interface Told {
  readonly appendedAtMs: Map<number, number>;
  readonly delivered: number[];
  /** When the disk was last seen to answer. */
  livedUntilMs: number;
}

const RECORD_COUNT = 12;
const RECORD_INTERVAL_MS = 30;
const FSYNC_INTERVAL_MS = 100;

/**
 * Time up to the next record. It ends with the power: what is synced in the background does not hold up the others.
 *
 * @returns Whether the disk answers still.
 */
async function passTime(disk: FakeDisk, clock: FakeClock): Promise<boolean> {
  for (let step = 0; step < 3 && !disk.isStopped; step++) await clock.advance(RECORD_INTERVAL_MS / 3);
  return !disk.isStopped;
}

/** Appends, takes and delivers for a while, one record after the other. */
async function live(disk: FakeDisk, clock: FakeClock, fsync: FsyncPolicy, told: Told): Promise<void> {
  const journal = await openJournal(disk, { fsync, fsyncIntervalMs: FSYNC_INTERVAL_MS }, clock);
  const cursor = journal.cursor("a", "reject");
  for (let id = 1; id <= RECORD_COUNT; id++) {
    if (await journal.append(recordOf(id)) === "appended") told.appendedAtMs.set(id, clock.nowMs());
    if (!await passTime(disk, clock)) return;
    if (id % 4 !== 0) continue;
    for (const entry of cursor.take({ ...ALL, recordCountMax: 3 })) {
      cursor.acknowledge(entry, { delivered: entry.itemCount });
      told.delivered.push(idOf(entry));
    }
  }
  await journal.close();
}

/** Takes the power away after each operation in turn, and looks at what is left in several ways in which it may be. */
async function losePower(
  fsync: FsyncPolicy,
  check: (told: Told, had: ReadonlySet<number>, cursor: Cursor, where: string, atMs: number) => void,
): Promise<void> {
  const whole = new FakeDisk();
  await live(whole, new FakeClock(), fsync, { appendedAtMs: new Map(), delivered: [], livedUntilMs: 0 });
  for (let operations = 0; operations <= whole.operationCount; operations++) {
    const disk = new FakeDisk();
    const clock = new FakeClock();
    const told: Told = { appendedAtMs: new Map(), delivered: [], livedUntilMs: 0 };
    disk.stopAfter(operations);
    await untilStopped(disk, live(disk, clock, fsync, told));
    for (let seed = 0; seed < 3; seed++) {
      const where = `after ${operations} operations, seed ${seed}`;
      const journal = await openJournal(disk.afterPowerLoss(seededRandom(operations * 3 + seed)));
      const cursor = journal.cursor("a", "reject");
      assertBalance(journal);
      const ids = drain(cursor);
      assertBalance(journal);
      assert.deepEqual(ids, ids.toSorted((a, b) => a - b), where);
      assert.equal(new Set(ids).size, ids.length, where);
      check(told, new Set([...told.delivered, ...ids]), cursor, where, clock.nowMs());
      assert.equal(await journal.append(recordOf(99)), "appended", where);
      assert.deepEqual(drain(cursor), [99], where);
      await journal.close();
    }
  }
}

Deno.test("after a loss of power at any moment nothing is lost that was answered, with fsync commit", async () => {
  await losePower("commit", (told, had, cursor, where) => {
    assert.deepEqual([...told.appendedAtMs.keys()].filter((id) => !had.has(id)), [], where);
    assert.deepEqual(cursor.totals.dropped, {}, `${where}: nothing is gone that is still wanted`);
  });
});

Deno.test("after a loss of power at any moment at most the last interval is lost, with fsync interval", async () => {
  let lostCount = 0;
  await losePower("interval", (told, had, _cursor, where, atMs) => {
    const lost = [...told.appendedAtMs].filter(([id]) => !had.has(id));
    lostCount += lost.length;
    assert.deepEqual(lost.filter(([, appendedAtMs]) => appendedAtMs + FSYNC_INTERVAL_MS < atMs), [], where);
  });
  assert.ok(lostCount > 0, "a disk that loses nothing shows nothing");
});

Deno.test("after a loss of power at any moment it starts, serves and balances, also with fsync never", async () => {
  await losePower("never", () => {});
});

Deno.test("what a killed process has written is durable as soon as the next one has opened the journal", async () => {
  const disk = new FakeDisk();
  const killed = await openJournal(disk, { fsync: "interval" });
  killed.cursor("a", "reject");
  for (let id = 1; id <= 3; id++) await killed.append(recordOf(id));
  await openJournal(disk);
  for (let seed = 0; seed < 20; seed++) {
    const later = await openJournal(disk.afterPowerLoss(seededRandom(seed)));
    assert.deepEqual(drain(later.cursor("a", "reject")), [1, 2, 3]);
  }
});

/** A life with everything in it: a cursor that is slow and full, entries given back, items discarded, an fsync that fails. */
async function liveFully(
  disk: FakeDisk,
  clock: FakeClock,
  fsync: FsyncPolicy,
  firstId: number,
  told: Told,
): Promise<void> {
  const options = { fsync, fsyncIntervalMs: FSYNC_INTERVAL_MS, bytesMax: 1200 };
  const journal = await openJournal(disk, options, clock);
  const cursor = journal.cursor("a", "reject");
  const slow = journal.cursor("b", "drop_oldest");
  let failures = 0;
  for (let id = firstId; id < firstId + RECORD_COUNT; id++) {
    if (await journal.append(recordOf(id)) === "appended") told.appendedAtMs.set(id, clock.nowMs());
    if (id === firstId + 6) {
      disk.failWith = (operation, path) =>
        operation === "sync" && path.includes(".segment") && failures++ < 1 ? "EIO" : undefined;
    }
    if (!await passTime(disk, clock)) return;
    told.livedUntilMs = clock.nowMs();
    if (id % 3 !== 0) continue;
    journal.discard(2, "sampled");
    const [first, ...others] = cursor.take({ ...ALL, recordCountMax: 3 });
    for (const entry of others) {
      told.delivered.push(idOf(entry));
      cursor.acknowledge(entry, { delivered: entry.itemCount });
    }
    if (first !== undefined) cursor.release([first]);
    const [other] = slow.take({ ...ALL, recordCountMax: 1 });
    if (other !== undefined) slow.acknowledge(other, { quarantined: other.itemCount });
  }
  await journal.close();
}

for (const fsync of ["commit", "interval", "never"] as const) {
  Deno.test(`P2-16 through two losses of power, each at any moment, no more is lost than fsync ${fsync} says, and every account balances`, async () => {
    const whole = new FakeDisk();
    await liveFully(whole, new FakeClock(), fsync, 1, { appendedAtMs: new Map(), delivered: [], livedUntilMs: 0 });
    for (let seed = 0; seed < 400; seed++) {
      const random = seededRandom(seed);
      const told: Told = { appendedAtMs: new Map(), delivered: [], livedUntilMs: 0 };
      const mustBeThere = new Set<number>();
      let disk = new FakeDisk();
      for (const firstId of [1, 101]) {
        const clock = new FakeClock();
        disk.stopAfter(Math.floor(random() * (whole.operationCount + 10)));
        told.appendedAtMs.clear();
        told.livedUntilMs = 0;
        await untilStopped(disk, liveFully(disk, clock, fsync, firstId, told));
        const mayLoseFromMs = told.livedUntilMs - FSYNC_INTERVAL_MS;
        for (const [id, appendedAtMs] of told.appendedAtMs) {
          if (fsync === "commit" || (fsync === "interval" && appendedAtMs < mayLoseFromMs)) mustBeThere.add(id);
        }
        disk = disk.afterPowerLoss(random);
      }
      const journal = await openJournal(disk, { bytesMax: 1200 });
      const cursors = [journal.cursor("a", "reject"), journal.cursor("b", "drop_oldest")];
      assertBalance(journal);
      const had = new Set([...drain(cursors[0]), ...told.delivered]);
      drain(cursors[1]);
      assertBalance(journal);
      assert.deepEqual([...mustBeThere].filter((id) => !had.has(id)), [], `seed ${seed}`);
      if (fsync === "commit") { for (const cursor of cursors) assert.equal(lostItems(cursor), 0, `seed ${seed}`); }
      assert.equal(await journal.append(recordOf(99)), "appended", `seed ${seed}`);
      for (const cursor of cursors) assert.deepEqual(drain(cursor), [99], `seed ${seed}`);
      await journal.close();
    }
  });
}
