import { TRACE_ID_BYTES } from "./ids.ts";

/** Where the randomness of a trace id begins: its last 56 bits, by W3C Trace Context Level 2. */
const RANDOM_BYTES_START = TRACE_ID_BYTES - 7;
const TWO_TO_28 = 268_435_456;

/**
 * Whether a trace belongs to the `ratio` (0 to 1) of traces that is kept: OpenTelemetry's consistent probability
 * sampling.
 *
 * With R the last 56 bits of the trace id, a trace is kept when R >= (1 - ratio) x 2^56. So everyone who asks gets the
 * same answer, and what is kept at one ratio is kept at every greater one.
 *
 * @param traceId 16 bytes.
 */
export function keepsTrace(traceId: Uint8Array, ratio: number): boolean {
  // 56 bits are more than a number holds, so both sides are compared in halves of 28. And 1 - ratio would lose digits
  // of a small ratio, so it is asked whether 2^56 - 1 - R, which is R with its bits inverted, is below the whole part
  // of ratio x 2^56.
  const [a, b, c, d, e, f, g] = traceId.subarray(RANDOM_BYTES_START);
  const invertedHigh = TWO_TO_28 - 1 - (a << 20 | b << 12 | c << 4 | d >>> 4);
  const invertedLow = TWO_TO_28 - 1 - ((d & 0x0f) << 24 | e << 16 | f << 8 | g);
  const bound = ratio * TWO_TO_28;
  const boundHigh = Math.floor(bound);
  if (invertedHigh !== boundHigh) return invertedHigh < boundHigh;
  return invertedLow < Math.floor((bound - boundHigh) * TWO_TO_28);
}
