import type { Clock } from "../../core/clock.ts";
import type { Sleep } from "../sleep.ts";
import { Desk } from "./desk.ts";
import type { Disk, DiskFile } from "./disk.ts";
import {
  bodyCrc,
  encodeSegmentHeader,
  pointAfter,
  type RecordHead,
  SEGMENT_HEADER_BYTES,
  storedBytes,
  type StreamPoint,
} from "./format.ts";
import type { JournalRecord } from "./journal.ts";
import { makeFolder } from "./journal_folder.ts";
import { fileOffset, type Segment, segmentName, type Segments } from "./segments.ts";
import { Tail, type TailRecord } from "./tail.ts";

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
  /** Told when what was written is durable. */
  readonly onSynced: () => void;
  /** Told when the disk fails, and with undefined when it is well again. */
  readonly onDisk: (error: unknown) => void;
}

/** Records written at once: more would make the first of them wait for the last. */
const GROUP_BYTES_MAX = 8 * 2 ** 20;

/** What is not synced yet is kept in memory too. Beyond this much, records wait for a sync. */
const TAIL_BYTES_MAX = 64 * 2 ** 20;

/** What may be not synced at any moment, before the last segment. */
export const UNSYNCED_BYTES_MAX: number = TAIL_BYTES_MAX + GROUP_BYTES_MAX;

interface Waiting {
  readonly record: JournalRecord;
  readonly hopsBytes: Uint8Array;
  readonly answer: (isWritten: boolean) => void;
}

/**
 * The one writer of a stream: puts records behind each other, those that wait together in one write, and begins a new
 * segment when one is full. Syncs in the background, unless whoever appends waits for that.
 *
 * A file in which a write or a sync has failed is never trusted again. What was not synced is written from memory to a
 * new segment, which takes its place from there on; until that is done, nothing is accepted.
 *
 * ```
 *   append ──► waiting ──group──► write ──► sync (commit) ──► told, answered ──► sync (interval)
 *                                   │          │                                    │
 *                                   └──failed──┴──► new segment: header, tail ◄─────┘
 *                                                       └──► sync, rename ──► again
 * ```
 */
export class SegmentWriter {
  /** What is not synced, up to the end of the stream. Empty when nobody asks for that. */
  readonly tail: Tail = new Tail();
  readonly #options: SegmentWriterOptions;
  #end: StreamPoint;
  #nextNumber: number;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  /** The segment that is written to; undefined before the first record. */
  #active: Segment | undefined;
  #isBroken = false;
  /** Whether it could not be replaced: until it is, nobody waits for that. */
  #gaveUp = false;
  #retryAtMs = -Infinity;
  #repairIsPlanned = false;
  /** Whether a segment has been made whose name is not durable. */
  #nameIsNew = false;
  #syncIsPlanned = false;
  #syncing: Promise<boolean> = Promise.resolve(true);
  readonly #desk: Desk;
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: SegmentWriterOptions) {
    this.#options = options;
    this.#desk = new Desk(options.salt);
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

  /** Whether the active segment has failed: nothing is written to it any more. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Bytes that wait to be written. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Resolves when the record is as safe as the policy says, or with false when the disk took it not. */
  append(record: JournalRecord, hopsBytes: Uint8Array): Promise<boolean> {
    if (this.#gaveUp || this.#closing.signal.aborted) return Promise.resolve(false);
    return new Promise((answer) => {
      this.#waiting.push({ record, hopsBytes, answer });
      this.#waitingBytes += sizeOf(record, hopsBytes);
      this.#run();
    });
  }

  /** Writes and syncs what is left, and lets go of everything. */
  async close(): Promise<void> {
    this.#retryAtMs = -Infinity; // The last chance of what is in memory only.
    this.#run();
    await this.#running;
    if (this.tail.bytes > 0 && !(await this.#sync())) this.#run();
    this.#closing.abort();
    await this.#running;
  }

  #run(): void {
    this.#running ??= this.#work();
  }

  async #work(): Promise<void> {
    await Promise.resolve(); // Whatever is appended in this turn is one group.
    while (this.#waiting.length > 0 || this.#mayRepair) {
      const group = this.#nextGroup();
      if (group.length > 0) await this.#append(group);
      else await this.#repair();
      if (this.tail.bytes > TAIL_BYTES_MAX) await this.#sync();
    }
    this.#running = undefined;
  }

  #nextGroup(): readonly Waiting[] {
    const groupBytesMax = Math.min(GROUP_BYTES_MAX, this.#options.segmentBytesMax);
    let count = 0;
    let bytes = 0;
    for (const { record, hopsBytes } of this.#waiting) {
      bytes += sizeOf(record, hopsBytes);
      if (count > 0 && bytes > groupBytesMax) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #append(group: readonly Waiting[]): Promise<void> {
    let isWritten = false;
    this.#waitingBytes -= group.reduce((sum, { record, hopsBytes }) => sum + sizeOf(record, hopsBytes), 0);
    try {
      const records = inStream(group, this.#end, this.#options.salt);
      isWritten = await this.#write(records) || (this.#isBroken && await this.#write(records));
      if (isWritten) this.#written(records.map(({ head }) => head));
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

  /** Puts records behind the end, durably where that is asked for. Nothing is changed when that fails. */
  async #write(records: readonly TailRecord[]): Promise<boolean> {
    const byteCount = records.reduce((sum, { head }) => sum + storedBytes(head), 0);
    if (!(await this.#hasRoomFor(byteCount)) || this.#active === undefined) return false;
    const { fsync } = this.#options;
    const segment = this.#active;
    try {
      segment.bytes = await this.#desk.write(segment.file, fileOffset(segment, this.#end.position), records);
      // Who syncs finds out then.
      if (fsync === "never") mustBeLinked(segment);
    } catch (error) {
      this.#fail(error);
      return false;
    }
    if (fsync === "never") return true;
    this.tail.push(records);
    if (fsync === "interval" || await this.#sync() || await this.#repair()) return true;
    this.tail.pop(records.length);
    return false;
  }

  /** Whether there is a segment that can be written to and is not full. */
  async #hasRoomFor(byteCount: number): Promise<boolean> {
    if (this.#isBroken) return await this.#repair();
    const active = this.#active;
    const isFull = active === undefined ||
      (active.bytes > SEGMENT_HEADER_BYTES && active.bytes + byteCount > this.#options.segmentBytesMax);
    return !isFull || await this.#begin(this.#end, []);
  }

  /** Makes durable what is in the tail by now. When that cannot be done, the active segment is broken. */
  #sync(): Promise<boolean> {
    return this.#syncing = this.#syncing.then(() => this.#syncTail());
  }

  async #syncTail(): Promise<boolean> {
    const { disk, folder, segments, onSynced } = this.#options;
    const last = this.tail.records.at(-1);
    if (this.#isBroken) return false;
    if (last === undefined) return true;
    const nameIsNew = this.#nameIsNew;
    this.#nameIsNew = false;
    try {
      for (const segment of segments.from(this.tail.position)) {
        await segment.file.sync();
        mustBeLinked(segment);
      }
      if (nameIsNew) await disk.syncFolder(folder);
    } catch (error) {
      if (!this.#isBroken) this.#fail(error);
      return false;
    }
    this.tail.trim(pointAfter(last.head).position);
    onSynced();
    return true;
  }

  /** Writes what is only in memory to a new segment, which takes the place of the broken one. */
  async #repair(): Promise<boolean> {
    if (!this.#mayRepair) return false;
    await this.#syncing; // Nobody else holds on to what is replaced now.
    const isRepaired = await this.#begin(this.tail.records[0]?.head.at ?? this.#end, this.tail.records);
    this.#gaveUp = !isRepaired;
    this.#retryAtMs = this.#options.clock.nowMs() + this.#options.retryMs;
    return isRepaired;
  }

  get #mayRepair(): boolean {
    return this.#isBroken && this.#options.clock.nowMs() >= this.#retryAtMs;
  }

  /** Begins a new segment, with records in it that take the place of what stands there. */
  async #begin(begin: StreamPoint, records: readonly TailRecord[]): Promise<boolean> {
    const { disk, folder, salt, segments, clock, fsync, onDisk } = this.#options;
    const number = this.#nextNumber++;
    const path = `${folder}/${segmentName(number)}`;
    let file: DiskFile | undefined;
    try {
      file = await this.#create(`${path}.new`);
      await file.write(0, encodeSegmentHeader({ salt, number, base: begin, createdAtMs: clock.wallMs() }));
      const bytes = await this.#desk.write(file, SEGMENT_HEADER_BYTES, records);
      if (this.#isBroken && fsync !== "never") await file.sync();
      // Until it has its name it does not exist: nothing is taken from the old one before the new one has it.
      await disk.rename(`${path}.new`, path);
      if (this.#isBroken && fsync !== "never") await disk.syncFolder(folder);
      else this.#nameIsNew = true;
      this.#active = { number, path, file, position: begin.position, begin, bytes };
    } catch (error) {
      void file?.close().catch(() => {});
      void disk.remove(`${path}.new`).catch(() => {});
      this.#fail(error);
      return false;
    }
    for (const { path, file } of segments.add(this.#active)) {
      await file.close().catch(() => {});
      await disk.remove(path).catch(() => {});
    }
    if (!this.#isBroken) return true;
    this.tail.trim(Infinity);
    this.#isBroken = false;
    onDisk(undefined);
    return true;
  }

  /** Makes a file, and the folder only if it has gone: to look for it each time would make those wait who append. */
  async #create(path: string): Promise<DiskFile> {
    const { disk, folder } = this.#options;
    try {
      return await disk.create(path);
    } catch (error) {
      if ((error as { code?: string }).code !== "ENOENT") throw error;
      await makeFolder(disk, folder);
      return await disk.create(path);
    }
  }

  #fail(error: unknown): void {
    this.#isBroken = true;
    this.#options.onDisk(error);
    if (this.#mayRepair) this.#run();
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
      if (!this.#closing.signal.aborted) void this.#sync();
    });
  }
}

function sizeOf({ payload }: JournalRecord, hopsBytes: Uint8Array): number {
  return storedBytes({ hopsBytes: hopsBytes.length, payloadBytes: payload.length });
}

function mustBeLinked({ path, file }: Segment): void {
  if (!file.isLinked) throw new Error(`${path} was deleted`);
}

/** Records that wait, with the places in the stream that they are to have. */
function inStream(group: readonly Waiting[], end: StreamPoint, salt: number): readonly TailRecord[] {
  let at = end;
  return group.map(({ record: { payload, itemCount, receivedAtMs, hops }, hopsBytes }) => {
    const head: RecordHead = {
      at,
      itemCount,
      receivedAtMs,
      hopsBytes: hopsBytes.length,
      payloadBytes: payload.length,
      bodyCrc: bodyCrc(hopsBytes, payload, salt),
    };
    at = pointAfter(head);
    return { head, hops, hopsBytes, payload };
  });
}
