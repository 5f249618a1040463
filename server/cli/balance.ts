import type { InspectedCursor, StreamInspection } from "../../exporters/journal/inspection.ts";
import { total } from "../../exporters/reason.ts";
import type { Signal } from "../../exporters/signal.ts";
import type { Balance, DestinationBalance, SignalBalance } from "../account.ts";

/** The account of one signal, as its files have it. What was refused they do not know. */
export function signalBalance(signal: Signal, inspection: StreamInspection): SignalBalance {
  const { acceptedItems, cursors } = inspection;
  return {
    signal,
    received: acceptedItems,
    accepted: acceptedItems,
    refused: {},
    balanced: true,
    destinations: cursors.map((found) => destinationBalance(found, acceptedItems)),
  };
}

/** Whether every equation holds. */
export function isBalanced(signals: readonly SignalBalance[]): Balance {
  const balanced = signals.every((signal) =>
    signal.balanced && signal.destinations.every((destination) => destination.balanced)
  );
  return { balanced, signals };
}

function destinationBalance({ cursor }: InspectedCursor, acceptedItems: number): DestinationBalance {
  const { name, queued, totals: { delivered, rejected, quarantined, dropped, redelivered } } = cursor;
  const settled = delivered + total(rejected) + quarantined + total(dropped);
  return {
    destination: name,
    delivered,
    rejected,
    quarantined,
    dropped,
    redelivered,
    queued: queued.items,
    queuedBytes: queued.bytes,
    isDurable: true,
    balanced: acceptedItems === settled + queued.items,
  };
}
