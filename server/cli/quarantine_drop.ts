import { dataFolder, lockFolder } from "./folder.ts";
import { CliFailure, type CliIo, EXIT, type ExitCode, print, printJson } from "./io.ts";
import { type ChoiceOptions, chosen, openQuarantine } from "./quarantine_folder.ts";
import { countText, sizeText } from "./words.ts";

/** What `quarantine drop` is told. */
export interface DropOptions extends ChoiceOptions {
  /** That it is really meant. */
  readonly yes?: boolean;
}

/** Removes records for good, in a folder that no server uses. */
export async function quarantineDrop(ids: readonly string[], options: DropOptions, io: CliIo): Promise<ExitCode> {
  const { all = false, yes = false, json } = options;
  if (all && !yes) throw new CliFailure("Dropping all loses them for good: say so with --yes", EXIT.usage);
  const data = await dataFolder(options, io);
  const lock = await lockFolder(data, io);
  try {
    const quarantine = await openQuarantine(data, io);
    const entries = chosen(quarantine, ids, all);
    const dropped: string[] = [];
    const failed: string[] = [];
    let bytes = 0;
    for (const entry of entries) {
      const isDropped = await quarantine.drop(entry.id) !== "failed";
      (isDropped ? dropped : failed).push(entry.id);
      if (isDropped) bytes += entry.bytes;
    }
    if (json) printJson(io, { folder: quarantine.folder, dropped, failed, bytes });
    else print(io, `${countText(dropped.length, "record")} dropped, ${sizeText(bytes)} (${quarantine.folder})`);
    return failed.length === 0 ? EXIT.ok : EXIT.wrong;
  } finally {
    lock.release();
  }
}
