import { type CountByReason, type Reason, tally, total } from "../reason.ts";
import type { CursorTotals, Settlement } from "./journal.ts";

/** A cursor's side of the account: what it is done with, in items. */
export class CursorLedger {
  #delivered: number;
  #quarantined: number;
  #redelivered: number;
  readonly #rejected: CountByReason;
  readonly #dropped: CountByReason;

  /** @param totals What it is to begin with. */
  constructor({ delivered = 0, rejected = {}, quarantined = 0, dropped = {}, redelivered = 0 }: Partial<CursorTotals>) {
    this.#delivered = delivered;
    this.#rejected = { ...rejected };
    this.#quarantined = quarantined;
    this.#dropped = { ...dropped };
    this.#redelivered = redelivered;
  }

  get totals(): CursorTotals {
    return {
      delivered: this.#delivered,
      rejected: { ...this.#rejected },
      quarantined: this.#quarantined,
      dropped: { ...this.#dropped },
      redelivered: this.#redelivered,
    };
  }

  /** Adds a settlement that {@linkcode mustAddUp}. */
  settle({ delivered = 0, rejected = {}, quarantined = 0, dropped = {} }: Settlement): void {
    this.#delivered += delivered;
    this.#quarantined += quarantined;
    for (const [reason, count] of entriesOf(rejected)) tally(this.#rejected, reason, count);
    for (const [reason, count] of entriesOf(dropped)) tally(this.#dropped, reason, count);
  }

  drop(itemCount: number, reason: Reason): void {
    if (itemCount > 0) tally(this.#dropped, reason, itemCount);
  }

  countRedelivered(itemCount: number): void {
    mustBeCount("count redelivered", "itemCount", itemCount);
    this.#redelivered += itemCount;
  }
}

/** @throws {RangeError} When a settlement does not account for every item of an entry. */
export function mustAddUp(itemCount: number, settlement: Settlement): void {
  const { delivered = 0, rejected = {}, quarantined = 0, dropped = {} } = settlement;
  const counts = [delivered, quarantined, ...Object.values(rejected), ...Object.values(dropped)];
  for (const count of counts) mustBeCount("acknowledge", "settlement", count ?? 0);
  const settledItems = delivered + total(rejected) + quarantined + total(dropped);
  if (settledItems === itemCount) return;
  throw new RangeError(
    `Cannot acknowledge: "settlement" must add up to the ${itemCount} items of the entry, received ${settledItems}`,
  );
}

/** @throws {RangeError} When a number of items is not one. */
export function mustBeCount(action: string, name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new RangeError(`Cannot ${action}: "${name}" must be an integer from 0, received ${value}`);
}

function entriesOf(counts: CountByReason): [Reason, number][] {
  return Object.entries(counts) as [Reason, number][];
}
