import assert from "node:assert/strict";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DiskJournal } from "../../../exporters/journal/disk_journal.ts";
import { cursorFileName } from "../../../exporters/journal/cursor_state.ts";
import { TemporaryFolder } from "../../fakes/temporary_folder.ts";
import { assertBalance, drain, recordOf } from "./disk_journal_fixture.ts";

// deno-fmt-ignore
const STRANGE: [what: string, make: (path: string) => void, names: readonly string[]][] = [
  ["a folder", (path) => mkdirSync(path), ["stream.slots", cursorFileName("a"), "x.cursor", "000000000009.segment", "000000000002.segment.new"]],
  ["a pipe",   makePipe,                  ["stream.slots", cursorFileName("a"), "x.cursor", "000000000009.segment", "000000000002.segment.new"]],
];
for (const [what, make, names] of STRANGE) {
  Deno.test({
    name: `${what} where a file should be holds nobody up: what is kept is delivered, and the disk is well`,
    ignore: Deno.build.os === "windows",
    fn: async () => {
      for (const name of names) {
        using temporary = new TemporaryFolder();
        const folder = join(temporary.path, "data");
        const before = await DiskJournal.open("traces", { folder });
        before.cursor("a", "reject");
        for (const id of [1, 2, 3]) await before.append(recordOf(id));
        await before.close();
        const path = join(folder, "traces", name);
        rmSync(path, { force: true });
        make(path);

        const journal = await DiskJournal.open("traces", { folder });
        const cursor = journal.cursor("a", "reject");
        assert.deepEqual(drain(cursor), [1, 2, 3], name);
        assert.equal(await journal.append(recordOf(4)), "appended", name);
        assert.deepEqual(drain(cursor), [4], name);
        assertBalance(journal);
        await journal.close();
        assert.equal(journal.health.failure, undefined, name);

        const later = await DiskJournal.open("traces", { folder });
        assert.deepEqual(drain(later.cursor("a", "reject")), [], name);
        assertBalance(later);
        await later.close();
      }
    },
  });
}

function makePipe(path: string): void {
  const { success } = new Deno.Command("mkfifo", { args: [path] }).outputSync();
  assert.ok(success);
}
