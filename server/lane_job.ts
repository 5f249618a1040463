import type { JournalEntry } from "../exporters/journal/journal.ts";
import type { Piece } from "./lane_notes.ts";
import type { ParkedRecord } from "./lane_poison.ts";

/** One request on its way. */
export interface Job {
  /** A `batch` is sent while all is well, a `probe` to find out, a `parked` record to see whether it passes at last. */
  readonly kind: "batch" | "probe" | "parked";
  readonly entries: readonly JournalEntry[];
  /** Records before the probe's, taken but not sent. */
  readonly skipped: readonly JournalEntry[];
  /** The place of a `parked` record. */
  readonly parked: ParkedRecord | undefined;
  /** The part of the one record that is sent, where it is sent in parts. */
  readonly piece: Piece | undefined;
  readonly itemCount: number;
  /** Whether the circuit was closed when it was sent. */
  readonly wasClosed: boolean;
  /** True once its records are settled, or in other hands: its answer has come, or is not waited for any more. */
  settled: boolean;
  /** What it has sent into the quarantine: each resolves when that is safe. */
  readonly leaving: Promise<void>[];
}
