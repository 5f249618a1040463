// Where everything stands in memory. Offsets are bytes from a breaker's base, which is a multiple of 128: two words that
// different threads write never share a 128-byte line (a processor fetches lines of 64 in pairs, and a shared line costs
// four times as much).
//
//      0  WORD         u64  W: everything that decides, below
//    128  DEADLINE     u64  D: generation:20 | ms:44   when an open circuit may probe by cooldown
//    136  LEASE        u64  generation:20 | ms:44      when a half-open episode that has not reported is void
//    144  FLOOR        u64  opening:20 | ms:44         until when no probe passes, because the backend asked for a pause
//    256  ATTEMPTS     u64  opening:20 | count:44      calls that asked while this opening was not closed
//    384  MAGIC, ABI, RULES, TAPE_SIZE    u32 x 4
//    400  settings     f64 x 18, in the order of SETTINGS in breaker_options.ts
//    640  CLAIMED      u32 x 8   one bit for each attachment in use
//    672  HIGHEST      u32       how many attachments were ever in use: what there is to add up
//    676  OWNERS       u32       how many handles were lent, each with a number of its own
//    768  NAME         u32 bytes, then up to 128 of them in UTF-8
//    904  ORIGIN       f64       when shared time began, on the monotonic clock of the thread that made the breaker
//    912  IDENTITY     u32       tells the breaker from others, for a thread may be given its memory twice
//   1024  MODES        u32       holds:24 | mode that was set:8
//   1152  LAST         4 x { u64 generation:20 | ms:44, f64 what, f64 detail, f64 detail }   the last changes of state
//   1280  OPENED_AT    f64       ms at which it last opened from closed
//   1408  HEAD         u64  generation:20 | page:44    the page of the count window that is being filled
//   1416  COUNT_BAD    u64  generation:20 | call:44    the last call there that failed or was slow
//   1424  TIME_BAD     u64  generation:20 | ms:44      the same for the time window
//   1432  TAPE_NEXT    u64       entries that ever went onto the tape
//   1536  PAGES        u64 x 128       the count window, see window.ts
//   2560  BUCKETS      { u64 x 4 } x 16   the time window, see window.ts
//   4096  SLOT[256]         one for each attachment:
//            0  ISSUED      u64       permits given out, of which the low 24 bits are the next ticket
//            8  counters    u64 x 11  written by the attachment's own thread alone, read by all
//           96  OWNER       u32       the lent handle that it was attached by; 0 for none; all ones once it was reclaimed
//          100  HOLDS       u32       how often it holds the circuit open
//          104  SEEN        u64 count, f64 ms   successes when last seen, and when that was
//          128  TOLD        i32       transitions of the last call, and below what they were
//          144  told        2 x { f64 what, f64 detail, f64 detail }
//          256  TICKETS     u64 x 64  tag:32 | recorded:32   tickets that came back, 32 to a word
// 266240  STARTS[256]       u32 x 1024   for each attachment: when its last calls began, see starts.ts
//         TAPE              { u64, u64 } x TAPE_SIZE, see tape.ts
//
// W, from the low bits up:
//
//   state:2 | mode:3 | probesInFlight:6 | probesOk:6 | failures:12 | generation:20 | way:2 | level:6 | opening:7
//
//   mode      the one in force, of MODES; while it shuts the circuit, the state is open and probesOk says what it was
//   failures  consecutive ones; while not closed they go on being counted, and decide nothing
//   way       half-open: how the episode was entered. open: where its deadline comes from, so that whoever finds D behind
//             W can work out what the thread that died in between would have written
//   level     how often a probe by cooldown has failed since the opening: the exponent of the backoff
//   opening   counts the openings from closed: gives ATTEMPTS and FLOOR their beginning without a reset that can be lost

/** Raised when memory made by an older module would be misread. */
export const ABI_VERSION: i32 = 2;

export const MAGIC_VALUE: u32 = 0x62776b31; // "bwk1"

// @ts-ignore: decorator
@inline export const WORD: usize = 0;
// @ts-ignore: decorator
@inline export const DEADLINE: usize = 128;
// @ts-ignore: decorator
@inline export const LEASE: usize = 136;
// @ts-ignore: decorator
@inline export const FLOOR: usize = 144;
// @ts-ignore: decorator
@inline export const ATTEMPTS: usize = 256;

// @ts-ignore: decorator
@inline export const MAGIC: usize = 384;
// @ts-ignore: decorator
@inline export const ABI: usize = 388;
// @ts-ignore: decorator
@inline export const RULES: usize = 392;
// @ts-ignore: decorator
@inline export const TAPE_SIZE: usize = 396;

// Settings. What is off is 0.
// @ts-ignore: decorator
@inline export const SETTINGS: usize = 400;
export const SETTINGS_COUNT: u32 = 18;
// @ts-ignore: decorator
@inline export const FAILURE_THRESHOLD: usize = 400;
// @ts-ignore: decorator
@inline export const SUCCESS_THRESHOLD: usize = 408;
// @ts-ignore: decorator
@inline export const PROBE_EVERY_NTH: usize = 416;
// @ts-ignore: decorator
@inline export const COOLDOWN_MS: usize = 424;
// @ts-ignore: decorator
@inline export const COOLDOWN_BACKOFF: usize = 432;
// @ts-ignore: decorator
@inline export const COOLDOWN_MAX_MS: usize = 440;
// @ts-ignore: decorator
@inline export const COOLDOWN_JITTER: usize = 448;
// @ts-ignore: decorator
@inline export const PROBE_CONCURRENCY: usize = 456;
// @ts-ignore: decorator
@inline export const PROBE_LEASE_MS: usize = 464;
// @ts-ignore: decorator
@inline export const EXPORT_TIMEOUT_MS: usize = 472;
// @ts-ignore: decorator
@inline export const THROTTLE_MAX_MS: usize = 480;
// @ts-ignore: decorator
@inline export const MINIMUM_CALLS: usize = 488;
// @ts-ignore: decorator
@inline export const COUNT_WINDOW_SIZE: usize = 496;
// @ts-ignore: decorator
@inline export const TIME_WINDOW_MS: usize = 504;
// @ts-ignore: decorator
@inline export const FAILURE_RATIO: usize = 512;
// @ts-ignore: decorator
@inline export const SLOW_CALL_MS: usize = 520;
// @ts-ignore: decorator
@inline export const SLOW_CALL_RATIO: usize = 528;
// @ts-ignore: decorator
@inline export const SEED: usize = 536;

// Rules: which parts of the machine the settings turn on, so that a call looks at one word to know that none is.
export const COUNT_WINDOW: u32 = 1;
export const TIME_WINDOW: u32 = 2;
export const SLOW_CALLS: u32 = 4;
export const TAPE: u32 = 8;
export const WINDOWS: u32 = COUNT_WINDOW | TIME_WINDOW;
export const TIMED: u32 = SLOW_CALLS | TAPE; // each call's beginning is noted

// Attachments.
export const ATTACHMENTS_MAX: u32 = 256;
// @ts-ignore: decorator
@inline export const CLAIMED: usize = 640;
// @ts-ignore: decorator
@inline export const HIGHEST: usize = 672;
// @ts-ignore: decorator
@inline export const OWNERS: usize = 676;
// The loader reads and writes these.
export const NAME: usize = 768;
export const ORIGIN: usize = 904;
export const IDENTITY: usize = 912;
export const NAME_BYTES_MAX: u32 = 128;

// Modes and history.
// @ts-ignore: decorator
@inline export const MODES: usize = 1024;
// @ts-ignore: decorator
@inline export const LAST: usize = 1152;
// @ts-ignore: decorator
@inline export const OPENED_AT: usize = 1280;

// Windows and tape.
// @ts-ignore: decorator
@inline export const HEAD: usize = 1408;
// @ts-ignore: decorator
@inline export const COUNT_BAD: usize = 1416;
// @ts-ignore: decorator
@inline export const TIME_BAD: usize = 1424;
// @ts-ignore: decorator
@inline export const TAPE_NEXT: usize = 1432;
// @ts-ignore: decorator
@inline export const PAGES: usize = 1536;
// @ts-ignore: decorator
@inline export const BUCKETS: usize = 2560;

// @ts-ignore: decorator
@inline export const SLOTS: usize = 4096;
// @ts-ignore: decorator
@inline export const SLOT_SHIFT: usize = 10;
// @ts-ignore: decorator
@inline export const STARTS: usize = SLOTS + (<usize>ATTACHMENTS_MAX << SLOT_SHIFT);
// @ts-ignore: decorator
@inline export const STARTS_SHIFT: usize = 12;
/** A breaker without its tape, whose entries of 16 bytes come behind it. */
export const BREAKER_BYTES: usize = STARTS + (<usize>ATTACHMENTS_MAX << STARTS_SHIFT);

/** An entry of the tape. */
export const TAPE_ENTRY_BYTES: usize = 16;

/** A setting that is a whole number. */
// @ts-ignore: decorator
@inline export function settingOf(base: usize, setting: usize): u64 { return whole(load<f64>(base + setting)); }

/** A whole number as the machine counts it. By way of i64, for which processors have an instruction. */
// @ts-ignore: decorator
@inline export function whole(value: f64): u64 { return <u64><i64>value; }

// In a slot.
// @ts-ignore: decorator
@inline export const ISSUED: usize = 0;
// @ts-ignore: decorator
@inline export const OWNER: usize = 96;
// @ts-ignore: decorator
@inline export const HOLDS: usize = 100;
// @ts-ignore: decorator
@inline export const SEEN_COUNT: usize = 104;
// @ts-ignore: decorator
@inline export const SEEN_MS: usize = 112;
// @ts-ignore: decorator
@inline export const TOLD: usize = 128;
// @ts-ignore: decorator
@inline export const TOLD_FIRST: usize = 144;
// @ts-ignore: decorator
@inline export const TICKETS: usize = 256;

/** Counters of a slot, by number: `counter(base, n)` adds one up over all attachments. 0 is ISSUED. */
export const REFUSED_COUNT: usize = 1;
export const SUCCESS_COUNT: usize = 2;
export const FAILURE_COUNT: usize = 3;
export const IGNORED_COUNT: usize = 4;
export const THROTTLED_COUNT: usize = 5;
export const STALE_COUNT: usize = 6;
export const DUPLICATE_COUNT: usize = 7;
export const LEASE_EXPIRED_COUNT: usize = 8;
export const OPENED_COUNT: usize = 9;
export const HALF_OPENED_COUNT: usize = 10;
export const CLOSED_COUNT: usize = 11;

// States, as gauges show them.
export const CLOSED: u64 = 0;
export const HALF_OPEN: u64 = 1;
export const OPEN: u64 = 2;

// Modes.
export const AUTO: u64 = 0;
export const DISABLED: u64 = 1; // shut
export const METRICS_ONLY: u64 = 2; // the machine goes on as in AUTO, and every call passes
export const FORCED_OPEN: u64 = 3; // shut
export const FORCED_CLOSED: u64 = 4;

// Ways.
export const BY_ATTEMPT: u64 = 0; // open: the deadline is the one of the generation before
export const BY_COOLDOWN: u64 = 1; // open: a new deadline, one cooldown away
export const BY_THROTTLE: u64 = 2; // open: the deadline is the floor

// Fields of W.
export const STATE_MASK: u64 = 0x3;
export const MODE_SHIFT: u64 = 2;
export const MODE_MASK: u64 = 0x7 << MODE_SHIFT;
export const IN_FLIGHT_SHIFT: u64 = 5;
export const IN_FLIGHT_ONE: u64 = 1 << IN_FLIGHT_SHIFT;
export const IN_FLIGHT_MASK: u64 = 0x3f << IN_FLIGHT_SHIFT;
export const OK_SHIFT: u64 = 11;
export const OK_ONE: u64 = 1 << OK_SHIFT;
export const OK_MASK: u64 = 0x3f << OK_SHIFT;
export const FAILURES_SHIFT: u64 = 17;
export const FAILURES_ONE: u64 = 1 << FAILURES_SHIFT;
export const FAILURES_MAX: u64 = 0xfff;
export const FAILURES_MASK: u64 = FAILURES_MAX << FAILURES_SHIFT;
export const GENERATION_SHIFT: u64 = 29;
export const GENERATION_FAR: u64 = 1 << (GENERATION_SHIFT + 19); // as far from any generation as one can be
export const GENERATION_MAX: u64 = 0xfffff;
export const GENERATION_MASK: u64 = GENERATION_MAX << GENERATION_SHIFT;
export const WAY_SHIFT: u64 = 49;
export const WAY_MASK: u64 = 0x3 << WAY_SHIFT;
export const LEVEL_SHIFT: u64 = 51;
export const LEVEL_MAX: u64 = 0x3f;
export const LEVEL_MASK: u64 = LEVEL_MAX << LEVEL_SHIFT;
export const OPENING_SHIFT: u64 = 57;
export const OPENING_MAX: u64 = 0x7f;
export const OPENING_MASK: u64 = OPENING_MAX << OPENING_SHIFT;

// @ts-ignore: decorator
@inline export function stateOf(w: u64): u64 { return w & STATE_MASK; }
// @ts-ignore: decorator
@inline export function modeOf(w: u64): u64 { return (w & MODE_MASK) >> MODE_SHIFT; }
// @ts-ignore: decorator
@inline export function inFlightOf(w: u64): u64 { return (w & IN_FLIGHT_MASK) >> IN_FLIGHT_SHIFT; }
// @ts-ignore: decorator
@inline export function okOf(w: u64): u64 { return (w & OK_MASK) >> OK_SHIFT; }
// @ts-ignore: decorator
@inline export function failuresOf(w: u64): u64 { return (w & FAILURES_MASK) >> FAILURES_SHIFT; }
// @ts-ignore: decorator
@inline export function generationOf(w: u64): u64 { return (w & GENERATION_MASK) >> GENERATION_SHIFT; }
// @ts-ignore: decorator
@inline export function wayOf(w: u64): u64 { return (w & WAY_MASK) >> WAY_SHIFT; }
// @ts-ignore: decorator
@inline export function levelOf(w: u64): u64 { return (w & LEVEL_MASK) >> LEVEL_SHIFT; }
// @ts-ignore: decorator
@inline export function openingOf(w: u64): u64 { return w >> OPENING_SHIFT; }

// A word of deadlines: what it belongs to (a generation or an opening) above, milliseconds of shared time below.
export const OWNER_SHIFT: u64 = 44;
export const MS_MASK: u64 = (1 << OWNER_SHIFT) - 1;
// @ts-ignore: decorator
@inline export function ownerOf(d: u64): u64 { return d >> OWNER_SHIFT; }
// @ts-ignore: decorator
@inline export function msOf(d: u64): u64 { return d & MS_MASK; }
// @ts-ignore: decorator
@inline export function deadlineWord(owner: u64, ms: u64): u64 { return (owner << OWNER_SHIFT) | (ms & MS_MASK); }

// A permit: 0x433 | generation:20 | attachment:8 | ticket:24, read as a double. Under that exponent a double counts in ones, so
// a permit is a whole number from 2^52 to 2^53, and neither making it nor taking it apart needs arithmetic.
export const PERMIT_EXPONENT: u64 = 0x433;
export const PERMIT_EXPONENT_SHIFT: u64 = 52;
export const PERMIT_GENERATION_SHIFT: u64 = 32;
export const ATTACHMENT_SHIFT: u64 = 24;
export const TICKET_MAX: u64 = 0xffffff;

// @ts-ignore: decorator
@inline export function isPermit(bits: u64): bool { return bits >> PERMIT_EXPONENT_SHIFT == PERMIT_EXPONENT; }

/**
 * How many of its last permits an attachment can tell a duplicate from. Half of what TICKETS holds: the half that is being written
 * over never holds one of them.
 */
export const TICKETS_REMEMBERED: u64 = 1024;
export const TICKET_WORDS_MASK: u64 = 63;

// @ts-ignore: decorator
@inline export function slotOf(base: usize, attachment: u32): usize { return base + SLOTS + (<usize>attachment << SLOT_SHIFT); }

/** Adds one to a counter of the calling thread's own attachment. Nobody else writes it, so this needs no atomic. */
// @ts-ignore: decorator
@inline export function count(slot: usize, counter: usize): void {
  store<u64>(slot + (counter << 3), load<u64>(slot + (counter << 3)) + 1);
}

/** Notes of an attachment when its last success was. */
// @ts-ignore: decorator
@inline export function saw(slot: usize, nowMs: f64): void {
  store<u64>(slot, load<u64>(slot + (SUCCESS_COUNT << 3)), SEEN_COUNT);
  store<f64>(slot, nowMs, SEEN_MS);
}
