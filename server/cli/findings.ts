import { DAMAGED_SUFFIX } from "../../exporters/journal/damage.ts";
import type { BrokenSlots, InspectedCursor, StreamInspection } from "../../exporters/journal/inspection.ts";
import {
  lostAhead,
  type LostGap,
  type LostStretch,
  type StreamCheck,
  type TornTail,
} from "../../exporters/journal/inspection_check.ts";
import { isKnownHeader } from "../../exporters/journal/known_damage.ts";
import { fileNameOf, segmentName } from "../../exporters/journal/segments.ts";
import { itemsText, type Signal } from "../../exporters/signal.ts";
import { countText, isoTime, sizeText } from "./words.ts";

/** Something in a stream that is not as it was written. */
export interface Finding {
  readonly kind: "lost" | "header" | "misnamed" | "stranger" | "slots" | "torn" | "unreadable";
  /** Whether it is a fault, and not what a crash leaves or what a repair has dealt with. */
  readonly isDamage: boolean;
  /** Whether a repair has noted it. */
  readonly isKnown: boolean;
  /** Where bytes are that cannot be read. */
  readonly places: readonly { readonly file: string; readonly from: number; readonly to: number }[];
  readonly lostRecords: number;
  readonly lostItems: number;
  /** When the records around it were received. */
  readonly after: string | undefined;
  readonly before: string | undefined;
  readonly destinations: readonly DestinationFinding[];
  /** What happened, for people. */
  readonly message: string;
}

/** What a loss means to a destination. */
export interface DestinationFinding {
  readonly destination: string;
  /** Items that it counts as dropped for `corrupt` when it comes to them. */
  readonly ahead: number;
  readonly message: string;
}

const NOTHING_LOST = {
  isKnown: false,
  places: [],
  lostRecords: 0,
  lostItems: 0,
  after: undefined,
  before: undefined,
  destinations: [],
} satisfies Partial<Finding>;

/** Everything that is not as it was written, worst first. */
export function findingsOf(signal: Signal, inspection: StreamInspection, check: StreamCheck): readonly Finding[] {
  return [
    ...(check.failure === undefined ? [] : [unreadable(check.failure)]),
    ...check.stretches.map((stretch) => lost(signal, stretch, inspection.cursors)),
    ...inspection.brokenSlots.map(brokenSlots),
    ...check.headless.map((segment) => headless(fileNameOf(segment), isKnownHeader(inspection.known, segment.number))),
    ...inspection.strangers.map(stranger),
    ...check.misnamed.map((segment) => misnamed(fileNameOf(segment), segmentName(segment.number))),
    ...(check.torn === undefined ? [] : [torn(signal, check.torn)]),
  ];
}

function lost(signal: Signal, stretch: LostStretch, cursors: readonly InspectedCursor[]): Finding {
  const { pieces, gaps, recordCount, itemCount, isKnown } = stretch;
  const places = pieces.map(({ segment, offset, bytes }) => ({
    file: fileNameOf(segment),
    from: offset,
    to: offset + bytes,
  }));
  const [after, before] = [isoTime(stretch.afterMs), isoTime(stretch.beforeMs)];
  const where = [
    ...places.map(({ file, from, to }) => `bytes ${from} to ${to} of ${file} cannot be read as records`),
    ...new Set(gaps.map(gapText)),
  ].join("; ");
  const what = `${countText(recordCount, "record")} with ${itemsText(itemCount, signal)}`;
  return {
    kind: "lost",
    isDamage: !isKnown,
    isKnown,
    places,
    lostRecords: recordCount,
    lostItems: itemCount,
    after,
    before,
    destinations: cursors.map(({ cursor }) => destinationFinding(cursor, stretch)),
    message: `${upperFirst(where)}: ${what} ${recordCount === 1 ? "is" : "are"} lost${timesText(after, before)}.` +
      (isKnown ? " A repair has noted it." : "") + (cursors.length === 0 ? " No destination waits for it." : ""),
  };
}

function gapText({ behind, before }: LostGap): string {
  if (behind === undefined) {
    return before === undefined ? "all segments are missing" : `what came before ${fileNameOf(before)} is missing`;
  }
  if (before === undefined) return `what stood at the end of ${fileNameOf(behind)}, or in files after it, is missing`;
  const [first, last] = [segmentName(behind.number + 1), segmentName(before.number - 1)];
  if (behind.number + 1 === before.number) return `the end of ${fileNameOf(behind)} is missing`;
  return first === last ? `${first} is missing` : `${first} to ${last} are missing`;
}

function timesText(after: string | undefined, before: string | undefined): string {
  if (after !== undefined && before !== undefined) return `, received between ${after} and ${before}`;
  if (after !== undefined) return `, received after ${after}`;
  return before === undefined ? "" : `, received before ${before}`;
}

function destinationFinding(
  { name, state, totals }: InspectedCursor["cursor"],
  stretch: LostStretch,
): DestinationFinding {
  const { itemCount: ahead } = lostAhead(state, stretch.from, stretch.to);
  const counted = totals.dropped.corrupt ?? 0;
  const passed = counted === 0
    ? "all of it was settled while it could be read, so nothing is lost for it"
    : `what it lost is in its account, among the ${counted} dropped as corrupt`;
  if (ahead === 0) return { destination: name, ahead, message: `${name} has passed it: ${passed}.` };
  const rest = ahead < stretch.itemCount ? "the rest was settled before" : "it has not come there yet";
  return {
    destination: name,
    ahead,
    message: `${name} steps over it and counts ${ahead} as dropped{corrupt}: ${rest}.`,
  };
}

function unreadable(error: unknown): Finding {
  const why = error instanceof Error ? error.message : String(error);
  return {
    ...NOTHING_LOST,
    kind: "unreadable",
    isDamage: true,
    message: `The disk gave nothing from some place on (${why}): what stands there may still be read another time.`,
  };
}

function brokenSlots({ fileName, slots, isUsable, isKnown }: BrokenSlots): Finding {
  const isCursor = fileName.endsWith(".cursor");
  const rest = isUsable
    ? "Another one counts, so nothing is lost; at most something is delivered twice."
    : isCursor
    ? "The destination begins at the oldest record again: what it has had already is delivered twice, and what was " +
      "let go of before that is in its account as dropped{corrupt}."
    : "Nothing is lost: the segments and the destinations say where the stream ends.";
  const what = slots.length === 0
    ? `${fileName} is missing.`
    : `${upperFirst(slotsText(slots))} of ${fileName} cannot be read.`;
  const noted = isKnown ? " A repair has noted it, and leaves it to the server, which knows its destinations." : "";
  return { ...NOTHING_LOST, kind: "slots", isDamage: !isKnown, isKnown, message: `${what} ${rest}${noted}` };
}

function slotsText(slots: readonly number[]): string {
  return slots.length === 1 ? `slot ${slots[0]}` : `slots ${slots.slice(0, -1).join(", ")} and ${slots.at(-1)}`;
}

function headless(file: string, isKnown: boolean): Finding {
  return {
    ...NOTHING_LOST,
    kind: "header",
    isDamage: !isKnown,
    isKnown,
    places: [{ file, from: 0, to: 64 }],
    message: `The header of ${file} cannot be read: its records say where they belong, so nothing is lost by it.` +
      (isKnown ? " A repair has noted it." : ""),
  };
}

function stranger(file: string): Finding {
  const message =
    `${file} is called a segment, but is none of this journal, or a copy: the server puts it aside as ${file}${DAMAGED_SUFFIX}.`;
  return { ...NOTHING_LOST, kind: "stranger", isDamage: true, message };
}

function misnamed(file: string, name: string): Finding {
  const message = `${file} says inside that it is ${name}: that counts, so nothing is lost.`;
  return { ...NOTHING_LOST, kind: "misnamed", isDamage: false, message };
}

function torn(signal: Signal, { segment, offset, bytes, itemCount }: TornTail): Finding {
  const of = itemCount === undefined ? "" : ` of ${itemsText(itemCount, signal)}`;
  return {
    ...NOTHING_LOST,
    kind: "torn",
    isDamage: false,
    places: [{ file: fileNameOf(segment), from: offset, to: offset + bytes }],
    message:
      `The last ${sizeText(bytes)} of ${fileNameOf(segment)} (from byte ${offset}) are a record${of} that was not ` +
      "written to its end: a crash leaves that. Its sender was never told that it was accepted, so nothing that was " +
      "acknowledged is lost, unless the power failed: then BREAKWATER_FSYNC says how much that may cost.",
  };
}

function upperFirst(text: string): string {
  return text === "" ? text : text[0].toUpperCase() + text.slice(1);
}
