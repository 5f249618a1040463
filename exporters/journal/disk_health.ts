/** How a journal's disk is. */
export interface JournalHealth {
  /** Whether records are accepted, kept and read as they should be. */
  readonly isWell: boolean;
  /** What is wrong now; undefined when nothing is. */
  readonly failure: string | undefined;
  /** How often something went wrong since the journal was opened. */
  readonly failureCount: number;
  /** Records that were answered with `journal_full`. */
  readonly refusedRecordCount: number;
  /** Damaged stretches that were found since the journal was opened. */
  readonly damageCount: number;
  /** What all segments take on the disk. */
  readonly diskBytes: number;
}

/** Which parts of a journal have trouble with the disk: one line when it begins, one when it ends. */
export class DiskHealth {
  readonly #report: (message: string) => void;
  readonly #failures = new Map<string, string>();
  failureCount = 0;

  constructor(report: (message: string) => void) {
    this.#report = report;
  }

  /** What is wrong; undefined when nothing is. */
  get failure(): string | undefined {
    const [failure] = this.#failures.values();
    return failure;
  }

  /** The disk has answered one part: with an error, or undefined when it did what it should. */
  answered(part: string, error: unknown): void {
    if (error === undefined) {
      if (this.#failures.delete(part) && this.#failures.size === 0) this.#report("the disk is well again");
      return;
    }
    this.failureCount++;
    const isNews = this.#failures.size === 0;
    this.#failures.set(part, `${part}: ${error instanceof Error ? error.message : String(error)}`);
    if (isNews) this.#report(`the disk fails: ${this.failure}`);
  }
}
