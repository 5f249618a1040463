import { crc32 } from "node:zlib";
import type { Signal } from "../signal.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { makeFolder, openFolder, syncName } from "./journal_folder.ts";
import {
  decodeDescription,
  DESCRIPTION_BYTES_MAX,
  encodeDescription,
  isQuarantineId,
  type QuarantinedRecord,
} from "./quarantine_record.ts";

/** One record in the quarantine, as far as it can be known without reading its bytes. */
export interface QuarantineEntry {
  readonly id: string;
  readonly signal: Signal;
  /** What its files take, in bytes. */
  readonly bytes: number;
  /** Its description; undefined when there is none that can be read. */
  readonly record: QuarantinedRecord | undefined;
  /** What is wrong with it; undefined when nothing is known to be. */
  readonly damage: string | undefined;
}

/** How the two files of a record end: its bytes, and what they are. */
const PAYLOAD_SUFFIX = ".pb";
const DESCRIPTION_SUFFIX = ".json";

/** Files that are looked at at once: the disk answers several questions in the time of one. */
const LOOKS_AT_ONCE = 32;

/** The files of a quarantine: how they are written, looked at, read and removed. */
export class QuarantineFiles {
  readonly #disk: Disk;
  readonly #folder: string;

  constructor(disk: Disk, folder: string) {
    this.#disk = disk;
    this.#folder = folder;
  }

  /**
   * Makes the folder, or sees to it that what a process before this one made is durable.
   *
   * @throws {Error} When the folder is not ours alone, or cannot be made.
   */
  async open(): Promise<void> {
    await openFolder(this.#disk, this.#folder, "quarantine");
    await syncName(this.#disk, this.#folder);
    await this.#disk.syncFolder(this.#folder).catch(() => {}); // The names of the folders in it.
  }

  /**
   * Looks at the files of each record of a signal, and reads only the small one. Whatever has another name is not ours
   * and is left alone.
   *
   * @param countMax So many records are looked at; there should be no more.
   */
  async takeStock(signal: Signal, countMax: number): Promise<readonly QuarantineEntry[]> {
    const folder = this.#folderOf(signal);
    if (await this.#disk.stat(folder) === undefined) return [];
    const ids = new Set<string>();
    for (const name of await this.#disk.list(folder)) {
      const [, id] = name.match(/^(.*)\.(?:pb|json)$/) ?? [];
      if (id !== undefined && ids.size < countMax && isQuarantineId(id, signal)) ids.add(id);
    }
    const entries: QuarantineEntry[] = [];
    const rest = [...ids];
    while (rest.length > 0) {
      const looks = rest.splice(-LOOKS_AT_ONCE).map((id) => this.#lookAt(id, signal));
      entries.push(...await Promise.all(looks));
    }
    return entries;
  }

  /** Writes both files, first the bytes. When it resolves they are durable. */
  async write(record: QuarantinedRecord, payload: Uint8Array): Promise<void> {
    const folder = this.#folderOf(record.signal);
    await makeFolder(this.#disk, folder);
    await this.#create(this.#payloadPath(record), payload);
    await this.#disk.syncFolder(folder);
    await this.#create(this.#descriptionPath(record), encodeDescription(record));
    await this.#disk.syncFolder(folder);
  }

  /** Makes files durable that are there. */
  async sync(entry: QuarantineEntry): Promise<void> {
    for (const path of [this.#payloadPath(entry), this.#descriptionPath(entry)]) {
      const file = await this.#disk.open(path);
      try {
        await file.sync();
      } finally {
        await file.close();
      }
    }
    await this.#disk.syncFolder(this.#folderOf(entry.signal));
  }

  /** Removes both files, as far as they are there. First the description: nobody takes bytes without one for whole. */
  async remove(entry: QuarantineEntry): Promise<void> {
    const folder = this.#folderOf(entry.signal);
    for (const path of [this.#descriptionPath(entry), this.#payloadPath(entry)]) {
      if (await this.#disk.stat(path) !== undefined) await this.#disk.remove(path);
    }
    if (await this.#disk.stat(folder) !== undefined) await this.#disk.syncFolder(folder);
  }

  /** @returns The bytes that a description vouches for, or in words why they cannot be had. Never rejects. */
  async read(entry: QuarantineEntry, record: QuarantinedRecord): Promise<Uint8Array | string> {
    const payload = await readFile(this.#disk, this.#payloadPath(entry), record.bytes);
    if (typeof payload === "string") return payload;
    const wrongLength = lengthDamage(payload.length, record);
    if (wrongLength !== undefined) return wrongLength;
    return crc32(payload) === record.crc32 ? payload : "its .pb is not what its .json was written for";
  }

  /** Never rejects: what cannot be read is damaged. */
  async #lookAt(id: string, signal: Signal): Promise<QuarantineEntry> {
    const names = { id, signal };
    const payloadBytes = await withFile(this.#disk, this.#payloadPath(names), ({ size }) => size);
    const description = await readFile(this.#disk, this.#descriptionPath(names), DESCRIPTION_BYTES_MAX);
    const descriptionBytes = typeof description === "string" ? 0 : description.length;
    const read = typeof description === "string" ? description : decodeDescription(description, id, signal);
    const bytes = (typeof payloadBytes === "string" ? 0 : payloadBytes) + descriptionBytes;
    if (typeof read === "string") return { id, signal, bytes, record: undefined, damage: read };
    const damage = typeof payloadBytes === "string" ? payloadBytes : lengthDamage(payloadBytes, read);
    return { id, signal, bytes, record: read, damage };
  }

  async #create(path: string, bytes: Uint8Array): Promise<void> {
    const file = await this.#disk.create(path);
    try {
      await file.write(0, bytes);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  #payloadPath({ id, signal }: Names): string {
    return `${this.#folderOf(signal)}/${id}${PAYLOAD_SUFFIX}`;
  }

  #descriptionPath({ id, signal }: Names): string {
    return `${this.#folderOf(signal)}/${id}${DESCRIPTION_SUFFIX}`;
  }

  #folderOf(signal: Signal): string {
    return `${this.#folder}/${signal}`;
  }
}

type Names = Pick<QuarantineEntry, "id" | "signal">;

/** What is wrong with a `.pb` of that length; undefined when it is as long as its `.json` says. */
function lengthDamage(payloadBytes: number, { bytes }: QuarantinedRecord): string | undefined {
  return payloadBytes === bytes ? undefined : `its .pb has ${payloadBytes} bytes, its .json says ${bytes}`;
}

/** @returns A file's bytes, or in words why they cannot be had. */
function readFile(disk: Disk, path: string, bytesMax: number): Promise<Uint8Array | string> {
  return withFile(disk, path, (file) => {
    if (file.size > bytesMax) return `its ${suffixOf(path)} is longer than it should be`;
    const bytes = new Uint8Array(file.size);
    return bytes.subarray(0, file.read(0, bytes));
  });
}

/** Opens a file for a moment. Anything but a file is not even opened: a pipe would never answer. */
async function withFile<Value>(disk: Disk, path: string, use: (file: DiskFile) => Value): Promise<Value | string> {
  try {
    const found = await disk.stat(path);
    if (found === undefined) return missing(path);
    if (found.kind !== "file") return `its ${suffixOf(path)} is no file`;
    const file = await disk.open(path);
    try {
      return use(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    return `its ${suffixOf(path)} cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function missing(path: string): string {
  return path.endsWith(DESCRIPTION_SUFFIX) ? "it has no .json: its put was cut short" : "it has no .pb";
}

function suffixOf(path: string): string {
  return path.slice(path.lastIndexOf("."));
}
