import type { Signal } from "../signal.ts";
import { filterItems } from "./filter.ts";
import { skim } from "./skim.ts";

/**
 * Splits an OTLP request into two halves of (about) equal item counts, for a backend that finds it too large. Both are
 * requests of their own: every item keeps its resource, its scope and, if it is a data point, its metric; in their
 * order they hold exactly the same items. A request of one item or none is given back alone.
 *
 * @throws {MalformedRequest} When the request cannot be decoded.
 */
export function splitRequest(payload: Uint8Array, signal: Signal): readonly Uint8Array[] {
  const { itemCount } = skim(payload, signal);
  if (itemCount < 2) return [payload];
  const firstCount = Math.ceil(itemCount / 2);
  return [
    itemsBetween(payload, signal, 0, firstCount),
    itemsBetween(payload, signal, firstCount, itemCount),
  ];
}

function itemsBetween(payload: Uint8Array, signal: Signal, start: number, end: number): Uint8Array {
  let index = 0;
  return filterItems(payload, signal, () => {
    const kept = index >= start && index < end;
    index++;
    return kept;
  }).payload;
}
