import { type RecordHead, storedBytes } from "./format.ts";

/** A record that is in memory still. */
export interface TailRecord {
  readonly head: RecordHead;
  /** As the sender gave it, and as it is written. */
  readonly hops: string;
  readonly hopsBytes: Uint8Array;
  readonly payload: Uint8Array;
}

/** The last records of a stream, without gaps: those that are not durable yet. */
export class Tail {
  #records: TailRecord[] = [];
  #bytes = 0;

  /** In the order of the stream. */
  get records(): readonly TailRecord[] {
    return this.#records;
  }

  /** What they take in their segments. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The position of the first record; `Infinity` when there is none. */
  get position(): number {
    return this.#records[0]?.head.at.position ?? Infinity;
  }

  push(records: readonly TailRecord[]): void {
    for (const record of records) {
      this.#records.push(record);
      this.#bytes += storedBytes(record.head);
    }
  }

  /** Takes the last records out again. */
  pop(count: number): void {
    for (const { head } of this.#records.splice(this.#records.length - count, count)) this.#bytes -= storedBytes(head);
  }

  /** Lets go of what stands before a position. */
  trim(position: number): void {
    for (const { head } of this.#records.splice(0, this.#indexOf(position))) this.#bytes -= storedBytes(head);
  }

  /** The first record at a position or behind it. */
  following(position: number): TailRecord | undefined {
    return this.#records[this.#indexOf(position)];
  }

  /** The index of the first record at a position or behind it. */
  #indexOf(position: number): number {
    let low = 0;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#records[middle].head.at.position < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
