import assert from "node:assert/strict";
import { PATIENCE_MS } from "../../../exporters/journal/patient_disk.ts";
import type { Quarantine } from "../../../exporters/journal/quarantine.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { type DiskOperation, FakeDisk } from "../../fakes/disk.ts";
import { seededRandom } from "../../fakes/random.ts";
import { untilStopped } from "./disk_journal_fixture.ts";
import { BAD_DATA, FOLDER, openQuarantine, refused, sequencesIn } from "./quarantine_fixture.ts";

const SEQUENCES = [1, 2, 3, 4];

/** Puts four records, two at a time, the second again, and drops the first. */
async function live(disk: FakeDisk, kept: Set<number>, dropped: Set<number>): Promise<void> {
  const quarantine = await openQuarantine(disk);
  const put = async (sequence: number) => {
    if (await quarantine.put(refused(sequence), BAD_DATA) === "kept") kept.add(sequence);
  };
  await Promise.all([put(1), put(2)]);
  await Promise.all([put(2), put(3), put(4)]);
  const first = quarantine.list().find(({ record }) => record?.itemCount === 2);
  dropped.add(1);
  await quarantine.drop(first?.id ?? "");
}

for (
  const [how, after] of [
    ["a kill", (disk: FakeDisk) => disk.afterKill()],
    ["a loss of power", (disk: FakeDisk, seed: number) => disk.afterPowerLoss(seededRandom(seed))],
  ] as const
) {
  Deno.test(`after ${how} at any moment what was kept is there, and what comes again is mended and counted once`, async () => {
    const whole = new FakeDisk();
    await live(whole, new Set(), new Set());
    for (let operations = 0; operations <= whole.operationCount; operations++) {
      const disk = new FakeDisk();
      const kept = new Set<number>();
      const dropped = new Set<number>();
      disk.stopAfter(operations);
      await untilStopped(disk, live(disk, kept, dropped));
      for (let seed = 0; seed < 4; seed++) {
        const where = `after ${operations} operations, seed ${seed}`;
        const later = after(disk, operations * 4 + seed);
        const quarantine = await openQuarantine(later);
        const there = new Set(await sequencesIn(quarantine));
        assert.deepEqual([...kept].filter((sequence) => !there.has(sequence) && !dropped.has(sequence)), [], where);
        assert.ok(quarantine.list().length <= SEQUENCES.length, where);
        for (const sequence of SEQUENCES) {
          assert.equal(await quarantine.put(refused(sequence), BAD_DATA), "kept", where);
        }
        // What the dead process wrote is durable from now on, whoever wrote it.
        for (const one of [quarantine, await openQuarantine(later.afterPowerLoss(() => 0))]) {
          assert.deepEqual((await sequencesIn(one)).sort(), SEQUENCES, where);
          assert.deepEqual({ ...one.held, bytes: 0 }, { records: 4, items: 14, bytes: 0 }, where);
          assert.equal(one.held.bytes, later.bytes, where);
        }
      }
    }
  });
}

Deno.test("the bytes are durable before they are described, and a description is gone before its bytes are", async () => {
  const disk = new FakeDisk();
  const quarantine = await openQuarantine(disk);
  const asked: string[] = [];
  disk.failWith = (operation, path) => {
    if (operation !== "open") asked.push(`${operation} ${path.replace(/traces-.*\./, "*.")}`);
    return undefined;
  };
  await quarantine.put(refused(1), BAD_DATA);
  const traces = "/data/quarantine/traces";
  const written = ["pb", "json"].flatMap((suffix) => [
    `create ${traces}/*.${suffix}`,
    `write ${traces}/*.${suffix}`,
    `sync ${traces}/*.${suffix}`,
    `syncFolder ${traces}`,
  ]);
  assert.deepEqual(asked, [`makeFolder ${traces}`, "syncFolder /data/quarantine", ...written]);
  asked.length = 0;
  await quarantine.drop(quarantine.list()[0]!.id);
  assert.deepEqual(asked, [`remove ${traces}/*.json`, `remove ${traces}/*.pb`, `syncFolder ${traces}`]);
});

/** Puts records while the disk fails at one kind of operation; nothing of them may be counted or left. */
async function putInVain(disk: FakeDisk, quarantine: Quarantine, sequences: readonly number[]): Promise<void> {
  const { held } = quarantine;
  const paths = disk.paths;
  for (const sequence of sequences) assert.equal(await quarantine.put(refused(sequence), BAD_DATA), "full");
  assert.deepEqual(quarantine.held, held);
  assert.deepEqual(disk.paths, paths);
}

for (const operation of ["makeFolder", "create", "write", "sync", "syncFolder"] as const) {
  Deno.test(`a disk that fails at ${operation} keeps nothing, says so once, and is taken again when it is well`, async () => {
    const disk = new FakeDisk();
    const told: string[] = [];
    const quarantine = await openQuarantine(disk, { report: (message) => told.push(message) });
    if (operation !== "makeFolder") await quarantine.put(refused(1), BAD_DATA);
    disk.failWith = (asked, path) => asked === operation && path.includes("quarantine") ? "EIO" : undefined;
    if (operation === "syncFolder") {
      // The folder cannot be asked to forget the files either, so they are not let out of sight.
      assert.equal(await quarantine.put(refused(2), BAD_DATA), "full");
      assert.equal(quarantine.list().at(-1)?.damage, "its put failed");
    } else await putInVain(disk, quarantine, [2, 3]);
    assert.equal(told.length, 1);
    assert.match(told[0]!, /^quarantine: the disk fails: .*EIO/);
    disk.failWith = () => undefined;
    for (const sequence of [1, 2, 3]) assert.equal(await quarantine.put(refused(sequence), BAD_DATA), "kept");
    assert.deepEqual(told.slice(1), ["quarantine: the disk is well again"]);
    assert.deepEqual(await sequencesIn(quarantine), [1, 2, 3]);
    assert.equal(quarantine.held.bytes, disk.bytes);
  });
}

Deno.test("a full disk keeps nothing of what it cannot take", async () => {
  const disk = new FakeDisk();
  const quarantine = await openQuarantine(disk);
  await quarantine.put(refused(1), BAD_DATA);
  for (let room = 0; room <= 350; room += 10) {
    disk.bytesMax = disk.bytes + room;
    await putInVain(disk, quarantine, [2]);
  }
  disk.bytesMax = Infinity;
  assert.equal(await quarantine.put(refused(2), BAD_DATA), "kept");
});

Deno.test("what a failing disk does not take back takes its room, and can be dropped when the disk is well", async () => {
  const disk = new FakeDisk();
  const quarantine = await openQuarantine(disk, { recordCountMax: 2 });
  disk.failWith = (operation) => operation === "sync" || operation === "remove" ? "EIO" : undefined;
  const answers = [];
  for (const sequence of [1, 2, 3]) answers.push(await quarantine.put(refused(sequence), BAD_DATA));
  assert.deepEqual(answers, ["full", "full", "full"]);
  assert.equal(disk.paths.length, 2, "no more than may be there");
  assert.deepEqual(quarantine.list().map(({ damage }) => damage), ["its put failed", "its put failed"]);
  const [first, second] = quarantine.list();
  assert.equal(await quarantine.drop(first!.id), "failed");
  disk.failWith = () => undefined;
  assert.equal(await quarantine.drop(first!.id), "dropped");
  assert.equal(await quarantine.put(refused(2), BAD_DATA), "kept", "under its id there is room");
  assert.equal(quarantine.list().find(({ id }) => id === second!.id)?.damage, undefined);
  assert.deepEqual(await sequencesIn(quarantine), [2]);
});

Deno.test("a record that cannot be made durable again after a restart is not said to be kept", async () => {
  const disk = new FakeDisk();
  await (await openQuarantine(disk)).put(refused(1), BAD_DATA);
  const quarantine = await openQuarantine(disk.afterKill());
  const again = disk.afterKill();
  const later = await openQuarantine(again);
  again.failWith = (operation) => operation === "sync" ? "EIO" : undefined;
  assert.equal(await later.put(refused(1), BAD_DATA), "full");
  assert.deepEqual(await sequencesIn(quarantine), [1]);
});

for (const operation of ["open", "create", "write", "sync", "syncFolder"] satisfies DiskOperation[]) {
  Deno.test(`a disk that hangs at ${operation} is one that fails: the answer comes in time, and later it is well`, async () => {
    const disk = new FakeDisk();
    const clock = new FakeClock();
    const told: string[] = [];
    const quarantine = await openQuarantine(disk, { report: (message) => told.push(message) }, clock);
    await quarantine.put(refused(1), BAD_DATA);
    disk.hangs = (asked) => asked === operation;
    const answers: string[] = [];
    void quarantine.put(refused(2), BAD_DATA).then((answer) => answers.push(answer));
    await clock.advance(PATIENCE_MS - 1);
    assert.deepEqual(answers, [], "it may only be busy");
    // One wait for the operation, one for taking back what was done.
    await clock.advance(PATIENCE_MS + 1);
    assert.deepEqual(answers, ["full"]);
    assert.match(told.join(), /has not answered in 10000 ms/);
    disk.answerAll();
    await clock.advance(0);
    assert.equal(await quarantine.put(refused(3), BAD_DATA), "kept");
    assert.deepEqual(await sequencesIn(quarantine), [1, 3]);
    await quarantine.close();
    assert.equal(clock.sleeperCount, 0);
    assert.equal(disk.openCount, 0);
    assert.deepEqual(await sequencesIn(await openQuarantine(disk)), [1, 3]);
  });
}

Deno.test("folders that a killed process has made are durable before anything in them is said to be kept", async () => {
  const disk = new FakeDisk();
  await disk.makeFolder(`${FOLDER}/traces`);
  await disk.syncFolder("/"); // Where the data folder stands is its owner's affair.
  const quarantine = await openQuarantine(disk);
  assert.equal(await quarantine.put(refused(1), BAD_DATA), "kept");
  for (let seed = 0; seed < 20; seed++) {
    const later = await openQuarantine(disk.afterPowerLoss(seededRandom(seed)));
    assert.deepEqual(await sequencesIn(later), [1], `seed ${seed}`);
  }
});

Deno.test("closing waits for the puts that are under way", async () => {
  const disk = new FakeDisk();
  const quarantine = await openQuarantine(disk);
  const put = quarantine.put(refused(1), BAD_DATA);
  await quarantine.close();
  assert.deepEqual(await sequencesIn(await openQuarantine(disk.afterPowerLoss(() => 0))), [1]);
  assert.equal(await put, "kept");
});
