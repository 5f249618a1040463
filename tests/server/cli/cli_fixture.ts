import { Quarantine } from "../../../exporters/journal/quarantine.ts";
import { type CliIo, type ProgressUnit, SILENT } from "../../../server/cli/io.ts";
import { runCli } from "../../../server/cli/program.ts";
import type { FakeDisk } from "../../fakes/disk.ts";
import { requestOf } from "../../fakes/otlp_bytes.ts";
import { type Backlog, makeBacklog } from "../../exporters/journal/backlog_fixture.ts";

/** Where the tests keep the data of a server. */
export const DATA = "/data";
export const JOURNAL = `${DATA}/journal/0`;
export const TRACES = `${JOURNAL}/traces`;

/** The time that commands see. */
export const NOW_MS = Date.UTC(2026, 4, 3, 12);

/** What a command has said, and how it ended. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Titles and units of what showed its progress. */
  readonly progress: readonly (readonly [string, number, ProgressUnit])[];
}

/** Runs a command line in this process, on a disk in memory. */
export async function run(disk: FakeDisk, line: string, parts: Partial<CliIo> = {}): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const progress: [string, number, ProgressUnit][] = [];
  const code = await runCli(line.split(" "), {
    write: (text) => out.push(typeof text === "string" ? text : new TextDecoder("latin1").decode(text)),
    writeError: (text) => err.push(text),
    environment: { BREAKWATER_DATA_DIR: DATA },
    disk,
    wallMs: () => NOW_MS,
    fetch: () => Promise.reject(new Error("no network here")),
    tryLock: () => ({ release: () => {} }),
    progress: (title, total, unit) => {
      progress.push([title, total, unit]);
      return SILENT;
    },
    ...parts,
  });
  return { code, out: out.join(""), err: err.join(""), progress };
}

/** Runs a command line that answers in JSON. */
// deno-lint-ignore no-explicit-any
export async function runJson(disk: FakeDisk, line: string, parts: Partial<CliIo> = {}): Promise<any> {
  const { out, code } = await run(disk, `${line} --json`, parts);
  return { code, ...JSON.parse(out) };
}

/** A data folder with a backlog of twelve records of traces. Its cursors are a, which has taken nothing, and b. */
export function makeData(takenByB = 5): Promise<Backlog> {
  return makeBacklog({ settledCounts: { a: 0, b: takenByB }, folder: JOURNAL });
}

/** Changes one bit of a file. */
export function flip(disk: FakeDisk, path: string, offset: number): void {
  const bytes = disk.content(path);
  disk.damage(path, bytes.with(offset, bytes[offset] ^ 1));
}

/** Puts a file there. */
export async function putFile(disk: FakeDisk, path: string, content: string | Uint8Array): Promise<void> {
  await disk.makeFolder(path.slice(0, path.lastIndexOf("/")));
  const file = await disk.create(path);
  await file.write(0, typeof content === "string" ? new TextEncoder().encode(content) : content);
}

/** Puts records into the quarantine of a folder; the n-th has n + 1 spans. @returns Their ids. */
export async function quarantined(disk: FakeDisk, count = 3): Promise<readonly string[]> {
  const quarantine = await Quarantine.open({ folder: `${DATA}/quarantine`, disk });
  for (let sequence = 0; sequence < count; sequence++) {
    await quarantine.put({
      signal: "traces",
      destination: "upstream",
      sequence,
      payload: requestOf("traces", sequence + 1),
      itemCount: sequence + 1,
      receivedAtMs: 1000,
      hops: sequence === 1 ? "gate" : "",
    }, { reason: "http_400", message: "bad\u001b[31m data\nhere" });
  }
  return quarantine.list().map(({ id }) => id);
}
