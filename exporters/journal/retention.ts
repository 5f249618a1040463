import type { CursorSet } from "./cursor_set.ts";
import type { DamageLog } from "./damage.ts";
import type { Disk } from "./disk.ts";
import type { StreamPoint } from "./format.ts";
import type { Segment, Segments } from "./segments.ts";
import type { SegmentWriter } from "./writer.ts";

/** What a {@linkcode Retention} decides about, and who has a say in it. */
export interface RetentionOptions {
  readonly disk: Disk;
  readonly segments: Segments;
  readonly writer: Pick<SegmentWriter, "active" | "end" | "isBroken" | "tail">;
  readonly cursors: Pick<CursorSet, "want" | "persist" | "dropBetween">;
  readonly damage: Pick<DamageLog, "settled">;
  /** Everything before this was let go of before. */
  readonly kept: StreamPoint;
  /** Makes durable what the journal knows of itself. Resolves with whether it is. */
  readonly persistState: () => Promise<boolean>;
}

/** Lets go of segments: those that no cursor wants any more, once it is durable that none does. */
export class Retention {
  readonly #options: RetentionOptions;
  #kept: StreamPoint;
  #isDue = false;
  #hasEnded = false;
  #working: Promise<void> | undefined;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#kept = options.kept;
  }

  /** Everything before this was let go of. */
  get kept(): StreamPoint {
    return this.#kept;
  }

  /** Something may be wanted no more: looks at it soon. */
  plan(): void {
    this.#isDue = true;
    this.#working ??= this.#work();
  }

  /**
   * Each cursor keeps to its bound; but what they keep in different places of the stream can be more, together, than the
   * files may take. Then those that may drop let go of the oldest segments, before anybody would have to be refused.
   *
   * @param bytesMax What the files may take.
   */
  makeRoom(bytesMax: number): void {
    const { segments, cursors } = this.#options;
    if (segments.bytes <= bytesMax) return;
    const wanted = [...segments].filter((segment) => this.#isWanted(segment));
    let bytes = wanted.reduce((sum, segment) => sum + segment.bytes, 0);
    for (const segment of wanted) {
      if (bytes <= bytesMax) return;
      cursors.dropBetween(segment.position, this.#endOf(segment));
      if (!this.#isWanted(segment)) bytes -= segment.bytes;
    }
  }

  /** Lets go of nothing more. Resolves when what was begun is done. */
  end(): Promise<void> {
    this.#hasEnded = true;
    return this.#working ?? Promise.resolve();
  }

  async #work(): Promise<void> {
    await Promise.resolve(); // Whatever changes in this turn is looked at once.
    while (this.#isDue && !this.#hasEnded) {
      this.#isDue = false;
      await this.#letGo();
    }
    this.#working = undefined;
  }

  async #letGo(): Promise<void> {
    const { disk, segments, writer, cursors, damage, persistState } = this.#options;
    const unwanted = [...segments].filter((segment) => !this.#isWanted(segment));
    if (unwanted.length === 0) return;
    if (!(await cursors.persist())) return;
    const left = [...segments].find((segment) => !unwanted.includes(segment));
    this.#kept = left === undefined ? writer.end : left.begin ?? this.#kept;
    if (!(await persistState())) return;
    await damage.settled();
    for (const segment of unwanted) {
      segments.remove(segment);
      await segment.file.close().catch(() => {});
      await disk.remove(segment.path).catch(() => {});
    }
  }

  #isWanted(segment: Segment): boolean {
    const { writer, cursors } = this.#options;
    const end = this.#endOf(segment);
    // What takes the place of a broken segment may need its room.
    return !writer.isBroken && (segment === writer.active || end > writer.tail.position) ||
      cursors.want(segment.position, end);
  }

  /** The position behind a segment's last record. */
  #endOf(segment: Segment): number {
    const { segments, writer } = this.#options;
    return segments.following(segment.position)?.position ?? writer.end.position;
  }
}
