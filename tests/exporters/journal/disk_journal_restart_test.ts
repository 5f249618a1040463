import assert from "node:assert/strict";
import fc from "fast-check";
import { RECORD_HEAD_BYTES } from "../../../exporters/journal/format.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { assertSameAccount, JournalModel } from "../../model/journal_model.ts";
import {
  ALL,
  assertBalance,
  atRest,
  drain,
  idOf,
  lostItems,
  openJournal,
  recordOf,
  untilStopped,
} from "./disk_journal_fixture.ts";
import { CURSORS, play, step } from "./conformance_program.ts";

Deno.test("P2-16 what was accepted, settled, given back and discarded is there after the end of the process, however it ended", async () => {
  for (const ending of ["closed", "killed"] as const) {
    const disk = new FakeDisk();
    const journal = await openJournal(disk);
    const cursor = journal.cursor("a", "reject");
    for (let id = 1; id <= 6; id++) assert.equal(await journal.append(recordOf(id)), "appended");
    const taken = cursor.take({ ...ALL, recordCountMax: 2 });
    const [, , third] = [...taken, ...cursor.take({ ...ALL, recordCountMax: 2 })];
    cursor.acknowledge(taken[1], { delivered: 1, rejected: { http_400: 1 } });
    cursor.release([taken[0]]);
    cursor.countRedelivered(7);
    journal.discard(5, "sampled");
    await atRest();
    if (ending === "closed") await journal.close();

    const later = await openJournal(disk.afterKill());
    assert.equal(later.acceptedItems, 26);
    const again = later.cursor("a", "drop_oldest");
    assert.equal(again.onFull, "drop_oldest", "that is a setting, and may have been changed");
    assert.equal(again.queued.items, 19);
    assert.equal(again.queued.oldestReceivedAtMs, 1001);
    assert.deepEqual(again.totals, {
      delivered: 1,
      rejected: { http_400: 1 },
      quarantined: 0,
      dropped: { sampled: 5 },
      redelivered: 7,
    });
    assert.deepEqual(drain(again), [1, 3, 4, 5, 6]);
    assert.equal(again.totals.redelivered, 7 + third.itemCount, "what was in flight may have arrived");
    assertBalance(later);
    await later.close();
  }
});

Deno.test("what may have been delivered stays so through processes that never came to it", async () => {
  let disk = new FakeDisk();
  for (let life = 0; life < 4; life++) {
    const journal = await openJournal(disk);
    const cursor = journal.cursor("a", "reject");
    if (life === 0) {
      await journal.append(recordOf(1));
      cursor.take(ALL);
    } else cursor.countRedelivered(0); // Its place is written again.
    await atRest();
    disk = disk.afterKill();
  }
  const last = await openJournal(disk);
  const cursor = last.cursor("a", "reject");
  assert.equal(cursor.totals.redelivered, 0);
  assert.deepEqual(drain(cursor), [1]);
  assert.equal(cursor.totals.redelivered, 1);
  await last.close();
});

Deno.test("P2-03 through any number of ends and restarts it agrees with the model, and every account balances", async () => {
  const program = fc.array(
    fc.record({
      steps: fc.array(step, { minLength: 10, maxLength: 40, size: "max" }),
      ending: fc.constantFrom("closed", "killed"),
    }),
    { minLength: 2, maxLength: 5, size: "max" },
  );
  await fc.assert(
    fc.asyncProperty(program, fc.constantFrom("never", "interval", "commit"), async (lives, fsync) => {
      const bytesMax = 12 * (20 + RECORD_HEAD_BYTES);
      const model = new JournalModel(bytesMax, 30, CURSORS);
      let disk = new FakeDisk();
      for (const { steps, ending } of lives) {
        const journal = await openJournal(disk, { bytesMax, itemsMax: 30, fsync });
        assertSameAccount(journal, model);
        await play(steps, journal, model, (hops) => RECORD_HEAD_BYTES + hops.length);
        await atRest();
        if (ending === "closed") await journal.close();
        disk = disk.afterKill();
        for (const cursor of model.cursors) cursor.restart();
      }
    }),
    { numRuns: 60 },
  );
});

Deno.test("killed at any moment: what was answered is there, what was not is there whole or not at all, and accounts balance", async () => {
  const life = async (disk: FakeDisk, told: Told) => {
    const journal = await openJournal(disk, { fsync: "never" });
    const cursor = journal.cursor("a", "reject");
    for (let id = 1; id <= 12; id++) {
      if (await journal.append(recordOf(id)) === "appended") told.appended.push(id);
      if (id % 3 !== 0) continue;
      for (const entry of cursor.take({ ...ALL, recordCountMax: 2 })) {
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
    const told: Told = { appended: [], delivered: [] };
    await untilStopped(disk, life(disk, told));
    const journal = await openJournal(disk.afterKill());
    const cursor = journal.cursor("a", "reject");
    assertBalance(journal);
    const ids = drain(cursor);
    assertBalance(journal);
    assert.deepEqual(ids, ids.toSorted((a, b) => a - b));
    assert.equal(lostItems(cursor), 0);
    const had = new Set([...told.delivered, ...ids]);
    assert.deepEqual(told.appended.filter((id) => !had.has(id)), [], `killed after ${operations} operations`);
    await journal.close();
  }
});

/** What the world was told by a process before it ended. */
interface Told {
  readonly appended: number[];
  readonly delivered: number[];
}
