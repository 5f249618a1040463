/** How windows and slow calls are broken on purpose. */

import type { Mutant } from "./mutant.ts";

const BREAKER = "core/assembly/breaker.ts";
const WINDOW = "core/assembly/window.ts";
const SETTINGS = "core/assembly/settings.ts";

/** In the order of the table. */
export const WINDOW_MUTANTS: readonly Mutant[] = [
  {
    name: "the window counts ignored calls",
    breaks: "calls that say nothing about the backend make its failures rarer",
    file: BREAKER,
    from: "if (!hasEntered && outcome <= FAILURE) enter(",
    to: "if (!hasEntered && outcome <= IGNORED) enter(",
  },
  {
    name: "a success never opens",
    breaks: "the call that completes minimumCalls opens nothing when it succeeds",
    file: BREAKER,
    from: "if (outcome <= FAILURE && mayOpen) {",
    to: "if (outcome == FAILURE && mayOpen) {",
  },
  {
    name: "the ratio itself is not enough",
    breaks: "exactly failureRatio does not open, and with a ratio of 1 nothing does",
    file: WINDOW,
    from: "<f64>failed / <f64>calls >= load<f64>(base, FAILURE_RATIO)",
    to: "<f64>failed / <f64>calls > load<f64>(base, FAILURE_RATIO)",
  },
  {
    name: "the slow ratio itself is not enough",
    breaks: "exactly slowCallRatio does not open",
    file: WINDOW,
    from: "<f64>slow / <f64>calls >= load<f64>(base, SLOW_CALL_RATIO)",
    to: "<f64>slow / <f64>calls > load<f64>(base, SLOW_CALL_RATIO)",
  },
  {
    name: "one call is enough",
    breaks: "minimumCalls is ignored",
    file: WINDOW,
    from: "if (<f64>calls < load<f64>(base, MINIMUM_CALLS)) return 0;",
    to: "if (calls == 0) return 0;",
  },
  {
    name: "minimumCalls asks for one more",
    breaks: "the window decides one call late",
    file: WINDOW,
    from: "if (<f64>calls < load<f64>(base, MINIMUM_CALLS)) return 0;",
    to: "if (<f64>calls <= load<f64>(base, MINIMUM_CALLS)) return 0;",
  },
  {
    name: "the count window is one call too long",
    breaks: "a call that has left the window counts",
    file: WINDOW,
    from: "const taken = min<u64>(count, size - calls);",
    to: "const taken = min<u64>(count, size - calls + 1);",
  },
  {
    name: "the count window is a page too short",
    breaks: "a failure on the oldest page of the window is overlooked",
    file: WINDOW,
    from: "if (msOf(bad) + size < msOf(head) * PAGE_CALLS) return 0;",
    to: "if (msOf(bad) + size < (msOf(head) + 1) * PAGE_CALLS) return 0;",
  },
  {
    name: "the count window takes the wrong end of a page",
    breaks: "of the oldest page the oldest calls count instead of the newest",
    file: WINDOW,
    from: "const mask = ((<u64>1 << taken) - 1) << (count - taken);",
    to: "const mask = (<u64>1 << taken) - 1;",
  },
  {
    name: "the time window is a tenth too long",
    breaks: "a call counts for longer than timeWindowMs",
    file: WINDOW,
    from: "age < TENTHS; age++) {",
    to: "age <= TENTHS; age++) {",
  },
  {
    name: "a tenth of the time window never expires",
    breaks: "calls of an earlier lap over the ring count as new",
    file: WINDOW,
    from: "return seen >> KEY_SHIFT == key ? seen",
    to: "return seen >> KEY_SHIFT >> KEY_GENERATION_SHIFT == key >> KEY_GENERATION_SHIFT ? seen",
  },
  {
    name: "the time window outlives a recovery",
    breaks: "a circuit that closed again opens for what failed before",
    file: WINDOW,
    from: "return seen >> KEY_SHIFT == key ? seen",
    to: "return (seen >> KEY_SHIFT & LAP_MAX) == (key & LAP_MAX) ? seen",
  },
  {
    name: "two calls enter one place of the count window",
    breaks: "calls that threads bring back at once are lost",
    file: WINDOW,
    from: "atomic.cmpxchg<u64>(address, page, (page + COUNT_ONE) | (bitsOf(call) << calls)) == page;",
    to: "atomic.xchg<u64>(address, (page + COUNT_ONE) | (bitsOf(call) << calls)) >= 0;",
    races: true,
  },
  {
    name: "two calls enter the time window as one",
    breaks: "calls that threads bring back at once are lost",
    file: WINDOW,
    from: "atomic.cmpxchg<u64>(address + CALLS, seen, seen + 1) == seen;",
    to: "atomic.xchg<u64>(address + CALLS, seen + 1) >= 0;",
    races: true,
  },
  {
    name: "a call is slow a millisecond late",
    breaks: "a call that took exactly slowCallMs is not slow",
    file: BREAKER,
    from: "<u64>tookMs >= slowMs",
    to: "<u64>tookMs > slowMs",
  },
  {
    name: "a slow probe is a good one",
    breaks: "a backend that answers too late is taken for well",
    file: BREAKER,
    from: "(outcome == SUCCESS && isSlow)) {",
    to: "false) {",
  },
  {
    name: "a window that is turned on knows earlier calls",
    breaks: "reconfigure opens a circuit for calls from before",
    file: SETTINGS,
    from: "if ((begun & COUNT_WINDOW) != 0) forgetCountWindow(base);",
    to: "",
  },
];
