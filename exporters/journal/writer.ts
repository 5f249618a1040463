import type { Clock } from "../../core/clock.ts";
import type { Sleep } from "../sleep.ts";
import type { Disk } from "./disk.ts";
import {
  bodyCrc,
  encodeRecordHead,
  encodeSegmentHeader,
  pointAfter,
  RECORD_HEAD_BYTES,
  type RecordHead,
  SEGMENT_HEADER_BYTES,
  storedBytes,
  type StreamPoint,
} from "./format.ts";
import type { JournalRecord } from "./journal.ts";
import { fileOffset, type Segment, segmentName, type Segments } from "./segments.ts";

/**
 * When a record is on the platters, not only in the system's hands. It survives the end of the process in any case.
 *
 * - `commit`: before the answer. Records that come together are synced together.
 * - `interval`: within the interval, so a loss of power costs at most that.
 * - `never`: when the system likes.
 */
export type FsyncPolicy = "never" | "interval" | "commit";

/** What a {@linkcode SegmentWriter} writes, where, and whom it tells. */
export interface SegmentWriterOptions {
  readonly disk: Disk;
  readonly folder: string;
  readonly salt: number;
  readonly segments: Segments;
  /** Where the stream ends, and what the next segment is called. */
  readonly end: StreamPoint;
  readonly nextNumber: number;
  readonly fsync: FsyncPolicy;
  readonly fsyncIntervalMs: number;
  readonly segmentBytesMax: number;
  /** How long a disk that failed is left alone. */
  readonly retryMs: number;
  readonly clock: Clock;
  readonly sleep: Sleep;
  /** Told of records as soon as they are safe, before whoever appended them. */
  readonly onWritten: (heads: readonly RecordHead[]) => void;
  /** Told when the disk fails, and with undefined when it is well again. */
  readonly onDisk: (error: unknown) => void;
}

/** Records written at once: more would make the first of them wait for the last. */
const GROUP_BYTES_MAX = 8 * 2 ** 20;

/** What is not synced yet is kept in memory too. Beyond this much, records wait for a sync. */
const TAIL_BYTES_MAX = 64 * 2 ** 20;

interface Waiting {
  readonly record: JournalRecord;
  readonly hops: Uint8Array;
  readonly answer: (isWritten: boolean) => void;
}

/** A stretch of the stream, as it was written. */
interface Chunk {
  readonly from: StreamPoint;
  readonly bytes: Uint8Array;
}

/**
 * The one writer of a stream: puts records behind each other, those that wait together in one write, and begins a new
 * segment when one is full.
 *
 * A file in which a write or a sync has failed is never trusted again. What was not synced is written from memory to a
 * new segment, which takes its place from there on; until that is done, nothing is accepted.
 *
 * ```
 *   append ──► waiting ──group──► write ──► sync (commit) ──► told, answered
 *                                   │          │
 *                                   └──failed──┴──► new segment: header, unsynced tail ──► sync, rename ──► again
 * ```
 */
export class SegmentWriter {
  readonly #options: SegmentWriterOptions;
  #end: StreamPoint;
  #nextNumber: number;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  /** The segment that is written to; undefined before the first record. */
  #active: Segment | undefined;
  /** Whether the active segment has failed. */
  #isBroken = false;
  #retryAtMs = -Infinity;
  #repairIsPlanned = false;
  /** What is not synced, from its first byte to the end of the stream. Empty when nobody asks for that. */
  #tail: Chunk[] = [];
  #tailBytes = 0;
  #syncIsDue = false;
  #syncIsPlanned = false;
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: SegmentWriterOptions) {
    this.#options = options;
    this.#end = options.end;
    this.#nextNumber = options.nextNumber;
  }

  /** Where the stream ends: behind the last record that was accepted. */
  get end(): StreamPoint {
    return this.#end;
  }

  get active(): Segment | undefined {
    return this.#active;
  }

  /** Bytes that wait to be written. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** From here on the stream is in memory. */
  get tailPosition(): number {
    return this.#tail[0]?.from.position ?? Infinity;
  }

  readTail(position: number, into: Uint8Array): number {
    let done = 0;
    for (const { from, bytes } of this.#tail) {
      const start = position + done - from.position;
      if (start >= bytes.length) continue;
      const part = bytes.subarray(start, start + into.length - done);
      into.set(part, done);
      done += part.length;
      if (done === into.length) break;
    }
    return done;
  }

  /** Resolves when the record is as safe as the policy says, or with false when the disk took it not. */
  append(record: JournalRecord, hops: Uint8Array): Promise<boolean> {
    if (this.#closing.signal.aborted) return Promise.resolve(false);
    return new Promise((answer) => {
      this.#waiting.push({ record, hops, answer });
      this.#waitingBytes += sizeOf(record, hops);
      this.#run();
    });
  }

  /** Makes what was accepted durable now. */
  async sync(): Promise<void> {
    if (this.#options.fsync === "never") return;
    this.#syncIsDue = true;
    this.#run();
    await this.#running;
  }

  /** Writes and syncs what is left, and lets go of everything. */
  async close(): Promise<void> {
    this.#retryAtMs = -Infinity; // The last chance of what is in memory only.
    await this.sync();
    this.#closing.abort();
    await this.#running;
  }

  #run(): void {
    this.#running ??= this.#work();
  }

  async #work(): Promise<void> {
    await Promise.resolve(); // Whatever is appended in this turn is one group.
    while (this.#waiting.length > 0 || this.#syncIsDue || this.#mayRepair) {
      const group = this.#nextGroup();
      if (group.length > 0) await this.#append(group);
      else if (this.#isBroken) await this.#repair();
      if (this.#tailBytes > TAIL_BYTES_MAX) this.#syncIsDue = true;
      if (this.#syncIsDue) await this.#syncTail();
    }
    this.#running = undefined;
  }

  #nextGroup(): readonly Waiting[] {
    const groupBytesMax = Math.min(GROUP_BYTES_MAX, this.#options.segmentBytesMax);
    let count = 0;
    let bytes = 0;
    for (const { record, hops } of this.#waiting) {
      bytes += sizeOf(record, hops);
      if (count > 0 && bytes > groupBytesMax) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #append(group: readonly Waiting[]): Promise<void> {
    const heads: RecordHead[] = [];
    let isWritten = false;
    this.#waitingBytes -= group.reduce((sum, { record, hops }) => sum + sizeOf(record, hops), 0);
    try {
      const bytes = encodeGroup(group, this.#end, this.#options.salt, heads);
      isWritten = await this.#write(bytes) || (this.#isBroken && await this.#write(bytes));
      if (isWritten) this.#written(heads);
    } catch (error) {
      this.#options.onDisk(error); // A fault of our own, or no memory: those who wait are told.
    } finally {
      for (const { answer } of group) answer(isWritten);
    }
  }

  #written(heads: readonly RecordHead[]): void {
    this.#end = heads.reduce((_, head) => pointAfter(head), this.#end);
    this.#planSync();
    this.#options.onWritten(heads);
  }

  /** Puts bytes behind the end, durably where that is asked for. Nothing is changed when that fails. */
  async #write(bytes: Uint8Array): Promise<boolean> {
    if (!(await this.#hasRoomFor(bytes.length)) || this.#active === undefined) return false;
    const { fsync } = this.#options;
    const segment = this.#active;
    try {
      await segment.file.write(fileOffset(segment, this.#end.position), bytes);
      if (!segment.file.isLinked) throw new Error(`${segment.path} was deleted`);
    } catch (error) {
      this.#fail(error);
      return false;
    }
    segment.bytes = fileOffset(segment, this.#end.position) + bytes.length;
    if (fsync === "never") return true;
    this.#tail.push({ from: this.#end, bytes });
    this.#tailBytes += bytes.length;
    if (fsync === "interval" || await this.#syncTail() || await this.#repair()) return true;
    this.#tail.pop();
    this.#tailBytes -= bytes.length;
    return false;
  }

  /** Whether there is a segment that can be written to and is not full. */
  async #hasRoomFor(byteCount: number): Promise<boolean> {
    if (this.#isBroken && !(await this.#repair())) return false;
    const active = this.#active;
    const isFull = active === undefined ||
      (active.bytes > SEGMENT_HEADER_BYTES && active.bytes + byteCount > this.#options.segmentBytesMax);
    if (!isFull) return true;
    // Only the active segment ever has a tail.
    if (this.#tail.length > 0 && !(await this.#syncTail())) return await this.#repair();
    return await this.#begin();
  }

  /** Makes the tail durable. When it cannot, the active segment is broken. */
  async #syncTail(): Promise<boolean> {
    this.#syncIsDue = false;
    const segment = this.#active;
    if (this.#isBroken || segment === undefined) return false;
    if (this.#tail.length === 0) return true;
    try {
      await segment.file.sync();
      if (!segment.file.isLinked) throw new Error(`${segment.path} was deleted`);
    } catch (error) {
      this.#fail(error);
      return false;
    }
    this.#tail = [];
    this.#tailBytes = 0;
    return true;
  }

  /** Writes what is only in memory to a new segment, which takes the place of the broken one. */
  async #repair(): Promise<boolean> {
    if (!this.#mayRepair) return false;
    this.#retryAtMs = this.#options.clock.nowMs() + this.#options.retryMs;
    return await this.#begin();
  }

  get #mayRepair(): boolean {
    return this.#isBroken && this.#options.clock.nowMs() >= this.#retryAtMs;
  }

  /** Begins a new segment, with the tail in it if there is one. */
  async #begin(): Promise<boolean> {
    const { disk, folder, salt, segments, clock, fsync, onDisk } = this.#options;
    const base = this.#tail[0]?.from ?? this.#end;
    const number = this.#nextNumber++;
    const path = `${folder}/${segmentName(number)}`;
    try {
      await disk.makeFolder(folder);
      const file = await disk.create(`${path}.new`);
      const header = encodeSegmentHeader({ salt, number, base, createdAtMs: clock.wallMs() });
      await file.write(0, header);
      let bytes = header.length;
      for (const chunk of this.#tail) {
        await file.write(bytes, chunk.bytes);
        bytes += chunk.bytes.length;
      }
      if (fsync !== "never") await file.sync();
      // Until it has its name it does not exist: nothing is taken from the old one before the new one has it.
      await disk.rename(`${path}.new`, path);
      if (fsync !== "never") await disk.syncFolder(folder);
      this.#active = { number, path, file, position: base.position, begin: base, bytes };
    } catch (error) {
      await disk.remove(`${path}.new`).catch(() => {});
      this.#fail(error);
      return false;
    }
    for (const { path, file } of segments.add(this.#active)) {
      await file.close().catch(() => {});
      await disk.remove(path).catch(() => {});
    }
    this.#tail = [];
    this.#tailBytes = 0;
    if (this.#isBroken) onDisk(undefined);
    this.#isBroken = false;
    return true;
  }

  #fail(error: unknown): void {
    this.#isBroken = true;
    this.#options.onDisk(error);
    this.#planRepair();
  }

  /** Whether or not anything is appended: what is only in memory has to get out of there. */
  #planRepair(): void {
    if (this.#repairIsPlanned) return;
    this.#repairIsPlanned = true;
    void this.#options.sleep(this.#options.retryMs, this.#closing.signal).then(() => {
      this.#repairIsPlanned = false;
      if (this.#closing.signal.aborted || !this.#isBroken) return;
      if (this.#mayRepair) this.#run();
      else this.#planRepair();
    });
  }

  #planSync(): void {
    const { fsync, fsyncIntervalMs, sleep } = this.#options;
    if (fsync !== "interval" || this.#syncIsPlanned) return;
    this.#syncIsPlanned = true;
    void sleep(fsyncIntervalMs, this.#closing.signal).then(() => {
      this.#syncIsPlanned = false;
      if (this.#closing.signal.aborted || this.#tail.length === 0) return;
      this.#syncIsDue = true;
      this.#run();
    });
  }
}

function sizeOf({ payload }: JournalRecord, hops: Uint8Array): number {
  return storedBytes({ hopsBytes: hops.length, payloadBytes: payload.length });
}

/** Records as the stream has them from a point on, and their heads. */
function encodeGroup(group: readonly Waiting[], end: StreamPoint, salt: number, heads: RecordHead[]): Uint8Array {
  const bytes = new Uint8Array(group.reduce((sum, { record, hops }) => sum + sizeOf(record, hops), 0));
  let at = end;
  for (const { record: { payload, itemCount, receivedAtMs }, hops } of group) {
    const head: RecordHead = {
      at,
      itemCount,
      receivedAtMs,
      hopsBytes: hops.length,
      payloadBytes: payload.length,
      bodyCrc: bodyCrc(hops, payload, salt),
    };
    const start = at.position - end.position;
    encodeRecordHead(head, salt, bytes.subarray(start));
    bytes.set(hops, start + RECORD_HEAD_BYTES);
    bytes.set(payload, start + RECORD_HEAD_BYTES + hops.length);
    heads.push(head);
    at = pointAfter(head);
  }
  return bytes;
}
