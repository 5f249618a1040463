import type { StreamInspection } from "../../exporters/journal/inspection.ts";
import type { Signal } from "../../exporters/signal.ts";
import { destinationBalance, type SignalBalance } from "../account.ts";

/** The account of one signal, as its files have it. What was refused they do not know. */
export function signalBalance(signal: Signal, { acceptedItems, cursors }: StreamInspection): SignalBalance {
  return {
    signal,
    received: acceptedItems,
    accepted: acceptedItems,
    refused: {},
    balanced: true,
    destinations: cursors.map(({ cursor }) => destinationBalance(cursor, { acceptedItems, isDurable: true })),
  };
}
