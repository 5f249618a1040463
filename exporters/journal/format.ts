/**
 * What the journal's files look like: pure functions between bytes and numbers. All numbers are little-endian; those
 * that may exceed 32 bits are safe integers in an f64. `CRC-32` is the one of IEEE 802.3, as in `node:zlib`.
 *
 * **A segment** is a header and then records without gaps, in a file of its own:
 *
 * ```
 *  0      4      8         12     16       24         32      40         48           56         64
 *  ├──────┼──────┼─────────┼──────┼────────┼──────────┼───────┼──────────┼────────────┼──────────┤
 *  │ BWSG │ CRC  │ version │ salt │ number │ sequence │ items │ position │ created ms │ 0        │
 *  └──────┴──────┴─────────┴──────┴────────┴──────────┴───────┴──────────┴────────────┴──────────┘
 *           of 8..64                        └── where in the stream it begins ──┘
 * ```
 *
 * **A record** says where in the stream it stands, so that whoever finds one behind a damaged stretch knows to the item
 * what was in the stretch:
 *
 * ```
 *  0      4          8          12        16     20   24         32      40         48          56            64
 *  ├──────┼──────────┼──────────┼─────────┼──────┼────┼──────────┼───────┼──────────┼───────────┼─────────────┼──┄──┬──┄──┐
 *  │ BWRC │ head CRC │ body CRC │ payload │ hops │ 0  │ sequence │ items │ position │ its items │ received ms │hops │payld│
 *  └──────┴──────────┴──────────┴─────────┴──────┴────┴──────────┴───────┴──────────┴───────────┴─────────────┴──┄──┴──┄──┘
 *           of 8..64   of hops   bytes     bytes        └─ before this record: ─┘
 *                      + payload                        records  items    bytes
 * ```
 *
 * Both sums begin with the journal's salt, and the position must be the record's own. So a payload that looks like a
 * record, or one left behind elsewhere on the disk, is not taken for one.
 *
 * **A slot** holds a small JSON value. Those of a file are written by turns, so that one of them is always whole:
 *
 * ```
 *  0      4      8        12        16           24
 *  ├──────┼──────┼────────┼─────────┼────────────┼──┄──┐
 *  │ BWSL │ CRC  │ length │ version │ generation │ JSON│
 *  └──────┴──────┴────────┴─────────┴────────────┴──┄──┘
 *           of 8 to the end of the JSON
 * ```
 */

import { crc32 } from "node:zlib";

/** A place between two records: how many records, items and stored bytes of the stream stand before it. */
export interface StreamPoint {
  readonly sequence: number;
  readonly items: number;
  readonly position: number;
}

/** Where every stream begins. */
export const STREAM_START: StreamPoint = { sequence: 0, items: 0, position: 0 };

/** What the head of a record says. */
export interface RecordHead {
  /** Where it stands: the point before it. */
  readonly at: StreamPoint;
  readonly itemCount: number;
  readonly receivedAtMs: number;
  readonly hopsBytes: number;
  readonly payloadBytes: number;
  /** Of hops and payload. */
  readonly bodyCrc: number;
}

/** What the header of a segment says. */
export interface SegmentHeader {
  /** Of this journal, in all its segments. Luck of the draw: nobody who sends us data knows it. */
  readonly salt: number;
  /** Segments are numbered in the order in which they were made. Where two hold the same, the later one is right. */
  readonly number: number;
  /** Where in the stream it begins. */
  readonly base: StreamPoint;
  readonly createdAtMs: number;
}

/** A value in a slot, and how young it is. */
export interface Slot {
  readonly generation: number;
  readonly value: unknown;
}

/** The head of a record: what the journal adds to its hops and payload. */
export const RECORD_HEAD_BYTES = 64;

/** Four times the longest list of hops that a server lets pass. */
export const HOPS_BYTES_MAX = 4096;

/** Sixteen times the largest body that a receiver takes unless told otherwise, and still one buffer everywhere. */
export const PAYLOAD_BYTES_MAX = 2 ** 30;

/** The header of a segment: its first record follows at once. */
export const SEGMENT_HEADER_BYTES = 64;

/** A slot's place in its file: the largest value of a cursor takes half of it. */
export const SLOT_BYTES_MAX = 2 ** 21;

/** What stands before the JSON in a slot. */
export const SLOT_HEAD_BYTES = 24;

/** Of the layout above. A segment or slot of another version is not read. */
const VERSION = 1;

const RECORD_MARK = fourLetters("BWRC");
const SEGMENT_MARK = fourLetters("BWSG");
const SLOT_MARK = fourLetters("BWSL");

/** The first bytes of every record, to look for behind a damaged stretch. */
export const RECORD_MARK_BYTES: Uint8Array = new TextEncoder().encode("BWRC");

/** The bytes that a record takes in its segment. */
export function storedBytes({ hopsBytes, payloadBytes }: Pick<RecordHead, "hopsBytes" | "payloadBytes">): number {
  return RECORD_HEAD_BYTES + hopsBytes + payloadBytes;
}

/** The point behind a record. */
export function pointAfter(head: Omit<RecordHead, "bodyCrc" | "receivedAtMs">): StreamPoint {
  return {
    sequence: head.at.sequence + 1,
    items: head.at.items + head.itemCount,
    position: head.at.position + storedBytes(head),
  };
}

/** The sum of a record's body. */
export function bodyCrc(hops: Uint8Array, payload: Uint8Array, salt: number): number {
  return crc32(payload, crc32(hops, salt));
}

/** Writes the head of a record to the first {@linkcode RECORD_HEAD_BYTES} of `into`. */
export function encodeRecordHead(head: RecordHead, salt: number, into: Uint8Array): void {
  const view = viewOf(into);
  view.setUint32(0, RECORD_MARK, true);
  view.setUint32(8, head.bodyCrc, true);
  view.setUint32(12, head.payloadBytes, true);
  view.setUint32(16, head.hopsBytes, true);
  view.setUint32(20, 0, true);
  setPoint(view, 24, head.at);
  view.setFloat64(48, head.itemCount, true);
  view.setFloat64(56, head.receivedAtMs, true);
  view.setUint32(4, crc32(into.subarray(8, RECORD_HEAD_BYTES), salt), true);
}

/** The head at the beginning of `bytes`; undefined when there is none, or not a whole one. */
export function decodeRecordHead(bytes: Uint8Array, salt: number): RecordHead | undefined {
  if (bytes.length < RECORD_HEAD_BYTES) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== RECORD_MARK) return undefined;
  if (view.getUint32(4, true) !== crc32(bytes.subarray(8, RECORD_HEAD_BYTES), salt)) return undefined;
  const head: RecordHead = {
    bodyCrc: view.getUint32(8, true),
    payloadBytes: view.getUint32(12, true),
    hopsBytes: view.getUint32(16, true),
    at: pointAt(view, 24),
    itemCount: view.getFloat64(48, true),
    receivedAtMs: view.getFloat64(56, true),
  };
  const fits = head.payloadBytes <= PAYLOAD_BYTES_MAX && head.hopsBytes <= HOPS_BYTES_MAX;
  return fits && isPoint(head.at) && isCount(head.itemCount) && isPoint(pointAfter(head)) ? head : undefined;
}

/** The header of a segment, as the bytes with which its file begins. */
export function encodeSegmentHeader({ salt, number, base, createdAtMs }: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, SEGMENT_MARK, true);
  view.setUint32(8, VERSION, true);
  view.setUint32(12, salt, true);
  view.setFloat64(16, number, true);
  setPoint(view, 24, base);
  view.setFloat64(48, createdAtMs, true);
  view.setUint32(4, crc32(bytes.subarray(8)), true);
  return bytes;
}

/** The header at the beginning of `bytes`; undefined when there is none, or not a whole one of this version. */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== SEGMENT_MARK) return undefined;
  if (view.getUint32(4, true) !== crc32(bytes.subarray(8, SEGMENT_HEADER_BYTES))) return undefined;
  if (view.getUint32(8, true) !== VERSION) return undefined;
  const header: SegmentHeader = {
    salt: view.getUint32(12, true),
    number: view.getFloat64(16, true),
    base: pointAt(view, 24),
    createdAtMs: view.getFloat64(48, true),
  };
  return isCount(header.number) && isPoint(header.base) ? header : undefined;
}

/**
 * A value as the bytes of a slot.
 *
 * @throws {RangeError} When it is larger than a slot.
 */
export function encodeSlot({ generation, value }: Slot): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(value));
  const bytes = new Uint8Array(SLOT_HEAD_BYTES + json.length);
  if (bytes.length > SLOT_BYTES_MAX) {
    throw new RangeError(`Cannot encode slot: it must have at most ${SLOT_BYTES_MAX} bytes, received ${bytes.length}`);
  }
  const view = viewOf(bytes);
  view.setUint32(0, SLOT_MARK, true);
  view.setUint32(8, json.length, true);
  view.setUint32(12, VERSION, true);
  view.setFloat64(16, generation, true);
  bytes.set(json, SLOT_HEAD_BYTES);
  view.setUint32(4, crc32(bytes.subarray(8)), true);
  return bytes;
}

/** How long a slot is that begins with this head, if it is one. */
export function slotBytes(head: Uint8Array): number {
  return SLOT_HEAD_BYTES + viewOf(head).getUint32(8, true);
}

/** The slot at the beginning of `bytes`; undefined when there is none, or not a whole one of this version. */
export function decodeSlot(bytes: Uint8Array): Slot | undefined {
  if (bytes.length < SLOT_HEAD_BYTES) return undefined;
  const view = viewOf(bytes);
  const end = slotBytes(bytes);
  if (view.getUint32(0, true) !== SLOT_MARK || end > bytes.length) return undefined;
  if (view.getUint32(4, true) !== crc32(bytes.subarray(8, end))) return undefined;
  if (view.getUint32(12, true) !== VERSION) return undefined;
  const value: unknown = JSON.parse(new TextDecoder().decode(bytes.subarray(SLOT_HEAD_BYTES, end)));
  return { generation: view.getFloat64(16, true), value };
}

/** Whether a value is a number of things. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Whether three numbers can be a place in a stream. */
export function isPoint({ sequence, items, position }: StreamPoint): boolean {
  return isCount(sequence) && isCount(items) && isCount(position);
}

function setPoint(view: DataView, offset: number, { sequence, items, position }: StreamPoint): void {
  view.setFloat64(offset, sequence, true);
  view.setFloat64(offset + 8, items, true);
  view.setFloat64(offset + 16, position, true);
}

function pointAt(view: DataView, offset: number): StreamPoint {
  return {
    sequence: view.getFloat64(offset, true),
    items: view.getFloat64(offset + 8, true),
    position: view.getFloat64(offset + 16, true),
  };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function fourLetters(text: string): number {
  return viewOf(new TextEncoder().encode(text)).getUint32(0, true);
}
