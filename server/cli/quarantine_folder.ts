import type { Disk } from "../../exporters/journal/disk.ts";
import { LookingDisk } from "../../exporters/journal/looking_disk.ts";
import { Quarantine, type QuarantineEntry } from "../../exporters/journal/quarantine.ts";
import { quarantineFolderIn } from "../data_folder.ts";
import { asFailure } from "./folder.ts";
import { CliFailure, type CliIo, type CommonOptions, EXIT } from "./io.ts";

/** What commands are told that take records out of quarantine. */
export interface ChoiceOptions extends CommonOptions {
  /** Every record, instead of some by their ids. */
  readonly all?: boolean;
}

/** Opens a quarantine to look at it: nothing is made that is not there. */
export function lookIntoQuarantine(data: string, io: CliIo): Promise<Quarantine> {
  // What is damaged is said where it is shown.
  return open(data, new LookingDisk(io.disk), () => {});
}

/** Opens a quarantine to take something out of it. */
export function openQuarantine(data: string, io: CliIo): Promise<Quarantine> {
  return open(data, io.disk, (message) => io.writeError(`${message}\n`));
}

async function open(data: string, disk: Disk, report: (message: string) => void): Promise<Quarantine> {
  const folder = quarantineFolderIn(data);
  try {
    // Nothing is ever put into it here, so there is no room in it, and no folder is made.
    return await Quarantine.open({ folder, disk, bytesMax: 0, report });
  } catch (error) {
    throw asFailure(error, folder);
  }
}

/**
 * The entries of these ids, or all of them, oldest first.
 *
 * @throws {CliFailure} When there is none of that id.
 */
export function chosen(quarantine: Quarantine, ids: readonly string[], all: boolean): readonly QuarantineEntry[] {
  if (all === ids.length > 0) throw new CliFailure("Give the ids of records, or --all", EXIT.usage);
  const entries = quarantine.list();
  if (all) return entries;
  const missing = ids.filter((id) => !entries.some((entry) => entry.id === id));
  if (missing.length > 0) {
    throw new CliFailure(`Not in the quarantine: ${missing.join(", ")}; \`quarantine list\` names what is`);
  }
  return entries.filter(({ id }) => ids.includes(id));
}
