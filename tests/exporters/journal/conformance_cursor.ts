import assert from "node:assert/strict";
import type { Cursor, JournalEntry } from "../../../exporters/journal/journal.ts";
import { settle } from "../../fakes/clock.ts";
import { sequences, settled } from "../../model/journal_model.ts";
import { ALL, type DeclareTest, type JournalUnderTest, record, withItems } from "./conformance_fixture.ts";

/** What cursors hand out, and what becomes of it. */
export function cursorConformance(test: DeclareTest, journalUnderTest: JournalUnderTest): void {
  test("a record is taken as it was appended, and settled in the account", async () => {
    const journal = await withItems(journalUnderTest, 100);
    const cursor = journal.cursor("a", "reject");
    const payload = new Uint8Array([1, 2, 3]);
    assert.equal(await journal.append({ payload, itemCount: 4, receivedAtMs: 1234, hops: "x" }), "appended");
    assert.equal(cursor.queued.items, 4);
    assert.equal(cursor.queued.oldestReceivedAtMs, 1234);
    const [entry] = cursor.take(ALL);
    assert.deepEqual({ ...entry, payload: [...entry.payload] }, {
      payload: [1, 2, 3],
      itemCount: 4,
      receivedAtMs: 1234,
      hops: "x",
      sequence: 0,
    });
    cursor.acknowledge(entry, { delivered: 1, rejected: { http_400: 1 }, quarantined: 1, dropped: { expired: 1 } });
    assert.deepEqual(cursor.totals, {
      delivered: 1,
      rejected: { http_400: 1 },
      quarantined: 1,
      dropped: { expired: 1 },
      redelivered: 0,
    });
    assert.deepEqual(cursor.queued, { items: 0, bytes: 0, oldestReceivedAtMs: undefined });
    await journal.close();
  });

  test("P2-03 eight takers and eight writers at once: every record is had exactly once", async () => {
    const journal = await withItems(journalUnderTest, 64);
    const cursor = journal.cursor("a", "reject");
    const seen: number[] = [];
    let writersLeft = 8;
    const done = new AbortController();
    const write = async () => {
      for (let written = 0; written < 200;) {
        if (await journal.append(record(1)) === "appended") written++;
        else await settle(1);
      }
      if (--writersLeft === 0) done.abort();
    };
    const drain = async () => {
      for (;;) {
        await cursor.untilSomethingWaits(done.signal);
        const entries = cursor.take({ ...ALL, recordCountMax: 3 });
        if (entries.length === 0 && done.signal.aborted) return;
        await settle(1);
        for (const entry of entries) {
          seen.push(entry.sequence);
          cursor.acknowledge(entry, { delivered: 1 });
        }
      }
    };
    await Promise.all([...Array.from({ length: 8 }, write), ...Array.from({ length: 8 }, drain)]);
    assert.deepEqual(seen.sort((a, b) => a - b), Array.from({ length: 1600 }, (_, index) => index));
    assert.equal(cursor.totals.delivered, 1600);
    assert.equal(cursor.queued.items, 0);
    await journal.close();
  });

  test("cursors are independent: each has every record, and settles it in its own account", async () => {
    const journal = await withItems(journalUnderTest, 100);
    const a = journal.cursor("a", "reject");
    const b = journal.cursor("b", "drop_oldest");
    assert.deepEqual(journal.cursors.map((cursor) => cursor.name), ["a", "b"]);
    assert.equal(journal.cursor("a", "reject"), a, "a name is one cursor");
    assert.throws(() => journal.cursor("a", "drop_oldest"), RangeError);
    await journal.append(record(2));
    const [entry] = a.take(ALL);
    a.acknowledge(entry, { delivered: 2 });
    assert.equal(a.queued.items, 0);
    assert.equal(b.queued.items, 2);
    const [sameEntry] = b.take(ALL);
    assert.deepEqual(sameEntry.payload, entry.payload);
    b.acknowledge(sameEntry, { dropped: { shutdown: 2 } });
    assert.equal(a.totals.delivered, 2);
    assert.deepEqual(b.totals.dropped, { shutdown: 2 });
    await journal.close();
  });

  test("take keeps to its limits, but gives the first entry even if it alone is larger", async () => {
    const journal = await withItems(journalUnderTest, 1000);
    const cursor = journal.cursor("a", "reject");
    for (let index = 0; index < 6; index++) await journal.append(record(10, { bytes: 100 }));
    assert.deepEqual(sequences(cursor.take({ recordCountMax: 2, itemCountMax: 1000, bytesMax: 1000 })), [0, 1]);
    assert.deepEqual(sequences(cursor.take({ recordCountMax: 9, itemCountMax: 20, bytesMax: 1000 })), [2, 3]);
    assert.deepEqual(sequences(cursor.take({ recordCountMax: 9, itemCountMax: 1000, bytesMax: 199 })), [4]);
    assert.deepEqual(sequences(cursor.take({ recordCountMax: 9, itemCountMax: 1, bytesMax: 1 })), [5]);
    assert.deepEqual(cursor.take(ALL), []);
    await journal.close();
  });

  test("records that came over different hops are not taken together", async () => {
    const journal = await withItems(journalUnderTest, 1000);
    const cursor = journal.cursor("a", "reject");
    for (const hops of ["", "", "x", "x", ""]) await journal.append(record(1, { hops }));
    assert.deepEqual(sequences(cursor.take(ALL)), [0, 1]);
    assert.deepEqual(sequences(cursor.take(ALL)), [2, 3]);
    assert.deepEqual(sequences(cursor.take(ALL)), [4]);
    await journal.close();
  });

  test("entries are acknowledged in any order, and what is given back is taken again first, in its old order", async () => {
    const journal = await withItems(journalUnderTest, 1000);
    const cursor = journal.cursor("a", "reject");
    for (let index = 0; index < 8; index++) await journal.append(record(1, { receivedAtMs: 100 + index }));
    const taken = cursor.take({ ...ALL, recordCountMax: 6 });
    cursor.acknowledge(taken[3], { delivered: 1 });
    cursor.acknowledge(taken[0], { delivered: 1 });
    assert.equal(cursor.queued.oldestReceivedAtMs, 101, "what is in flight counts as waiting");
    cursor.release([taken[5], taken[1]]);
    cursor.release([taken[4], taken[2]]);
    assert.deepEqual(sequences(cursor.take({ ...ALL, recordCountMax: 3 })), [1, 2, 4]);
    assert.deepEqual(sequences(cursor.take(ALL)), [5, 6, 7]);
    assert.equal(cursor.totals.delivered, 2);
    assert.equal(cursor.queued.items, 6);
    await journal.close();
  });

  test("an entry settled twice, given back already, never taken, or of another cursor is a caller's mistake", async () => {
    const journal = await withItems(journalUnderTest, 100);
    const a = journal.cursor("a", "reject");
    const b = journal.cursor("b", "reject");
    await journal.append(record(2));
    await journal.append(record(2));
    const [first, second] = a.take(ALL);
    a.acknowledge(first, { delivered: 2 });
    a.release([second]);
    for (const [cursor, entry] of [[a, first], [a, second], [b, first]] as [Cursor, JournalEntry][]) {
      assert.throws(() => cursor.acknowledge(entry, { delivered: 2 }), RangeError);
      assert.throws(() => cursor.release([entry]), RangeError);
    }
    const [again] = a.take(ALL);
    assert.throws(() => a.release([again, first]), RangeError);
    a.acknowledge(again, { delivered: 2 }); // A release that failed gave nothing back.
    assert.equal(a.totals.delivered, 4);
    assert.equal(a.queued.items, 0);
    await journal.close();
  });

  test("a settlement that does not add up is refused, and changes nothing", async () => {
    const journal = await withItems(journalUnderTest, 100);
    const cursor = journal.cursor("a", "reject");
    await journal.append(record(2));
    const [entry] = cursor.take(ALL);
    const wrong = [{}, { delivered: 1 }, { delivered: 3 }, { delivered: 3, quarantined: -1 }, {
      delivered: 1.5,
      quarantined: 0.5,
    }];
    for (const settlement of wrong) assert.throws(() => cursor.acknowledge(entry, settlement), RangeError);
    assert.equal(settled(cursor.totals), 0);
    cursor.acknowledge(entry, { rejected: { too_large: 1, partial_success: 1 } });
    assert.deepEqual(cursor.totals.rejected, { too_large: 1, partial_success: 1 });
    await journal.close();
  });

  test("what is discarded is accepted, and dropped at every cursor", async () => {
    const journal = await withItems(journalUnderTest, 100);
    const cursors = [journal.cursor("a", "reject"), journal.cursor("b", "drop_oldest")];
    journal.discard(5, "sampled");
    assert.equal(journal.acceptedItems, 5);
    for (const cursor of cursors) assert.deepEqual(cursor.totals.dropped, { sampled: 5 });
    await journal.close();
  });

  test("a cursor that comes late begins at the end, and its account balances", async () => {
    const journal = await withItems(journalUnderTest, 100);
    assert.equal(await journal.append(record(7)), "appended", "without a cursor nobody is in the way");
    const cursor = journal.cursor("late", "reject");
    assert.deepEqual(cursor.take(ALL), []);
    await journal.append(record(1));
    assert.deepEqual(sequences(cursor.take(ALL)), [1]);
    assert.equal(settled(cursor.totals) + cursor.queued.items, journal.acceptedItems);
    await journal.close();
  });

  test("whoever waits is woken by an append, by a release and by its own abort, and no wake-up is lost", async () => {
    const journal = await withItems(journalUnderTest, 100);
    const cursor = journal.cursor("a", "reject");
    const never = new AbortController().signal;
    const woken: string[] = [];
    const wait = (name: string, abort = never) => void cursor.untilSomethingWaits(abort).then(() => woken.push(name));
    const stop = new AbortController();
    wait("first");
    wait("second");
    wait("stopped", stop.signal);
    await settle();
    assert.deepEqual(woken, []);
    stop.abort();
    await settle();
    assert.deepEqual(woken, ["stopped"]);
    await journal.append(record(1));
    await settle();
    assert.deepEqual(woken, ["stopped", "first", "second"]);
    wait("something waits already");
    await settle();
    assert.equal(woken.length, 4);
    const entries = cursor.take(ALL);
    wait("after release");
    await settle();
    assert.equal(woken.length, 4);
    cursor.release(entries);
    await settle();
    assert.equal(woken.length, 5);
    await cursor.untilSomethingWaits(AbortSignal.abort());
    await journal.close();
  });

  test("items sent again are counted apart from the account", async () => {
    const journal = await withItems(journalUnderTest, 100);
    const cursor = journal.cursor("a", "reject");
    cursor.countRedelivered(3);
    assert.equal(cursor.totals.redelivered, 3);
    assert.equal(settled(cursor.totals), 0);
    await journal.close();
  });
}
