import assert from "node:assert/strict";
import type { CliIo } from "../../../server/cli/io.ts";
import { FakeDisk } from "../../fakes/disk.ts";
import { requestOf } from "../../fakes/otlp_bytes.ts";
import { ALL, openJournal } from "../../exporters/journal/disk_journal_fixture.ts";
import { DATA, JOURNAL, makeData, NOW_MS, quarantined, run, runJson, TRACES } from "./cli_fixture.ts";

async function idsIn(disk: FakeDisk): Promise<readonly string[]> {
  const { entries } = await runJson(disk, "quarantine list");
  return entries.map(({ id }: { id: string }) => id);
}

/** An OTLP/HTTP receiver. */
function receiver(status = 200): { readonly fetch: CliIo["fetch"]; readonly got: [string, number, string | null][] } {
  const got: [string, number, string | null][] = [];
  const fetch = (async (url: string, init: RequestInit) => {
    const request = new Request(url, init);
    const body = new Uint8Array(await request.arrayBuffer());
    got.push([new URL(url).pathname, body.length, request.headers.get("breakwater-hop")]);
    return new Response(null, { status });
  }) as typeof globalThis.fetch;
  return { fetch, got };
}

Deno.test("quarantine list is a table, with what a message would do to a terminal taken out", async () => {
  const { disk } = await makeData();
  assert.match((await run(disk, "quarantine list")).out, /^Nothing is in quarantine/);
  const ids = await quarantined(disk);
  const { code, out } = await run(disk, "quarantine list");
  assert.equal(code, 0);
  const [head, first, ...rest] = out.trimEnd().split("\n");
  assert.match(head, /^id +signal +destination +refused +items +bytes +reason +message$/);
  assert.match(first, new RegExp(`^${ids[0]} +traces +upstream +\\S+Z +1 +\\d+ +http_400 +bad \\[31m data here$`));
  assert.match(rest.at(-1) ?? "", /^3 records, 6 items, 1\.\d KiB \(\/data\/quarantine\)$/);
  const { records, items, entries } = await runJson(disk, "quarantine list");
  assert.deepEqual([records, items, entries[2].record.itemCount, entries[2].damage], [3, 6, 3, null]);
});

Deno.test("quarantine list and show make nothing that is not there", async () => {
  const { disk } = await makeData();
  const before = [...disk.folders.keys()];
  await run(disk, "quarantine list");
  const { code, err } = await run(disk, "quarantine show nothing");
  assert.deepEqual([code, err], [1, "Not in the quarantine: nothing; `quarantine list` names what is\n"]);
  assert.deepEqual([...disk.folders.keys()], before);
});

Deno.test("quarantine show tells why, and what is in the request; --raw gives its bytes alone", async () => {
  const { disk } = await makeData();
  const ids = await quarantined(disk);
  const shown = JSON.parse((await run(disk, `quarantine show ${ids[2]}`)).out);
  assert.equal(shown.record.reason, "http_400");
  assert.deepEqual(shown.request, { resourceSpans: [{ scopeSpans: [{ spans: [{}, {}, {}] }] }] });
  const { out } = await run(disk, `quarantine show ${ids[2]} --raw`);
  assert.deepEqual(Uint8Array.from(out, (letter) => letter.charCodeAt(0)), requestOf("traces", 3));
});

Deno.test("replay puts records into the journal for every destination as new receipts, then removes them", async () => {
  const { disk } = await makeData(12);
  const ids = await quarantined(disk);
  const { code, out, progress } = await run(disk, `quarantine replay ${ids[1]} ${ids[2]}`);
  assert.equal(code, 0);
  assert.equal(out, "2 records with 5 items put back into the journal\n");
  assert.deepEqual(progress, [["replay", 2, "records"]]);
  assert.deepEqual(await idsIn(disk), [ids[0]]);
  assert.equal((await run(disk, "journal verify")).code, 0);

  const journal = await openJournal(disk.afterPowerLoss(() => 0), { folder: JOURNAL });
  const [a, b] = [journal.cursor("a", "reject"), journal.cursor("b", "drop_oldest")];
  assert.equal(journal.acceptedItems, 78 + 5);
  assert.equal(a.queued.items, 78 + 5, "what waited before waits still");
  const [entry] = b.take({ ...ALL, recordCountMax: 1 });
  assert.deepEqual([entry.payload, entry.itemCount, entry.hops, entry.receivedAtMs], [
    requestOf("traces", 2),
    2,
    "gate",
    NOW_MS,
  ]);
  await journal.close();
});

Deno.test("a replay that is killed at any operation loses no record: it is in the journal, or still in quarantine", async () => {
  const { disk } = await makeData(12);
  const ids = await quarantined(disk, 2);
  const whole = disk.afterKill();
  await run(whole, "quarantine replay --all");
  assert.deepEqual(await idsIn(whole), []);
  for (let operations = 0; operations < whole.operationCount; operations += 3) {
    const stopped = disk.afterKill();
    stopped.stopAfter(operations);
    void run(stopped, "quarantine replay --all");
    for (let turns = 0; turns < 4000 && !stopped.isStopped; turns++) await Promise.resolve();
    const left = stopped.afterPowerLoss(() => 0);
    const kept = await idsIn(left);
    const journal = await openJournal(left, { folder: JOURNAL });
    journal.cursor("a", "reject");
    const b = journal.cursor("b", "drop_oldest");
    const there = b.take(ALL).length + b.take(ALL).length;
    assert.ok(there + kept.length >= ids.length, `after ${operations} operations`);
    assert.equal(journal.acceptedItems, b.queued.items + 78);
    await journal.close();
  }
});

Deno.test("replay into the journal is refused beside a server, without a destination, and where one is damaged", async () => {
  const { disk } = await makeData();
  await quarantined(disk);
  const busy = await run(disk, "quarantine replay --all", { tryLock: () => undefined });
  assert.equal(busy.code, 3);

  const lonely = new FakeDisk();
  await (await openJournal(lonely, { folder: JOURNAL })).close();
  await quarantined(lonely);
  const { code, err } = await run(lonely, "quarantine replay --all");
  assert.equal(code, 1);
  assert.match(err, /^Nobody would deliver what is put into the journal of traces/);

  const cursor = disk.paths.find((path) => path.endsWith(".cursor")) ?? "";
  const slotless = disk.afterKill();
  slotless.damage(cursor, new Uint8Array(9));
  const stateless = disk.afterKill();
  stateless.delete(`${TRACES}/stream.slots`);
  for (const damaged of [slotless, stateless]) {
    const { code, err } = await run(damaged, "quarantine replay --all");
    assert.equal(code, 1);
    assert.match(err, / is damaged or missing; start the server once, or use --to\n$/);
    assert.equal((await idsIn(damaged)).length, 3);
  }
});

Deno.test("replay --to sends each record to its signal's route, and removes what was taken", async () => {
  const { disk } = await makeData();
  await quarantined(disk);
  const { fetch, got } = receiver();
  const { code, out } = await run(disk, "quarantine replay --all --to http://127.0.0.1:4318", { fetch });
  assert.deepEqual([code, out], [0, "3 records with 6 items delivered\n"]);
  assert.deepEqual(got.map(([path, , hops]) => [path, hops]), [
    ["/v1/traces", null],
    ["/v1/traces", "gate"],
    ["/v1/traces", null],
  ]);
  assert.deepEqual(await idsIn(disk), []);
});

Deno.test("replay --to beside a running server sends, and says that the records stay", async () => {
  const { disk } = await makeData();
  const ids = await quarantined(disk);
  const { fetch, got } = receiver();
  const line = `quarantine replay ${ids[0]} --to http://127.0.0.1:4318`;
  const { code, out } = await run(disk, line, { fetch, tryLock: () => undefined });
  assert.equal(code, 0);
  assert.match(out, /^1 record with 1 item delivered\n1 record of them is still in quarantine, because a server/);
  assert.equal(got.length, 1);
  assert.deepEqual(await idsIn(disk), ids);
});

Deno.test("replay --to keeps what the receiver does not take, and says why", async () => {
  const { disk } = await makeData();
  const ids = await quarantined(disk);
  const { fetch } = receiver(503);
  const { code, out } = await run(disk, `quarantine replay ${ids[0]} --to http://127.0.0.1:4318`, { fetch });
  assert.equal(code, 1);
  assert.match(out, new RegExp(`^${ids[0]} stays: retryable: .*\\n0 records with 0 items delivered, 1 not\\n$`));
  assert.deepEqual(await idsIn(disk), ids);
  assert.equal((await run(disk, "quarantine replay --all --to nonsense")).code, 2);
});

Deno.test("drop removes what is named; all only with --yes, and nothing beside a server", async () => {
  const { disk } = await makeData();
  const ids = await quarantined(disk);
  assert.equal((await run(disk, "quarantine drop")).code, 2);
  assert.equal((await run(disk, "quarantine drop --all")).code, 2);
  assert.equal((await run(disk, `quarantine drop ${ids[0]}`, { tryLock: () => undefined })).code, 3);
  assert.equal((await run(disk, `quarantine drop ${ids[0]} unknown`)).code, 1);
  assert.deepEqual(await idsIn(disk), ids);
  assert.match((await run(disk, `quarantine drop ${ids[0]}`)).out, /^1 record dropped, \d+ bytes/);
  assert.deepEqual(await idsIn(disk), ids.slice(1));
  assert.equal((await run(disk, "quarantine drop --all --yes")).code, 0);
  assert.deepEqual(await idsIn(disk), []);
});

Deno.test("a record whose bytes are damaged is listed as such, stays at a replay, and can be dropped", async () => {
  const { disk } = await makeData();
  const ids = await quarantined(disk);
  disk.damage(`${DATA}/quarantine/traces/${ids[0]}.pb`, new Uint8Array(2));
  assert.match((await run(disk, "quarantine list")).out, /DAMAGED +its \.pb has 2 bytes/);
  assert.match((await run(disk, `quarantine show ${ids[0]}`)).err, /^Cannot read .*: its \.pb has 2 bytes/);
  const { code, out } = await run(disk, "quarantine replay --all");
  assert.equal(code, 1);
  assert.match(out, /stays: its \.pb has 2 bytes.*\n2 records with 5 items put back into the journal, 1 not\n/);
  assert.equal((await run(disk, `quarantine drop ${ids[0]}`)).code, 0);
});
