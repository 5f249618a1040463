import * as fs from "node:fs";
import process from "node:process";
import { promisify } from "node:util";

/**
 * The few things that the journal asks of a disk. What is written can be read at once, and outlives the process; it
 * outlives the power only from the next `sync` on, and a file's name only from the next `syncFolder` on.
 *
 * Everything that may wait for the device is asynchronous, but for `read`: a lane takes a record when it needs one, and
 * what was written lately is still in memory.
 */
export interface Disk {
  /** The user that we are; undefined where the system does not say. */
  readonly userId: number | undefined;
  /** What stands at a path, links not followed; undefined when nothing does. */
  stat(path: string): Promise<DiskStat | undefined>;
  /** Makes a folder, for us alone, and those above it; does nothing when it is there. */
  makeFolder(path: string): Promise<void>;
  /** The names in a folder. */
  list(folder: string): Promise<readonly string[]>;
  /** Makes a file, for us alone. Rejects when something of that name is there already. */
  create(path: string): Promise<DiskFile>;
  /** Opens a file to read it. */
  open(path: string): Promise<DiskFile>;
  /** Opens a file that is there to read and to write it. */
  openToWrite(path: string): Promise<DiskFile>;
  /** Gives a file another name, in place of whatever had that. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file. */
  remove(path: string): Promise<void>;
  /** Makes names in a folder durable. */
  syncFolder(folder: string): Promise<void>;
}

/** An open file. */
export interface DiskFile {
  /** How long it is, in bytes. */
  readonly size: number;
  /** Whether the file still has a name: one that was deleted can be written to, but never found again. */
  readonly isLinked: boolean;
  /** Writes all of the bytes at an offset. When that fails, some of them may be there. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Reads from an offset on. @returns How many bytes were read: fewer than fit only at the end of the file. */
  read(offset: number, into: Uint8Array): number;
  /** Makes what was written durable. After a failure nobody knows what is. */
  sync(): Promise<void>;
  /** Lets go of the file. */
  close(): Promise<void>;
}

/** What stands at a path. */
export interface DiskStat {
  /** What it is; a link is "other". */
  readonly kind: "file" | "folder" | "other";
  /** Who may do what, as Unix writes it; undefined where the system has no such thing. */
  readonly mode: number | undefined;
  /** Whose it is. */
  readonly userId: number;
}

/** Nobody else needs to see telemetry. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** A pipe that somebody has put there is opened at once, and cannot be read: nobody waits for whoever writes to it. */
const READ_ONLY = fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0);

const stat = promisify(fs.lstat);
const mkdir = promisify(fs.mkdir);
const readdir = promisify(fs.readdir);
const open = promisify(fs.open);
const rename = promisify(fs.rename);
const unlink = promisify(fs.unlink);
const fsync = promisify(fs.fsync);
const fdatasync = promisify(fs.fdatasync);
const close = promisify(fs.close);
const write = promisify(fs.write) as (
  file: number,
  bytes: Uint8Array,
  from: number,
  length: number,
  offset: number,
) => Promise<number | { bytesWritten: number }>;

/** The real disk. */
export const nodeDisk: Disk = {
  get userId(): number | undefined {
    try {
      return process.getuid?.();
    } catch {
      return undefined; // Deno asks for a permission here, that we can do without.
    }
  },

  async stat(path) {
    try {
      const found = await stat(path);
      const kind = found.isDirectory() ? "folder" : found.isFile() ? "file" : "other";
      return { kind, mode: process.platform === "win32" ? undefined : found.mode & 0o7777, userId: found.uid };
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") return undefined;
      throw error;
    }
  },

  async makeFolder(path) {
    await mkdir(path, { recursive: true, mode: FOLDER_MODE });
  },

  list: (folder) => readdir(folder),

  async create(path) {
    return new NodeFile(await open(path, "wx+", FILE_MODE));
  },

  async open(path) {
    return new NodeFile(await open(path, READ_ONLY));
  },

  async openToWrite(path) {
    return new NodeFile(await open(path, "r+"));
  },

  rename,
  remove: unlink,

  async syncFolder(folder) {
    if (process.platform === "win32") return; // A folder cannot be opened there; names are durable by themselves.
    const file = await open(folder, "r");
    try {
      await fsync(file);
    } finally {
      await close(file);
    }
  },
};

class NodeFile implements DiskFile {
  #file: number;

  constructor(file: number) {
    this.#file = file;
  }

  get size(): number {
    return fs.fstatSync(this.#file).size;
  }

  get isLinked(): boolean {
    return fs.fstatSync(this.#file).nlink > 0;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const written = await write(this.#file, bytes, done, bytes.length - done, offset + done);
      const count = typeof written === "number" ? written : written.bytesWritten;
      if (count <= 0) throw new Error("The disk wrote nothing");
      done += count;
    }
  }

  read(offset: number, into: Uint8Array): number {
    let done = 0;
    while (done < into.length) {
      const count = fs.readSync(this.#file, into, done, into.length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  sync(): Promise<void> {
    return fdatasync(this.#file);
  }

  close(): Promise<void> {
    const file = this.#file;
    this.#file = -1; // The number may soon be another file's.
    return file < 0 ? Promise.resolve() : close(file);
  }
}
