import type { DiskFile } from "./disk.ts";
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader, type StreamPoint } from "./format.ts";

/** One file of the stream. */
export interface Segment {
  readonly number: number;
  readonly path: string;
  readonly file: DiskFile;
  /** The position in the stream at which its first record stands. */
  readonly position: number;
  /** The point at that position; undefined when a damaged header and damage behind it leave only the position. */
  readonly begin: StreamPoint | undefined;
  /** How long the file is, in bytes. */
  bytes: number;
}

/**
 * The segments of a stream, in its order. Each reaches to where the next one begins, whatever stands in its file behind
 * that: so a new segment takes the place of what could not be trusted at the end of the one before.
 *
 * ```
 *   position 0        1200                 2600        3100
 *   ├── number 4 ──────┼── number 5 ──┄┄┄┄┄┄┼── number 7 ┼── number 8, the active one ──►
 * ```
 */
export class Segments implements Iterable<Segment> {
  #segments: Segment[] = [];

  get count(): number {
    return this.#segments.length;
  }

  /** What all files take, in bytes. */
  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get last(): Segment | undefined {
    return this.#segments.at(-1);
  }

  [Symbol.iterator](): Iterator<Segment> {
    return this.#segments.values();
  }

  /**
   * Adds a segment that is younger than all others.
   *
   * @returns Those that it takes the place of as a whole. They are not part of the stream any more.
   */
  add(segment: Segment): readonly Segment[] {
    const superseded = this.#segments.filter(({ position }) => position >= segment.position);
    this.#segments = this.#segments.filter(({ position }) => position < segment.position);
    this.#segments.push(segment);
    return superseded;
  }

  remove(segment: Segment): void {
    this.#segments = this.#segments.filter((other) => other !== segment);
  }

  /** The segment that a position falls into; undefined when it is before them all. */
  holding(position: number): Segment | undefined {
    return this.#segments[this.#indexOf(position)];
  }

  /** The segment that a position falls into, and those behind it. */
  from(position: number): readonly Segment[] {
    return this.#segments.slice(Math.max(0, this.#indexOf(position)));
  }

  /** The first segment that begins behind a position. */
  following(position: number): Segment | undefined {
    return this.#segments[this.#indexOf(position) + 1];
  }

  /** The index of the last segment that begins at a position or before it; -1 when there is none. */
  #indexOf(position: number): number {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#segments[middle].position <= position) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** Where in its segment's file a position of the stream is. */
export function fileOffset(segment: Segment, position: number): number {
  return SEGMENT_HEADER_BYTES + position - segment.position;
}

/** The header of a segment's file; undefined when it cannot be read, or is damaged. */
export function readSegmentHeader(file: DiskFile): SegmentHeader | undefined {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  try {
    return decodeSegmentHeader(bytes.subarray(0, file.read(0, bytes)));
  } catch {
    return undefined; // What cannot be read is as good as damaged.
  }
}

/** What a segment's file is called, whatever it should be called. */
export function fileNameOf({ path }: Pick<Segment, "path">): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The name of a segment's file. */
export function segmentName(number: number): string {
  return `${String(number).padStart(12, "0")}.segment`;
}

/** The number in the name of a segment's file; undefined when it is no such name. */
export function segmentNumber(name: string): number | undefined {
  const digits = /^(\d{12,15})\.segment$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
