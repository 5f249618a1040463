import { crc32 } from "node:zlib";
import type { Disk, DiskFile } from "./disk.ts";
import {
  decodeSegmentHeader,
  decodeSlot,
  SEGMENT_HEADER_BYTES,
  SLOT_BYTES_MAX,
  SLOT_HEAD_BYTES,
  slotBytes,
} from "./format.ts";
import { SLOT_COUNT } from "./slot_file.ts";

/** A file of slots is made with the first two; the others come with the first changes. */
const ALL_SLOTS = Array.from({ length: SLOT_COUNT }, (_, slot) => slot);
const SLOT_COUNT_MIN = 2;

const NOTHING = new Uint8Array();

/** The slots of a file that should be there and cannot be read, and whether there is one that can. */
export async function brokenSlots(
  disk: Disk,
  path: string,
): Promise<{ readonly slots: readonly number[]; readonly isUsable: boolean }> {
  const file = await disk.open(path);
  try {
    const slots = ALL_SLOTS.filter((slot) => isBroken(file, slot));
    // A server may have been writing to one of them just then: it is whole a moment later.
    const broken = slots.filter((slot) => isBroken(file, slot));
    return { slots: broken, isUsable: ALL_SLOTS.some((slot) => decodeSlot(slotAt(file, slot) ?? NOTHING)) };
  } finally {
    await file.close();
  }
}

function isBroken(file: DiskFile, slot: number): boolean {
  const bytes = slotAt(file, slot);
  if (bytes === undefined) return true;
  return decodeSlot(bytes) === undefined && (slot < SLOT_COUNT_MIN || bytes.some((byte) => byte !== 0));
}

/** The version that a file says it is of, if that is whole and none that we read. */
export async function foreignVersion(disk: Disk, path: string): Promise<number | undefined> {
  const file = await disk.open(path);
  try {
    const header = new Uint8Array(SEGMENT_HEADER_BYTES);
    const isSegment = read(file, 0, header)?.length === header.length && markOf(header) === "BWSG";
    if (isSegment) return isSound(header) && !decodeSegmentHeader(header) ? uint32(header, 8) : undefined;
    for (const slot of ALL_SLOTS) {
      const bytes = slotAt(file, slot);
      if (bytes === undefined || markOf(bytes) !== "BWSL" || bytes.length < SLOT_HEAD_BYTES) continue;
      if (isSound(bytes) && !decodeSlot(bytes)) return uint32(bytes, 12);
    }
    return undefined;
  } finally {
    await file.close();
  }
}

/** The bytes of a slot, as long as it says it is; undefined when the disk does not give them. */
function slotAt(file: DiskFile, slot: number): Uint8Array | undefined {
  const head = read(file, slot * SLOT_BYTES_MAX, new Uint8Array(SLOT_HEAD_BYTES));
  if (head === undefined || head.length < SLOT_HEAD_BYTES || markOf(head) !== "BWSL") return head;
  return read(file, slot * SLOT_BYTES_MAX, new Uint8Array(Math.min(slotBytes(head), SLOT_BYTES_MAX)));
}

function read(file: DiskFile, offset: number, into: Uint8Array): Uint8Array | undefined {
  try {
    return into.subarray(0, file.read(offset, into));
  } catch {
    return undefined;
  }
}

/** Whether the sum is right that stands behind the mark. */
function isSound(bytes: Uint8Array): boolean {
  return uint32(bytes, 4) === crc32(bytes.subarray(8));
}

function markOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(0, 4));
}

function uint32(bytes: Uint8Array, offset: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(offset, true);
}
