import type { QuarantineEntry } from "../../exporters/journal/quarantine.ts";
import { dataFolder } from "./folder.ts";
import { type CliIo, type CommonOptions, EXIT, type ExitCode, print, printJson } from "./io.ts";
import { lookIntoQuarantine } from "./quarantine_folder.ts";
import { countText, shownText, sizeText, tableText } from "./words.ts";

const HEADINGS = ["id", "signal", "destination", "refused", "items", "bytes", "reason", "message"] as const;
/** What a line of a table has room for. */
const MESSAGE_LENGTH_MAX = 60;
const NAME_LENGTH_MAX = 40;

/** Lists what is in quarantine, oldest first. */
export async function quarantineList(options: CommonOptions, io: CliIo): Promise<ExitCode> {
  const data = await dataFolder(options, io);
  const quarantine = await lookIntoQuarantine(data, io);
  const entries = quarantine.list();
  const { records, items, bytes } = quarantine.held;
  if (options.json) {
    printJson(io, { folder: quarantine.folder, records, items, bytes, entries: entries.map(entryJson) });
  } else if (records === 0) print(io, `Nothing is in quarantine (${quarantine.folder}).`);
  else {
    print(io, [
      ...tableText([HEADINGS, ...entries.map(entryRow)]),
      `${countText(records, "record")}, ${countText(items, "item")}, ${sizeText(bytes)} (${quarantine.folder})`,
    ]);
  }
  return EXIT.ok;
}

/** An entry for a program: its description, or what is wrong with it. */
function entryJson({ id, signal, bytes, record, damage }: QuarantineEntry): unknown {
  return { id, signal, diskBytes: bytes, damage: damage ?? null, record: record ?? null };
}

function entryRow({ id, signal, bytes, record, damage }: QuarantineEntry): readonly (string | number)[] {
  if (record === undefined || damage !== undefined) return [id, signal, "", "", 0, bytes, "DAMAGED", damage ?? ""];
  const { destination, quarantinedAt, itemCount, reason, message } = record;
  return [
    id,
    signal,
    shownText(destination, NAME_LENGTH_MAX),
    shownText(quarantinedAt, NAME_LENGTH_MAX),
    itemCount,
    record.bytes,
    shownText(reason, NAME_LENGTH_MAX),
    shownText(message, MESSAGE_LENGTH_MAX),
  ];
}
