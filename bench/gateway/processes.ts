/** The processes of the gateways' benches: each has one of its own, so that none shares another's thread or memory. */

import { mkdir, readFile } from "node:fs/promises";
import { type Child, startChild } from "../../demo/child.ts";

const SINK = new URL("sink.ts", import.meta.url);
const LOAD = new URL("load.ts", import.meta.url);
const BARE_GATEWAY = new URL("bare_gateway.ts", import.meta.url);
const BREAKWATER = new URL("../../server/main.ts", import.meta.url);

/** Requests in flight: enough to keep both cores busy, as many senders would. */
const CONCURRENCY = 8;

/** The queue takes whatever a bench sends while nothing is delivered. */
const QUEUE_BYTES_MAX = 8 * 2 ** 30;
const QUEUE_ITEMS_MAX = 100_000_000;

/** A process that listens. */
export interface Listening extends AsyncDisposable {
  readonly url: string;
  /** The most memory that it ever had, in MiB; undefined where the system does not say. */
  readonly peakMib: () => Promise<number | undefined>;
}

/** What a sender has seen. */
export interface Sent {
  readonly accepted: number;
  readonly refused: number;
  readonly elapsedMs: number;
}

/** A module that says in its first line where it listens. */
export async function startListening(module: URL, ...args: readonly string[]): Promise<Listening> {
  const child = startChild(module, args, {});
  return listening(child, await firstLine(child));
}

/** The far end. */
export function startSink(): Promise<Listening> {
  return startListening(SINK);
}

/** The least that a gateway can do: writes to `file`, and forwards if there is somebody to forward to. */
export function startBare(file: string, sinkUrl?: string): Promise<Listening> {
  return startListening(BARE_GATEWAY, file, ...(sinkUrl === undefined ? [] : [sinkUrl]));
}

/**
 * The server, with its journal in `folder`.
 *
 * @param settings More of them, in place of those that the benches share.
 */
export async function startBreakwater(
  folder: string,
  upstreamUrl: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<Listening> {
  await mkdir(folder, { mode: 0o700, recursive: true });
  const child = startChild(BREAKWATER, [], {
    OTEL_EXPORTER_OTLP_ENDPOINT: upstreamUrl,
    BREAKWATER_DATA_DIR: folder,
    BREAKWATER_QUEUE_BYTES_MAX: String(QUEUE_BYTES_MAX),
    BREAKWATER_QUEUE_ITEMS_MAX: String(QUEUE_ITEMS_MAX),
    BREAKWATER_OTLP_HTTP_LISTEN: "127.0.0.1:0",
    BREAKWATER_OTLP_GRPC_LISTEN: "off",
    BREAKWATER_ADMIN_LISTEN: "off",
    ...settings,
  });
  const ready = await firstLine(child);
  const url = /\botlp=(\S+)/.exec(ready)?.[1];
  if (url === undefined) throw new Error(`The server did not say that it is ready: ${ready}`);
  return listening(child, url);
}

/** Sends one request over and over, for so long. */
export async function send(url: string, requestPath: string, loadMs: number): Promise<Sent> {
  await using load = startChild(LOAD, [url, requestPath, String(CONCURRENCY), String(loadMs)], {});
  return JSON.parse(await firstLine(load)) as Sent;
}

function listening(child: Child, url: string): Listening {
  return {
    url,
    peakMib: async () => {
      const status = await readFile(`/proc/${child.pid}/status`, "utf8").catch(() => "");
      const kib = /^VmHWM:\s+(\d+) kB/m.exec(status)?.[1];
      return kib === undefined ? undefined : Number(kib) / 1024;
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

/** What a process says first. */
export async function firstLine({ stdout }: Child): Promise<string> {
  const { value } = await stdout[Symbol.asyncIterator]().next();
  if (typeof value !== "string") throw new Error("A process of the bench ended without a word");
  return value;
}
