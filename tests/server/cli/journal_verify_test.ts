import assert from "node:assert/strict";
import { decodeSlot, encodeSlot } from "../../../exporters/journal/format.ts";
import type { FakeDisk } from "../../fakes/disk.ts";
import type { Backlog } from "../../exporters/journal/backlog_fixture.ts";
import { DATA, flip, JOURNAL, makeData, putFile, run, runJson, TRACES } from "./cli_fixture.ts";

const iso = (id: number) => new Date(1000 + id).toISOString();

/** What may have happened, and what is said of it: the sentence, the items that it costs, and the exit code. */
interface Case {
  readonly name: string;
  readonly damage: (disk: FakeDisk, backlog: Backlog) => void | Promise<void>;
  readonly says: RegExp | string;
  readonly kind: string;
  readonly lost: readonly [records: number, items: number];
  readonly code: number;
}

// The backlog: records 1 to 12 with as many spans. b has settled 1 to 5, a nothing.
const CASES: readonly Case[] = [
  {
    name: "a flipped byte in a record",
    damage: (disk, { places: [, second] }) => flip(disk, second.path, second.from + 70),
    says:
      `Bytes 185 to 343 of 000000000001.segment cannot be read as records: 1 record with 2 spans is lost, received ` +
      `between ${iso(1)} and ${iso(3)}.`,
    kind: "lost",
    lost: [1, 2],
    code: 1,
  },
  {
    name: "a flipped byte in a header",
    damage: (disk, { segments: [, second] }) => flip(disk, second, 30),
    says:
      "The header of 000000000002.segment cannot be read: its records say where they belong, so nothing is lost by it.",
    kind: "header",
    lost: [0, 0],
    code: 1,
  },
  {
    name: "a cut segment",
    damage: (disk, { places: [, second] }) => {
      disk.damage(second.path, disk.content(second.path).subarray(0, second.to - 3));
    },
    says: `Bytes 185 to 340 of 000000000001.segment cannot be read as records; the end of 000000000001.segment is ` +
      `missing: 2 records with 5 spans are lost, received between ${iso(1)} and ${iso(4)}.`,
    kind: "lost",
    lost: [2, 5],
    code: 1,
  },
  {
    name: "a zeroed stretch",
    damage: (disk, { segments: [first] }) => disk.damage(first, disk.content(first).fill(0, 64, 300)),
    says: `Bytes 64 to 343 of 000000000001.segment cannot be read as records: 2 records with 3 spans are lost, ` +
      `received before ${iso(3)}.`,
    kind: "lost",
    lost: [2, 3],
    code: 1,
  },
  {
    name: "a segment that is gone",
    damage: (disk, { segments: [, second] }) => disk.delete(second),
    says: `000000000002.segment is missing: 3 records with 15 spans are lost, received between ${iso(3)} and ${
      iso(7)
    }.`,
    kind: "lost",
    lost: [3, 15],
    code: 1,
  },
  {
    name: "segments under each other's names",
    damage: (disk, { segments: [first, , third] }) => disk.swap(first, third),
    says: "000000000003.segment says inside that it is 000000000001.segment: that counts, so nothing is lost.",
    kind: "misnamed",
    lost: [0, 0],
    code: 0,
  },
  {
    name: "a file that is no segment",
    damage: (disk) => putFile(disk, `${TRACES}/000000000077.segment`, "?".repeat(100)),
    says:
      "000000000077.segment is called a segment, but is none of this journal, or a copy: the server puts it aside " +
      "as 000000000077.segment.damaged.",
    kind: "stranger",
    lost: [0, 0],
    code: 1,
  },
  {
    name: "a torn tail",
    damage: (disk, { segments }) => {
      const last = segments[segments.length - 1];
      disk.damage(last, Uint8Array.of(...disk.content(last), ...new Uint8Array(40)));
    },
    says:
      /^The last 40 bytes of 00000000000\d.segment \(from byte \d+\) are a record that was not written to its end: .* nothing that was acknowledged is lost/,
    kind: "torn",
    lost: [0, 0],
    code: 0,
  },
  {
    name: "a damaged slot",
    damage: (disk) => flip(disk, disk.paths.find((path) => path.includes("/a-")) ?? "", 30),
    says: /^Slot 0 of a-\w+\.cursor cannot be read. Another one counts, so nothing is lost/,
    kind: "slots",
    lost: [0, 0],
    code: 1,
  },
  {
    name: "a cursor without a slot",
    damage: (disk) => disk.damage(disk.paths.find((path) => path.includes("/b-")) ?? "", new Uint8Array(9)),
    says: /^Slots 0 and 1 of b-\w+\.cursor cannot be read. The destination begins at the oldest record again/,
    kind: "slots",
    lost: [0, 0],
    code: 1,
  },
  {
    name: "no state of the stream",
    damage: (disk) => disk.delete(`${TRACES}/stream.slots`),
    says: "stream.slots is missing. Nothing is lost: the segments and the destinations say where the stream ends.",
    kind: "slots",
    lost: [0, 0],
    code: 1,
  },
];

for (const { name, damage, says, kind, lost, code } of CASES) {
  Deno.test(`verify names ${name}: the file, the range, the items`, async () => {
    const backlog = await makeData();
    await damage(backlog.disk, backlog);
    const { signals: [traces], ...report } = await runJson(backlog.disk, "journal verify");
    const [finding] = traces.findings;
    if (typeof says === "string") assert.equal(finding.message, says);
    else assert.match(finding.message, says);
    assert.equal(finding.kind, kind);
    assert.deepEqual([finding.lostRecords, finding.lostItems], lost);
    assert.deepEqual([report.code, report.whole, report.balanced], [code, code === 0, true]);
    const text = await run(backlog.disk, "journal verify");
    assert.equal(text.code, code);
    assert.ok(text.out.includes(finding.message));
    assert.equal(text.out.includes("What to do:"), code === 1);
  });
}

Deno.test("cli journal verify on a damaged folder tells a person what happened and what to do", async () => {
  const { disk, places: [, second] } = await makeData();
  flip(disk, second.path, second.from + 70);
  const { code, out, err } = await run(disk, "journal verify");
  assert.equal(
    out,
    `traces: 11 records, 76 spans, 1.4 KiB in 4 segments: DAMAGED (${TRACES})
  Bytes 185 to 343 of 000000000001.segment cannot be read as records: 1 record with 2 spans is lost, received between ${
      iso(1)
    } and ${iso(3)}.
    a steps over it and counts 2 as dropped{corrupt}: it has not come there yet.
    b has passed it: all of it was settled while it could be read, so nothing is lost for it.

traces        received 78 = accepted 78 + refused 0   balanced
traces -> a   accepted 78 = delivered 0 + rejected 0 + quarantined 0 + dropped 0 + queued 78 (on the disk)   balanced
traces -> b   accepted 78 = delivered 15 + rejected 0 + quarantined 0 + dropped 0 + queued 63 (on the disk)   balanced

What to do: nothing has to be done for the server. It starts, steps over what cannot be read, and counts it.
  \`deno task cli journal repair\`, with the server ended, does so now: it keeps the damaged bytes in .damaged files
  beside the segments and notes what is lost. What can be read is kept.
  Crashes do not do this: the disk, or somebody who wrote to the files, did. Look at the system's log (dmesg) and
  check the disk (smartctl).
`,
  );
  assert.equal(err, "");
  assert.equal(code, 1);
});

Deno.test("verify of a whole folder says so in one line, shows its progress, and ends with 0", async () => {
  const { disk } = await makeData();
  const { code, out, progress } = await run(disk, "journal verify");
  assert.equal(code, 0);
  assert.ok(out.endsWith(`\n${DATA} is whole.\n`), out);
  assert.deepEqual(progress.map(([title, , unit]) => [title, unit]), [["traces", "bytes"]]);
  assert.deepEqual((await run(disk, "journal verify --json")).progress, []);
});

Deno.test("verify ends with 1 when the account does not balance, although all can be read", async () => {
  const { disk } = await makeData();
  const path = disk.paths.find((path) => path.includes("/b-")) ?? "";
  const generation = 1000;
  const slot = decodeSlot(disk.content(path))!;
  const value = slot.value as { totals: { delivered: number } };
  value.totals.delivered += 3;
  const bytes = disk.content(path).slice();
  bytes.set(encodeSlot({ generation, value }));
  disk.damage(path, bytes);
  const { code, out } = await run(disk, "journal verify");
  assert.equal(code, 1);
  assert.match(out, /traces -> b .* NOT BALANCED/);
  assert.match(out, /The account does not balance: .*/);
  assert.equal((await run(disk, "account")).code, 1);
});

Deno.test("verify changes nothing", async () => {
  const { disk, segments: [first] } = await makeData();
  flip(disk, first, 100);
  await putFile(disk, `${JOURNAL}/traces/000000000077.segment`, "?");
  const before = disk.paths;
  disk.failWith = (operation) =>
    ["write", "create", "rename", "remove", "sync"].includes(operation) ? "EROFS" : undefined;
  assert.equal((await run(disk, "journal verify")).code, 1);
  assert.deepEqual(disk.paths, before);
});
