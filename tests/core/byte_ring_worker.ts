/** What threads do with one byte ring. */

import { parentPort, workerData } from "node:worker_threads";
import { ByteRing, type ByteRingHandle, type RingRecord } from "../../core/byte_ring.ts";
import { seededRandom } from "../fakes/random.ts";

/** Cells that test and workers share: workers that are ready, 1 when they may begin, workers that are done, releases. */
export const READY = 0;
export const BEGUN = 1;
export const DONE = 2;
export const RELEASED = 3;
export const CELLS = 4;

/** A worker looks again after so long whether there is room, whoever should have told it. */
const LOOK_AGAIN_MS = 1_000;

/**
 * Records as `recordOf` makes them, with serial numbers from 0, one by one or in groups of 1 to `groupMax`; who `insists`
 * offers again what was refused, once there was a release.
 */
export interface Task {
  readonly handle: ByteRingHandle;
  readonly cells: Int32Array<SharedArrayBuffer>;
  readonly producer: number;
  readonly recordCount: number;
  readonly groupMax: number;
  readonly lengthMax: number;
  readonly insists: boolean;
}

/** What a producer was told. */
export interface Tally {
  readonly accepted: number;
  readonly full: number;
}

/** A record that says whose it is: all of its bytes follow from that. */
export function recordOf(producer: number, serial: number, lengthMax: number): RingRecord {
  const length = lengthOf(producer, serial, lengthMax);
  return { bytes: new Uint8Array(length).fill(producer * 37 + serial), tag: producer * 2 ** 24 + serial };
}

/** The length of that record. */
export function lengthOf(producer: number, serial: number, lengthMax: number): number {
  return (serial * 7919 + producer * 31) % (lengthMax + 1);
}

if (parentPort !== null && workerData?.recordCount !== undefined) parentPort.postMessage(produce(workerData as Task));

function produce({ handle, cells, producer, recordCount, groupMax, lengthMax, insists }: Task): Tally {
  const ring = ByteRing.attach(handle);
  const random = seededRandom(producer);
  Atomics.add(cells, READY, 1);
  Atomics.notify(cells, READY);
  Atomics.wait(cells, BEGUN, 0);
  let [accepted, full] = [0, 0];
  for (let serial = 0; serial < recordCount;) {
    const count = Math.min(1 + Math.floor(random() * groupMax), recordCount - serial);
    const records = Array.from({ length: count }, (_, index) => recordOf(producer, serial + index, lengthMax));
    const released = Atomics.load(cells, RELEASED);
    const took = count > 1
      ? ring.pushAll(records)
      : Number(ring.push(records[0]!.bytes, records[0]!.tag) === "accepted");
    accepted += took;
    full += count - took;
    if (took === 0 && insists) Atomics.wait(cells, RELEASED, released, LOOK_AGAIN_MS);
    else serial += count;
  }
  ring.detach();
  Atomics.add(cells, DONE, 1);
  return { accepted, full };
}
