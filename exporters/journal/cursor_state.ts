import { createHash } from "node:crypto";
import { type CountByReason, type Reason, tally, total } from "../reason.ts";
import { isCount, isPoint, type StreamPoint } from "./format.ts";
import type { CursorTotals, OnFull } from "./journal.ts";

/**
 * Where a cursor stands, as it is kept on the disk: one value, so that its place and its totals move together.
 *
 * ```
 *   settled │ unsettled │ settled │ unsettled │ frontier: never taken ──► end of the stream
 * ```
 *
 * Everything before the frontier is settled, but for the few entries that are named. So for each destination, at any
 * moment: `totals + items of the unsettled + items behind the frontier = items accepted`.
 */
export interface CursorState {
  readonly name: string;
  readonly onFull: OnFull;
  readonly frontier: StreamPoint;
  /** In the order of the stream. */
  readonly unsettled: readonly UnsettledEntry[];
  readonly totals: CursorTotals;
  /** What the journal had discarded before this cursor was made: that is in its totals as `no_destination`. */
  readonly discardedBefore: Readonly<CountByReason>;
}

/** An entry before the frontier that is in flight, or was given back. */
export interface UnsettledEntry {
  readonly sequence: number;
  readonly at: StreamPoint;
  readonly itemCount: number;
  readonly hopsBytes: number;
  readonly payloadBytes: number;
  readonly receivedAtMs: number;
  /** Whether it was handed out when the state was written: the backend may have it. */
  readonly isInFlight: boolean;
}

/** How the files of cursors end. */
export const CURSOR_SUFFIX = ".cursor";

/** A name in a file's name: as much of it as is safe there, and what tells it from all others. */
export function cursorFileName(name: string): string {
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 16);
  return `${name.replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, 40)}-${hash}${CURSOR_SUFFIX}`;
}

/** The state of a cursor that begins at a point. What was accepted before is part of its account too, as dropped. */
export function newCursorState(
  { name, frontier, discarded, reason }: {
    readonly name: string;
    readonly frontier: StreamPoint;
    readonly discarded: Readonly<CountByReason>;
    readonly reason: Reason;
  },
): CursorState {
  const missedItems = frontier.items + total(discarded);
  const dropped: CountByReason = missedItems > 0 ? { [reason]: missedItems } : {};
  return {
    name,
    onFull: "reject",
    frontier,
    unsettled: [],
    totals: { delivered: 0, rejected: {}, quarantined: 0, dropped, redelivered: 0 },
    discardedBefore: { ...discarded },
  };
}

/** A state without what was let go of while nobody had the cursor open: that was accepted for no destination. */
export function broughtForward(state: CursorState, kept: StreamPoint): CursorState {
  const { frontier, totals } = state;
  const gone = state.unsettled.filter(({ at }) => at.position < kept.position);
  const goneItems = gone.reduce((sum, { itemCount }) => sum + itemCount, 0);
  const missedItems = goneItems + Math.max(0, kept.items - frontier.items);
  if (missedItems === 0 && frontier.position >= kept.position) return state;
  const dropped = { ...totals.dropped };
  tally(dropped, "no_destination", missedItems);
  return {
    ...state,
    frontier: frontier.position < kept.position ? kept : frontier,
    unsettled: state.unsettled.filter(({ at }) => at.position >= kept.position),
    totals: { ...totals, dropped },
  };
}

/** A state as it stands in a slot. */
export function encodeCursorState(state: CursorState): unknown {
  const { name, onFull, frontier, totals, discardedBefore } = state;
  const unsettled = state.unsettled.map((entry) => [
    ...encodePoint(entry.at),
    entry.itemCount,
    entry.hopsBytes,
    entry.payloadBytes,
    entry.receivedAtMs,
    entry.isInFlight ? 1 : 0,
  ]);
  return { name, onFull, frontier: encodePoint(frontier), unsettled, totals, discardedBefore };
}

/** The state in a slot; undefined when there is none. */
export function decodeCursorState(value: unknown): CursorState | undefined {
  try {
    const { name, onFull, frontier, unsettled, totals, discardedBefore } = value as Record<string, unknown>;
    if (typeof name !== "string" || (onFull !== "reject" && onFull !== "drop_oldest")) return undefined;
    return {
      name,
      onFull,
      frontier: decodePoint(frontier),
      unsettled: (unsettled as unknown[]).map(decodeUnsettled),
      totals: decodeTotals(totals as Partial<CursorTotals>),
      discardedBefore: decodeCounts(discardedBefore),
    };
  } catch {
    return undefined; // The sum was right: it is of a kind that this version does not know.
  }
}

/** A point as it stands in a slot. */
export function encodePoint({ sequence, items, position }: StreamPoint): readonly number[] {
  return [sequence, items, position];
}

/** @throws {TypeError} When the value is no point. */
export function decodePoint(value: unknown): StreamPoint {
  const [sequence, items, position] = value as number[];
  const point = { sequence, items, position };
  if (!isPoint(point)) throw new TypeError(`Cannot decode point: received ${JSON.stringify(value)}`);
  return point;
}

/** @throws {TypeError} When the value has anything but counts. */
export function decodeCounts(value: unknown): CountByReason {
  const counts = Object.entries(value as object);
  if (!counts.every(([, count]) => isCount(count))) {
    throw new TypeError(`Cannot decode counts: received ${JSON.stringify(value)}`);
  }
  return Object.fromEntries(counts);
}

function decodeTotals({ delivered, rejected, quarantined, dropped, redelivered }: Partial<CursorTotals>): CursorTotals {
  if (!isCount(delivered) || !isCount(quarantined) || !isCount(redelivered)) {
    throw new TypeError("Cannot decode totals: they must be counts");
  }
  return { delivered, quarantined, redelivered, rejected: decodeCounts(rejected), dropped: decodeCounts(dropped) };
}

function decodeUnsettled(value: unknown): UnsettledEntry {
  const [sequence, items, position, itemCount, hopsBytes, payloadBytes, receivedAtMs, inFlight] = value as number[];
  const at = decodePoint([sequence, items, position]);
  if (![itemCount, hopsBytes, payloadBytes].every(isCount)) throw new TypeError("Cannot decode entry");
  return { sequence, at, itemCount, hopsBytes, payloadBytes, receivedAtMs, isInFlight: inFlight === 1 };
}
