import type { Journal, JournalRecord, TakeLimits } from "../../../exporters/journal/journal.ts";
import type { FakeClock } from "../../fakes/clock.ts";

/** What a journal under test is made with. */
export interface JournalLimits {
  readonly bytesMax: number;
  readonly itemsMax: number;
  readonly recordAgeMaxMs?: number;
  /** A test's own time, where it has one. */
  readonly clock?: FakeClock;
}

/** A journal under test. */
export interface JournalUnderTest {
  /** Makes an empty journal of traces. */
  make(limits: JournalLimits): Journal | Promise<Journal>;
  /** What the store adds to the bytes of each record that came over no hops. */
  readonly recordOverheadBytes: number;
  /** What it adds for each byte of hops. */
  readonly hopsFactor: number;
  /** How many random programs are played. @default {100} */
  readonly programCount?: number;
}

/** Declares one test of a journal. */
export type DeclareTest = (title: string, body: () => Promise<void>) => void;

/** More bytes than any of these tests needs. */
export const PLENTY = 1_000_000;

export const ALL: TakeLimits = { recordCountMax: Infinity, itemCountMax: Infinity, bytesMax: Infinity };

/** Makes a journal for so many items. */
export async function withItems({ make }: JournalUnderTest, itemsMax: number): Promise<Journal> {
  return await make({ bytesMax: PLENTY, itemsMax });
}

/** A record of so many items. */
export function record(
  itemCount: number,
  { bytes = 4, hops = "", receivedAtMs = 0 }: { bytes?: number; hops?: string; receivedAtMs?: number } = {},
): JournalRecord {
  return { payload: new Uint8Array(bytes), itemCount, receivedAtMs, hops };
}
