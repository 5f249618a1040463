import { type Limit, withinLimits } from "../core/limits.ts";

/** How much memory requests may take between their first byte and the journal. */
export interface IngestBudgetOptions {
  /**
   * Bytes in flight: of bodies as they came, and of what they are while they are inflated and decoded. From 1 to 2^40.
   *
   * @default {268_435_456}
   */
  readonly bytesMax?: number;
}

const LIMITS = {
  bytesMax: { default: 268_435_456, min: 1, max: 2 ** 40, integer: true },
} satisfies Record<keyof IngestBudgetOptions, Limit>;

/**
 * The memory that all requests in flight share. It is asked before memory is used, and told when it is free again; what
 * is given out is never more than the whole, and what comes back never more than was given out.
 */
export class IngestBudget {
  readonly bytesMax: number;
  #reservedBytes = 0;

  /**
   * @throws {RangeError} When the limit is outside its range.
   * @throws {TypeError} When it is not a number.
   */
  constructor(options: IngestBudgetOptions = {}) {
    this.bytesMax = withinLimits("create ingest budget", options, LIMITS).bytesMax;
  }

  get reservedBytes(): number {
    return this.#reservedBytes;
  }

  get freeBytes(): number {
    return this.bytesMax - this.#reservedBytes;
  }

  /**
   * Takes bytes out of the budget, or none when there are not that many.
   *
   * @throws {RangeError} When it is no number of bytes.
   */
  reserve(bytes: number): boolean {
    mustBeBytes("reserve", bytes, Infinity);
    if (bytes > this.freeBytes) return false;
    this.#reservedBytes += bytes;
    return true;
  }

  /** Gives bytes back. @throws {RangeError} When they are more than what is reserved. */
  release(bytes: number): void {
    mustBeBytes("release", bytes, this.#reservedBytes);
    this.#reservedBytes -= bytes;
  }
}

/**
 * One request's part of the budget. However the request ends, {@linkcode Reservation.close} gives back exactly what it
 * had.
 */
export class Reservation {
  readonly #budget: IngestBudget;
  #bytes = 0;

  constructor(budget: IngestBudget) {
    this.#budget = budget;
  }

  /** Bytes that this request holds. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes more; false, and nothing taken, when the budget has no room. */
  grow(bytes: number): boolean {
    if (!this.#budget.reserve(bytes)) return false;
    this.#bytes += bytes;
    return true;
  }

  /** Gives back what is above `bytes`. */
  shrinkTo(bytes: number): void {
    if (bytes >= this.#bytes) return;
    this.#budget.release(this.#bytes - bytes);
    this.#bytes = bytes;
  }

  /** Gives everything back. May be called again. */
  close(): void {
    this.shrinkTo(0);
  }
}

function mustBeBytes(action: string, bytes: number, max: number): void {
  if (Number.isSafeInteger(bytes) && bytes >= 0 && bytes <= max) return;
  const range = max === Infinity ? "an integer from 0" : `an integer from 0 to ${max}`;
  throw new RangeError(`Cannot ${action} ingest memory: "bytes" must be ${range}, received ${bytes}`);
}
