import { ByteRingConsumer, RECORD_HEAD_BYTES, ringBytesOf, type RingRecord } from "./byte_ring_consumer.ts";
import { type ByteRingHandle, type LentByteRingHandle, ringHandleOf, RingJoining } from "./byte_ring_handle.ts";
import {
  type ByteRingOptions,
  type CheckedRingOptions,
  checkRingOptions,
  OVERFLOWS,
  readRingOptions,
} from "./byte_ring_options.ts";
import { makeRingPlace, type Place } from "./loader.ts";

export { ByteRingConsumer, RingBatch, type RingRecord } from "./byte_ring_consumer.ts";
export type { ByteRingHandle, LentByteRingHandle } from "./byte_ring_handle.ts";
export type { ByteRingNumbers, ByteRingOptions, CheckedRingOptions, RingOverflow } from "./byte_ring_options.ts";

/** What became of a record: `detached` says that this object has no place in the ring any more. */
export type Pushed = "accepted" | "full" | "too_large" | "detached";

/**
 * What went through a ring, over all workers. While nobody is at work in it,
 *
 *     offered  = accepted + dropped.full + dropped.tooLarge
 *     accepted = drained + queued + dropped.oldest + dropped.abandoned
 */
export interface ByteRingCounters {
  /** Records on which the ring has decided. */
  readonly offered: number;
  /** Records that got a place. */
  readonly accepted: number;
  /** Records that a consumer has released. */
  readonly drained: number;
  /** Records in the ring, with those that a consumer holds. */
  readonly queued: number;
  /** What these take, in bytes. */
  readonly queuedBytes: number;
  /** Records that nobody will drain. */
  readonly dropped: {
    /** There was no room. */
    readonly full: number;
    /** They take more than one push may. */
    readonly tooLarge: number;
    /** They made room for newer ones. */
    readonly oldest: number;
    /** Their producer died before they were whole. */
    readonly abandoned: number;
  };
}

// What the core answers; see assembly/byte_ring.ts.
const REFUSED_TOO_LARGE = -1;

/** An attachment's number that the core refuses: what `detach` leaves. */
const DETACHED = -1;

/** Where tests let ordinals and positions begin, to see them go round at 2^32. */
export interface RingBeginning {
  readonly ordinal: number;
  readonly position: number;
}

/**
 * A queue of records, bounded in items and in bytes, in shared memory: every worker may push, one drains. A push copies
 * once and waits for nobody; what is drained is read where it lies.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { ByteRing } from "@breakwater/otel/core";
 *
 * const ring = new ByteRing({ itemsMax: 100, bytesMax: 65_536 });
 * assert.equal(ring.push(new TextEncoder().encode("hello"), 7), "accepted");
 *
 * const consumer = ring.consume();
 * for (const { bytes, tag } of consumer.drain()) {
 *   assert.equal(new TextDecoder().decode(bytes.slice()), "hello");
 *   assert.equal(tag, 7);
 * }
 * consumer.release();
 * assert.equal(ring.counters.queued, 0);
 * ```
 */
export class ByteRing {
  readonly #place: Place;
  readonly #options: CheckedRingOptions;
  /** What this attachment is about to push; its first bytes are a record's head. */
  readonly #scratch: Uint8Array;
  readonly #heads: DataView;
  #attachment: number;

  /**
   * An empty ring in memory of its own.
   *
   * @throws {TypeError} When an option is of the wrong type.
   * @throws {RangeError} When one is out of its range.
   */
  constructor(options?: ByteRingOptions);
  constructor(options: ByteRingOptions | RingJoining = {}, { ordinal, position }: RingBeginning = FIRST) {
    if (options instanceof RingJoining) {
      this.#place = options.place;
    } else {
      const { itemsMax, bytesMax, pushBytesMax, overflow } = checkRingOptions(options);
      this.#place = makeRingPlace(itemsMax, bytesMax, pushBytesMax);
      const { core, base } = this.#place;
      core.ringInit(base, itemsMax, bytesMax, pushBytesMax, OVERFLOWS.indexOf(overflow), ordinal, position);
    }
    const { core, memory, base } = this.#place;
    this.#options = readRingOptions(this.#place);
    this.#attachment = core.ringClaim(base, options instanceof RingJoining ? options.owner : 0);
    if (this.#attachment < 0) {
      throw new Error(`Cannot attach byte ring: all ${core.RING_ATTACHMENTS_MAX.value} attachments are taken`);
    }
    const at = core.ringScratch(base, this.#attachment);
    this.#scratch = new Uint8Array(memory.buffer, at, this.#options.pushBytesMax);
    this.#heads = new DataView(memory.buffer, at, this.#options.pushBytesMax);
  }

  /**
   * Shares a ring with the workers that use it.
   *
   * @throws {TypeError} When it is not the handle of a ring, or its memory holds none.
   * @throws {Error} When 64 are attached already.
   */
  static attach(handle: ByteRingHandle): ByteRing {
    const joining: ByteRingOptions | RingJoining = new RingJoining(handle);
    return new ByteRing(joining as ByteRingOptions);
  }

  /** Offers a record, with a number from 0 to 2^32 - 1 that says what it belongs to. It is copied. */
  push(bytes: Uint8Array, tag: number): Pushed {
    if (this.#attachment !== DETACHED && bytes.length <= this.#scratch.length - RECORD_HEAD_BYTES) {
      this.#scratch.set(bytes, RECORD_HEAD_BYTES);
    }
    return this.pushScratch(bytes.length, tag);
  }

  /**
   * Where a record can be written that `pushScratch` is to offer, without a copy in between. It is written over by the
   * next push; nothing may be written to it once this object is detached.
   */
  get scratch(): Uint8Array {
    return this.#scratch.subarray(RECORD_HEAD_BYTES);
  }

  /** Offers the first `length` bytes of `scratch`. */
  pushScratch(length: number, tag: number): Pushed {
    const { core, base } = this.#place;
    const answer = core.ringPush(base, this.#attachment, length, tag);
    if (answer > 0) return "accepted";
    if (answer === 0) return "full";
    return answer === REFUSED_TOO_LARGE ? "too_large" : "detached";
  }

  /**
   * Offers several records in their order, and answers how many were accepted: all or none of them where `overflow` is
   * `reject`, else each that finds room. None are when this object is detached.
   *
   * @throws {RangeError} When they are more than the ring or one push may take. Nothing is offered then.
   */
  pushAll(records: readonly RingRecord[]): number {
    const { itemsMax, pushBytesMax } = this.#options;
    if (records.length > itemsMax) {
      throw new RangeError(
        `Cannot push a group: it must be of at most ${itemsMax} items ("itemsMax"), received ${records.length}`,
      );
    }
    const bytes = records.reduce((sum, { bytes }) => sum + ringBytesOf(bytes.length), 0);
    if (bytes > pushBytesMax) {
      throw new RangeError(
        `Cannot push a group: it must take at most ${pushBytesMax} bytes ("pushBytesMax"), received ${bytes}`,
      );
    }
    if (records.length === 0 || this.#attachment === DETACHED) return 0;
    let at = 0;
    for (const { bytes, tag } of records) {
      this.#heads.setUint32(at, bytes.length, true);
      this.#heads.setUint32(at + 4, tag, true);
      this.#scratch.set(bytes, at + RECORD_HEAD_BYTES);
      at += ringBytesOf(bytes.length);
    }
    const { core, base } = this.#place;
    return Math.max(core.ringPushGroup(base, this.#attachment, records.length, bytes), 0);
  }

  /**
   * Makes the one that empties the ring. A consumer that was made before, here or in another worker, can take and release
   * nothing from now on; what it had not released is drained again. Call it when that one is done or dead: views that it
   * still reads are written over.
   */
  consume(): ByteRingConsumer {
    return new ByteRingConsumer(this.#place);
  }

  /** What went through so far. */
  get counters(): ByteRingCounters {
    const { core, base } = this.#place;
    const [accepted, drained, oldest, abandoned, full, tooLarge, queued, queuedBytes] = Array.from(
      { length: 8 },
      (_, which) => core.ringCounter(base, which),
    ) as [number, number, number, number, number, number, number, number];
    const offered = accepted + full + tooLarge;
    return { offered, accepted, drained, queued, queuedBytes, dropped: { full, tooLarge, oldest, abandoned } };
  }

  /** The bounds in force. */
  get options(): CheckedRingOptions {
    return this.#options;
  }

  /** What `attach` takes: to be posted to a worker. */
  get handle(): ByteRingHandle {
    return ringHandleOf(this.#place);
  }

  /**
   * A handle for one worker. When that worker's exit was seen, `reclaim` gives back what it attached by the handle, and
   * the consumer passes the record that it was writing, which is counted as abandoned. Call it for no other reason: until
   * then a record that is not whole is waited for, however slow its producer is.
   */
  lend(): LentByteRingHandle {
    const { core, base } = this.#place;
    const owner = core.ringLend(base);
    return { handle: { ...this.handle, owner }, reclaim: () => core.ringReclaim(base, owner) };
  }

  /** Gives this object's place back. It accepts no record from now on; what is in the ring stays. */
  detach(): void {
    if (this.#attachment === DETACHED) return;
    this.#place.core.ringDetach(this.#place.base, this.#attachment);
    this.#attachment = DETACHED;
  }

  /** Detaches, at the end of a `using`. */
  [Symbol.dispose](): void {
    this.detach();
  }
}

const FIRST: RingBeginning = { ordinal: 1, position: 0 };

/** A ring whose first record has the ordinal and the position that are given. For tests. */
export function byteRingFrom(options: ByteRingOptions, beginning: RingBeginning): ByteRing {
  return new (ByteRing as unknown as new (options: ByteRingOptions, beginning: RingBeginning) => ByteRing)(
    options,
    beginning,
  );
}
