/** Why items were refused, rejected or dropped: a closed set, because each one is a label of a metric. */
export type Reason =
  | "queue_full"
  | "journal_full"
  | "memory_full"
  | "circuit_open"
  | "export_failed"
  | "too_large"
  | "invalid"
  | "expired"
  | "sampled"
  | "no_destination"
  | "unsupported"
  | "corrupt"
  | "encode_error"
  | "deadline"
  | "shutdown"
  | "quarantine_full"
  | "partial_success"
  | `http_${number}`
  | `grpc_${number}`;

/** Item counts by reason. An absent reason is 0. */
export type CountByReason = { [Key in Reason]?: number };

/** Adds `itemCount` to one reason of a tally, in place. */
export function tally(counts: CountByReason, reason: Reason, itemCount: number): void {
  counts[reason] = (counts[reason] ?? 0) + itemCount;
}

/** The items of a tally, all reasons together. */
export function total(counts: CountByReason): number {
  let sum = 0;
  for (const itemCount of Object.values(counts)) sum += itemCount ?? 0;
  return sum;
}
