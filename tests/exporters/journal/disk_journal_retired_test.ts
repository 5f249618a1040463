import assert from "node:assert/strict";
import { FakeClock } from "../../fakes/clock.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { ALL, assertBalance, atRest, drain, itemsOf, openJournal, recordOf } from "./disk_journal_fixture.ts";

Deno.test("a retired cursor keeps what waited for it, gets nothing new, and is there again when it is opened by name", async () => {
  const disk = new FakeDisk();
  const before = await openJournal(disk);
  before.cursor("away", "reject");
  for (const id of [1, 2, 3]) await before.append(recordOf(id));
  await before.close();

  const meanwhile = await openJournal(disk, { fsync: "commit" });
  const here = meanwhile.cursor("here", "reject");
  const [away, ...others] = meanwhile.retireOthers();
  assert.deepEqual([away.name, others.length], ["away", 0]);
  assert.equal(away.queued.items, 6);
  for (let id = 4; id <= 30; id++) {
    assert.equal(await meanwhile.append(recordOf(id)), "appended");
    assert.deepEqual(drain(here), [id]);
  }
  meanwhile.discard(5, "sampled");
  await atRest();
  assertBalance(meanwhile);
  assert.equal(away.queued.items, 6);
  assert.deepEqual(away.totals.dropped, { no_destination: itemsOf(range(4, 30)), sampled: 5 });
  assert.ok(meanwhile.health.diskBytes < 3 * 512, "what nobody waits for is let go of, also behind what waits");
  await meanwhile.close();

  const later = await openJournal(disk);
  const back = later.cursor("away", "reject");
  await later.append(recordOf(31));
  assert.deepEqual(drain(back), [1, 2, 3, 31]);
  assert.deepEqual(back.totals.dropped, { no_destination: itemsOf(range(4, 30)), sampled: 5 });
  assertBalance(later);
  await later.close();
});

Deno.test("a retired cursor that is full holds nobody back, and its records grow too old like all others", async () => {
  const disk = new FakeDisk();
  const clock = new FakeClock();
  const options = { itemsMax: 10, recordAgeMaxMs: 1000 };
  const before = await openJournal(disk, options, clock);
  before.cursor("away", "reject");
  assert.equal(await before.append({ ...recordOf(10), receivedAtMs: clock.wallMs() }), "appended");
  await before.close();

  const journal = await openJournal(disk, options, clock);
  const [away] = journal.retireOthers();
  assert.equal(await journal.append({ ...recordOf(4), receivedAtMs: clock.wallMs() }), "appended");
  assert.deepEqual(away.take(ALL).map(({ itemCount }) => itemCount), [10]);
  assertBalance(journal);
  await journal.close();

  const later = await openJournal(disk, options, clock);
  const [still] = later.retireOthers();
  await clock.advance(1001);
  await later.append({ ...recordOf(3), receivedAtMs: clock.wallMs() });
  assert.deepEqual(still.totals.dropped, { no_destination: 7, expired: 10 });
  assertBalance(later);
  await later.close();
});

Deno.test("whenever a journal with a retired cursor is killed, its account balances and nothing that waited is gone", async () => {
  for (let stopAfter = 1; stopAfter < 60; stopAfter += 3) {
    const disk = new FakeDisk();
    const before = await openJournal(disk);
    before.cursor("away", "reject");
    await before.append(recordOf(7));
    await before.close();
    const journal = await openJournal(disk);
    journal.retireOthers();
    disk.stopAfter(stopAfter);
    void journal.append(recordOf(1)).then(() => journal.append(recordOf(2)));
    await atRest();
    const later = await openJournal(disk.afterKill());
    assertBalance(later);
    assert.equal(drain(later.cursor("away", "reject"))[0], 7);
    assertBalance(later);
    await later.close();
  }
});

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
