import { type RecordHead, SEGMENT_HEADER_BYTES } from "./format.ts";
import type { StreamInspection } from "./inspection.ts";
import { scanForRecord } from "./reader.ts";
import type { Segment } from "./segments.ts";

/** A record, as a mark in a stream. */
export interface RecordMark {
  readonly sequence: number;
  readonly receivedAtMs: number;
}

/** How much of a segment's end is looked through at first, for the last record that begins in it. */
const TAIL_BYTES = 65_536;

/** The first and the last record of a segment whose heads are whole, found without reading what is between them. */
export function segmentEdges(
  { stream: { salt, segments, end } }: StreamInspection,
  segment: Segment,
): { readonly first: RecordMark | undefined; readonly last: RecordMark | undefined } {
  if (salt === undefined) return { first: undefined, last: undefined };
  const following = segments.following(segment.position)?.position ?? end.position;
  const bytes = Math.min(segment.bytes, SEGMENT_HEADER_BYTES + following - segment.position);
  const scan = (from: number, accept: (head: RecordHead) => boolean) =>
    scanForRecord({
      salt,
      read: (offset, into) => segment.file.read(offset, into),
      from,
      end: bytes,
      accept: (head, offset) => head.at.position === segment.position + offset - SEGMENT_HEADER_BYTES && accept(head),
      stepOver: () => TAIL_BYTES,
    });
  const first = scan(SEGMENT_HEADER_BYTES, () => true);
  let last: RecordHead | undefined;
  for (let tail = TAIL_BYTES; first !== undefined && last === undefined; tail *= 4) {
    scan(Math.max(SEGMENT_HEADER_BYTES, bytes - tail), (head) => {
      last = head;
      return false; // The last of them is wanted.
    });
  }
  return { first: markOf(first), last: markOf(last) };
}

function markOf(head: RecordHead | undefined): RecordMark | undefined {
  return head && { sequence: head.at.sequence, receivedAtMs: head.receivedAtMs };
}
