import {
  bodyCrc,
  decodeRecordHead,
  pointAfter,
  RECORD_HEAD_BYTES,
  RECORD_MARK_BYTES,
  type RecordHead,
  storedBytes,
  type StreamPoint,
} from "./format.ts";
import { fileOffset, type Segment, type Segments } from "./segments.ts";
import type { Tail } from "./tail.ts";

/** The stream that a reader reads. */
export interface RecordStream {
  readonly salt: number;
  readonly segments: Segments;
  /** Where the stream ends. */
  readonly end: StreamPoint;
  /** Its last records, which are in memory still: there they are taken from. */
  readonly tail: Tail;
}

/** What stands at a point of the stream. */
export type Found =
  | { readonly kind: "record"; readonly head: RecordHead }
  /** Nothing that could be read. The stream goes on at `next`; what was between is lost. */
  | { readonly kind: "damage"; readonly next: StreamPoint }
  /** The disk does not answer, here and behind here. */
  | { readonly kind: "unreadable"; readonly error: unknown };

/** A record's body. */
export type Body =
  | { readonly kind: "body"; readonly hops: string; readonly payload: Uint8Array }
  | { readonly kind: "damage" }
  | { readonly kind: "unreadable"; readonly error: unknown };

/** Bytes read at once: many small records, or the beginning of a large one. */
const WINDOW_BYTES = 65_536;

/** What a disk cannot read is stepped over by this much. */
export const PAGE_BYTES = 4096;

/**
 * Reads records at points of a stream, one cursor each. It trusts nothing: a record is one when its sums are right and
 * it says itself that it stands there.
 */
export class StreamReader {
  readonly #stream: RecordStream;
  /** Told of each damaged stretch, each time it is met. */
  readonly #onDamage: (segment: Segment, from: number, to: number) => void;
  readonly #window = new Uint8Array(WINDOW_BYTES);
  /** The stretch of the stream that is in the window. */
  #windowFrom = 0;
  #windowBytes = 0;

  constructor(
    stream: RecordStream,
    onDamage: (segment: Segment, from: number, to: number) => void = () => {},
  ) {
    this.#stream = stream;
    this.#onDamage = onDamage;
  }

  /**
   * What stands at a point, which must be before the stream's end.
   *
   * @param insist Whether to step over what the disk cannot read, if there is something readable behind it.
   */
  find(at: StreamPoint, insist: boolean): Found {
    const segment = this.#stream.segments.holding(at.position);
    try {
      const head = segment && this.#headAt(segment, at.position);
      if (segment !== undefined && head?.at.position === at.position && this.#fits(head, segment)) {
        if (head.at.sequence === at.sequence && head.at.items === at.items) return { kind: "record", head };
        // Whoever asks comes from a stretch that was lost before: what it knows of it ends here.
        if (isAhead(head.at, at)) return { kind: "damage", next: head.at };
      }
    } catch (error) {
      if (!insist) return { kind: "unreadable", error };
    }
    return this.#findNext(at, insist);
  }

  /** The hops and the payload of a record. @param insist As above. */
  body(head: RecordHead, insist: boolean): Body {
    const { salt, segments, tail } = this.#stream;
    const { position } = head.at;
    const kept = tail.following(position);
    if (kept?.head === head) return { kind: "body", hops: kept.hops, payload: kept.payload };
    const segment = segments.holding(position);
    if (segment === undefined) return { kind: "damage" };
    const bytes = new Uint8Array(head.hopsBytes + head.payloadBytes);
    try {
      if (this.#copy(segment, position + RECORD_HEAD_BYTES, bytes) === bytes.length) {
        const hops = bytes.subarray(0, head.hopsBytes);
        const payload = bytes.subarray(head.hopsBytes);
        if (bodyCrc(hops, payload, salt) === head.bodyCrc) {
          return { kind: "body", hops: new TextDecoder().decode(hops), payload };
        }
      }
    } catch (error) {
      if (!insist || this.#findNext(head.at, insist).kind === "unreadable") return { kind: "unreadable", error };
    }
    this.#onDamage(segment, position, pointAfter(head).position);
    return { kind: "damage" };
  }

  /** What may be the head of a record there. */
  #headAt(segment: Segment, position: number): RecordHead | undefined {
    const { salt, tail } = this.#stream;
    if (position >= tail.position) return tail.following(position)?.head;
    return decodeRecordHead(this.#bytes(segment, position, RECORD_HEAD_BYTES), salt);
  }

  /** The first record of one segment from a position on; undefined when it has none. */
  #firstRecordIn(segment: Segment, from: number, insist: boolean): RecordHead | undefined {
    const found = scanForRecord({
      salt: this.#stream.salt,
      read: (position, into) => segment.file.read(fileOffset(segment, position), into),
      from,
      end: this.#fileEndOf(segment),
      accept: (head, position) => head.at.position === position && this.#fits(head, segment),
      stepOver: insist ? (position) => PAGE_BYTES - fileOffset(segment, position) % PAGE_BYTES : undefined,
    });
    if (found !== undefined) return found;
    const kept = this.#stream.tail.following(from)?.head;
    return kept !== undefined && this.#fits(kept, segment) ? kept : undefined;
  }

  /** Where the stream goes on behind a point at which nothing can be read. */
  #findNext(at: StreamPoint, insist: boolean): Found {
    const segment = this.#stream.segments.holding(at.position);
    try {
      const next = (segment && this.#nextIn(segment, at, insist)) ?? this.#nextBehind(at, insist);
      if (segment !== undefined) {
        this.#onDamage(segment, at.position, Math.min(next.position, this.#endOf(segment)));
      }
      return { kind: "damage", next };
    } catch (error) {
      return { kind: "unreadable", error };
    }
  }

  #nextIn(segment: Segment, at: StreamPoint, insist: boolean): StreamPoint | undefined {
    for (let from = at.position + 1;;) {
      const head = this.#firstRecordIn(segment, from, insist);
      if (head === undefined || isAhead(head.at, at)) return head?.at;
      from = head.at.position + 1;
    }
  }

  /** To insist is to believe that the device is well but for some pages: so it has to read something from behind them. */
  #nextBehind(at: StreamPoint, insist: boolean): StreamPoint {
    const { segments, end } = this.#stream;
    for (let next = segments.following(at.position); next; next = segments.following(next.position)) {
      if (insist) next.file.read(0, new Uint8Array(1));
      const point = next.begin ?? this.#nextIn(next, { ...at, position: next.position - 1 }, insist);
      if (point !== undefined) return point;
    }
    if (insist) segments.holding(at.position)?.file.read(0, new Uint8Array(1));
    return end;
  }

  #fits(head: RecordHead, segment: Segment): boolean {
    return head.at.position + storedBytes(head) <= this.#endOf(segment);
  }

  #endOf(segment: Segment): number {
    return Math.min(this.#stream.segments.following(segment.position)?.position ?? Infinity, this.#stream.end.position);
  }

  /** Where that ends which is read from the file. */
  #fileEndOf(segment: Segment): number {
    return Math.min(this.#endOf(segment), this.#stream.tail.position);
  }

  /** Up to `count` bytes of the file, at most a window's: valid until the next call. */
  #bytes(segment: Segment, position: number, count: number): Uint8Array {
    const isIn = position >= this.#windowFrom && position + count <= this.#windowFrom + this.#windowBytes;
    if (!isIn) {
      this.#windowBytes = 0;
      const wanted = Math.max(0, Math.min(WINDOW_BYTES, this.#fileEndOf(segment) - position));
      this.#windowFrom = position;
      this.#windowBytes = segment.file.read(fileOffset(segment, position), this.#window.subarray(0, wanted));
    }
    const start = position - this.#windowFrom;
    return this.#window.subarray(start, Math.min(start + count, this.#windowBytes));
  }

  #copy(segment: Segment, position: number, into: Uint8Array): number {
    if (into.length > WINDOW_BYTES) return segment.file.read(fileOffset(segment, position), into);
    const bytes = this.#bytes(segment, position, into.length);
    into.set(bytes);
    return bytes.length;
  }
}

/** Whether a point can stand behind another. */
function isAhead(point: StreamPoint, at: StreamPoint): boolean {
  return point.sequence >= at.sequence && point.items >= at.items;
}

/** Where to look for a record. */
export interface Scan {
  readonly salt: number;
  readonly read: (place: number, into: Uint8Array) => number;
  readonly from: number;
  readonly end: number;
  /** Whether a head belongs to the place where it was found. */
  readonly accept: (head: RecordHead, place: number) => boolean;
  /** How far to step over what cannot be read; without it, the error is thrown. */
  readonly stepOver?: ((place: number) => number) | undefined;
}

/** The first record between two places; undefined when there is none. */
export function scanForRecord({ salt, read, from, end, accept, stepOver }: Scan): RecordHead | undefined {
  const window = new Uint8Array(WINDOW_BYTES);
  for (let start = from; start + RECORD_HEAD_BYTES <= end;) {
    let bytes: Uint8Array;
    try {
      bytes = window.subarray(0, read(start, window.subarray(0, end - start)));
    } catch (error) {
      if (stepOver === undefined) throw error;
      start += stepOver(start);
      continue;
    }
    if (bytes.length < RECORD_HEAD_BYTES) return undefined;
    for (let index = indexOfMark(bytes, 0); index >= 0; index = indexOfMark(bytes, index + 1)) {
      const head = decodeRecordHead(bytes.subarray(index), salt);
      if (head !== undefined && accept(head, start + index)) return head;
    }
    // Windows overlap by a head less one byte, so that one at their border is seen whole.
    start += bytes.length - RECORD_HEAD_BYTES + 1;
  }
  return undefined;
}

function indexOfMark(bytes: Uint8Array, from: number): number {
  const first = RECORD_MARK_BYTES[0];
  for (let index = bytes.indexOf(first, from); index >= 0; index = bytes.indexOf(first, index + 1)) {
    if (RECORD_MARK_BYTES.every((byte, offset) => bytes[index + offset] === byte)) return index;
  }
  return -1;
}
