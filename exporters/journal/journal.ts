import type { CountByReason, Reason } from "../reason.ts";
import type { Signal } from "../signal.ts";

/** One accepted request. */
export interface JournalRecord {
  /** OTLP protobuf `Export…ServiceRequest`. Never changed after `append`. */
  readonly payload: Uint8Array;
  readonly itemCount: number;
  /** Wall-clock time of receipt, in Unix milliseconds. */
  readonly receivedAtMs: number;
  /** The `breakwater-hop` value it came with, `""` if none. Requests of different hops are not merged. */
  readonly hops: string;
}

/** A record with its place in the stream. */
export interface JournalEntry extends JournalRecord {
  /** Position in the stream, counted from 0, without gaps. */
  readonly sequence: number;
}

/** How much `take` may hand out at once. The first entry is given even if it alone is larger. */
export interface TakeLimits {
  readonly recordCountMax: number;
  readonly itemCountMax: number;
  readonly bytesMax: number;
}

/** What became of an entry's items: the parts add up to the entry's `itemCount`. */
export interface Settlement {
  readonly delivered?: number;
  readonly rejected?: CountByReason;
  readonly quarantined?: number;
  readonly dropped?: CountByReason;
}

/** A cursor's side of the account, in items. `queued` is counted from the queue itself, never by subtraction. */
export interface CursorTotals {
  readonly delivered: number;
  readonly rejected: Readonly<CountByReason>;
  readonly quarantined: number;
  readonly dropped: Readonly<CountByReason>;
  readonly redelivered: number;
}

/** What waits at a cursor, in flight included. */
export interface Queued {
  readonly items: number;
  readonly bytes: number;
  /** Wall-clock receipt time of the oldest waiting entry, in Unix milliseconds; undefined when nothing waits. */
  readonly oldestReceivedAtMs: number | undefined;
}

/** What happens at this cursor when the stream is at its limit. */
export type OnFull = "reject" | "drop_oldest";

/** A destination's place in a stream: what it has taken, what it has settled. */
export interface Cursor {
  readonly name: string;
  readonly onFull: OnFull;
  readonly queued: Queued;
  readonly totals: CursorTotals;
  /** Hands out the next entries in order, marked as in flight; an empty list when none waits. All have the same `hops`. */
  take(limits: TakeLimits): readonly JournalEntry[];
  /** Settles one entry for good, in any order. @throws {RangeError} When the settlement does not add up to the entry. */
  acknowledge(entry: JournalEntry, settlement: Settlement): void;
  /** Gives entries back undelivered: they are taken again first, in their old order. */
  release(entries: readonly JournalEntry[]): void;
  /** Counts items that are sent again although the backend may already have them. */
  countRedelivered(itemCount: number): void;
  /** Resolves when `take` would give something, or when `abort` fires. */
  untilSomethingWaits(abort: AbortSignal): Promise<void>;
}

/** A durable (or, so far, remembered) queue: one stream of accepted requests for one signal, any number of cursors. */
export interface Journal {
  readonly signal: Signal;
  /** Items accepted by `append` and `discard` since the beginning. */
  readonly acceptedItems: number;
  readonly cursors: readonly Cursor[];
  /** Takes a record for every cursor, or for none. */
  append(record: JournalRecord): Promise<"appended" | "queue_full">;
  /** Accepts items and drops them at every cursor at once, for a reason such as `sampled`. */
  discard(itemCount: number, reason: Reason): void;
  /** Opens the cursor of that name, making it at the stream's end if it is new. */
  cursor(name: string, onFull: OnFull): Cursor;
  close(): Promise<void>;
}
