import assert from "node:assert/strict";
import fc from "fast-check";
import type { Cursor, Journal, JournalEntry } from "../../../exporters/journal/journal.ts";
import { assertSameAccount, JournalModel, sequences } from "../../model/journal_model.ts";
import { type DeclareTest, type JournalUnderTest, record } from "./conformance_fixture.ts";

/** Random programs, played to the journal and to the model. */
export function programConformance(
  test: DeclareTest,
  { make, recordOverheadBytes, hopsFactor, programCount = 100 }: JournalUnderTest,
): void {
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
      from: fc.constantFrom(undefined, "backlog" as const, "live" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("split" as const), cursor: fc.nat({ max: 2 }) }) },
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
        const { recordCountMax, itemCountMax, from } = step;
        const [cursor, expected] = [cursors[step.cursor], model.cursors[step.cursor]];
        const entries = cursor.take({ recordCountMax, itemCountMax, bytesMax: Infinity, ...(from && { from }) });
        assert.deepEqual(sequences(entries), expected.take(recordCountMax, itemCountMax, from));
        for (const entry of entries) assert.equal(cursor.partOf(entry), expected.partOf(entry));
        inFlight[step.cursor].push(...entries);
        break;
      }
      case "split":
        cursors[step.cursor].split();
        model.split(model.cursors[step.cursor]);
        break;
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
