import { mkdirSync, readFileSync, realpathSync, type Stats, statSync, writeFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import process from "node:process";
import { nodeDisk } from "../exporters/journal/disk.ts";
import { tryLockFile } from "./platform.ts";

/**
 * The folder that a server keeps its data in, and that no other may use meanwhile.
 *
 * ```
 *   <data>/lock                      locked while it is used; its text says by whom, for people
 *          journal/0/<signal>/       what was accepted
 *          quarantine/<signal>/      what was refused for good
 * ```
 */
export interface DataFolder {
  /** Its absolute path, links followed. */
  readonly path: string;
  /**
   * Locks it again if it was deleted and is there again.
   *
   * @throws {Error} When another server has it meanwhile.
   */
  keep(): void;
  /** Lets another server have it. */
  release(): void;
}

/** A folder to keep data in, or the sentence that says why it cannot be and what to do. */
export type DataFolderOpening = { readonly folder: DataFolder } | { readonly mistake: string };

/** The shard of the only process there is. */
const SHARD = "0";

/** Nobody else needs to see telemetry. */
const FOLDER_MODE = 0o700;
/** Bits of a mode: what the group and others may write. */
const OTHERS_WRITE = 0o022;
/** What is read of a lock's text: more than a process number and a time have. */
export const HOLDER_LENGTH_MAX = 100;

/** The folder in which each signal has a journal. */
export function journalFolderIn(data: string): string {
  return `${data}/journal/${SHARD}`;
}

/** The folder of what destinations refused for good. */
export function quarantineFolderIn(data: string): string {
  return `${data}/quarantine`;
}

/** The file that is locked while the folder is used. */
export function lockFileIn(data: string): string {
  return `${data}/lock`;
}

/** Where data is kept that nobody has named a folder for; undefined when nothing says where. */
export function defaultDataDir(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const { STATE_DIRECTORY = "", XDG_STATE_HOME = "", HOME = "" } = environment;
  // A service of systemd may have several, with colons between; only the first is said to be for this.
  const [ofService = ""] = STATE_DIRECTORY.trim().split(":");
  if (ofService !== "") return ofService;
  // By the specification of XDG a path that is not absolute counts as none.
  if (isAbsolute(XDG_STATE_HOME)) return join(XDG_STATE_HOME, "breakwater");
  return isAbsolute(HOME) ? join(HOME, ".local/state/breakwater") : undefined;
}

/**
 * Makes the folder, or looks at the one that is there, and locks it. It has to be ours, and nobody else's to write:
 * whoever can put a file in it can have the server deliver that.
 *
 * @param path As it was set; made with what is missing above it.
 * @param wallMs The time that is written into the lock, for people, in Unix milliseconds.
 */
export function openDataFolder(path: string, wallMs: number): DataFolderOpening {
  try {
    if (statOf(path) === undefined) mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
    const mistake = mistakeIn(path, statSync(path));
    return mistake === undefined ? lock(realpathSync(path), wallMs) : { mistake };
  } catch (error) {
    return {
      mistake: `BREAKWATER_DATA_DIR must be a folder that can be made and used, received ${path} (${whyOf(error)}): ` +
        `make it for the user that runs the server, or set another one`,
    };
  }
}

function mistakeIn(path: string, found: Stats): string | undefined {
  const inside = `use a folder inside it, such as ${path.replace(/[/\\]+$/, "")}/breakwater`;
  if (!found.isDirectory()) return `BREAKWATER_DATA_DIR must be a folder, received ${path}, which is none`;
  if (process.platform === "win32") return undefined; // There are no modes there.
  const mode = (found.mode & 0o7777).toString(8).padStart(4, "0");
  if ((found.mode & OTHERS_WRITE) !== 0) {
    return `BREAKWATER_DATA_DIR must not be writable by others, received ${path} (mode ${mode}): ${inside}`;
  }
  const { userId } = nodeDisk;
  if (userId === undefined || found.uid === userId) return undefined;
  return `BREAKWATER_DATA_DIR must be a folder of the user that runs the server (${userId}), ` +
    `received ${path} (of ${found.uid}): change its owner, or ${inside}`;
}

function lock(path: string, wallMs: number): DataFolderOpening {
  const lockPath = lockFileIn(path);
  const lock = tryLockFile(lockPath);
  if (lock === undefined) {
    return {
      mistake: `BREAKWATER_DATA_DIR must not be in use by another server, received ${path} (${holderOf(lockPath)}): ` +
        `end that one, or set another folder`,
    };
  }
  sayWhoHolds(lockPath, wallMs);
  let held = { lock, inode: statOf(lockPath)?.ino };
  const keep = (): void => {
    // While we have the file open, no other can have its number.
    if (statOf(lockPath)?.ino === held.inode) return;
    const lock = tryLockFile(lockPath);
    if (lock === undefined) throw new Error(`${path} was deleted, and another server has it (${holderOf(lockPath)})`);
    held.lock.release();
    held = { lock, inode: statOf(lockPath)?.ino };
    sayWhoHolds(lockPath, wallMs);
  };
  // The file stays for good: whoever deleted it might delete the lock of the next one.
  return { folder: { path, keep, release: () => held.lock.release() } };
}

/** For people: the lock is the file's, not the text's. */
export function sayWhoHolds(lockPath: string, wallMs: number): void {
  try {
    writeFileSync(lockPath, `pid ${process.pid}, started ${new Date(wallMs).toISOString()}\n`);
  } catch {
    // A disk that takes nothing is no reason not to deliver what is there.
  }
}

function holderOf(lockPath: string): string {
  try {
    return readFileSync(lockPath, "utf8").trim().slice(0, HOLDER_LENGTH_MAX) || "not said by which";
  } catch {
    return "not said by which";
  }
}

function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

function whyOf(error: unknown): string {
  return (error as { code?: string }).code ?? String(error);
}
