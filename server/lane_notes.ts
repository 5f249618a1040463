import type { JournalEntry, Settlement } from "../exporters/journal/journal.ts";
import { type CountByReason, type Reason, tally, total } from "../exporters/reason.ts";

/** A part of a record that was too large to be sent as one. */
export interface Piece {
  readonly body: Uint8Array;
  readonly itemCount: number;
}

/** What a lane remembers about one record between two attempts. */
export interface Note {
  /** The last attempt failed, so the next is a retry: the halves of a record that was too large are none. */
  isRetry: boolean;
  /** Failures while the circuit stayed closed: others may pass, this one did not. */
  failureCount: number;
  /** The lane's deliveries when the first of these failures was seen. */
  deliveriesAtFirstFailure: number;
  /** Items whose answer was lost: if they are sent again, the backend may get them twice. */
  lostItems: number;
  /** What is left of a record that is sent in pieces. */
  pieces: Piece[] | undefined;
  /** What has become of the pieces that are done with. */
  delivered: number;
  readonly rejected: CountByReason;
  /** Why the last attempt failed. */
  reason: Reason;
}

/** Beyond this many the notes on records that are no longer there are looked for: more than a lane can have in hand. */
const NOTES_MAX = 16_384;

/**
 * What a lane knows about records that it gave back or put aside. A note goes when its record is settled; the notes on
 * records that the queue dropped by itself go by and by.
 */
export class LaneNotes {
  readonly #notes = new Map<number, Note>();
  /** Records up to this sequence are sent alone, because a merged request with them in it was refused. */
  #aloneUpTo = -1;

  get(entry: JournalEntry): Note | undefined {
    return this.#notes.get(entry.sequence);
  }

  /** The note on a record that has had an unlucky attempt. */
  take(entry: JournalEntry): Note {
    let note = this.#notes.get(entry.sequence);
    if (note === undefined) {
      note = {
        isRetry: false,
        failureCount: 0,
        deliveriesAtFirstFailure: 0,
        lostItems: 0,
        pieces: undefined,
        delivered: 0,
        rejected: {},
        reason: "export_failed",
      };
      this.#notes.set(entry.sequence, note);
    }
    return note;
  }

  forget(entry: JournalEntry): void {
    this.#notes.delete(entry.sequence);
  }

  /** An outage is nobody's fault: what was held against single records while the circuit was closed is void. */
  forgiveAll(): void {
    for (const note of this.#notes.values()) note.failureCount = 0;
  }

  /** From now on the record, and those before it, are not merged with others. */
  sendAlone(entry: JournalEntry): void {
    this.#aloneUpTo = Math.max(this.#aloneUpTo, entry.sequence);
  }

  /**
   * Takes a merged request apart. Its records sent alone are no retries: a budget for requests would take hours over
   * them.
   */
  takeApart(entries: readonly JournalEntry[]): void {
    for (const entry of entries) {
      this.sendAlone(entry);
      const note = this.get(entry);
      if (note !== undefined) note.isRetry = false;
    }
  }

  /** Whether the next record has to be taken alone. */
  get nextIsAlone(): boolean {
    return this.#aloneUpTo >= 0;
  }

  /** Told what was taken: records come in order, so once one beyond the mark was seen, none before it waits. */
  taken(first: JournalEntry, isInHand: (sequence: number) => boolean): void {
    if (first.sequence > this.#aloneUpTo) this.#aloneUpTo = -1;
    if (this.#notes.size <= NOTES_MAX) return;
    for (const sequence of this.#notes.keys()) {
      if (sequence < first.sequence && !isInHand(sequence)) this.#notes.delete(sequence);
    }
  }

  /**
   * The settlement of a record whose pieces are all done with, or of which nothing was sent in pieces: the rest of it.
   */
  settlement(entry: JournalEntry, rest: Settlement): Settlement {
    const note = this.#notes.get(entry.sequence);
    if (note === undefined) return rest;
    const rejected: CountByReason = { ...note.rejected };
    for (const [reason, itemCount] of Object.entries(rest.rejected ?? {})) {
      tally(rejected, reason as Reason, itemCount ?? 0);
    }
    return { ...rest, delivered: note.delivered + (rest.delivered ?? 0), rejected };
  }

  /** Items of a record that are not settled yet by pieces of it. */
  unsettledItems(entry: JournalEntry): number {
    const note = this.#notes.get(entry.sequence);
    return note === undefined ? entry.itemCount : entry.itemCount - note.delivered - total(note.rejected);
  }
}
