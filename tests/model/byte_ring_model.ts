/** What a byte ring does, in plain TypeScript: an array of records, and sums. */

import type { ByteRingCounters, CheckedRingOptions, Pushed, RingRecord } from "../../core/byte_ring.ts";

/** What is drained, so that it can be compared. */
export type PlainRecord = readonly [tag: number, bytes: readonly number[]];

/** The model of a ring that one thread uses through any number of attachments. */
export class ByteRingModel {
  readonly #options: CheckedRingOptions;
  #queue: RingRecord[] = [];
  #heldCount = 0;
  #consumer = 0;
  #accepted = 0;
  #drained = 0;
  #full = 0;
  #tooLarge = 0;
  #oldest = 0;

  constructor(options: CheckedRingOptions) {
    this.#options = options;
  }

  push(record: RingRecord): Pushed {
    if (sizeOf(record) > this.#options.pushBytesMax) {
      this.#tooLarge++;
      return "too_large";
    }
    return this.#offer([record]) ? "accepted" : "full";
  }

  /** -1 for a group that no ring of these bounds can take. */
  pushAll(records: readonly RingRecord[]): number {
    const { itemsMax, pushBytesMax, overflow } = this.#options;
    if (records.length > itemsMax || sizeOfAll(records) > pushBytesMax) return -1;
    if (records.length === 0) return 0;
    if (overflow === "reject") return this.#offer(records) ? records.length : 0;
    return records.filter((record) => this.#offer([record])).length;
  }

  /** Answers the number of the new consumer. */
  consume(): number {
    this.#heldCount = 0;
    return ++this.#consumer;
  }

  drain(consumer: number, maxBytes: number, maxItems: number): readonly PlainRecord[] {
    if (consumer !== this.#consumer) return [];
    const drained: RingRecord[] = [];
    for (const record of this.#queue.slice(this.#heldCount)) {
      const isTooMuch = sizeOfAll(drained) + sizeOf(record) > maxBytes;
      if (drained.length >= maxItems || (isTooMuch && drained.length > 0)) break;
      drained.push(record);
    }
    this.#heldCount += drained.length;
    return drained.map(plain);
  }

  release(consumer: number): boolean {
    if (consumer !== this.#consumer) return false;
    this.#queue = this.#queue.slice(this.#heldCount);
    this.#drained += this.#heldCount;
    this.#heldCount = 0;
    return true;
  }

  get counters(): ByteRingCounters {
    return {
      offered: this.#accepted + this.#full + this.#tooLarge,
      accepted: this.#accepted,
      drained: this.#drained,
      queued: this.#queue.length,
      queuedBytes: sizeOfAll(this.#queue),
      dropped: { full: this.#full, tooLarge: this.#tooLarge, oldest: this.#oldest, abandoned: 0 },
    };
  }

  #offer(records: readonly RingRecord[]): boolean {
    const { itemsMax, bytesMax, overflow } = this.#options;
    while (
      this.#queue.length + records.length > itemsMax || sizeOfAll(this.#queue) + sizeOfAll(records) > bytesMax
    ) {
      if (overflow !== "drop_oldest" || this.#heldCount > 0) {
        this.#full += records.length;
        return false;
      }
      this.#queue.shift();
      this.#oldest++;
    }
    this.#queue.push(...records);
    this.#accepted += records.length;
    return true;
  }
}

/** A record as plain numbers. */
export function plain({ tag, bytes }: RingRecord): PlainRecord {
  return [tag, [...bytes]];
}

function sizeOf({ bytes }: RingRecord): number {
  return 8 + bytes.length + (-bytes.length & 7);
}

function sizeOfAll(records: readonly RingRecord[]): number {
  return records.reduce((sum, record) => sum + sizeOf(record), 0);
}
