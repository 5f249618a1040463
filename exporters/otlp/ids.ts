/** The lengths of a trace id and of a span id. */
export const TRACE_ID_BYTES = 16;
export const SPAN_ID_BYTES = 8;

/** Whether the `length` bytes at `at` are an id: of the length wanted, and not all zero. */
export function isId(bytes: Uint8Array, at: number, length: number, lengthWanted: number): boolean {
  if (length !== lengthWanted) return false;
  for (let pos = at; pos < at + length; pos++) {
    if (bytes[pos] !== 0) return true;
  }
  return false;
}

const NO_TRACE_ID = "0".repeat(2 * TRACE_ID_BYTES);
const NO_SPAN_ID = "0".repeat(2 * SPAN_ID_BYTES);

/** Whether hexadecimal digits are the trace or the span id that stands for none. */
export function isNoId(digits: string): boolean {
  return digits === NO_TRACE_ID || digits === NO_SPAN_ID;
}
