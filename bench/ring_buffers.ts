/** What one would write instead of the byte ring: two buffers for records on JavaScript's Atomics, and one that nobody shares. */

import { ByteRing, type ByteRingConsumer, type ByteRingHandle } from "../core/byte_ring.ts";

/** What all have in common. They are bounded by BUFFER_BYTES. */
export interface RecordBuffer {
  /** False when there is no room. */
  push(bytes: Uint8Array): boolean;
  /** Reads all that waits, frees its places, and answers how many records that were. */
  drain(): number;
}

/** Room for some thousand records. */
export const BUFFER_BYTES = 2 ** 20;

/** Memory by which threads share one of those on Atomics. */
export type BufferMemory = SharedArrayBuffer;

/** Before the data: words that different threads write, on lines of their own. */
const CONTROL_BYTES = 384;
const HEAD = 0;
const TAIL = 32;
const LOCK = 64;

/** Zeroed memory for one. */
export function makeBufferMemory(): BufferMemory {
  return new SharedArrayBuffer(CONTROL_BYTES + BUFFER_BYTES);
}

/** Ours. */
export class CoreBuffer implements RecordBuffer {
  readonly #ring: ByteRing;
  #consumer: ByteRingConsumer | undefined;
  #sum = 0;

  constructor(handle?: ByteRingHandle) {
    const options = { itemsMax: BUFFER_BYTES / 8, bytesMax: BUFFER_BYTES, pushBytesMax: 4096 };
    this.#ring = handle === undefined ? new ByteRing(options) : ByteRing.attach(handle);
  }

  get handle(): ByteRingHandle {
    return this.#ring.handle;
  }

  push(bytes: Uint8Array): boolean {
    return this.#ring.push(bytes, 1) === "accepted";
  }

  drain(): number {
    this.#consumer ??= this.#ring.consume();
    const batch = this.#consumer.drain();
    for (const run of batch.runs) {
      const heads = new DataView(run.buffer, run.byteOffset);
      for (let at = 0; at < run.length; at += (heads.getUint32(at, true) + 15) & ~7) this.#sum += run[at + 8]!;
    }
    this.#consumer.release();
    return batch.itemCount;
  }
}

/** An array of copies, unshared. */
export class ArrayBuffered implements RecordBuffer {
  #records: Uint8Array[] = [];
  #bytes = 0;
  #sum = 0;

  push(bytes: Uint8Array): boolean {
    if (this.#bytes + bytes.length > BUFFER_BYTES) return false;
    this.#records.push(bytes.slice());
    this.#bytes += bytes.length;
    return true;
  }

  drain(): number {
    const records = this.#records;
    this.#records = [];
    this.#bytes = 0;
    for (const bytes of records) this.#sum += bytes[0]!;
    return records.length;
  }
}

/** What both on Atomics have: a ring of records, each a length and its bytes, in eights. */
abstract class Words {
  protected readonly words: Int32Array;
  protected readonly data: Int32Array;
  protected readonly bytes: Uint8Array;
  #sum = 0;

  constructor(memory: BufferMemory) {
    this.words = new Int32Array(memory, 0, CONTROL_BYTES / 4);
    this.data = new Int32Array(memory, CONTROL_BYTES);
    this.bytes = new Uint8Array(memory, CONTROL_BYTES);
  }

  /** Reads from a position as far as records are whole, and leaves zeros. Answers how many there were, and where it ended. */
  protected read(from: number, until: number): readonly [count: number, end: number] {
    let [at, count] = [from, 0];
    while (at !== until) {
      const offset = at & (BUFFER_BYTES - 1);
      const size = Atomics.load(this.data, offset >> 2);
      if (size === 0) break;
      if (size > 0) {
        this.#sum += this.bytes[offset + 8]!;
        count++;
      }
      this.data.fill(0, offset >> 2, (offset + Math.abs(size)) >> 2);
      at = (at + Math.abs(size)) | 0;
    }
    return [count, at];
  }

  /** What a record takes at a position: it goes to the beginning when it does not fit before the end. */
  protected gap(at: number, size: number): number {
    const left = BUFFER_BYTES - (at & (BUFFER_BYTES - 1));
    return size > left ? left : 0;
  }

  protected write(at: number, gap: number, size: number, bytes: Uint8Array): void {
    if (gap > 0) Atomics.store(this.data, (at & (BUFFER_BYTES - 1)) >> 2, -gap);
    const offset = (at + gap) & (BUFFER_BYTES - 1);
    this.bytes.set(bytes, offset + 8);
    Atomics.store(this.data, offset >> 2, size);
  }
}

/** Reserves by compare-and-swap, bounded in bytes alone. */
export class AtomicsRing extends Words implements RecordBuffer {
  push(bytes: Uint8Array): boolean {
    const size = (bytes.length + 15) & ~7;
    while (true) {
      const head = Atomics.load(this.words, HEAD);
      const gap = this.gap(head, size);
      if (((head + gap + size - Atomics.load(this.words, TAIL)) | 0) > BUFFER_BYTES) return false;
      if (Atomics.compareExchange(this.words, HEAD, head, (head + gap + size) | 0) !== head) continue;
      this.write(head, gap, size, bytes);
      return true;
    }
  }

  drain(): number {
    const [count, end] = this.read(Atomics.load(this.words, TAIL), Atomics.load(this.words, HEAD));
    Atomics.store(this.words, TAIL, end);
    return count;
  }
}

/** The naive one: whoever wants anything locks it. */
export class LockedBuffer extends Words implements RecordBuffer {
  push(bytes: Uint8Array): boolean {
    const size = (bytes.length + 15) & ~7;
    this.#lock();
    const head = this.words[HEAD]!;
    const gap = this.gap(head, size);
    const fits = ((head + gap + size - this.words[TAIL]!) | 0) <= BUFFER_BYTES;
    if (fits) {
      this.write(head, gap, size, bytes);
      this.words[HEAD] = (head + gap + size) | 0;
    }
    this.#unlock();
    return fits;
  }

  drain(): number {
    this.#lock();
    const [count, end] = this.read(this.words[TAIL]!, this.words[HEAD]!);
    this.words[TAIL] = end;
    this.#unlock();
    return count;
  }

  /** 0 free, 1 locked, 2 locked and somebody may be waiting: Drepper, "Futexes are tricky". */
  #lock(): void {
    if (Atomics.compareExchange(this.words, LOCK, 0, 1) === 0) return;
    while (Atomics.exchange(this.words, LOCK, 2) !== 0) Atomics.wait(this.words, LOCK, 2);
  }

  #unlock(): void {
    if (Atomics.exchange(this.words, LOCK, 0) === 2) Atomics.notify(this.words, LOCK, 1);
  }
}
