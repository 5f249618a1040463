import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Reason } from "../reason.ts";
import type { Signal } from "../signal.ts";
import { isCount } from "./format.ts";
import type { JournalRecord } from "./journal.ts";

/** A record that a destination refuses for good, or a piece of one. */
export interface RefusedRecord extends JournalRecord {
  readonly signal: Signal;
  readonly destination: string;
  /** Its place in the journal. */
  readonly sequence: number;
  /** Which piece of the record it is, in letters and digits; absent when it is all of it. */
  readonly piece?: string;
}

/** Why a record is refused. */
export interface RefusalCause {
  readonly reason: Reason;
  /** What the destination said. */
  readonly message: string;
}

/** A record in the quarantine, as the `.json` beside its bytes describes it: for people and for scripts. */
export interface QuarantinedRecord {
  readonly version: typeof VERSION;
  readonly id: string;
  readonly signal: Signal;
  readonly destination: string;
  readonly reason: string;
  readonly message: string;
  readonly itemCount: number;
  /** The length of its `.pb`. */
  readonly bytes: number;
  /** The CRC-32 (IEEE) of its `.pb`. */
  readonly crc32: number;
  /** When it was accepted from its sender, in ISO 8601. */
  readonly receivedAt: string;
  /** When the destination refused it, in ISO 8601. */
  readonly quarantinedAt: string;
  /** The `breakwater-hop` value it came with. */
  readonly hops: string;
}

const VERSION = 1;

/** A message is a destination's: it may be a page. The beginning of it says enough. */
const MESSAGE_CHARS_MAX = 2000;

/** What a `.json` may have at most: a message in which each character is escaped, and hops as long as a header. */
export const DESCRIPTION_BYTES_MAX = 65_536;

/** A moment that ISO 8601 can write in four digits of a year. */
const WALL_MS_MAX = Date.UTC(9999, 11, 31);

/** What an id looks like: it is the name of two files, so it has nothing that means something in a path. */
const ID = /^[A-Za-z0-9_-]{1,200}$/;

/** Whether a name can be the id of a record of that signal. */
export function isQuarantineId(name: string, signal: Signal): boolean {
  return ID.test(name) && name.startsWith(`${signal}-`);
}

/** The id of a record: the same each time that it is refused, and safe as a file's name whatever the destination is. */
function quarantineId({ signal, destination, receivedAtMs, sequence, piece }: RefusedRecord): string {
  const name = destination.replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, 40);
  const hash = createHash("sha256").update(destination).digest("hex").slice(0, 8);
  const parts = [signal, name, hash, Math.trunc(receivedAtMs), sequence, ...(piece === undefined ? [] : [`p${piece}`])];
  return parts.join("-");
}

/** Describes a record. */
export function describe(
  refused: RefusedRecord,
  { reason, message }: RefusalCause,
  quarantinedAtMs: number,
): QuarantinedRecord {
  const { signal, destination, payload, itemCount, receivedAtMs, hops } = refused;
  return {
    version: VERSION,
    id: quarantineId(refused),
    signal,
    destination,
    reason,
    message: message.slice(0, MESSAGE_CHARS_MAX),
    itemCount,
    bytes: payload.length,
    crc32: crc32(payload),
    receivedAt: isoTime(receivedAtMs),
    quarantinedAt: isoTime(quarantinedAtMs),
    hops,
  };
}

/** A description as it stands in the file. */
export function encodeDescription(record: QuarantinedRecord): Uint8Array {
  return Buffer.from(`${JSON.stringify(record, undefined, 2)}\n`);
}

/** @returns What a file describes, or in words why it does not describe the record of that id. */
export function decodeDescription(bytes: Uint8Array, id: string, signal: Signal): QuarantinedRecord | string {
  let value: Partial<Record<keyof QuarantinedRecord, unknown>>;
  try {
    value = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return "its .json is no JSON";
  }
  if (typeof value !== "object" || value === null) return "its .json describes nothing";
  if (value.version !== VERSION) return `its .json has a version that is not known here: ${String(value.version)}`;
  if (value.id !== id || value.signal !== signal) return "its .json describes another record";
  const { destination, reason, message, itemCount, bytes: length, crc32, receivedAt, quarantinedAt, hops } = value;
  const texts = [destination, reason, message, receivedAt, quarantinedAt, hops];
  if (!texts.every((text) => typeof text === "string") || ![itemCount, length, crc32].every(isCount)) {
    return "its .json lacks what it should say";
  }
  return value as QuarantinedRecord;
}

function isoTime(wallMs: number): string {
  return new Date(Math.min(Math.max(0, wallMs || 0), WALL_MS_MAX)).toISOString();
}
