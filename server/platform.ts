/** What the server needs of the runtime, and the only file in this room that knows which one it is. */

import type { ListenAddress } from "./setting_kinds.ts";

/** An open HTTP port. */
export interface HttpListener {
  /** Where it listens, with the port that it got if any was asked for. */
  readonly address: ListenAddress;
  /** Stops listening and waits for requests in flight, for at most so long. Those that take longer are left behind. */
  close(deadlineMs: number): Promise<void>;
}

/** A file that this process has locked: no other can, until it is released or the process has ended, however it ends. */
export interface FileLock {
  /** Lets another process have it. */
  release(): void;
}

/** The signals that ask a server to end. */
export type EndSignal = "SIGTERM" | "SIGINT";

/**
 * Serves HTTP on one port. The handler is told the IP address at the other end of each connection.
 *
 * @throws {Error} When the port cannot be opened, with the system's `code`, such as `EADDRINUSE`.
 */
export function serveHttp(
  { host, port }: ListenAddress,
  handler: (request: Request, peerAddress: string) => Response | Promise<Response>,
): HttpListener {
  const server = Deno.serve(
    { hostname: host, port, onListen: () => {} },
    (request, { remoteAddr }) => handler(request, remoteAddr.hostname),
  );
  return {
    address: { host, port: server.addr.port },
    async close(deadlineMs) {
      // Deno ends a server gracefully or at once, and fails in the process's face when asked for one after the other. So a
      // request that still hangs at the deadline is left behind, and ends with its client or with the process.
      let timer: ReturnType<typeof setTimeout> | undefined;
      const patience = new Promise<void>((resolve) => timer = setTimeout(resolve, deadlineMs));
      await Promise.race([server.shutdown(), patience]);
      clearTimeout(timer);
    },
  };
}

/** The environment as it is now. */
export function environment(): Record<string, string> {
  return Deno.env.toObject();
}

/** What stands on the command line behind the program's name. */
export function commandLine(): readonly string[] {
  return Deno.args;
}

/** The process that we are. */
export function processId(): number {
  return Deno.pid;
}

/** Ends the process at once. */
export function exit(code: number): never {
  Deno.exit(code);
}

/** Runs `handler` at each SIGTERM and SIGINT, in place of the runtime's own answer. */
export function onEndSignal(handler: (signal: EndSignal) => void): void {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    // Windows has only one of them.
    if (signal === "SIGTERM" && Deno.build.os === "windows") continue;
    Deno.addSignalListener(signal, () => handler(signal));
  }
}

/**
 * Locks a file, making it if it is not there; undefined when another process holds it. The lock is the system's: what
 * stands in the file has no part in it, and a process that was killed holds none.
 *
 * @throws {Error} When the file can neither be made nor opened, with the system's `code`.
 */
export function tryLockFile(path: string): FileLock | undefined {
  const file = openToLock(path);
  try {
    if (file.tryLockSync(true)) return { release: () => file.close() };
  } catch (error) {
    file.close();
    throw error;
  }
  file.close();
  return undefined;
}

function openToLock(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
  } catch (error) {
    // A disk that has become read-only still knows who has a file.
    try {
      return Deno.openSync(path, { read: true });
    } catch {
      throw error;
    }
  }
}

/** The addresses of this machine's interfaces; none when we may not know them. */
export function ownAddresses(): readonly string[] {
  try {
    return Deno.networkInterfaces().map(({ address }) => address);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return [];
    throw error;
  }
}

/** Writes a line to standard output. */
export function printLine(line: string): void {
  write(Deno.stdout, `${line}\n`);
}

/** Writes a line to standard error. */
export function logLine(line: string): void {
  write(Deno.stderr, `${line}\n`);
}

/** Writes to standard output. */
export function writeOut(content: string | Uint8Array): void {
  write(Deno.stdout, content);
}

/** Writes to standard error. */
export function writeError(content: string): void {
  write(Deno.stderr, content);
}

/** All of it, at once. A reader that has gone away is no reason to stop serving. */
function write(stream: { writeSync(bytes: Uint8Array): number }, content: string | Uint8Array): void {
  try {
    let bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
