import { systemClock } from "../../core/clock.ts";
import { total } from "../reason.ts";
import { sleep } from "../sleep.ts";
import { DiskCursor } from "./cursor.ts";
import { broughtForward, CURSOR_SUFFIX, cursorFileName, newCursorState } from "./cursor_state.ts";
import { DAMAGED_SUFFIX } from "./damage.ts";
import type { Disk } from "./disk.ts";
import { brokenSlots, foreignVersion } from "./inspection_slots.ts";
import { isKnownFile, KNOWN_FILE, type KnownDamage, readKnownDamage } from "./known_damage.ts";
import { LookingDisk } from "./looking_disk.ts";
import { StreamReader } from "./reader.ts";
import { oldestPoint, recover, type RecoveredCursor, type RecoveredStream, STREAM_FILE } from "./recovery.ts";
import { type Segment, segmentNumber } from "./segments.ts";
import { Tail } from "./tail.ts";

/** A file in the folder of a stream. */
export interface FoundFile {
  readonly name: string;
  readonly bytes: number;
}

/** A destination's place in a stream, as its file has it. */
export interface InspectedCursor {
  readonly fileName: string;
  /** Whether any slot of the file can be read. If none can, the cursor begins at the oldest record again. */
  readonly isUsable: boolean;
  /** Where it stands and what its account is. It is to be looked at, never to be taken from. */
  readonly cursor: DiskCursor;
}

/** A file of slots of which some cannot be read: the others count. */
export interface BrokenSlots {
  readonly fileName: string;
  /** From 0; none when the file is missing. */
  readonly slots: readonly number[];
  /** Whether there is one that can be read. */
  readonly isUsable: boolean;
  /** Whether a repair has noted it, and left it to the server. */
  readonly isKnown: boolean;
}

/** What stands in the folder of a stream. Its files are open until it is closed. */
export interface StreamInspection extends AsyncDisposable {
  readonly folder: string;
  readonly stream: RecoveredStream;
  /** Items accepted since the beginning. */
  readonly acceptedItems: number;
  readonly cursors: readonly InspectedCursor[];
  /** Bytes that were kept for people to look at. */
  readonly damagedFiles: readonly FoundFile[];
  /** Files that are called segments and are none of this stream: opening it for use puts them aside. */
  readonly strangers: readonly string[];
  readonly brokenSlots: readonly BrokenSlots[];
  /** What was noted as lost when the stream was repaired. */
  readonly known: KnownDamage;
  /** Reads records as a cursor does. */
  reader(onDamage?: (segment: Segment, from: number, to: number) => void): StreamReader;
}

/** The folder was written by a version of Breakwater whose files this one does not read. */
export class ForeignVersionError extends Error {
  override readonly name = "ForeignVersionError";
  readonly path: string;
  readonly version: number;

  constructor(path: string, version: number) {
    super(`Cannot read ${path}: its format is of version ${version}, which this program does not know`);
    this.path = path;
    this.version = version;
  }
}

/** How often a folder is looked at again, when a server has made or removed a segment meanwhile. */
const ATTEMPTS_MAX = 32;

/**
 * Looks at the folder of a stream and changes nothing. A server may be at work in it: then all that is said is true of a
 * moment just gone.
 *
 * It sees what a journal would see that is opened there, because it asks the same code.
 *
 * @throws {ForeignVersionError} When a file is of another version of the format.
 */
export async function inspectStream(disk: Disk, folder: string): Promise<StreamInspection> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const inspection = await lookOnce(disk, folder);
    if (inspection !== undefined) return inspection;
  }
  throw new Error(`Cannot look at ${folder}: its segments change too fast; try again`);
}

/** Undefined when the segments have changed meanwhile: what the other files say may be younger than what was seen. */
async function lookOnce(disk: Disk, folder: string): Promise<StreamInspection | undefined> {
  const names = await disk.list(folder);
  let inspection: StreamInspection;
  try {
    inspection = await look(disk, folder, names);
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw error;
  }
  const later = await disk.list(folder);
  if (!later.some((name) => segmentNumber(name) !== undefined && !names.includes(name))) return inspection;
  await inspection[Symbol.asyncDispose]();
  return undefined;
}

async function look(disk: Disk, folder: string, names: readonly string[]): Promise<StreamInspection> {
  await mustBeOfThisVersion(disk, folder, names);
  const known = names.includes(KNOWN_FILE) ? await readKnownDamage(disk, `${folder}/${KNOWN_FILE}`) : [];
  const looking = new LookingDisk(disk);
  const stream = await recover(looking, folder);
  const close = async () => {
    for (const { file } of stream.segments) await file.close().catch(() => {});
  };
  try {
    return {
      folder,
      stream,
      acceptedItems: stream.end.items + total(stream.discarded),
      cursors: [...stream.cursors].map(([fileName, found]) => inspectedCursor(fileName, found, stream)),
      damagedFiles: await sizesOf(disk, folder, names.filter((name) => name.endsWith(DAMAGED_SUFFIX))),
      strangers: names.filter((name) => looking.renamed.has(`${folder}/${name}`)),
      brokenSlots: (await findBrokenSlots(disk, folder, names, stream)).map((file) => {
        return { ...file, isKnown: isKnownFile(known, file.fileName, stream.end.position) };
      }),
      known,
      reader: (onDamage) => readerOf(stream, onDamage),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The name of the cursor in a file, as far as the file's own name tells it. */
export function nameInFileName(fileName: string): string | undefined {
  const name = fileName.slice(0, -CURSOR_SUFFIX.length).replace(/-[0-9a-f]{16}$/, "");
  return cursorFileName(name) === fileName ? name : undefined;
}

function inspectedCursor(fileName: string, found: RecoveredCursor, stream: RecoveredStream): InspectedCursor {
  const { end, kept, discarded } = stream;
  const name = found.state?.name ?? nameInFileName(fileName) ?? fileName;
  const state = found.state === undefined
    ? newCursorState({ name, at: oldestPoint(stream), discarded, reason: "corrupt" })
    : broughtForward(found.state, kept);
  const cursor = new DiskCursor({
    state,
    end,
    discarded,
    isRetired: false,
    reader: readerOf(stream),
    recordAgeMaxMs: 0,
    retryMs: 0,
    clock: systemClock,
    sleep,
    onChange: () => {},
    noted: () => Promise.resolve(),
    onDisk: () => {},
  });
  return { fileName, isUsable: found.state !== undefined, cursor };
}

function readerOf(
  { salt, segments, end }: RecoveredStream,
  onDamage?: (segment: Segment, from: number, to: number) => void,
): StreamReader {
  // Without a salt there are no segments, so it is asked for nothing.
  return new StreamReader({ salt: salt ?? 0, segments, end, tail: new Tail() }, onDamage);
}

async function sizesOf(disk: Disk, folder: string, names: readonly string[]): Promise<readonly FoundFile[]> {
  const files: FoundFile[] = [];
  for (const name of names) {
    const file = await disk.open(`${folder}/${name}`);
    files.push({ name, bytes: file.size });
    await file.close();
  }
  return files;
}

async function findBrokenSlots(
  disk: Disk,
  folder: string,
  names: readonly string[],
  { segments, cursors }: RecoveredStream,
): Promise<readonly Omit<BrokenSlots, "isKnown">[]> {
  const found: Omit<BrokenSlots, "isKnown">[] = [];
  const expected = new Set([
    ...segments.count > 0 ? [STREAM_FILE] : [],
    ...cursors.keys(),
    ...names.filter(holdsSlots),
  ]);
  for (const fileName of expected) {
    if (await disk.stat(`${folder}/${fileName}`) === undefined) found.push({ fileName, slots: [], isUsable: false });
    else {
      const broken = await brokenSlots(disk, `${folder}/${fileName}`);
      if (broken.slots.length > 0) found.push({ fileName, ...broken });
    }
  }
  return found;
}

/** Whoever opens a folder of another version for use would put its files aside as damaged: so it is told in time. */
async function mustBeOfThisVersion(disk: Disk, folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (segmentNumber(name) === undefined && !holdsSlots(name)) continue;
    const version = await foreignVersion(disk, `${folder}/${name}`);
    if (version !== undefined) throw new ForeignVersionError(`${folder}/${name}`, version);
  }
}

function holdsSlots(name: string): boolean {
  return name.endsWith(CURSOR_SUFFIX) || name === STREAM_FILE;
}
