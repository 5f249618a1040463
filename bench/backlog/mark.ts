/** Behind this, in an attribute of a live request's resource, stands when it was sent: Unix milliseconds. */
export const MARK = "bench-sent-at:";

/** So many, until the year 2286. */
export const MARK_DIGITS = 13;

/** What the sink has had. */
export interface SinkReport {
  readonly bytes: number;
  /** When the first body came, in Unix milliseconds. */
  readonly firstAtMs: number;
  /** Of each live request: when it was sent, and how old it was when it came, in milliseconds. */
  readonly live: [sentAtMs: number, ageMs: number][];
}
