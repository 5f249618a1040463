import type { Signal } from "../signal.ts";

/** Field numbers from the request down to its items: resource, scope, items, and for metrics the points of each kind. */
const PATHS: Readonly<Record<Signal, readonly (readonly number[])[]>> = {
  traces: [[1], [2], [2]],
  logs: [[1], [2], [2]],
  metrics: [[1], [2], [2], [5, 7, 9, 10, 11], [1]],
};

/** Counts the items of a protobuf request; undefined for JSON and for what is neither. */
export function countItems(payload: Uint8Array, signal: Signal, isJson: boolean): number | undefined {
  if (isJson) return undefined;
  try {
    return countAt(payload, 0, payload.length, PATHS[signal], 0);
  } catch {
    return undefined;
  }
}

function countAt(
  bytes: Uint8Array,
  start: number,
  end: number,
  path: readonly (readonly number[])[],
  depth: number,
): number {
  if (depth === path.length) return 1;
  let count = 0;
  let at = start;
  while (at < end) {
    const tag = varint();
    const wireType = tag % 8;
    if (wireType === 0) varint();
    else if (wireType === 1) at += 8;
    else if (wireType === 5) at += 4;
    else if (wireType === 2) {
      const length = varint();
      if (at + length > end) throw new RangeError("truncated");
      if (path[depth].includes(Math.floor(tag / 8))) count += countAt(bytes, at, at + length, path, depth + 1);
      at += length;
    } else throw new RangeError("unknown wire type");
  }
  return count;

  function varint(): number {
    let value = 0;
    for (let shift = 1;; shift *= 128) {
      if (at >= end) throw new RangeError("truncated");
      const byte = bytes[at++];
      value += (byte % 128) * shift;
      if (byte < 128) return value;
    }
  }
}
