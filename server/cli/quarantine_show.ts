import { dataFolder } from "./folder.ts";
import { CliFailure, type CliIo, type CommonOptions, EXIT, type ExitCode, printJson } from "./io.ts";
import { requestView } from "./otlp_view.ts";
import { chosen, lookIntoQuarantine } from "./quarantine_folder.ts";

/** What `quarantine show` is told. */
export interface ShowOptions extends CommonOptions {
  /** Only the payload, as it was accepted. */
  readonly raw?: boolean;
}

/** Shows one record: why it is here, and what is in it. */
export async function quarantineShow(id: string, options: ShowOptions, io: CliIo): Promise<ExitCode> {
  const data = await dataFolder(options, io);
  const quarantine = await lookIntoQuarantine(data, io);
  const [entry] = chosen(quarantine, [id], false);
  const reading = await quarantine.read(id);
  if (reading.status !== "read") {
    const what = reading.status === "damaged" ? reading.damage : "it was removed meanwhile";
    throw new CliFailure(`Cannot read ${id}: ${what}; \`quarantine drop ${id}\` removes what is left of it`);
  }
  if (options.raw) {
    io.write(reading.payload);
    return EXIT.ok;
  }
  printJson(io, { record: reading.record, request: requestView(reading.payload, entry.signal) });
  return EXIT.ok;
}
