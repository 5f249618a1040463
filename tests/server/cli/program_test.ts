import assert from "node:assert/strict";
import { FakeDisk } from "../../fakes/disk.ts";
import { crc32 } from "node:zlib";
import { DATA, makeData, putFile, run, TRACES } from "./cli_fixture.ts";

Deno.test("help is told on standard output with examples, of every command", async () => {
  const disk = new FakeDisk();
  for (
    const line of ["--help", "journal inspect --help", "journal verify -h", "journal repair --help", "account --help"]
  ) {
    const { code, out, err } = await run(disk, line);
    assert.deepEqual([code, err], [0, ""], line);
    assert.match(out, /Examples:\n {2}deno task cli /, line);
  }
  for (const name of ["list", "show", "replay", "drop"]) {
    assert.match((await run(disk, `quarantine ${name} --help`)).out, /Examples:\n/);
  }
  assert.match((await run(disk, "--version")).out, /^breakwater \d/);
});

Deno.test("a command or option that does not exist is a mistake, with the nearest one offered", async () => {
  const disk = new FakeDisk();
  const mistakes: [string, RegExp][] = [
    ["jurnal", /unknown command 'jurnal'\n\(Did you mean journal\?\)/],
    ["journal verfy", /\(Did you mean verify\?\)/],
    ["journal verify --jsno", /unknown option '--jsno'\n\(Did you mean --json\?\)/],
    ["quarantine shwo x", /\(Did you mean show\?\)/],
    ["journal verify more", /too many arguments/],
    ["quarantine show", /missing required argument 'id'/],
    ["journal inspect --data", /argument missing/],
    ["journal", /Usage: cli journal/],
  ];
  for (const [line, said] of mistakes) {
    const { code, out, err } = await run(disk, line);
    assert.deepEqual([code, out], [2, ""], line);
    assert.match(err, said, line);
  }
});

Deno.test("options for all commands stand before or behind the command", async () => {
  const { disk } = await makeData();
  for (const line of [`--data ${DATA} --json account`, `account --json --data ${DATA}`]) {
    const { code, out } = await run(disk, line, { environment: {} });
    assert.equal(code, 0, line);
    assert.equal(JSON.parse(out).balanced, true);
  }
});

Deno.test("the data folder is the option, else what the server would use", async () => {
  const { disk } = await makeData();
  const { err } = await run(disk, "account", { environment: {} });
  assert.match(err, /No data folder is known/);
  const places: [Record<string, string>, string][] = [
    [{ BREAKWATER_DATA_DIR: "/b", HOME: "/h" }, "/b"],
    [{ STATE_DIRECTORY: "/s:/t", HOME: "/h" }, "/s"],
    [{ XDG_STATE_HOME: "/x", HOME: "/h" }, "/x/breakwater"],
    [{ HOME: "/h" }, "/h/.local/state/breakwater"],
  ];
  for (const [environment, folder] of places) {
    const { code, err } = await run(disk, "account", { environment });
    assert.equal(code, 1);
    assert.ok(err.startsWith(`There is no folder ${folder}: `), err);
  }
  assert.equal((await run(disk, "account", { environment: { BREAKWATER_DATA_DIR: "off" } })).code, 2);
});

Deno.test("whatever is wrong with the folder is said in one sentence, never with a stack", async () => {
  const { disk, segments: [first] } = await makeData();
  const said = async (line: string, change: (disk: FakeDisk) => void | Promise<void> = () => {}) => {
    const other = disk.afterKill();
    await change(other);
    const { code, out, err } = await run(other, line);
    assert.deepEqual([code, out], [1, ""], line);
    assert.doesNotMatch(err, /\n.|^\s+at /, line);
    return err;
  };
  assert.match(await said("journal verify --data /nowhere"), /^There is no folder \/nowhere: give the one/);
  assert.match(await said(`journal verify --data ${first}`), /is a file: give the folder that it is in/);
  assert.match(await said(`journal verify --data ${TRACES}`), /^There is no journal in /);
  const forbidden = await said("journal verify", (disk) => {
    disk.failWith = (operation, path) => operation === "open" && path === first ? "EACCES" : undefined;
  });
  assert.match(forbidden, /may not be read or written by this user; run this as the user of the server \(EACCES\)/);
  const foreign = await said("journal verify", (disk) => {
    const bytes = disk.content(first).slice();
    const view = new DataView(bytes.buffer);
    view.setUint32(8, 7, true);
    view.setUint32(4, crc32(bytes.subarray(8, 64)), true);
    disk.damage(first, bytes);
  });
  assert.match(foreign, /was written by another version of Breakwater \(its format is 7\): use that version/);
});

Deno.test("garbage in place of every file is told of as damage, and ends with 1", async () => {
  const { disk } = await makeData();
  for (const path of disk.paths) disk.damage(path, new Uint8Array(300).fill(0xa5));
  await putFile(disk, `${TRACES}/notes.txt`, "somebody was here");
  const { code, err } = await run(disk, "journal verify");
  assert.deepEqual([code, err], [1, ""]);
  assert.equal((await run(disk, "journal inspect")).code, 0);
});
