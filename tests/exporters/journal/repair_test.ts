import assert from "node:assert/strict";
import { SEGMENT_HEADER_BYTES } from "../../../exporters/journal/format.ts";
import { inspectStream } from "../../../exporters/journal/inspection.ts";
import { checkStream } from "../../../exporters/journal/inspection_check.ts";
import { repairStream } from "../../../exporters/journal/repair.ts";
import type { FakeDisk } from "../../fakes/disk.ts";
import { seededRandom } from "../../fakes/random.ts";
import { type Backlog, makeBacklog } from "./backlog_fixture.ts";
import {
  assertBalance,
  drain,
  lostItems,
  openJournal,
  recordOf,
  STREAM_FOLDER,
  untilStopped,
} from "./disk_journal_fixture.ts";

/** What may have happened to a folder. */
const DAMAGE: Readonly<Record<string, (disk: FakeDisk, backlog: Backlog) => void>> = {
  "a flipped byte": (disk, { segments: [first], places: [, { from }] }) => flip(disk, first, from + 70),
  "two flipped bytes": (disk, { segments: [first, second] }) => {
    flip(disk, first, 100);
    flip(disk, second, 100);
  },
  "a flipped byte in a header": (disk, { segments: [, second] }) => flip(disk, second, 20),
  "a cut segment": (disk, { segments: [, second] }) => disk.damage(second, disk.content(second).subarray(0, 150)),
  "a segment of zeros": (disk, { segments: [, second] }) => disk.damage(second, new Uint8Array(512)),
  "a segment that is gone": (disk, { segments: [, second] }) => disk.delete(second),
  "a first segment that is gone": (disk, { segments: [first] }) => disk.delete(first),
  "a last segment that is gone": (disk, { segments }) => disk.delete(segments[segments.length - 1]),
  "a torn tail": (disk, { segments }) => {
    const last = segments[segments.length - 1];
    disk.damage(last, Uint8Array.of(...disk.content(last), ...new Uint8Array(40).fill(7)));
  },
  "a damaged slot of a cursor": (disk) => flip(disk, cursorOf(disk), 30),
  "a cursor without a slot": (disk) => disk.damage(cursorOf(disk), new Uint8Array(10)),
  "a cursor that is gone": (disk) => disk.delete(cursorOf(disk)),
  "no state of the stream and no cursor": (disk) => {
    disk.delete(`${STREAM_FOLDER}/stream.slots`);
    disk.delete(cursorOf(disk));
  },
  "no state of the stream": (disk) => disk.delete(`${STREAM_FOLDER}/stream.slots`),
};

function flip(disk: FakeDisk, path: string, offset: number): void {
  const bytes = disk.content(path);
  disk.damage(path, bytes.with(offset, bytes[offset] ^ 1));
}

function cursorOf(disk: FakeDisk): string {
  return disk.paths.find((path) => path.endsWith(".cursor")) ?? "";
}

/** What a server makes of a folder. */
async function served(disk: FakeDisk): Promise<{ readonly lost: number }> {
  const journal = await openJournal(disk);
  const cursor = journal.cursor("a", "reject");
  assertBalance(journal);
  const ids = drain(cursor);
  const lost = lostItems(cursor);
  assertBalance(journal);
  assert.equal(await journal.append(recordOf(50)), "appended");
  assert.deepEqual(drain(cursor), [50]);
  const { acceptedItems } = journal;
  await journal.close();
  return { ids, lost, acceptedItems } as { lost: number };
}

/** Asserts that whoever looks finds nothing that is not known, and that each account has what is lost. */
async function mustBeRepaired(disk: FakeDisk, lostItemCount: number, where: string): Promise<void> {
  await using inspection = await inspectStream(disk, STREAM_FOLDER);
  const { stretches, torn, failure } = checkStream(inspection);
  assert.equal(stretches.reduce((sum, { itemCount }) => sum + itemCount, 0), lostItemCount, where);
  for (const { cursor } of inspection.cursors) assert.equal(cursor.totals.dropped.corrupt ?? 0, lostItemCount, where);
  assert.deepEqual(stretches.filter(({ isKnown }) => !isKnown), [], where);
  assert.deepEqual([torn, failure, inspection.strangers], [undefined, undefined, []], where);
  assert.deepEqual(inspection.brokenSlots.filter(({ isKnown }) => !isKnown), [], where);
  const again = await repairStream(disk, STREAM_FOLDER);
  assert.equal(again.isNeeded, false, where);
}

for (const [name, damage] of Object.entries(DAMAGE)) {
  Deno.test(`${name}: a repair leaves nothing unknown, and a server makes the same of the folder as before`, async () => {
    const backlog = await makeBacklog();
    damage(backlog.disk, backlog);
    const expected = await served(backlog.disk.afterKill());
    const { isNeeded } = await repairStream(backlog.disk, STREAM_FOLDER);
    assert.ok(isNeeded);
    await mustBeRepaired(backlog.disk, expected.lost, name);
    assert.deepEqual(await served(backlog.disk.afterKill()), expected);
  });

  Deno.test(`${name}: a repair that is killed or loses power at any operation loses nothing, and the next one ends it`, async () => {
    const backlog = await makeBacklog();
    damage(backlog.disk, backlog);
    const expected = await served(backlog.disk.afterKill());
    const whole = backlog.disk.afterKill();
    await repairStream(whole, STREAM_FOLDER);
    assert.ok(whole.operationCount > 3);
    for (let operations = 0; operations < whole.operationCount; operations++) {
      const where = `${name}, after ${operations} operations`;
      const disk = backlog.disk.afterKill();
      disk.stopAfter(operations);
      await untilStopped(disk, repairStream(disk, STREAM_FOLDER).then(() => {}));
      for (const left of [disk.afterKill(), disk.afterPowerLoss(seededRandom(operations))]) {
        assert.deepEqual(await served(left.afterKill()), expected, where);
        await repairStream(left, STREAM_FOLDER);
        await mustBeRepaired(left, expected.lost, where);
        assert.deepEqual(await served(left), expected, where);
      }
    }
  });
}

Deno.test("damaged bytes are kept in a file beside their segment, as they are, and no record is written to", async () => {
  const { disk, places: [, { path, from, to, id }], segments } = await makeBacklog();
  flip(disk, path, from + 70);
  const before = segments.map((path) => disk.content(path));
  const { kept, check } = await repairStream(disk, STREAM_FOLDER);
  const name = `${path.slice(STREAM_FOLDER.length + 1)}-${from}.damaged`;
  assert.deepEqual(kept, [{ name, bytes: to - from }]);
  assert.deepEqual(disk.content(`${STREAM_FOLDER}/${name}`), disk.content(path).slice(from, to));
  assert.deepEqual(segments.map((path) => disk.content(path)), before);
  assert.equal(check.stretches[0].itemCount, id);
});

Deno.test("a file of damaged bytes that a killed server has not written to its end is written again", async () => {
  const { disk, places: [, { path, from, to }] } = await makeBacklog();
  flip(disk, path, from + 70);
  const aside = `${path}-${from}.damaged`;
  await disk.create(aside);
  await repairStream(disk, STREAM_FOLDER);
  assert.equal(disk.content(aside).length, to - from);
});

Deno.test("a repair that is only tried says the same and changes nothing", async () => {
  for (const [name, damage] of Object.entries(DAMAGE)) {
    const backlog = await makeBacklog();
    damage(backlog.disk, backlog);
    const lengths = () => backlog.disk.paths.map((path) => [path, backlog.disk.content(path).length]);
    const before = lengths();
    const tried = await repairStream(backlog.disk, STREAM_FOLDER, { isDryRun: true });
    assert.deepEqual(lengths(), before, name);
    const done = await repairStream(backlog.disk, STREAM_FOLDER);
    for (const key of ["putAside", "kept", "rewritten", "left", "isNeeded"] as const) {
      assert.deepEqual(tried[key], done[key], `${key} of ${name}`);
    }
  }
});

Deno.test("damage that comes after a repair is not taken for what is known", async () => {
  const { disk, places: [, second, third] } = await makeBacklog();
  flip(disk, second.path, second.from + 70);
  await repairStream(disk, STREAM_FOLDER);
  flip(disk, third.path, third.from + 70);
  await using inspection = await inspectStream(disk, STREAM_FOLDER);
  const [stretch] = checkStream(inspection).stretches;
  assert.equal(stretch.isKnown, false);
  assert.equal(stretch.itemCount, second.id + third.id);
});

Deno.test("a cursor that cannot be read and whose name is not that of its file is noted, and left to the server", async () => {
  const { disk } = await makeBacklog({ settledCounts: { "an odd name": 3 } });
  disk.damage(cursorOf(disk), new Uint8Array(SEGMENT_HEADER_BYTES));
  const fileName = cursorOf(disk).slice(STREAM_FOLDER.length + 1);
  const { left, rewritten } = await repairStream(disk, STREAM_FOLDER);
  assert.deepEqual([left, rewritten], [[fileName], []]);
  const isKnown = async () => {
    await using inspection = await inspectStream(disk, STREAM_FOLDER);
    return inspection.brokenSlots.every(({ isKnown }) => isKnown);
  };
  assert.ok(await isKnown());

  const journal = await openJournal(disk);
  const cursor = journal.cursor("an odd name", "reject");
  assert.equal(drain(cursor).length, 12, "from the oldest record on");
  await journal.append(recordOf(60));
  await journal.close();
  disk.damage(cursorOf(disk), new Uint8Array(SEGMENT_HEADER_BYTES));
  assert.ok(!(await isKnown()), "what happens later is news");
});

Deno.test("a segment that the disk does not give is not put aside: it may be given another time", async () => {
  const { disk, segments } = await makeBacklog();
  disk.failWith = (operation, path) => operation === "read" && path === segments[1] ? "EIO" : undefined;
  await assert.rejects(repairStream(disk, STREAM_FOLDER), { code: "EIO" });
  assert.ok(disk.paths.includes(segments[1]));
  disk.failWith = () => undefined;
  assert.equal((await repairStream(disk, STREAM_FOLDER)).isNeeded, false);
});
