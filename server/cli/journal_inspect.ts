import type { InspectedCursor, StreamInspection } from "../../exporters/journal/inspection.ts";
import { type RecordMark, segmentEdges } from "../../exporters/journal/inspection_edges.ts";
import type { StreamPoint } from "../../exporters/journal/format.ts";
import type { OnFull } from "../../exporters/journal/journal.ts";
import { oldestPoint } from "../../exporters/journal/recovery.ts";
import { fileNameOf } from "../../exporters/journal/segments.ts";
import { itemsText, type Signal } from "../../exporters/signal.ts";
import { dataFolder, inspect, lastHolder, signalsIn, streamFolder } from "./folder.ts";
import { type CliIo, type CommonOptions, EXIT, type ExitCode, print, printJson } from "./io.ts";
import { countText, durationText, isoTime, sizeText, tableText } from "./words.ts";

/** One signal's stream. */
interface StreamReport {
  readonly signal: Signal;
  readonly folder: string;
  readonly segments: readonly SegmentReport[];
  /** What stands in the segments, delivered or not. */
  readonly records: number;
  readonly items: number;
  readonly bytes: number;
  readonly accepted: number;
  /** Where the stream ends. */
  readonly end: StreamPoint;
  readonly destinations: readonly DestinationReport[];
  readonly damagedFiles: readonly { readonly file: string; readonly bytes: number }[];
}

interface SegmentReport {
  readonly number: number;
  readonly file: string;
  readonly bytes: number;
  /** Absent when it has no record that can be read. */
  readonly first: MarkReport | undefined;
  readonly last: MarkReport | undefined;
}

interface MarkReport {
  readonly record: number;
  readonly receivedAt: string | undefined;
}

interface DestinationReport {
  readonly destination: string;
  readonly file: string;
  /** Whether its file can be read. */
  readonly readable: boolean;
  readonly onFull: OnFull;
  /** The oldest record that is not settled; where the stream ends, when all are. */
  readonly next: StreamPoint;
  readonly waiting: {
    readonly items: number;
    readonly bytes: number;
    /** Of these: what waits before the point from which on live records pass it. */
    readonly backlogItems: number;
    /** Of these: what was in flight. It is sent again, and counted as redelivered. */
    readonly maybeDeliveredItems: number;
    readonly oldestReceivedAt: string | undefined;
    readonly oldestAgeMs: number | undefined;
  };
}

/** Says what stands in the journals, and where each destination is. Reads little, changes nothing. */
export async function journalInspect(options: CommonOptions, io: CliIo): Promise<ExitCode> {
  const data = await dataFolder(options, io);
  const at = io.wallMs();
  const signals: StreamReport[] = [];
  for (const signal of await signalsIn(data, io)) {
    await using inspection = await inspect(data, signal, io);
    signals.push(streamReport(data, signal, inspection, at));
  }
  const lockedBy = await lastHolder(data, io);
  if (options.json) printJson(io, { folder: data, at: isoTime(at), lastLockedBy: lockedBy ?? null, signals });
  else {print(io, [
      `${data}, as it was at ${isoTime(at)}. A server that runs has gone on since.`,
      ...streamsText(signals),
    ]);}
  return EXIT.ok;
}

function streamReport(data: string, signal: Signal, inspection: StreamInspection, atMs: number): StreamReport {
  const { stream, acceptedItems, cursors, damagedFiles } = inspection;
  const { segments, end } = stream;
  const oldest = oldestPoint(stream);
  return {
    signal,
    folder: streamFolder(data, signal),
    segments: [...segments].map((segment) => {
      const { first, last } = segmentEdges(inspection, segment);
      const { number, bytes } = segment;
      return { number, file: fileNameOf(segment), bytes, first: markReport(first), last: markReport(last) };
    }),
    records: end.sequence - oldest.sequence,
    items: end.items - oldest.items,
    bytes: segments.bytes,
    accepted: acceptedItems,
    end,
    destinations: cursors.map((cursor) => destinationReport(cursor, atMs)),
    damagedFiles: damagedFiles.map(({ name, bytes }) => ({ file: name, bytes })),
  };
}

function markReport(mark: RecordMark | undefined): MarkReport | undefined {
  return mark && { record: mark.sequence, receivedAt: isoTime(mark.receivedAtMs) };
}

function destinationReport({ cursor, fileName, isUsable }: InspectedCursor, atMs: number): DestinationReport {
  const { name, onFull, state, backlog, queued: { items, bytes, oldestReceivedAtMs } } = cursor;
  return {
    destination: name,
    file: fileName,
    readable: isUsable,
    onFull,
    next: state.open[0]?.from ?? state.end,
    waiting: {
      items,
      bytes,
      backlogItems: backlog.items,
      maybeDeliveredItems: state.open.reduce(
        (sum, { from, to, maybeDelivered }) => maybeDelivered ? sum + to.items - from.items : sum,
        0,
      ),
      oldestReceivedAt: isoTime(oldestReceivedAtMs),
      oldestAgeMs: oldestReceivedAtMs === undefined ? undefined : Math.max(0, atMs - oldestReceivedAtMs),
    },
  };
}

function streamsText(signals: readonly StreamReport[]): readonly string[] {
  return signals.flatMap((stream) => [
    "",
    `${stream.signal}: ${countText(stream.records, "record")}, ${itemsText(stream.items, stream.signal)}, ` +
    `${sizeText(stream.bytes)} in ${countText(stream.segments.length, "segment")} (${stream.folder})`,
    ...tableText(stream.segments.map(segmentRow), "  "),
    ...stream.destinations.flatMap((destination) => destinationText(destination, stream)),
    ...stream.damagedFiles.map(({ file, bytes }) => `  kept aside: ${file}, ${sizeText(bytes)}`),
  ]);
}

function segmentRow({ file, bytes, first, last }: SegmentReport): readonly string[] {
  if (first === undefined || last === undefined) return [file, sizeText(bytes), "no record"];
  const times = `${first.receivedAt ?? "?"} to ${last.receivedAt ?? "?"}`;
  return [file, sizeText(bytes), `records ${first.record} to ${last.record}`, times];
}

function destinationText(
  { destination, readable, onFull, next, waiting }: DestinationReport,
  { signal, end }: StreamReport,
): readonly string[] {
  const { items, bytes, oldestAgeMs, maybeDeliveredItems } = waiting;
  const age = oldestAgeMs === undefined ? "" : `, the oldest for ${durationText(oldestAgeMs)}`;
  const sent = maybeDeliveredItems === 0 ? "" : `, ${maybeDeliveredItems} of them may have been delivered`;
  const place = `at record ${next.sequence} of ${end.sequence}`;
  return [
    `  ${destination} (${onFull}): ${itemsText(items, signal)} wait, ${sizeText(bytes)}${age}${sent}; ${place}` +
    (readable ? "" : "; its file cannot be read: see `journal verify`"),
  ];
}
