import assert from "node:assert/strict";
import { flip, makeData, NOW_MS, putFile, run, runJson, TRACES } from "./cli_fixture.ts";

Deno.test("inspect says what stands in each segment, and where each destination is", async () => {
  const { disk, segments } = await makeData();
  const { code, at, signals: [traces], ...report } = await runJson(disk, "journal inspect");
  assert.equal(code, 0);
  assert.equal(at, new Date(NOW_MS).toISOString());
  assert.equal(report.lastLockedBy, null);
  const { segments: found, destinations, ...stream } = traces;
  assert.deepEqual([stream.signal, stream.folder], ["traces", TRACES]);
  assert.deepEqual([stream.records, stream.items, stream.accepted, stream.end.sequence], [12, 78, 78, 12]);
  assert.deepEqual(found.map(({ file }: { file: string }) => `${TRACES}/${file}`), segments);
  assert.deepEqual(found[0].first, { record: 0, receivedAt: "1970-01-01T00:00:01.001Z" });
  assert.deepEqual(found[0].last, { record: 2, receivedAt: "1970-01-01T00:00:01.003Z" });
  assert.equal(found.at(-1).last.record, 11);
  assert.equal(found[0].bytes, disk.content(segments[0]).length);
  const [a, b] = destinations;
  assert.deepEqual([a.destination, a.onFull, a.readable, a.waiting.items], ["a", "reject", true, 78]);
  assert.deepEqual([b.destination, b.onFull, b.waiting.items], ["b", "drop_oldest", 63]);
  assert.equal(a.waiting.oldestReceivedAt, "1970-01-01T00:00:01.001Z");
  assert.equal(a.waiting.oldestAgeMs, NOW_MS - 1001);
  assert.equal(b.waiting.oldestReceivedAt, "1970-01-01T00:00:01.006Z");
});

Deno.test("inspect says in words that a server goes on meanwhile, and what was kept aside", async () => {
  const { disk, segments: [first] } = await makeData();
  flip(disk, first, 100);
  await run(disk, "journal repair");
  const { code, out } = await run(disk, "journal inspect");
  assert.equal(code, 0);
  assert.match(out, /^\/data, as it was at 2026-05-03T12:00:00\.000Z\. A server that runs has gone on since\.\n/);
  assert.match(out, /000000000001\.segment {2}\d+ bytes {2}records 1 to 2/, "the first record's head is gone");
  assert.match(out, /\n {2}a \(reject\): 77 spans wait, /);
  assert.match(out, /kept aside: 000000000001\.segment-64\.damaged, 121 bytes/);
});

Deno.test("inspect of a folder whose segments hold nothing that can be read still ends", async () => {
  const { disk, segments } = await makeData();
  for (const path of segments) disk.damage(path, disk.content(path).slice(0, 80));
  await putFile(disk, `${TRACES}/000000000099.segment`, "");
  const { code, out } = await run(disk, "journal inspect");
  assert.equal(code, 0);
  assert.match(out, /000000000001\.segment {2}80 bytes {2}no record/);
});
