import type { CountByReason, Reason } from "../reason.ts";
import {
  CURSOR_SUFFIX,
  type CursorState,
  decodeCounts,
  decodeCursorState,
  decodePoint,
  encodePoint,
} from "./cursor_state.ts";
import { DAMAGED_SUFFIX } from "./damage.ts";
import type { Disk } from "./disk.ts";
import {
  bodyCrc,
  pointAfter,
  RECORD_HEAD_BYTES,
  type RecordHead,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  STREAM_START,
  type StreamPoint,
} from "./format.ts";
import { PAGE_BYTES, scanForRecord, StreamReader } from "./reader.ts";
import { readSegmentHeader, type Segment, segmentNumber, Segments } from "./segments.ts";
import { readSlots } from "./slot_file.ts";
import { Tail } from "./tail.ts";
import { UNSYNCED_BYTES_MAX } from "./writer.ts";

/** What a journal knows of itself as a whole, beside its segments and cursors. */
export interface StreamState {
  readonly salt: number;
  /** Behind the last record whose sender was told that it was accepted. */
  readonly end: StreamPoint;
  /** Everything before this was let go of, because no cursor wanted it. */
  readonly kept: StreamPoint;
  readonly discarded: Readonly<CountByReason>;
  /** The files of the cursors that were made: one that is not there any more was lost, and is no new one. */
  readonly cursors?: readonly string[];
}

/** A cursor as it was found. */
export interface RecoveredCursor {
  readonly generation: number;
  /** Undefined when its file is damaged beyond use. */
  readonly state: CursorState | undefined;
}

/** What stands in the folder of a stream. */
export interface RecoveredStream {
  /** Undefined when nothing there has one. */
  readonly salt: number | undefined;
  readonly segments: Segments;
  readonly end: StreamPoint;
  readonly kept: StreamPoint;
  readonly discarded: CountByReason;
  readonly generation: number;
  /** By the names of their files. */
  readonly cursors: ReadonlyMap<string, RecoveredCursor>;
  /** Whether there may have been others, of which nothing is left. */
  readonly hasLostCursors: boolean;
  readonly nextNumber: number;
}

/** The file of what a journal knows of itself. */
export const STREAM_FILE = "stream.slots";

/**
 * Finds out what stands in a folder. It never refuses what it can open: it reads the header of each segment, the
 * records of the last one, and the slots. Damage elsewhere is found by whoever comes to it.
 *
 * A record in the last segment counts when it is whole: what is behind the last one that is was torn when it was
 * written, or is lost. If the slots know of more, the stream goes on where they say, so that the loss can be counted.
 */
export async function recover(disk: Disk, folder: string): Promise<RecoveredStream> {
  const names = await clearedNames(disk, folder);
  const slots = names.includes(STREAM_FILE) ? await readSlots(disk, `${folder}/${STREAM_FILE}`) : [];
  const states = slots.map(({ value }) => decodeStreamState(value));
  const state = states.find((found) => found !== undefined);
  const cursors = new Map<string, RecoveredCursor>();
  for (const name of names.filter((name) => name.endsWith(CURSOR_SUFFIX))) {
    const found = await readSlots(disk, `${folder}/${name}`);
    cursors.set(name, {
      generation: found[0]?.generation ?? 0,
      state: found.map(({ value }) => decodeCursorState(value)).find((found) => found !== undefined),
    });
  }

  for (const name of state?.cursors ?? []) {
    if (!cursors.has(name)) cursors.set(name, { generation: 0, state: undefined });
  }

  const files = await openSegments(disk, folder, names);
  const salt = state?.salt ?? mostCommon(files.flatMap(({ header }) => header === undefined ? [] : [header.salt]));
  const segments = salt === undefined ? new Segments() : await arrange(disk, files, salt);
  const ends = [STREAM_START, endOfSegments(segments, salt), state?.end, state?.kept];
  let discarded = state?.discarded ?? {};
  for (const cursor of cursors.values()) {
    if (cursor.state === undefined) continue;
    ends.push(cursor.state.end);
    discarded = atLeast(discarded, cursor.state.discardedBefore);
  }
  const numbers = files.flatMap(({ name, header }) => [header?.number ?? 0, segmentNumber(name) ?? 0]);
  return {
    salt,
    segments,
    end: furthest(ends),
    kept: state?.kept ?? STREAM_START,
    discarded,
    generation: slots[0]?.generation ?? 0,
    cursors,
    hasLostCursors: state === undefined && segments.count > 0,
    nextNumber: numbers.reduce((most, number) => Math.max(most, number), 0) + 1,
  };
}

/** The oldest point of a stream that may still be read. */
export function oldestPoint({ segments, kept, end }: Pick<RecoveredStream, "segments" | "kept" | "end">): StreamPoint {
  const [first] = segments;
  return first === undefined ? end : first.begin ?? kept;
}

/** The names in a folder, without those of files that were never finished, and of folders where slots have to be. */
async function clearedNames(disk: Disk, folder: string): Promise<readonly string[]> {
  const names: string[] = [];
  for (const name of await disk.list(folder)) {
    const path = `${folder}/${name}`;
    const isOfSlots = name === STREAM_FILE || name.endsWith(CURSOR_SUFFIX);
    if (name.endsWith(".new")) await disk.remove(path).catch(() => {});
    else if (isOfSlots && (await disk.stat(path))?.kind === "folder") {
      await disk.rename(path, `${path}${DAMAGED_SUFFIX}`).catch(() => {});
    } else names.push(name);
  }
  return names;
}

/** What a journal knows of itself, as it stands in a slot. */
export function encodeStreamState({ salt, end, kept, discarded, cursors }: StreamState): unknown {
  return { salt, end: encodePoint(end), kept: encodePoint(kept), discarded, cursors };
}

function decodeStreamState(value: unknown): StreamState | undefined {
  try {
    const { salt, end, kept, discarded, cursors = [] } = value as Record<string, unknown>;
    if (typeof salt !== "number") return undefined;
    return {
      salt,
      end: decodePoint(end),
      kept: decodePoint(kept),
      discarded: decodeCounts(discarded),
      cursors: (cursors as unknown[]).filter((name) => typeof name === "string"),
    };
  } catch {
    return undefined;
  }
}

/** A file that is called a segment, and what its first bytes say. */
interface SegmentFile {
  readonly name: string;
  readonly path: string;
  readonly file: Segment["file"];
  readonly header: SegmentHeader | undefined;
}

async function openSegments(disk: Disk, folder: string, names: readonly string[]): Promise<readonly SegmentFile[]> {
  const files: SegmentFile[] = [];
  for (const name of names) {
    if (segmentNumber(name) === undefined) continue;
    const path = `${folder}/${name}`;
    const file = await disk.open(path);
    files.push({ name, path, file, header: readSegmentHeader(file) });
  }
  return files;
}

/** The segments in the order of the stream. What is none of this journal, or holds nothing, is put aside. */
async function arrange(disk: Disk, files: readonly SegmentFile[], salt: number): Promise<Segments> {
  const byNumber = new Map<number, SegmentFile>();
  const others: SegmentFile[] = [];
  for (const file of files) {
    // Its header rather than its name says which one it is; of two that say the same, the first is taken.
    const isOurs = file.header?.salt === salt && !byNumber.has(file.header.number);
    if (isOurs) byNumber.set(file.header.number, file);
    else others.push(file);
  }
  for (const file of others) {
    const number = segmentNumber(file.name) ?? 0;
    if (file.header === undefined && !byNumber.has(number)) byNumber.set(number, file);
    else await putAside(disk, file);
  }

  const segments = new Segments();
  const sorted = [...byNumber].sort(([a], [b]) => a - b);
  for (const [index, [number, file]] of sorted.entries()) {
    const next = sorted.slice(index + 1).find(([, { header }]) => header !== undefined)?.[1].header;
    const bounds = { from: (segments.last?.position ?? -1) + 1, to: next?.base.position ?? Infinity };
    const segment = segmentOf(number, file, salt, bounds);
    if (segment === undefined) await putAside(disk, file);
    for (const superseded of segment === undefined ? [] : segments.add(segment)) {
      await superseded.file.close().catch(() => {});
      await disk.remove(superseded.path).catch(() => {});
    }
  }
  return segments;
}

/** Positions of the stream. */
interface Bounds {
  readonly from: number;
  readonly to: number;
}

function segmentOf(
  number: number,
  { path, file, header }: SegmentFile,
  salt: number,
  bounds: Bounds,
): Segment | undefined {
  try {
    const bytes = file.size;
    if (header !== undefined) {
      return { number, path, file, position: header.base.position, begin: header.base, bytes };
    }
    const begin = beginOf(file, bytes, salt, bounds);
    return begin && { number, path, file, ...begin, bytes };
  } catch {
    return undefined;
  }
}

/**
 * Where in the stream a file begins whose header is damaged: between its neighbours. Each whole record in it says where
 * it stands; what most of them say is right, should some have been put there by a fault of the disk.
 */
function beginOf(
  file: SegmentFile["file"],
  end: number,
  salt: number,
  bounds: Bounds,
): Pick<Segment, "position" | "begin"> | undefined {
  const found = new Map<number, { count: number; readonly begin: StreamPoint | undefined }>();
  const accept = (head: RecordHead, offset: number) => {
    const position = head.at.position - (offset - SEGMENT_HEADER_BYTES);
    const mayBe = position >= bounds.from && position < bounds.to;
    if (!mayBe || !isWhole(file, head, offset, salt)) return false;
    const votes = found.get(position) ?? { count: 0, begin: offset === SEGMENT_HEADER_BYTES ? head.at : undefined };
    votes.count++;
    found.set(position, votes);
    return false; // All of them are to be heard.
  };
  scanForRecord({
    salt,
    read: (from, into) => file.read(from, into),
    from: SEGMENT_HEADER_BYTES,
    end,
    accept,
    stepOver: (offset) => PAGE_BYTES - offset % PAGE_BYTES,
  });
  const [most] = [...found].sort(([, a], [, b]) => b.count - a.count);
  return most && { position: most[0], begin: most[1].begin };
}

function isWhole(file: SegmentFile["file"], head: RecordHead, offset: number, salt: number): boolean {
  const bytes = new Uint8Array(head.hopsBytes + head.payloadBytes);
  try {
    if (file.read(offset + RECORD_HEAD_BYTES, bytes) < bytes.length) return false;
  } catch {
    return false;
  }
  return bodyCrc(bytes.subarray(0, head.hopsBytes), bytes.subarray(head.hopsBytes), salt) === head.bodyCrc;
}

/** Behind the last whole record. */
function endOfSegments(segments: Segments, salt: number | undefined): StreamPoint | undefined {
  const last = segments.last;
  if (last === undefined || salt === undefined) return undefined;
  const fileEnd: StreamPoint = {
    sequence: Infinity,
    items: Infinity,
    position: Math.max(last.position, last.position + last.bytes - SEGMENT_HEADER_BYTES),
  };
  const reader = new StreamReader({ salt, segments, end: fileEnd, tail: new Tail() });
  let end = last.begin;
  let at: StreamPoint = last.begin ?? { sequence: 0, items: 0, position: last.position };
  while (at.position < fileEnd.position) {
    const found = reader.find(at, true);
    if (found.kind === "unreadable") break;
    if (found.kind === "damage") {
      at = found.next;
      continue;
    }
    at = pointAfter(found.head);
    if (reader.body(found.head, true).kind === "body") end = at;
  }
  return end;
}

async function putAside(disk: Disk, { path, file }: SegmentFile): Promise<void> {
  await file.close().catch(() => {});
  await disk.rename(path, `${path}${DAMAGED_SUFFIX}`).catch(() => {});
}

function mostCommon(salts: readonly number[]): number | undefined {
  const counts = new Map<number, number>();
  for (const salt of salts) counts.set(salt, (counts.get(salt) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0];
}

function furthest(points: readonly (StreamPoint | undefined)[]): StreamPoint {
  return points.reduce<StreamPoint>(
    (most, point) => point && point.position > most.position ? point : most,
    STREAM_START,
  );
}

/** Counts that only ever grow, as the later of two moments has them. */
function atLeast(counts: CountByReason, others: Readonly<CountByReason>): CountByReason {
  const reasons = new Set([...Object.keys(counts), ...Object.keys(others)]) as Set<Reason>;
  return Object.fromEntries([...reasons].map((reason) => [reason, Math.max(counts[reason] ?? 0, others[reason] ?? 0)]));
}

/** Makes durable what a killed process has written: until then it may be in the system's hands only. */
export async function syncLast(disk: Disk, folder: string, segments: Segments): Promise<void> {
  const from = (segments.last?.position ?? 0) - UNSYNCED_BYTES_MAX;
  for (const { file } of segments.from(from)) await file.sync().catch(() => {});
  await disk.syncFolder(folder).catch(() => {});
}
