import assert from "node:assert/strict";
import { decodeSlot, SLOT_BYTES_MAX, SLOT_HEAD_BYTES } from "../../../exporters/journal/format.ts";
import { readSlots, SLOT_COUNT, SlotFile } from "../../../exporters/journal/slot_file.ts";
import { settle } from "../../fakes/clock.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { seededRandom } from "../../fakes/random.ts";

const PATH = "/data/value.slots";

/** What a file has at its end on a disk that is full: a number may get another digit, and that is all. */
const BLOCK_REST_BYTES = 8;

/** A file whose value is a number, and whoever it tells how its writes went. */
function numberFile(
  disk: FakeDisk,
  generation = 0,
): { file: SlotFile; set(value: number): Promise<void>; become(value: number): void; told: unknown[] } {
  let current = 0;
  const told: unknown[] = [];
  const file = new SlotFile({
    disk,
    folder: "/data",
    name: "value.slots",
    generation,
    value: () => ({ current }),
    onWritten: (error) => told.push(error),
  });
  const set = async (value: number) => {
    current = value;
    file.touch();
    await settle(100);
  };
  return { file, set, become: (value) => current = value, told };
}

async function valuesIn(disk: FakeDisk): Promise<number[]> {
  return (await readSlots(disk, PATH)).map(({ value }) => (value as { current: number }).current);
}

/** Puts half of the youngest value's slot out of order, as a write does that ends in the middle. */
function tearYoungest(disk: FakeDisk): void {
  const bytes = disk.content(PATH);
  let youngest = 0;
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    if (generationIn(bytes, slot) > generationIn(bytes, youngest)) youngest = slot;
  }
  disk.zero(PATH, youngest * SLOT_BYTES_MAX + SLOT_HEAD_BYTES, 4);
}

function generationIn(bytes: Uint8Array, slot: number): number {
  return decodeSlot(bytes.subarray(slot * SLOT_BYTES_MAX))?.generation ?? 0;
}

Deno.test("a write that others have done meanwhile says nothing of the disk: one that fails is not well again by that", async () => {
  const disk = new FakeDisk();
  const { file, set, told } = numberFile(disk);
  await set(1);
  disk.failWith = () => "EROFS";
  told.length = 0;
  file.touch();
  const persisted = file.persist();
  await settle(3); // The first write has begun, so this is another one; the persisting writes it, too.
  file.touch();
  assert.equal(await persisted, false);
  await file.close();
  assert.ok(told.length > 0);
  assert.deepEqual(told.filter((error) => error === undefined), []);
});

Deno.test("a killed process leaves the last value, or the one before if it was killed in the write", async () => {
  const disk = new FakeDisk();
  const { file, set } = numberFile(disk);
  for (let value = 1; value <= 9; value++) {
    await set(value);
    assert.equal((await valuesIn(disk.afterKill()))[0], value);
  }
  disk.stopAfter(1);
  await set(10);
  assert.equal((await valuesIn(disk.afterKill()))[0], 9);
  void file;
});

Deno.test("a loss of power leaves at least the last value that was made durable, whatever was written since", async () => {
  for (let seed = 0; seed < 60; seed++) {
    const disk = new FakeDisk();
    const { file, set } = numberFile(disk);
    for (let value = 1; value <= 3; value++) await set(value);
    assert.equal(await file.persist(), true);
    for (let value = 4; value <= 4 + seed % 7; value++) await set(value);
    const [value] = await valuesIn(disk.afterPowerLoss(seededRandom(seed)));
    assert.ok(value >= 3, `seed ${seed}: ${value}`);
  }
});

Deno.test("a write does not wait for a sync that hangs, and is what a killed process leaves", async () => {
  const disk = new FakeDisk();
  const { file, set } = numberFile(disk);
  await set(1);
  disk.hangs = (operation) => operation === "sync";
  let isPersisted = false;
  const persisted = file.persist().then(() => isPersisted = true);
  await settle();
  for (let value = 2; value <= 9; value++) {
    await set(value);
    let isWritten = false;
    void file.written().then(() => isWritten = true);
    await settle();
    assert.equal(isWritten, true);
    assert.equal((await valuesIn(disk.afterKill()))[0], value);
    const torn = disk.afterKill();
    tearYoungest(torn);
    assert.equal((await valuesIn(torn))[0], value - 1, "a write that is cut off leaves the value before");
  }
  assert.equal(isPersisted, false);
  disk.answerAll();
  await persisted;
  await file.close();
});

Deno.test("whatever is written, synced and hangs at the same time, a loss of power leaves what was said to be durable, or younger", async () => {
  for (let seed = 0; seed < 100; seed++) {
    const random = seededRandom(seed);
    const disk = new FakeDisk();
    const { file, set } = numberFile(disk);
    let value = 1;
    let durable = 0;
    await set(value);
    for (let step = 0; step < 30; step++) {
      const dice = random();
      disk.hangs = (operation) => operation === "sync" && dice < 0.7;
      if (dice < 0.2 || dice > 0.9) {
        const persisting = value;
        void file.persist().then((isDurable) => {
          if (isDurable) durable = Math.max(durable, persisting);
        });
      }
      if (dice > 0.8) disk.answerAll();
      await set(++value);
      const [youngest] = await valuesIn(disk.afterPowerLoss(seededRandom(seed * 100 + step)));
      assert.ok((youngest ?? 0) >= durable, `seed ${seed}, step ${step}: ${youngest}, but ${durable} was durable`);
    }
    disk.answerAll();
    await file.close();
    assert.ok(durable > 0);
  }
});

Deno.test("a sync that fails is told, and not taken for the new file's that a failed write has made meanwhile", async () => {
  const disk = new FakeDisk();
  const { file, set, told } = numberFile(disk);
  await set(1);
  for (const writeFails of [false, true]) {
    told.length = 0;
    disk.hangs = (operation) => operation === "sync";
    const persisted = file.persist();
    await settle();
    disk.hangs = () => false;
    if (writeFails) {
      disk.failWith = (operation) => operation === "write" ? "EIO" : undefined;
      await set(2);
      disk.failWith = () => undefined;
      await set(3);
    } else disk.failWith = (operation) => operation === "sync" ? "EIO" : undefined;
    disk.answerAll();
    assert.equal(await persisted, false);
    disk.failWith = () => undefined;
    assert.equal(told.filter((error) => error !== undefined).length, 1);
    await set(4);
    assert.equal(await file.persist(), true);
    assert.equal((await valuesIn(disk.afterPowerLoss(seededRandom(1))))[0], 4);
    assert.equal(disk.openCount, 1);
  }
});

Deno.test("once a value is durable no older one counts, whichever slot is damaged after it", async () => {
  const disk = new FakeDisk();
  const { file, set, become } = numberFile(disk);
  for (let value = 1; value <= 5; value++) await set(value);
  become(6);
  await file.persist();
  for (let slot = 0; slot < SLOT_COUNT; slot++) {
    const damaged = disk.afterKill();
    const bytes = damaged.content(PATH);
    damaged.damage(PATH, bytes.fill(0, slot * SLOT_BYTES_MAX, slot * SLOT_BYTES_MAX + 30));
    assert.equal((await valuesIn(damaged))[0], 6, `slot ${slot}`);
  }
});

Deno.test("what changes during a write is in the next: many changes are few writes, and the last one is there", async () => {
  const disk = new FakeDisk();
  const { file, set } = numberFile(disk);
  await set(1);
  const before = disk.operationCount;
  for (let value = 2; value <= 100; value++) void set(value);
  await settle();
  assert.ok(disk.operationCount - before <= 3);
  assert.equal((await valuesIn(disk.afterKill()))[0], 100);
  await file.close();
  await set(101);
  assert.equal((await valuesIn(disk.afterKill()))[0], 100, "a closed file is left alone");
});

Deno.test("a file that failed, or was deleted, is replaced by a new one under the same name", async () => {
  for (const failing of ["write", "sync", "create", "rename", "syncFolder", "deleted"] as const) {
    const disk = new FakeDisk();
    const { file, set, told } = numberFile(disk);
    await set(1);
    await file.persist();
    let failures = 0;
    if (failing === "deleted") disk.delete("/data");
    else {
      if (failing !== "write" && failing !== "sync") disk.delete(PATH);
      disk.failWith = (operation) => operation === failing ? (failures++, "EIO") : undefined;
    }
    await set(2);
    const isDurable = await file.persist();
    assert.equal(isDurable, failures === 0, failing);
    assert.equal(told.filter((error) => error !== undefined).length > 0, failures > 0, failing);
    disk.failWith = () => undefined;
    await set(3);
    assert.equal(await file.persist(), true);
    assert.equal((await valuesIn(disk.afterPowerLoss(seededRandom(1))))[0], 3, failing);
    assert.deepEqual(disk.paths, [PATH], failing);
  }
});

Deno.test("where there is no room for a new file the old one is used again, and is whole at any moment", async () => {
  const before = new FakeDisk();
  const { set, file } = numberFile(before);
  for (let value = 11; value <= 15; value++) await set(value);
  await file.close();
  const [{ generation }] = await readSlots(before, PATH);
  let isDone = false;
  for (let operations = 0; !isDone; operations++) {
    const disk = before.afterKill();
    disk.bytesMax = disk.bytes + BLOCK_REST_BYTES;
    const after = numberFile(disk, generation);
    after.become(16);
    disk.stopAfter(operations);
    void after.file.persist().then((isDurable) => isDone = isDurable);
    await settle(200);
    const values = [disk.afterKill(), ...[1, 2, 3].map((seed) => disk.afterPowerLoss(seededRandom(seed)))].map(
      valuesIn,
    );
    for (const [value] of await Promise.all(values)) {
      assert.ok(isDone ? value === 16 : value >= 15, `${value} after ${operations} operations`);
    }
    assert.ok(operations < 100);
    if (!isDone) continue;
    disk.stopAfter(Infinity);
    assert.deepEqual(
      await valuesIn(disk.afterPowerLoss(seededRandom(1))),
      Array(SLOT_COUNT).fill(16),
      "no older one may ever count",
    );
    for (let value = 17; value <= 22; value++) {
      await after.set(value);
      assert.equal((await valuesIn(disk.afterKill()))[0], value);
    }
    assert.deepEqual(disk.paths, [PATH]);
  }
});

Deno.test("a file of which a sync has failed is not used again, whether there is room for a new one or not", async () => {
  const disk = new FakeDisk();
  const { file, set, become } = numberFile(disk);
  await set(1);
  disk.bytesMax = disk.bytes;
  disk.failWith = (operation) => operation === "sync" ? "EIO" : undefined;
  become(2);
  assert.equal(await file.persist(), false);
  disk.failWith = () => undefined;
  become(3);
  assert.equal(await file.persist(), false, "what it would say of the old file nobody knows");
  disk.bytesMax = Infinity;
  assert.equal(await file.persist(), true);
});
