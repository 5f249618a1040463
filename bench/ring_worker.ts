/** A worker that fills a buffer together with others. */

import { parentPort, workerData } from "node:worker_threads";
import type { ByteRingHandle } from "../core/byte_ring.ts";
import { AtomicsRing, type BufferMemory, CoreBuffer, LockedBuffer, type RecordBuffer } from "./ring_buffers.ts";

/** By what a worker finds the buffer. */
export type SharedBuffer =
  | { readonly kind: "core"; readonly handle: ByteRingHandle }
  | { readonly kind: "atomics" | "locked"; readonly memory: BufferMemory };

/** What a worker is given. */
export interface Filling {
  readonly shared: SharedBuffer;
  readonly signals: Int32Array<SharedArrayBuffer>;
}

/** Cells of `signals`: the round that has begun, workers that wait for one, how often the buffer was emptied. */
export const ROUND = 0;
export const READY = 1;
export const DRAINED = 2;
export const SIGNALS = 3;

/** Records that each worker brings in a round. */
export const ROUND_RECORDS = 20_000;

/** A small span. */
export const RECORD_BYTES = 300;

/** Who finds no room looks again after so long, whoever should have told it. */
const LOOK_AGAIN_MS = 10;

/** The buffer, for this thread. */
export function join(shared: SharedBuffer): RecordBuffer {
  if (shared.kind === "core") return new CoreBuffer(shared.handle);
  return shared.kind === "atomics" ? new AtomicsRing(shared.memory) : new LockedBuffer(shared.memory);
}

if (parentPort !== null && workerData?.shared !== undefined) fill(workerData as Filling);

function fill({ shared, signals }: Filling): void {
  const buffer = join(shared);
  const record = new Uint8Array(RECORD_BYTES).fill(1);
  for (let round = 0;;) {
    Atomics.add(signals, READY, 1);
    Atomics.notify(signals, READY);
    while (Atomics.load(signals, ROUND) === round) Atomics.wait(signals, ROUND, round);
    round = Atomics.load(signals, ROUND);
    for (let pushed = 0; pushed < ROUND_RECORDS;) {
      const drained = Atomics.load(signals, DRAINED);
      if (buffer.push(record)) pushed++;
      else Atomics.wait(signals, DRAINED, drained, LOOK_AGAIN_MS);
    }
  }
}
