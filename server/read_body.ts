import type { IncomingMessage } from "node:http";
import type { Reservation } from "./ingest_budget.ts";
import type { ReadDeadlines } from "./read_deadlines.ts";

/** How a body is read. */
export interface ReadBodyOptions {
  readonly bodyBytesMax: number;
  /** Holds the memory that the body takes, also after it was read. */
  readonly reservation: Reservation;
  readonly deadlines: ReadDeadlines;
}

/** A body, or why there is none. After `aborted` there is nobody left to tell. */
export type BodyRead =
  | { readonly status: "complete"; readonly body: Uint8Array }
  | { readonly status: "too_large" | "memory_full" | "late" | "aborted" };

/**
 * A body whose size was announced gets all its room at once up to this size. Whoever announces more must send it first.
 */
const ROOM_AT_ONCE_BYTES_MAX = 1_048_576;

/** The first room of a body whose size was not announced. */
const ROOM_FIRST_BYTES = 65_536;

const NOTHING = new Uint8Array(0);

/**
 * Reads a request's body, in memory that is reserved before it is used, until the deadline. One that comes in one piece
 * is used as it is; others are put together as they come, so that nothing but the bytes themselves is held. Never
 * rejects.
 */
export function readBody(request: IncomingMessage, options: ReadBodyOptions): Promise<BodyRead> {
  return new Promise((resolve) => new BodyReader(request, options, resolve));
}

class BodyReader {
  readonly #request: IncomingMessage;
  readonly #options: ReadBodyOptions;
  readonly #resolve: (read: BodyRead) => void;
  readonly #announcedBytes: number | undefined;
  #room: Uint8Array = NOTHING;
  #length = 0;

  constructor(request: IncomingMessage, options: ReadBodyOptions, resolve: (read: BodyRead) => void) {
    this.#request = request;
    this.#options = options;
    this.#resolve = resolve;
    this.#announcedBytes = announcedBytes(request);
    options.deadlines.begin(this);
    request.on("data", this.#onData).on("end", this.#onEnd).on("close", this.#onClose);
  }

  expire(): void {
    this.#settle({ status: "late" });
  }

  readonly #onData = (chunk: Uint8Array) => {
    const length = this.#length + chunk.length;
    if (length > this.#options.bodyBytesMax) return this.#settle({ status: "too_large" });
    if (this.#length === 0 && length === this.#announcedBytes) {
      if (!this.#options.reservation.grow(length)) return this.#settle({ status: "memory_full" });
      this.#room = new Uint8Array(chunk.buffer, chunk.byteOffset, length);
    } else {
      if (length > this.#room.length && !this.#makeRoom(length)) return this.#settle({ status: "memory_full" });
      this.#room.set(chunk, this.#length);
    }
    this.#length = length;
  };

  readonly #onEnd = () => {
    // What is left over is too little to copy for, or goes with the body when it is decoded.
    const body = this.#length === this.#room.length ? this.#room : this.#room.subarray(0, this.#length);
    this.#settle({ status: "complete", body });
  };

  readonly #onClose = () => this.#settle({ status: "aborted" });

  /** Doubles the room, up to what was announced. While the bytes move, both rooms are reserved. */
  #makeRoom(length: number): boolean {
    const { reservation, bodyBytesMax } = this.#options;
    const wanted = this.#room.length > 0
      ? 2 * this.#room.length
      : Math.min(this.#announcedBytes ?? ROOM_FIRST_BYTES, ROOM_AT_ONCE_BYTES_MAX);
    const capacity = Math.min(Math.max(wanted, length), this.#announcedBytes ?? bodyBytesMax);
    if (!reservation.grow(capacity)) return false;
    const room = new Uint8Array(capacity);
    room.set(this.#room.subarray(0, this.#length));
    this.#room = room;
    reservation.shrinkTo(capacity);
    return true;
  }

  #settle(read: BodyRead): void {
    this.#options.deadlines.end(this);
    this.#request.off("data", this.#onData).off("end", this.#onEnd).off("close", this.#onClose);
    this.#room = NOTHING;
    this.#resolve(read);
  }
}

/** What `Content-Length` says; undefined when the body comes in chunks. */
export function announcedBytes(request: IncomingMessage): number | undefined {
  const text = request.headers["content-length"];
  return text === undefined ? undefined : Number(text);
}
