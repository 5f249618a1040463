import type { Cursor, Journal } from "../exporters/journal/journal.ts";
import { type CountByReason, type Reason, tally, total } from "../exporters/reason.ts";
import { type Signal, SIGNALS } from "../exporters/signal.ts";

/** What a receiver tells the account. */
export interface Receipts {
  /** Items of a request that could be counted, whatever becomes of them. */
  received(signal: Signal, itemCount: number): void;
  /** Received items that were not accepted: the sender was told. */
  refused(signal: Signal, reason: Reason, itemCount: number): void;
}

/** `accepted = delivered + rejected + quarantined + dropped + queued`, for one signal at one destination. */
export interface DestinationBalance {
  readonly destination: string;
  readonly delivered: number;
  readonly rejected: Readonly<CountByReason>;
  readonly quarantined: number;
  readonly dropped: Readonly<CountByReason>;
  readonly redelivered: number;
  readonly queued: number;
  readonly queuedBytes: number;
  /** Whether what is queued outlives the process. */
  readonly isDurable: boolean;
  readonly balanced: boolean;
}

/** `received = accepted + refused`, for one signal, and what became of what was accepted. */
export interface SignalBalance {
  readonly signal: Signal;
  readonly received: number;
  readonly accepted: number;
  readonly refused: Readonly<CountByReason>;
  readonly balanced: boolean;
  readonly destinations: readonly DestinationBalance[];
}

/** The whole account at one moment, ready for `JSON.stringify`. */
export interface Balance {
  readonly balanced: boolean;
  readonly signals: readonly SignalBalance[];
}

/** The destination that stands in the account when there is none: what was accepted was kept for nobody. */
export const NO_DESTINATION = "none";

/**
 * Where every item went. The receivers say what came in, the journals what they took, the cursors what became of it and
 * what still waits; the account only adds up. Nothing here is found by subtraction, so an item that was forgotten
 * anywhere shows as an equation that does not balance.
 *
 * @example
 * ```ts
 * import { Account } from "./account.ts";
 *
 * const account = new Account([]);
 * account.received("traces", 3);
 * account.refused("traces", "invalid", 3);
 * account.equations()[0]; // "traces   received 3 = accepted 0 + refused 3 (invalid 3)   balanced"
 * ```
 */
export class Account implements Receipts {
  readonly #journals: ReadonlyMap<Signal, Journal>;
  readonly #received = new Map<Signal, number>();
  readonly #refused = new Map<Signal, CountByReason>();

  /** @param journals One for each signal that is kept. */
  constructor(journals: Iterable<Journal>) {
    this.#journals = new Map(Array.from(journals, (journal) => [journal.signal, journal]));
  }

  received(signal: Signal, itemCount: number): void {
    this.#received.set(signal, (this.#received.get(signal) ?? 0) + itemCount);
  }

  refused(signal: Signal, reason: Reason, itemCount: number): void {
    const counts = this.#refused.get(signal) ?? {};
    this.#refused.set(signal, counts);
    tally(counts, reason, itemCount);
  }

  /** Exact at rest; in motion it may be out by the operations in flight. */
  balance(): Balance {
    return balanceOf(SIGNALS.map((signal) => this.#signalBalance(signal)));
  }

  /** The account as lines for people: one for each signal, one for each signal at each destination. */
  equations(): readonly string[] {
    return equationsOf(this.balance());
  }

  #signalBalance(signal: Signal): SignalBalance {
    const journal = this.#journals.get(signal);
    const received = this.#received.get(signal) ?? 0;
    const accepted = journal?.acceptedItems ?? 0;
    const refused = { ...this.#refused.get(signal) };
    const destinations = journal?.cursors.map((cursor) => destinationBalance(cursor, journal)) ?? [];
    return {
      signal,
      received,
      accepted,
      refused,
      balanced: received === accepted + total(refused),
      destinations: destinations.length > 0 ? destinations : [keptForNobody(accepted)],
    };
  }
}

/** The account that these make together: it balances when every equation does. */
export function balanceOf(signals: readonly SignalBalance[]): Balance {
  const balanced = signals.every((signal) =>
    signal.balanced && signal.destinations.every((destination) => destination.balanced)
  );
  return { balanced, signals };
}

/** An account as lines for people: one for each signal, one for each signal at each destination. */
export function equationsOf({ signals }: Balance): readonly string[] {
  const rows = signals.flatMap((signal) => [
    { name: signal.signal as string, equation: receiptEquation(signal) },
    ...signal.destinations.map((destination) => ({
      name: `${signal.signal} -> ${destination.destination}`,
      equation: deliveryEquation(signal.accepted, destination),
    })),
  ]);
  const nameWidth = Math.max(...rows.map(({ name }) => name.length));
  return rows.map(({ name, equation }) => `${name.padEnd(nameWidth)}   ${equation}`);
}

/** What a cursor says of its destination, of all that its journal accepted. */
export function destinationBalance(
  cursor: Pick<Cursor, "name" | "queued" | "totals">,
  { acceptedItems, isDurable }: Pick<Journal, "acceptedItems" | "isDurable">,
): DestinationBalance {
  const { delivered, rejected, quarantined, dropped, redelivered } = cursor.totals;
  const queued = cursor.queued;
  const settled = delivered + total(rejected) + quarantined + total(dropped);
  return {
    destination: cursor.name,
    delivered,
    rejected: { ...rejected },
    quarantined,
    dropped: { ...dropped },
    redelivered,
    queued: queued.items,
    queuedBytes: queued.bytes,
    isDurable,
    balanced: acceptedItems === settled + queued.items,
  };
}

/** Without a destination a request is accepted, so that the sender is at peace, and goes nowhere. */
function keptForNobody(accepted: number): DestinationBalance {
  return {
    destination: NO_DESTINATION,
    delivered: 0,
    rejected: {},
    quarantined: 0,
    dropped: accepted > 0 ? { no_destination: accepted } : {},
    redelivered: 0,
    queued: 0,
    queuedBytes: 0,
    isDurable: false,
    balanced: true,
  };
}

function receiptEquation({ received, accepted, refused, balanced }: SignalBalance): string {
  return `received ${received} = accepted ${accepted} + refused ${withReasons(refused)}   ${verdict(balanced)}`;
}

function deliveryEquation(accepted: number, destination: DestinationBalance): string {
  const { delivered, rejected, quarantined, dropped, queued, isDurable, balanced } = destination;
  const where = queued > 0 && isDurable ? " (on the disk)" : "";
  const settled = `delivered ${delivered} + rejected ${withReasons(rejected)} + quarantined ${quarantined}`;
  return `accepted ${accepted} = ${settled} + dropped ${withReasons(dropped)} + queued ${queued}${where}   ` +
    verdict(balanced);
}

function withReasons(counts: Readonly<CountByReason>): string {
  const reasons = (Object.entries(counts) as [Reason, number][])
    .filter(([, itemCount]) => itemCount > 0)
    .sort(([, a], [, b]) => b - a);
  if (reasons.length === 0) return "0";
  return `${total(counts)} (${reasons.map(([reason, itemCount]) => `${reason} ${itemCount}`).join(", ")})`;
}

function verdict(balanced: boolean): string {
  return balanced ? "balanced" : "NOT BALANCED";
}
