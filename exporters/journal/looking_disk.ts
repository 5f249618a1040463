import type { Disk, DiskFile, DiskStat } from "./disk.ts";

/**
 * A disk that is only looked at. What its user would do to it is noted and not done: so the code that opens a journal
 * can say what it would find, and what it would change.
 */
export class LookingDisk implements Disk {
  readonly #disk: Disk;
  /** Files that would have been given another name. */
  readonly renamed: Set<string> = new Set();
  /** Files that would have been removed. */
  readonly removed: Set<string> = new Set();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  get userId(): number | undefined {
    return this.#disk.userId;
  }

  stat(path: string): Promise<DiskStat | undefined> {
    return this.#disk.stat(path);
  }

  list(folder: string): Promise<readonly string[]> {
    return this.#disk.list(folder);
  }

  open(path: string): Promise<DiskFile> {
    return this.#disk.open(path);
  }

  rename(from: string): Promise<void> {
    this.renamed.add(from);
    return Promise.resolve();
  }

  remove(path: string): Promise<void> {
    this.removed.add(path);
    return Promise.resolve();
  }

  makeFolder(): Promise<void> {
    return Promise.resolve();
  }

  syncFolder(): Promise<void> {
    return Promise.resolve();
  }

  /** @throws {Error} Always: whoever looks writes nothing. */
  openToWrite(path: string): Promise<DiskFile> {
    return Promise.reject(new Error(`Cannot write to ${path}: the disk is only looked at`));
  }

  /** @throws {Error} Always: whoever looks makes nothing. */
  create(path: string): Promise<DiskFile> {
    return Promise.reject(new Error(`Cannot create ${path}: the disk is only looked at`));
  }
}
