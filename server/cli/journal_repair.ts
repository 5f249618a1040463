import { DAMAGED_SUFFIX } from "../../exporters/journal/damage.ts";
import { checkedBytes } from "../../exporters/journal/inspection_check.ts";
import { type Repair, repairStream } from "../../exporters/journal/repair.ts";
import { itemsText, type Signal } from "../../exporters/signal.ts";
import { type Finding, findingsOf } from "./findings.ts";
import { asFailure, dataFolder, inspect, lockFolder, signalsIn, streamFolder } from "./folder.ts";
import { type CliIo, type CommonOptions, EXIT, type ExitCode, print, printJson, SILENT } from "./io.ts";
import { countText, sizeText } from "./words.ts";

/** What `journal repair` is told. */
export interface RepairCommandOptions extends CommonOptions {
  /** Only say what would be done. */
  readonly dryRun?: boolean;
}

/** What was done to one signal's stream, or would be. */
interface SignalRepair {
  readonly signal: Signal;
  readonly folder: string;
  readonly needed: boolean;
  readonly lostRecords: number;
  readonly lostItems: number;
  readonly findings: readonly Finding[];
  /** Names of files. */
  readonly kept: readonly string[];
  readonly putAside: readonly string[];
  readonly rewritten: readonly string[];
  readonly left: readonly string[];
  /** Bytes behind the end of the stream. */
  readonly cutOffBytes: number;
}

/** Does now, in a folder that no server uses, what a server does in time; with `--dry-run` it only says what. */
export async function journalRepair(options: RepairCommandOptions, io: CliIo): Promise<ExitCode> {
  const data = await dataFolder(options, io);
  const signals = await signalsIn(data, io);
  const lock = options.dryRun ? undefined : await lockFolder(data, io);
  try {
    const repairs: SignalRepair[] = [];
    for (const signal of signals) repairs.push(await repairSignal(data, signal, options, io));
    const isWhole = !repairs.some(({ findings }) => findings.some(({ kind }) => kind === "unreadable"));
    if (options.json) {
      printJson(io, { folder: data, dryRun: options.dryRun ?? false, whole: isWhole, signals: repairs });
    } else print(io, repairs.flatMap((repair) => repairText(repair, options.dryRun ?? false)));
    return isWhole ? EXIT.ok : EXIT.wrong;
  } finally {
    lock?.release();
  }
}

async function repairSignal(
  data: string,
  signal: Signal,
  { dryRun, json }: RepairCommandOptions,
  io: CliIo,
): Promise<SignalRepair> {
  const folder = streamFolder(data, signal);
  await using before = await inspect(data, signal, io);
  const progress = json ? SILENT : io.progress(signal, checkedBytes(before), "bytes");
  try {
    const onProgress = (bytes: number) => progress.reached(bytes);
    const repair = await repairStream(io.disk, folder, { isDryRun: dryRun, onProgress });
    return signalRepair(signal, folder, repair, findingsOf(signal, before, repair.check));
  } catch (error) {
    throw asFailure(error, folder);
  } finally {
    progress.end();
  }
}

function signalRepair(signal: Signal, folder: string, repair: Repair, findings: readonly Finding[]): SignalRepair {
  const lost = findings.filter(({ kind }) => kind === "lost");
  return {
    signal,
    folder,
    needed: repair.isNeeded,
    lostRecords: lost.reduce((sum, { lostRecords }) => sum + lostRecords, 0),
    lostItems: lost.reduce((sum, { lostItems }) => sum + lostItems, 0),
    findings,
    kept: repair.kept.map(({ name }) => name),
    putAside: repair.putAside,
    rewritten: repair.rewritten,
    left: repair.left,
    cutOffBytes: repair.cutOff?.bytes ?? 0,
  };
}

function repairText(repair: SignalRepair, dryRun: boolean): readonly string[] {
  const { signal, folder, needed, lostRecords, lostItems, findings, kept, putAside, rewritten, left, cutOffBytes } =
    repair;
  const would = dryRun ? "would be " : "";
  const lost = lostRecords === 0
    ? "nothing is lost"
    : `${countText(lostRecords, "record")} with ${itemsText(lostItems, signal)} cannot be read`;
  return [
    `${signal}: ${needed ? (dryRun ? "would be repaired" : "repaired") : "nothing to repair"}, ${lost} (${folder})`,
    ...findings.filter(({ kind }) => kind === "lost" || kind === "unreadable").flatMap(({ message, destinations }) => [
      `  ${message}`,
      ...destinations.map(({ destination, ahead, message }) =>
        ahead === 0 || dryRun
          ? `    ${message}`
          : `    ${destination}: its account shows the ${ahead} as dropped{corrupt}.`
      ),
    ]),
    ...kept.map((file) => `  ${would}kept: ${file}`),
    ...putAside.map((file) => `  ${would}put aside: ${file} as ${file}${DAMAGED_SUFFIX}`),
    ...rewritten.map((file) => `  ${would}written anew: ${file}`),
    ...(cutOffBytes > 0
      ? [`  ${would}cut off: ${sizeText(cutOffBytes)} of a record that was not written to its end`]
      : []),
    ...left.map((file) => `  left to the server, which knows its destinations: ${file}`),
  ];
}
