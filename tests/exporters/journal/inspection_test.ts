import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { SEGMENT_HEADER_BYTES } from "../../../exporters/journal/format.ts";
import { inspectStream } from "../../../exporters/journal/inspection.ts";
import { checkStream, lostAhead, type LostStretch } from "../../../exporters/journal/inspection_check.ts";
import { fileNameOf } from "../../../exporters/journal/segments.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { type Backlog, makeBacklog, type Place, RECORD_COUNT } from "./backlog_fixture.ts";
import {
  ALL,
  atRest,
  drain,
  itemsOf,
  lostItems,
  openJournal,
  recordOf,
  STREAM_FOLDER,
} from "./disk_journal_fixture.ts";

/** What is lost, as a person would note it down. */
interface Loss {
  readonly files: readonly string[];
  readonly records: number;
  readonly items: number;
}

/** Looks at a folder, compares what is said with what a server then counts, and says it. */
async function lossesOn(disk: FakeDisk, where: string): Promise<readonly Loss[]> {
  await using inspection = await inspectStream(disk, STREAM_FOLDER);
  const check = checkStream(inspection);
  const journal = await openJournal(disk.afterKill());
  assert.equal(inspection.acceptedItems, journal.acceptedItems, where);
  for (const { cursor } of inspection.cursors) {
    const real = journal.cursor(cursor.name, cursor.onFull);
    assert.equal(real.queued.items, cursor.queued.items, where);
    const counted = lostItems(real);
    drain(real);
    const ahead = check.stretches.map(({ from, to }) => lostAhead(cursor.state, from, to).itemCount);
    assert.equal(ahead.reduce((a, b) => a + b, 0), lostItems(real) - counted, `${where}: lost at ${cursor.name}`);
  }
  await journal.close();
  return check.stretches.map(lossOf);
}

function lossOf({ recordCount, itemCount, pieces, gaps }: LostStretch): Loss {
  const files = [
    ...pieces.map(({ segment, offset, bytes }) => `${fileNameOf(segment)} ${offset}-${offset + bytes}`),
    ...gaps.map(({ behind, before, bytes }) => `${bytes} gone ${behind?.number ?? ""}-${before?.number ?? ""}`),
  ];
  return { files, records: recordCount, items: itemCount };
}

function expected(places: readonly Place[]): readonly Loss[] {
  if (places.length === 0) return [];
  const [{ path, from }] = places;
  const to = places[places.length - 1].to;
  const files = [`${path.slice(STREAM_FOLDER.length + 1)} ${from}-${to}`];
  return [{ files, records: places.length, items: itemsOf(places.map(({ id }) => id)) }];
}

async function eachCursor(look: (backlog: Backlog, where: string) => Promise<void>): Promise<void> {
  for (const taken of [0, 5, RECORD_COUNT]) {
    await look(await makeBacklog({ settledCounts: { a: 0, b: taken } }), `b has taken ${taken}`);
  }
}

Deno.test("a flipped byte is found where it is: its file, the bytes of its record, its items", async () => {
  await eachCursor(async ({ disk, places, segments }, where) => {
    assert.deepEqual(await lossesOn(disk, where), []);
    for (const path of segments) {
      const bytes = disk.content(path);
      for (let offset = 0; offset < bytes.length; offset += 23) {
        const damaged = disk.afterKill();
        damaged.damage(path, bytes.with(offset, bytes[offset] ^ 0x40));
        const lost = places.filter((place) => place.path === path && place.from <= offset && offset < place.to);
        assert.deepEqual(await lossesOn(damaged, where), expected(lost), `${path} at ${offset}, ${where}`);
      }
    }
  });
});

Deno.test("a cut segment is found with the bytes that are left of the record, and what is gone behind them", async () => {
  await eachCursor(async ({ disk, places, segments }, where) => {
    for (const path of [segments[0], segments[1]]) {
      const bytes = disk.content(path);
      const nextNumber = segments.indexOf(path) + 2;
      for (let length = SEGMENT_HEADER_BYTES; length < bytes.length; length += 29) {
        const damaged = disk.afterKill();
        damaged.damage(path, bytes.subarray(0, length));
        const lost = places.filter((place) => place.path === path && place.to > length);
        const [{ from }] = lost;
        const name = path.slice(STREAM_FOLDER.length + 1);
        const [loss] = await lossesOn(damaged, where);
        assert.deepEqual(loss.items, itemsOf(lost.map(({ id }) => id)), `${path} to ${length}, ${where}`);
        assert.equal(loss.records, lost.length);
        if (length > from) assert.equal(loss.files[0], `${name} ${from}-${length}`);
        const gone = loss.files.filter((text) => text.includes("gone"));
        const goneBytes = gone.reduce((sum, text) => sum + Number.parseInt(text), 0);
        assert.equal(goneBytes, bytes.length - length, `${path} to ${length}`);
        for (const text of gone) assert.ok(text.endsWith(`gone ${nextNumber - 1}-${nextNumber}`), text);
      }
    }
  });
});

Deno.test("a segment that is gone is found by what is around it, and missed only where it is still wanted", async () => {
  const { disk, places, segments } = await makeBacklog({ settledCounts: { a: 0, b: 5 } });
  for (const [index, path] of segments.entries()) {
    const damaged = disk.afterKill();
    damaged.delete(path);
    const lost = places.filter((place) => place.path === path);
    const [loss, ...more] = await lossesOn(damaged, `without ${path}`);
    assert.deepEqual(more, []);
    assert.equal(loss.items, itemsOf(lost.map(({ id }) => id)));
    assert.match(loss.files[0], new RegExp(`gone ${index || ""}-${index + 1 < segments.length ? index + 2 : ""}$`));
  }
});

Deno.test("a segment that no destination wanted any more and that was let go of is no loss", async () => {
  const disk = new FakeDisk();
  const journal = await openJournal(disk, { fsync: "commit" });
  const cursor = journal.cursor("a", "reject");
  for (let id = 1; id <= RECORD_COUNT; id++) await journal.append(recordOf(id));
  // The first stays in flight, so what is between it and the end is let go of and leaves a gap.
  for (let round = 0; round < RECORD_COUNT; round++) {
    for (const entry of cursor.take(ALL)) {
      if (entry.sequence > 0) cursor.acknowledge(entry, { delivered: entry.itemCount });
    }
  }
  await atRest();
  const segments = disk.paths.filter((path) => path.endsWith(".segment"));
  assert.deepEqual(segments.length, 2);
  assert.deepEqual(await lossesOn(disk.afterKill(), "released"), []);
  disk.delete(segments[0]);
  const [{ records, items }] = await lossesOn(disk.afterKill(), "deleted");
  assert.deepEqual([records, items], [1, 1], "of what is gone now only the first was wanted");
});

Deno.test("segments under each other's names are told of, cost nothing, and strangers are named", async () => {
  const { disk, segments } = await makeBacklog();
  disk.swap(segments[0], segments[2]);
  const file = await disk.create(`${STREAM_FOLDER}/000000000098.segment`);
  await file.write(0, new Uint8Array(100));
  await using inspection = await inspectStream(disk, STREAM_FOLDER);
  const { misnamed, stretches, recordCount } = checkStream(inspection);
  assert.deepEqual(misnamed.map((segment) => [fileNameOf(segment), segment.number]), [
    ["000000000003.segment", 1],
    ["000000000001.segment", 3],
  ]);
  assert.deepEqual([stretches.length, recordCount], [0, RECORD_COUNT]);
  assert.deepEqual(inspection.strangers, ["000000000098.segment"]);
});

Deno.test("a record that was not written to its end is told apart from damage, with its items", async () => {
  const { disk, places } = await makeBacklog();
  const { path, from, to, id } = places[places.length - 1];
  disk.delete(`${STREAM_FOLDER}/stream.slots`);
  disk.damage(path, disk.content(path).subarray(0, to - 1));
  await using inspection = await inspectStream(disk, STREAM_FOLDER);
  const { torn, stretches, recordCount } = checkStream(inspection);
  assert.deepEqual([torn?.offset, torn?.bytes, torn?.itemCount], [from, to - from - 1, id]);
  assert.deepEqual([stretches.length, recordCount], [0, RECORD_COUNT - 1]);
});

Deno.test("a slot that cannot be read is named, and whether another one counts", async () => {
  const { disk } = await makeBacklog();
  for (const path of disk.paths.filter((path) => !path.endsWith(".segment"))) {
    const fileName = path.slice(STREAM_FOLDER.length + 1);
    const bytes = disk.content(path);
    const one = disk.afterKill();
    one.damage(path, bytes.with(30, bytes[30] ^ 1));
    const none = disk.afterKill();
    none.damage(path, bytes.subarray(0, 10));
    await using well = await inspectStream(disk, STREAM_FOLDER);
    const gone = disk.afterKill();
    gone.delete(path);
    await using missing = await inspectStream(gone, STREAM_FOLDER);
    assert.deepEqual(missing.brokenSlots, [{ fileName, slots: [], isUsable: false, isKnown: false }]);
    await using oneBroken = await inspectStream(one, STREAM_FOLDER);
    await using allBroken = await inspectStream(none, STREAM_FOLDER);
    assert.deepEqual(well.brokenSlots, []);
    assert.deepEqual(oneBroken.brokenSlots, [{ fileName, slots: [0], isUsable: true, isKnown: false }]);
    assert.deepEqual(allBroken.brokenSlots, [{ fileName, slots: [0, 1], isUsable: false, isKnown: false }]);
  }
});

Deno.test("looking changes nothing in the folder, whatever is wrong in it", async () => {
  const { disk, segments } = await makeBacklog();
  disk.damage(segments[1], disk.content(segments[1]).fill(0));
  await disk.create(`${STREAM_FOLDER}/000000000098.segment`);
  await disk.create(`${STREAM_FOLDER}/000000000099.segment.new`);
  const before = disk.paths.map((path) => [path, disk.content(path).length] as const);
  const count = disk.paths.map((path) => disk.content(path).reduce((sum, byte) => sum + byte, 0));
  await using inspection = await inspectStream(disk, STREAM_FOLDER);
  checkStream(inspection);
  assert.deepEqual(disk.paths.map((path) => [path, disk.content(path).length]), before);
  assert.deepEqual(disk.paths.map((path) => disk.content(path).reduce((sum, byte) => sum + byte, 0)), count);
});

Deno.test("a folder of another version of the format is not taken for a damaged one", async () => {
  const { disk, segments } = await makeBacklog();
  const bytes = disk.content(segments[0]).slice();
  const view = new DataView(bytes.buffer);
  view.setUint32(8, 2, true);
  view.setUint32(4, crc32(bytes.subarray(8, SEGMENT_HEADER_BYTES)), true);
  disk.damage(segments[0], bytes);
  await assert.rejects(inspectStream(disk, STREAM_FOLDER), { name: "ForeignVersionError", version: 2 });
});

Deno.test("a segment that a server begins while its folder is looked at is no gap at the end", async () => {
  const disk = new FakeDisk();
  const journal = await openJournal(disk);
  journal.cursor("a", "reject");
  for (let id = 1; id <= 3; id++) await journal.append(recordOf(id));
  await atRest();
  const list = disk.list.bind(disk);
  let lists = 0;
  disk.list = async (folder) => {
    const names = await list(folder);
    // The slots that are read next know of a segment that is not among these names.
    if (lists++ < 3) {
      for (let id = 4; id <= 8; id++) await journal.append(recordOf(id));
      await atRest();
    }
    return names;
  };
  await using inspection = await inspectStream(disk, STREAM_FOLDER);
  assert.deepEqual(checkStream(inspection).stretches, []);
  assert.ok(lists > 3);
});

Deno.test("what a server removes while its folder is looked at makes the look begin again", async () => {
  const { disk, segments } = await makeBacklog();
  let opens = 0;
  disk.failWith = (operation, path) => {
    if (operation !== "open" || path !== segments[0] || opens++ > 0) return undefined;
    return "ENOENT";
  };
  await using inspection = await inspectStream(disk, STREAM_FOLDER);
  assert.equal(inspection.stream.segments.count, segments.length);
  assert.ok(opens > 1);
});

Deno.test("a device that gives nothing from some place on has lost nothing yet", async () => {
  const { disk, segments, places } = await makeBacklog();
  await using inspection = await inspectStream(disk, STREAM_FOLDER);
  disk.failWith = (operation, path) => operation === "read" && path !== segments[0] ? "EIO" : undefined;
  const { stretches, failure, recordCount } = checkStream(inspection);
  assert.deepEqual(stretches, []);
  assert.equal(recordCount, places.filter(({ path }) => path === segments[0]).length);
  assert.equal((failure as { code?: string }).code, "EIO");
});

Deno.test("a place that can be read at the second attempt is not damaged", async () => {
  const { disk, segments } = await makeBacklog();
  await using inspection = await inspectStream(disk, STREAM_FOLDER);
  let reads = 0;
  disk.failWith = (operation, path) => operation === "read" && path === segments[1] && reads++ < 1 ? "EIO" : undefined;
  assert.deepEqual(checkStream(inspection).stretches, []);
  assert.ok(reads > 1);
});
