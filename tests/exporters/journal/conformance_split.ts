import assert from "node:assert/strict";
import { settle } from "../../fakes/clock.ts";
import { sequences, settled } from "../../model/journal_model.ts";
import { ALL, type DeclareTest, type JournalUnderTest, record, withItems } from "./conformance_fixture.ts";

const ONE = { ...ALL, recordCountMax: 1 };
const BACKLOG = { ...ALL, from: "backlog" } as const;
const LIVE = { ...ALL, from: "live" } as const;

/** What a cursor does that is split into backlog and live. */
export function splitConformance(test: DeclareTest, journalUnderTest: JournalUnderTest): void {
  test("a cursor that was never split has no backlog", async () => {
    const journal = await withItems(journalUnderTest, 100);
    const cursor = journal.cursor("a", "reject");
    for (let index = 0; index < 3; index++) await journal.append(record(1));
    assert.deepEqual(cursor.take(BACKLOG), []);
    assert.deepEqual(cursor.backlog, { items: 0, bytes: 0 });
    assert.deepEqual(sequences(cursor.take(LIVE)), [0, 1, 2]);
    await journal.close();
  });

  test("what comes after a split does not stand behind what was there before", async () => {
    const journal = await withItems(journalUnderTest, 100);
    const cursor = journal.cursor("a", "reject");
    for (let index = 0; index < 4; index++) await journal.append(record(2, { bytes: 10, receivedAtMs: 100 + index }));
    cursor.split();
    for (let index = 4; index < 8; index++) await journal.append(record(3, { bytes: 10, receivedAtMs: 100 + index }));
    assert.equal(cursor.backlog.items, 8);
    assert.equal(cursor.backlog.bytes * 2, cursor.queued.bytes);
    assert.deepEqual(sequences(cursor.take({ ...LIVE, recordCountMax: 2 })), [4, 5]);
    const backlog = [...cursor.take({ ...BACKLOG, recordCountMax: 3 })];
    assert.deepEqual(sequences(backlog), [0, 1, 2]);
    assert.deepEqual(sequences(cursor.take(LIVE)), [6, 7]);
    assert.deepEqual(cursor.take(LIVE), []);
    backlog.push(...cursor.take(BACKLOG));
    assert.equal(cursor.queued.oldestReceivedAtMs, 100, "what is in flight counts as waiting");
    for (const entry of backlog) cursor.acknowledge(entry, { delivered: 2 });
    assert.equal(cursor.queued.oldestReceivedAtMs, 104);
    assert.deepEqual(cursor.backlog, { items: 0, bytes: 0 });
    assert.equal(settled(cursor.totals) + cursor.queued.items, journal.acceptedItems);
    await journal.close();
  });

  test("who does not ask for a part has the oldest, whichever part they are of", async () => {
    const journal = await withItems(journalUnderTest, 100);
    const cursor = journal.cursor("a", "reject");
    for (let index = 0; index < 3; index++) await journal.append(record(1));
    cursor.split();
    for (let index = 3; index < 6; index++) await journal.append(record(1));
    const [live] = cursor.take({ ...LIVE, recordCountMax: 1 });
    assert.deepEqual(sequences(cursor.take(ONE)), [0]);
    cursor.release([live]);
    assert.deepEqual(sequences(cursor.take(ALL)), [1, 2, 3, 4, 5]);
    await journal.close();
  });

  test("what is given back is taken again first, but of its own part", async () => {
    const journal = await withItems(journalUnderTest, 100);
    const cursor = journal.cursor("a", "reject");
    for (let index = 0; index < 4; index++) await journal.append(record(1));
    const early = cursor.take(ONE);
    cursor.split();
    for (let index = 4; index < 8; index++) await journal.append(record(1));
    const live = cursor.take({ ...LIVE, recordCountMax: 2 });
    assert.deepEqual([...early, ...live].map((entry) => cursor.partOf(entry)), ["backlog", "live", "live"]);
    cursor.release([...live, ...early]);
    assert.deepEqual(sequences(cursor.take(BACKLOG)), [0, 1, 2, 3]);
    assert.deepEqual(sequences(cursor.take(LIVE)), [4, 5, 6, 7]);
    await journal.close();
  });

  test("split again, all that is there is backlog, in its old order, whatever was taken of it", async () => {
    const journal = await withItems(journalUnderTest, 100);
    const cursor = journal.cursor("a", "reject");
    for (let index = 0; index < 4; index++) await journal.append(record(1));
    cursor.take(ONE);
    cursor.split();
    for (let index = 4; index < 8; index++) await journal.append(record(1));
    const [given, kept] = cursor.take({ ...LIVE, recordCountMax: 3 });
    cursor.release([given]);
    cursor.split();
    assert.equal(cursor.partOf(kept), "backlog");
    assert.equal(cursor.backlog.items, 8);
    await journal.append(record(1));
    assert.deepEqual(sequences(cursor.take(LIVE)), [8]);
    assert.deepEqual(sequences(cursor.take({ ...BACKLOG, recordCountMax: 2 })), [1, 2]);
    assert.deepEqual(sequences(cursor.take(BACKLOG)), [3, 4, 7]);
    for (const entry of [kept]) cursor.release([entry]);
    assert.deepEqual(sequences(cursor.take(BACKLOG)), [5]);
    await journal.close();
  });

  test("a split where nothing waits but backlog changes nothing", async () => {
    const journal = await withItems(journalUnderTest, 100);
    const cursor = journal.cursor("a", "reject");
    cursor.split();
    await journal.append(record(1));
    assert.equal(cursor.backlog.items, 0);
    const inFlight = cursor.take(ALL);
    cursor.split();
    assert.deepEqual(inFlight.map((entry) => cursor.partOf(entry)), ["live"]);
    await journal.append(record(1));
    cursor.split();
    await journal.append(record(1));
    assert.deepEqual(sequences(cursor.take(LIVE)), [2]);
    cursor.split();
    assert.deepEqual(sequences(cursor.take(BACKLOG)), [1]);
    assert.equal(cursor.backlog.items, 2, "what was in flight when it was split, and what waited");
    await journal.close();
  });

  test("the oldest that waits is dropped first, of the backlog before the rest, and never what is in flight", async () => {
    const journal = await withItems(journalUnderTest, 4);
    const cursor = journal.cursor("a", "drop_oldest");
    for (let index = 0; index < 3; index++) await journal.append(record(1));
    cursor.split();
    await journal.append(record(1));
    const [live] = cursor.take(LIVE);
    const [backlog] = cursor.take({ ...BACKLOG, recordCountMax: 1 });
    await journal.append(record(1));
    assert.deepEqual(cursor.totals.dropped, { queue_full: 1 });
    assert.equal(cursor.backlog.items, 2);
    await journal.append(record(2));
    assert.deepEqual(sequences(cursor.take(BACKLOG)), []);
    assert.deepEqual(sequences(cursor.take(LIVE)), [5]);
    assert.deepEqual(cursor.totals.dropped, { queue_full: 3 });
    await journal.append(record(3));
    assert.deepEqual(cursor.totals.dropped, { queue_full: 6 }, "everything else is in flight");
    for (const entry of [live, backlog]) cursor.acknowledge(entry, { delivered: 1 });
    assert.equal(settled(cursor.totals) + cursor.queued.items, journal.acceptedItems);
    await journal.close();
  });

  test("whoever waits is woken by either part", async () => {
    const journal = await withItems(journalUnderTest, 100);
    const cursor = journal.cursor("a", "reject");
    const never = new AbortController().signal;
    let wokenCount = 0;
    const wait = () => void cursor.untilSomethingWaits(never).then(() => wokenCount++);
    await journal.append(record(1));
    cursor.split();
    wait();
    await settle();
    assert.equal(wokenCount, 1, "a backlog is something");
    const backlog = cursor.take(ALL);
    wait();
    await settle();
    assert.equal(wokenCount, 1);
    await journal.append(record(1));
    await settle();
    assert.equal(wokenCount, 2);
    cursor.take(ALL);
    wait();
    cursor.release(backlog);
    await settle();
    assert.equal(wokenCount, 3);
    await journal.close();
  });
}
