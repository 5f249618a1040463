import assert from "node:assert/strict";
import { answers, type Script } from "../fakes/backend.ts";
import { type Berth, Harbour, type HarbourOptions } from "../fakes/harbour.ts";

/** Whatever waits is a backlog, requests are small, and one is out at a time, so that their order can be seen. */
const OPTIONS: HarbourOptions = { backlogBytesMin: 1, mergeRecordsMax: 2, inFlightMax: 1, cooldownMaxMs: 5000 };

/** An outage: the records are there, and the circuit is open. */
async function outage(harbour: Harbour, { transport, breaker }: Berth, items: readonly number[]): Promise<void> {
  transport.script = () => answers.retryable();
  await harbour.receive(...items.map((item) => [item]));
  for (let second = 0; second < 10 && breaker.state !== "open"; second++) await harbour.advance(1000);
  assert.equal(breaker.state, "open");
}

/** A backend that takes a second for each request. */
function slow(harbour: Harbour): Script {
  return () => harbour.clock.sleep(1000).then(() => answers.delivered());
}

/** What was sent from here on. */
function sentSince({ transport }: Berth, count: number): readonly (readonly number[])[] {
  return transport.bodies.slice(count);
}

Deno.test("live records are delivered while a backlog drains: their requests take turns, each part in its order", async () => {
  const harbour = new Harbour(OPTIONS);
  const berth = harbour.berth("a");
  await outage(harbour, berth, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const count = berth.transport.sent.length;
  berth.transport.script = slow(harbour);
  await harbour.advance(6000); // The probe carries the oldest record, alone, and closes the circuit.
  await harbour.receive([101], [102], [103], [104], [105]);
  await harbour.advance(60_000);
  assert.deepEqual(sentSince(berth, count), [[1], [2, 3], [101, 102], [4, 5], [103, 104], [6, 7], [105], [8, 9]]);
  assert.equal(harbour.balance("a").delivered, 14);
});

Deno.test("neither starves: however much comes, every other request is of the backlog, until it is gone", async () => {
  const harbour = new Harbour(OPTIONS);
  const berth = harbour.berth("a");
  await outage(harbour, berth, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const count = berth.transport.sent.length;
  berth.transport.script = slow(harbour);
  await harbour.advance(6000);
  for (let second = 0; second < 10; second++) await harbour.receive([101], [102], [103]), await harbour.advance(1000);
  const isBacklog = sentSince(berth, count).slice(1).map(([first]) => first < 100);
  assert.deepEqual(isBacklog.slice(0, 8), [true, false, true, false, true, false, true, false]);
  assert.ok(!isBacklog.slice(8).includes(true));
});

Deno.test("a second outage during the drain: what is there then is backlog, oldest first, and what comes later passes it", async () => {
  const harbour = new Harbour(OPTIONS);
  const berth = harbour.berth("a");
  await outage(harbour, berth, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  berth.transport.script = slow(harbour);
  await harbour.advance(6000);
  await harbour.receive([101], [102], [103], [104]);
  await harbour.advance(2000);
  assert.equal(harbour.balance("a").delivered, 5, "1, 2, 3 and 101, 102");
  await outage(harbour, berth, [105]);
  const count = berth.transport.sent.length;
  berth.transport.script = slow(harbour);
  await harbour.advance(6000);
  await harbour.receive([201], [202], [203]);
  await harbour.advance(60_000);
  assert.deepEqual(sentSince(berth, count), [[6], [7, 8], [201, 202], [9, 103], [203], [104, 105]]);
  assert.deepEqual([harbour.balance("a").delivered, harbour.balance("a").queued], [17, 0]);
});

Deno.test("a probe carries the oldest record of all, although what failed last was live", async () => {
  const harbour = new Harbour(OPTIONS);
  const berth = harbour.berth("a");
  await outage(harbour, berth, [1, 2, 3, 4, 5, 6, 7]);
  berth.transport.script = slow(harbour);
  await harbour.advance(6000);
  await harbour.receive([101], [102], [103]);
  await outage(harbour, berth, [104]);
  assert.deepEqual(berth.transport.bodies.slice(-3), [[101, 102], [4, 5], [101, 102]]);
  const count = berth.transport.sent.length;
  await harbour.advance(15_000);
  assert.deepEqual(sentSince(berth, count), [[4], [4], [4]]);
});

Deno.test("a poison record in the backlog is stepped over and parked, while live records pass", async () => {
  const harbour = new Harbour({ ...OPTIONS, mergeRecordsMax: 1 });
  const berth = harbour.berth("a");
  const POISON = 66;
  await outage(harbour, berth, [1, POISON, 2, 3, 4]);
  berth.transport.script = ({ items }) => items.includes(POISON) ? answers.retryable(true) : answers.delivered();
  for (let second = 0; second < 120; second++) await harbour.receive([100 + second]), await harbour.advance(1000);
  await harbour.advance(300_000);
  const { delivered, rejected, queued } = harbour.balance("a");
  assert.deepEqual({ delivered, rejected, queued }, { delivered: 124, rejected: { export_failed: 1 }, queued: 0 });
});

Deno.test("a refused request of the backlog is taken apart although live requests pass in between", async () => {
  const harbour = new Harbour({ ...OPTIONS, mergeRecordsMax: 4 });
  const berth = harbour.berth("a");
  const BAD = 66;
  await outage(harbour, berth, [1, 2, BAD, 3, 4, 5]);
  const count = berth.transport.sent.length;
  berth.transport.script = async (sent) => {
    await harbour.clock.sleep(1000);
    return sent.items.includes(BAD) ? answers.rejected() : answers.delivered();
  };
  await harbour.advance(5000);
  for (let second = 0; second < 20; second++) {
    await harbour.receive([101 + second], [151 + second]);
    await harbour.advance(1000);
  }
  await harbour.advance(20_000);
  const sent = sentSince(berth, count);
  assert.deepEqual(sent.filter(([first]) => first < 100), [[1], [2, BAD, 3, 4], [2], [BAD], [3], [4], [5]]);
  const between = sent.slice(sent.findIndex(([first]) => first === 2) + 2, sent.findIndex(([first]) => first === 5));
  assert.ok(between.some((items) => items.length === 4), "live requests are merged meanwhile");
  const { delivered, rejected, queued } = harbour.balance("a");
  assert.deepEqual({ delivered, rejected, queued }, { delivered: 45, rejected: { http_400: 1 }, queued: 0 });
});

Deno.test("what waits when a lane starts is backlog", async () => {
  const harbour = new Harbour(OPTIONS);
  const berth = harbour.berth("a");
  berth.transport.script = slow(harbour);
  await harbour.receive([1], [2], [3], [4], [5], [6]);
  await harbour.receive([101], [102]);
  await harbour.advance(60_000);
  assert.deepEqual(berth.transport.bodies, [[1, 2], [101, 102], [3, 4], [5, 6]]);
});

Deno.test("what is gone with a request or two is no backlog: it keeps its order", async () => {
  const harbour = new Harbour({ ...OPTIONS, backlogBytesMin: 10_000 });
  const berth = harbour.berth("a");
  await outage(harbour, berth, [1, 2, 3, 4, 5]);
  const count = berth.transport.sent.length;
  berth.transport.script = slow(harbour);
  await harbour.advance(6000);
  await harbour.receive([101], [102]);
  await harbour.advance(60_000);
  assert.deepEqual(sentSince(berth, count).flat(), [1, 2, 3, 4, 5, 101, 102]);
});

Deno.test("after an outage nothing waits for the budget of retries, however many records were probes", async () => {
  const harbour = new Harbour({ ...OPTIONS, mergeRecordsMax: 1 });
  const berth = harbour.berth("a");
  await outage(harbour, berth, Array.from({ length: 30 }, (_, item) => item));
  await harbour.advance(90_000);
  const probed = new Set(berth.transport.bodies.map(([first]) => first));
  assert.ok(probed.size > 10, "far more than the budget has");
  berth.transport.script = () => answers.delivered();
  await harbour.advance(5000);
  assert.equal(harbour.balance("a").delivered, 30);
});
