import type { JournalEntry, Settlement } from "../exporters/journal/journal.ts";
import type { QuarantineStore, RefusalCause } from "../exporters/journal/quarantine.ts";
import type { LaneNotes, Piece } from "./lane_notes.ts";
import type { LaneSetup } from "./lane_options.ts";

/** Records of one request that are written at once: a disk syncs several files in about the time of one. */
const PUTS_AT_ONCE = 8;

/** What became of items that were sent to the quarantine. */
export interface Kept {
  /** Items whose bytes are safe there. */
  quarantined: number;
  /** Items for which there was no room. */
  rejected: number;
}

/**
 * What a destination refuses for good, on its way into the quarantine: once its bytes are safe there it is settled.
 *
 * Until then it is in flight at its cursor. If the process ends before, it is delivered, and perhaps refused, again; the
 * quarantine knows it by its id.
 */
export class LaneRefusals {
  readonly #name: string;
  readonly #setup: LaneSetup;
  readonly #notes: LaneNotes;
  readonly #leaving = new Set<JournalEntry>();

  constructor(name: string, setup: LaneSetup, notes: LaneNotes) {
    this.#name = name;
    this.#setup = setup;
    this.#notes = notes;
  }

  /** The records that are on their way. */
  get leaving(): ReadonlySet<JournalEntry> {
    return this.#leaving;
  }

  /** Hands over the records that are on their way: whatever becomes of their bytes, they are not settled here. */
  abandon(): readonly JournalEntry[] {
    const abandoned = [...this.#leaving];
    this.#leaving.clear();
    return abandoned;
  }

  /** Sends what is not settled yet of each record, and settles it. */
  async send(quarantine: QuarantineStore, entries: readonly JournalEntry[], cause: RefusalCause): Promise<Kept> {
    const sum: Kept = { quarantined: 0, rejected: 0 };
    for (const entry of entries) this.#leaving.add(entry);
    for (let first = 0; first < entries.length; first += PUTS_AT_ONCE) {
      const some = entries.slice(first, first + PUTS_AT_ONCE);
      await Promise.all(some.map((entry) => this.#sendOne(quarantine, entry, cause, sum)));
    }
    return sum;
  }

  /** Sends one piece of a record, and notes it. @returns undefined when the record has been handed over meanwhile. */
  async sendPiece(
    quarantine: QuarantineStore,
    entry: JournalEntry,
    piece: Piece,
    cause: RefusalCause,
  ): Promise<Kept | undefined> {
    this.#leaving.add(entry);
    const kept = await this.#put(quarantine, entry, [piece], cause);
    if (!this.#leaving.delete(entry)) return undefined;
    this.#notes.settlePart(entry, settlementOf(kept));
    return kept;
  }

  async #sendOne(quarantine: QuarantineStore, entry: JournalEntry, cause: RefusalCause, sum: Kept): Promise<void> {
    const whole = { body: entry.payload, itemCount: this.#notes.unsettledItems(entry), path: "" };
    const kept = await this.#put(quarantine, entry, this.#notes.get(entry)?.pieces ?? [whole], cause);
    if (!this.#leaving.delete(entry)) return;
    this.#setup.cursor.acknowledge(entry, this.#notes.settlement(entry, settlementOf(kept)));
    this.#notes.forget(entry);
    sum.quarantined += kept.quarantined;
    sum.rejected += kept.rejected;
  }

  async #put(
    quarantine: QuarantineStore,
    entry: JournalEntry,
    pieces: readonly Piece[],
    cause: RefusalCause,
  ): Promise<Kept> {
    const kept: Kept = { quarantined: 0, rejected: 0 };
    for (const piece of pieces) {
      const isKept = await this.#isKept(quarantine, entry, piece, cause);
      kept[isKept ? "quarantined" : "rejected"] += piece.itemCount;
    }
    return kept;
  }

  /** Resolves always, even where a quarantine breaks its word and throws. */
  async #isKept(
    quarantine: QuarantineStore,
    { sequence, receivedAtMs, hops }: JournalEntry,
    { body, itemCount, path }: Piece,
    cause: RefusalCause,
  ): Promise<boolean> {
    const { destination, log, signal } = this.#setup;
    const whatItIs = { signal, destination: destination.name, sequence, itemCount, receivedAtMs, hops };
    try {
      const refused = { ...whatItIs, payload: body, ...(path === "" ? {} : { piece: path }) };
      return await quarantine.put(refused, cause) === "kept";
    } catch (error) {
      log("error", `${this.#name}: ${String(error)}`);
      return false;
    }
  }
}

function settlementOf({ quarantined, rejected }: Kept): Settlement {
  return { quarantined, ...(rejected > 0 ? { rejected: { quarantine_full: rejected } } : {}) };
}
