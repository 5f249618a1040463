/**
 * The command line: `deno task cli …` looks after the data folder of a server. Everything that touches the world
 * outside is handed over here; the commands are in `server/cli/`, `docs/cli.md` tells of them.
 *
 * It needs `--allow-read` and `--allow-write` for the data folder, wherever that is, and `--allow-env` for the few names
 * that say where. `--allow-net` is for `quarantine replay --to` and `account --url`; nothing else uses it. Standard
 * output carries the answer; everything else goes to standard error.
 */

import process from "node:process";
import { systemClock } from "../core/clock.ts";
import { nodeDisk } from "../exporters/journal/disk.ts";
import { showProgress } from "./cli/progress.ts";
import { runCli } from "./cli/program.ts";
import { sayWhoHolds } from "./data_folder.ts";
import * as platform from "./platform.ts";

/** What says where the data folder is. */
const NAMES = ["BREAKWATER_DATA_DIR", "STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"] as const;

platform.exit(
  await runCli(platform.commandLine(), {
    write: platform.writeOut,
    writeError: platform.writeError,
    environment: Object.fromEntries(NAMES.map((name) => [name, process.env[name]])),
    disk: nodeDisk,
    wallMs: systemClock.wallMs,
    fetch,
    tryLock: lockFile,
    progress: (...of) => showProgress(process.stderr, systemClock.nowMs, ...of),
  }),
);

function lockFile(path: string): platform.FileLock | undefined {
  const lock = platform.tryLockFile(path);
  if (lock !== undefined) sayWhoHolds(path, systemClock.wallMs());
  return lock;
}
