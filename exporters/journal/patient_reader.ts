import type { Clock } from "../../core/clock.ts";
import type { RecordHead, StreamPoint } from "./format.ts";
import type { Body, Found, StreamReader } from "./reader.ts";

/** What a {@linkcode PatientReader} reads with, and whom it tells. */
export interface PatientReaderOptions {
  readonly reader: StreamReader;
  /** How long a disk that does not answer is left alone. */
  readonly retryMs: number;
  readonly clock: Clock;
  /** Told when the disk cannot be read, and with undefined when it can again. */
  readonly onDisk: (error: unknown) => void;
}

/** How often a place is read in vain before it is taken for damaged, if others can be read. */
export const READ_ATTEMPTS_MAX = 3;

/**
 * Reads for one part of a cursor. A disk that does not answer is left alone for a while, and then asked again; the other
 * part has a reader of its own, so that a place that cannot be read holds up only what is behind it.
 */
export class PatientReader {
  readonly #options: PatientReaderOptions;
  #heldUntilMs = -Infinity;
  #failureCount = 0;

  constructor(options: PatientReaderOptions) {
    this.#options = options;
  }

  /** How long nothing is read, in milliseconds. */
  get heldMs(): number {
    return this.#failureCount === 0 ? 0 : Math.max(0, this.#heldUntilMs - this.#options.clock.nowMs());
  }

  /** What stands at a point; undefined while the disk does not answer. */
  find(at: StreamPoint): Exclude<Found, { kind: "unreadable" }> | undefined {
    if (this.heldMs > 0) return undefined;
    const found = this.#options.reader.find(at, this.#insists);
    if (found.kind === "unreadable") return this.#hold(found.error);
    if (found.kind === "record") this.#answered();
    return found;
  }

  /** The body of a record; undefined while the disk does not answer. */
  body(head: RecordHead): Exclude<Body, { kind: "unreadable" }> | undefined {
    if (this.heldMs > 0) return undefined;
    const body = this.#options.reader.body(head, this.#insists);
    if (body.kind === "unreadable") return this.#hold(body.error);
    if (body.kind === "body") this.#answered();
    return body;
  }

  get #insists(): boolean {
    return this.#failureCount >= READ_ATTEMPTS_MAX;
  }

  #hold(error: unknown): undefined {
    const { clock, retryMs, onDisk } = this.#options;
    this.#failureCount++;
    this.#heldUntilMs = clock.nowMs() + retryMs;
    onDisk(error);
  }

  /** Something was read: whoever had to insist does not have to any more. */
  #answered(): void {
    if (this.#failureCount > 0) this.#options.onDisk(undefined);
    this.#failureCount = 0;
  }
}
