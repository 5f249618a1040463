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

/** The two parts of what a cursor has not settled: what was there when it was last split, and what came since. */
export type Part = "backlog" | "live";

/** How much `take` may hand out at once. The first entry is given even if it alone is larger. */
export interface TakeLimits {
  readonly recordCountMax: number;
  readonly itemCountMax: number;
  readonly bytesMax: number;
  /** Where from. @default {both: the oldest first} */
  readonly from?: Part;
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
  /** As they are stored, so that they can be compared with the limit: with what the store adds to each record. */
  readonly bytes: number;
  /** Wall-clock receipt time of the oldest waiting entry, in Unix milliseconds; undefined when nothing waits. */
  readonly oldestReceivedAtMs: number | undefined;
}

/**
 * What happens when this cursor's queue is at its limit: the sender is refused, or the cursor skips its oldest entries
 * that are not in flight (the new one, when all are), counted as dropped for `queue_full`.
 */
export type OnFull = "reject" | "drop_oldest";

/** A destination's place in a stream: what it has taken, what it has settled. */
export interface Cursor {
  readonly name: string;
  readonly onFull: OnFull;
  readonly queued: Queued;
  /** How much of what is queued is backlog; the rest is live. */
  readonly backlog: Pick<Queued, "items" | "bytes">;
  readonly totals: CursorTotals;
  /**
   * Hands out the next entries in order, marked as in flight; an empty list when none waits. All have the same `hops`.
   */
  take(limits: TakeLimits): readonly JournalEntry[];
  /**
   * Resolves when whoever opens the journal after the end of this process would know what was taken until now: who sends
   * only then sends nothing twice that is not counted as redelivered. Never rejects, and does not wait for a disk that
   * hangs. Undefined when nothing is known after the end of the process anyway.
   */
  noted(): Promise<void> | undefined;
  /**
   * Settles one entry for good, in any order.
   *
   * @throws {RangeError} When the settlement does not add up to the entry, or the entry is not in flight at this cursor.
   */
  acknowledge(entry: JournalEntry, settlement: Settlement): void;
  /**
   * Gives entries back undelivered: they are taken again first, in their old order.
   *
   * @param mayHaveArrived Whether their answers were lost. In this process whoever sends them again counts that; a process
   * after it counts them by itself as redelivered.
   * @throws {RangeError} As above.
   */
  release(entries: readonly JournalEntry[], mayHaveArrived?: boolean): void;
  /**
   * Makes a backlog of all that is here, so that what comes from now on does not have to stand behind it: `take` can ask
   * for either part. Does nothing when nothing waits but backlog. A backlog that is settled is gone by itself.
   */
  split(): void;
  /** The part that an entry of this cursor belongs to. */
  partOf(entry: Pick<JournalEntry, "sequence">): Part;
  /** Counts items that are sent again although the backend may already have them. */
  countRedelivered(itemCount: number): void;
  /** Resolves when `take` would give something, or when `abort` fires. */
  untilSomethingWaits(abort: AbortSignal): Promise<void>;
}

/** Whether a record was taken, and why not. */
export type AppendAnswer = "appended" | "queue_full" | "journal_full" | "too_large";

/** A queue, durable or remembered: one stream of accepted requests for one signal, any number of cursors. */
export interface Journal {
  readonly signal: Signal;
  /** Whether what is accepted outlives the process. */
  readonly isDurable: boolean;
  /** Items accepted by `append` and `discard` since the beginning. */
  readonly acceptedItems: number;
  readonly cursors: readonly Cursor[];
  /**
   * Takes a record for every cursor, or for none.
   *
   * - `queue_full`: a cursor with `onFull: "reject"` has no room now; later there may be some.
   * - `journal_full`: the disk takes nothing, because it is full or fails; when it is well again, it will.
   * - `too_large`: the record alone is larger than the whole queue, so there will never be room.
   */
  append(record: JournalRecord): Promise<AppendAnswer>;
  /** Accepts items and drops them at every cursor at once, for a reason such as `sampled`. */
  discard(itemCount: number, reason: Reason): void;
  /**
   * Opens the cursor of that name, making it at the stream's end if it is new. What was accepted before that is dropped
   * in its account, as `no_destination`, so that it balances too.
   */
  cursor(name: string, onFull: OnFull): Cursor;
  close(): Promise<void>;
}
