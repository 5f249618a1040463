import assert from "node:assert/strict";
import type { JournalEntry } from "../../../exporters/journal/journal.ts";
import { MemoryJournal, RECORD_OVERHEAD_BYTES } from "../../../exporters/journal/memory_journal.ts";
import { journalConformance } from "./journal_conformance.ts";

journalConformance("MemoryJournal", {
  make: (limits) => new MemoryJournal("traces", limits),
  recordOverheadBytes: RECORD_OVERHEAD_BYTES,
  hopsFactor: 0,
});

const ALL = { recordCountMax: Infinity, itemCountMax: Infinity, bytesMax: Infinity };
const SMALL = { payload: new Uint8Array(1), itemCount: 1, receivedAtMs: 0, hops: "" };

Deno.test("MemoryJournal frees a record when the last cursor has settled it, even behind one that is still in flight", async () => {
  const journal = new MemoryJournal("logs");
  assert.equal(journal.signal, "logs");
  const a = journal.cursor("a", "reject");
  const b = journal.cursor("b", "drop_oldest");
  for (let index = 0; index < 3; index++) await journal.append(SMALL);
  const ofA = a.take(ALL);
  const ofB = b.take(ALL);
  assert.equal(ofA[0].payload, ofB[0].payload, "the payload is there once");
  for (const entry of ofA) a.acknowledge(entry, { delivered: 1 });
  assert.equal(journal.recordCount, 3);
  b.acknowledge(ofB[1], { delivered: 1 });
  b.acknowledge(ofB[2], { delivered: 1 });
  assert.equal(journal.recordCount, 1);
  b.acknowledge(ofB[0], { delivered: 1 });
  assert.equal(journal.recordCount, 0);
});

Deno.test("MemoryJournal keeps nothing for nobody: without a cursor, or when every cursor skips the record", async () => {
  const journal = new MemoryJournal("traces", { itemsMax: 1 });
  await journal.append(SMALL);
  assert.equal(journal.recordCount, 0);
  const cursor = journal.cursor("a", "drop_oldest");
  await journal.append(SMALL);
  cursor.take(ALL);
  await journal.append(SMALL);
  assert.equal(journal.recordCount, 1);
  assert.equal(journal.acceptedItems, 3);
});

Deno.test("MemoryJournal hands out a backlog of 100 000 records, takes it back and hands it out again in order", async () => {
  const journal = new MemoryJournal("traces");
  const cursor = journal.cursor("a", "reject");
  for (let index = 0; index < 100_000; index++) await journal.append(SMALL);
  const backlog: JournalEntry[] = [];
  for (let entries = cursor.take(ALL); entries.length > 0; entries = cursor.take(ALL)) backlog.push(...entries);
  for (const entry of backlog.toReversed()) cursor.release([entry]);
  let expected = 0;
  for (;;) {
    const entries = cursor.take({ ...ALL, recordCountMax: 7 });
    if (entries.length === 0) break;
    for (const entry of entries) {
      if (entry.sequence !== expected++) assert.fail(`expected ${expected - 1}, received ${entry.sequence}`);
      cursor.acknowledge(entry, { delivered: 1 });
    }
  }
  assert.equal(cursor.totals.delivered, 100_000);
  assert.equal(journal.recordCount, 0);
});

Deno.test("MemoryJournal refuses impossible limits and records, and appends after close, by name", async () => {
  assert.throws(() => new MemoryJournal("traces", { bytesMax: 0 }), {
    name: "RangeError",
    message: 'Cannot create memory journal: "bytesMax" must be an integer from 1 to 1099511627776, received 0',
  });
  const journal = new MemoryJournal("traces");
  await assert.rejects(journal.append({ ...SMALL, itemCount: -1 }), {
    name: "RangeError",
    message: 'Cannot append: "itemCount" must be an integer from 0, received -1',
  });
  const cursor = journal.cursor("a", "reject");
  await journal.append(SMALL);
  await journal.close();
  await assert.rejects(journal.append(SMALL), { message: "Cannot append: the journal of traces is closed" });
  assert.equal(cursor.take(ALL).length, 1, "what waits can still be taken");
});
