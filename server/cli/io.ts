import type { Disk } from "../../exporters/journal/disk.ts";
import type { FileLock } from "../platform.ts";

/** Everything that a command touches of the world. */
export interface CliIo {
  /** Writes to standard output. A reader that has gone away is not told, and nobody is told of it. */
  readonly write: (text: string | Uint8Array) => void;
  /** Writes to standard error. */
  readonly writeError: (text: string) => void;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly disk: Disk;
  /** Unix milliseconds. */
  readonly wallMs: () => number;
  readonly fetch: typeof globalThis.fetch;
  /** Locks a file; undefined while another process holds it. */
  readonly tryLock: (path: string) => FileLock | undefined;
  /** Shows how far something long has come. */
  readonly progress: (title: string, total: number, unit: ProgressUnit) => Progress;
}

/** What progress is counted in. */
export type ProgressUnit = "bytes" | "records";

/** How far something long has come. */
export interface Progress {
  reached(done: number): void;
  /** It is done, or has failed: the line is taken away. */
  end(): void;
}

/** What a shell is told. */
export const EXIT = {
  /** All is well. */
  ok: 0,
  /** Something is wrong, and was told. */
  wrong: 1,
  /** The command line makes no sense. */
  usage: 2,
  /** A server is using the folder. */
  refused: 3,
} as const;

/** One of {@linkcode EXIT}. */
export type ExitCode = typeof EXIT[keyof typeof EXIT];

/** Why a command cannot do what it was asked: one sentence that says what, where, and what to do. */
export class CliFailure extends Error {
  override readonly name = "CliFailure";
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = EXIT.wrong) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** What every command is told. */
export interface CommonOptions {
  /** The data folder, as it was given. */
  readonly data?: string;
  /** Whether the answer is for a program. */
  readonly json?: boolean;
}

/** No progress, for a program or where nobody looks. */
export const SILENT: Progress = { reached: () => {}, end: () => {} };

/** Writes a line, or several. */
export function print(io: CliIo, lines: string | readonly string[]): void {
  io.write(`${typeof lines === "string" ? lines : lines.join("\n")}\n`);
}

/** Writes a value for a program. */
export function printJson(io: CliIo, value: unknown): void {
  print(io, JSON.stringify(value, undefined, 2));
}
