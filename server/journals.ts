import type { Clock } from "../core/clock.ts";
import type { Disk } from "../exporters/journal/disk.ts";
import type { JournalHealth } from "../exporters/journal/disk_health.ts";
import { DiskJournal } from "../exporters/journal/disk_journal.ts";
import type { Journal } from "../exporters/journal/journal.ts";
import { MemoryJournal } from "../exporters/journal/memory_journal.ts";
import { Quarantine, type QuarantineHeld } from "../exporters/journal/quarantine.ts";
import { bySignal, ITEM_NAMES, type Signal, SIGNALS } from "../exporters/signal.ts";
import type { Sleep } from "../exporters/sleep.ts";
import type { Config } from "./config.ts";
import { type DataFolder, journalFolderIn, openDataFolder, quarantineFolderIn } from "./data_folder.ts";
import { lockedDisk } from "./locked_disk.ts";
import type { Log } from "./log.ts";
import { StartError } from "./start_error.ts";

/** What journals are opened with. */
export interface JournalsParts {
  readonly config: Pick<
    Config,
    "dataDir" | "fsync" | "quarantineBytesMax" | "queueBytesMax" | "queueItemsMax" | "recordAgeMaxMs"
  >;
  readonly log: Log;
  readonly clock: Clock;
  readonly sleep: Sleep;
  readonly disk: Disk;
}

/** How one signal's journal and its disk are. */
export interface JournalStatus extends JournalHealth {
  readonly signal: Signal;
}

/** What is in the quarantine of one signal. */
export interface QuarantineStatus extends QuarantineHeld {
  readonly signal: Signal;
}

/** However little is left of a drain, what is in the system's hands gets this long to reach the disk. */
const CLOSE_MS_MIN = 1000;

/** The journals of all signals, and the quarantine, in one folder that is locked for us; or journals in memory. */
export class Journals {
  readonly ofSignal: Readonly<Record<Signal, Journal>>;
  /** Where lanes put what is refused for good; undefined in memory. */
  readonly quarantine: Quarantine | undefined;
  readonly #onDisk: readonly DiskJournal[];
  readonly #folder: DataFolder | undefined;
  readonly #parts: JournalsParts;

  private constructor(
    ofSignal: Readonly<Record<Signal, Journal>>,
    onDisk: readonly DiskJournal[],
    quarantine: Quarantine | undefined,
    folder: DataFolder | undefined,
    parts: JournalsParts,
  ) {
    this.ofSignal = ofSignal;
    this.quarantine = quarantine;
    this.#onDisk = onDisk;
    this.#folder = folder;
    this.#parts = parts;
  }

  /**
   * Opens them: with what a process before this one has left, where they are on a disk.
   *
   * @throws {StartError} When the folder cannot be used, or a journal in it cannot be opened.
   */
  static async open(parts: JournalsParts): Promise<Journals> {
    const { config, clock } = parts;
    if (config.dataDir === "off") {
      return new Journals(bySignal((signal) => inMemory(signal, parts)), [], undefined, undefined, parts);
    }
    const opening = openDataFolder(config.dataDir, clock.wallMs());
    if ("mistake" in opening) throw new StartError([opening.mistake]);
    const { folder } = opening;
    const inFolder = { ...parts, disk: lockedDisk(parts.disk, folder) };
    const opened: DiskJournal[] = [];
    try {
      for (const signal of SIGNALS) opened.push(await onDisk(signal, folder, inFolder));
      const ofSignal = bySignal((signal) => opened.find((journal) => journal.signal === signal)!);
      return new Journals(ofSignal, opened, await quarantineIn(folder, inFolder), folder, parts);
    } catch (error) {
      await Promise.all(opened.map((journal) => journal.close()));
      folder.release();
      const why = error instanceof Error ? error.message : String(error);
      throw new StartError([
        `BREAKWATER_DATA_DIR must hold journals that can be opened, received ${folder.path}: ${why}`,
      ]);
    }
  }

  /** Where they are; undefined in memory. */
  get path(): string | undefined {
    return this.#folder?.path;
  }

  /** How they are on the disk: all well where there is none. */
  get statuses(): readonly JournalStatus[] {
    return SIGNALS.map((signal) => {
      const journal = this.#onDisk.find((journal) => journal.signal === signal);
      return { signal, ...(journal?.health ?? IN_MEMORY) };
    });
  }

  /** What is in the quarantine: nothing where there is none. */
  get quarantined(): readonly QuarantineStatus[] {
    return SIGNALS.map((signal) => ({ signal, ...(this.quarantine?.heldOf(signal) ?? NOTHING_HELD) }));
  }

  /** What is wrong with the disk; undefined when nothing is. */
  get failure(): string | undefined {
    const failed = this.statuses.find(({ isWell }) => !isWell);
    return failed && `journal of ${failed.signal}: ${failed.failure}`;
  }

  /** Says what waits for destinations that are not configured any more, once those that are have their cursors. */
  retireOthers(): void {
    for (const journal of this.#onDisk) {
      for (const { name, queued: { items } } of journal.retireOthers()) {
        if (items === 0) continue;
        this.#parts.log(
          "warning",
          `${journal.signal} -> ${name}: ${items} ${ITEM_NAMES[journal.signal]} wait for a destination that is not ` +
            "configured any more; they are kept until it is again, and nothing is added to them",
        );
      }
    }
  }

  /** Makes durable what was accepted, and lets go of the folder. A disk that hangs is not waited for beyond the deadline. */
  async close(deadlineMs: number): Promise<void> {
    const { log, sleep } = this.#parts;
    const ended = new AbortController();
    const parts = [...Object.values(this.ofSignal), ...(this.quarantine === undefined ? [] : [this.quarantine])];
    const closed = Promise.all(parts.map((part) => part.close())).then(() => {
      // Only now: whatever still writes must not meet the next server.
      this.#folder?.release();
      return true;
    });
    const patience = sleep(Math.max(deadlineMs, CLOSE_MS_MIN), ended.signal).then(() => false);
    if (!await Promise.race([closed, patience])) {
      log("error", "The disk did not finish in time: what it was not done with may have to be delivered again");
    }
    ended.abort();
  }
}

const IN_MEMORY: JournalHealth = {
  isWell: true,
  failure: undefined,
  failureCount: 0,
  refusedRecordCount: 0,
  damageCount: 0,
  diskBytes: 0,
};

const NOTHING_HELD: QuarantineHeld = { records: 0, items: 0, bytes: 0 };

function inMemory(signal: Signal, { config, clock }: JournalsParts): MemoryJournal {
  const { queueBytesMax, queueItemsMax, recordAgeMaxMs } = config;
  return new MemoryJournal(signal, { bytesMax: queueBytesMax, itemsMax: queueItemsMax, recordAgeMaxMs, clock });
}

function onDisk(signal: Signal, { path }: DataFolder, parts: JournalsParts): Promise<DiskJournal> {
  const { config, log, disk, clock, sleep } = parts;
  return DiskJournal.open(signal, {
    folder: journalFolderIn(path),
    bytesMax: config.queueBytesMax,
    itemsMax: config.queueItemsMax,
    recordAgeMaxMs: config.recordAgeMaxMs,
    fsync: config.fsync,
    report: (message) => log("warning", message),
    disk,
    clock,
    sleep,
  });
}

function quarantineIn({ path }: DataFolder, { config, log, disk, clock, sleep }: JournalsParts): Promise<Quarantine> {
  return Quarantine.open({
    folder: quarantineFolderIn(path),
    bytesMax: config.quarantineBytesMax,
    report: (message) => log("warning", message),
    disk,
    clock,
    sleep,
  });
}
