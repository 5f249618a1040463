/** A child process of the demonstration or of a bench: its lines as they come, its end within a bound. */

import { TextLineStream } from "./lines.ts";

export interface Child extends AsyncDisposable {
  readonly pid: number;
  readonly stdout: AsyncIterable<string>;
  readonly stderr: AsyncIterable<string>;
  /** Ends its standard input: the polite request to finish. */
  closeInput(): Promise<void>;
  /** Asks it to end with SIGTERM. */
  terminate(): void;
  /** Ends it with SIGKILL, in the middle of whatever it does. */
  kill(): void;
  /** Its exit code; after `boundMs` it is killed and the code is that of SIGKILL. */
  ended(boundMs: number): Promise<number>;
}

/**
 * Starts a module of this house in a process of its own. Settings of telemetry in our own environment (`OTEL_*`,
 * `BREAKWATER_*`, `APP_OTEL__*`) are not passed on: the demonstration is the same on every machine.
 */
export function startChild(module: URL, args: readonly string[], settings: Readonly<Record<string, string>>): Child {
  const inherited = Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => !/^(OTEL_|BREAKWATER_|APP_OTEL__)/.test(name)),
  );
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", module.href, ...args],
    clearEnv: true,
    env: { ...inherited, ...settings, NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return {
    pid: process.pid,
    stdout: lines(process.stdout),
    stderr: lines(process.stderr),
    closeInput: () => process.stdin.close(),
    terminate: () => signal(process, "SIGTERM"),
    kill: () => signal(process, "SIGKILL"),
    ended,
    async [Symbol.asyncDispose]() {
      signal(process, "SIGTERM");
      await ended(DISPOSE_BOUND_MS);
    },
  };

  async function ended(boundMs: number): Promise<number> {
    const timer = setTimeout(() => signal(process, "SIGKILL"), boundMs);
    const { code } = await process.status;
    clearTimeout(timer);
    return code;
  }
}

/** How long a child that is no longer wanted may take to end before it is killed. */
const DISPOSE_BOUND_MS = 5_000;

function signal(process: Deno.ChildProcess, name: Deno.Signal): void {
  try {
    process.kill(name);
  } catch {
    // It has ended already.
  }
}

function lines(bytes: ReadableStream<Uint8Array>): AsyncIterable<string> {
  return bytes.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
}
