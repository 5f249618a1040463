import { ringSetting } from "./byte_ring_options.ts";
import type { Core, Place } from "./loader.ts";

/** A record as it lies in the ring: `bytes` is a view that holds until `release`. */
export interface RingRecord {
  /** The bytes that were pushed. Shared memory: what does not take that needs a copy. */
  readonly bytes: Uint8Array;
  /** The number that was pushed with them. */
  readonly tag: number;
}

/** Before the bytes of each record: its length and its tag. */
export const RECORD_HEAD_BYTES = 8;

/** What a record of so many bytes takes in the ring. */
export function ringBytesOf(length: number): number {
  return Math.ceil((RECORD_HEAD_BYTES + length) / 8) * 8;
}

/** Records that were drained together, without a copy. */
export class RingBatch implements Iterable<RingRecord> {
  /** How many there are. */
  readonly itemCount: number;
  /** What they take in the ring, in bytes. */
  readonly byteCount: number;
  /**
   * The memory in which they lie, two pieces at most. Each holds whole records: a length and a tag of 32 bits, little
   * endian, then the bytes, up to a multiple of 8.
   */
  readonly runs: readonly Uint8Array[];

  /** Made by `ByteRingConsumer.drain`. */
  constructor(itemCount: number, runs: readonly Uint8Array[]) {
    this.itemCount = itemCount;
    this.byteCount = runs.reduce((sum, { length }) => sum + length, 0);
    this.runs = runs;
  }

  /** The records, the oldest first. */
  *[Symbol.iterator](): Generator<RingRecord> {
    for (const run of this.runs) {
      const heads = new DataView(run.buffer, run.byteOffset, run.length);
      for (let at = 0; at < run.length;) {
        const length = heads.getUint32(at, true);
        const start = at + RECORD_HEAD_BYTES;
        yield { bytes: run.subarray(start, start + length), tag: heads.getUint32(at + 4, true) };
        at += ringBytesOf(length);
      }
    }
  }
}

/** What the core takes for no bound. */
const UNBOUNDED = 0xffff_ffff;
const ITEM_UNIT = 2 ** 32;

/** The one that empties a ring. Made by `ByteRing.consume`; the next one that is made ends it. */
export class ByteRingConsumer {
  readonly #core: Core;
  readonly #memory: WebAssembly.Memory;
  readonly #base: number;
  readonly #epoch: number;
  readonly #dataAt: number;
  readonly #dataMask: number;
  #heldItems = 0;
  #heldBytes = 0;
  #isReplaced = false;

  /** Made by `ByteRing.consume`. */
  constructor({ core, memory, base }: Place) {
    this.#core = core;
    this.#memory = memory;
    this.#base = base;
    this.#dataAt = core.ringData(base);
    this.#dataMask = ringSetting({ core, base }, "dataMask");
    this.#epoch = core.ringConsume(base);
  }

  /**
   * The records that follow those that were drained before: as many as are whole, up to `maxItems`, and up to `maxBytes`
   * as they lie in the ring, but one at least if any waits. Their places are free again after `release`.
   *
   * A record that is still being written ends a batch. So does one whose producer died: it is passed once what is before
   * it is released.
   */
  drain(maxBytes: number = Infinity, maxItems: number = Infinity): RingBatch {
    const runs: Uint8Array[] = [];
    let [items, bytes] = [0, 0];
    // The second time round begins where the ring does.
    for (let runIndex = 0; runIndex < 2 && !this.#isReplaced; runIndex++) {
      const bytesLeft = Math.min(maxBytes - bytes, UNBOUNDED);
      const itemsLeft = Math.min(maxItems - items, UNBOUNDED);
      if (!(itemsLeft >= 1) || Number.isNaN(bytesLeft)) break;
      const first = items === 0 ? 1 : 0;
      const [core, base] = [this.#core, this.#base];
      // deno-fmt-ignore
      const taken = core.ringTake(
        base, this.#epoch, this.#heldItems, this.#heldBytes, Math.max(bytesLeft, 0), itemsLeft, first,
      );
      if (taken < 0) this.#replaced();
      if (taken <= 0) break;
      const takenBytes = taken % ITEM_UNIT;
      const position = (core.ringHeldAt(base) + this.#heldBytes) & this.#dataMask;
      runs.push(new Uint8Array(this.#memory.buffer, this.#dataAt + position, takenBytes));
      const takenItems = (taken - takenBytes) / ITEM_UNIT;
      this.#heldItems += takenItems;
      this.#heldBytes += takenBytes;
      items += takenItems;
      bytes += takenBytes;
    }
    return new RingBatch(items, runs);
  }

  /**
   * Gives back the places of all that was drained: views of it hold no longer. False when another consumer has taken
   * over, which sees these records too; then nothing happens.
   */
  release(): boolean {
    if (this.#isReplaced) return false;
    if (this.#core.ringRelease(this.#base, this.#epoch, this.#heldItems, this.#heldBytes) === 0) {
      this.#replaced();
      return false;
    }
    this.#heldItems = this.#heldBytes = 0;
    return true;
  }

  /** True once this object has seen that another consumer took over. */
  get isReplaced(): boolean {
    return this.#isReplaced;
  }

  #replaced(): void {
    this.#isReplaced = true;
    this.#heldItems = this.#heldBytes = 0;
  }
}
