import { decodePoint, encodePoint } from "./cursor_state.ts";
import type { Disk } from "./disk.ts";
import { isCount, type StreamPoint } from "./format.ts";
import { readSlots, SlotFile } from "./slot_file.ts";

/** How much is lost. */
export interface LostCount {
  readonly recordCount: number;
  readonly itemCount: number;
}

/** A part of the stream that is lost, and is known to be. What of it was let go of before it was lost does not count. */
export interface KnownLoss extends LostCount {
  readonly kind: "loss";
  readonly from: StreamPoint;
  readonly to: StreamPoint;
}

/** A segment whose header cannot be read. Nothing is lost by that. */
export interface KnownHeader {
  readonly kind: "header";
  readonly segmentNumber: number;
}

/** A file of slots that a repair left to the server, which knows whose it is, when the stream ended there. */
export interface KnownFile {
  readonly kind: "file";
  readonly fileName: string;
  readonly endPosition: number;
}

/** What was found damaged when a stream was repaired. Whoever finds the same again finds nothing new. */
export type KnownDamage = readonly (KnownLoss | KnownHeader | KnownFile)[];

/** The file of what is known to be damaged. Only who looks at a stream or repairs it reads it. */
export const KNOWN_FILE = "damage.slots";

/** As many as a slot has room for. */
const KNOWN_COUNT_MAX = 8192;

/** The note in a file; nothing when it cannot be read. */
export async function readKnownDamage(disk: Disk, path: string): Promise<KnownDamage> {
  for (const { value } of await readSlots(disk, path)) {
    try {
      return (value as Record<string, unknown>[]).map(decode);
    } catch {
      continue;
    }
  }
  return [];
}

/**
 * Writes the note, durably, in place of the one before.
 *
 * @throws {Error} When the disk does not take it.
 */
export async function writeKnownDamage(disk: Disk, folder: string, known: KnownDamage): Promise<void> {
  let failure: unknown;
  const file = new SlotFile({
    disk,
    folder,
    name: KNOWN_FILE,
    generation: 0, // The file is made anew each time, so nothing older is in it.
    value: () => known.slice(-KNOWN_COUNT_MAX).map(encode),
    onWritten: (error) => failure = error,
  });
  const isWritten = await file.persist();
  await file.close();
  if (!isWritten) throw failure;
}

/** The loss that all between two points belongs to, if it is known. */
export function knownLoss(known: KnownDamage, from: StreamPoint, to: StreamPoint): KnownLoss | undefined {
  return known.find((damage): damage is KnownLoss =>
    damage.kind === "loss" && damage.from.position <= from.position && to.position <= damage.to.position
  );
}

/** Whether a segment's header is known to be damaged. */
export function isKnownHeader(known: KnownDamage, segmentNumber: number): boolean {
  return known.some((damage) => damage.kind === "header" && damage.segmentNumber === segmentNumber);
}

/** Whether a file of slots is known to be damaged, and the stream is as it was then. */
export function isKnownFile(known: KnownDamage, fileName: string, endPosition: number): boolean {
  return known.some((damage) =>
    damage.kind === "file" && damage.fileName === fileName && damage.endPosition === endPosition
  );
}

function encode(damage: KnownDamage[number]): unknown {
  if (damage.kind !== "loss") return damage;
  const { kind, from, to, recordCount, itemCount } = damage;
  return { kind, points: [...encodePoint(from), ...encodePoint(to)], recordCount, itemCount };
}

function decode(value: Record<string, unknown>): KnownDamage[number] {
  const { kind, points, recordCount, itemCount, segmentNumber, fileName, endPosition } = value;
  if (kind === "loss" && Array.isArray(points) && isCount(recordCount) && isCount(itemCount)) {
    return { kind, from: decodePoint(points.slice(0, 3)), to: decodePoint(points.slice(3)), recordCount, itemCount };
  }
  if (kind === "header" && isCount(segmentNumber)) return { kind, segmentNumber };
  if (kind === "file" && typeof fileName === "string" && isCount(endPosition)) return { kind, fileName, endPosition };
  throw new TypeError("Cannot decode known damage");
}
