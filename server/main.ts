/**
 * The program. Everything that touches the world outside is done here: settings are read from the environment, ports
 * are opened, signals are answered, lines are printed.
 *
 * It needs `--allow-net` (to listen, and to reach the upstream), `--allow-env` (all of it, to find misspelt settings)
 * and `--allow-read` (for secrets in files, and to start its worker). It reads and writes its data folder, wherever that
 * is: `--allow-write`. With `--allow-sys=networkInterfaces,uid` it also knows an upstream as itself that is given by one
 * of this machine's addresses, and a data folder of somebody else.
 *
 * Standard output carries the `ready` line and, at the end, the account; everything else goes to standard error.
 */

import { configureSync, getLogger } from "@logtape/logtape";
import { VERSION } from "../exporters/version.ts";
import { type Config, readConfig } from "./config.ts";
import type { Log } from "./log.ts";
import { formatLogRecord } from "./log_line.ts";
import * as platform from "./platform.ts";
import { type RunningServer, startServer } from "./server.ts";
import { helpText } from "./settings_text.ts";
import { StartError } from "./start_error.ts";

/** Ended as asked; failed; would not start. */
const EXIT = { ok: 0, failed: 1, refused: 2 } as const;

/** What a shell shows for a process that a signal ended: 128 and the signal's number. */
const EXIT_BY_SIGNAL: Readonly<Record<platform.EndSignal, number>> = { SIGINT: 130, SIGTERM: 143 };

const [argument, ...more] = platform.commandLine();
if (argument === "--help" || argument === "-h") {
  platform.printLine(helpText());
  platform.exit(EXIT.ok);
}
if (argument === "--version") {
  platform.printLine(`breakwater ${VERSION}`);
  platform.exit(EXIT.ok);
}
if (argument !== undefined) {
  refuse(
    [argument, ...more].map((text) => `unknown argument ${JSON.stringify(text)}: only --help and --version are known`),
  );
}

const reading = readConfig(platform.environment());
if ("mistakes" in reading) refuse(reading.mistakes);
const { config, warnings, noEffect } = reading;
const log = openLog();
for (const warning of warnings) log("warning", warning);
if (noEffect.length > 0) log("warning", `Set, but without effect in this version: ${noEffect.join(", ")}`);
log("info", "OTLP/gRPC is not built yet: telemetry is received by OTLP/HTTP only");

const server = await start(config);
let drainedBy: platform.EndSignal | undefined;
platform.onEndSignal((signal) => {
  if (drainedBy !== undefined) platform.exit(EXIT_BY_SIGNAL[signal]);
  drainedBy = signal;
  void end(signal);
});
const { otlpUrl = "off", adminUrl = "off", dataDir = "memory" } = server;
platform.printLine(`ready pid=${platform.processId()} otlp=${otlpUrl} admin=${adminUrl} data=${dataDir}`);

async function start(config: Config): Promise<RunningServer> {
  try {
    return await startServer(config, { log, ownAddresses: platform.ownAddresses() });
  } catch (error) {
    if (error instanceof StartError) refuse(error.mistakes);
    throw error;
  }
}

async function end(signal: platform.EndSignal): Promise<void> {
  log("info", `${signal}: draining for at most ${config.drainTimeoutMs} ms; a second signal ends at once`);
  const account = await server.drain();
  for (const equation of account.equations) platform.printLine(equation);
  platform.exit(account.balanced ? EXIT.ok : EXIT.failed);
}

/** One message with every reason. */
function refuse(mistakes: readonly string[]): never {
  const count = mistakes.length === 1 ? "one mistake" : `${mistakes.length} mistakes`;
  platform.logLine([`breakwater cannot start: ${count}`, ...mistakes.map((mistake) => `  ${mistake}`)].join("\n"));
  platform.exit(EXIT.refused);
}

function openLog(): Log {
  configureSync({
    sinks: { stderr: (record) => platform.logLine(formatLogRecord(record, config.serviceName)) },
    loggers: [
      { category: "breakwater", sinks: ["stderr"], lowestLevel: "info" },
      { category: ["logtape", "meta"], sinks: ["stderr"], lowestLevel: "error" },
    ],
  });
  const logger = getLogger("breakwater");
  // As a value, not as a template: what a backend has said may hold braces.
  return (level, message) => logger[level]("{message}", { message });
}
