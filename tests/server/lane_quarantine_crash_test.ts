/** A lane, its journal and its quarantine on one disk, which is taken away at any moment, again and again. */

import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import fc from "fast-check";
import type { Cursor } from "../../exporters/journal/journal.ts";
import { DiskJournal } from "../../exporters/journal/disk_journal.ts";
import { Quarantine } from "../../exporters/journal/quarantine.ts";
import { total } from "../../exporters/reason.ts";
import type { SendAnswer } from "../../exporters/transport/transport.ts";
import { settled } from "../model/journal_model.ts";
import { answers, type Sent } from "../fakes/backend.ts";
import { FakeDisk } from "../fakes/disk.ts";
import { Harbour } from "../fakes/harbour.ts";
import { seededRandom } from "../fakes/random.ts";

const MOODS = {
  well: () => answers.delivered(),
  badData: ({ items }: Sent) => items.some((item) => item % 5 === 0) ? answers.rejected() : answers.delivered(),
  broken: () => answers.backendFailed(),
  small: ({ items }: Sent) =>
    items.length > 2
      ? answers.tooLarge()
      : items.some((item) => item % 7 === 0)
      ? answers.rejected()
      : answers.delivered(),
  poison: ({ items }: Sent) => items.some((item) => item % 11 === 0) ? answers.retryable(true) : answers.delivered(),
  away: () => answers.retryable(),
} as const;
type Mood = keyof typeof MOODS;

type Step =
  | { readonly kind: "receive"; readonly itemCounts: readonly number[] }
  | { readonly kind: "mood"; readonly mood: Mood }
  | { readonly kind: "wait"; readonly ms: number };

/** What one process does, and how it ends. */
interface Life {
  readonly steps: readonly Step[];
  /** The operation of the disk at which it ends, counted from its beginning. */
  readonly operations: number;
  readonly end: "kill" | "power loss";
}

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("receive" as const),
    itemCounts: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 }),
  }),
  fc.record({ kind: fc.constant("mood" as const), mood: fc.constantFrom(...Object.keys(MOODS) as Mood[]) }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(10, 1000, 30_000) }),
);
const lives = fc.array(
  fc.record({
    steps: fc.array(step, { minLength: 5, maxLength: 20, size: "max" }),
    operations: fc.integer({ min: 10, max: 300 }),
    end: fc.constantFrom("kill" as const, "power loss" as const),
  }),
  { minLength: 1, maxLength: 4, size: "max" },
);

interface Bounds {
  readonly bytesMax: number;
  readonly recordCountMax: number;
}
const bounds: fc.Arbitrary<Bounds> = fc.record({
  bytesMax: fc.constantFrom(0, 700, 2000, 1e9),
  recordCountMax: fc.constantFrom(1, 3, 10_000),
});

/** Each item is one byte of its own, so there can be no more. */
const ITEMS_MAX = 250;
const FOLDER = "/data/quarantine";
const RUN_COUNT = 100;

/** The world outside: a backend that remembers, and what senders were told. */
class Voyage {
  readonly delivered = new Set<number>();
  readonly accepted = new Set<number>();
  #mood: Mood = "well";
  #nextItem = 0;
  readonly #bounds: Bounds;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  /** One process, from its start to its end. */
  async live(disk: FakeDisk, { steps, operations }: Life): Promise<void> {
    disk.stopAfter(operations);
    let isOver = false;
    void this.#sail(disk, steps).then(() => isOver = true);
    for (let turns = 0; turns < 10_000 && !isOver && !disk.isStopped; turns++) await turn();
    assert.ok(isOver || disk.isStopped);
    this.#assertBounded(disk);
  }

  /** The last process, which nothing disturbs. */
  async arrive(disk: FakeDisk): Promise<void> {
    const steps: Step[] = [{ kind: "mood", mood: "badData" }, { kind: "receive", itemCounts: [1] }];
    const { cursor, quarantine } = await this.#sail(disk, [...steps, { kind: "wait", ms: 900_000 }]);
    assert.equal(cursor.queued.items, 0);
    this.#assertBounded(disk);
    const kept = await this.#keptItems(quarantine);
    const missing = [...this.accepted].filter((item) => !this.delivered.has(item) && !kept.has(item));
    const { rejected, dropped } = cursor.totals;
    assert.deepEqual(Object.keys(rejected).filter((reason) => reason !== "quarantine_full"), []);
    assert.deepEqual(dropped, {});
    assert.ok(missing.length <= total(rejected), `${missing} are nowhere, ${total(rejected)} were told to be`);
    if (this.#bounds.bytesMax === 1e9 && this.#bounds.recordCountMax === 10_000) assert.deepEqual(missing, []);
  }

  async #sail(disk: FakeDisk, steps: readonly Step[]): Promise<{ cursor: Cursor; quarantine: Quarantine }> {
    const quarantine = await Quarantine.open({ ...this.#bounds, folder: FOLDER, disk, sleep: forEver });
    const harbour = new Harbour({ inFlightMax: 4, mergeItemsMax: 12, cooldownMaxMs: 5000, quarantine });
    const { clock } = harbour;
    const journal = await DiskJournal.open("traces", {
      folder: "/data/journal",
      disk,
      clock,
      sleep: clock.sleep,
      fsync: "commit",
      segmentBytesMax: 1024,
    });
    const { destination, transport } = harbour.berth("a", (sent) => disk.isStopped ? forEver() : this.#answer(sent));
    const { cursor } = harbour.lane(destination, transport, "reject", journal);
    const check = async () => {
      assert.equal(journal.acceptedItems, settled(cursor.totals) + cursor.queued.items);
      const kept = await this.#keptItems(quarantine);
      assert.ok(cursor.totals.quarantined <= kept.size, `${cursor.totals.quarantined} quarantined, ${kept.size} there`);
    };
    await check();
    for (const step of steps) {
      if (disk.isStopped) await forEver(); // It is dead, whether it waits for the disk or not.
      if (step.kind === "mood") this.#mood = step.mood;
      if (step.kind === "receive") {
        for (const itemCount of step.itemCounts) await this.#receive(journal, itemCount, clock.wallMs());
      }
      await harbour.advance(step.kind === "wait" ? step.ms : 0);
      // The disk answers in its own time, whatever the clock says.
      for (let turns = 0; turns < 5; turns++) await turn();
      await check();
    }
    return { cursor, quarantine };
  }

  async #receive(journal: DiskJournal, itemCount: number, receivedAtMs: number): Promise<void> {
    if (this.#nextItem + itemCount > ITEMS_MAX) return;
    const items = Array.from({ length: itemCount }, () => this.#nextItem++);
    const record = { payload: Uint8Array.from(items), itemCount, receivedAtMs, hops: "" };
    if (await journal.append(record) === "appended") { for (const item of items) this.accepted.add(item); }
  }

  #answer(sent: Sent): SendAnswer {
    const answer = MOODS[this.#mood](sent);
    if (answer.status === "delivered") { for (const item of sent.items) this.delivered.add(item); }
    return answer;
  }

  /** The items of all that is whole in the quarantine. */
  async #keptItems(quarantine: Quarantine): Promise<ReadonlySet<number>> {
    const items = new Set<number>();
    for (const { id, damage } of quarantine.list()) {
      const reading = await quarantine.read(id);
      if (damage !== undefined) continue;
      assert.ok(reading.status === "read", JSON.stringify(reading));
      assert.equal(reading.payload.length, reading.record.itemCount);
      for (const item of reading.payload) items.add(item);
    }
    return items;
  }

  #assertBounded(disk: FakeDisk): void {
    const paths = disk.paths.filter((path) => path.startsWith(FOLDER));
    const bytes = paths.reduce((sum, path) => sum + disk.content(path).length, 0);
    assert.ok(bytes <= this.#bounds.bytesMax, `${bytes} bytes`);
    assert.ok(paths.length <= 2 * this.#bounds.recordCountMax, `${paths.length} files`);
  }
}

Deno.test("whatever a backend answers and whenever the process ends, nothing vanishes, and what is quarantined is on the disk", async () => {
  await fc.assert(
    fc.asyncProperty(lives, bounds, fc.integer(), async (lives, bounds, seed) => {
      const voyage = new Voyage(bounds);
      const random = seededRandom(seed);
      let disk = new FakeDisk();
      for (const life of lives) {
        await voyage.live(disk, life);
        disk = life.end === "kill" ? disk.afterKill() : disk.afterPowerLoss(random);
      }
      await voyage.arrive(disk);
    }),
    { numRuns: RUN_COUNT },
  );
});

/** One turn of the event loop: everything that is ready has run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function forEver(): Promise<never> {
  return new Promise(() => {});
}
