import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DiskJournal } from "../../../exporters/journal/disk_journal.ts";
import { assertBalance } from "./disk_journal_fixture.ts";

const PROCESS = fileURLToPath(new URL("../../fakes/journal_process.ts", import.meta.url));

/** How often a process is killed: a few times in the tests, as often as is asked for in a longer run. */
const ROUND_COUNT = Number(Deno.env.get("BREAKWATER_KILL_ROUNDS") ?? 4);

/** Lines that a process says before it is killed, the first time. */
const LINE_COUNT = 100;

Deno.test(`P2-16 a process that is killed ${ROUND_COUNT} times loses nothing that it was told was accepted, and its accounts balance`, async () => {
  const folder = join(mkdtempSync(join(tmpdir(), "journal-")), "data");
  try {
    const appended = new Set<number>();
    const delivered = new Set<number>();
    let redelivered = 0;
    for (let round = 0; round < ROUND_COUNT; round++) {
      const fsync = ["interval", "never", "commit"][round % 3];
      for (const line of await linesUntilKilled(folder, fsync, 1 + round * 1_000_000, LINE_COUNT + 97 * (round % 10))) {
        const [word, id] = line.split(" ");
        if (word === "appended") appended.add(Number(id));
        if (word === "delivered") delivered.has(Number(id)) ? redelivered++ : delivered.add(Number(id));
      }
      const journal = await DiskJournal.open("traces", { folder, segmentBytesMax: 65_536 });
      const cursor = journal.cursor("a", "reject");
      journal.cursor("b", "drop_oldest");
      assertBalance(journal);
      // Every other round the next process has to cope with what this one has left.
      for (let index = 0; round % 2 === 1 && index < 100_000; index++) {
        const [entry] = cursor.take({ recordCountMax: 1, itemCountMax: 1, bytesMax: 1 });
        if (entry === undefined) break;
        delivered.add(new DataView(entry.payload.buffer, entry.payload.byteOffset).getUint32(0));
        cursor.acknowledge(entry, { delivered: entry.itemCount });
      }
      assertBalance(journal);
      if (round % 2 === 1) assert.deepEqual([...appended].filter((id) => !delivered.has(id)), [], `round ${round}`);
      assert.deepEqual(journal.cursors.map(({ totals }) => totals.dropped.corrupt ?? 0), [0, 0]);
      await journal.close();
    }
    assert.ok(appended.size > 0);
    assert.ok(redelivered <= ROUND_COUNT * 50, `${redelivered} were delivered twice: more than can be in flight`);
  } finally {
    rmSync(join(folder, ".."), { recursive: true, force: true });
  }
});

/** Runs a process until it has said so many lines, and kills it. @returns Whatever it has said. */
async function linesUntilKilled(
  folder: string,
  fsync: string,
  firstId: number,
  lineCount: number,
): Promise<readonly string[]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", PROCESS, folder, fsync, String(firstId)],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stderr = new Response(child.stderr).text();
  let text = "";
  let isKilled = false;
  const decoder = new TextDecoder();
  for await (const bytes of child.stdout) {
    text += decoder.decode(bytes, { stream: true });
    if (isKilled || text.split("\n").length <= lineCount) continue;
    isKilled = true;
    child.kill("SIGKILL");
  }
  const { signal } = await child.status;
  assert.equal(signal, "SIGKILL", await stderr);
  await stderr;
  // What comes after the last line break was not said in full.
  return text.split("\n").slice(0, -1);
}
