import type { JournalEntry } from "../exporters/journal/journal.ts";

/** The bounds of patience with one record. */
export interface PoisonLimits {
  /** After so many failed probes with the same head the next probes carry the records behind it. */
  readonly headProbesMax: number;
  /** So many records are parked at once, and so many behind the head are tried. */
  readonly parkedRecordsMax: number;
  /** A parked record is given up after so many failures while the circuit is closed. */
  readonly parkedFailuresMax: number;
}

/** A record that has been put aside: others pass, it does not. */
export interface ParkedRecord {
  readonly entry: JournalEntry;
  /** Whether an attempt is under way: until its answer is here the record cannot be given up. */
  inFlight: boolean;
  failureCount: number;
  /** The monotonic moment of its next attempt, in milliseconds. */
  nextAttemptAtMs: number;
}

/**
 * Sees to it that a record on which the backend chokes cannot block those behind it. When probes fail again and again
 * with the same head, the next ones carry the records behind it in turn; as soon as one passes, the backend is known to
 * be well, and those that were skipped are parked.
 */
export class PoisonWatch {
  readonly #limits: PoisonLimits;
  readonly #parked: ParkedRecord[] = [];
  #headSequence = -1;
  #failedProbeCount = 0;

  constructor(limits: PoisonLimits) {
    this.#limits = limits;
  }

  /** Records that are put aside, in the order in which they were. */
  get parked(): readonly ParkedRecord[] {
    return this.#parked;
  }

  /** Which record the next probe carries, counted from the head at 0. */
  probeIndex(headSequence: number): number {
    if (headSequence !== this.#headSequence) {
      this.#headSequence = headSequence;
      this.#failedProbeCount = 0;
    }
    const { headProbesMax, parkedRecordsMax } = this.#limits;
    if (this.#failedProbeCount < headProbesMax) return 0;
    // 1, 2, 3 … and then again from the head: in a long outage every one of them has its turn.
    return (this.#failedProbeCount - headProbesMax + 1) % (parkedRecordsMax + 1);
  }

  probeFailed(): void {
    this.#failedProbeCount++;
  }

  probePassed(): void {
    this.#failedProbeCount = 0;
    this.#headSequence = -1;
  }

  /** Whether one more record can be put aside without giving up another. */
  get hasRoom(): boolean {
    return this.#parked.length < this.#limits.parkedRecordsMax;
  }

  /** Puts a record aside. @returns The one that has to be given up to make room, if any: it has failed most. */
  park(entry: JournalEntry, nowMs: number): ParkedRecord | undefined {
    const crowdedOut = this.hasRoom ? undefined : this.#mostFailed();
    if (crowdedOut !== undefined) this.unpark(crowdedOut);
    this.#parked.push({ entry, inFlight: false, failureCount: 0, nextAttemptAtMs: nowMs });
    return crowdedOut;
  }

  unpark(record: ParkedRecord): void {
    const index = this.#parked.indexOf(record);
    if (index >= 0) this.#parked.splice(index, 1);
  }

  /** Counts a failure while the circuit was closed. @returns Whether the record is to be given up. */
  parkedFailed(record: ParkedRecord, nextAttemptAtMs: number): boolean {
    record.failureCount++;
    record.nextAttemptAtMs = nextAttemptAtMs;
    return record.failureCount >= this.#limits.parkedFailuresMax;
  }

  /** The parked record whose turn is next; undefined when none is parked. */
  next(): ParkedRecord | undefined {
    return this.#parked.reduce<ParkedRecord | undefined>(
      (first, record) => first === undefined || record.nextAttemptAtMs < first.nextAttemptAtMs ? record : first,
      undefined,
    );
  }

  /** The parked record whose attempt is under way, if any. */
  get inFlight(): ParkedRecord | undefined {
    return this.#parked.find(({ inFlight }) => inFlight);
  }

  /** Takes parked records away, to be settled: all of them, or all whose answer is not awaited. */
  clear(which: "all" | "at_rest"): readonly ParkedRecord[] {
    const taken = this.#parked.filter(({ inFlight }) => which === "all" || !inFlight);
    for (const record of taken) this.unpark(record);
    return taken;
  }

  #mostFailed(): ParkedRecord | undefined {
    return this.#parked
      .filter(({ inFlight }) => !inFlight)
      .reduce<ParkedRecord | undefined>(
        (most, record) => most === undefined || record.failureCount > most.failureCount ? record : most,
        undefined,
      );
  }
}
