/**
 * What does it cost to hand a record of 300 bytes to another thread?
 *
 * First on one thread: offer, and drain in batches. Then two workers fill the buffer while a third thread empties it; the
 * naive buffer there is a lock around a ring. Buffers take turns, so that whatever else the machine does happens to all.
 */

import { Worker } from "node:worker_threads";
import { answer, ask, bar, median } from "./measure.ts";
import {
  ArrayBuffered,
  AtomicsRing,
  CoreBuffer,
  LockedBuffer,
  makeBufferMemory,
  type RecordBuffer,
} from "./ring_buffers.ts";
import {
  DRAINED,
  type Filling,
  join,
  READY,
  RECORD_BYTES,
  ROUND,
  ROUND_RECORDS,
  type SharedBuffer,
  SIGNALS,
} from "./ring_worker.ts";

const CORE = "Breakwater";
const ARRAY = "an array of copies, unshared";
const ATOMICS = "a ring on JavaScript's Atomics";
const LOCKED = "the naive buffer: a lock";

/** So many that the module is compiled for speed before it is measured. */
const TIMES = 8192;
const BATCH = 256;

const WORKER_COUNT = 2;
const ROUND_COUNT = 21;
const WARM_UP_ROUND_COUNT = 5;

/** A round that takes longer never ends: a worker is gone. */
const ROUND_MS_MAX = 30_000;

const THROUGHPUT_RATIO_MIN = 1.2;

/** Asks both questions, and says whether the bar is met. */
export async function benchRing(): Promise<boolean> {
  const record = new Uint8Array(RECORD_BYTES).fill(1);
  const alone = (name: string, buffer: RecordBuffer) => ({ name, times: TIMES, run: inBatches(buffer, record) });
  await ask(`What does it cost to offer and drain a record of ${RECORD_BYTES} bytes, on one thread?`, [
    alone(CORE, new CoreBuffer()),
    alone(ARRAY, new ArrayBuffered()),
    alone(ATOMICS, new AtomicsRing(makeBufferMemory())),
    alone(LOCKED, new LockedBuffer(makeBufferMemory())),
  ]);

  const rounds = await contend({
    [CORE]: { kind: "core", handle: new CoreBuffer().handle },
    [ATOMICS]: { kind: "atomics", memory: makeBufferMemory() },
    [LOCKED]: { kind: "locked", memory: makeBufferMemory() },
  });
  answer(`How many million records a second pass, of ${WORKER_COUNT} workers to a third thread?`, rounds, "M/s");
  const ratio = median(rounds[CORE]!) / median(rounds[LOCKED]!);
  return bar("P2-18 of the naive buffer's throughput under concurrency", ratio, "least", THROUGHPUT_RATIO_MIN);
}

function inBatches(buffer: RecordBuffer, record: Uint8Array): (times: number) => void {
  return (times) => {
    for (let done = 0; done < times; done += BATCH) {
      for (let pushed = 0; pushed < BATCH; pushed++) buffer.push(record);
      if (buffer.drain() !== BATCH) throw new Error("A record is missing");
    }
  };
}

/** For each buffer the throughput of its rounds, in millions a second. */
async function contend(buffers: Readonly<Record<string, SharedBuffer>>): Promise<Record<string, number[]>> {
  const contenders = Object.entries(buffers).map(([name, shared]) => {
    const signals = new Int32Array(new SharedArrayBuffer(4 * SIGNALS));
    const workerData: Filling = { shared, signals };
    const workers = Array.from(
      { length: WORKER_COUNT },
      () => new Worker(new URL("ring_worker.ts", import.meta.url), { workerData }),
    );
    return { name, buffer: join(shared), signals, workers };
  });
  const rounds: Record<string, number[]> = {};
  for (let round = 1; round <= WARM_UP_ROUND_COUNT + ROUND_COUNT; round++) {
    for (const { name, buffer, signals } of contenders) {
      const throughput = await playRound(buffer, signals, round);
      if (round > WARM_UP_ROUND_COUNT) (rounds[name] ??= []).push(throughput);
    }
  }
  for (const worker of contenders.flatMap(({ workers }) => workers)) await worker.terminate();
  return rounds;
}

async function playRound(buffer: RecordBuffer, signals: Int32Array<SharedArrayBuffer>, round: number): Promise<number> {
  for (let ready = 0; ready < WORKER_COUNT * round; ready = Atomics.load(signals, READY)) {
    const waiting = Atomics.waitAsync(signals, READY, ready, ROUND_MS_MAX);
    if (waiting.async && await waiting.value === "timed-out") throw new Error("A worker is gone");
  }
  const startMs = performance.now();
  Atomics.store(signals, ROUND, round);
  Atomics.notify(signals, ROUND);
  const recordCount = WORKER_COUNT * ROUND_RECORDS;
  for (let drained = 0; drained < recordCount;) {
    const count = buffer.drain();
    drained += count;
    if (count === 0) continue;
    Atomics.add(signals, DRAINED, 1);
    Atomics.notify(signals, DRAINED);
    if (performance.now() - startMs > ROUND_MS_MAX) throw new Error("A round does not end");
  }
  return recordCount / (performance.now() - startMs) / 1_000;
}
