import assert from "node:assert/strict";
import type { Cursor } from "../../exporters/journal/journal.ts";
import { MemoryJournal } from "../../exporters/journal/memory_journal.ts";
import type { SendAnswer } from "../../exporters/transport/transport.ts";
import { Harbour } from "../fakes/harbour.ts";
import { answers, noAnswer, ScriptedTransport } from "../fakes/backend.ts";

const ALL = { recordCountMax: Infinity, itemCountMax: Infinity, bytesMax: Infinity };

Deno.test("draining a healthy lane sends what waits and ends as soon as nothing is left", async () => {
  const harbour = new Harbour();
  const { lane } = harbour.berth("a");
  await harbour.receiveFrom("", [1, 2]);
  const drained = lane.drain(10_000);
  await harbour.advance(0);
  await drained;
  assert.equal(harbour.clock.nowMs(), 0);
  assert.equal(harbour.balance("a").delivered, 2);
  assert.equal(harbour.clock.sleeperCount, 0);
});

Deno.test("draining ends what is in flight at the deadline, and what is left is dropped as shutdown", async () => {
  const harbour = new Harbour({ inFlightMax: 2, mergeRecordsMax: 1 });
  const { lane } = harbour.berth("a", noAnswer);
  await harbour.receive([1], [2], [3], [4]);
  let ended = false;
  const drained = lane.drain(3000).then(() => ended = true);
  await harbour.advance(2999);
  assert.equal(ended, false);
  await harbour.advance(1);
  await drained;
  const { dropped, queued, balanced } = harbour.balance("a");
  assert.deepEqual({ dropped, queued, balanced }, { dropped: { shutdown: 4 }, queued: 0, balanced: true });
});

Deno.test("a drain waits for the circuit's probe when that comes before its deadline", async () => {
  const harbour = new Harbour({ failureThreshold: 1, cooldownMs: 5000 });
  const { lane, transport } = harbour.berth("a", () => answers.retryable());
  await harbour.receive([1]);
  transport.script = () => answers.delivered();
  const drained = lane.drain(10_000);
  await harbour.advance(5000);
  await drained;
  assert.equal(harbour.balance("a").delivered, 1);
});

Deno.test("a drain does not wait for a probe that comes after its deadline", async () => {
  const harbour = new Harbour({ failureThreshold: 1, cooldownMs: 30_000 });
  const { lane } = harbour.berth("a", () => answers.retryable());
  await harbour.receive([1]);
  const drained = lane.drain(10_000);
  await harbour.advance(0);
  await drained;
  assert.deepEqual(harbour.balance("a").dropped, { shutdown: 1 });
});

Deno.test("a transport that ignores the abort cannot hold up the end, and its late answer changes nothing", async () => {
  const harbour = new Harbour();
  const { promise, resolve } = Promise.withResolvers<void>();
  const { lane, transport } = harbour.berth("a");
  transport.send = () => promise.then(() => answers.delivered());
  await harbour.receive([1, 2]);
  const drained = lane.drain(1000);
  await harbour.advance(0);
  await harbour.advance(2000);
  await drained;
  resolve();
  await harbour.advance(0);
  const { delivered, dropped, balanced } = harbour.balance("a");
  assert.deepEqual({ delivered, dropped, balanced }, { delivered: 0, dropped: { shutdown: 2 }, balanced: true });
  assert.deepEqual(harbour.log.filter((line) => line.startsWith("error")), []);
});

Deno.test("a drain counts what the queue, the flight and the parking place hold, once each; a second one is the same", async () => {
  const harbour = new Harbour({ inFlightMax: 1, cooldownMaxMs: 5000 });
  const { lane, transport } = harbour.berth(
    "a",
    ({ items }) => items[0] === 66 ? answers.retryable() : answers.delivered(),
  );
  await harbour.receive([66], [1]);
  await harbour.advance(23_000);
  assert.equal(lane.status().parkedCount, 1);
  transport.script = noAnswer;
  await harbour.receive([2], [3]);
  const both = [lane.drain(100), lane.drain(50_000)];
  await harbour.advance(100);
  await Promise.all(both);
  const { delivered, dropped, queued, balanced } = harbour.balance("a");
  assert.deepEqual({ delivered, dropped, queued, balanced }, {
    delivered: 1,
    dropped: { shutdown: 3 },
    queued: 0,
    balanced: true,
  });
  assert.equal(harbour.log.filter((line) => line.includes("at shutdown")).length, 1);
});

Deno.test("P2-16 what is kept is kept: at the deadline everything is there again, and what was out may be there twice", async () => {
  const harbour = new Harbour({ isDurable: true, inFlightMax: 2, mergeRecordsMax: 1 });
  const { lane, cursor, transport } = harbour.berth("a", noAnswer);
  const mayHaveArrived = givenBackAsArrived(cursor);
  await harbour.receive([1], [2], [3, 4]);
  let ended = false;
  const drained = lane.drain(3000).then(() => ended = true);
  await harbour.advance(2999);
  assert.equal(ended, false, "a destination that is well has until the deadline");
  await harbour.advance(1);
  await drained;
  assert.equal(transport.inFlightCount, 0);
  const { dropped, queued, balanced } = harbour.balance("a");
  assert.deepEqual({ dropped, queued, balanced }, { dropped: {}, queued: 4, balanced: true });
  assert.deepEqual(mayHaveArrived, [0, 1], "the next start counts them as redelivered");
  assert.deepEqual(cursor.take(ALL).map(({ sequence }) => sequence), [0, 1, 2]);
  assert.deepEqual(harbour.log, ["info traces -> a: left on the disk for the next start: 4 spans"]);
});

// deno-fmt-ignore
const UNWELL: [what: string, failureThreshold: number, answer: SendAnswer][] = [
  ["is dead",                    1, answers.retryable()],
  ["fails, its circuit closed",  3, answers.retryable()],
  ["asks for a pause",           3, answers.throttled(1000)],
  ["refuses us for what we are", 3, answers.misconfigured()],
  ["does not have the signal",   3, answers.unsupported()],
];
for (const [what, failureThreshold, answer] of UNWELL) {
  Deno.test(`P2-16 where what is left is kept, nobody waits for a destination that ${what}`, async () => {
    const harbour = new Harbour({ isDurable: true, failureThreshold, cooldownMs: 1000 });
    const { lane, transport } = harbour.berth("a", () => answer);
    await harbour.receive([1, 2]);
    await harbour.receiveFrom("", [3]);
    const sentCount = transport.sent.length;
    const drained = lane.drain(600_000);
    await harbour.advance(0);
    await drained;
    assert.equal(transport.sent.length, sentCount, "nothing is sent any more");
    const { queued, dropped, balanced } = harbour.balance("a");
    assert.deepEqual({ dropped, balanced }, { dropped: {}, balanced: true });
    assert.equal(queued, answer.status === "unsupported" ? 1 : 3);
    assert.equal(harbour.clock.sleeperCount, 0);
  });
}

Deno.test("P2-16 where what is left is kept, an attempt that fails while the lane drains is its last", async () => {
  const harbour = new Harbour({ isDurable: true, inFlightMax: 2, mergeRecordsMax: 1 });
  const first = Promise.withResolvers<SendAnswer>();
  const second = Promise.withResolvers<SendAnswer>();
  const { lane, transport, breaker } = harbour.berth("a", ({ items }) => (items[0] === 1 ? first : second).promise);
  await harbour.receive([1], [2], [3]);
  let ended = false;
  const drained = lane.drain(600_000).then(() => ended = true);
  first.resolve(answers.retryable());
  await harbour.advance(0);
  assert.equal(ended, false, "what is out may still arrive, and would be sent twice");
  second.resolve(answers.retryable());
  await harbour.advance(0);
  await drained;
  assert.equal(breaker.state, "closed");
  assert.equal(transport.sent.length, 2);
  assert.deepEqual([harbour.balance("a").queued, harbour.balance("a").dropped], [3, {}]);
});

Deno.test("P2-16 where what is left is kept, nobody waits for a pause that another signal was asked for", async () => {
  const harbour = new Harbour({ isDurable: true });
  const { destination, transport } = harbour.berth("a", () => answers.throttled(60_000, true));
  const logs = new MemoryJournal("logs");
  const { lane, breaker } = harbour.lane(destination, transport, "reject", logs);
  await harbour.receive([1]);
  await logs.append({ payload: new Uint8Array([2]), itemCount: 1, receivedAtMs: harbour.clock.wallMs(), hops: "" });
  assert.equal(breaker.state, "closed");
  const drained = lane.drain(600_000);
  await harbour.advance(0);
  await drained;
  assert.equal(logs.cursors[0]?.queued.items, 1);
  assert.equal(transport.sent.length, 1);
});

Deno.test("P2-16 with its circuit open a lane aborts what is still out, and does not wait for the answer", async () => {
  const harbour = new Harbour({ isDurable: true, failureThreshold: 1, inFlightMax: 2, mergeRecordsMax: 1 });
  const { lane, cursor, transport } = harbour.berth(
    "a",
    ({ items }) => items[0] === 1 ? new Promise(() => {}) : answers.retryable(),
  );
  const mayHaveArrived = givenBackAsArrived(cursor);
  await harbour.receive([1], [2]);
  assert.equal(lane.status().circuitState, "open");
  assert.equal(transport.inFlightCount, 1);
  const drained = lane.drain(600_000);
  await harbour.advance(0);
  await drained;
  assert.equal(transport.inFlightCount, 0);
  assert.equal(harbour.balance("a").queued, 2);
  assert.deepEqual(mayHaveArrived, [0]);
});

Deno.test("P2-16 a probe that is out when the drain begins is waited for, and when it passes the rest follows", async () => {
  const harbour = new Harbour({ isDurable: true, failureThreshold: 1, cooldownMs: 1000 });
  const { promise, resolve } = Promise.withResolvers<void>();
  const { lane, transport } = harbour.berth("a", () => answers.retryable());
  await harbour.receive([1], [2]);
  transport.script = () => promise.then(() => answers.delivered());
  await harbour.advance(1000);
  assert.equal(lane.status().circuitState, "half_open");
  const drained = lane.drain(10_000);
  await harbour.advance(100);
  resolve();
  await harbour.advance(0);
  await drained;
  assert.deepEqual([harbour.balance("a").delivered, harbour.balance("a").queued], [2, 0]);
});

Deno.test("P2-16 what is parked and what a stubborn transport keeps is kept as well, each record once", async () => {
  const harbour = new Harbour({ isDurable: true, inFlightMax: 1, mergeRecordsMax: 1, cooldownMaxMs: 5000 });
  const { lane, transport, cursor } = harbour.berth(
    "a",
    ({ items }) => items[0] === 66 ? answers.retryable() : answers.delivered(),
  );
  await harbour.receive([66], [1]);
  await harbour.advance(23_000);
  assert.equal(lane.status().parkedCount, 1);
  transport.send = () => new Promise(() => {});
  await harbour.receive([2], [3]);
  const drained = lane.drain(100);
  await harbour.advance(100);
  await harbour.advance(1000);
  await drained;
  const { delivered, queued, balanced } = harbour.balance("a");
  assert.deepEqual({ delivered, queued, balanced }, { delivered: 1, queued: 3, balanced: true });
  // What nobody has answered for is still out: the journal counts it when it is taken again.
  assert.deepEqual(cursor.take(ALL).map(({ sequence }) => sequence), [0, 3]);
});

Deno.test("a lane that never started drains at once", async () => {
  const harbour = new Harbour();
  const { lane, transport } = harbour.berth("a");
  assert.ok(transport instanceof ScriptedTransport);
  const drained = lane.drain(0);
  await harbour.advance(0);
  await drained;
});

/** The sequences of what is given back from now on with its answer lost. */
function givenBackAsArrived(cursor: Cursor): readonly number[] {
  const sequences: number[] = [];
  const release = cursor.release.bind(cursor);
  cursor.release = (entries, mayHaveArrived) => {
    if (mayHaveArrived) sequences.push(...entries.map(({ sequence }) => sequence));
    release(entries, mayHaveArrived);
  };
  return sequences;
}
