import type { Disk } from "./disk.ts";

/** Bits of a mode: what anybody may do, and what anybody but the owner may do. */
const OTHERS_WRITE = 0o002;
const NOT_OWNER = 0o077;

/**
 * Makes the folder of a journal or of the quarantine, or looks at the one that is there: it has to be a folder of our
 * own that nobody else may enter, and none that others could put another one in place of.
 *
 * @throws {Error} When it is not, in words for whoever set it.
 */
export async function openFolder(
  disk: Disk,
  folder: string,
  what: "journal" | "quarantine" = "journal",
): Promise<void> {
  const above = await disk.stat(parentOf(folder));
  if (above?.mode !== undefined && (above.mode & OTHERS_WRITE) !== 0) {
    throw new Error(
      `Cannot open ${what}: "folder" must not stand directly in a folder that others can write, received ${folder}`,
    );
  }
  await makeFolder(disk, folder);
  const found = await disk.stat(folder);
  const isOurs = disk.userId === undefined || found?.userId === disk.userId;
  const isPrivate = found?.mode === undefined || (found.mode & NOT_OWNER) === 0;
  if (found?.kind === "folder" && (found.mode === undefined || isOurs) && isPrivate) return;
  throw new Error(
    `Cannot open ${what}: "folder" must be a folder of our own that nobody else may enter (mode 0700), received ${folder}`,
  );
}

/** Makes a folder that is not there, and those above it, so that they outlive a loss of power. */
export async function makeFolder(disk: Disk, folder: string): Promise<void> {
  if (await disk.stat(folder) !== undefined) return;
  if (parentOf(folder) !== folder) await makeFolder(disk, parentOf(folder));
  await disk.makeFolder(folder);
  await syncName(disk, folder);
}

/** Makes the name of a folder durable, where we may read the one that it is in. */
export async function syncName(disk: Disk, folder: string): Promise<void> {
  await disk.syncFolder(parentOf(folder)).catch(() => {});
}

/** The folder in which a file or a folder stands. */
export function parentOf(folder: string): string {
  const end = folder.replace(/[/\\]+$/, "").search(/[/\\][^/\\]*$/);
  return end < 0 ? "." : folder.slice(0, end) || "/";
}
