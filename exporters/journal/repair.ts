import { tally } from "../reason.ts";
import { UNSETTLED_COUNT_MAX } from "./cursor.ts";
import { type CursorState, encodeCursorState } from "./cursor_state.ts";
import { damagedPath } from "./damage.ts";
import type { Disk, DiskFile } from "./disk.ts";
import { encodeSegmentHeader, type StreamPoint } from "./format.ts";
import { type FoundFile, inspectStream, nameInFileName, type StreamInspection } from "./inspection.ts";
import { checkStream, lostAhead, type LostPiece, type StreamCheck, type TornTail } from "./inspection_check.ts";
import { isKnownHeader, type KnownDamage, type KnownLoss, writeKnownDamage } from "./known_damage.ts";
import { PAGE_BYTES } from "./reader.ts";
import { encodeStreamState, recover } from "./recovery.ts";
import { fileNameOf, segmentName } from "./segments.ts";
import { SlotFile } from "./slot_file.ts";

/** What a repair does, or would do. */
export interface Repair {
  /** What was found. */
  readonly check: StreamCheck;
  /** Files that are called segments and are none of this stream: they get another name. */
  readonly putAside: readonly string[];
  /** Files into which bytes are copied that cannot be read as records. */
  readonly kept: readonly FoundFile[];
  /** Files of slots that are written anew, because some of them could not be read, or a destination steps over a loss. */
  readonly rewritten: readonly string[];
  /** What is cut off behind the end of the stream. */
  readonly cutOff: TornTail | undefined;
  /** Files of slots that are noted and left to the server: only it knows its destinations. */
  readonly left: readonly string[];
  /** Whether there is anything to do. */
  readonly isNeeded: boolean;
}

/** How a stream is repaired. */
export interface RepairOptions {
  /** Only say what would be done. */
  readonly isDryRun?: boolean;
  /** Told now and then how many bytes of the stream are behind. */
  readonly onProgress?: (bytes: number) => void;
}

/** Bytes copied at once. */
const COPY_BYTES = 2 ** 20;

/**
 * Repairs the stream in a folder that nobody uses. Records are never written to: damaged bytes are copied to files
 * beside them and noted as lost, so that whoever looks later knows of them, and the destinations step over them now and
 * count them. What stands behind the end of the stream is cut off in the way of the journal: a new segment begins there.
 *
 * Each step is whole or has not happened, and a step that was done is not needed again: so a repair may end at any
 * moment, and the next one goes on.
 *
 * @throws {Error} When the disk fails.
 */
export async function repairStream(disk: Disk, folder: string, options: RepairOptions = {}): Promise<Repair> {
  const inspection = await inspectStream(disk, folder);
  try {
    const check = checkStream(inspection, options.onProgress);
    const repair = planRepair(inspection, check);
    if (!options.isDryRun && repair.isNeeded) await carryOut(disk, inspection, repair);
    return repair;
  } finally {
    await inspection[Symbol.asyncDispose]();
  }
}

function planRepair(inspection: StreamInspection, check: StreamCheck): Repair {
  const { brokenSlots, cursors, strangers, known } = inspection;
  // Also the state of the stream: it says which cursors there were, and nothing else does.
  const left = brokenSlots.filter((file) => !file.isUsable && nameInFileName(file.fileName) === undefined).map((
    { fileName },
  ) => fileName);
  const behind = cursors.filter(({ cursor: { state } }) => withoutLost(state, check) !== state);
  const rewritten = new Set([...brokenSlots, ...behind].map(({ fileName }) => fileName));
  for (const fileName of left) rewritten.delete(fileName);
  const isNews = check.stretches.some(({ isKnown }) => !isKnown) ||
    check.headless.some(({ number }) => !isKnownHeader(known, number)) ||
    brokenSlots.some(({ fileName, isKnown }) => left.includes(fileName) && !isKnown);
  return {
    check,
    putAside: strangers,
    kept: check.stretches.flatMap(({ pieces }) => pieces).filter((piece) => !isKept(inspection, piece)).map(keptFile),
    rewritten: [...rewritten],
    cutOff: check.torn,
    left,
    isNeeded: isNews || strangers.length > 0 || rewritten.size > 0 || check.torn !== undefined,
  };
}

/** A cursor that has stepped over what is lost, and counted it; the same one if it wants nothing of it. */
function withoutLost(state: CursorState, { stretches }: StreamCheck): CursorState {
  let { open } = state;
  let lostItems = 0;
  for (const { from, to } of stretches) {
    const { itemCount, recordCount } = lostAhead({ ...state, open }, from, to);
    if (recordCount === 0) continue;
    lostItems += itemCount;
    open = open.flatMap((stretch) => [
      ...(stretch.from.position < from.position ? [{ ...stretch, to: nearer(stretch.to, from) }] : []),
      ...(stretch.to.position > to.position ? [{ ...stretch, from: further(stretch.from, to) }] : []),
    ]);
  }
  // Should there be too many to name, the destination steps over them when it comes to them.
  if (open === state.open || open.length > UNSETTLED_COUNT_MAX) return state;
  const dropped = { ...state.totals.dropped };
  tally(dropped, "corrupt", lostItems);
  return { ...state, open, totals: { ...state.totals, dropped } };
}

function nearer(one: StreamPoint, other: StreamPoint): StreamPoint {
  return one.position <= other.position ? one : other;
}

function further(one: StreamPoint, other: StreamPoint): StreamPoint {
  return one.position >= other.position ? one : other;
}

async function carryOut(disk: Disk, inspection: StreamInspection, repair: Repair): Promise<void> {
  const { folder, stream, strangers } = inspection;
  const { check, rewritten, cutOff } = repair;
  for (const name of strangers) await mustBeReadable(disk, `${folder}/${name}`);
  await putAside(disk, folder);
  // What a killed process has written is in the system's hands only.
  await stream.segments.last?.file.sync();
  for (const { pieces } of check.stretches) {
    for (const piece of pieces) if (!isKept(inspection, piece)) await keep(disk, piece);
  }
  await disk.syncFolder(folder);
  await writeKnownDamage(disk, folder, allKnown(inspection, repair));
  for (const fileName of rewritten) await rewrite(disk, inspection, check, fileName);
  if (cutOff !== undefined) await beginSegment(disk, inspection);
}

/** A file that the disk does not give is no stranger: it may be given another time. */
async function mustBeReadable(disk: Disk, path: string): Promise<void> {
  const file = await disk.open(path);
  try {
    file.read(0, new Uint8Array(1));
  } finally {
    await file.close();
  }
}

/** Opening the folder for use puts aside what is none of the stream. */
async function putAside(disk: Disk, folder: string): Promise<void> {
  const { segments } = await recover(disk, folder);
  for (const { file } of segments) await file.close();
}

function keptFile({ segment, offset, bytes }: LostPiece): FoundFile {
  return { name: fileNameOf({ path: damagedPath(segment, offset) }), bytes };
}

/** Whether the server or a repair has kept these bytes already. */
function isKept({ damagedFiles }: StreamInspection, piece: LostPiece): boolean {
  const { name, bytes } = keptFile(piece);
  return damagedFiles.some((file) => file.name === name && file.bytes >= bytes);
}

/** Copies bytes to a file of their own, which is whole as soon as it has its name. */
async function keep(disk: Disk, piece: LostPiece): Promise<void> {
  const { segment, offset, bytes } = piece;
  const path = damagedPath(segment, offset);
  const file = await disk.create(`${path}.new`);
  try {
    for (let done = 0; done < bytes;) {
      const part = readable(segment.file, offset + done, Math.min(COPY_BYTES, bytes - done));
      await file.write(done, part);
      done += part.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(`${path}.new`, path);
}

/** Bytes of a file, with zeros in place of those that the disk cannot read. */
function readable(file: DiskFile, offset: number, byteCount: number): Uint8Array {
  const bytes = new Uint8Array(byteCount);
  const readPart = (from: number, to: number) => {
    try {
      file.read(offset + from, bytes.subarray(from, to));
      return true;
    } catch {
      return false;
    }
  };
  if (readPart(0, byteCount)) return bytes;
  for (let from = 0; from < byteCount; from += PAGE_BYTES) readPart(from, Math.min(from + PAGE_BYTES, byteCount));
  return bytes;
}

/** What was known of the stream and still is there, and what was found now. */
function allKnown({ known, stream }: StreamInspection, { check: { stretches, headless }, left }: Repair): KnownDamage {
  const losses = stretches.map(({ from, to, recordCount, itemCount }) => {
    return { kind: "loss" as const, from, to, recordCount, itemCount };
  });
  const headers = headless.map(({ number }) => ({ kind: "header" as const, segmentNumber: number }));
  const files = left.map((fileName) => ({ kind: "file" as const, fileName, endPosition: stream.end.position }));
  const isFoundAgain = (old: KnownLoss) =>
    losses.some(({ from, to }) => from.position <= old.from.position && old.to.position <= to.position);
  return [...known.filter((old) => old.kind === "loss" && !isFoundAgain(old)), ...headers, ...files, ...losses];
}

/** Makes a file of slots anew, with the value that counts. */
async function rewrite(
  disk: Disk,
  { folder, stream, cursors }: StreamInspection,
  check: StreamCheck,
  name: string,
): Promise<void> {
  const cursor = cursors.find(({ fileName }) => fileName === name);
  const found = stream.cursors.get(name);
  const { salt = 0, end, kept, discarded } = stream;
  const value = cursor === undefined
    ? encodeStreamState({ salt, end, kept, discarded, cursors: [...stream.cursors.keys()] })
    : encodeCursorState(withoutLost(cursor.cursor.state, check));
  let failure: unknown;
  const file = new SlotFile({
    disk,
    folder,
    name,
    generation: found?.generation ?? stream.generation,
    value: () => value,
    onWritten: (error) => failure = error,
  });
  const isWritten = await file.persist();
  await file.close();
  if (!isWritten) throw failure;
}

/** A segment without records takes the place of what stands behind the end of the stream. */
async function beginSegment(disk: Disk, { folder, stream }: StreamInspection): Promise<void> {
  const { salt = 0, end, nextNumber } = stream;
  const path = `${folder}/${segmentName(nextNumber)}`;
  const file = await disk.create(`${path}.new`);
  try {
    await file.write(0, encodeSegmentHeader({ salt, number: nextNumber, base: end, createdAtMs: Date.now() }));
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(`${path}.new`, path);
  await disk.syncFolder(folder);
}
