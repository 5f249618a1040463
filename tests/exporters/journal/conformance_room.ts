import assert from "node:assert/strict";
import { sequences } from "../../model/journal_model.ts";
import { ALL, type DeclareTest, type JournalUnderTest, PLENTY, record, withItems } from "./conformance_fixture.ts";

/** What is taken, refused and dropped when there is no room. */
export function roomConformance(test: DeclareTest, journalUnderTest: JournalUnderTest): void {
  const { make, recordOverheadBytes } = journalUnderTest;

  test("P2-02 all or nothing: 50 and 60 items into 100, the 60 are refused and the 50 stay", async () => {
    const journal = await withItems(journalUnderTest, 100);
    const cursor = journal.cursor("a", "reject");
    assert.equal(await journal.append(record(50)), "appended");
    assert.equal(await journal.append(record(60)), "queue_full");
    assert.equal(journal.acceptedItems, 50);
    assert.equal(cursor.queued.items, 50);
    assert.equal(await journal.append(record(50)), "appended", "exactly full is not too full");
    await journal.close();
  });

  test("P2-02 150 writers at once into 100: exactly 100 are taken, and after a take and a settlement others again", async () => {
    const journal = await withItems(journalUnderTest, 100);
    const cursor = journal.cursor("a", "reject");
    const answers = await Promise.all(Array.from({ length: 150 }, () => journal.append(record(1))));
    assert.equal(answers.filter((answer) => answer === "appended").length, 100);
    assert.equal(answers.filter((answer) => answer === "queue_full").length, 50);
    const entries = cursor.take(ALL);
    assert.equal(entries.length, 100);
    assert.equal(await journal.append(record(1)), "queue_full", "what is in flight takes room");
    cursor.acknowledge(entries[0], { delivered: 1 });
    assert.equal(await journal.append(record(1)), "appended");
    assert.equal(await journal.append(record(1)), "queue_full");
    await journal.close();
  });

  test("P2-02 a record larger than the whole queue is too large, however empty the queue and whatever its cursors", async () => {
    const bytesMax = 1000 + recordOverheadBytes;
    for (const onFull of ["reject", "drop_oldest"] as const) {
      const journal = await make({ bytesMax, itemsMax: 100 });
      const cursor = journal.cursor("a", onFull);
      assert.equal(await journal.append(record(101)), "too_large");
      assert.equal(await journal.append(record(1, { bytes: 1001 })), "too_large");
      assert.equal(journal.acceptedItems, 0);
      assert.equal(await journal.append(record(100, { bytes: 1000 })), "appended");
      assert.equal(cursor.queued.items, 100);
      await journal.close();
    }
  });

  test("bytes are bounded like items", async () => {
    const journal = await make({ bytesMax: 2 * (100 + recordOverheadBytes), itemsMax: PLENTY });
    const cursor = journal.cursor("a", "reject");
    assert.equal(await journal.append(record(1, { bytes: 100 })), "appended");
    assert.equal(await journal.append(record(1, { bytes: 101 })), "queue_full");
    assert.equal(await journal.append(record(1, { bytes: 100 })), "appended");
    assert.equal(cursor.queued.bytes, 2 * (100 + recordOverheadBytes));
    await journal.close();
  });

  test("a full cursor that drops its oldest holds nobody back", async () => {
    const journal = await withItems(journalUnderTest, 3);
    const kept = journal.cursor("kept", "reject");
    const dropping = journal.cursor("dropping", "drop_oldest");
    for (let index = 0; index < 10; index++) {
      assert.equal(await journal.append(record(1)), "appended");
      for (const entry of kept.take(ALL)) kept.acknowledge(entry, { delivered: 1 });
    }
    assert.equal(kept.totals.delivered, 10);
    assert.deepEqual(dropping.totals.dropped, { queue_full: 7 });
    assert.deepEqual(sequences(dropping.take(ALL)), [7, 8, 9]);
    await journal.close();
  });

  test("what is in flight is never dropped: the oldest that waits is, and the new one when all are in flight", async () => {
    const journal = await withItems(journalUnderTest, 3);
    const cursor = journal.cursor("a", "drop_oldest");
    for (let index = 0; index < 3; index++) await journal.append(record(1));
    const inFlight = [...cursor.take({ ...ALL, recordCountMax: 2 })];
    assert.equal(await journal.append(record(1)), "appended");
    assert.deepEqual(cursor.totals.dropped, { queue_full: 1 });
    inFlight.push(...cursor.take(ALL));
    assert.deepEqual(sequences(inFlight), [0, 1, 3]);
    assert.equal(await journal.append(record(1)), "appended");
    assert.deepEqual(cursor.totals.dropped, { queue_full: 2 });
    assert.deepEqual(cursor.take(ALL), []);
    cursor.acknowledge(inFlight[0], { delivered: 1 });
    await journal.append(record(1));
    assert.deepEqual(sequences(cursor.take(ALL)), [5]);
    await journal.close();
  });

  test("one full cursor that refuses makes append refuse for all, and nobody loses anything", async () => {
    const journal = await withItems(journalUnderTest, 2);
    journal.cursor("refusing", "reject");
    const dropping = journal.cursor("dropping", "drop_oldest");
    await journal.append(record(2));
    assert.equal(await journal.append(record(1)), "queue_full");
    assert.equal(dropping.queued.items, 2);
    assert.deepEqual(dropping.totals.dropped, {});
    assert.equal(journal.acceptedItems, 2);
    await journal.close();
  });
}
