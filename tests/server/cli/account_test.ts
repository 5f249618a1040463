import assert from "node:assert/strict";
import { makeData, run, runJson } from "./cli_fixture.ts";

const PAGE = `# HELP breakwater_items_received_total Items received.
# TYPE breakwater_items_received_total counter
breakwater_items_received_total{signal="traces"} 100
breakwater_items_received_total{signal="logs"} 7
breakwater_items_accepted_total{signal="traces"} 90
breakwater_items_accepted_total{signal="logs"} 7
breakwater_items_refused_total{signal="traces",reason="queue_full"} 8
breakwater_items_refused_total{signal="traces",reason="invalid"} 2
breakwater_items_delivered_total{signal="traces",destination="up \\"stream\\""} 60
breakwater_items_rejected_total{signal="traces",destination="up \\"stream\\"",reason="partial_success"} 5
breakwater_items_quarantined_total{signal="traces",destination="up \\"stream\\""} 10
breakwater_items_dropped_total{signal="traces",destination="up \\"stream\\"",reason="expired"} 3
breakwater_queue_items{signal="traces",destination="up \\"stream\\""} 12
breakwater_queue_bytes{signal="traces",destination="up \\"stream\\""} 4096
breakwater_items_delivered_total{signal="logs",destination="up \\"stream\\""} 7
process_cpu_seconds_total 1.5e+3
`;

const answering = (text: string, status = 200, headers = {}) => () =>
  Promise.resolve(new Response(text, { status, headers }));

Deno.test("account adds up the files of a folder, and ends with 0 when it balances", async () => {
  const { disk } = await makeData();
  const { code, out } = await run(disk, "account");
  assert.equal(code, 0);
  assert.equal(
    out,
    `traces        received 78 = accepted 78 + refused 0   balanced
traces -> a   accepted 78 = delivered 0 + rejected 0 + quarantined 0 + dropped 0 + queued 78 (on the disk)   balanced
traces -> b   accepted 78 = delivered 15 + rejected 0 + quarantined 0 + dropped 0 + queued 63 (on the disk)   balanced
`,
  );
  const { balanced, signals } = await runJson(disk, "account");
  assert.equal(balanced, true);
  assert.deepEqual(signals[0].destinations[1].delivered, 15);
});

Deno.test("account --url adds up what a running server shows in its metrics", async () => {
  const { disk } = await makeData();
  const asked: string[] = [];
  const fetch = (url: unknown) => (asked.push(String(url)), answering(PAGE)());
  const { code, out } = await run(disk, "account --url http://127.0.0.1:9464", {
    fetch: fetch as typeof globalThis.fetch,
  });
  assert.deepEqual(asked, ["http://127.0.0.1:9464/metrics"]);
  assert.match(out, /traces +received 100 = accepted 90 \+ refused 10 \(queue_full 8, invalid 2\) +balanced/);
  assert.match(
    out,
    /traces -> up "stream" +accepted 90 = delivered 60 \+ rejected 5 \(partial_success 5\) \+ quarantined 10 \+ dropped 3 \(expired 3\) \+ queued 12.* +balanced/,
  );
  assert.equal(code, 0);
});

Deno.test("account --url ends with 1 when a server's account does not balance", async () => {
  const { disk } = await makeData();
  const page = PAGE.replace(
    'delivered_total{signal="logs",destination="up \\"stream\\""} 7',
    'delivered_total{signal="logs",destination="up \\"stream\\""} 6',
  );
  assert.notEqual(page, PAGE);
  const { code, out } = await run(disk, "account --url http://127.0.0.1:9464", { fetch: answering(page) });
  assert.equal(code, 1);
  assert.match(out, /NOT BALANCED/);
});

Deno.test("account --url tells in a sentence what is wrong with the address", async () => {
  const { disk } = await makeData();
  const line = "account --url http://127.0.0.1:9464";
  const refused = await run(disk, line, { fetch: () => Promise.reject(new Error("connection refused")) });
  assert.deepEqual([refused.code, refused.out], [1, ""]);
  assert.match(refused.err, /^Cannot read 127\.0\.0\.1:9464: connection refused; is the server running, .*\n$/);
  const limited = await run(disk, line, { fetch: answering("slow down", 429, { "retry-after": "42" }) });
  assert.deepEqual([limited.code, limited.err], [
    1,
    "127.0.0.1:9464 is asked for its metrics too often: try again in 42 s\n",
  ]);
  assert.match((await run(disk, line, { fetch: answering("hello") })).err, /shows no account of Breakwater/);
  assert.match((await run(disk, line, { fetch: answering("", 404) })).err, /answers 404 to \/metrics/);
  assert.equal((await run(disk, "account --url nonsense")).code, 2);
});
