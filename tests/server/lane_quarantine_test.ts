import assert from "node:assert/strict";
import type { SendAnswer } from "../../exporters/transport/transport.ts";
import { answers, noAnswer, type Script, type Sent } from "../fakes/backend.ts";
import { Harbour, type HarbourOptions } from "../fakes/harbour.ts";
import { FakeQuarantine } from "../fakes/quarantine.ts";

/** A lane with a quarantine. Its backend says what the script says. */
function laneWith(script: Script, options: HarbourOptions = {}) {
  const quarantine = new FakeQuarantine();
  const harbour = new Harbour({ inFlightMax: 1, quarantine, ...options });
  return { quarantine, harbour, ...harbour.berth("a", script) };
}

const dislikes = (...bad: readonly number[]) => (sent: Sent, otherwise = answers.delivered()): SendAnswer =>
  sent.items.some((item) => bad.includes(item)) ? answers.rejected() : otherwise;

/** What became of what the harbour received. It has to balance. */
function fateAt(harbour: Harbour) {
  const { delivered, rejected, quarantined, dropped, queued, balanced } = harbour.balance("a");
  assert.ok(balanced);
  return { delivered, rejected, quarantined, dropped, queued };
}

const NONE = { delivered: 0, rejected: {}, quarantined: 0, dropped: {}, queued: 0 };

Deno.test("of merged records the bad one goes into the quarantine, just as it was accepted, and the others are delivered", async () => {
  const { harbour, quarantine } = laneWith(dislikes(3));
  await harbour.receive([1], [2, 3], [4, 5, 6]);
  assert.deepEqual(fateAt(harbour), { ...NONE, delivered: 4, quarantined: 2 });
  const [only, ...others] = quarantine.kept;
  assert.deepEqual(others, []);
  assert.deepEqual(only, {
    items: [2, 3],
    reason: "http_400",
    message: "bad data",
    refused: {
      signal: "traces",
      destination: "a",
      sequence: 1,
      payload: Uint8Array.of(2, 3),
      itemCount: 2,
      receivedAtMs: harbour.clock.wallMs(),
      hops: "",
    },
  });
});

Deno.test("a merged request on which the backend broke is quarantined record by record, some at a time, and not sent again", async () => {
  const { harbour, quarantine, transport } = laneWith(() => answers.backendFailed(), { failureThreshold: 1 });
  quarantine.untilReady = () => harbour.clock.sleep(10);
  const records = Array.from({ length: 20 }, (_, item) => [item, item + 100]);
  await harbour.receive(...records);
  await harbour.advance(100);
  assert.deepEqual(fateAt(harbour), { ...NONE, quarantined: 40 });
  assert.deepEqual(quarantine.bodies, records);
  assert.equal(quarantine.underWayMaxSeen, 8);
  assert.equal(transport.sent.length, 1);
});

Deno.test("what has no room in the quarantine is rejected as quarantine_full, to the item", async () => {
  const { harbour, quarantine } = laneWith(() => answers.backendFailed());
  quarantine.recordCountMax = 2;
  await harbour.receive([1], [2, 3], [4, 5, 6], [7, 8]);
  assert.deepEqual(fateAt(harbour), { ...NONE, quarantined: 3, rejected: { quarantine_full: 5 } });
});

Deno.test("of a record that is sent in pieces only the bad piece is quarantined, under a name of its own", async () => {
  const tooMuch: Script = (sent) => sent.items.length > 2 ? answers.tooLarge() : dislikes(3, 6)(sent);
  const { harbour, quarantine, transport } = laneWith(tooMuch);
  await harbour.receive([0, 1, 2, 3, 4, 5, 6]);
  assert.deepEqual(transport.bodies, [[0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3], [0, 1], [2, 3], [4, 5, 6], [4, 5], [6]]);
  assert.deepEqual(fateAt(harbour), { ...NONE, delivered: 4, quarantined: 3 });
  assert.deepEqual(quarantine.kept.map(({ items, refused }) => [items, refused.itemCount, refused.piece]), [
    [[2, 3], 2, "01"],
    [[6], 1, "11"],
  ]);
});

Deno.test("too large, unsupported and rejected in part: none of that is quarantined", async () => {
  const { harbour, quarantine, transport } = laneWith(() => answers.tooLarge());
  await harbour.receive([1]);
  transport.script = () => answers.delivered(1, "one is bad");
  await harbour.receive([2, 3]);
  transport.script = () => answers.unsupported();
  await harbour.receive([4]);
  await harbour.receive([5]);
  assert.deepEqual(fateAt(harbour), {
    ...NONE,
    delivered: 1,
    rejected: { too_large: 1, partial_success: 1, unsupported: 2 },
  });
  assert.deepEqual(quarantine.bodies, []);
});

Deno.test("a record waits until its bytes are safe, and the others go on, no more at once than the limit says", async () => {
  const { harbour, quarantine, transport, lane } = laneWith(dislikes(1, 2), { inFlightMax: 2, mergeRecordsMax: 1 });
  quarantine.untilReady = () => harbour.clock.sleep(1000);
  await harbour.receive([1], [3], [4], [5]);
  assert.deepEqual(transport.bodies, [[1], [3], [4], [5]]);
  assert.deepEqual(fateAt(harbour), { ...NONE, delivered: 3, queued: 1 });
  assert.equal(lane.status().inFlightCount, 1);
  await harbour.receive([2], [6]);
  assert.deepEqual(transport.bodies.slice(4), [[2]], "two are on their way into the quarantine");
  await harbour.advance(1000);
  assert.deepEqual(transport.bodies.slice(5), [[6]]);
  assert.deepEqual(fateAt(harbour), { ...NONE, delivered: 4, quarantined: 2 });
});

Deno.test("a quarantine that breaks its word costs what it was given, not the lane", async () => {
  const { harbour, quarantine } = laneWith(dislikes(1));
  quarantine.untilReady = () => Promise.reject(new Error("on fire"));
  await harbour.receive([1]);
  await harbour.receive([2]);
  assert.deepEqual(fateAt(harbour), { ...NONE, delivered: 1, rejected: { quarantine_full: 1 } });
  assert.equal(harbour.log.filter((line) => line.startsWith("error") && line.includes("on fire")).length, 1);
});

Deno.test("draining waits for what is on its way into the quarantine, and no longer than that", async () => {
  const { harbour, quarantine, lane } = laneWith(dislikes(1));
  quarantine.untilReady = () => harbour.clock.sleep(3000);
  await harbour.receive([1]);
  let endedAtMs = -1;
  const drained = lane.drain(10_000).then(() => endedAtMs = harbour.clock.nowMs());
  await harbour.advance(10_000);
  await drained;
  assert.equal(endedAtMs, 3000);
  assert.deepEqual(fateAt(harbour), { ...NONE, quarantined: 1 });
});

Deno.test("a drain that ends before the bytes are safe leaves nothing behind and counts nothing twice, whatever comes later", async () => {
  const tooMuch: Script = (sent) => sent.items.length > 2 ? answers.tooLarge() : dislikes(1, 7)(sent);
  const { harbour, quarantine, lane } = laneWith(tooMuch, { inFlightMax: 4, mergeRecordsMax: 1 });
  const { promise, resolve } = Promise.withResolvers<void>();
  quarantine.untilReady = () => promise;
  await harbour.receive([1], [5, 6, 7, 8]);
  assert.equal(quarantine.underWayCount, 2);
  const drained = lane.drain(1000);
  await harbour.advance(3000);
  await drained;
  const fate = fateAt(harbour);
  assert.deepEqual(fate, { ...NONE, delivered: 2, dropped: { shutdown: 3 } });
  resolve();
  await harbour.advance(1000);
  assert.deepEqual(fateAt(harbour), fate);
  assert.deepEqual(harbour.log.filter((line) => line.startsWith("error")), []);
});

Deno.test("P2-16 where what is left is kept, a drain waits for the quarantine too, and gives back what does not get there", async () => {
  for (const putMs of [3000, 60_000]) {
    const { harbour, quarantine, lane, cursor, breaker } = laneWith(() => answers.backendFailed(), {
      isDurable: true,
      failureThreshold: 1,
    });
    quarantine.untilReady = () => harbour.clock.sleep(putMs);
    await harbour.receive([1], [2, 3]);
    assert.equal(breaker.state, "open");
    let endedAtMs = -1;
    const drained = lane.drain(10_000).then(() => endedAtMs = harbour.clock.nowMs());
    await harbour.advance(20_000);
    await drained;
    assert.equal(endedAtMs, putMs === 3000 ? 3000 : 11_000, "an answer has a second more than the deadline");
    const fate = { ...NONE, ...(putMs === 3000 ? { quarantined: 3 } : { queued: 3 }) };
    assert.deepEqual(fateAt(harbour), fate);
    assert.equal(harbour.balance("a").redelivered, 0, "what was refused is not there");
    await harbour.advance(60_000);
    assert.deepEqual(fateAt(harbour), fate);
    const everything = { recordCountMax: 10, itemCountMax: 10, bytesMax: 10 };
    assert.equal(cursor.take(everything).length, putMs === 3000 ? 0 : 2, "it is there to be taken again");
  }
});

Deno.test("P2-16 what a refused probe went past is given back once, whenever the drain ends", async () => {
  const { harbour, quarantine, lane, cursor } = laneWith(
    ({ items }) => items.includes(6) ? answers.retryable() : answers.backendFailed(),
    { isDurable: true, failureThreshold: 1, cooldownMaxMs: 5000 },
  );
  quarantine.untilReady = () => new Promise(() => {});
  await harbour.receive([6], [1]);
  await harbour.advance(20_000);
  assert.equal(quarantine.underWayCount, 1, "the fourth probe carries the record behind the head");
  const drained = lane.drain(1000);
  await harbour.advance(3000);
  await drained;
  assert.deepEqual(fateAt(harbour), { ...NONE, queued: 2 });
  const everything = { recordCountMax: 10, itemCountMax: 10, bytesMax: 10 };
  assert.deepEqual(cursor.take(everything).map(({ sequence }) => sequence), [0, 1]);
});

Deno.test("a drain that ends among the records of one request counts each of them once", async () => {
  const { harbour, quarantine, lane } = laneWith(() => answers.backendFailed());
  quarantine.untilReady = () => harbour.clock.sleep(1000);
  await harbour.receive(...Array.from({ length: 20 }, (_, item) => [item]));
  const drained = lane.drain(1500);
  await harbour.advance(1500);
  quarantine.untilReady = () => new Promise(() => {});
  await harbour.advance(1500);
  await drained;
  assert.deepEqual(fateAt(harbour), { ...NONE, quarantined: 16, dropped: { shutdown: 4 } });
  assert.deepEqual(harbour.log.filter((line) => line.startsWith("error")), []);
});

Deno.test("a drain that ends among the pieces of a record counts those that are safe, and drops the rest", async () => {
  const { harbour, quarantine, lane, transport } = laneWith((sent) =>
    sent.items.length > 2 ? answers.tooLarge() : answers.rejected()
  );
  quarantine.untilReady = () => harbour.clock.sleep(1000);
  await harbour.receive([1, 2, 3, 4]);
  transport.script = noAnswer;
  await harbour.advance(1000);
  const drained = lane.drain(1000);
  await harbour.advance(3000);
  await drained;
  assert.deepEqual(quarantine.bodies, [[1, 2]]);
  assert.deepEqual(fateAt(harbour), { ...NONE, quarantined: 2, dropped: { shutdown: 2 } });
});

Deno.test("people are told where it is kept and how to look, each reason once a minute, and of the loss apart", async () => {
  const { harbour, quarantine, transport } = laneWith(dislikes(1), { mergeRecordsMax: 1, failureThreshold: 100 });
  quarantine.recordCountMax = 3;
  await harbour.receive([1, 2], [1]);
  transport.script = () => answers.backendFailed();
  await harbour.receive([3]);
  transport.script = dislikes(1);
  await harbour.receive([1, 4], [1]);
  await harbour.advance(60_000);
  quarantine.recordCountMax = 4;
  await harbour.receive([1]);
  const where = 'kept in /data/quarantine, see "deno task cli quarantine list"';
  assert.deepEqual(harbour.log, [
    `warning traces -> a: quarantined 2 spans: bad data; ${where}`,
    `warning traces -> a: quarantined 1 span: it broke; ${where}`,
    "warning traces -> a: gave up 2 spans, for which the quarantine has no room: bad data",
    `warning traces -> a: quarantined 1 span: bad data; ${where}`,
  ]);
});
