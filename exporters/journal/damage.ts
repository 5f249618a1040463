import type { Disk } from "./disk.ts";
import { fileOffset, type Segment } from "./segments.ts";

/** Damaged bytes that are kept for people to look at, at most: the first are the most telling. */
const KEPT_BYTES_MAX = 64 * 2 ** 20;
const KEPT_COUNT_MAX = 64;

/** Stretches that are remembered, so that each is told of once, however many cursors come to it. */
const KNOWN_COUNT_MAX = 4096;

/** How the files of damaged bytes end. */
export const DAMAGED_SUFFIX = ".damaged";

/** The file that keeps damaged bytes of a segment, from an offset on. */
export function damagedPath({ path }: Segment, offset: number): string {
  return `${path}-${offset}${DAMAGED_SUFFIX}`;
}

/** Puts the bytes of damaged stretches into files of their own, before their segment is let go of. */
export class DamageLog {
  readonly #disk: Disk;
  readonly #onFound: (path: string, bytes: number) => void;
  readonly #known = new Set<string>();
  #keptCount: number;
  #keptBytes = 0;
  #work: Promise<void> = Promise.resolve();

  /** @param keptCount Files of damaged bytes that are there already. */
  constructor(disk: Disk, keptCount: number, onFound: (path: string, bytes: number) => void) {
    this.#disk = disk;
    this.#keptCount = keptCount;
    this.#onFound = onFound;
  }

  /** How many stretches were found. */
  get count(): number {
    return this.#known.size;
  }

  /** Notes a stretch of the stream that cannot be read as records. */
  note(segment: Segment, from: number, to: number): void {
    const offset = fileOffset(segment, from);
    const key = `${segment.number}-${offset}`;
    if (to <= from || this.#known.has(key) || this.#known.size >= KNOWN_COUNT_MAX) return;
    this.#known.add(key);
    this.#onFound(segment.path, to - from);
    const byteCount = Math.min(to - from, segment.bytes - offset, KEPT_BYTES_MAX - this.#keptBytes);
    if (byteCount <= 0 || this.#keptCount >= KEPT_COUNT_MAX) return;
    this.#keptCount++;
    this.#keptBytes += byteCount;
    this.#work = this.#work.then(() => this.#keep(segment, offset, byteCount)).catch(() => {});
  }

  /** Resolves when what was noted is kept, as far as the disk lets it. */
  settled(): Promise<void> {
    return this.#work;
  }

  async #keep(segment: Segment, offset: number, byteCount: number): Promise<void> {
    const bytes = new Uint8Array(byteCount);
    const read = segment.file.read(offset, bytes);
    if (read === 0) return;
    const file = await this.#disk.create(damagedPath(segment, offset));
    await file.write(0, bytes.subarray(0, read)).finally(() => file.close());
  }
}
