import type { JournalEntry, Part, TakeLimits } from "../exporters/journal/journal.ts";
import type { LaneNotes } from "./lane_notes.ts";
import type { LaneSetup } from "./lane_options.ts";

/**
 * Keeps what comes now out of the queue behind what has gathered in an outage. While both wait, requests of the one and
 * of the other take turns:
 *
 * ```
 *   backlog  ████████████████████ ──┐
 *                                   ├──► backlog, live, backlog, live …
 *   live                    ▄ ▄ ▄ ──┘
 * ```
 *
 * So a live record stands behind one request of the backlog, not behind all of it, and the backlog still has half of the
 * requests: as they are the full ones, it has most of the line.
 */
export class LaneTurns {
  readonly #setup: LaneSetup;
  readonly #notes: LaneNotes;
  readonly #take: (limits: TakeLimits) => readonly JournalEntry[];
  #next: Part = "live";

  constructor(setup: LaneSetup, notes: LaneNotes, take: (limits: TakeLimits) => readonly JournalEntry[]) {
    this.#setup = setup;
    this.#notes = notes;
    this.#take = take;
  }

  /** What has gathered while nothing could be sent is backlog from now on. */
  splitBacklog(): void {
    const { backlogBytesMin, cursor } = this.#setup;
    if (cursor.queued.bytes >= backlogBytesMin) cursor.split();
  }

  /** The entries of one request, as many as may be merged; none when nothing waits. */
  take(): readonly JournalEntry[] {
    const { mergeBytesMax: bytesMax, mergeItemsMax: itemCountMax, mergeRecordsMax } = this.#setup;
    for (const from of [this.#next, otherThan(this.#next)]) {
      const recordCountMax = this.#notes.nextIsAlone(from) ? 1 : mergeRecordsMax;
      const entries = this.#take({ recordCountMax, itemCountMax, bytesMax, from });
      if (entries.length === 0) continue;
      this.#next = otherThan(from);
      return entries;
    }
    return [];
  }
}

function otherThan(part: Part): Part {
  return part === "live" ? "backlog" : "live";
}
