import assert from "node:assert/strict";
import { FakeClock } from "../../fakes/clock.ts";
import { settled } from "../../model/journal_model.ts";
import { ALL, type DeclareTest, type JournalUnderTest, PLENTY, record } from "./conformance_fixture.ts";

/** What becomes of records that wait too long. */
export function ageConformance(test: DeclareTest, { make }: JournalUnderTest): void {
  test("a record that is older than the limit is dropped as expired when it would be taken, in flight it is not", async () => {
    const clock = new FakeClock();
    const journal = await make({ bytesMax: PLENTY, itemsMax: 100, recordAgeMaxMs: 1000, clock });
    const cursor = journal.cursor("a", "reject");
    const append = (itemCount: number) => journal.append(record(itemCount, { receivedAtMs: clock.wallMs() }));
    await append(1);
    await append(2);
    const [inFlight] = cursor.take({ ...ALL, recordCountMax: 1 });
    await clock.advance(1000);
    await append(4);
    const [second] = cursor.take({ ...ALL, recordCountMax: 1 });
    assert.equal(second.itemCount, 2, "1000 ms is not older than 1000 ms");
    cursor.release([second]);
    await clock.advance(1);
    assert.deepEqual(cursor.take(ALL).map(({ itemCount }) => itemCount), [4]);
    assert.deepEqual(cursor.totals.dropped, { expired: 2 });
    cursor.acknowledge(inFlight, { delivered: 1 });
    assert.equal(settled(cursor.totals) + cursor.queued.items, journal.acceptedItems);
    await journal.close();
  });

  test("what is too old makes room for what is new, also where nobody takes anything", async () => {
    const clock = new FakeClock();
    const journal = await make({ bytesMax: PLENTY, itemsMax: 10, recordAgeMaxMs: 1000, clock });
    const cursors = [journal.cursor("a", "reject"), journal.cursor("b", "reject")];
    const append = (itemCount: number) => journal.append(record(itemCount, { receivedAtMs: clock.wallMs() }));
    assert.equal(await append(7), "appended");
    await clock.advance(600);
    assert.equal(await append(3), "appended");
    assert.equal(await append(1), "queue_full");
    await clock.advance(401);
    assert.equal(await append(7), "appended");
    for (const cursor of cursors) {
      assert.deepEqual([cursor.totals.dropped, cursor.queued.items], [{ expired: 7 }, 10]);
    }
    await journal.close();
  });
}
