import { type Clock, systemClock } from "../../core/clock.ts";
import { type Limit, withinLimits } from "../../core/limits.ts";
import { bySignal, type Signal, SIGNALS } from "../signal.ts";
import { type Sleep, sleep as realSleep } from "../sleep.ts";
import { type Disk, nodeDisk } from "./disk.ts";
import { DiskHealth } from "./disk_health.ts";
import { type PatientDisk, patientDisk } from "./patient_disk.ts";
import { type QuarantineEntry, QuarantineFiles } from "./quarantine_files.ts";
import {
  describe,
  encodeDescription,
  type QuarantinedRecord,
  type RefusalCause,
  type RefusedRecord,
} from "./quarantine_record.ts";

export type { QuarantinedRecord, QuarantineEntry, RefusalCause, RefusedRecord };

/** Where a quarantine is, and how much it may hold. */
export interface QuarantineOptions {
  /**
   * The folder of the quarantine; each signal has one of its own in it. It is made for us alone, and must not stand
   * directly in a folder that others can write.
   */
  readonly folder: string;
  /**
   * What all files together may take, in bytes; 0 keeps nothing. Up to 2^40.
   *
   * @default {268_435_456}
   */
  readonly bytesMax?: number;
  /**
   * How many records may be there: each is two files, and opening takes about 0.2 ms for both. From 1 to 100000.
   *
   * @default {10_000}
   */
  readonly recordCountMax?: number;
  /** The disk. @default {the real one, by `node:fs`} */
  readonly disk?: Disk;
  /** @default {the system's clock} */
  readonly clock?: Clock;
  /** How waiting is done. @default {a timer that does not keep the process alive} */
  readonly sleep?: Sleep;
  /** One line when trouble begins, one when it ends. @default {nobody is told} */
  readonly report?: (message: string) => void;
}

/** What is in a quarantine. */
export interface QuarantineHeld {
  readonly records: number;
  readonly items: number;
  /** What the files take. */
  readonly bytes: number;
}

/** What `read` answers. */
export type QuarantineReading =
  | { readonly status: "read"; readonly record: QuarantinedRecord; readonly payload: Uint8Array }
  | { readonly status: "damaged"; readonly damage: string }
  | { readonly status: "unknown" };

/** Where a lane puts what its destination refuses for good. */
export interface QuarantineStore {
  /** For people, who want to look at it. */
  readonly folder: string;
  /** @returns `kept` once it is safe; `full` when it is not kept. Never rejects. */
  put(refused: RefusedRecord, cause: RefusalCause): Promise<"kept" | "full">;
}

const LIMITS = {
  bytesMax: { default: 256 * 2 ** 20, min: 0, max: 2 ** 40, integer: true },
  recordCountMax: { default: 10_000, min: 1, max: 100_000, integer: true },
} as const satisfies Record<NumberName, Limit>;

type NumberName = "bytesMax" | "recordCountMax";

const NOTHING: QuarantineHeld = { records: 0, items: 0, bytes: 0 };

/**
 * What destinations refuse for good, kept for people: the bytes as they were accepted, and why they were refused beside
 * them. Bounded: what has no room is not kept, and nothing that is kept makes room for something else.
 *
 * ```
 *   <folder>/<signal>/<id>.pb      the request, OTLP protobuf
 *                     <id>.json    what it is and why it is here
 * ```
 *
 * The bytes are durable before their description is written, and that before `put` answers. So a description vouches
 * for its bytes, and bytes without one are a put that was cut short: its record was not settled and comes again, under
 * the same id. A disk that hangs is one that fails.
 *
 * @example
 * ```ts ignore
 * const quarantine = await Quarantine.open({ folder: "/var/lib/breakwater/quarantine" });
 * for (const { id, record } of quarantine.list()) console.log(id, record?.reason);
 * ```
 */
export class Quarantine implements QuarantineStore {
  readonly folder: string;
  readonly #bytesMax: number;
  readonly #recordCountMax: number;
  readonly #disk: PatientDisk;
  readonly #files: QuarantineFiles;
  readonly #clock: Clock;
  readonly #report: (message: string) => void;
  readonly #health: DiskHealth;
  /** Oldest first. */
  readonly #entries = new Map<string, QuarantineEntry>();
  readonly #held: Record<Signal, QuarantineHeld> = bySignal(() => NOTHING);
  /** What puts under way are going to take: so that all of them together keep within the bounds. */
  #reserved = NOTHING;
  /** The last piece of work on each id that is being worked on. */
  readonly #work = new Map<string, Promise<void>>();
  #isFull = false;

  /**
   * Opens a quarantine, and looks at what is there: nothing is removed, and the bytes themselves are not read.
   *
   * @throws {Error} When the folder is not ours alone, or cannot be made or read.
   * @throws {RangeError} When a number is outside its range.
   * @throws {TypeError} When one is not a number.
   */
  static async open(options: QuarantineOptions): Promise<Quarantine> {
    const quarantine = new Quarantine(options);
    try {
      await quarantine.#open();
      return quarantine;
    } catch (error) {
      quarantine.#disk.end();
      throw error;
    }
  }

  private constructor(options: QuarantineOptions) {
    const { folder, disk = nodeDisk, clock = systemClock, sleep = realSleep, report = () => {} } = options;
    const { bytesMax, recordCountMax } = withinLimits<NumberName>("open quarantine", options, LIMITS);
    this.folder = folder;
    this.#bytesMax = bytesMax;
    this.#recordCountMax = recordCountMax;
    this.#disk = patientDisk(disk, clock, sleep);
    this.#files = new QuarantineFiles(this.#disk, folder);
    this.#clock = clock;
    this.#report = (message) => report(`quarantine: ${message}`);
    this.#health = new DiskHealth(this.#report);
  }

  /** What is in it, all signals together. */
  get held(): QuarantineHeld {
    return SIGNALS.reduce((sum, signal) => plus(sum, this.#held[signal]), NOTHING);
  }

  /** What is in it of one signal. */
  heldOf(signal: Signal): QuarantineHeld {
    return this.#held[signal];
  }

  /** What is in it, oldest first. Nothing is read for it. */
  list(): readonly QuarantineEntry[] {
    return [...this.#entries.values()];
  }

  /**
   * Keeps a record. One that is there already, because a crash came between this and its settlement, is kept once.
   *
   * @returns `kept` when it is durable; `full` when there is no room for it, or when the disk fails. Never rejects.
   */
  put(refused: RefusedRecord, cause: RefusalCause): Promise<"kept" | "full"> {
    if (this.#bytesMax === 0) return Promise.resolve("full");
    const record = describe(refused, cause, this.#clock.wallMs());
    return this.#alone(record.id, () => this.#put(record, refused.payload));
  }

  /** Reads a record, and compares it with its description. Never rejects. */
  read(id: string): Promise<QuarantineReading> {
    return this.#alone(id, async () => {
      // Only what is listed is looked for: an id from outside never becomes a path.
      const entry = this.#entries.get(id);
      return entry === undefined ? { status: "unknown" } : await this.#read(entry);
    });
  }

  /** Removes a record. @returns `failed` when the disk does, which is reported; then some of it may be left. */
  drop(id: string): Promise<"dropped" | "unknown" | "failed"> {
    return this.#alone(id, async () => {
      const entry = this.#entries.get(id);
      if (entry === undefined) return "unknown";
      if (!await this.#isDone(() => this.#files.remove(entry))) return "failed";
      this.#forget(entry);
      if (this.#isFull) this.#report("there is room again");
      this.#isFull = false;
      return "dropped";
    });
  }

  /** Resolves when everything that was begun is done. Nothing may be begun after it. */
  async close(): Promise<void> {
    await Promise.all(this.#work.values());
    this.#disk.end();
  }

  async #open(): Promise<void> {
    if (this.#bytesMax > 0) await this.#files.open();
    const entries: QuarantineEntry[] = [];
    for (const signal of SIGNALS) entries.push(...await this.#files.takeStock(signal, LIMITS.recordCountMax.max));
    entries.sort((a, b) => sinceMs(a) - sinceMs(b));
    for (const entry of entries) this.#remember(entry);
    const damagedCount = entries.filter(({ damage }) => damage !== undefined).length;
    if (damagedCount > 0) this.#report(`${damagedCount} of ${entries.length} records are damaged`);
  }

  async #put(record: QuarantinedRecord, payload: Uint8Array): Promise<"kept" | "full"> {
    const { id, signal } = record;
    const bytes = payload.length + encodeDescription(record).length;
    const entry = { id, signal, bytes, record, damage: undefined };
    const there = this.#entries.get(id);
    if (there !== undefined && await this.#isSame(there, record)) {
      // A process before this one has written it, and may have ended before it was durable.
      return await this.#isDone(() => this.#files.sync(there)) ? "kept" : "full";
    }
    const growth = plus(takenBy(entry), there === undefined ? NOTHING : takenBy(there), -1);
    if (!this.#hasRoom(growth)) return "full";
    this.#reserved = plus(this.#reserved, growth);
    try {
      return await this.#replace(there, entry, payload) ? "kept" : "full";
    } finally {
      this.#reserved = plus(this.#reserved, growth, -1);
    }
  }

  /**
   * Writes a record, in place of what a put that was cut short has left under its id. What cannot be taken back after a
   * failure takes its room, and can be dropped when the disk is well.
   */
  async #replace(there: QuarantineEntry | undefined, entry: Whole, payload: Uint8Array): Promise<boolean> {
    const isKept = await this.#isDone(async () => {
      if (there !== undefined) await this.#files.remove(there);
      await this.#files.write(entry.record, payload);
    });
    const isLeft = !isKept && !await this.#files.remove(entry).then(() => true, () => false);
    if (there !== undefined) this.#forget(there);
    if (isKept) this.#remember(entry);
    if (isLeft) this.#remember({ ...entry, record: undefined, damage: "its put failed" });
    return isKept;
  }

  async #isSame(entry: QuarantineEntry, { crc32, bytes }: QuarantinedRecord): Promise<boolean> {
    const reading = await this.#read(entry);
    return reading.status === "read" && reading.record.crc32 === crc32 && reading.record.bytes === bytes;
  }

  async #read(entry: QuarantineEntry): Promise<QuarantineReading> {
    const { record, damage } = entry;
    if (record === undefined || damage !== undefined) return { status: "damaged", damage: damage ?? "" };
    const payload = await this.#files.read(entry, record);
    return typeof payload === "string" ? { status: "damaged", damage: payload } : { status: "read", record, payload };
  }

  /** Asks something of the disk. @returns Whether it was done; if not, that is reported. */
  async #isDone(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      this.#health.answered("files", undefined);
      return true;
    } catch (error) {
      this.#health.answered("files", error);
      return false;
    }
  }

  #hasRoom(wanted: QuarantineHeld): boolean {
    const { records, bytes } = plus(plus(this.held, this.#reserved), wanted);
    if (records <= this.#recordCountMax && bytes <= this.#bytesMax) return true;
    if (!this.#isFull) {
      const { held } = this;
      this.#report(
        `full, with ${held.records} records in ${held.bytes} bytes: what has no room is lost from now on; ` +
          'see "deno task cli quarantine list"',
      );
    }
    this.#isFull = true;
    return false;
  }

  #remember(entry: QuarantineEntry): void {
    this.#entries.set(entry.id, entry);
    this.#held[entry.signal] = plus(this.#held[entry.signal], takenBy(entry));
  }

  #forget(entry: QuarantineEntry): void {
    if (!this.#entries.delete(entry.id)) return;
    this.#held[entry.signal] = plus(this.#held[entry.signal], takenBy(entry), -1);
  }

  /** Does one thing after the other to the same id. */
  #alone<Answer>(id: string, work: () => Promise<Answer>): Promise<Answer> {
    const answer = (this.#work.get(id) ?? Promise.resolve()).then(work);
    const done = answer.then(() => {}, () => {}).then(() => {
      if (this.#work.get(id) === done) this.#work.delete(id);
    });
    this.#work.set(id, done);
    return answer;
  }
}

/** An entry with nothing wrong. */
type Whole = QuarantineEntry & { readonly record: QuarantinedRecord };

/** What an entry takes of the bounds. Items are counted where a description vouches for them. */
function takenBy({ bytes, record, damage }: QuarantineEntry): QuarantineHeld {
  return { records: 1, items: damage === undefined ? record?.itemCount ?? 0 : 0, bytes };
}

function plus(one: QuarantineHeld, other: QuarantineHeld, times: 1 | -1 = 1): QuarantineHeld {
  return {
    records: one.records + times * other.records,
    items: one.items + times * other.items,
    bytes: one.bytes + times * other.bytes,
  };
}

/** Since when a record is here; what nobody knows of comes first. */
function sinceMs({ record }: QuarantineEntry): number {
  return Date.parse(record?.quarantinedAt ?? "") || 0;
}
