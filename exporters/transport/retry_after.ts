/** The three forms of an HTTP date (RFC 9110, 5.6.7). `Date.parse` alone would take "1.5" for a day in 2001. */
const HTTP_DATES = [
  /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
];

/** A year: beyond it a backend is mistaken, and the number must stay an exact integer. */
const RETRY_AFTER_MS_MAX = 365 * 86_400_000;

/**
 * Reads a `Retry-After` header: whole seconds or an HTTP date.
 *
 * @param wallMs The wall-clock time in Unix milliseconds, for dates.
 * @returns Milliseconds from now, 0 for a moment that has passed; undefined when the header is absent or cannot be read.
 * Whoever waits applies a minimum of his own: "now is fine" is no invitation to hammer.
 */
export function parseRetryAfter(value: string | null | undefined, wallMs: number): number | undefined {
  const text = value?.trim() ?? "";
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1_000, RETRY_AFTER_MS_MAX);
  const form = HTTP_DATES.findIndex((date) => date.test(text));
  if (form < 0) return undefined;
  // The oldest form, asctime's, means GMT without saying so.
  const atMs = Date.parse(form === 2 ? `${text} GMT` : text);
  if (Number.isNaN(atMs)) return undefined;
  return Math.min(Math.max(0, atMs - wallMs), RETRY_AFTER_MS_MAX);
}
