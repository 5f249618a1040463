/**
 * `deno task demo`: the server, a collector that dies and returns, and a traced application, all on this machine.
 *
 * It ends by itself and leaves no process and no file. Exit code 0 says that every item is accounted for and that the
 * circuit opened and closed again.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Signal, SIGNALS } from "../exporters/signal.ts";
import { type Collector, startCollector } from "../exporters/testing/collector.ts";
import type { Made } from "./application.ts";
import { type Child, startChild } from "./child.ts";
import { PLAY_SECONDS_DEFAULT, PLAY_SECONDS_MAX, PLAY_SECONDS_MIN, sceneAt, SCENES } from "./play.ts";
import { pipeScreen, type Screen, type SignalView, terminalScreen } from "./screen.ts";
import { judge } from "./verdict.ts";
import { look } from "./watch.ts";

/** Waits of the server, shortened so that a person sees a circuit open and close within seconds. */
const COOLDOWN_MS = 1_000;
const COOLDOWN_MAX_MS = 2_000;
const ATTEMPT_TIMEOUT_MS = 1_000;

/** How often the play looks at the server. */
const LOOK_INTERVAL_MS = 250;

/** How long the queue may take to drain once the collector is back and the application has ended. */
const DRAIN_BOUND_MS = 15_000;

/** How long a child may take to end after it was asked. */
const END_BOUND_MS = 10_000;

const USAGE = `Usage: deno task demo [--seconds N], with N from ${PLAY_SECONDS_MIN} to ${PLAY_SECONDS_MAX}; ` +
  `${PLAY_SECONDS_DEFAULT} without it`;

const SERVER_SETTINGS = {
  BREAKWATER_OTLP_HTTP_LISTEN: "127.0.0.1:0",
  BREAKWATER_OTLP_GRPC_LISTEN: "off",
  BREAKWATER_ADMIN_LISTEN: "127.0.0.1:0",
  BREAKWATER_COOLDOWN_MS: String(COOLDOWN_MS),
  BREAKWATER_COOLDOWN_MAX_MS: String(COOLDOWN_MAX_MS),
  OTEL_EXPORTER_OTLP_TIMEOUT: String(ATTEMPT_TIMEOUT_MS),
  // The play asks four times a second; the limit of ten a minute is for strangers.
  BREAKWATER_METRICS_RATE_LIMIT: "off",
};

if (import.meta.main) Deno.exit(await main(Deno.args));

async function main(args: readonly string[]): Promise<number> {
  let playMs: number | undefined;
  try {
    playMs = readPlayMs(args);
  } catch (error) {
    console.error(`Cannot start the demo: ${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  if (playMs === undefined) {
    console.log(USAGE);
    return 0;
  }
  const write = (text: string) => void Deno.stdout.writeSync(new TextEncoder().encode(text));
  const screen = Deno.stdout.isTerminal()
    ? terminalScreen({
      write,
      colored: Deno.env.get("NO_COLOR") === undefined,
      get columnCount() {
        return Deno.consoleSize().columns;
      },
    })
    : pipeScreen(write);

  const dataDir = await mkdtemp(join(tmpdir(), "breakwater-demo-"));
  try {
    return await play(playMs, screen, dataDir);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** The play from the first line to the verdict. @returns The exit code. */
async function play(playMs: number, screen: Screen, dataDir: string): Promise<number> {
  const interrupted = untilInterrupted();
  await using collector = await startCollector();
  await using server = startChild(new URL("../server/main.ts", import.meta.url), [], {
    ...SERVER_SETTINGS,
    BREAKWATER_DATA_DIR: dataDir,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
  });
  const { otlpUrl, adminUrl, account } = await readServer(server);
  const circuits = followCircuits(server, screen);
  await using application = startChild(new URL("application.ts", import.meta.url), [otlpUrl], {});
  const applicationOutput = Array.fromAsync(application.stdout);
  const applicationErrors = Array.fromAsync(application.stderr);

  screen.say(`Breakwater for ${playMs / 1_000} seconds: an application sends spans, metrics and logs to`);
  screen.say(`the server at ${otlpUrl}, which forwards them to a collector that`);
  screen.say("will die, hang, be overloaded and return.");
  screen.say(`Waits are short for the play: cooldown ${COOLDOWN_MS} to ${COOLDOWN_MAX_MS} ms (default 5000 to 30000),`);
  screen.say(`attempt timeout ${ATTEMPT_TIMEOUT_MS} ms (default 10000).`);
  screen.say("");

  await perform(collector, adminUrl, screen, playMs, interrupted);
  if (interrupted.aborted) {
    screen.end();
    screen.say("");
    screen.say("Interrupted: stopping the application, the server and the collector.");
    return 130;
  }

  await application.closeInput();
  if (await application.ended(END_BOUND_MS) !== 0) {
    screen.say(`The application failed:\n${(await applicationErrors).join("\n")}`);
    return 1;
  }
  const made = JSON.parse((await applicationOutput).at(-1) ?? "") as Made;
  const views = await untilDrained(adminUrl);
  screen.end();
  server.terminate();
  const serverCode = await server.ended(END_BOUND_MS);
  const verdict = judge({ made, views, arrived: collector.items, account: await account, circuits, serverCode });
  for (const line of verdict.lines) screen.say(line);
  return verdict.good ? 0 : 1;
}

/**
 * How long to play; undefined when it is only asked how.
 *
 * @throws {TypeError} When an argument is unknown, or `--seconds` has no value.
 * @throws {RangeError} When `--seconds` is not a number within the play's bounds.
 */
function readPlayMs(args: readonly string[]): number | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: { seconds: { type: "string" }, help: { type: "boolean" } },
    strict: true,
  });
  if (values.help) return undefined;
  const seconds = Number(values.seconds ?? PLAY_SECONDS_DEFAULT);
  if (!(seconds >= PLAY_SECONDS_MIN && seconds <= PLAY_SECONDS_MAX)) {
    throw new RangeError(
      `"--seconds" must be a number from ${PLAY_SECONDS_MIN} to ${PLAY_SECONDS_MAX}, ` +
        `received ${JSON.stringify(values.seconds)}`,
    );
  }
  return seconds * 1_000;
}

/** Ctrl-C and SIGTERM end the play in order, so that the children end too. */
function untilInterrupted(): AbortSignal {
  const interruption = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, () => interruption.abort());
  return interruption.signal;
}

/** Plays the scenes in turn, looking at the server all the while. */
async function perform(
  collector: Collector,
  adminUrl: string,
  screen: Screen,
  playMs: number,
  interrupted: AbortSignal,
): Promise<void> {
  const beganAtMs = performance.now();
  let onStage = -1;
  for (let elapsedMs = 0; elapsedMs < playMs && !interrupted.aborted; elapsedMs = performance.now() - beganAtMs) {
    const index = sceneAt(elapsedMs, playMs);
    const scene = SCENES[index]!;
    if (index !== onStage) {
      onStage = index;
      await scene.begin(collector);
      screen.say(`${stamp(elapsedMs)}  ${index + 1}/${SCENES.length}  ${scene.title}`);
    }
    screen.show({
      elapsedMs,
      playMs,
      sceneNumber: index + 1,
      sceneCount: SCENES.length,
      sceneTitle: scene.title,
      signals: await look(adminUrl),
    });
    await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL_MS));
  }
}

/** What the server says of itself: its addresses from the first line, and the account that it prints when it ends. */
async function readServer(
  server: Child,
): Promise<{ otlpUrl: string; adminUrl: string; account: Promise<readonly string[]> }> {
  const lines = server.stdout[Symbol.asyncIterator]();
  const { value: ready = "" } = await lines.next();
  const otlpUrl = /\botlp=(\S+)/.exec(ready)?.[1];
  const adminUrl = /\badmin=(\S+)/.exec(ready)?.[1];
  if (otlpUrl === undefined || adminUrl === undefined) {
    const errors = await Array.fromAsync(server.stderr);
    throw new Error(`Cannot start the demo: the server did not say that it is ready.\n${ready}\n${errors.join("\n")}`);
  }
  return { otlpUrl, adminUrl, account: Array.fromAsync({ [Symbol.asyncIterator]: () => lines }) };
}

/** How often circuits have opened and closed, from the server's own log; each change is shown as it comes. */
interface CircuitChanges {
  openedCount: number;
  closedCount: number;
}

function followCircuits(server: Child, screen: Screen): CircuitChanges {
  const changes = { openedCount: 0, closedCount: 0 };
  const beganAtMs = performance.now();
  void (async () => {
    for await (const line of server.stderr) {
      const [, signal, from, to, why] = /(\w+) -> \S+: circuit (\w+) -> (\w+): ([^:]*)/.exec(line) ?? [];
      if (to === undefined) continue;
      if (from === "closed" && to === "open") changes.openedCount++;
      if (to === "closed") changes.closedCount++;
      screen.say(`${stamp(performance.now() - beganAtMs)}       ${signal}: ${from} -> ${to}, ${why}`);
    }
  })();
  return changes;
}

/** Looks until nothing is queued any more, within a bound: what is left then stands in the account as queued. */
async function untilDrained(adminUrl: string): Promise<Readonly<Record<Signal, SignalView>>> {
  const endsAtMs = performance.now() + DRAIN_BOUND_MS;
  for (;;) {
    const views = await look(adminUrl);
    if (SIGNALS.every((signal) => views[signal].queued === 0) || performance.now() >= endsAtMs) return views;
    await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL_MS));
  }
}

function stamp(elapsedMs: number): string {
  return `${(elapsedMs / 1_000).toFixed(1).padStart(5)} s`;
}
