/** Damage of all kinds at once: what the single ones cost stands in disk_journal_damage_test.ts. */

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { nodeDisk } from "../../../exporters/journal/disk.ts";
import { SEGMENT_HEADER_BYTES, SLOT_BYTES_MAX } from "../../../exporters/journal/format.ts";
import { sleep } from "../../../exporters/sleep.ts";
import type { FakeDisk } from "../../fakes/disk.ts";
import { TemporaryFolder } from "../../fakes/temporary_folder.ts";
import { ALL_IDS, type Backlog, makeBacklog } from "./backlog_fixture.ts";
import {
  assertBalance,
  drain,
  itemsOf,
  lostItems,
  openJournal,
  recordOf,
  STREAM_FOLDER,
} from "./disk_journal_fixture.ts";

/** Something that happens to a file; `file` and `at` are taken modulo what there is. */
interface Damage {
  readonly kind: "flip" | "cut" | "zero" | "delete" | "swap" | "copy" | "garbage";
  readonly file: number;
  readonly at: number;
}

/** Names that a journal gives to its files, for what is none of them. */
const GARBAGE_NAMES = [
  "000000000002.segment.new",
  "000000000098.segment",
  "999999999999.segment",
  "b-0000000000000000.cursor",
  "stream.slots.new",
  "lost+found",
  "000000000001.segment-64.damaged",
];

const damage: fc.Arbitrary<Damage> = fc.record({
  kind: fc.constantFrom("flip", "cut", "zero", "delete", "swap", "copy", "garbage"),
  file: fc.nat(20),
  at: fc.nat(2 ** 20),
});

/** What a sequence of damages may cost. */
class Harm {
  readonly ids = new Set<number>();
  /** The files of slots that were hit. With both of them gone nobody knows that there was a cursor. */
  readonly slots = new Set<string>();
  /** By where a file is now: where it was, while it can be found by its header or at least by its name. */
  readonly #origins: Map<string, string>;
  readonly #headerless = new Set<string>();
  readonly #backlog: Backlog;

  constructor(backlog: Backlog) {
    this.#backlog = backlog;
    this.#origins = new Map(backlog.disk.paths.map((path) => [path, path]));
  }

  async inflict(disk: FakeDisk, { kind, file, at }: Damage): Promise<void> {
    const { segments, slots } = this.#backlog;
    const there = [...segments, ...slots].filter((path) => disk.paths.includes(path));
    const path = there[file % Math.max(1, there.length)];
    if (kind === "garbage" || path === undefined) {
      return await putGarbage(disk, GARBAGE_NAMES[file % GARBAGE_NAMES.length], at);
    }
    const bytes = disk.content(path).length;
    const isSlots = slots.includes(path);
    const offset = isSlots ? (at % 3) * SLOT_BYTES_MAX + at % 200 : at % Math.max(1, bytes);
    if (isSlots && kind !== "copy") this.slots.add(path);
    if (kind === "flip") {
      this.#touch(path, offset, offset + 1);
      disk.flip(path, offset);
    } else if (kind === "cut") {
      this.#touch(path, offset, Infinity);
      disk.cut(path, offset);
    } else if (kind === "zero") {
      const from = offset - offset % 4096;
      this.#touch(path, from, from + 4096);
      disk.zero(path, from, Math.max(0, Math.min(4096, bytes - from)));
    } else if (kind === "delete") {
      this.#touch(path, 0, Infinity);
      disk.delete(path);
    } else if (kind === "copy") {
      await copy(disk, path, `${STREAM_FOLDER}/${String(50 + file).padStart(12, "0")}.segment`);
    } else if (!isSlots) this.#swap(disk, path, there[at % there.length]);
  }

  #touch(path: string, from: number, to: number): void {
    const origin = this.#origins.get(path);
    for (const place of this.#backlog.places) {
      if (place.path === origin && place.from < to && from < place.to) this.ids.add(place.id);
    }
    if (from >= SEGMENT_HEADER_BYTES || origin === undefined) return;
    this.#headerless.add(origin);
    this.#loseIfNameless(path);
  }

  #swap(disk: FakeDisk, one: string, other: string): void {
    if (this.#backlog.slots.includes(other)) return;
    const origins = [this.#origins.get(one) ?? one, this.#origins.get(other) ?? other];
    disk.swap(one, other);
    this.#origins.set(one, origins[1]).set(other, origins[0]);
    for (const path of [one, other]) this.#loseIfNameless(path);
  }

  /** With neither its header nor its name a file cannot be put where it belongs. */
  #loseIfNameless(path: string): void {
    const origin = this.#origins.get(path);
    if (origin === undefined || origin === path || !this.#headerless.has(origin)) return;
    for (const place of this.#backlog.places) if (place.path === origin) this.ids.add(place.id);
  }
}

async function putGarbage(disk: FakeDisk, name: string, length: number): Promise<void> {
  const path = `${STREAM_FOLDER}/${name}`;
  if (disk.paths.includes(path)) return;
  const file = await disk.create(path);
  await file.write(0, Uint8Array.from({ length: length % 300 }, (_, index) => index * length >> 3));
}

async function copy(disk: FakeDisk, from: string, to: string): Promise<void> {
  if (disk.paths.includes(to)) return;
  const file = await disk.create(to);
  await file.write(0, disk.content(from).slice(0, 5000));
}

Deno.test("P2-16 whatever happens to whichever files at once, it starts, serves, loses only what was hit, and balances over the next restart", async () => {
  const settledCount = 2;
  const whole = await makeBacklog({ settledCounts: { a: settledCount }, inFlightCount: settledCount });
  await fc.assert(
    fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 4 }), async (damages) => {
      let disk = whole.disk.afterKill();
      const harm = new Harm(whole);
      for (const each of damages) await harm.inflict(disk, each);
      const had = new Set<number>();
      for (const life of [1, 2]) {
        const journal = await openJournal(disk);
        const cursor = journal.cursor("a", "reject");
        assertBalance(journal);
        if (harm.slots.size === 0) assert.equal(journal.acceptedItems, itemsOf(ALL_IDS));
        if (life === 1) {
          const [entry] = cursor.take({ recordCountMax: 1, itemCountMax: 1, bytesMax: 1 });
          if (entry !== undefined) cursor.release([entry]);
          assertBalance(journal);
        } else {
          for (const id of drain(cursor)) {
            assert.ok(!had.has(id), "each comes once");
            had.add(id);
          }
          assertBalance(journal);
          if (harm.slots.size === 0) assert.ok(lostItems(cursor) <= itemsOf(harm.ids), "only what was hit is lost");
          assert.equal(await journal.append(recordOf(50)), "appended");
          assert.deepEqual(drain(cursor), [50]);
        }
        await journal.close();
        disk = disk.afterKill();
      }
      if (harm.slots.size === 2) return;
      const unharmed = ALL_IDS.filter((id) => id > settledCount && !harm.ids.has(id));
      assert.deepEqual(unharmed.filter((id) => !had.has(id)), [], "what was not hit is there");
    }),
    { numRuns: 400 },
  );
});

Deno.test("folders, links and garbage under the names of a journal's files do not keep it from starting and serving", async () => {
  using parent = new TemporaryFolder();
  const folder = join(parent.path, "data");
  const options = { folder, disk: nodeDisk, sleep, segmentBytesMax: 4096 };
  const first = await openJournal({} as FakeDisk, options);
  first.cursor("a", "reject");
  for (const id of ALL_IDS) await first.append(recordOf(id));
  await first.close();
  const names = ["000000000050.segment", "c-0000000000000000.cursor", "stream.slots.new", "lost+found", "1.damaged"];
  for (const name of names) mkdirSync(join(folder, "traces", name));
  for (const name of GARBAGE_NAMES.filter((name) => !names.includes(name))) {
    writeFileSync(join(folder, "traces", name), "?".repeat(1000));
  }
  const journal = await openJournal({} as FakeDisk, options);
  const cursor = journal.cursor("a", "reject");
  assert.equal(journal.acceptedItems, itemsOf(ALL_IDS));
  assert.deepEqual(drain(cursor), ALL_IDS);
  assert.equal(await journal.append(recordOf(50)), "appended");
  assert.equal(lostItems(cursor), 0);
  assertBalance(journal);
  await journal.close();
});
