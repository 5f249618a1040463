import { randomInt } from "node:crypto";
import { systemClock } from "../../core/clock.ts";
import { type CountByReason, type Reason, tally, total } from "../reason.ts";
import type { Signal } from "../signal.ts";
import { type Sleep, sleep as realSleep } from "../sleep.ts";
import { CursorSet, type StreamExtent } from "./cursor_set.ts";
import { DAMAGED_SUFFIX, DamageLog } from "./damage.ts";
import { nodeDisk } from "./disk.ts";
import { DiskHealth, type JournalHealth } from "./disk_health.ts";
import {
  type DiskJournalNumbers,
  type DiskJournalOptions,
  type FolderLock,
  journalNumbers,
} from "./disk_journal_options.ts";
import { HOPS_BYTES_MAX, PAYLOAD_BYTES_MAX, type RecordHead, storedBytes } from "./format.ts";
import type { AppendAnswer, Cursor, Journal, JournalRecord, OnFull } from "./journal.ts";
import { makeFolder, openFolder, syncName } from "./journal_folder.ts";
import { mustBeCount } from "./ledger.ts";
import { type PatientDisk, patientDisk } from "./patient_disk.ts";
import { type RecordStream, StreamReader } from "./reader.ts";
import { encodeStreamState, oldestPoint, recover, type RecoveredStream, STREAM_FILE, syncLast } from "./recovery.ts";
import { Retention } from "./retention.ts";
import type { Segments } from "./segments.ts";
import { SlotFile } from "./slot_file.ts";
import { SegmentWriter } from "./writer.ts";

/** Bytes that may wait to be written, but for the first record: whoever sends more is told that the queue is full. */
const WAITING_BYTES_MAX = 256 * 2 ** 20;

/**
 * A {@linkcode Journal} on the disk: what was accepted survives. Records stand in segments, one stream for each signal;
 * cursors are small files beside them. In memory are places only, and what is not synced yet.
 *
 * ```
 *   <folder>/traces/000000000004.segment   records, see format.ts
 *                   000000000005.segment
 *                   upstream-….cursor      where a destination stands, and its account
 *                   stream.slots           where the stream ends
 *                   ….damaged              what could not be read, for people to look at
 * ```
 *
 * A disk that is full or fails makes `append` answer `journal_full`; what was accepted is kept, in memory if need be,
 * and all goes on when the disk is well again. Whatever stands in the folder, `open` makes a journal of it: what is
 * lost is counted to the item, as dropped for `corrupt`.
 *
 * @example
 * ```ts
 * import { mkdtempSync } from "node:fs";
 * import { tmpdir } from "node:os";
 * import { join } from "node:path";
 * import { DiskJournal } from "./disk_journal.ts";
 *
 * const folder = mkdtempSync(join(tmpdir(), "journal-")) + "/data";
 * const journal = await DiskJournal.open("traces", { folder });
 * const cursor = journal.cursor("backend", "reject");
 * await journal.append({ payload: new Uint8Array(8), itemCount: 1, receivedAtMs: Date.now(), hops: "" });
 * await journal.close();
 *
 * const later = await DiskJournal.open("traces", { folder });
 * const [entry] = later.cursor("backend", "reject").take({ recordCountMax: 1, itemCountMax: 10, bytesMax: 1000 });
 * entry.itemCount; // 1
 * await later.close();
 * ```
 */
export class DiskJournal implements Journal {
  readonly signal: Signal;
  readonly isDurable = true;
  readonly #folder: string;
  readonly #numbers: DiskJournalNumbers;
  readonly #disk: PatientDisk;
  readonly #sleep: Sleep;
  readonly #health: DiskHealth;
  readonly #lock: FolderLock | undefined;
  readonly #salt: number;
  readonly #segments: Segments;
  readonly #writer: SegmentWriter;
  readonly #stateFile: SlotFile;
  readonly #damage: DamageLog;
  readonly #cursors: CursorSet;
  readonly #retention: Retention;
  readonly #discarded: CountByReason;
  /** What was asked for and is not written yet. */
  #reservedItems = 0;
  #reservedBytes = 0;
  #refusedRecordCount = 0;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  /**
   * Opens the journal of one signal, making it if it is not there. What a process before has left is there again; what
   * it had in flight is taken again, and counted as redelivered.
   *
   * @throws {Error} When the folder is not ours alone, cannot be made, or is locked.
   * @throws {RangeError} When a number is outside its range.
   * @throws {TypeError} When one is not a number.
   */
  static async open(signal: Signal, options: DiskJournalOptions): Promise<DiskJournal> {
    const { folder, clock = systemClock, sleep = realSleep } = options;
    const numbers = journalNumbers(options);
    const disk = patientDisk(options.disk ?? nodeDisk, clock, sleep);
    const streamFolder = `${folder}/${signal}`;
    let lock: FolderLock | undefined;
    try {
      await openFolder(disk, folder);
      await makeFolder(disk, streamFolder);
      lock = await options.lock?.(streamFolder);
      const recovered = await recover(disk, streamFolder);
      if (options.fsync !== "never") await syncLast(disk, streamFolder, recovered.segments);
      for (const path of [folder, streamFolder]) await syncName(disk, path);
      const damaged = (await disk.list(streamFolder)).filter((name) => name.endsWith(DAMAGED_SUFFIX));
      return new DiskJournal(signal, streamFolder, options, disk, numbers, lock, recovered, damaged.length);
    } catch (error) {
      disk.end();
      await lock?.release();
      throw error;
    }
  }

  private constructor(
    signal: Signal,
    folder: string,
    options: DiskJournalOptions,
    disk: PatientDisk,
    numbers: DiskJournalNumbers,
    lock: FolderLock | undefined,
    recovered: RecoveredStream,
    damagedCount: number,
  ) {
    const { clock = systemClock, sleep = realSleep, report = () => {} } = options;
    const { randomSalt = () => randomInt(2 ** 32), fsync = "interval" } = options;
    const { segments } = recovered;
    this.signal = signal;
    this.#folder = folder;
    this.#numbers = numbers;
    this.#disk = disk;
    this.#sleep = sleep;
    const say = (message: string) => report(`journal of ${signal}: ${message}`);
    this.#health = new DiskHealth(say);
    this.#lock = lock;
    this.#segments = segments;
    this.#salt = recovered.salt ?? randomSalt();
    this.#discarded = { ...recovered.discarded };
    this.#damage = new DamageLog(disk, damagedCount, (path, bytes) => {
      say(`${bytes} bytes of ${path} are damaged: what was to be sent of them is dropped as corrupt`);
    });
    this.#writer = new SegmentWriter({
      ...numbers,
      disk,
      folder,
      salt: this.#salt,
      segments,
      end: recovered.end,
      nextNumber: recovered.nextNumber,
      fsync,
      clock,
      sleep,
      onWritten: (heads) => this.#written(heads),
      onSynced: () => this.#retention.plan(),
      onDisk: (error) => this.#health.answered("segments", error),
    });
    this.#cursors = new CursorSet({
      ...numbers,
      recovered: recovered.cursors,
      hasLostCursors: recovered.hasLostCursors,
      discarded: this.#discarded,
      clock,
      sleep,
      reader: () => this.#reader(),
      slotFile: (name, generation, value) => this.#slotFile(name, generation, value),
      onChange: () => this.#retention.plan(),
      onDisk: (part, error) => this.#health.answered(part, error),
    });
    this.#retention = new Retention({
      disk,
      segments,
      writer: this.#writer,
      cursors: this.#cursors,
      damage: this.#damage,
      kept: recovered.kept,
      persistState: () => this.#stateFile.persist(),
    });
    this.#stateFile = this.#slotFile(STREAM_FILE, recovered.generation, () =>
      encodeStreamState({
        salt: this.#salt,
        end: this.#writer.end,
        kept: this.#retention.kept,
        discarded: this.#discarded,
        cursors: this.#cursors.made,
      }));
    this.#stateFile.touch();
  }

  get acceptedItems(): number {
    return this.#writer.end.items + total(this.#discarded);
  }

  get cursors(): readonly Cursor[] {
    return [...this.#cursors];
  }

  get health(): JournalHealth {
    const { failure, failureCount } = this.#health;
    return {
      isWell: failure === undefined,
      failure,
      failureCount,
      refusedRecordCount: this.#refusedRecordCount,
      damageCount: this.#damage.count,
      diskBytes: this.#segments.bytes,
    };
  }

  async append(record: JournalRecord): Promise<AppendAnswer> {
    const { itemCount, payload } = record;
    const hops = new TextEncoder().encode(record.hops);
    const bytes = storedBytes({ hopsBytes: hops.length, payloadBytes: payload.length });
    if (this.#closed) throw new Error(`Cannot append: the journal of ${this.signal} is closed`);
    mustBeCount("append", "itemCount", itemCount);
    if (hops.length > HOPS_BYTES_MAX) {
      throw new RangeError(
        `Cannot append: "hops" must have at most ${HOPS_BYTES_MAX} bytes, received ${hops.length}`,
      );
    }
    const { bytesMax, itemsMax } = this.#numbers;
    if (bytes > bytesMax || itemCount > itemsMax || payload.length > PAYLOAD_BYTES_MAX) return "too_large";
    if (!this.#mayTake(bytes, itemCount)) return "queue_full";

    // Those who ask meanwhile find their room taken.
    this.#reservedItems += itemCount;
    this.#reservedBytes += bytes;
    if (await this.#cursors.areMade() && await this.#writer.append(record, hops)) return "appended";
    this.#reservedItems -= itemCount;
    this.#reservedBytes -= bytes;
    this.#refusedRecordCount++;
    return "journal_full";
  }

  discard(itemCount: number, reason: Reason): void {
    mustBeCount("discard", "itemCount", itemCount);
    tally(this.#discarded, reason, itemCount);
    this.#stateFile.touch();
  }

  /**
   * A cursor that was there before, but is not opened, holds nothing back: open all of them at once, before the first
   * record is appended or taken.
   *
   * @throws {RangeError} When the cursor is open with another `onFull`.
   */
  cursor(name: string, onFull: OnFull): Cursor {
    return this.#cursors.open(name, onFull, this.#extent);
  }

  /**
   * Opens the cursors that were there before and are not open, for destinations to which nobody sends any more. They keep
   * what waits for them until they are opened by name after another start, get nothing new (it is dropped in their
   * account, as `no_destination`), and hold nobody back: when the disk's bound comes near, the oldest of it goes.
   */
  retireOthers(): readonly Cursor[] {
    return this.#cursors.retireOthers(this.#extent);
  }

  /**
   * Refuses further records, makes everything durable and lets go of the folder. Nothing can be taken any more. Never
   * rejects; if the disk did not do its part, `health` says so.
   */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    const retained = this.#retention.end();
    await this.#writer.close();
    await retained;
    await this.#cursors.persist();
    await this.#stateFile.persist();
    await this.#cursors.close();
    await this.#stateFile.close();
    await this.#damage.settled();
    for (const { file } of this.#segments) await file.close().catch(() => {});
    this.#disk.end();
    await this.#lock?.release();
  }

  get #extent(): StreamExtent {
    const { end } = this.#writer;
    const { kept } = this.#retention;
    return { oldest: oldestPoint({ segments: this.#segments, kept, end }), kept, end };
  }

  #reader(): StreamReader {
    const writer = this.#writer;
    const stream: RecordStream = {
      salt: this.#salt,
      segments: this.#segments,
      get end() {
        return writer.end;
      },
      tail: writer.tail,
    };
    return new StreamReader(stream, (segment, from, to) => this.#damage.note(segment, from, to));
  }

  #mayTake(bytes: number, itemCount: number): boolean {
    const { bytesMax, segmentBytesMax } = this.#numbers;
    const waitingBytes = this.#writer.waitingBytes;
    if (waitingBytes > 0 && waitingBytes + bytes > WAITING_BYTES_MAX) return false;
    const diskBytes = this.#segments.bytes + this.#reservedBytes + bytes;
    if (diskBytes > 2 * (bytesMax + segmentBytesMax)) return false;
    return this.#cursors.haveRoom(bytes + this.#reservedBytes, itemCount + this.#reservedItems);
  }

  /** Records are safe: the cursors are told of them, and make room for them. */
  #written(heads: readonly RecordHead[]): void {
    for (const head of heads) {
      this.#reservedItems -= head.itemCount;
      this.#reservedBytes -= storedBytes(head);
      this.#cursors.appended(head);
    }
    const { bytesMax, segmentBytesMax } = this.#numbers;
    this.#retention.makeRoom(2 * bytesMax + segmentBytesMax);
    this.#stateFile.touch();
    this.#retention.plan();
  }

  #slotFile(name: string, generation: number, value: () => unknown): SlotFile {
    const file = new SlotFile({
      disk: this.#disk,
      folder: this.#folder,
      name,
      generation,
      value,
      onWritten: async (error) => {
        this.#health.answered(name, error);
        if (error === undefined) return;
        await this.#sleep(this.#numbers.retryMs, this.#closing.signal);
        file.touch();
        this.#retention.plan();
      },
    });
    return file;
  }
}
