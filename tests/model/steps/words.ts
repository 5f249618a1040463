/** The words of core/assembly/layout.ts that threads share, as whole numbers of any length: one `bigint` is one u64. */

/** What can be done to a shared word in one step: places in KINDS. */
export const KINDS = ["load", "store", "cmpxchg", "add", "sub", "xchg", "or", "and"] as const;
export const LOAD = 0;
export const STORE = 1;
export const CMPXCHG = 2;
export const ADD = 3;
export const SUB = 4;

// Where they stand, from a breaker's base.
export const WORD = 0;
export const DEADLINE = 128;
export const LEASE = 136;
export const FLOOR = 144;
export const ATTEMPTS = 256;
export const MODES = 1024;
export const LAST = 1152;
export const HEAD = 1408;
export const COUNT_BAD = 1416;
export const PAGES = 1536;
export const SLOTS = 4096;
export const SLOT_BYTES = 1024;
export const HOLDS = 100;
export const TICKETS = 256;
/** No word of the breaker: the tests keep the time behind it, so that reading it is a step like any other. */
export const CLOCK = 0x1f_0000;
/** A memory that holds both. */
export const MEMORY_PAGES = 32;

export const CLOSED = 0n;
export const HALF_OPEN = 1n;
export const OPEN = 2n;

export const BY_ATTEMPT = 0n;
export const BY_COOLDOWN = 1n;
export const BY_THROTTLE = 2n;

export const DISABLED = 1n;
export const METRICS_ONLY = 2n;
export const FORCED_OPEN = 3n;
export const FORCED_CLOSED = 4n;

// Fields of W.
export const STATE_MASK = 0x3n;
export const MODE_SHIFT = 2n;
export const MODE_MASK = 0x7n << MODE_SHIFT;
export const IN_FLIGHT_ONE = 1n << 5n;
export const IN_FLIGHT_MASK = 0x3fn << 5n;
export const OK_ONE = 1n << 11n;
export const OK_MASK = 0x3fn << 11n;
export const FAILURES_ONE = 1n << 17n;
export const FAILURES_MAX = 0xfffn;
export const FAILURES_MASK = FAILURES_MAX << 17n;
export const GENERATION_SHIFT = 29n;
export const GENERATION_FAR = 1n << (GENERATION_SHIFT + 19n);
export const GENERATION_MAX = 0xfffffn;
export const GENERATION_MASK = GENERATION_MAX << GENERATION_SHIFT;
export const WAY_SHIFT = 49n;
export const WAY_MASK = 0x3n << WAY_SHIFT;
export const LEVEL_SHIFT = 51n;
export const LEVEL_MAX = 0x3fn;
export const LEVEL_MASK = LEVEL_MAX << LEVEL_SHIFT;
export const OPENING_SHIFT = 57n;
export const OPENING_MAX = 0x7fn;
export const OPENING_MASK = OPENING_MAX << OPENING_SHIFT;

export const stateOf = (w: bigint) => w & STATE_MASK;
export const modeOf = (w: bigint) => (w & MODE_MASK) >> MODE_SHIFT;
export const inFlightOf = (w: bigint) => (w & IN_FLIGHT_MASK) / IN_FLIGHT_ONE;
export const okOf = (w: bigint) => (w & OK_MASK) / OK_ONE;
export const failuresOf = (w: bigint) => (w & FAILURES_MASK) / FAILURES_ONE;
export const generationOf = (w: bigint) => (w & GENERATION_MASK) >> GENERATION_SHIFT;
export const wayOf = (w: bigint) => (w & WAY_MASK) >> WAY_SHIFT;
export const levelOf = (w: bigint) => (w & LEVEL_MASK) >> LEVEL_SHIFT;
export const openingOf = (w: bigint) => w >> OPENING_SHIFT;

// A word of deadlines.
const MS_MASK = (1n << 44n) - 1n;
export const ownerOf = (d: bigint) => d >> 44n;
export const msOf = (d: bigint) => d & MS_MASK;
export const deadlineWord = (owner: bigint, ms: bigint) => (owner << 44n) | (ms & MS_MASK);

// A permit.
export const PERMIT_EXPONENT = 0x433n;
export const TICKET_MAX = 0xffffffn;
export const TICKETS_REMEMBERED = 1024n;

const double = new Float64Array(1);
const bits = new BigUint64Array(double.buffer);

/** The bits of a double, and back. */
export function bitsOf(value: number): bigint {
  double[0] = value;
  return bits[0]!;
}
export function doubleOf(value: bigint): number {
  bits[0] = value;
  return double[0]!;
}

export const isPermit = (permit: bigint) => permit >> 52n === PERMIT_EXPONENT;
export const permitGenerationOf = (permit: bigint) => (permit >> 32n) & GENERATION_MAX;
export const attachmentOf = (permit: bigint) => Number((permit >> 24n) & 0xffn);
export const ticketOf = (permit: bigint) => permit & TICKET_MAX;

export const slotOf = (attachment: number) => SLOTS + attachment * SLOT_BYTES;

/** The words that two workers share, with the time. Tests give out few permits, so that one word of tickets each will do. */
export const MACHINE_WORDS = [WORD, DEADLINE, LEASE, FLOOR, ATTEMPTS, CLOCK, slotOf(0) + TICKETS, slotOf(1) + TICKETS];
export const WINDOW_WORDS = [HEAD, COUNT_BAD, PAGES, PAGES + 8];
export const MODE_WORDS = [MODES, slotOf(0) + HOLDS, slotOf(1) + HOLDS];
/** What is told of the last changes of state. No thread does anything else because of it. */
export const LAST_WORDS = [LAST, LAST + 32, LAST + 64, LAST + 96];
export const SHARED: readonly number[] = [...MACHINE_WORDS, ...WINDOW_WORDS, ...MODE_WORDS, ...LAST_WORDS];

/** A word of a memory. Those that do not stand on a multiple of 8 are of 32 bits. */
export function readWord(memory: DataView, address: number): bigint {
  return address % 8 === 0 ? memory.getBigUint64(address, true) : BigInt(memory.getUint32(address, true));
}
export function writeWord(memory: DataView, address: number, value: bigint): void {
  if (address % 8 === 0) memory.setBigUint64(address, value, true);
  else memory.setUint32(address, Number(value), true);
}

/** True when `a` comes after `b` in a count that wraps at `mask`. */
export function isLater(a: bigint, b: bigint, mask: bigint): boolean {
  const ahead = (a - b) & mask;
  return ahead !== 0n && ahead <= mask >> 1n;
}

/** A word as a reader wants to see it. */
export function shown(address: number, word: bigint): string {
  if (address === CLOCK) return `${word} ms`;
  if (address === WORD) {
    const fields = {
      mode: modeOf,
      "in flight": inFlightOf,
      ok: okOf,
      failures: failuresOf,
      way: wayOf,
      level: levelOf,
    };
    const values = Object.entries(fields).map(([name, of]) => `${name} ${of(word)}`).join(", ");
    const state = ["closed", "half-open", "open"][Number(stateOf(word))];
    return `${state} generation ${generationOf(word)} (${values}, opening ${openingOf(word)})`;
  }
  if (address === MODES) return `${word >> 8n} holds, mode ${word & 0xffn} set`;
  if (address < PAGES) return `${ownerOf(word)} | ${msOf(word)}`;
  return `${word >> 32n} | ${(word & 0xffffffffn).toString(2)}`;
}

const NAMES = new Map([
  [WORD, "W"],
  [DEADLINE, "DEADLINE"],
  [LEASE, "LEASE"],
  [FLOOR, "FLOOR"],
  [ATTEMPTS, "ATTEMPTS"],
  [CLOCK, "time"],
  [MODES, "MODES"],
  [HEAD, "HEAD"],
  [COUNT_BAD, "COUNT_BAD"],
]);

/** What stands at an address. */
export function nameOf(address: number): string {
  const name = NAMES.get(address);
  if (name !== undefined) return name;
  if (address < HEAD) return `LAST ${(address - LAST) / 32}`;
  if (address < SLOTS) return `PAGES ${(address - PAGES) / 8}`;
  const [attachment, offset] = [Math.floor((address - SLOTS) / SLOT_BYTES), (address - SLOTS) % SLOT_BYTES];
  return `${offset === HOLDS ? "HOLDS" : "TICKETS"} of ${attachment}`;
}
