import type { CursorState } from "./cursor_state.ts";
import {
  decodeRecordHead,
  pointAfter,
  RECORD_HEAD_BYTES,
  type RecordHead,
  SEGMENT_HEADER_BYTES,
  storedBytes,
  STREAM_START,
  type StreamPoint,
} from "./format.ts";
import type { StreamInspection } from "./inspection.ts";
import { knownLoss, type LostCount } from "./known_damage.ts";
import { READ_ATTEMPTS_MAX } from "./patient_reader.ts";
import { oldestPoint, type RecoveredStream } from "./recovery.ts";
import type { StreamReader } from "./reader.ts";
import { fileNameOf, fileOffset, readSegmentHeader, type Segment, segmentNumber } from "./segments.ts";

/** A part of the stream that cannot be read as records. What of it was let go of before it was lost does not count. */
export interface LostStretch extends LostCount {
  readonly from: StreamPoint;
  readonly to: StreamPoint;
  /** Its bytes, where they are still there, in the order of the stream. */
  readonly pieces: readonly LostPiece[];
  /** Where bytes of it are not there at all. */
  readonly gaps: readonly LostGap[];
  /** When the records around it were received; undefined where there is none. */
  readonly afterMs: number | undefined;
  readonly beforeMs: number | undefined;
  /** Whether all of it was noted when the stream was repaired. */
  readonly isKnown: boolean;
}

/** Bytes of a file that cannot be read as records. */
export interface LostPiece {
  readonly segment: Segment;
  readonly offset: number;
  readonly bytes: number;
}

/** A place of the stream that no file holds. */
export interface LostGap {
  /** The segments around it; undefined at the beginning and at the end of the stream. */
  readonly behind: Segment | undefined;
  readonly before: Segment | undefined;
  readonly bytes: number;
}

/** Bytes behind the end of the stream: of a record that was not written to its end. */
export interface TornTail {
  readonly segment: Segment;
  readonly offset: number;
  readonly bytes: number;
  /** The items that the record would have had, if that much of it was written. */
  readonly itemCount: number | undefined;
}

/** What reading a whole stream has found. */
export interface StreamCheck {
  /** Of what is whole. */
  readonly recordCount: number;
  readonly itemCount: number;
  readonly bytes: number;
  readonly stretches: readonly LostStretch[];
  readonly torn: TornTail | undefined;
  /** Segments whose header cannot be read: their records say where they belong, so nothing is lost by it. */
  readonly headless: readonly Segment[];
  /** Segments under another one's name: the header counts, so nothing is lost by it. */
  readonly misnamed: readonly Segment[];
  /** Why the device gave nothing from some place on: what stands there is neither whole nor lost. */
  readonly failure: unknown;
}

/** Bytes between two reports of progress. */
const STEP_BYTES = 2 ** 20;

/**
 * Reads every record of a stream, one at a time.
 *
 * @param onProgress Told now and then how many bytes of the stream are behind.
 */
export function checkStream(inspection: StreamInspection, onProgress: (bytes: number) => void = () => {}): StreamCheck {
  const { segments, end } = inspection.stream;
  const reader = inspection.reader();
  const start = startOf(inspection);
  const lost: LostStretch[] = [];
  const sums = { recordCount: 0, itemCount: 0, bytes: 0 };
  let failure: unknown;
  let lastMs: number | undefined;
  let reportAt = start.position + STEP_BYTES;
  for (let at = start; at.position < end.position;) {
    const { head, next, error } = readAt(reader, at);
    failure = error;
    if (next === undefined) break;
    if (head === undefined) add(lost, lostBetween(inspection, at, next, lastMs));
    else {
      lastMs = head.receivedAtMs;
      sums.recordCount++;
      sums.itemCount += head.itemCount;
      sums.bytes += storedBytes(head);
    }
    at = next;
    if (at.position < reportAt) continue;
    onProgress(at.position - start.position);
    reportAt = at.position + STEP_BYTES;
  }
  return {
    ...sums,
    stretches: lost.map((stretch) => ({ ...stretch, beforeMs: receivedBehind(reader, stretch.to, end) })),
    torn: tornTail(inspection),
    headless: [...segments].filter((segment) => readSegmentHeader(segment.file) === undefined),
    misnamed: [...segments].filter((segment) => segmentNumber(fileNameOf(segment)) !== segment.number),
    failure,
  };
}

/** What stands at a point: the whole record, if there is one, and where the stream goes on, if the disk answers. */
interface Reading {
  readonly head?: RecordHead;
  readonly next?: StreamPoint;
  readonly error?: unknown;
}

/** A place that cannot be read is asked for again, as a cursor does, before it counts as damaged. */
function readAt(reader: StreamReader, at: StreamPoint): Reading {
  for (let attempt = 1;; attempt++) {
    const insist = attempt === READ_ATTEMPTS_MAX;
    const found = reader.find(at, insist);
    if (found.kind === "damage") return { next: found.next };
    const body = found.kind === "record" ? reader.body(found.head, insist) : found;
    if (body.kind === "unreadable") {
      if (insist) return { error: body.error };
    } else if (found.kind === "record") {
      return { next: pointAfter(found.head), ...body.kind === "body" && { head: found.head } };
    }
  }
}

function receivedBehind(reader: StreamReader, at: StreamPoint, end: StreamPoint): number | undefined {
  const found = at.position < end.position ? reader.find(at, true) : undefined;
  return found?.kind === "record" ? found.head.receivedAtMs : undefined;
}

/** Where a check begins and how far it has to go, in bytes of the stream. */
export function checkedBytes(inspection: StreamInspection): number {
  return Math.max(0, inspection.stream.end.position - startOf(inspection).position);
}

/** What stands between two points and a destination has not settled yet, with the bytes that it takes. */
export function lostAhead(
  { open }: CursorState,
  from: StreamPoint,
  to: StreamPoint,
): LostCount & { readonly bytes: number } {
  const count = { recordCount: 0, itemCount: 0, bytes: 0 };
  for (const stretch of open) {
    const begin = stretch.from.position < from.position ? from : stretch.from;
    const end = stretch.to.position > to.position ? to : stretch.to;
    if (begin.position >= end.position) continue;
    count.recordCount += end.sequence - begin.sequence;
    count.itemCount += end.items - begin.items;
    count.bytes += end.position - begin.position;
  }
  return count;
}

/** The oldest point that is there, that a destination wants, or that is known to be lost just before that. */
function startOf({ stream, cursors, known }: StreamInspection): StreamPoint {
  const [first] = stream.segments;
  const states = cursors.map(({ cursor }) => cursor.state);
  const points = [
    STREAM_START,
    stream.kept,
    ...states.flatMap(({ open, end }) => [...open.map(({ from }) => from), end]),
  ];
  const begin = first === undefined || first.begin !== undefined
    ? oldestPoint(stream)
    // Only its position is known: what stood before it is counted from the nearest point that is known as a whole.
    : furthestUpTo(points, first.position);
  const lost = known.flatMap((loss) => loss.kind === "loss" && loss.to.position === begin.position ? [loss.from] : []);
  const wanted = [...lost, ...states.flatMap(({ open }) => open.slice(0, 1).map(({ from }) => from))];
  return wanted.reduce((least, point) => point.position < least.position ? point : least, begin);
}

function furthestUpTo(points: readonly StreamPoint[], position: number): StreamPoint {
  return points.reduce((most, point) => point.position > most.position && point.position <= position ? point : most);
}

/** What of a part of the stream stands in files, and what does not. */
function placesOf(
  { segments, end }: RecoveredStream,
  from: StreamPoint,
  to: StreamPoint,
): { readonly pieces: readonly LostPiece[]; readonly gaps: readonly LostGap[] } {
  const pieces: LostPiece[] = [];
  const gaps: LostGap[] = [];
  const [first] = segments;
  const headGap = Math.min(to.position, first?.position ?? end.position) - from.position;
  if (headGap > 0) gaps.push({ behind: undefined, before: first, bytes: headGap });
  for (const segment of segments) {
    const following = segments.following(segment.position);
    const begin = Math.max(from.position, segment.position);
    const finish = Math.min(to.position, following?.position ?? end.position);
    const held = Math.max(begin, Math.min(finish, segment.position + segment.bytes - SEGMENT_HEADER_BYTES));
    if (held > begin) pieces.push({ segment, offset: fileOffset(segment, begin), bytes: held - begin });
    if (finish > held) gaps.push({ behind: segment, before: following, bytes: finish - held });
  }
  return { pieces, gaps };
}

/** What is lost between two points; nothing when all of it may have been let go of. */
function lostBetween(
  { stream, cursors, known }: StreamInspection,
  from: StreamPoint,
  to: StreamPoint,
  afterMs: number | undefined,
): LostStretch | undefined {
  const { pieces, gaps } = placesOf(stream, from, to);
  const loss = knownLoss(known, from, to);
  const stretch = { from, to, pieces, gaps, afterMs, beforeMs: undefined, isKnown: loss !== undefined };
  // A segment that nobody wants any more is removed as a whole, wherever it stands: that is no loss.
  const isCut = pieces.length > 0 || gaps.some(({ behind, before }) => behind && before?.number === behind.number + 1);
  if (isCut) return { ...stretch, itemCount: to.items - from.items, recordCount: to.sequence - from.sequence };
  const most = cursors
    .map(({ cursor }): LostCount => lostAhead(cursor.state, from, to))
    .reduce((a, b) => a.itemCount >= b.itemCount ? a : b, loss ?? { itemCount: 0, recordCount: 0 });
  const { itemCount, recordCount } = most;
  return recordCount > 0 ? { ...stretch, itemCount, recordCount } : undefined;
}

/** Adds a stretch, as a part of the one before where they follow each other. */
function add(stretches: LostStretch[], stretch: LostStretch | undefined): void {
  const last = stretches.at(-1);
  if (stretch === undefined) return;
  if (last?.to.position !== stretch.from.position) return void stretches.push(stretch);
  const pieces = [...last.pieces];
  for (const piece of stretch.pieces) {
    const before = pieces.at(-1);
    const isNext = before?.segment === piece.segment && before.offset + before.bytes === piece.offset;
    if (isNext) pieces[pieces.length - 1] = { ...before, bytes: before.bytes + piece.bytes };
    else pieces.push(piece);
  }
  stretches[stretches.length - 1] = {
    ...last,
    to: stretch.to,
    recordCount: last.recordCount + stretch.recordCount,
    itemCount: last.itemCount + stretch.itemCount,
    pieces,
    gaps: [...last.gaps, ...stretch.gaps],
    isKnown: last.isKnown && stretch.isKnown,
  };
}

function tornTail({ stream: { segments, salt, end } }: StreamInspection): TornTail | undefined {
  const segment = segments.last;
  if (segment === undefined || salt === undefined) return undefined;
  const offset = Math.max(SEGMENT_HEADER_BYTES, fileOffset(segment, end.position));
  const bytes = segment.bytes - offset;
  if (bytes <= 0) return undefined;
  return { segment, offset, bytes, itemCount: recordHeadAt(segment, offset, salt)?.itemCount };
}

function recordHeadAt(segment: Segment, offset: number, salt: number): RecordHead | undefined {
  const bytes = new Uint8Array(RECORD_HEAD_BYTES);
  try {
    return decodeRecordHead(bytes.subarray(0, segment.file.read(offset, bytes)), salt);
  } catch {
    return undefined;
  }
}
