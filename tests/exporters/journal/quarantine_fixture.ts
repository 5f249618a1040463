import assert from "node:assert/strict";
import { Quarantine, type QuarantineOptions, type RefusedRecord } from "../../../exporters/journal/quarantine.ts";
import { FakeClock } from "../../fakes/clock.ts";
import type { FakeDisk } from "../../fakes/disk.ts";

export const FOLDER = "/data/quarantine";
export const BAD_DATA = { reason: "http_400", message: "bad data" } as const;

/** Opens a quarantine on a fake disk. */
export function openQuarantine(
  disk: FakeDisk,
  options: Partial<QuarantineOptions> = {},
  clock = new FakeClock(),
): Promise<Quarantine> {
  return Quarantine.open({ folder: FOLDER, disk, clock, sleep: clock.sleep, ...options });
}

/** A record that is told from others by its sequence. */
export function refused(sequence: number, changes: Partial<RefusedRecord> = {}): RefusedRecord {
  return {
    signal: "traces",
    destination: "upstream",
    sequence,
    payload: Uint8Array.from({ length: 20 + sequence }, (_, index) => sequence + index * 7),
    itemCount: sequence + 1,
    receivedAtMs: 1_700_000_000_000 + sequence,
    hops: "",
    ...changes,
  };
}

/** The payload of a record in the quarantine, which has to be whole. */
export async function payloadOf(quarantine: Quarantine, id: string): Promise<Uint8Array> {
  const reading = await quarantine.read(id);
  assert.ok(reading.status === "read", JSON.stringify(reading));
  return reading.payload;
}

/** The sequences of what is whole, in the order of the list; each is what was put. */
export async function sequencesIn(quarantine: Quarantine): Promise<number[]> {
  const sequences: number[] = [];
  for (const { id, record, damage } of quarantine.list()) {
    if (record === undefined || damage !== undefined) continue;
    const sequence = record.itemCount - 1;
    assert.deepEqual(await payloadOf(quarantine, id), refused(sequence).payload, id);
    sequences.push(sequence);
  }
  return sequences;
}
