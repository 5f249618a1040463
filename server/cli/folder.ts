import { ForeignVersionError, inspectStream, type StreamInspection } from "../../exporters/journal/inspection.ts";
import { type Signal, SIGNALS } from "../../exporters/signal.ts";
import { defaultDataDir, HOLDER_LENGTH_MAX, journalFolderIn, lockFileIn } from "../data_folder.ts";
import type { FileLock } from "../platform.ts";
import { CliFailure, type CliIo, type CommonOptions, EXIT } from "./io.ts";

/**
 * The data folder that is meant: the option, else what the server would use.
 *
 * @throws {CliFailure} When there is none.
 */
export async function dataFolder({ data }: CommonOptions, { environment, disk }: CliIo): Promise<string> {
  const folder = data ?? fromEnvironment(environment);
  if (folder === undefined) throw new CliFailure("No data folder is known: give one with --data DIR", EXIT.usage);
  const found = await disk.stat(folder).catch((error) => {
    throw asFailure(error, folder);
  });
  if (found === undefined) {
    throw new CliFailure(
      `There is no folder ${folder}: give the one that the server keeps its data in with --data DIR (its ready line says data=…)`,
    );
  }
  if (found.kind === "file") throw new CliFailure(`${folder} is a file: give the folder that it is in with --data DIR`);
  return folder.replace(/(?<=.)\/+$/, "");
}

function fromEnvironment(environment: CliIo["environment"]): string | undefined {
  const named = environment.BREAKWATER_DATA_DIR?.trim() ?? "";
  if (named.toLowerCase() === "off") {
    throw new CliFailure(
      "BREAKWATER_DATA_DIR is off, so there is no data folder: give one with --data DIR",
      EXIT.usage,
    );
  }
  if (named !== "") return named;
  return defaultDataDir(environment);
}

/** The folder of one signal's stream in a data folder. */
export function streamFolder(data: string, signal: Signal): string {
  return `${journalFolderIn(data)}/${signal}`;
}

/**
 * The signals that have a stream.
 *
 * @throws {CliFailure} When there is no journal.
 */
export async function signalsIn(data: string, { disk }: CliIo): Promise<readonly Signal[]> {
  const signals: Signal[] = [];
  for (const signal of SIGNALS) {
    const found = await disk.stat(streamFolder(data, signal)).catch((error) => {
      throw asFailure(error, streamFolder(data, signal));
    });
    if (found?.kind === "folder") signals.push(signal);
  }
  if (signals.length > 0) return signals;
  const missing = journalFolderIn(data);
  throw new CliFailure(
    `There is no journal in ${data}: ${missing} is not there; give the data folder that the server's ready line names`,
  );
}

/** Looks at one signal's stream. @throws {CliFailure} When it cannot be looked at. */
export async function inspect(data: string, signal: Signal, { disk }: CliIo): Promise<StreamInspection> {
  const folder = streamFolder(data, signal);
  try {
    return await inspectStream(disk, folder);
  } catch (error) {
    throw asFailure(error, folder);
  }
}

/**
 * Keeps servers out of a data folder until it is released.
 *
 * @throws {CliFailure} When one is in it, or the folder is another user's.
 */
export async function lockFolder(data: string, io: CliIo): Promise<FileLock> {
  await mustBeOurs(data, io);
  const lock = tryLockFolder(data, io);
  if (lock !== undefined) return lock;
  const holder = await lastHolder(data, io) ?? "it does not say which";
  throw new CliFailure(`A server is using ${data} (${holder}): end it first, then try again`, EXIT.refused);
}

/** What another user makes, even the superuser, the server may not be able to read. */
async function mustBeOurs(data: string, { disk }: CliIo): Promise<void> {
  const found = await disk.stat(data);
  if (found?.mode === undefined || disk.userId === undefined || found.userId === disk.userId) return;
  throw new CliFailure(
    `${data} belongs to user ${found.userId}, this is user ${disk.userId}: run it as that user, or the server could not ` +
      `use what is written (sudo -u '#${found.userId}' …)`,
  );
}

/** As above, but undefined when a server is in it. */
export function tryLockFolder(data: string, { tryLock }: CliIo): FileLock | undefined {
  const path = lockFileIn(data);
  try {
    return tryLock(path);
  } catch (error) {
    throw asFailure(error, path);
  }
}

/** Who says to have locked a data folder last, whether it still runs or not. */
export async function lastHolder(data: string, { disk }: CliIo): Promise<string | undefined> {
  try {
    const file = await disk.open(lockFileIn(data));
    const bytes = new Uint8Array(HOLDER_LENGTH_MAX);
    const text = new TextDecoder().decode(bytes.subarray(0, file.read(0, bytes))).trim();
    await file.close();
    return text === "" ? undefined : text;
  } catch {
    return undefined;
  }
}

/** What the system said, in a sentence. */
export function asFailure(error: unknown, path: string): CliFailure {
  if (error instanceof CliFailure) return error;
  if (error instanceof ForeignVersionError) {
    return new CliFailure(
      `${error.path} was written by another version of Breakwater (its format is ${error.version}): use that version`,
    );
  }
  const { code, message = String(error) } = error as { readonly code?: string; readonly message?: string };
  const why = code === undefined ? undefined : REASONS[code];
  return new CliFailure(
    why === undefined ? `Cannot use ${path}: ${message.split("\n")[0]}` : `Cannot use ${path}: ${why} (${code})`,
  );
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "it may not be read or written by this user; run this as the user of the server",
  EPERM: "it may not be read or written by this user; run this as the user of the server",
  ENOENT: "it is not there, or was removed meanwhile; try again",
  ENOTDIR: "what should be a folder is a file",
  EISDIR: "what should be a file is a folder",
  ENOSPC: "the disk is full; make room and try again",
  EROFS: "the disk is mounted read-only; mount it writable and try again",
  EIO: "the disk fails; look at the system's log, and copy what is left",
  EMFILE: "too many files are open; raise the limit (ulimit -n)",
};
