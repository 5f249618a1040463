import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { QuarantineEntry } from "../../../exporters/journal/quarantine.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { BAD_DATA, FOLDER, openQuarantine, refused, sequencesIn } from "./quarantine_fixture.ts";

/** A quarantine with the records 1 and 2, in which something has happened to the files of 1. */
async function damagedDisk(damage: (disk: FakeDisk, path: string) => void): Promise<FakeDisk> {
  const disk = new FakeDisk();
  const quarantine = await openQuarantine(disk);
  for (const sequence of [1, 2]) await quarantine.put(refused(sequence), BAD_DATA);
  damage(disk, `${FOLDER}/traces/${quarantine.list()[0]!.id}`);
  return disk;
}

const rewrite = (change: (description: Record<string, unknown>) => unknown) => (disk: FakeDisk, path: string) => {
  const description = JSON.parse(Buffer.from(disk.content(`${path}.json`)).toString());
  disk.damage(`${path}.json`, Buffer.from(JSON.stringify(change(description))));
};

const damages: readonly [what: string, damage: (disk: FakeDisk, path: string) => void, said: RegExp][] = [
  ["no description", (disk, path) => disk.delete(`${path}.json`), /^it has no \.json: its put was cut short$/],
  ["no bytes", (disk, path) => disk.delete(`${path}.pb`), /^it has no \.pb$/],
  ["an empty description", (disk, path) => disk.damage(`${path}.json`, new Uint8Array()), /is no JSON/],
  [
    "half a description",
    (disk, path) => disk.damage(`${path}.json`, disk.content(`${path}.json`).slice(0, 99)),
    /JSON/,
  ],
  ["a description that is endless", (disk, path) => disk.damage(`${path}.json`, new Uint8Array(1e6)), /longer/],
  ["a description of nothing", rewrite(() => null), /describes nothing/],
  ["a description of something else", rewrite((it) => ({ ...it, id: "traces-x" })), /another record/],
  ["another signal", rewrite((it) => ({ ...it, signal: "logs" })), /another record/],
  ["a description of a later version", rewrite((it) => ({ ...it, version: 2 })), /version .* not known here: 2/],
  ["a count that is none", rewrite((it) => ({ ...it, itemCount: -1 })), /lacks/],
  ["a reason that is none", rewrite((it) => ({ ...it, reason: 7 })), /lacks/],
  ["a length that is not so", rewrite((it) => ({ ...it, bytes: 4 })), /^its \.pb has 21 bytes, its \.json says 4$/],
  ["bytes that were cut", (disk, path) => disk.damage(`${path}.pb`, new Uint8Array(9)), /^its \.pb has 9 bytes/],
];

for (const [what, damage, said] of damages) {
  Deno.test(`a record with ${what} is listed with what is wrong, can be dropped, and is mended when it comes again`, async () => {
    const told: string[] = [];
    const disk = await damagedDisk(damage);
    const quarantine = await openQuarantine(disk, { report: (message) => told.push(message) });
    const isDamaged = ({ damage }: QuarantineEntry) => damage !== undefined;
    assert.equal(quarantine.list().length, 2);
    const bad = quarantine.list().find(isDamaged);
    assert.match(bad?.damage ?? "", said);
    assert.deepEqual(await quarantine.read(bad?.id ?? ""), { status: "damaged", damage: bad?.damage });
    assert.deepEqual(told, ["quarantine: 1 of 2 records are damaged"]);
    assert.equal(quarantine.held.items, 3, "only what is whole is counted");

    const again = await openQuarantine(disk.afterKill(), { recordCountMax: 2 });
    assert.equal(await again.put(refused(1), BAD_DATA), "kept");
    assert.deepEqual(again.list().filter(isDamaged), []);
    assert.deepEqual((await sequencesIn(again)).sort(), [1, 2]);
    assert.equal(again.held.items, 5);

    assert.equal(await quarantine.drop(bad?.id ?? ""), "dropped");
    assert.deepEqual(disk.paths.filter((path) => path.includes(`${bad?.id}.`)), []);
    assert.deepEqual(await sequencesIn(await openQuarantine(disk)), [2]);
  });
}

Deno.test("bytes that were changed are found when they are read, and are replaced when the record comes again", async () => {
  const disk = await damagedDisk((disk, path) => {
    const bytes = disk.content(`${path}.pb`).slice();
    bytes[3]! ^= 1;
    disk.damage(`${path}.pb`, bytes);
  });
  const quarantine = await openQuarantine(disk);
  const [{ id }] = quarantine.list() as [QuarantineEntry];
  assert.deepEqual(await quarantine.read(id), {
    status: "damaged",
    damage: "its .pb is not what its .json was written for",
  });
  assert.equal(await quarantine.put(refused(1), BAD_DATA), "kept");
  assert.deepEqual((await sequencesIn(quarantine)).sort(), [1, 2]);
});

Deno.test("what is not ours is left alone, and what is no file is not opened", async () => {
  const disk = await damagedDisk((disk, path) => {
    disk.delete(`${path}.pb`);
    disk.folders.set(`${path}.pb`, { kind: "other", mode: 0o600, userId: 1000 });
  });
  const foreign = ["notes.txt", ".json", "x.pb", "logs-upstream-1-1-1.pb", "traces-a b.json", "traces-\n.pb"];
  for (const name of foreign) await disk.create(`${FOLDER}/traces/${name}`);
  const quarantine = await openQuarantine(disk);
  assert.deepEqual(quarantine.list().map(({ damage }) => damage).sort(), ["its .pb is no file", undefined]);
  for (const { id } of quarantine.list()) await quarantine.drop(id);
  for (const name of foreign) assert.ok(disk.paths.includes(`${FOLDER}/traces/${name}`), name);
});

Deno.test("opening reads the descriptions, not the bytes, and looks at each file a bounded number of times", async () => {
  const disk = new FakeDisk();
  const quarantine = await openQuarantine(disk);
  for (let sequence = 0; sequence < 100; sequence++) await quarantine.put(refused(sequence), BAD_DATA);
  const read: string[] = [];
  const later = disk.afterKill();
  later.failWith = (operation, path) => {
    if (operation === "read") read.push(path);
    return undefined;
  };
  assert.equal((await openQuarantine(later)).held.records, 100);
  assert.equal(read.length, 100);
  assert.deepEqual(read.filter((path) => !path.endsWith(".json")), []);
  assert.ok(later.operationCount <= 5 * 200, `${later.operationCount} operations`);
});
