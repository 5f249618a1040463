import type { JournalEntry, Part, Settlement } from "../exporters/journal/journal.ts";
import type { RefusalCause } from "../exporters/journal/quarantine.ts";
import { type CountByReason, type Reason, tally, total } from "../exporters/reason.ts";

/** A part of a record that was too large to be sent as one. */
export interface Piece {
  readonly body: Uint8Array;
  readonly itemCount: number;
  /** Which part it is: 0 for a first half, 1 for a second, a digit for each cut; empty for all of the record. */
  readonly path: string;
}

/** Where a record stands in the stream. */
type Place = Pick<JournalEntry, "sequence">;

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
  quarantined: number;
  /** Why the last attempt failed. */
  cause: RefusalCause;
}

/** Beyond this many the notes on records that are no longer there are looked for: more than a lane can have in hand. */
const NOTES_MAX = 16_384;

/**
 * What a lane knows about records that it gave back or put aside. A note goes when its record is settled; the notes on
 * records that the queue dropped by itself go by and by.
 */
export class LaneNotes {
  readonly #notes = new Map<number, Note>();
  readonly #partOf: (place: Place) => Part;
  /** Records of its part up to each of these are sent alone, because a merged request with them in it was refused. */
  #marks: readonly Place[] = [];

  /** @param partOf The part of the queue that a record belongs to: each comes in its own order. */
  constructor(partOf: (place: Place) => Part) {
    this.#partOf = partOf;
  }

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
        quarantined: 0,
        cause: { reason: "export_failed", message: "" },
      };
      this.#notes.set(entry.sequence, note);
    }
    return note;
  }

  forget(entry: JournalEntry): void {
    this.#notes.delete(entry.sequence);
  }

  /**
   * An outage is nobody's fault: what was held against single records before is void. Nor are they retries when the
   * backend is back: the circuit has bounded those, and the budget would hold up all that is behind them.
   */
  forgiveAll(): void {
    for (const note of this.#notes.values()) {
      note.failureCount = 0;
      note.isRetry = false;
    }
  }

  /** From now on the record, and those before it in its part, are not merged with others. */
  sendAlone({ sequence }: JournalEntry): void {
    const part = this.#partOf({ sequence });
    const isMarked = this.#marks.some((mark) => this.#partOf(mark) === part && mark.sequence >= sequence);
    if (!isMarked) this.#marks = [...this.#marks.filter((mark) => this.#partOf(mark) !== part), { sequence }];
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

  /** Whether the next record of a part has to be taken alone. */
  nextIsAlone(part: Part): boolean {
    return this.#marks.some((mark) => this.#partOf(mark) === part);
  }

  /**
   * Told what was taken: the records of a part come in order, so once one beyond its mark was seen, none before it
   * waits.
   */
  taken(first: JournalEntry, isInHand: (sequence: number) => boolean): void {
    const isPassed = (place: Place) => place.sequence < first.sequence && this.#partOf(place) === this.#partOf(first);
    if (this.#marks.length > 0) this.#marks = this.#marks.filter((mark) => !isPassed(mark));
    if (this.#notes.size <= NOTES_MAX) return;
    for (const sequence of this.#notes.keys()) {
      if (isPassed({ sequence }) && !isInHand(sequence)) this.#notes.delete(sequence);
    }
  }

  /** Notes what became of one piece of a record. */
  settlePart(entry: JournalEntry, { delivered = 0, rejected = {}, quarantined = 0 }: Settlement): void {
    const note = this.take(entry);
    note.delivered += delivered;
    note.quarantined += quarantined;
    addTo(note.rejected, rejected);
  }

  /**
   * The settlement of a record whose pieces are all done with, or of which nothing was sent in pieces: the rest of it.
   */
  settlement(entry: JournalEntry, rest: Settlement): Settlement {
    const note = this.#notes.get(entry.sequence);
    if (note === undefined) return rest;
    const rejected: CountByReason = { ...note.rejected };
    addTo(rejected, rest.rejected ?? {});
    const delivered = note.delivered + (rest.delivered ?? 0);
    return { ...rest, delivered, rejected, quarantined: note.quarantined + (rest.quarantined ?? 0) };
  }

  /** Whether items of a record are with the backend, or may be: not for this lane, but for one that takes it anew. */
  mayHaveArrived(entry: JournalEntry): boolean {
    const note = this.#notes.get(entry.sequence);
    return note !== undefined && note.lostItems + note.delivered > 0;
  }

  /** Items of a record that are not settled yet by pieces of it. */
  unsettledItems(entry: JournalEntry): number {
    const note = this.#notes.get(entry.sequence);
    if (note === undefined) return entry.itemCount;
    return entry.itemCount - note.delivered - total(note.rejected) - note.quarantined;
  }
}

function addTo(counts: CountByReason, others: Readonly<CountByReason>): void {
  for (const [reason, itemCount] of Object.entries(others)) tally(counts, reason as Reason, itemCount ?? 0);
}
