import assert from "node:assert/strict";
import { drain, lostItems, openJournal } from "../../exporters/journal/disk_journal_fixture.ts";
import { DATA, flip, JOURNAL, makeData, putFile, run, runJson, TRACES } from "./cli_fixture.ts";

Deno.test("repair says what is lost, that each account shows it, and what was kept; then verify ends with 0", async () => {
  const { disk, places: [, second] } = await makeData();
  flip(disk, second.path, second.from + 70);
  assert.equal((await run(disk, "journal verify")).code, 1);
  const { code, out } = await run(disk, "journal repair");
  assert.equal(code, 0);
  assert.match(out, /^traces: repaired, 1 record with 2 spans cannot be read/);
  assert.match(out, /\n {4}a: its account shows the 2 as dropped\{corrupt\}\.\n/);
  assert.match(out, /\n {4}b has passed it: .* nothing is lost for it\.\n/);
  assert.match(out, /\n {2}kept: 000000000001\.segment-185\.damaged\n/);

  const verified = await run(disk, "journal verify");
  assert.equal(verified.code, 0, verified.out);
  assert.match(verified.out, /has nothing wrong that is not known: 2 spans could not be read when a repair noted it/);
  assert.match(
    verified.out,
    /traces -> a +accepted 78 = .* dropped 2 \(corrupt 2\) \+ queued 76 \(on the disk\) +balanced/,
  );
  assert.equal((await run(disk, "account")).code, 0);

  const again = await runJson(disk, "journal repair");
  assert.deepEqual([again.code, again.signals[0].needed], [0, false]);
});

Deno.test("after a repair a server delivers all that could be read, and counts the rest once", async () => {
  const { disk, places: [, second, third] } = await makeData();
  flip(disk, second.path, second.from + 70);
  disk.damage(third.path, disk.content(third.path).subarray(0, third.to - 1));
  await run(disk, "journal repair");
  const journal = await openJournal(disk, { folder: JOURNAL });
  const [a, b] = [journal.cursor("a", "reject"), journal.cursor("b", "drop_oldest")];
  assert.deepEqual([lostItems(a), lostItems(b)], [5, 0], "before anything is taken");
  assert.deepEqual(drain(a), [1, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  assert.deepEqual(drain(b), [6, 7, 8, 9, 10, 11, 12]);
  assert.deepEqual([lostItems(a), lostItems(b)], [5, 0]);
  await journal.close();
});

Deno.test("repair --dry-run says the same in other words, changes nothing, and needs no lock", async () => {
  const { disk, segments: [first] } = await makeData();
  flip(disk, first, 100);
  const before = disk.paths;
  const { code, out } = await run(disk, "journal repair --dry-run", { tryLock: () => undefined });
  assert.equal(code, 0);
  assert.match(out, /traces: would be repaired/);
  assert.match(out, /would be kept: 000000000001\.segment-64\.damaged/);
  assert.deepEqual(disk.paths, before);
});

Deno.test("repair refuses a folder that a server uses, names it, and changes nothing", async () => {
  const { disk } = await makeData();
  await putFile(disk, `${DATA}/lock`, "pid 4242, started 2026-05-03T10:00:00.000Z\n");
  const { code, out, err } = await run(disk, "journal repair", { tryLock: () => undefined });
  assert.deepEqual([code, out], [3, ""]);
  assert.equal(
    err,
    "A server is using /data (pid 4242, started 2026-05-03T10:00:00.000Z): end it first, then try again\n",
  );
});

Deno.test("a disk that fails in a repair is told of in a sentence, and the lock is let go of", async () => {
  const { disk, segments: [first] } = await makeData();
  flip(disk, first, 100);
  disk.failWith = (operation, path) => operation === "create" && path.startsWith(TRACES) ? "ENOSPC" : undefined;
  let released = 0;
  const { code, err } = await run(disk, "journal repair", { tryLock: () => ({ release: () => released++ }) });
  assert.deepEqual([code, released], [1, 1]);
  assert.equal(err, `Cannot use ${TRACES}: the disk is full; make room and try again (ENOSPC)\n`);
});

Deno.test("repair refuses a folder of another user, because the server could not use what is written", async () => {
  const { disk } = await makeData();
  disk.folders.set(DATA, { kind: "folder", mode: 0o700, userId: 33 });
  const { code, err } = await run(disk, "journal repair");
  assert.equal(code, 1);
  assert.match(err, /^\/data belongs to user 33, this is user 1000: run it as that user/);
});
