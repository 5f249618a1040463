/** A server in this process, on free ports, for tests that ask it from outside. */

import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { inspect } from "node:util";
import { type Config, readConfig } from "../../server/config.ts";
import { type RunningServer, type ServerOptions, startServer } from "../../server/server.ts";
import { FakeClock } from "./clock.ts";
import { TemporaryFolder } from "./temporary_folder.ts";

/** How long a test waits for what must come about, in real milliseconds: a machine that is busy takes its time. */
const PATIENCE_MS = 20_000;

/**
 * Time that is moved by hand runs ahead of real sockets: no attempt may time out by it, or a busy machine decides what a
 * test sees.
 */
const NO_TIMEOUT = { OTEL_EXPORTER_OTLP_TIMEOUT: "86400000" };

/** The configuration that an environment gives, on free ports and with its queue in memory unless it says otherwise. */
export function configOf(env: Record<string, string>): Config {
  const nobodysOwn = {
    BREAKWATER_OTLP_HTTP_LISTEN: "127.0.0.1:0",
    BREAKWATER_ADMIN_LISTEN: "127.0.0.1:0",
    BREAKWATER_DATA_DIR: "off",
  };
  const reading = readConfig({ ...nobodysOwn, ...env });
  assert.ok("config" in reading, inspect(reading));
  return reading.config;
}

/**
 * Starts a server, which is drained when the test is over, well or not. Its queue is in a folder of its own, which is
 * removed then; but in memory where a test owns the time, because a disk takes its own.
 */
export async function started(
  env: Record<string, string>,
  options: ServerOptions = {},
): Promise<RunningServer & AsyncDisposable> {
  const folder = options.clock === undefined ? new TemporaryFolder() : undefined;
  const place = { BREAKWATER_DATA_DIR: folder?.path ?? "off" };
  const patience = options.clock instanceof FakeClock ? NO_TIMEOUT : {};
  const server = await startServer(configOf({ ...place, ...patience, ...env }), options);
  return {
    ...server,
    async [Symbol.asyncDispose](): Promise<void> {
      await drained(server, options);
      folder?.[Symbol.dispose]();
    },
  };
}

/** Drains to the end. A drain that waits by a fake clock would wait for ever: it is moved meanwhile. */
async function drained(server: RunningServer, { clock }: ServerOptions): Promise<void> {
  let done = false;
  const drain = server.drain().finally(() => done = true);
  while (clock instanceof FakeClock && !done) await turn(() => clock.advance(1000));
  await drain;
}

// deno-lint-ignore no-explicit-any
export async function health(server: RunningServer): Promise<{ status: number; body: any }> {
  const response = await fetch(`${server.adminUrl}/health/telemetry`);
  return { status: response.status, body: await response.json() };
}

/** Turns the event loop until something is so, moving what must be moved in between. */
export async function until(
  isSo: () => boolean | Promise<boolean>,
  move?: () => Promise<void>,
): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (!await isSo()) {
    assert.ok(performance.now() < deadlineMs, "it never came about");
    await turn(move);
  }
}

/**
 * How long real sockets have between two moves of time: where other programs want the processor, a bound in fake time
 * would otherwise be one on them.
 */
const MOVE_INTERVAL_MS = 2;

async function turn(move?: () => Promise<void>): Promise<void> {
  await move?.();
  await new Promise<void>((resolve) => move ? setTimeout(resolve, MOVE_INTERVAL_MS) : setImmediate(resolve));
}
