/**
 * `deno task demo`: the server, a collector that dies and returns, and a traced application, all on this machine. In
 * the middle of the outage the server itself is killed.
 *
 * It ends by itself and leaves no process and no file. Exit code 0 says that every item is accounted for and that the
 * circuit opened and closed again.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Signal, SIGNALS } from "../exporters/signal.ts";
import { startCollector } from "../exporters/testing/collector.ts";
import type { Sent } from "./application.ts";
import { startChild } from "./child.ts";
import { PLAY_SECONDS_DEFAULT, PLAY_SECONDS_MAX, PLAY_SECONDS_MIN, sceneAt, SCENES, type Stage } from "./play.ts";
import { pipeScreen, type Screen, type SignalView, terminalScreen } from "./screen.ts";
import { ATTEMPT_TIMEOUT_MS, COOLDOWN_MAX_MS, COOLDOWN_MS, DemoServer, stamp } from "./server.ts";
import { judge } from "./verdict.ts";
import { look } from "./watch.ts";

/** How often the play looks at the server. */
const LOOK_INTERVAL_MS = 250;

/** How long the queue may take to drain once the collector is back and the application has ended. */
const DRAIN_BOUND_MS = 15_000;

/** How long a child may take to end after it was asked. */
const END_BOUND_MS = 10_000;

const USAGE = `Usage: deno task demo [--seconds N], with N from ${PLAY_SECONDS_MIN} to ${PLAY_SECONDS_MAX}; ` +
  `${PLAY_SECONDS_DEFAULT} without it`;

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
  await using server = await DemoServer.start(collector.url, dataDir, screen);
  await using application = startChild(new URL("application.ts", import.meta.url), [server.otlpUrl], {});
  const applicationOutput = Array.fromAsync(application.stdout);
  const applicationErrors = Array.fromAsync(application.stderr);

  screen.say(`Breakwater for ${playMs / 1_000} seconds: an application sends spans, metrics and logs to`);
  screen.say(`the server at ${server.otlpUrl}, which forwards them to a collector that`);
  screen.say("will die, hang, be overloaded and return. The server is killed meanwhile.");
  screen.say(`Waits are short for the play: cooldown ${COOLDOWN_MS} to ${COOLDOWN_MAX_MS} ms (default 5000 to 30000),`);
  screen.say(`attempt timeout ${ATTEMPT_TIMEOUT_MS} ms (default 10000).`);
  screen.say("");

  await perform({ collector, server }, screen, playMs, interrupted);
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
  const sent = JSON.parse((await applicationOutput).at(-1) ?? "") as Sent;
  const views = await untilDrained(server.adminUrl);
  screen.end();
  const ending = await server.end();
  const verdict = judge({ sent, views, arrived: collector.items, ending, circuits: server.circuits });
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
  stage: Stage & { readonly server: DemoServer },
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
      screen.say(`${stamp(elapsedMs)}  ${index + 1}/${SCENES.length}  ${scene.title}`);
      await scene.begin(stage);
    }
    screen.show({
      elapsedMs,
      playMs,
      sceneNumber: index + 1,
      sceneCount: SCENES.length,
      sceneTitle: scene.title,
      signals: await look(stage.server.adminUrl),
    });
    await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL_MS));
  }
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
