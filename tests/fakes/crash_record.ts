import { Buffer } from "node:buffer";
import type { JournalRecord } from "../../exporters/journal/journal.ts";

/** The record of an id, which decides every byte of it: small or large, some with hops, so that records are not alike. */
export function crashRecord(id: number): JournalRecord {
  const payload = new Uint8Array(8 + (id * 7919) % 2000);
  let state = id;
  for (let index = 4; index < payload.length; index++) {
    state = Math.imul(state, 1_664_525) + 1_013_904_223 | 0;
    payload[index] = state >>> 24;
  }
  new DataView(payload.buffer).setUint32(0, id);
  return { payload, itemCount: 1 + id % 5, receivedAtMs: 1_700_000_000_000 + id, hops: id % 7 === 0 ? "hop" : "" };
}

/** The id of a record that is just as it was appended. @throws {Error} When anything about it differs. */
export function crashRecordId({ payload, itemCount, receivedAtMs, hops }: JournalRecord): number {
  const id = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
  const whole = crashRecord(id);
  const isWhole = Buffer.compare(payload, whole.payload) === 0 && itemCount === whole.itemCount &&
    receivedAtMs === whole.receivedAtMs && hops === whole.hops;
  if (isWhole) return id;
  throw new Error(`Record ${id} is not as it was: ${payload.length} bytes, ${itemCount} items, hops "${hops}"`);
}
