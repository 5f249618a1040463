import assert from "node:assert/strict";
import { lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { Quarantine } from "../../../exporters/journal/quarantine.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { TemporaryFolder } from "../../fakes/temporary_folder.ts";
import { BAD_DATA, FOLDER, openQuarantine, payloadOf, refused, sequencesIn } from "./quarantine_fixture.ts";

Deno.test("what is refused for good is kept on the disk: its bytes, and beside them what it is and why", async () => {
  using parent = new TemporaryFolder();
  const folder = parent.path;
  const clock = new FakeClock();
  const quarantine = await Quarantine.open({ folder: join(folder, "quarantine"), clock });
  const record = refused(3, { hops: "a, b" });
  assert.equal(await quarantine.put(record, { reason: "http_422", message: 'no such\n"span"' }), "kept");
  const [entry] = quarantine.list();
  assert.match(entry?.id ?? "", /^traces-upstream-[0-9a-f]{8}-1700000000003-3$/);
  const path = join(folder, "quarantine", "traces", entry?.id ?? "");
  assert.deepEqual(new Uint8Array(readFileSync(`${path}.pb`)), record.payload);
  assert.deepEqual(JSON.parse(readFileSync(`${path}.json`, "utf8")), {
    version: 1,
    id: entry?.id,
    signal: "traces",
    destination: "upstream",
    reason: "http_422",
    message: 'no such\n"span"',
    itemCount: 4,
    bytes: 23,
    crc32: crc32(record.payload),
    receivedAt: "2023-11-14T22:13:20.003Z",
    quarantinedAt: "2023-11-14T22:13:20.000Z",
    hops: "a, b",
  });
  const bytes = 23 + lstatSync(`${path}.json`).size;
  assert.deepEqual(quarantine.held, { records: 1, items: 4, bytes });
  assert.deepEqual(quarantine.heldOf("traces"), quarantine.held);
  assert.deepEqual(quarantine.heldOf("logs"), { records: 0, items: 0, bytes: 0 });
  if (process.platform !== "win32") {
    for (const made of ["quarantine", "quarantine/traces"]) {
      assert.equal(lstatSync(join(folder, made)).mode & 0o777, 0o700, made);
    }
    for (const suffix of [".pb", ".json"]) assert.equal(lstatSync(`${path}${suffix}`).mode & 0o777, 0o600, suffix);
  }
  const later = await Quarantine.open({ folder: join(folder, "quarantine"), clock });
  assert.deepEqual(later.list(), quarantine.list());
  assert.deepEqual(await payloadOf(later, entry?.id ?? ""), record.payload);
});

Deno.test("whatever a destination is called, its records have names of their own, in the folder of their signal", async () => {
  const names = fc.oneof(
    fc.constantFrom(
      "",
      ".",
      "..",
      "../../etc/passwd",
      "a/b",
      "a\\b",
      "a\0b",
      "CON",
      "a".repeat(10_000),
      "ü",
      "u\u0308",
    ),
    fc.string({ unit: "binary", maxLength: 300 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(names, { minLength: 1, maxLength: 8 }), async (destinations) => {
      const disk = new FakeDisk();
      const quarantine = await openQuarantine(disk);
      for (const destination of destinations) {
        assert.equal(await quarantine.put(refused(1, { destination }), BAD_DATA), "kept");
      }
      assert.equal(disk.paths.length, 2 * destinations.length);
      for (const path of disk.paths) assert.match(path, /^\/data\/quarantine\/traces\/traces-[\w-]{1,90}\.(pb|json)$/);
      const later = await openQuarantine(disk.afterKill());
      assert.deepEqual(later.list().map(({ record }) => record?.destination).sort(), destinations.toSorted());
    }),
    { numRuns: 50 },
  );
});

Deno.test("the pieces of one record are kept apart", async () => {
  const disk = new FakeDisk();
  const quarantine = await openQuarantine(disk);
  for (const piece of ["0", "10", "11"]) await quarantine.put(refused(1, { piece }), BAD_DATA);
  assert.deepEqual(quarantine.list().map(({ id }) => id.split("-").at(-1)), ["p0", "p10", "p11"]);
});

Deno.test("the same record put twice is one, at once, later, and after a restart", async () => {
  const disk = new FakeDisk();
  const quarantine = await openQuarantine(disk);
  const twice = [quarantine.put(refused(1), BAD_DATA), quarantine.put(refused(1), BAD_DATA)];
  assert.deepEqual(await Promise.all(twice), ["kept", "kept"]);
  const { held } = quarantine;
  assert.equal(held.records, 1);
  const later = await openQuarantine(disk.afterKill(), { bytesMax: held.bytes });
  assert.equal(await later.put(refused(1), { reason: "http_500", message: "again" }), "kept", "it needs no room");
  assert.deepEqual(later.held, held);
  assert.equal(later.list()[0]?.record?.reason, "http_400", "the first reason is kept");
});

Deno.test("the list is the oldest first, before and after a restart, and costs no look at the disk", async () => {
  const disk = new FakeDisk();
  const clock = new FakeClock();
  const quarantine = await openQuarantine(disk, {}, clock);
  for (const sequence of [5, 2, 9, 1]) {
    await quarantine.put(refused(sequence, { signal: sequence > 4 ? "logs" : "traces" }), BAD_DATA);
    await clock.advance(1000);
  }
  const later = await openQuarantine(disk.afterKill());
  for (const one of [quarantine, later]) {
    assert.deepEqual(one.list().map(({ record }) => record!.itemCount - 1), [5, 2, 9, 1]);
  }
  const before = disk.operationCount;
  quarantine.list();
  assert.equal(disk.operationCount, before);
});

Deno.test("beyond its bounds nothing is kept, nothing makes room for another, and that is told once", async () => {
  const records = [1, 2, 3, 4, 5].map((sequence) => refused(sequence));
  const probe = await openQuarantine(new FakeDisk());
  for (const record of records.slice(0, 3)) await probe.put(record, BAD_DATA);
  for (const bound of [{ bytesMax: probe.held.bytes }, { recordCountMax: 3 }]) {
    const told: string[] = [];
    const quarantine = await openQuarantine(new FakeDisk(), { ...bound, report: (message) => told.push(message) });
    const answers = [];
    for (const record of records) answers.push(await quarantine.put(record, BAD_DATA));
    assert.deepEqual(answers, ["kept", "kept", "kept", "full", "full"]);
    assert.deepEqual(await sequencesIn(quarantine), [1, 2, 3]);
    assert.equal(told.length, 1);
    assert.match(told[0]!, /^quarantine: full, with 3 records in \d+ bytes: .* "deno task cli quarantine list"$/);
    assert.equal(await quarantine.drop(quarantine.list()[2]!.id), "dropped");
    assert.deepEqual(told.slice(1), ["quarantine: there is room again"]);
    assert.equal(await quarantine.put(refused(3), BAD_DATA), "kept");
    assert.equal(await quarantine.put(refused(4), BAD_DATA), "full");
    assert.equal(told.length, 3);
  }
});

Deno.test("puts at the same time do not exceed the bounds together", async () => {
  const disk = new FakeDisk();
  const quarantine = await openQuarantine(disk, { bytesMax: 3000, recordCountMax: 5 });
  const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => quarantine.put(refused(n), BAD_DATA)));
  assert.equal(answers.filter((answer) => answer === "kept").length, quarantine.held.records);
  assert.equal(quarantine.held.records, 5);
  assert.equal(quarantine.held.bytes, disk.bytes);
  assert.ok(disk.bytes <= 3000);
});

Deno.test("with 0 bytes it is off: it keeps nothing and makes no folder, and what is there can still be dropped", async () => {
  const empty = new FakeDisk();
  assert.equal(await (await openQuarantine(empty, { bytesMax: 0 })).put(refused(1), BAD_DATA), "full");
  assert.equal(empty.folders.has(FOLDER), false);
  const disk = new FakeDisk();
  await (await openQuarantine(disk)).put(refused(1), BAD_DATA);
  const quarantine = await openQuarantine(disk, { bytesMax: 0 });
  assert.deepEqual(await sequencesIn(quarantine), [1]);
  assert.equal(await quarantine.drop(quarantine.list()[0]!.id), "dropped");
  assert.deepEqual(disk.paths, []);
});

Deno.test("what is dropped is gone, also after a restart; what is unknown is said to be, and never looked for", async () => {
  const disk = new FakeDisk();
  const quarantine = await openQuarantine(disk);
  for (const sequence of [1, 2]) await quarantine.put(refused(sequence), BAD_DATA);
  const [first] = quarantine.list();
  assert.equal(await quarantine.drop(first!.id), "dropped");
  assert.deepEqual(await sequencesIn(quarantine), [2]);
  assert.deepEqual(await sequencesIn(await openQuarantine(disk.afterPowerLoss(() => 0))), [2]);

  const before = disk.operationCount;
  for (const id of [first!.id, "", "..", "../../data/quarantine/traces/x", "/etc/passwd", "__proto__", "a\0b"]) {
    assert.deepEqual(await quarantine.read(id), { status: "unknown" }, id);
    assert.equal(await quarantine.drop(id), "unknown", id);
  }
  assert.equal(disk.operationCount, before);
});

Deno.test("a page of a message is cut, and a moment that no calendar has is written as one that it has", async () => {
  const quarantine = await openQuarantine(new FakeDisk());
  await quarantine.put(refused(1, { receivedAtMs: Infinity }), { ...BAD_DATA, message: "\u0007".repeat(1_000_000) });
  await quarantine.put(refused(2, { receivedAtMs: NaN }), BAD_DATA);
  const [first, second] = quarantine.list();
  assert.equal(first?.record?.message.length, 2000);
  assert.equal(first?.record?.receivedAt, "9999-12-31T00:00:00.000Z");
  assert.equal(second?.record?.receivedAt, "1970-01-01T00:00:00.000Z");
});

Deno.test("a folder that is not ours alone is refused, and so is a bound that is none", async () => {
  const disk = new FakeDisk();
  disk.folders.set(FOLDER, { kind: "folder", mode: 0o755, userId: 1000 });
  await assert.rejects(openQuarantine(disk), /Cannot open quarantine: "folder" must be a folder of our own/);
  await assert.rejects(openQuarantine(new FakeDisk(), { bytesMax: -1 }), RangeError);
  await assert.rejects(openQuarantine(new FakeDisk(), { recordCountMax: 0 }), RangeError);
});
