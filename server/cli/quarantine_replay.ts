import { DiskJournal } from "../../exporters/journal/disk_journal.ts";
import type { JournalRecord } from "../../exporters/journal/journal.ts";
import type { Quarantine, QuarantinedRecord, QuarantineEntry } from "../../exporters/journal/quarantine.ts";
import { bySignal, type Signal } from "../../exporters/signal.ts";
import { otlpFromEnvironment } from "../../exporters/env.ts";
import { HttpTransport } from "../../exporters/transport/http.ts";
import { journalFolderIn } from "../data_folder.ts";
import { HOP_HEADER } from "../hops.ts";
import { asFailure, dataFolder, inspect, lockFolder, signalsIn, tryLockFolder } from "./folder.ts";
import { CliFailure, type CliIo, EXIT, type ExitCode, print, printJson, SILENT } from "./io.ts";
import { type ChoiceOptions, chosen, lookIntoQuarantine, openQuarantine } from "./quarantine_folder.ts";
import { countText, shownText } from "./words.ts";

/** What `quarantine replay` is told. */
export interface ReplayOptions extends ChoiceOptions {
  /** The base URL of an OTLP/HTTP receiver; without it records go back into the journal. */
  readonly to?: string;
  /** `name=value` pairs with commas between, as in `OTEL_EXPORTER_OTLP_HEADERS`. */
  readonly headers?: string;
}

/** What became of one record. */
interface Replayed {
  readonly id: string;
  readonly items: number;
  readonly isReplayed: boolean;
  /** Whether it is no longer in quarantine. */
  readonly isRemoved: boolean;
  /** Why not. */
  readonly message: string | null;
}

/** Takes a record: undefined when it was taken whole, else why not. */
type Take = (record: QuarantinedRecord, payload: Uint8Array) => Promise<string | undefined>;

/** How long one attempt may take, its answer included. */
const ATTEMPT_MS_MAX = 60_000;

/** What a line has room for. */
const MESSAGE_LENGTH_MAX = 300;

/**
 * Puts records back: into the journal of a folder that no server uses, or with `--to` to any receiver. A record leaves
 * the quarantine when it is safe where it went; a crash in between leaves it in both.
 */
export async function quarantineReplay(ids: readonly string[], options: ReplayOptions, io: CliIo): Promise<ExitCode> {
  const data = await dataFolder(options, io);
  const { to, all = false, json = false } = options;
  const lock = to === undefined ? await lockFolder(data, io) : tryLockFolder(data, io);
  try {
    const quarantine = await (lock === undefined ? lookIntoQuarantine : openQuarantine)(data, io);
    const entries = chosen(quarantine, ids, all);
    const results = await withTarget(data, entries, options, io, async (take) => {
      const progress = json ? SILENT : io.progress("replay", entries.length, "records");
      try {
        return await replayEach(quarantine, entries, take, lock !== undefined, (count) => progress.reached(count));
      } finally {
        progress.end();
      }
    });
    const failed = results.filter(({ isReplayed }) => !isReplayed);
    if (json) printJson(io, { folder: quarantine.folder, to: to ?? null, records: results });
    else print(io, resultText(results, to));
    return failed.length === 0 ? EXIT.ok : EXIT.wrong;
  } finally {
    lock?.release();
  }
}

async function replayEach(
  quarantine: Quarantine,
  entries: readonly QuarantineEntry[],
  take: Take,
  mayRemove: boolean,
  onProgress: (count: number) => void,
): Promise<readonly Replayed[]> {
  const results: Replayed[] = [];
  for (const { id, record } of entries) {
    const items = record?.itemCount ?? 0;
    const reading = await quarantine.read(id);
    const message = reading.status === "read"
      ? await take(reading.record, reading.payload)
      : reading.status === "damaged"
      ? reading.damage
      : "it was removed meanwhile";
    const isReplayed = message === undefined;
    const isRemoved = isReplayed && mayRemove && await quarantine.drop(id) === "dropped";
    results.push({ id, items, isReplayed, isRemoved, message: message ?? null });
    onProgress(results.length);
  }
  return results;
}

function withTarget<Value>(
  data: string,
  entries: readonly QuarantineEntry[],
  options: ReplayOptions,
  io: CliIo,
  use: (take: Take) => Promise<Value>,
): Promise<Value> {
  return options.to === undefined
    ? withJournals(data, entries, io, use)
    : withReceiver(options.to, options.headers ?? "", io, use);
}

/** Appends to the journals of the signals that are needed, durably: what it says is taken survives a loss of power. */
async function withJournals<Value>(
  data: string,
  entries: readonly QuarantineEntry[],
  io: CliIo,
  use: (take: Take) => Promise<Value>,
): Promise<Value> {
  const journals = new Map<Signal, DiskJournal>();
  try {
    for (const signal of new Set(entries.map(({ signal }) => signal))) {
      journals.set(signal, await openJournal(data, signal, io));
    }
    return await use(async (record, payload) => {
      const answer = await journals.get(record.signal)!.append(receiptOf(record, payload, io.wallMs()));
      return answer === "appended" ? undefined : REFUSALS[answer];
    });
  } finally {
    for (const journal of journals.values()) await journal.close();
  }
}

const REFUSALS = {
  queue_full: "the queue is full: let the server deliver first",
  journal_full: "the disk takes nothing: it is full or fails",
  too_large: "it is larger than the whole queue",
} as const;

/** A replay is a new receipt: it begins to age now. The hops stay, so that it does not go round in a circle. */
function receiptOf({ itemCount, hops }: QuarantinedRecord, payload: Uint8Array, receivedAtMs: number): JournalRecord {
  return { payload, itemCount, hops, receivedAtMs };
}

/** A journal with all its cursors: one that is not open holds nothing back. */
async function openJournal(data: string, signal: Signal, io: CliIo): Promise<DiskJournal> {
  if (!(await signalsIn(data, io)).includes(signal)) {
    throw new CliFailure(`There is no journal of ${signal} in ${data}: start the server once, so that it makes one`);
  }
  const cursors = await cursorsOf(data, signal, io);
  try {
    const folder = journalFolderIn(data);
    const journal = await DiskJournal.open(signal, { folder, disk: io.disk, fsync: "commit" });
    for (const { name, onFull } of cursors) journal.cursor(name, onFull);
    return journal;
  } catch (error) {
    throw asFailure(error, journalFolderIn(data));
  }
}

async function cursorsOf(data: string, signal: Signal, io: CliIo) {
  await using inspection = await inspect(data, signal, io);
  const damaged = inspection.brokenSlots.find(({ isUsable }) => !isUsable);
  if (damaged !== undefined) {
    // A destination that is not known here would lose what waits for it.
    throw new CliFailure(
      `Cannot put anything into the journal of ${signal}: ${damaged.fileName} is damaged or missing; start the server once, or use --to`,
    );
  }
  if (inspection.cursors.length === 0) {
    throw new CliFailure(
      `Nobody would deliver what is put into the journal of ${signal}: it has no destination yet; start the server once, or use --to`,
    );
  }
  return inspection.cursors.map(({ cursor: { name, onFull } }) => ({ name, onFull }));
}

/** Sends to a receiver, one record at a time, once each. */
async function withReceiver<Value>(
  to: string,
  headersText: string,
  { fetch }: CliIo,
  use: (take: Take) => Promise<Value>,
): Promise<Value> {
  const { endpoints, headers, warnings } = otlpFromEnvironment({
    OTEL_EXPORTER_OTLP_ENDPOINT: to,
    OTEL_EXPORTER_OTLP_HEADERS: headersText,
  });
  if (endpoints === undefined || warnings.length > 0) {
    throw new CliFailure(
      "--to must be an http: or https: URL, such as http://127.0.0.1:4318, and --headers name=value pairs with commas between",
      EXIT.usage,
    );
  }
  const transport = new HttpTransport({
    endpoints,
    headers: bySignal((signal) => headers[signal]),
    timeoutMs: ATTEMPT_MS_MAX,
    fetch,
  });
  try {
    return await use(async ({ signal, itemCount, hops }, payload) => {
      const answer = await transport.send(payload, {
        signal,
        itemCount,
        deadlineMs: ATTEMPT_MS_MAX,
        headers: hops === "" ? {} : { [HOP_HEADER]: hops },
      });
      if (answer.status !== "delivered") return `${answer.status}: ${answer.message}`;
      if (answer.rejectedCount === 0) return undefined;
      return `${answer.rejectedCount} of its ${countText(itemCount, "item")} were rejected: ${answer.message}`;
    });
  } finally {
    await transport.close();
  }
}

function resultText(results: readonly Replayed[], to: string | undefined): readonly string[] {
  const replayed = results.filter(({ isReplayed }) => isReplayed);
  const itemCount = replayed.reduce((sum, { items }) => sum + items, 0);
  const left = replayed.filter(({ isRemoved }) => !isRemoved).length;
  const where = to === undefined ? "put back into the journal" : "delivered";
  return [
    ...results.filter(({ isReplayed }) => !isReplayed).map(({ id, message }) =>
      `${id} stays: ${shownText(message ?? "", MESSAGE_LENGTH_MAX)}`
    ),
    `${countText(replayed.length, "record")} with ${countText(itemCount, "item")} ${where}` +
    (replayed.length === results.length ? "" : `, ${results.length - replayed.length} not`),
    ...(left > 0
      ? [
        `${countText(left, "record")} of them ${
          left === 1 ? "is" : "are"
        } still in quarantine, because a server is using the folder or the disk fails: ` +
        "`quarantine drop` removes them when it has ended",
      ]
      : []),
  ];
}
