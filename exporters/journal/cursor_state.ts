import { createHash } from "node:crypto";
import { type CountByReason, type Reason, tally, total } from "../reason.ts";
import { isCount, isPoint, pointAfter, STREAM_START, type StreamPoint } from "./format.ts";
import type { CursorTotals, OnFull } from "./journal.ts";

/**
 * Where a cursor stands, as it is kept on the disk: one value, so that its place and its totals move together.
 *
 * ```
 *   settled │ open │ settled │ open │ settled │ end, when it was written ──► all that came since
 * ```
 *
 * Everything before that end is settled, but for the stretches that are named. So for each destination, at any moment:
 * `totals + items of the open stretches + items behind the end = items accepted`.
 */
export interface CursorState {
  readonly name: string;
  readonly onFull: OnFull;
  /** Where the stream ended. What came later is open as well, and need not be written down. */
  readonly end: StreamPoint;
  /** What is not settled before that, in the order of the stream. None reaches over the point of the split. */
  readonly open: readonly Stretch[];
  /** Where the cursor was last split, as a sequence: what is before it is backlog. */
  readonly liveFrom: number;
  readonly totals: CursorTotals;
  /** What the journal had discarded before this cursor was made: that is in its totals as `no_destination`. */
  readonly discardedBefore: Readonly<CountByReason>;
}

/** Records behind each other, from one point of the stream to another. */
export interface Stretch {
  readonly from: StreamPoint;
  readonly to: StreamPoint;
  /** Whether they were handed out and not given back: the backend may have them. */
  readonly maybeDelivered: boolean;
}

/** How the files of cursors end. */
export const CURSOR_SUFFIX = ".cursor";

/** Of what stands in a cursor's slot. The first one did not say which it was. */
const VERSION = 2;

/** Two points and a flag. */
const NUMBERS_OF_STRETCH = 7;

/** A name in a file's name: as much of it as is safe there, and what tells it from all others. */
export function cursorFileName(name: string): string {
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 16);
  return `${name.replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, 40)}-${hash}${CURSOR_SUFFIX}`;
}

/** The state of a cursor that begins at a point. What was accepted before is part of its account too, as dropped. */
export function newCursorState(
  { name, at, discarded, reason }: {
    readonly name: string;
    readonly at: StreamPoint;
    readonly discarded: Readonly<CountByReason>;
    readonly reason: Reason;
  },
): CursorState {
  const missedItems = at.items + total(discarded);
  const dropped: CountByReason = missedItems > 0 ? { [reason]: missedItems } : {};
  return {
    name,
    onFull: "reject",
    end: at,
    open: [],
    liveFrom: 0,
    totals: { delivered: 0, rejected: {}, quarantined: 0, dropped, redelivered: 0 },
    discardedBefore: { ...discarded },
  };
}

/** A state without what was let go of while nobody had the cursor open: that was accepted for no destination. */
export function broughtForward(state: CursorState, kept: StreamPoint): CursorState {
  const { end, totals } = state;
  const open = state.open.flatMap((stretch) => {
    if (stretch.from.position >= kept.position) return [stretch];
    return stretch.to.position > kept.position ? [{ ...stretch, from: kept }] : [];
  });
  const missedItems = openItems(state.open) - openItems(open) + Math.max(0, kept.items - end.items);
  if (missedItems === 0 && end.position >= kept.position) return state;
  const dropped = { ...totals.dropped };
  tally(dropped, "no_destination", missedItems);
  return { ...state, end: end.position < kept.position ? kept : end, open, totals: { ...totals, dropped } };
}

/** Stretches in order, those that touch made one, unless it is where the cursor was split. */
export function joined(stretches: readonly Stretch[], liveFrom: number): readonly Stretch[] {
  const open: { from: StreamPoint; to: StreamPoint; maybeDelivered: boolean }[] = [];
  for (const { from, to, maybeDelivered } of stretches) {
    const last = open.at(-1);
    const touches = last?.to.position === from.position && from.sequence !== liveFrom;
    if (touches && last.maybeDelivered === maybeDelivered) last.to = to;
    else open.push({ from, to, maybeDelivered });
  }
  return open;
}

/** A state as it stands in a slot. */
export function encodeCursorState(state: CursorState): unknown {
  const { name, onFull, end, open, liveFrom, totals, discardedBefore } = state;
  return {
    version: VERSION,
    name,
    onFull,
    end: encodePoint(end),
    open: encodeStretches(open),
    liveFrom,
    totals,
    discardedBefore,
  };
}

/** The state in a slot; undefined when there is none. */
export function decodeCursorState(value: unknown): CursorState | undefined {
  try {
    const { version, name, onFull, liveFrom, totals, discardedBefore, ...place } = value as Record<string, unknown>;
    if (typeof name !== "string" || (onFull !== "reject" && onFull !== "drop_oldest")) return undefined;
    const others = {
      name,
      onFull,
      totals: decodeTotals(totals as Partial<CursorTotals>),
      discardedBefore: decodeCounts(discardedBefore),
    } as const;
    if (version === undefined) return { ...others, ...decodeFirstVersion(place), liveFrom: 0 };
    if (version !== VERSION || !isCount(liveFrom)) return undefined;
    return { ...others, end: decodePoint(place.end), open: decodeStretches(place.open as number[]), liveFrom };
  } catch {
    return undefined; // The sum was right: it is of a kind that this version does not know.
  }
}

/**
 * Stretches as numbers, so that thousands of them are written in no time: for each its distance from the one before, its
 * length, both as points are, and 1 when it may have been delivered.
 */
function encodeStretches(stretches: readonly Stretch[]): readonly number[] {
  const numbers: number[] = [];
  let last = STREAM_START;
  for (const { from, to, maybeDelivered } of stretches) {
    numbers.push(from.sequence - last.sequence, from.items - last.items, from.position - last.position);
    numbers.push(to.sequence - from.sequence, to.items - from.items, to.position - from.position);
    numbers.push(maybeDelivered ? 1 : 0);
    last = to;
  }
  return numbers;
}

function decodeStretches(numbers: readonly number[]): readonly Stretch[] {
  const stretches: Stretch[] = [];
  let last = STREAM_START;
  for (let index = 0; index < numbers.length; index += NUMBERS_OF_STRETCH) {
    const from = pointBehind(last, numbers.slice(index, index + 3));
    const to = pointBehind(from, numbers.slice(index + 3, index + 6));
    stretches.push({ from, to, maybeDelivered: numbers[index + 6] === 1 });
    last = to;
  }
  return stretches;
}

function pointBehind({ sequence, items, position }: StreamPoint, distance: readonly number[]): StreamPoint {
  if (!distance.every(isCount)) throw new TypeError(`Cannot decode stretch: received ${JSON.stringify(distance)}`);
  return decodePoint([sequence + distance[0], items + distance[1], position + distance[2]]);
}

/** Until there were splits a cursor had one frontier, and named every entry before it that was not settled. */
function decodeFirstVersion({ frontier, unsettled }: Record<string, unknown>): Pick<CursorState, "end" | "open"> {
  const stretches = (unsettled as number[][]).map((numbers): Stretch => {
    const [sequence, items, position, itemCount, hopsBytes, payloadBytes, , inFlight] = numbers;
    if (![itemCount, hopsBytes, payloadBytes].every(isCount)) throw new TypeError("Cannot decode entry");
    const at = decodePoint([sequence, items, position]);
    return { from: at, to: pointAfter({ at, itemCount, hopsBytes, payloadBytes }), maybeDelivered: inFlight === 1 };
  });
  return { end: decodePoint(frontier), open: joined(stretches, 0) };
}

function openItems(open: readonly Stretch[]): number {
  return open.reduce((sum, { from, to }) => sum + to.items - from.items, 0);
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
