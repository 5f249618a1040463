import assert from "node:assert/strict";
import { PoisonWatch } from "../../server/lane_poison.ts";
import { DiskJournal } from "../../exporters/journal/disk_journal.ts";
import { answers, type Script } from "../fakes/backend.ts";
import { FakeDisk } from "../fakes/disk.ts";
import { Harbour } from "../fakes/harbour.ts";
import { FakeQuarantine } from "../fakes/quarantine.ts";

const POISON = 66;
const CHOKES_ON_POISON: Script = ({ items }) => items.includes(POISON) ? answers.retryable(true) : answers.delivered();

Deno.test("a poison head stops its lane for four probes: then the record behind it passes, and it is parked", async () => {
  const harbour = new Harbour({ inFlightMax: 1, cooldownMaxMs: 5000 });
  const { transport, lane, breaker } = harbour.berth("a", CHOKES_ON_POISON);
  await harbour.receive([POISON], [1], [2]);
  await harbour.advance(3000); // Three failures of the merged request open the circuit.
  assert.equal(breaker.state, "open");
  const before = transport.sent.length;
  await harbour.advance(15_000);
  assert.deepEqual(transport.bodies.slice(before), [[POISON], [POISON], [POISON]]);
  await harbour.advance(5000);
  assert.deepEqual(transport.bodies.slice(before + 3, before + 6), [[1], [POISON], [2]]);
  assert.equal(breaker.state, "closed");
  assert.equal(lane.status().parkedCount, 1);
  assert.equal(harbour.balance("a").delivered, 2);
  assert.equal(harbour.balance("a").queued, 1, "what is parked still waits");
});

Deno.test("a parked record is retried alone, five times with a back-off, and given up for its last reason", async () => {
  const harbour = new Harbour({ inFlightMax: 1, cooldownMaxMs: 5000 });
  const { transport, lane, breaker } = harbour.berth("a", CHOKES_ON_POISON);
  await harbour.receive([POISON], [1]);
  await harbour.advance(120_000);
  const { delivered, rejected, queued, balanced } = harbour.balance("a");
  assert.deepEqual({ delivered, rejected, queued, balanced }, {
    delivered: 1,
    rejected: { export_failed: 1 },
    queued: 0,
    balanced: true,
  });
  assert.equal(lane.status().parkedCount, 0);
  assert.equal(breaker.state, "closed", "what is known to fail does not open the circuit");
  const afterPark = transport.sent.slice(transport.bodies.findIndex((items) => items[0] === 1) + 1);
  assert.deepEqual(afterPark.map(({ items }) => items), Array(5).fill([POISON]));
  const waits = afterPark.map(({ atMs }, index) => atMs - (afterPark[index - 1]?.atMs ?? atMs));
  assert.deepEqual(waits, [0, 1000, 2000, 4000, 8000]);
});

Deno.test("a parked record that passes after all is delivered", async () => {
  const harbour = new Harbour({ inFlightMax: 1, cooldownMaxMs: 5000 });
  const { transport } = harbour.berth("a", CHOKES_ON_POISON);
  await harbour.receive([POISON], [1]);
  await harbour.advance(25_000);
  assert.equal(harbour.balance("a").delivered, 1);
  transport.script = () => answers.delivered();
  await harbour.advance(10_000);
  assert.equal(harbour.balance("a").delivered, 2);
  assert.equal(harbour.balance("a").queued, 0);
});

Deno.test("an outage gives up nothing: a parked record's failures count only while the circuit is closed", async () => {
  const harbour = new Harbour({ inFlightMax: 1, cooldownMaxMs: 5000 });
  const { transport } = harbour.berth("a", CHOKES_ON_POISON);
  await harbour.receive([POISON], [1]);
  await harbour.advance(23_000);
  assert.equal(harbour.balance("a").delivered, 1);
  transport.script = () => answers.retryable();
  await harbour.receive([2], [3]);
  await harbour.advance(600_000);
  assert.equal(harbour.balance("a").queued, 3);
  transport.script = () => answers.delivered();
  await harbour.advance(60_000);
  assert.equal(harbour.balance("a").delivered, 4);
});

Deno.test("an outage alone parks nothing for good: all is delivered when the backend is back", async () => {
  const harbour = new Harbour();
  const { transport } = harbour.berth("a", () => answers.retryable());
  await harbour.receive(...Array.from({ length: 40 }, (_, item) => [item]));
  await harbour.advance(3_600_000);
  transport.script = () => answers.delivered();
  await harbour.advance(60_000);
  assert.equal(harbour.balance("a").delivered, 40);
});

Deno.test("several poison records in a row are stepped over, one after another", async () => {
  const harbour = new Harbour({ inFlightMax: 1, cooldownMaxMs: 5000 });
  harbour.berth("a", CHOKES_ON_POISON);
  await harbour.receive([POISON], [POISON], [POISON], [1], [2]);
  await harbour.advance(300_000);
  const { delivered, rejected, queued } = harbour.balance("a");
  assert.deepEqual({ delivered, rejected, queued }, { delivered: 2, rejected: { export_failed: 3 }, queued: 0 });
});

Deno.test("more poison than may be parked still does not stop the lane", async () => {
  const harbour = new Harbour({ inFlightMax: 1, cooldownMaxMs: 5000, parkedRecordsMax: 2 });
  harbour.berth("a", CHOKES_ON_POISON);
  await harbour.receive([POISON], [POISON], [1], [POISON], [2], [3]);
  await harbour.advance(600_000);
  const { delivered, rejected, queued } = harbour.balance("a");
  assert.deepEqual({ delivered, rejected, queued }, { delivered: 3, rejected: { export_failed: 3 }, queued: 0 });
});

Deno.test("poison among requests in flight never opens the circuit, and is found and parked all the same", async () => {
  const harbour = new Harbour({ inFlightMax: 4, mergeRecordsMax: 2 });
  const { breaker, transport } = harbour.berth("a", CHOKES_ON_POISON);
  await harbour.receive([1], [POISON], [2], [3], [4], [5]);
  for (let second = 0; second < 4; second++) {
    await Promise.all([10, 11, 12, 13].map((item) => harbour.receiveFrom("", [item])));
    await harbour.advance(1000);
  }
  assert.deepEqual(transport.bodies.filter((items) => items.includes(POISON)).slice(0, 5), [
    [1, POISON],
    [1, POISON],
    [1, POISON],
    [POISON],
    [POISON],
  ]);
  await harbour.advance(120_000);
  assert.equal(breaker.counters.opened, 0);
  const { delivered, rejected, queued } = harbour.balance("a");
  assert.deepEqual({ delivered, rejected, queued }, { delivered: 21, rejected: { export_failed: 1 }, queued: 0 });
});

Deno.test("poison that looks like a misconfiguration is stepped over too", async () => {
  const harbour = new Harbour({ inFlightMax: 1, cooldownMaxMs: 5000 });
  harbour.berth("a", ({ items }) => items.includes(POISON) ? answers.misconfigured("http_403") : answers.delivered());
  await harbour.receive([POISON], [1], [2]);
  await harbour.advance(300_000);
  const { delivered, rejected, queued } = harbour.balance("a");
  assert.deepEqual({ delivered, rejected, queued }, { delivered: 2, rejected: { http_403: 1 }, queued: 0 });
});

Deno.test("with nothing else to send, a parked record is the probe that closes the circuit", async () => {
  const harbour = new Harbour({ inFlightMax: 1, cooldownMaxMs: 5000, recordAgeMaxMs: 0 });
  const { transport, breaker } = harbour.berth("a", CHOKES_ON_POISON);
  await harbour.receive([POISON], [1]);
  await harbour.advance(23_000);
  transport.script = ({ items }) => items.includes(POISON) ? answers.retryable() : answers.backendFailed();
  await harbour.receive([2]);
  await harbour.receive([3]);
  await harbour.receive([4]);
  assert.equal(breaker.state, "open");
  transport.script = () => answers.retryable();
  await harbour.advance(600_000);
  assert.equal(harbour.balance("a").queued, 1, "an outage is no reason to give it up");
  transport.script = () => answers.delivered();
  await harbour.advance(5000);
  assert.equal(breaker.state, "closed");
  assert.equal(harbour.balance("a").delivered, 2);
  assert.equal(harbour.balance("a").queued, 0);
});

Deno.test("what is in flight is not crowded out of the parking place, nor is a record that fails now and then", async () => {
  const harbour = new Harbour({ inFlightMax: 4, mergeRecordsMax: 1, parkedRecordsMax: 1, backoffMs: 10 });
  let turn = 0;
  harbour.berth("a", async () => {
    await harbour.clock.sleep(5);
    return turn++ % 3 === 0 ? answers.delivered() : answers.retryable();
  });
  for (let item = 0; item < 40; item++) {
    await harbour.receive([item]);
    await harbour.advance(1);
  }
  await harbour.advance(3_600_000);
  const { delivered, queued, balanced } = harbour.balance("a");
  assert.deepEqual({ queued, balanced }, { queued: 0, balanced: true });
  assert.ok(delivered >= 35, `${delivered} of 40 delivered by a backend that takes every third request`);
  assert.deepEqual(harbour.log.filter((line) => line.includes("RangeError")), []);
});

Deno.test("the record that has failed most is given up for want of room, unless its answer is awaited", () => {
  const watch = new PoisonWatch({ headProbesMax: 3, parkedRecordsMax: 2, parkedFailuresMax: 5 });
  const record = (sequence: number) => ({
    sequence,
    payload: new Uint8Array(),
    itemCount: 1,
    receivedAtMs: 0,
    hops: "",
  });
  for (const sequence of [1, 2]) assert.equal(watch.park(record(sequence), 0), undefined);
  const [first, second] = watch.parked;
  assert.ok(first !== undefined && second !== undefined);
  watch.parkedFailed(second, 0);
  second.inFlight = true;
  assert.equal(watch.park(record(3), 0), first);
  second.inFlight = false;
  assert.equal(watch.park(record(4), 0), second);
});

Deno.test("what failed before an outage is not held against a record after it", async () => {
  const harbour = new Harbour({ inFlightMax: 3, mergeRecordsMax: 1 });
  let headIs: Script = () => answers.retryable();
  const { lane, transport, breaker } = harbour.berth("a", (sent) => {
    if (sent.items[0] === 1) return headIs(sent);
    return sent.items[0] === POISON ? answers.retryable() : answers.delivered();
  });
  const triesOfPoison = () => transport.bodies.filter(([item]) => item === POISON).length;
  await harbour.receive([1], [POISON], [2]);
  await harbour.receive([3]);
  await harbour.advance(2000);
  assert.equal(triesOfPoison(), 2);
  headIs = () => answers.throttled(1000);
  await harbour.receive([4]);
  await harbour.advance(2000);
  assert.equal(breaker.state, "open");
  headIs = () => answers.delivered();
  await harbour.receive([5], [6]);
  await harbour.advance(1000);
  assert.equal(breaker.state, "closed");
  assert.equal(triesOfPoison(), 4);
  assert.equal(lane.status().parkedCount, 0);
});

Deno.test("poison is quarantined in the end: three probes, one with the next record, then five tries alone", async () => {
  const quarantine = new FakeQuarantine();
  const harbour = new Harbour({ inFlightMax: 1, cooldownMaxMs: 5000, failureThreshold: 1, quarantine });
  const { transport, lane } = harbour.berth("a", CHOKES_ON_POISON);
  await harbour.receive([POISON, POISON], [1], [2]);
  await harbour.advance(120_000);
  assert.deepEqual(transport.bodies, [
    [POISON, POISON, 1, 2],
    ...Array(3).fill([POISON, POISON]),
    [1],
    [POISON, POISON],
    [2],
    ...Array(4).fill([POISON, POISON]),
  ]);
  const { delivered, rejected, quarantined, queued, balanced } = harbour.balance("a");
  assert.deepEqual({ delivered, rejected, quarantined, queued, balanced }, {
    delivered: 2,
    rejected: {},
    quarantined: 2,
    queued: 0,
    balanced: true,
  });
  assert.equal(lane.status().parkedCount, 0);
  const [{ items, reason, message, refused }] = quarantine.kept as [FakeQuarantine["kept"][0]];
  assert.deepEqual({ items, reason, message, sequence: refused.sequence }, {
    items: [POISON, POISON],
    reason: "export_failed",
    message: "connection reset",
    sequence: 0,
  });
  assert.equal(quarantine.kept.length, 1);
  assert.deepEqual(harbour.log.filter((line) => line.includes("quarantine")), [
    "warning traces -> a: quarantined 2 spans: nobody would take them: export_failed; " +
    'kept in /data/quarantine, see "deno task cli quarantine list"',
  ]);
});

Deno.test("poison that is crowded out of the parking place is quarantined, and a drain finds it wherever it is", async () => {
  for (const drains of [false, true]) {
    const quarantine = new FakeQuarantine();
    const options = { inFlightMax: 1, cooldownMaxMs: 5000, parkedRecordsMax: 2, quarantine };
    const harbour = new Harbour(options);
    const { lane } = harbour.berth("a", CHOKES_ON_POISON);
    let underWay = () => {};
    quarantine.untilReady = () => {
      underWay();
      return harbour.clock.sleep(drains ? 60_000 : 100);
    };
    let drained = Promise.resolve();
    underWay = () => void (drains && (drained = lane.drain(100)));
    await harbour.receive([POISON], [POISON], [1], [POISON], [2], [3]);
    await harbour.advance(600_000);
    await drained;
    const { delivered, quarantined, dropped, queued, balanced } = harbour.balance("a");
    assert.ok(balanced);
    assert.equal(queued, 0);
    if (drains) assert.equal(delivered + (dropped.shutdown ?? 0), 6);
    else assert.deepEqual({ delivered, quarantined }, { delivered: 3, quarantined: 3 });
    assert.deepEqual(harbour.log.filter((line) => line.startsWith("error")), []);
  }
});

Deno.test("a parked record that is refused for good leaves its place at once, and is quarantined", async () => {
  const quarantine = new FakeQuarantine();
  const harbour = new Harbour({ inFlightMax: 1, cooldownMaxMs: 5000, quarantine });
  const { transport, lane } = harbour.berth("a", CHOKES_ON_POISON);
  await harbour.receive([POISON], [1]);
  await harbour.advance(23_000);
  assert.equal(lane.status().parkedCount, 1);
  transport.script = () => answers.rejected();
  quarantine.untilReady = () => harbour.clock.sleep(100);
  await harbour.advance(2000);
  assert.equal(lane.status().parkedCount, 0);
  assert.deepEqual(quarantine.kept.map(({ items, reason }) => [items, reason]), [[[POISON], "http_400"]]);
  assert.equal(harbour.balance("a").queued, 0);
});

Deno.test("a parked record that is in pieces is quarantined piece by piece, without those that were delivered", async () => {
  const quarantine = new FakeQuarantine();
  const harbour = new Harbour({ inFlightMax: 1, cooldownMaxMs: 5000, quarantine });
  const { transport } = harbour.berth("a", CHOKES_ON_POISON);
  await harbour.receive([1, POISON, 3, 4], [5]);
  transport.script = (sent) => sent.items.length > 2 ? answers.tooLarge() : CHOKES_ON_POISON(sent);
  await harbour.advance(300_000);
  const { delivered, quarantined, balanced } = harbour.balance("a");
  assert.deepEqual({ delivered, quarantined, balanced }, { delivered: 1, quarantined: 4, balanced: true });
  assert.deepEqual(quarantine.kept.map(({ items, refused }) => [items, refused.piece]), [
    [[1, POISON], "0"],
    [[3, 4], "1"],
  ]);
});

Deno.test("a parked record survives a restart: it waits where it was, is parked again, and quarantined once", async () => {
  const disk = new FakeDisk();
  const quarantine = new FakeQuarantine();
  const sail = async (from: FakeDisk, receive: readonly number[], ms: number) => {
    const harbour = new Harbour({ inFlightMax: 1, cooldownMaxMs: 5000, quarantine });
    const { clock } = harbour;
    const journal = await DiskJournal.open("traces", {
      folder: "/data/journal",
      disk: from,
      clock,
      sleep: clock.sleep,
    });
    const { destination, transport } = harbour.berth("a", CHOKES_ON_POISON);
    const { lane, cursor } = harbour.lane(destination, transport, "reject", journal);
    for (const item of receive) {
      const payload = Uint8Array.of(item);
      await journal.append({ payload, itemCount: 1, receivedAtMs: clock.wallMs(), hops: "" });
    }
    await harbour.advance(ms);
    return { cursor, lane, journal };
  };
  const before = await sail(disk, [POISON, 1, 2], 23_000);
  assert.equal(before.lane.status().parkedCount, 1);
  assert.equal(before.cursor.queued.items, 1);
  const { cursor, journal } = await sail(disk.afterKill(), [3], 300_000);
  assert.equal(journal.acceptedItems, 4);
  const { delivered, quarantined } = cursor.totals;
  assert.deepEqual({ delivered, quarantined, queued: cursor.queued.items }, {
    delivered: 3,
    quarantined: 1,
    queued: 0,
  });
  assert.deepEqual(quarantine.bodies, [[POISON]]);
});
