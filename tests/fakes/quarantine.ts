import type { QuarantineStore, RefusalCause, RefusedRecord } from "../../exporters/journal/quarantine.ts";

/** One call of `put` that was kept. */
export interface KeptRecord extends RefusalCause {
  /** Each byte is an item, and its value is the item's name. */
  readonly items: readonly number[];
  readonly refused: RefusedRecord;
}

/** A quarantine in memory, which takes as long as a test says. */
export class FakeQuarantine implements QuarantineStore {
  readonly folder = "/data/quarantine";
  readonly kept: KeptRecord[] = [];
  recordCountMax = Infinity;
  underWayCount = 0;
  underWayMaxSeen = 0;
  /** What each put waits for before it does anything. */
  untilReady: () => Promise<void> = () => Promise.resolve();

  async put(refused: RefusedRecord, cause: RefusalCause): Promise<"kept" | "full"> {
    this.underWayCount++;
    this.underWayMaxSeen = Math.max(this.underWayMaxSeen, this.underWayCount);
    try {
      await this.untilReady();
    } finally {
      this.underWayCount--;
    }
    if (this.kept.length >= this.recordCountMax) return "full";
    this.kept.push({ ...cause, items: [...refused.payload], refused });
    return "kept";
  }

  /** The items of each record that is kept, in the order in which they were. */
  get bodies(): readonly (readonly number[])[] {
    return this.kept.map(({ items }) => items);
  }
}
