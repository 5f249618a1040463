import assert from "node:assert/strict";
import fc from "fast-check";
import type { Cursor, Journal, JournalEntry, JournalRecord, TakeLimits } from "../../../exporters/journal/journal.ts";
import { settle } from "../../fakes/clock.ts";
import { assertSameAccount, JournalModel, sequences, settled } from "../../model/journal_model.ts";

/** A journal under test. */
export interface JournalUnderTest {
  /** Makes an empty journal of traces. */
  make(limits: { readonly bytesMax: number; readonly itemsMax: number }): Journal | Promise<Journal>;
  /** What the store adds to the bytes of each record that came over no hops. */
  readonly recordOverheadBytes: number;
  /** What it adds for each byte of hops. */
  readonly hopsFactor: number;
  /** How many random programs are played. @default {100} */
  readonly programCount?: number;
}

const PLENTY = 1_000_000;
const ALL: TakeLimits = { recordCountMax: Infinity, itemCountMax: Infinity, bytesMax: Infinity };

/** What every journal must do, whatever it is kept in. */
export function journalConformance(
  name: string,
  { make, recordOverheadBytes, hopsFactor, programCount = 100 }: JournalUnderTest,
): void {
  function test(title: string, body: () => Promise<void>): void {
    Deno.test(`${name}: ${title}`, body);
  }

  async function withItems(itemsMax: number): Promise<Journal> {
    return await make({ bytesMax: PLENTY, itemsMax });
  }

  test("a record is taken as it was appended, and settled in the account", async () => {
    const journal = await withItems(100);
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

  test("P2-02 all or nothing: 50 and 60 items into 100, the 60 are refused and the 50 stay", async () => {
    const journal = await withItems(100);
    const cursor = journal.cursor("a", "reject");
    assert.equal(await journal.append(record(50)), "appended");
    assert.equal(await journal.append(record(60)), "queue_full");
    assert.equal(journal.acceptedItems, 50);
    assert.equal(cursor.queued.items, 50);
    assert.equal(await journal.append(record(50)), "appended", "exactly full is not too full");
    await journal.close();
  });

  test("P2-02 150 writers at once into 100: exactly 100 are taken, and after a take and a settlement others again", async () => {
    const journal = await withItems(100);
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

  test("P2-03 eight takers and eight writers at once: every record is had exactly once", async () => {
    const journal = await withItems(64);
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
    const journal = await withItems(100);
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

  test("a full cursor that drops its oldest holds nobody back", async () => {
    const journal = await withItems(3);
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
    const journal = await withItems(3);
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
    const journal = await withItems(2);
    journal.cursor("refusing", "reject");
    const dropping = journal.cursor("dropping", "drop_oldest");
    await journal.append(record(2));
    assert.equal(await journal.append(record(1)), "queue_full");
    assert.equal(dropping.queued.items, 2);
    assert.deepEqual(dropping.totals.dropped, {});
    assert.equal(journal.acceptedItems, 2);
    await journal.close();
  });

  test("take keeps to its limits, but gives the first entry even if it alone is larger", async () => {
    const journal = await withItems(1000);
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
    const journal = await withItems(1000);
    const cursor = journal.cursor("a", "reject");
    for (const hops of ["", "", "x", "x", ""]) await journal.append(record(1, { hops }));
    assert.deepEqual(sequences(cursor.take(ALL)), [0, 1]);
    assert.deepEqual(sequences(cursor.take(ALL)), [2, 3]);
    assert.deepEqual(sequences(cursor.take(ALL)), [4]);
    await journal.close();
  });

  test("entries are acknowledged in any order, and what is given back is taken again first, in its old order", async () => {
    const journal = await withItems(1000);
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
    const journal = await withItems(100);
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
    const journal = await withItems(100);
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
    const journal = await withItems(100);
    const cursors = [journal.cursor("a", "reject"), journal.cursor("b", "drop_oldest")];
    journal.discard(5, "sampled");
    assert.equal(journal.acceptedItems, 5);
    for (const cursor of cursors) assert.deepEqual(cursor.totals.dropped, { sampled: 5 });
    await journal.close();
  });

  test("a cursor that comes late begins at the end, and its account balances", async () => {
    const journal = await withItems(100);
    assert.equal(await journal.append(record(7)), "appended", "without a cursor nobody is in the way");
    const cursor = journal.cursor("late", "reject");
    assert.deepEqual(cursor.take(ALL), []);
    await journal.append(record(1));
    assert.deepEqual(sequences(cursor.take(ALL)), [1]);
    assert.equal(settled(cursor.totals) + cursor.queued.items, journal.acceptedItems);
    await journal.close();
  });

  test("whoever waits is woken by an append, by a release and by its own abort, and no wake-up is lost", async () => {
    const journal = await withItems(100);
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
    const journal = await withItems(100);
    const cursor = journal.cursor("a", "reject");
    cursor.countRedelivered(3);
    assert.equal(cursor.totals.redelivered, 3);
    assert.equal(settled(cursor.totals), 0);
    await journal.close();
  });

  test("P2-03 whatever happens in whatever order, it agrees with the model and every account balances", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 60, maxLength: 120, size: "max" }), async (steps) => {
        const limits = { bytesMax: 12 * (20 + recordOverheadBytes), itemsMax: 30 };
        const journal = await make(limits);
        const addedBytes = (hops: string) => recordOverheadBytes + hopsFactor * hops.length;
        await play(steps, journal, new JournalModel(limits.bytesMax, limits.itemsMax, CURSORS), addedBytes);
        await journal.close();
      }),
      { numRuns: programCount },
    );
  });
}

/** The cursors of a program of steps. */
export const CURSORS = { first: "reject", second: "drop_oldest", third: "drop_oldest" } as const;

/** One thing that a receiver or a lane does. `which` picks an entry in flight, wherever it is. */
export const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      itemCount: fc.integer({ min: 0, max: 8 }),
      bytes: fc.integer({ min: 0, max: 40 }),
      hops: fc.constantFrom("", "", "", "x"),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("take" as const),
      cursor: fc.nat({ max: 2 }),
      recordCountMax: fc.integer({ min: 1, max: 5 }),
      itemCountMax: fc.integer({ min: 1, max: 20 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("delivered", "rejected", "quarantined", "dropped", "release"),
      cursor: fc.nat({ max: 2 }),
      which: fc.nat({ max: 7 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("discard" as const), itemCount: fc.nat({ max: 3 }) }) },
);

/** As above. */
export type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** Plays steps to a journal and to the model, which must agree after each. Nothing may be in flight before. */
export async function play(
  steps: readonly Step[],
  journal: Journal,
  model: JournalModel,
  addedBytes: (hops: string) => number,
): Promise<void> {
  const cursors = model.cursors.map(({ name, onFull }) => journal.cursor(name, onFull));
  const inFlight: JournalEntry[][] = cursors.map(() => []);
  for (const step of steps) {
    switch (step.kind) {
      case "append": {
        const { itemCount, bytes, hops } = step;
        const expected = model.append(itemCount, bytes + addedBytes(hops), hops);
        assert.equal(await journal.append(record(itemCount, { bytes, hops })), expected);
        break;
      }
      case "take": {
        const { recordCountMax, itemCountMax } = step;
        const entries = cursors[step.cursor].take({ recordCountMax, itemCountMax, bytesMax: Infinity });
        assert.deepEqual(sequences(entries), model.cursors[step.cursor].take(recordCountMax, itemCountMax));
        inFlight[step.cursor].push(...entries);
        break;
      }
      case "discard":
        journal.discard(step.itemCount, "sampled");
        model.accepted += step.itemCount;
        for (const cursor of model.cursors) cursor.dropped += step.itemCount;
        break;
      default: {
        const mine = inFlight[step.cursor];
        const [entry] = mine.splice(step.which % Math.max(mine.length, 1), 1);
        if (entry === undefined) break;
        settleAs(step.kind, entry, cursors[step.cursor]);
        const expected = model.cursors[step.cursor];
        if (step.kind === "release") expected.release(entry.sequence);
        else {
          expected.settle(entry.sequence);
          expected[step.kind] += entry.itemCount;
        }
      }
    }
    assertSameAccount(journal, model);
  }
}

type Fate = "delivered" | "rejected" | "quarantined" | "dropped" | "release";

function settleAs(fate: Fate, entry: JournalEntry, cursor: Cursor): void {
  const { itemCount } = entry;
  if (fate === "release") cursor.release([entry]);
  else if (fate === "rejected") cursor.acknowledge(entry, { rejected: { http_400: itemCount } });
  else if (fate === "dropped") cursor.acknowledge(entry, { dropped: { expired: itemCount } });
  else cursor.acknowledge(entry, { [fate]: itemCount });
}

function record(
  itemCount: number,
  { bytes = 4, hops = "", receivedAtMs = 0 }: { bytes?: number; hops?: string; receivedAtMs?: number } = {},
): JournalRecord {
  return { payload: new Uint8Array(bytes), itemCount, receivedAtMs, hops };
}
