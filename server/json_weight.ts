/**
 * The objects and arrays that one JSON body may hold. The parser spends some 110 bytes on each however little is in it, so
 * that 60 MB of `{},` would take 2 GB; 64 MiB of ordinary spans hold about 1.6 million.
 */
export const JSON_CONTAINERS_MAX = 2_000_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BRACE = 0x7b;
const BRACKET = 0x5b;

/** Whether a JSON text begins more objects and arrays than `containersMax`. Looks at bytes alone: nothing is parsed. */
export function isTooHeavy(json: Uint8Array, containersMax: number = JSON_CONTAINERS_MAX): boolean {
  // Each takes a byte to begin.
  if (json.length <= containersMax) return false;
  let count = 0;
  let inString = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (inString) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if ((byte === BRACE || byte === BRACKET) && ++count > containersMax) return true;
  }
  return false;
}
