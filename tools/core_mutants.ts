/** How the core is broken on purpose. `deno task mutants` tries each, and a test has to notice. */

import { MODE_MUTANTS } from "./core_mode_mutants.ts";
import { WINDOW_MUTANTS } from "./core_window_mutants.ts";
import type { Mutant } from "./mutant.ts";

const BREAKER = "core/assembly/breaker.ts";
const DEADLINES = "core/assembly/deadlines.ts";
const TICKETS = "core/assembly/tickets.ts";
const TRANSITIONS = "core/assembly/transitions.ts";
const READINGS = "core/assembly/readings.ts";

const BREAKER_MUTANTS: readonly Mutant[] = [
  // Threads.
  {
    name: "swing without compare-and-swap",
    breaks: "two threads that change W at once both believe that they did",
    file: TRANSITIONS,
    from: "return atomic.cmpxchg<u64>(base, w, next, WORD);",
    to: "const was = atomic.load<u64>(base, WORD); if (was == w) atomic.store<u64>(base, next, WORD); return was;",
    races: true,
  },
  {
    name: "a lost race is applied to whatever came of it",
    breaks: "a result that loses the race for W is applied in a generation that is not its own",
    file: BREAKER,
    from: "if (generation != generationOf(w) || !isAwaited) return late(",
    to: "if (!isAwaited) return late(",
    races: true,
  },
  {
    name: "a ticket is marked by load and store",
    breaks: "two threads that bring back one permit at once are both the first",
    file: TICKETS,
    from: "const before = atomic.cmpxchg<u64>(word, seen, next);",
    to: "const before = seen; atomic.store<u64>(word, next);",
    races: true,
  },
  {
    name: "who finds a deadline behind takes the old one",
    breaks: "a thread that dies while it opens the circuit leaves it without a cooldown",
    file: BREAKER,
    from: "nowMs >= probeDeadline(base, w, nowMs);",
    to: "nowMs >= (atomic.load<u64>(base, 128) & ((1 << 44) - 1));",
  },
  {
    name: "who opens publishes no deadline",
    breaks: "the cooldown begins with the first question, not with the opening",
    file: TRANSITIONS,
    from: "if (stateOf(next) == OPEN) probeDeadline(base, next, nowMs);",
    to: "",
  },
  {
    name: "a deadline too far ahead stays",
    breaks: "a thread with a wrong clock keeps the circuit open for longer than any setting says",
    file: DEADLINES,
    from: "if (msOf(d) <= latestMs) return msOf(d);",
    to: "if (true) return msOf(d);",
  },

  // Generations and duplicates.
  {
    name: "record does not look at the generation",
    breaks: "a result from before the circuit opened counts after it",
    file: BREAKER,
    from: "const generation = bits >> PERMIT_GENERATION_SHIFT & GENERATION_MAX;\n  const w = atomic",
    to: "const generation = generationOf(atomic.load<u64>(base, WORD));\n  const w = atomic",
  },
  {
    name: "a duplicate is forgotten",
    breaks: "a call's second result counts",
    file: TICKETS,
    from: "if ((seen & bit) != 0) return AGAIN;",
    to: "",
  },
  {
    name: "a ticket of any age is known",
    breaks: "a permit older than the memory of tickets is taken for a new one, or for its successor",
    file: TICKETS,
    from: "if (age >= TICKETS_REMEMBERED) return UNKNOWN;",
    to: "",
  },
  {
    name: "a result counts in a half-open circuit without a probe",
    breaks: "a permit of another call takes a probe away that is not there",
    file: BREAKER,
    from: "(stateOf(w) == HALF_OPEN && inFlightOf(w) > 0);",
    to: "stateOf(w) == HALF_OPEN;",
  },
  {
    name: "an expired lease begins no generation",
    breaks: "a result that comes after its lease ends the episode of the probe that replaced it",
    file: BREAKER,
    from: "const opened = begin(w, OPEN, BY_ATTEMPT, levelOf(w));",
    to:
      "const opened = (begin(w, OPEN, BY_ATTEMPT, levelOf(w)) & ~GENERATION_MASK) | (w - (1 << GENERATION_SHIFT) & GENERATION_MASK);",
  },

  // Closed.
  {
    name: "opens one failure early",
    breaks: "two failures in a row open a circuit whose threshold is three",
    file: BREAKER,
    from: "if (outcome == FAILURE && failures >= settingOf(base, FAILURE_THRESHOLD)) {",
    to: "if (outcome == FAILURE && failures + 1 >= settingOf(base, FAILURE_THRESHOLD)) {",
  },
  {
    name: "a success forgets no failure",
    breaks: "failures need not be consecutive to open the circuit",
    file: BREAKER,
    from: "if (outcome == SUCCESS) next &= ~FAILURES_MASK;",
    to: "",
  },
  {
    name: "the usual success forgets no failure",
    breaks: "a success that takes the short way leaves the failures before it standing",
    file: BREAKER,
    from: "(STATE_MASK | FAILURES_MASK | GENERATION_MASK)) != closed",
    to: "(STATE_MASK | GENERATION_MASK)) != closed",
  },
  {
    name: "closes with its failures",
    breaks: "a circuit that is well again opens at its first failure",
    file: TRANSITIONS,
    from: "if (state == CLOSED) next &= ~FAILURES_MASK;",
    to: "",
  },
  {
    name: "refusals are not counted",
    breaks: "the counters say that every call was let through",
    file: BREAKER,
    from: "count(slot, REFUSED_COUNT);",
    to: "",
  },

  // Open.
  {
    name: "the attempts count anew after a failed probe",
    breaks: "attempt 10 is called attempt 0 again",
    file: TRANSITIONS,
    from: "if (stateOf(w) == CLOSED) opening =",
    to: "if (state == OPEN) opening =",
  },
  {
    name: "the attempt after the tenth may probe",
    breaks: "attempts 9 and 19 pass instead of 0, 10 and 20",
    file: BREAKER,
    from: "attempt % nth == 0",
    to: "(attempt + 1) % nth == 0",
  },
  {
    name: "the cooldown is never longer",
    breaks: "a backend that stays dead is asked as often after an hour as at first",
    file: BREAKER,
    from: "levelOf(w) < LEVEL_MAX ? levelOf(w) + 1 : levelOf(w)",
    to: "levelOf(w) < LEVEL_MAX ? levelOf(w) : levelOf(w)",
  },
  {
    name: "a probe by attempt lengthens the cooldown",
    breaks: "attempts that fail make the circuit wait longer for the probe by time",
    file: BREAKER,
    from: "const longer = wayOf(w) == BY_COOLDOWN &&",
    to: "const longer = ",
  },
  {
    name: "a probe by attempt starts the cooldown again",
    breaks: "a circuit that is asked often enough never probes by time",
    file: BREAKER,
    from: "begin(failed, OPEN, wayOf(w), longer)",
    to: "begin(failed, OPEN, BY_COOLDOWN, longer)",
  },
  {
    name: "the longest cooldown is not the longest",
    breaks: "jitter makes a cooldown longer than cooldownMaxMs",
    file: DEADLINES,
    from: "return whole(max<f64>(1, min<f64>(ms, longest)));",
    to: "return whole(max<f64>(1, ms));",
  },
  {
    name: "jitter ignores the seed",
    breaks: "all breakers of a fleet probe in the same millisecond",
    file: DEADLINES,
    from: "spread(<u32>load<f64>(base, SEED), <u32>generation)",
    to: "spread(0, <u32>generation)",
  },

  // Throttled.
  {
    name: "a probe by attempt ignores the pause",
    breaks: "a backend that asked to be left alone is called",
    file: BREAKER,
    from: "if (!(cooledDown || isDue || replaces) || nowMs < floorMs(base, w, nowMs)) break;",
    to: "if (!isDue && (!(cooledDown || replaces) || nowMs < floorMs(base, w, nowMs))) break;",
  },
  {
    name: "a pause has no longest",
    breaks: "a backend holds its senders' circuits open for as long as it likes",
    file: BREAKER,
    from: "ceil<f64>(min<f64>(throttledMs, load<f64>(base, THROTTLE_MAX_MS)))",
    to: "ceil<f64>(throttledMs)",
  },
  {
    name: "a pause asked for too late is ignored",
    breaks: "a call that outlived its generation cannot say that the backend wants a pause",
    file: BREAKER,
    from: "if (outcome == THROTTLED && stateOf(w) != CLOSED && wasLetThrough) {",
    to: "if (false) {",
  },
  {
    name: "a pause can be made shorter",
    breaks: "the last pause asked for counts, not the longest",
    file: DEADLINES,
    from: "if (ownerOf(d) == ownerOf(next) && msOf(d) >= msOf(next)) return;",
    to: "",
  },

  // Half-open.
  {
    name: "one probe too many",
    breaks: "probeConcurrency + 1 calls reach a backend that may be down",
    file: BREAKER,
    from: "if (inFlightOf(w) >= settingOf(base, PROBE_CONCURRENCY) ||",
    to: "if (inFlightOf(w) > settingOf(base, PROBE_CONCURRENCY) ||",
  },
  {
    name: "the lease ends a millisecond late",
    breaks: "a probe that is lost blocks the circuit for longer than probeLeaseMs",
    file: BREAKER,
    from: "nowMs >= leaseDeadline(base, w, nowMs)",
    to: "nowMs > leaseDeadline(base, w, nowMs)",
  },
  {
    name: "the lease is not renewed by a report",
    breaks: "a probe that was let through late is given up early, though another has just reported",
    file: BREAKER,
    from: "renewLease(base, w, nowMs); // the episode has reported",
    to: "",
  },
  {
    name: "an ignored probe keeps its place",
    breaks: "a call that was aborted blocks the circuit until its lease ends",
    file: BREAKER,
    from: "next = w - IN_FLIGHT_ONE;",
    to: "next = w - (outcome == SUCCESS ? IN_FLIGHT_ONE : 0);",
  },
  {
    name: "closes one success late",
    breaks: "a circuit whose success threshold is one needs two",
    file: BREAKER,
    from: "if (succeeded >= settingOf(base, SUCCESS_THRESHOLD)) {",
    to: "if (succeeded > settingOf(base, SUCCESS_THRESHOLD)) {",
  },
  {
    name: "the wait does not know of attempts",
    breaks: "retryAfterMs says to wait for the cooldown when the next attempt passes at once",
    file: READINGS,
    from: "(ownerOf(a) != openingOf(w) || msOf(a) % nth == 0)",
    to: "(ownerOf(a) != openingOf(w) || (msOf(a) + 1) % nth == 0)",
  },
];

/** All of them, in the order of the table. */
export const CORE_MUTANTS: readonly Mutant[] = [...BREAKER_MUTANTS, ...WINDOW_MUTANTS, ...MODE_MUTANTS];
