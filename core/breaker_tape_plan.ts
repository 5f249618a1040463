import { type CircuitMode, MODES } from "./breaker_modes.ts";
import {
  beganMsOf,
  type CheckedTape,
  CUT,
  GENERATION_MAX,
  isOutcome,
  isStale,
  MODE,
  PROBE,
  REFUSED_CALL,
  type TapeEntry,
  TURNED_CLOSED,
} from "./breaker_tape.ts";
import { FIRST_GENERATION } from "./loader.ts";

/** A call that begins, and the entry that says how it ends. */
export interface PlannedCall {
  readonly beganMs: number;
  /** The place of its outcome in the plan. */
  readonly outcome: number;
}

/** How a tape is to be played. */
export interface TapePlan {
  /** What is played, in the order in which it changed the circuit. */
  readonly entries: readonly TapeEntry[];
  /** The generation to begin in, which is closed and clean … */
  readonly generation: number;
  /** … or, when this is false, only taken for that. */
  readonly isKnown: boolean;
  /** The mode to begin in. */
  readonly mode: CircuitMode;
  /** The calls that begin before an entry without being one themselves: while closed, nothing is taped of that. */
  readonly beginnings: ReadonlyMap<number, readonly PlannedCall[]>;
  /** The outcomes of the calls that are entries themselves: probes, and with metrics only what would have been refused. */
  readonly outcomes: ReadonlyMap<number, number>;
}

/** As far as two generations can be apart: so the core marks a call that it only let through because it watches. */
const GENERATION_FAR = (GENERATION_MAX + 1) / 2;

/** Says how a tape is to be played. */
export function planOf(tape: CheckedTape): TapePlan {
  const ordered = inOrder(tape.entries);
  const { index, ...beginning } = beginningOf(ordered, tape.lost);
  const entries = ordered.slice(index);
  const change = entries.find(({ what }) => what === MODE);
  const mode = change === undefined ? tape.mode : MODES[change.latencyMs]!;
  return { entries, ...beginning, mode, ...callsOf(entries, beginning.generation, mode) };
}

/**
 * The entries by generation: what began it, what came in it, what ended it. Threads put them onto the tape after they
 * changed the circuit, so two may have come in the wrong order. One thread's are in this order already.
 */
function inOrder(entries: readonly TapeEntry[]): TapeEntry[] {
  const first = entries.find((entry) => !isStale(entry))?.generation ?? 0;
  let latest = -Number.MAX_VALUE;
  const ranked = entries.map((entry) => {
    // The generation of a stale outcome is that of its call; it stays where it is.
    if (isStale(entry)) return { entry, rank: latest };
    const part = entry.turned === 0 ? 1 : isOfBefore(entry) ? 2 : 0;
    const rank = 3 * ahead(entry.generation, first) + part;
    latest = Math.max(latest, rank);
    return { entry, rank };
  });
  return ranked.sort((a, b) => a.rank - b.rank).map(({ entry }) => entry);
}

/** True when an entry that begins a generation bears the number of the one before. */
export function isOfBefore(entry: TapeEntry): boolean {
  return (isOutcome(entry) && !isStale(entry)) || entry.what === MODE;
}

/** By how much a generation is ahead of another, in a count that wraps. */
function ahead(generation: number, of: number): number {
  return ((generation - of + GENERATION_FAR) & GENERATION_MAX) - GENERATION_FAR;
}

/** Where there is a closed and clean circuit to begin with: at the very beginning, or after it closed. */
function beginningOf(entries: readonly TapeEntry[], lost: number) {
  const cut = entries.findLastIndex(({ what }) => what === CUT);
  if (lost === 0 && cut < 0) return { index: 0, generation: FIRST_GENERATION, isKnown: true };
  const closing = entries.findIndex(({ turned }, index) => index > cut && turned === TURNED_CLOSED);
  if (closing >= 0) return { index: closing + 1, generation: nextOf(entries[closing]!.generation), isKnown: true };
  const first = entries.find((entry, index) => index > cut && !isStale(entry));
  return { index: cut + 1, generation: first?.generation ?? FIRST_GENERATION, isKnown: false };
}

function nextOf(generation: number): number {
  return (generation + 1) & GENERATION_MAX;
}

/** Where calls begin. One that is as old as the generation before the plan begins nowhere. */
function callsOf(
  entries: readonly TapeEntry[],
  generation: number,
  firstMode: CircuitMode,
): Pick<TapePlan, "beginnings" | "outcomes"> {
  const beginnings = new Map<number, PlannedCall[]>();
  const outcomes = new Map<number, number>();
  /** The entries that are beginnings themselves and whose outcome did not come yet. */
  const out = new Map<string, number[]>();
  /** Where closed generations begin and end. */
  const spans = new Map([[generation, { start: 0, end: entries.length }]]);
  let mode = firstMode;
  /** The latest time up to each entry. */
  const clock: number[] = [];
  for (const [index, entry] of entries.entries()) {
    clock.push(Math.max(clock.at(-1) ?? 0, entry.atMs));
    if (isOutcome(entry)) {
      const beganMs = beganMsOf(entry);
      const taped = out.get(`${entry.generation} ${beganMs}`)?.pop();
      const span = spans.get(entry.generation);
      if (taped !== undefined) outcomes.set(taped, index);
      else if (span !== undefined) {
        // As late as its time allows, so that calls of one millisecond come one after another.
        const place = Math.min(Math.max(span.start, countUpTo(beganMs, clock, (ms) => ms)), span.end, index);
        listIn(beginnings, place).push({ beganMs, outcome: index });
      }
    }
    if (entry.what === PROBE) listIn(out, `${entry.generation} ${entry.atMs}`).push(index);
    if (entry.what === MODE) mode = MODES[entry.throttledMs]!;
    if (entry.what === REFUSED_CALL && mode === "metrics_only") {
      listIn(out, `${entry.generation ^ GENERATION_FAR} ${entry.atMs}`).push(index);
    }
    if (entry.turned !== 0 && isOfBefore(entry)) {
      const span = spans.get(entry.generation);
      if (span !== undefined) span.end = index;
      if (entry.turned === TURNED_CLOSED) {
        spans.set(nextOf(entry.generation), { start: index + 1, end: entries.length });
      }
    }
  }
  for (const calls of beginnings.values()) calls.sort((a, b) => a.beganMs - b.beganMs);
  return { beginnings, outcomes };
}

/** How many items of a row are not beyond `limit`, by a number that grows along it. */
export function countUpTo<Item>(limit: number, row: readonly Item[], numberOf: (item: Item) => number): number {
  let [low, high] = [0, row.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (numberOf(row[middle]!) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

function listIn<Key, Value>(lists: Map<Key, Value[]>, key: Key): Value[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}
