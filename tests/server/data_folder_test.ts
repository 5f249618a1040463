import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import process from "node:process";
import { type DataFolder, openDataFolder } from "../../server/data_folder.ts";
import { FolderHolder } from "../fakes/folder_holder.ts";
import { TemporaryFolder } from "../fakes/temporary_folder.ts";

const WALL_MS = Date.UTC(2026, 0, 2);

Deno.test("a data folder is made for us alone, with what is missing above it, and stays ours until it is released", () => {
  using temporary = new TemporaryFolder();
  const path = `${temporary.path}/state/breakwater`;
  const folder = folderAt(path);
  assert.equal(folder.path, path);
  for (const made of [`${temporary.path}/state`, path]) assert.equal(statSync(made).mode & 0o777, 0o700, made);
  assert.equal(readFileSync(`${path}/lock`, "utf8"), `pid ${process.pid}, started 2026-01-02T00:00:00.000Z\n`);
  assert.equal(
    mistakeAt(path),
    `BREAKWATER_DATA_DIR must not be in use by another server, received ${path} ` +
      `(pid ${process.pid}, started 2026-01-02T00:00:00.000Z): end that one, or set another folder`,
  );
  folder.release();
  folderAt(path).release();
});

Deno.test("a data folder that is there may be read by others, as systemd makes it, and may be a link to one", () => {
  using temporary = new TemporaryFolder();
  const path = `${temporary.path}/private`;
  mkdirSync(path);
  chmodSync(path, 0o755);
  symlinkSync(path, `${temporary.path}/breakwater`);
  const folder = folderAt(`${temporary.path}/breakwater`);
  assert.equal(folder.path, path);
  folder.release();
});

for (const mode of [0o777, 0o1777, 0o2775]) {
  const shown = mode.toString(8).padStart(4, "0");
  Deno.test(`a data folder that others can write (${shown}) is a mistake, and a folder inside it is the way out`, () => {
    using temporary = new TemporaryFolder();
    const path = `${temporary.path}/data`;
    mkdirSync(path);
    chmodSync(path, mode);
    assert.equal(
      mistakeAt(`${path}/`),
      `BREAKWATER_DATA_DIR must not be writable by others, received ${path}/ (mode ${shown}): ` +
        `use a folder inside it, such as ${path}/breakwater`,
    );
    folderAt(`${path}/breakwater`).release();
  });
}

Deno.test({
  name: "a data folder of somebody else is a mistake that says whose it is",
  ignore: process.getuid?.() !== 0,
  fn: () => {
    using temporary = new TemporaryFolder();
    chownSync(temporary.path, 4711, 4711);
    const { path } = temporary;
    assert.equal(
      mistakeAt(path),
      `BREAKWATER_DATA_DIR must be a folder of the user that runs the server (0), received ${path} (of 4711): ` +
        `change its owner, or use a folder inside it, such as ${path}/breakwater`,
    );
  },
});

Deno.test("a file, and a folder that cannot be made, are mistakes with the system's reason", () => {
  using temporary = new TemporaryFolder();
  const file = `${temporary.path}/file`;
  writeFileSync(file, "");
  assert.equal(mistakeAt(file), `BREAKWATER_DATA_DIR must be a folder, received ${file}, which is none`);
  assert.equal(
    mistakeAt(`${file}/data`),
    `BREAKWATER_DATA_DIR must be a folder that can be made and used, received ${file}/data (ENOTDIR): ` +
      "make it for the user that runs the server, or set another one",
  );
});

Deno.test("the lock is free again after SIGKILL, whatever process has the number that stands in it now", async () => {
  using temporary = new TemporaryFolder();
  const path = `${temporary.path}/data`;
  await using holder = await FolderHolder.start(path);
  assert.match(mistakeAt(path), new RegExp(`in use by another server, received .* \\(pid ${holder.pid}, started`));
  await holder.kill();
  // As in a container, where each start has the same number: it is somebody's, and alive.
  writeFileSync(`${path}/lock`, `pid ${process.pid}, started 2026-01-01T00:00:00.000Z\n`);
  const folder = folderAt(path);
  assert.match(readFileSync(`${path}/lock`, "utf8"), /started 2026-01-02/);
  folder.release();
});

function folderAt(path: string): DataFolder {
  const opening = openDataFolder(path, WALL_MS);
  if ("folder" in opening) return opening.folder;
  assert.fail(opening.mistake);
}

function mistakeAt(path: string): string {
  const opening = openDataFolder(path, WALL_MS);
  if ("mistake" in opening) return opening.mistake;
  opening.folder.release();
  assert.fail(`${path} was opened`);
}
