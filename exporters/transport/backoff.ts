/** The shortest and the longest full wait between two attempts. */
export interface BackoffLimits {
  /** The wait before the first retry, in milliseconds, at its longest. */
  readonly initialMs: number;
  /** What doubling ends at, in milliseconds. */
  readonly maxMs: number;
}

/** Half of each wait is left to luck, so that senders that failed together do not return together. */
const JITTER_RATIO = 0.5;

/**
 * How long to wait before a retry: doubled each time, up to a maximum, and shortened by up to half at random.
 *
 * @param retryIndex 0 for the first retry.
 * @param luck A random number, 0 to 1.
 * @param floorMs What the backend asked for. The wait is never shorter, and never shorter than the back-off either.
 */
export function backoffMs(retryIndex: number, limits: BackoffLimits, luck: number, floorMs = 0): number {
  // 2 ** 1024 is Infinity, which the minimum turns into the maximum: no index is too large.
  const fullMs = Math.min(limits.maxMs, limits.initialMs * 2 ** retryIndex);
  return Math.max(floorMs, fullMs * (1 - JITTER_RATIO * luck));
}
