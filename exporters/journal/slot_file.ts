import type { Disk, DiskFile } from "./disk.ts";
import { decodeSlot, encodeSlot, type Slot, SLOT_BYTES_MAX, SLOT_HEAD_BYTES, slotBytes } from "./format.ts";
import { makeFolder } from "./journal_folder.ts";

/** One slot is durable, one is being made so; the other two are written in turn, so that one of those is whole. */
export const SLOT_COUNT = 4;

/** Where a {@linkcode SlotFile} is, and what it says. */
export interface SlotFileOptions {
  readonly disk: Disk;
  readonly folder: string;
  readonly name: string;
  /** The youngest generation that was ever written under this name; 0 for none. */
  readonly generation: number;
  /** What is to be written, as it is now. */
  readonly value: () => unknown;
  /** Told how a write went. */
  readonly onWritten: (error: unknown) => void;
}

/**
 * A small value in a file, whole at any moment: a process killed in a write leaves the value before, a loss of power at
 * least the last one that was synced.
 *
 * Writes happen in the background, one at a time; what changes during one is in the next. They do not wait for the
 * device: while a value is made durable, younger ones are written beside it.
 *
 * ```
 *   durable │ being synced │ written last │ written next        each in a slot, by turns
 * ```
 *
 * After a failure, and when it is written for the first time, a new file is made and gets the name. Where there is no
 * room for one, the slots of the old file have theirs already: a full disk must not keep anybody from saying what it may
 * let go of.
 */
export class SlotFile {
  readonly #options: SlotFileOptions;
  readonly #path: string;
  #file: DiskFile | undefined;
  #generation: number;
  /** The slots that must not be written to: the durable one, the one that is to be durable next, the youngest. */
  #durableSlot = 0;
  #syncedSlot = 0;
  #lastSlot = 0;
  #work: Promise<void> = Promise.resolve();
  #persisting: Promise<boolean> = Promise.resolve(true);
  /** Whether a sync of the file is under way or has failed: nobody knows what is durable of it. */
  #isSuspect = false;
  #touched = false;
  #closed = false;

  constructor(options: SlotFileOptions) {
    this.#options = options;
    this.#path = `${options.folder}/${options.name}`;
    this.#generation = options.generation;
  }

  /** The value has changed: it is written soon. */
  touch(): void {
    if (this.#touched || this.#closed) return;
    this.#touched = true;
    void this.#next(() => this.#write(), () => this.#touched);
  }

  /** Resolves when the value as it is now was written, if it was touched, or the disk did not take it. */
  written(): Promise<void> {
    return this.#work;
  }

  /**
   * Makes the value durable, with whatever it changes to meanwhile. Whichever of the slots is damaged later, none that
   * is older than this will count.
   *
   * @returns Whether it is durable.
   */
  persist(): Promise<boolean> {
    return this.#persisting = this.#persisting.then(() => this.#persist());
  }

  /** Waits for what is being written, and lets go of the file. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#persisting;
    await this.#work;
    await this.#abandon();
  }

  async #persist(): Promise<boolean> {
    let file: DiskFile | undefined;
    let synced: Promise<unknown> | undefined;
    const isWritten = await this.#next(async () => {
      if (this.#file !== undefined && !this.#file.isLinked) await this.#abandon();
      if (this.#file === undefined) return await this.#write(); // To a new file, which is durable.
      await this.#write();
      await this.#write();
      this.#syncedSlot = this.#lastSlot;
      file = this.#file;
      synced = this.#sync(file).then(() => undefined, (error) => error ?? new Error("The disk failed"));
    });
    if (file === undefined) return isWritten;
    const error = await synced;
    let isDurable = false;
    // Unless a write has failed meanwhile, and the file was given up.
    await this.#next(() => {
      if (error !== undefined) throw error;
      this.#durableSlot = this.#syncedSlot;
      isDurable = true;
    }, () => this.#file === file);
    return isDurable;
  }

  /** Runs one piece of work after the others, unless those have done it: that says nothing of the disk. */
  #next(work: () => Promise<void> | void, isDue = () => true): Promise<boolean> {
    const done = this.#work.then(() => isDue() ? this.#try(work) : true);
    this.#work = done.then(() => {});
    return done;
  }

  async #try(work: () => Promise<void> | void): Promise<boolean> {
    const { onWritten } = this.#options;
    try {
      await work();
      onWritten(undefined);
      return true;
    } catch (error) {
      await this.#abandon();
      onWritten(error ?? new Error("The disk failed"));
      return false;
    }
  }

  async #write(): Promise<void> {
    this.#touched = false;
    const { value } = this.#options;
    const bytes = encodeSlot({ generation: ++this.#generation, value: value() });
    if (this.#file === undefined) return await this.#begin(bytes);
    const slot = this.#freeSlot();
    await this.#file.write(slot * SLOT_BYTES_MAX, bytes);
    this.#lastSlot = slot;
  }

  /** The next one by turns that may be written to. */
  #freeSlot(): number {
    const taken = [this.#durableSlot, this.#syncedSlot, this.#lastSlot];
    let slot = this.#lastSlot;
    while (taken.includes(slot)) slot = (slot + 1) % SLOT_COUNT;
    return slot;
  }

  async #sync(file: DiskFile): Promise<void> {
    this.#isSuspect = true;
    await file.sync();
    this.#isSuspect = false;
  }

  async #begin(bytes: Uint8Array): Promise<void> {
    try {
      await this.#make(bytes);
    } catch (error) {
      if (this.#isSuspect) throw error;
      await this.#reuse(bytes).catch(() => Promise.reject(error));
    }
  }

  /** A new file in place of the old one, if any: with the value in every slot, durable. Each has its room then. */
  async #make(bytes: Uint8Array): Promise<void> {
    const { disk, folder } = this.#options;
    // No name twice: nobody knows when an operation ends that took too long.
    const newPath = `${this.#path}-${this.#generation}.new`;
    await makeFolder(disk, folder);
    const file = await disk.create(newPath);
    try {
      for (let slot = 0; slot < SLOT_COUNT; slot++) await file.write(slot * SLOT_BYTES_MAX, bytes);
      await file.sync();
      await disk.rename(newPath, this.#path);
      await disk.syncFolder(folder);
    } catch (error) {
      void file.close().catch(() => {});
      void disk.remove(newPath).catch(() => {});
      throw error;
    }
    this.#file = file;
    this.#durableSlot = this.#syncedSlot = this.#lastSlot = 0;
    this.#isSuspect = false;
  }

  /** The old file, with the value in every slot: in the youngest that is whole last, and durable before that. */
  async #reuse(bytes: Uint8Array): Promise<void> {
    const { disk, folder } = this.#options;
    const file = await disk.openToWrite(this.#path);
    try {
      await this.#sync(file);
      const youngest = slotsIn(file)[0].index;
      for (let step = 1; step <= SLOT_COUNT; step++) {
        await file.write((youngest + step) % SLOT_COUNT * SLOT_BYTES_MAX, bytes);
        await this.#sync(file);
      }
      await disk.syncFolder(folder); // It may have got its name only now.
      this.#durableSlot = this.#syncedSlot = this.#lastSlot = youngest;
    } catch (error) {
      void file.close().catch(() => {});
      throw error;
    }
    this.#file = file;
  }

  async #abandon(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => {});
  }
}

/** The whole slots of a file, the youngest first. */
export async function readSlots(disk: Disk, path: string): Promise<readonly Slot[]> {
  const file = await disk.open(path);
  try {
    return slotsIn(file);
  } finally {
    await file.close();
  }
}

function slotsIn(file: DiskFile): readonly (Slot & { readonly index: number })[] {
  const slots: (Slot & { readonly index: number })[] = [];
  for (let index = 0; index < SLOT_COUNT; index++) {
    const slot = readSlot(file, index * SLOT_BYTES_MAX);
    if (slot !== undefined) slots.push({ ...slot, index });
  }
  return slots.sort((a, b) => b.generation - a.generation);
}

function readSlot(file: DiskFile, offset: number): Slot | undefined {
  try {
    const head = new Uint8Array(SLOT_HEAD_BYTES);
    if (file.read(offset, head) < head.length) return undefined;
    const bytes = new Uint8Array(Math.min(slotBytes(head), SLOT_BYTES_MAX));
    return decodeSlot(bytes.subarray(0, file.read(offset, bytes)));
  } catch {
    return undefined; // What cannot be read is as good as damaged.
  }
}
