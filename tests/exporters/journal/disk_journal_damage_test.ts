import assert from "node:assert/strict";
import type { DiskJournal } from "../../../exporters/journal/disk_journal.ts";
import {
  RECORD_HEAD_BYTES,
  SEGMENT_HEADER_BYTES,
  SLOT_BYTES_MAX,
  slotBytes,
} from "../../../exporters/journal/format.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { ALL_IDS, makeBacklog, RECORD_COUNT } from "./backlog_fixture.ts";
import {
  assertBalance,
  atRest,
  drain,
  itemsOf,
  lostItems,
  openJournal,
  recordOf,
  STREAM_FOLDER,
} from "./disk_journal_fixture.ts";

/** Opens what is left: it starts, gives what is whole, counts the rest to the item, and takes new records. */
async function mustLoseOnly(disk: FakeDisk, lost: readonly number[], where: string): Promise<DiskJournal> {
  const journal = await openJournal(disk);
  const cursor = journal.cursor("a", "reject");
  assertBalance(journal);
  assert.equal(journal.acceptedItems, itemsOf(ALL_IDS), where);
  assert.deepEqual(drain(cursor), ALL_IDS.filter((id) => !lost.includes(id)), where);
  assert.equal(lostItems(cursor), itemsOf(lost), where);
  assert.equal(cursor.queued.items, 0, where);
  assertBalance(journal);
  assert.equal(await journal.append(recordOf(50)), "appended", where);
  assert.deepEqual(drain(cursor), [50], where);
  await journal.close();
  return journal;
}

Deno.test("a flipped byte anywhere in a segment costs the record it is in, and in a header nothing", async () => {
  const { disk, places, segments } = await makeBacklog();
  for (const path of segments) {
    const bytes = disk.content(path);
    for (let offset = 0; offset < bytes.length; offset++) {
      const damaged = disk.afterKill();
      damaged.flip(path, offset);
      const lost = places.filter((place) => place.path === path && place.from <= offset && offset < place.to);
      await mustLoseOnly(damaged, lost.map(({ id }) => id), `${path} at ${offset}`);
    }
  }
});

Deno.test("a segment that was cut at any length loses what is behind the cut", async () => {
  const { disk, places, segments } = await makeBacklog();
  for (const path of [segments[0], segments[1], segments[segments.length - 1]]) {
    const bytes = disk.content(path);
    for (let length = 0; length < bytes.length; length++) {
      const damaged = disk.afterKill();
      damaged.damage(path, bytes.subarray(0, length));
      const lost = places.filter((place) => place.path === path && place.to > length);
      await mustLoseOnly(damaged, lost.map(({ id }) => id), `${path} to ${length}`);
    }
  }
});

Deno.test("a page of zeros, of random bytes or of another file costs the records in it", async () => {
  const { disk, places, segments } = await makeBacklog({ segmentBytesMax: 9000, payloadBytes: 1700 });
  for (const path of segments) {
    const bytes = disk.content(path);
    for (let start = 0; start < bytes.length; start += 4096) {
      const fillings = [
        new Uint8Array(4096),
        Uint8Array.from({ length: 4096 }, (_, index) => index * 193 >> 3),
        disk.content(segments[0]).slice(100, 4196),
      ];
      for (const filling of fillings) {
        const changed = bytes.slice();
        changed.set(filling.subarray(0, bytes.length - start), start);
        const damaged = disk.afterKill();
        damaged.damage(path, changed);
        const lost = places.filter((place) => place.path === path && place.from < start + 4096 && start < place.to);
        await mustLoseOnly(damaged, lost.map(({ id }) => id), `${path} from ${start}`);
      }
    }
  }
});

Deno.test("a segment that is gone is lost to the item, whichever it is, and so are several, and all", async () => {
  const { disk, places, segments } = await makeBacklog();
  for (const gone of [...segments.map((path) => [path]), segments.slice(1, 3), segments.slice(-2), segments]) {
    const damaged = disk.afterKill();
    for (const path of gone) damaged.delete(path);
    const lost = places.filter(({ path }) => gone.includes(path));
    await mustLoseOnly(damaged, lost.map(({ id }) => id), `without ${gone}`);
  }
});

Deno.test("segments under each other's names, copies, and files of somebody else cost nothing", async () => {
  const { disk, segments } = await makeBacklog();
  const swapped = disk.afterKill();
  swapped.swap(segments[0], segments[2]);
  await mustLoseOnly(swapped, [], "swapped");

  const crowded = disk.afterKill();
  for (const [name, bytes] of [["000000000099.segment", disk.content(segments[1])], ["000000000098.segment", "?"]]) {
    const file = await crowded.create(`${STREAM_FOLDER}/${name}`);
    await file.write(0, typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
  }
  await crowded.create(`${STREAM_FOLDER}/README`);
  await crowded.create(`${STREAM_FOLDER}/000000000097.segment`);
  await mustLoseOnly(crowded, [], "crowded");
  assert.ok(crowded.paths.includes(`${STREAM_FOLDER}/000000000098.segment.damaged`), "what is no segment is put aside");
});

Deno.test("a flipped byte anywhere in a cursor or in the state of the stream, a cut at any length and a zeroed page cost nothing", async () => {
  const { disk, slots } = await makeBacklog();
  assert.equal(slots.length, 2);
  for (const path of slots) {
    const bytes = disk.content(path);
    for (let slot = 0; slot * SLOT_BYTES_MAX < bytes.length; slot++) {
      const from = slot * SLOT_BYTES_MAX;
      const to = from + slotBytes(bytes.subarray(from));
      for (let at = from; at < Math.min(to, bytes.length); at++) {
        const flipped = disk.afterKill();
        flipped.flip(path, at, 1);
        await mustLoseOnly(flipped, [], `${path} at ${at}`);
        const cut = disk.afterKill();
        cut.cut(path, at);
        await mustLoseOnly(cut, [], `${path} to ${at}`);
      }
      const zeroed = disk.afterKill();
      zeroed.damage(path, bytes.slice().fill(0, from, from + 4096));
      await mustLoseOnly(zeroed, [], `${path} without slot ${slot}`);
    }
  }
});

Deno.test("without the state of the stream nothing is lost; without a usable cursor it begins at the oldest record", async () => {
  const { disk } = await makeBacklog();
  const stateless = disk.afterKill();
  stateless.delete(`${STREAM_FOLDER}/stream.slots`);
  await mustLoseOnly(stateless, [], "without the state");

  const blind = disk.afterKill();
  const cursorPath = disk.paths.find((path) => path.endsWith(".cursor")) ?? "";
  blind.damage(cursorPath, new Uint8Array(10));
  await mustLoseOnly(blind, [], "without the cursor's slots");

  const lost = disk.afterKill();
  lost.delete(cursorPath);
  await mustLoseOnly(lost, [], "without the cursor's file");
});

Deno.test("what was discarded before a cursor was made is known by the cursor too, should the state be gone", async () => {
  const disk = new FakeDisk();
  const journal = await openJournal(disk);
  journal.discard(5, "sampled");
  journal.cursor("a", "reject");
  await journal.append(recordOf(3));
  await journal.close();
  disk.delete(`${STREAM_FOLDER}/stream.slots`);
  const later = await openJournal(disk);
  const cursor = later.cursor("a", "reject");
  assert.equal(later.acceptedItems, 8);
  assert.deepEqual(cursor.totals.dropped, { no_destination: 5 });
  assertBalance(later);
  await later.close();
});

Deno.test("the last record counts only when it is whole: a torn one was never answered, as far as anybody knows", async () => {
  const { disk, places } = await makeBacklog();
  const last = places[places.length - 1];
  const bytes = disk.content(last.path);
  disk.damage(last.path, bytes.with(last.to - 1, bytes[last.to - 1] ^ 1));
  disk.delete(`${STREAM_FOLDER}/stream.slots`);
  const journal = await openJournal(disk);
  const cursor = journal.cursor("a", "reject");
  assert.equal(journal.acceptedItems, itemsOf(places.map(({ id }) => id)) - last.id);
  assert.equal(drain(cursor).length, RECORD_COUNT - 1);
  assert.equal(lostItems(cursor), 0);
  await journal.append(recordOf(12));
  assert.deepEqual(drain(cursor), [12], "the next one takes its place");
  await journal.close();
});

Deno.test("damage that a cursor comes to while the journal is open is counted, kept aside once, and told of once", async () => {
  const disk = new FakeDisk();
  const told: string[] = [];
  const journal = await openJournal(disk, { fsync: "commit", report: (message) => told.push(message) });
  const cursors = [journal.cursor("a", "reject"), journal.cursor("b", "drop_oldest")];
  for (let id = 1; id <= RECORD_COUNT; id++) await journal.append(recordOf(id));
  const [path] = disk.paths.filter((path) => path.endsWith(".segment"));
  const bytes = disk.content(path);
  // The second record begins behind the first one's 57 bytes of payload.
  const start = SEGMENT_HEADER_BYTES + RECORD_HEAD_BYTES + 57;
  disk.damage(path, bytes.with(start + 70, bytes[start + 70] ^ 1));
  for (const cursor of cursors) {
    assert.deepEqual(drain(cursor), [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert.equal(lostItems(cursor), 2);
  }
  assertBalance(journal);
  assert.equal(journal.health.damageCount, 1);
  await journal.close();
  assert.equal(told.length, 1);
  const aside = disk.paths.filter((path) => path.endsWith(".damaged"));
  assert.deepEqual(aside, [`${path}-${start}.damaged`]);
  assert.equal(disk.content(aside[0]).length, RECORD_HEAD_BYTES + 94);
});

Deno.test("a payload that looks like a record is not taken for one, whatever is damaged before it", async () => {
  const disk = new FakeDisk();
  const journal = await openJournal(disk, { segmentBytesMax: 65_536, randomSalt: () => 1 });
  journal.cursor("a", "reject");
  await journal.append(recordOf(1));
  await atRest();
  const [path] = disk.paths.filter((path) => path.endsWith(".segment"));
  const image = disk.content(path).slice(SEGMENT_HEADER_BYTES);
  await journal.append({ ...recordOf(2), payload: image });
  await journal.append(recordOf(3));
  await atRest();
  const damaged = disk.afterKill();
  const bytes = damaged.content(path);
  damaged.damage(path, bytes.with(SEGMENT_HEADER_BYTES + image.length + 9, 0xff));
  const later = await openJournal(damaged);
  const cursor = later.cursor("a", "reject");
  assert.deepEqual(drain(cursor), [1, 3]);
  assert.equal(lostItems(cursor), 2);
  await later.close();
});
