import type { Clock } from "../../core/clock.ts";
import type { Sleep } from "../sleep.ts";
import type { Disk, DiskFile } from "./disk.ts";

/**
 * How long one operation of a disk may take. A disk that is only busy has answered by then; senders have given up, so
 * whoever waits longer than this waits for a disk that hangs.
 */
export const PATIENCE_MS = 10_000;

/** A disk that always answers. */
export interface PatientDisk extends Disk {
  /** Nobody waits any more. */
  end(): void;
}

/**
 * A disk whose operations fail when they take longer than {@linkcode PATIENCE_MS}, so that one that hangs is treated
 * like one that fails. What an operation does after that is nobody's: a file that it opens is closed, one that it makes
 * is removed. `read` is synchronous, and waits as long as it takes.
 */
export function patientDisk(disk: Disk, clock: Clock, sleep: Sleep): PatientDisk {
  const patience = new Patience(clock, sleep);
  const opened = async (opening: Promise<DiskFile>, ifLate: (file: DiskFile) => Promise<void>) =>
    patientFile(await patience.wait(opening, ifLate), patience);
  return {
    get userId() {
      return disk.userId;
    },
    stat: (path) => patience.wait(disk.stat(path)),
    makeFolder: (path) => patience.wait(disk.makeFolder(path)),
    list: (folder) => patience.wait(disk.list(folder)),
    create: (path) =>
      opened(disk.create(path), async (file) => {
        await file.close();
        await disk.remove(path);
      }),
    open: (path) => opened(disk.open(path), (file) => file.close()),
    openToWrite: (path) => opened(disk.openToWrite(path), (file) => file.close()),
    rename: (from, to) => patience.wait(disk.rename(from, to)),
    remove: (path) => patience.wait(disk.remove(path)),
    syncFolder: (folder) => patience.wait(disk.syncFolder(folder)),
    end: () => patience.end(),
  };
}

function patientFile(file: DiskFile, patience: Patience): DiskFile {
  return {
    get size() {
      return file.size;
    },
    get isLinked() {
      return file.isLinked;
    },
    write: (offset, bytes) => patience.wait(file.write(offset, bytes)),
    read: (offset, into) => file.read(offset, into),
    sync: () => patience.wait(file.sync()),
    close: () => patience.wait(file.close()),
  };
}

/** Somebody who waits. */
interface Wait {
  readonly untilMs: number;
  readonly giveUp: () => void;
}

/** Waits for answers, each for so long. All have the same patience: so they give up in the order in which they began. */
class Patience {
  readonly #clock: Clock;
  readonly #sleep: Sleep;
  readonly #waits = new Set<Wait>();
  readonly #ending = new AbortController();
  #isWatching = false;

  constructor(clock: Clock, sleep: Sleep) {
    this.#clock = clock;
    this.#sleep = sleep;
  }

  /** @param ifLate What is done with an answer that nobody waits for any more. */
  wait<Answer>(answer: Promise<Answer>, ifLate?: (answer: Answer) => Promise<void>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const wait: Wait = {
        untilMs: this.#clock.nowMs() + PATIENCE_MS,
        giveUp: () => {
          reject(new Error(`the disk has not answered in ${PATIENCE_MS} ms`));
          if (ifLate !== undefined) void answer.then(ifLate).catch(() => {});
        },
      };
      this.#waits.add(wait);
      void answer.then(resolve, reject).then(() => this.#waits.delete(wait));
      if (!this.#isWatching) void this.#watch();
    });
  }

  end(): void {
    this.#ending.abort();
  }

  /** One timer for all of them. It may be over when nobody waits: to stop and start it would cost more than that. */
  async #watch(): Promise<void> {
    this.#isWatching = true;
    while (this.#waits.size > 0 && !this.#ending.signal.aborted) {
      const [first] = this.#waits;
      await this.#sleep(first.untilMs - this.#clock.nowMs(), this.#ending.signal);
      for (const wait of this.#waits) {
        if (wait.untilMs > this.#clock.nowMs()) break;
        this.#waits.delete(wait);
        wait.giveUp();
      }
    }
    this.#isWatching = false;
  }
}
