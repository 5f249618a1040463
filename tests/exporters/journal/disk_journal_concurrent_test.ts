import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { DiskJournal } from "../../../exporters/journal/disk_journal.ts";
import { storedBytes } from "../../../exporters/journal/format.ts";
import type { Cursor, JournalEntry, OnFull } from "../../../exporters/journal/journal.ts";
import { seededRandom } from "../../fakes/random.ts";
import { TemporaryFolder } from "../../fakes/temporary_folder.ts";
import { ALL, assertBalance, idOf, itemsOf, recordOf } from "./disk_journal_fixture.ts";

const WRITERS = 24;
const RECORDS_PER_WRITER = 40;
const TAKERS_PER_CURSOR = 3;

/** Room for so many of the largest records: writers meet a full queue again and again. */
const BYTES_MAX = 40 * storedBytes({ hopsBytes: 3, payloadBytes: 120 });

const CURSORS: readonly (readonly [name: string, onFull: OnFull])[] = [
  ["a", "reject"],
  ["b", "reject"],
  ["c", "drop_oldest"],
];

for (const seed of [1, 2, 3, 4]) {
  Deno.test(`P2-03 no loss and no duplicate under concurrent writers and takers, on the disk (seed ${seed})`, async () => {
    using folder = new TemporaryFolder();
    const random = seededRandom(seed);
    const options = {
      folder: `${folder.path}/journal`,
      bytesMax: BYTES_MAX,
      segmentBytesMax: 2048,
      fsync: "interval",
      fsyncIntervalMs: 1,
    } as const;
    const journal = await DiskJournal.open("traces", options);
    const watches = CURSORS.map(([name, onFull]) => new Watch(journal.cursor(name, onFull), random));
    const done = new AbortController();
    let refusedCount = 0;
    const write = async (writer: number) => {
      for (let record = 0; record < RECORDS_PER_WRITER;) {
        const answer = await journal.append(recordOf(writer * RECORDS_PER_WRITER + record + 1));
        assert.ok(answer === "appended" || answer === "queue_full", answer);
        if (answer === "appended") record++;
        else refusedCount++;
        assertBalance(journal);
        await turns(random() * 3);
      }
    };
    const writers = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer))).then(() => done.abort());
    const takers = watches.flatMap((watch) =>
      Array.from({ length: TAKERS_PER_CURSOR }, () => watch.takeUntil(done.signal))
    );
    await Promise.all([writers, ...takers]);
    await journal.close();

    const ids = Array.from({ length: WRITERS * RECORDS_PER_WRITER }, (_, index) => index + 1);
    assert.ok(refusedCount > 0, "the queue was full at times");
    for (const { cursor, settled } of watches) {
      assert.equal(cursor.queued.items, 0);
      assert.equal(cursor.totals.delivered, itemsOf(settled.values()));
      const dropped = cursor.totals.dropped.queue_full ?? 0;
      assert.equal(cursor.totals.delivered + dropped, itemsOf(ids), cursor.name);
      const hadIds = [...settled.values()].sort((a, b) => a - b);
      if (cursor.onFull === "reject") assert.deepEqual(hadIds, ids);
      else assert.equal(new Set(hadIds).size, hadIds.length);
    }
    const later = await DiskJournal.open("traces", options);
    for (const [name, onFull] of CURSORS) assert.deepEqual(later.cursor(name, onFull).take(ALL), []);
    assertBalance(later);
    await later.close();
  });
}

/** Many more than any taker needs. */
const ROUNDS_MAX = 100_000;

/** A cursor, and what its takers have in hand and have settled. */
class Watch {
  readonly cursor: Cursor;
  /** The ids of what was settled, by sequence. */
  readonly settled = new Map<number, number>();
  readonly #inHand = new Set<number>();
  readonly #random: () => number;

  constructor(cursor: Cursor, random: () => number) {
    this.cursor = cursor;
    this.#random = random;
  }

  /** Takes, and settles or gives back in any order, until nothing waits after the end. */
  async takeUntil(end: AbortSignal): Promise<void> {
    const random = this.#random;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      await this.cursor.untilSomethingWaits(end);
      if (random() < 0.1) this.cursor.split();
      const from = random() < 0.3 ? random() < 0.5 ? "backlog" : "live" : undefined;
      const taken = this.cursor.take({ ...ALL, recordCountMax: 1 + Math.floor(random() * 6), from });
      for (const { sequence } of taken) {
        assert.ok(!this.#inHand.has(sequence), `${sequence} is in two hands`);
        assert.ok(!this.settled.has(sequence), `${sequence} comes again after it was settled`);
        this.#inHand.add(sequence);
      }
      if (taken.length === 0 && end.aborted && this.cursor.queued.items === 0) return;
      await turns(random() * 4);
      for (const entry of taken.toSorted(() => random() - 0.5)) {
        this.#letGo(entry);
        if (random() < 0.5) await turns(1);
      }
    }
    assert.fail(`${this.cursor.queued.items} items still wait at ${this.cursor.name}`);
  }

  #letGo(entry: JournalEntry): void {
    this.#inHand.delete(entry.sequence);
    if (this.#random() < 0.3) return this.cursor.release([entry]);
    this.settled.set(entry.sequence, idOf(entry));
    this.cursor.acknowledge(entry, { delivered: entry.itemCount });
  }
}

/** Lets others go on for so many turns of the event loop. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}
