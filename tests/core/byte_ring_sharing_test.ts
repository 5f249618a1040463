/** One byte ring and several threads. */

import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { type ByteRing, byteRingFrom, type ByteRingOptions } from "../../core/byte_ring.ts";
import { BEGUN, CELLS, DONE, lengthOf, READY, RELEASED, type Tally, type Task } from "./byte_ring_worker.ts";

const PRODUCERS = 3;

/** Long enough for the busiest machine; nothing waits for it. */
const PATIENCE_MS = 60_000;

type Offers = Pick<Task, "recordCount" | "groupMax" | "lengthMax" | "insists">;

interface Load extends Offers {
  readonly what: string;
  readonly options: ByteRingOptions;
}

const LOADS: readonly Load[] = [
  { what: "one by one", options: {}, recordCount: 60_000, groupMax: 1, lengthMax: 300, insists: true },
  {
    what: "one by one, in a ring of eight",
    options: { itemsMax: 8, bytesMax: 256 },
    recordCount: 20_000,
    groupMax: 1,
    lengthMax: 40,
    insists: true,
  },
  {
    what: "without waiting for room",
    options: { itemsMax: 8, bytesMax: 256 },
    recordCount: 60_000,
    groupMax: 3,
    lengthMax: 40,
    insists: false,
  },
  {
    what: "dropping the oldest",
    options: { itemsMax: 8, bytesMax: 256, overflow: "drop_oldest" },
    recordCount: 60_000,
    groupMax: 1,
    lengthMax: 40,
    insists: false,
  },
  {
    what: "in groups, all or nothing",
    options: { itemsMax: 16, bytesMax: 512, overflow: "reject" },
    recordCount: 20_000,
    groupMax: 6,
    lengthMax: 40,
    insists: true,
  },
];

for (const load of LOADS) {
  const { what, options, recordCount, insists } = load;
  Deno.test(`P2-03 of ${PRODUCERS} threads that offer ${what}, no record is lost, doubled or torn`, async () => {
    // Positions and ordinals go round on the way.
    const ring = byteRingFrom(options, { ordinal: 2 ** 32 - 10_000, position: 2 ** 32 - 80_000 });
    const { tallies, seen } = await run(ring, load);
    const { offered, accepted, drained, queued, dropped } = ring.counters;
    const sum = (part: keyof Tally) => tallies.reduce((total, tally) => total + tally[part], 0);
    assert.equal(offered, sum("accepted") + sum("full"));
    assert.ok(offered >= PRODUCERS * recordCount);
    assert.equal(accepted, sum("accepted"));
    assert.equal(dropped.full, sum("full"));
    assert.equal(drained, seen.reduce((total, { length }) => total + length, 0));
    assert.equal(accepted, drained + dropped.oldest);
    assert.deepEqual([queued, dropped.tooLarge, dropped.abandoned], [0, 0, 0]);
    if (options.overflow !== "drop_oldest") assert.equal(dropped.oldest, 0);
    for (const [producer, serials] of seen.entries()) {
      assert.ok(serials.every((serial, index) => index === 0 || serial > serials[index - 1]!), `order of ${producer}`);
    }
    if (insists) assert.ok(seen.every(({ length }) => length === recordCount), "nothing is missing");
  });
}

Deno.test("P2-02 150 offers of three threads into a ring of 100: exactly 100 are in it", async () => {
  const ring = byteRingFrom({ itemsMax: 100 }, { ordinal: 1, position: 0 });
  const threads = await begin(ring, { recordCount: 50, groupMax: 1, lengthMax: 20, insists: false });
  const tallies = await Promise.all(threads.answers);
  await threads.end();
  assert.equal(tallies.reduce((sum, { accepted }) => sum + accepted, 0), 100);
  assert.equal(ring.counters.queued, 100);
  const consumer = ring.consume();
  assert.equal(consumer.drain(Infinity, 60).itemCount, 60);
  consumer.release();
  assert.equal(ring.push(new Uint8Array(4), 1), "accepted");
  assert.equal(ring.counters.queued, 41);
});

/** Lets threads offer while this one drains, and returns what they were told and which records of each came out. */
async function run(ring: ByteRing, load: Load): Promise<{ tallies: Tally[]; seen: number[][] }> {
  const seen = Array.from({ length: PRODUCERS }, (): number[] => []);
  let consumer = ring.consume();
  const { cells, answers, end } = await begin(ring, load);
  let [isEmpty, turns] = [false, 0];
  const until = performance.now() + PATIENCE_MS;
  while (!isEmpty || Atomics.load(cells, DONE) < PRODUCERS) {
    assert.ok(performance.now() < until, "a producer does not come to its end");
    const areDone = Atomics.load(cells, DONE) === PRODUCERS;
    if (++turns % 100 === 0) { // what this one holds, the next one drains again
      consumer.drain();
      consumer = ring.consume();
    }
    const batch = consumer.drain(1 + turns % 200, 1 + turns % 7);
    for (const { bytes, tag } of batch) {
      const [producer, serial] = [Math.floor(tag / 2 ** 24), tag % 2 ** 24];
      if (bytes.length !== lengthOf(producer, serial, load.lengthMax)) assert.fail(`record ${serial} of ${producer}`);
      const expected = (producer * 37 + serial) & 0xff;
      if (!bytes.every((byte) => byte === expected)) assert.fail(`record ${serial} of ${producer} is torn`);
      seen[producer]!.push(serial);
    }
    assert.ok(consumer.release());
    Atomics.add(cells, RELEASED, 1);
    Atomics.notify(cells, RELEASED);
    const { queued, queuedBytes } = turns % 50 === 0 ? ring.counters : { queued: 0, queuedBytes: 0 };
    assert.ok(queued <= ring.options.itemsMax && queuedBytes <= ring.options.bytesMax);
    isEmpty = areDone && batch.itemCount === 0;
  }
  const tallies = await Promise.all(answers);
  await end();
  return { tallies, seen };
}

async function begin(ring: ByteRing, load: Offers) {
  const cells = new Int32Array(new SharedArrayBuffer(4 * CELLS));
  const { recordCount, groupMax, lengthMax, insists } = load;
  const workers = Array.from({ length: PRODUCERS }, (_, producer) => {
    const workerData: Task = { handle: ring.handle, cells, producer, recordCount, groupMax, lengthMax, insists };
    return new Worker(new URL("./byte_ring_worker.ts", import.meta.url), { workerData });
  });
  const answers = workers.map((worker) =>
    new Promise<Tally>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    })
  );
  for (let ready = 0; ready < PRODUCERS; ready = Atomics.load(cells, READY)) {
    const waiting = Atomics.waitAsync(cells, READY, ready, PATIENCE_MS);
    if (waiting.async) assert.notEqual(await waiting.value, "timed-out", "a worker does not begin");
  }
  Atomics.store(cells, BEGUN, 1);
  Atomics.notify(cells, BEGUN);
  return { cells, answers, end: () => Promise.all(workers.map((worker) => worker.terminate())) };
}
