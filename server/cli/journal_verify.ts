import { checkedBytes, checkStream, type StreamCheck } from "../../exporters/journal/inspection_check.ts";
import { itemsText, type Signal } from "../../exporters/signal.ts";
import { type Balance, balanceOf, equationsOf, type SignalBalance } from "../account.ts";
import { signalBalance } from "./balance.ts";
import { type Finding, findingsOf } from "./findings.ts";
import { dataFolder, inspect, signalsIn, streamFolder } from "./folder.ts";
import { type CliIo, type CommonOptions, EXIT, type ExitCode, print, printJson, SILENT } from "./io.ts";
import { countText, sizeText } from "./words.ts";

/** What reading one signal's stream has shown. */
interface SignalReport {
  readonly signal: Signal;
  readonly folder: string;
  readonly segments: number;
  /** Of what is whole. */
  readonly records: number;
  readonly items: number;
  readonly bytes: number;
  readonly findings: readonly Finding[];
  readonly account: SignalBalance;
}

/** Reads every record and every slot, and tells what happened and what to do. */
export async function journalVerify(options: CommonOptions, io: CliIo): Promise<ExitCode> {
  const data = await dataFolder(options, io);
  const reports: SignalReport[] = [];
  for (const signal of await signalsIn(data, io)) reports.push(await verifySignal(data, signal, options, io));
  const balance = balanceOf(reports.map(({ account }) => account));
  const isWhole = reports.every(({ findings }) => !findings.some(({ isDamage }) => isDamage));
  if (options.json) printJson(io, { folder: data, whole: isWhole, balanced: balance.balanced, signals: reports });
  else print(io, reportText(data, reports, isWhole, balance));
  return isWhole && balance.balanced ? EXIT.ok : EXIT.wrong;
}

async function verifySignal(
  data: string,
  signal: Signal,
  { json }: CommonOptions,
  io: CliIo,
): Promise<SignalReport> {
  await using inspection = await inspect(data, signal, io);
  const progress = json ? SILENT : io.progress(signal, checkedBytes(inspection), "bytes");
  let check: StreamCheck;
  try {
    check = checkStream(inspection, (bytes) => progress.reached(bytes));
  } finally {
    progress.end();
  }
  return {
    signal,
    folder: streamFolder(data, signal),
    segments: inspection.stream.segments.count,
    records: check.recordCount,
    items: check.itemCount,
    bytes: check.bytes,
    findings: findingsOf(signal, inspection, check),
    account: signalBalance(signal, inspection),
  };
}

function reportText(
  data: string,
  reports: readonly SignalReport[],
  isWhole: boolean,
  balance: Balance,
): readonly string[] {
  const findings = reports.flatMap(({ findings }) => findings);
  return [
    ...reports.flatMap(signalText),
    "",
    ...equationsOf(balance),
    "",
    ...(isWhole && balance.balanced ? [wholeText(data, reports)] : []),
    ...advice(findings, balance.balanced),
  ];
}

/** Nothing is unknown; what was lost before is said again. */
function wholeText(data: string, reports: readonly SignalReport[]): string {
  const known = reports.flatMap(({ signal, findings }) => {
    const items = findings.reduce((sum, { isKnown, lostItems }) => isKnown ? sum + lostItems : sum, 0);
    return items > 0 ? [itemsText(items, signal)] : [];
  });
  if (known.length === 0) return `${data} is whole.`;
  return `${data} has nothing wrong that is not known: ${
    known.join(", ")
  } could not be read when a repair noted it. What ` +
    "a destination had passed cost it nothing; what it lost is in its account as dropped{corrupt}.";
}

function signalText({ signal, folder, records, items, bytes, segments, findings }: SignalReport): readonly string[] {
  const isDamaged = findings.some(({ isDamage }) => isDamage);
  const state = isDamaged ? "DAMAGED" : findings.some(({ isKnown }) => isKnown) ? "repaired" : "whole";
  const size = `${countText(records, "record")}, ${itemsText(items, signal)}, ${sizeText(bytes)}`;
  return [
    `${signal}: ${size} in ${countText(segments, "segment")}: ${state} (${folder})`,
    ...findings.flatMap(({ message, destinations }) => [
      `  ${message}`,
      ...destinations.map((destination) => `    ${destination.message}`),
    ]),
  ];
}

/** What to do, in the order in which it should be done. */
function advice(findings: readonly Finding[], balanced: boolean): readonly string[] {
  const damage = findings.filter(({ isDamage }) => isDamage);
  const nothing = damage.some(({ lostItems }) => lostItems > 0) ? "" : " (here: nothing)";
  const lines: string[] = [];
  if (damage.length > 0) {
    lines.push(
      "What to do: nothing has to be done for the server. It starts, steps over what cannot be read, and counts it.",
      "  `deno task cli journal repair`, with the server ended, does so now: it keeps the damaged bytes in .damaged files",
      `  beside the segments and notes what is lost${nothing}. What can be read is kept.`,
      "  Crashes do not do this: the disk, or somebody who wrote to the files, did. Look at the system's log (dmesg) and",
      "  check the disk (smartctl).",
    );
  }
  if (!balanced) {
    lines.push(
      "The account does not balance: items are missing in it that no damage explains. Keep a copy of the folder: it is",
      "  a fault of Breakwater. Delivery goes on.",
    );
  }
  return lines;
}
