/** Why an exchange broke off, as far as a runtime says. */
export interface NetworkFailure {
  /** The innermost cause in a runtime's own words, in one line and without addresses. */
  readonly cause: string;
  /** True when no byte of the request can have arrived. */
  readonly neverSent: boolean;
}

/** Causes inside causes are followed this deep: a chain can be a ring. */
const CAUSE_DEPTH_MAX = 8;
const CAUSE_LENGTH_MAX = 200;

/** What Node (through undici) and Bun call trouble that comes before the request. */
const NEVER_SENT_CODES =
  /^(ECONNREFUSED|ENOTFOUND|EAI_\w+|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|UND_ERR_CONNECT_TIMEOUT|ConnectionRefused|FailedToOpenSocket|ERR_(TLS|SSL)_\w+|CERT_\w+|\w+_CERT(_\w+)?|UNABLE_TO_\w+)$/;

/**
 * What Deno says of it: refused, unresolved and untrusted are all inside its connector. Then what `fetch` itself
 * forbids.
 */
const NEVER_SENT_TEXT = /client error \(Connect\)|port \d+ (are|is) blocked|bad port/;

/** Reads the error of a failed `fetch` on Deno, Node or Bun. Takes anything, also what is not an error. */
export function networkFailure(error: unknown): NetworkFailure {
  let innermost = "";
  let neverSent = false;
  let at: unknown = error;
  for (let depth = 0; depth < CAUSE_DEPTH_MAX && at !== undefined && at !== null; depth++) {
    const { message, code } = detailsOf(at);
    if (NEVER_SENT_CODES.test(code) || NEVER_SENT_TEXT.test(message)) neverSent = true;
    innermost = message || code || innermost;
    at = nextCause(at);
  }
  return { cause: withoutAddresses(innermost) || "unknown cause", neverSent };
}

function detailsOf(error: unknown): { readonly message: string; readonly code: string } {
  if (typeof error !== "object" || error === null) return { message: String(error), code: "" };
  const { message, code } = error as { readonly message?: unknown; readonly code?: unknown };
  return { message: typeof message === "string" ? message : "", code: typeof code === "string" ? code : "" };
}

function nextCause(error: unknown): unknown {
  if (typeof error !== "object" || error === null) return undefined;
  const { cause, errors } = error as { readonly cause?: unknown; readonly errors?: unknown };
  // Node tries several addresses of a name and reports them side by side.
  return cause ?? (Array.isArray(errors) ? errors[0] : undefined);
}

/** Deno's message repeats the whole URL, and a URL may hold a token. */
function withoutAddresses(text: string): string {
  return text
    .replace(/^error sending request .*?(?=client error)/, "")
    .replace(/\s+/g, " ")
    .replace(/\bhttps?:\/\/\S+/gi, "(address)")
    .slice(0, CAUSE_LENGTH_MAX);
}
