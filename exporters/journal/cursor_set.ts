import type { Clock } from "../../core/clock.ts";
import type { CountByReason } from "../reason.ts";
import type { Sleep } from "../sleep.ts";
import { DiskCursor } from "./cursor.ts";
import { broughtForward, cursorFileName, encodeCursorState, newCursorState } from "./cursor_state.ts";
import { type RecordHead, storedBytes, type StreamPoint } from "./format.ts";
import type { OnFull } from "./journal.ts";
import type { StreamReader } from "./reader.ts";
import type { RecoveredCursor } from "./recovery.ts";
import type { SlotFile } from "./slot_file.ts";

/** What the cursors of a journal need of it. */
export interface CursorSetOptions {
  /** Those that were found in the folder, by the names of their files. */
  readonly recovered: ReadonlyMap<string, RecoveredCursor>;
  /** Whether there may have been others, so that none is certainly new. */
  readonly hasLostCursors: boolean;
  readonly bytesMax: number;
  readonly itemsMax: number;
  readonly recordAgeMaxMs: number;
  readonly retryMs: number;
  readonly discarded: Readonly<CountByReason>;
  readonly clock: Clock;
  readonly sleep: Sleep;
  readonly reader: () => StreamReader;
  readonly slotFile: (name: string, generation: number, value: () => unknown) => SlotFile;
  /** Told when some cursor may want less than before. */
  readonly onChange: () => void;
  readonly onDisk: (part: string, error: unknown) => void;
}

/** A cursor and its file. */
interface KeptCursor {
  readonly cursor: DiskCursor;
  readonly file: SlotFile;
  /** Whether the file is there: before that, nothing is accepted that the cursor would have to know of. */
  isMade: boolean;
  /** Resolves with that, while somebody tries. */
  making: Promise<boolean> | undefined;
}

/** Where a stream begins that is still there, what was let go of, and where it ends. */
export interface StreamExtent {
  readonly oldest: StreamPoint;
  readonly kept: StreamPoint;
  readonly end: StreamPoint;
}

/** The cursors of a journal that are open, with their files. */
export class CursorSet implements Iterable<DiskCursor> {
  readonly #options: CursorSetOptions;
  readonly #kept = new Map<string, KeptCursor>();
  readonly #made: Set<string>;

  constructor(options: CursorSetOptions) {
    this.#options = options;
    this.#made = new Set(options.recovered.keys());
  }

  /** The names of all files that were ever made. */
  get made(): readonly string[] {
    return [...this.#made];
  }

  *[Symbol.iterator](): Iterator<DiskCursor> {
    for (const { cursor } of this.#kept.values()) yield cursor;
  }

  /**
   * Opens a cursor: where it was, if it was there before, else at the end.
   *
   * @throws {RangeError} When the cursor is open with another `onFull`.
   */
  open(name: string, onFull: OnFull, extent: StreamExtent): DiskCursor {
    const open = this.#kept.get(name)?.cursor;
    if (open === undefined) return this.#open(name, onFull, extent, false);
    if (open.onFull === onFull) return open;
    throw new RangeError(
      `Cannot open cursor "${name}": "onFull" is "${open.onFull}" already, received "${onFull}"`,
    );
  }

  /** Opens what was found and is not open, as retired. */
  retireOthers(extent: StreamExtent): readonly DiskCursor[] {
    const names = [...this.#options.recovered.values()].flatMap(({ state }) => state === undefined ? [] : [state.name]);
    const others = names.filter((name) => !this.#kept.has(name));
    return others.map((name) => this.#open(name, "drop_oldest", extent, true));
  }

  #open(name: string, onFull: OnFull, { oldest, kept, end }: StreamExtent, isRetired: boolean): DiskCursor {
    const { recovered, hasLostCursors, discarded, slotFile, onChange, onDisk, reader, ...others } = this.#options;
    const fileName = cursorFileName(name);
    const found = recovered.get(fileName);
    const state = found === undefined && !hasLostCursors
      ? newCursorState({ name, at: end, discarded, reason: "no_destination" })
      : found?.state === undefined
      // Nobody knows what it has delivered: what is there is delivered again, and no more is claimed of the rest.
      ? newCursorState({ name, at: oldest, discarded, reason: "corrupt" })
      : broughtForward(found.state, kept);
    const file = slotFile(fileName, found?.generation ?? 0, () => encodeCursorState(cursor.state));
    const cursor: DiskCursor = new DiskCursor({
      ...others,
      isRetired,
      state: { ...state, name, onFull },
      end,
      discarded,
      reader: reader(),
      onChange: () => {
        file.touch();
        onChange();
      },
      noted: () => file.written(),
      onDisk: (error) => onDisk(`reading for "${name}"`, error),
    });
    this.#kept.set(name, { cursor, file, isMade: found?.state !== undefined, making: undefined });
    file.touch();
    return cursor;
  }

  /** Whether each cursor has its file, so that it would be there again after a crash. Makes those that are missing. */
  async areMade(): Promise<boolean> {
    for (const [name, kept] of this.#kept) {
      if (kept.isMade) continue;
      kept.making ??= kept.file.persist();
      kept.isMade = await kept.making;
      kept.making = undefined;
      if (!kept.isMade) return false;
      this.#made.add(cursorFileName(name));
    }
    return true;
  }

  /** Whether every cursor that would have to refuse a record has room for it. */
  haveRoom(bytes: number, itemCount: number): boolean {
    for (const cursor of this) {
      if (cursor.onFull !== "reject" || this.#hasRoom(cursor, bytes, itemCount)) continue;
      cursor.dropExpired();
      if (!this.#hasRoom(cursor, bytes, itemCount)) return false;
    }
    return true;
  }

  /** The stream has become longer by a record: the cursors make room for it. */
  appended(head: RecordHead): void {
    const bytes = storedBytes(head);
    for (const cursor of this) {
      while (!cursor.isRetired && !this.#hasRoom(cursor, bytes, head.itemCount) && cursor.dropOldest());
      cursor.appended(head, this.#hasRoom(cursor, bytes, head.itemCount));
      cursor.dropExpired();
    }
  }

  /** Cursors that may drop let go of a stretch of the stream, and of what is before it; not if another keeps it anyway. */
  dropBetween(from: number, to: number): void {
    const cursors = [...this];
    if (cursors.some((cursor) => cursor.onFull === "reject" && cursor.wants(from, to))) return;
    for (const cursor of cursors) if (cursor.onFull === "drop_oldest") cursor.dropBefore(to);
  }

  /** Whether any cursor still wants something between two positions of the stream. */
  want(from: number, to: number): boolean {
    for (const cursor of this) if (cursor.wants(from, to)) return true;
    return false;
  }

  /** Makes durable where every cursor stands. @returns Whether it is. */
  async persist(): Promise<boolean> {
    let arePersisted = true;
    for (const { file } of this.#kept.values()) arePersisted = await file.persist() && arePersisted;
    return arePersisted;
  }

  async close(): Promise<void> {
    for (const { file } of this.#kept.values()) await file.close();
  }

  #hasRoom(cursor: DiskCursor, bytes: number, itemCount: number): boolean {
    const { bytesMax, itemsMax } = this.#options;
    return cursor.queuedBytes + bytes <= bytesMax && cursor.queuedItems + itemCount <= itemsMax;
  }
}
