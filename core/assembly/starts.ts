// When calls began, where calls are timed: the last ones of each attachment, by their tickets. How long one took, and so whether it
// was slow, follows from that. Only an attachment's own thread notes, and any may record.

import { ATTACHMENTS_MAX, HIGHEST, STARTS, STARTS_SHIFT, TICKETS_REMEMBERED } from "./layout";

/** Notes when the call of a ticket began. */
// @ts-ignore: decorator
@inline export function start(base: usize, attachment: u32, ticket: u64, nowMs: u64): void {
  store<u32>(startOf(base, attachment, ticket), <u32>nowMs + 1); // 0 says that it is not known
}

/** How long the call of a ticket took, in milliseconds below 2^32; 0 when its beginning is not known. */
export function latencyMs(base: usize, attachment: u32, ticket: u64, nowMs: u64): u32 {
  const began = load<u32>(startOf(base, attachment, ticket));
  return began == 0 ? 0 : <u32>nowMs + 1 - began;
}

/** Forgets when calls began: how long those take that are out now is not known. */
export function forgetStarts(base: usize): void {
  const bytes = <usize>min<u32>(load<u32>(base, HIGHEST), ATTACHMENTS_MAX) << STARTS_SHIFT;
  memory.fill(base + STARTS, 0, bytes);
}

// @ts-ignore: decorator
@inline function startOf(base: usize, attachment: u32, ticket: u64): usize {
  return base + STARTS + (<usize>attachment << STARTS_SHIFT) + (<usize>(ticket & (TICKETS_REMEMBERED - 1)) << 2);
}
