import type { Disk } from "../exporters/journal/disk.ts";
import type { DataFolder } from "./data_folder.ts";

/**
 * A disk on which no file is made, or opened to write to it, in a folder that is not locked for us any more: a folder that was deleted under us
 * is locked again, and where another server was faster, it has the folder.
 */
export function lockedDisk(disk: Disk, folder: Pick<DataFolder, "keep">): Disk {
  return {
    userId: disk.userId,
    stat: (path) => disk.stat(path),
    makeFolder: (path) => disk.makeFolder(path),
    list: (path) => disk.list(path),
    create: async (path) => {
      folder.keep();
      return await disk.create(path);
    },
    open: (path) => disk.open(path),
    openToWrite: async (path) => {
      folder.keep();
      return await disk.openToWrite(path);
    },
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncFolder: (path) => disk.syncFolder(path),
  };
}
