import assert from "node:assert/strict";
import { lstatSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nodeDisk } from "../../../exporters/journal/disk.ts";
import { DiskJournal } from "../../../exporters/journal/disk_journal.ts";
import { RECORD_HEAD_BYTES } from "../../../exporters/journal/format.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { TemporaryFolder } from "../../fakes/temporary_folder.ts";
import { journalConformance } from "./journal_conformance.ts";

const folders: Disposable[] = [];

journalConformance("DiskJournal on the real disk", {
  make: (limits) => {
    const folder = new TemporaryFolder();
    folders.push(folder);
    return DiskJournal.open("traces", { ...limits, folder: join(folder.path, "data"), segmentBytesMax: 1024 });
  },
  recordOverheadBytes: RECORD_HEAD_BYTES,
  hopsFactor: 1,
  programCount: 10,
});

globalThis.addEventListener("unload", () => {
  for (const folder of folders) folder[Symbol.dispose]();
});

/** What the journal relies on, asked of the real disk and of the one that stands for it in the other tests. */
for (
  const [name, disk, folderOf] of [
    ["node:fs", nodeDisk, () => new TemporaryFolder()],
    ["the fake", new FakeDisk(), fakeFolder],
  ] as const
) {
  Deno.test(`${name}: a file is made once, written anywhere, read to its end, renamed over another, and deleted`, async () => {
    using folder = folderOf();
    const path = join(folder.path, "deep", "in");
    await disk.makeFolder(path);
    await disk.makeFolder(path);
    assert.equal((await disk.stat(path))?.kind, "folder");
    assert.equal((await disk.stat(path))?.mode, 0o700);
    assert.equal(await disk.stat(join(path, "a")), undefined);
    const file = await disk.create(join(path, "a"));
    await assert.rejects(disk.create(join(path, "a")), { code: "EEXIST" });
    await assert.rejects(disk.open(join(path, "b")), { code: "ENOENT" });
    assert.equal((await disk.stat(join(path, "a")))?.mode, 0o600);
    await file.write(3, new Uint8Array([4, 5, 6]));
    await file.write(0, new Uint8Array([1, 2]));
    await file.sync();
    assert.equal(file.size, 6);
    const bytes = new Uint8Array(4);
    assert.equal(file.read(1, bytes), 4);
    assert.deepEqual([...bytes], [2, 0, 4, 5]);
    assert.equal(file.read(4, bytes), 2);
    assert.equal(file.read(6, bytes), 0);

    const other = await disk.create(join(path, "b"));
    await disk.rename(join(path, "a"), join(path, "b"));
    await disk.syncFolder(path);
    assert.deepEqual(await disk.list(path), ["b"]);
    assert.deepEqual([file.isLinked, other.isLinked], [true, false], "the name is another file's now");
    await other.write(0, new Uint8Array(1));
    const again = await disk.open(join(path, "b"));
    assert.equal(again.size, 6);
    await disk.remove(join(path, "b"));
    assert.equal(file.isLinked, false);
    assert.equal(again.read(0, bytes), 4, "whoever has it open can read it");
    for (const open of [file, other, again]) await open.close();
    await file.close();
  });
}

function fakeFolder(): { readonly path: string } & Disposable {
  return { path: "/data", [Symbol.dispose]: () => {} };
}

Deno.test("a closed file is not read, although another file may have its number", async () => {
  using folder = new TemporaryFolder();
  const file = await nodeDisk.create(join(folder.path, "a"));
  await file.write(0, new Uint8Array([1]));
  await file.close();
  const other = await nodeDisk.create(join(folder.path, "b"));
  await other.write(0, new Uint8Array([2]));
  assert.throws(() => file.read(0, new Uint8Array(1)));
  await assert.rejects(file.write(0, new Uint8Array(1)));
  await other.close();
});

Deno.test("everything of a journal is for its owner alone, and a folder that is a link or a file is refused", async () => {
  using folder = new TemporaryFolder();
  const data = join(folder.path, "data");
  const journal = await DiskJournal.open("traces", { folder: data });
  journal.cursor("a/../b", "reject");
  await journal.append({ payload: new Uint8Array(9), itemCount: 1, receivedAtMs: 0, hops: "" });
  const names = await nodeDisk.list(join(data, "traces"));
  assert.equal(names.length, 3);
  for (const name of names) assert.equal(lstatSync(join(data, "traces", name)).mode & 0o777, 0o600, name);
  for (const path of [data, join(data, "traces")]) assert.equal(lstatSync(path).mode & 0o777, 0o700);
  await journal.close();

  symlinkSync(data, join(folder.path, "link"));
  writeFileSync(join(folder.path, "file"), "");
  mkdirSync(join(folder.path, "open"), { mode: 0o755 });
  for (const name of ["link", "file", "open"]) {
    await assert.rejects(DiskJournal.open("traces", { folder: join(folder.path, name) }), name);
  }
});
