/** What windows do, as tables: a circuit that opens when too great a share of the last calls failed. */

import { type Line, spec } from "./breaker_spec.ts";

/** Leaves it to the windows to open, and to the cooldown to try again. */
const BY_WINDOW = { failureThreshold: 4095, probeEveryNth: 0, cooldownMs: 1000 };

const SECOND = { ...BY_WINDOW, timeWindowMs: 1000 };

// deno-fmt-ignore
spec("a count window opens at exactly minimumCalls calls, and not before", { ...BY_WINDOW, countWindowSize: 10, minimumCalls: 6 }, [
  // at ms  does           then                        why
  [   0,    "fail x 5",    "applied closed"],
  [   0,    "fail",        "applied open retry:1000",  "6 of the last 6 calls failed"],
]);

// deno-fmt-ignore
spec("a count window asks for 10 calls unless it is told otherwise", { ...BY_WINDOW, countWindowSize: 20 }, [
  [   0,    "fail x 9",    "closed"],
  [   0,    "fail",        "open",                     "10 of the last 10 calls failed"],
]);

// deno-fmt-ignore
spec("a count window of fewer than 10 calls asks to be full", { ...BY_WINDOW, countWindowSize: 4 }, [
  [   0,    "fail x 3",    "closed"],
  [   0,    "fail",        "open",                     "4 of the last 4 calls failed"],
]);

// deno-fmt-ignore
spec("a failure ratio alone is one of the last 100 calls, and exactly the ratio opens", { ...BY_WINDOW, failureRatio: 0.07 }, [
  [   0,    "ok x 93",     "closed"],
  [   0,    "fail x 6",    "closed"],
  [   0,    "fail",        "open",                     "7 of the last 100 calls failed"],
]);

// deno-fmt-ignore
spec("half of the calls is too much unless it is told otherwise, and less is not", { ...BY_WINDOW, minimumCalls: 100 }, [
  [   0,    "ok x 51",     "closed"],
  [   0,    "fail x 49",   "closed"],
  [   0,    "fail",        "open",                     "50 of the last 100 calls failed"],
]);

// deno-fmt-ignore
spec("a ratio of 1 opens when all calls failed, and one success among them keeps it closed",
  { ...BY_WINDOW, countWindowSize: 30, minimumCalls: 30, failureRatio: 1 }, [
  [   0,    "ok",          "closed"],
  [   0,    "fail x 29",   "closed"],
  [   0,    "fail",        "open",                     "30 of the last 30 calls failed"],
]);

// deno-fmt-ignore
spec("the least ratio opens at one failure among as many successes as a window holds",
  { ...BY_WINDOW, countWindowSize: 1024, minimumCalls: 1, failureRatio: 0.001 }, [
  [   0,    "ok x 999",    "closed"],
  [   0,    "fail",        "open",                     "1 of the last 1000 calls failed"],
]);

// deno-fmt-ignore
spec("a count window forgets its oldest call for each new one", { ...BY_WINDOW, countWindowSize: 4, failureRatio: 0.75 }, [
  [   0,    "fail x 2",    "closed"],
  [   0,    "ok x 3",      "closed"],
  [   0,    "fail x 2",    "closed"],
  [   0,    "fail",        "open",                     "3 of the last 4 calls failed"],
]);

// deno-fmt-ignore
spec("a count window of one call is that call", { ...BY_WINDOW, countWindowSize: 1 }, [
  [   0,    "ok x 9",      "closed"],
  [   0,    "fail",        "open",                     "1 of the last 1 calls failed"],
]);

// deno-fmt-ignore
spec("the largest count window holds 1024 calls, and goes round", { ...BY_WINDOW, countWindowSize: 1024, minimumCalls: 1024 }, [
  [   0,    "fail x 1000", "closed"],
  [   0,    "ok x 24",     "applied"],
  [   0,    "wait",        "open",                     "1000 of the last 1024 calls failed"],
  [1000,    "ok",          "closed"],
  [1000,    "ok x 2000",   "closed"],
  [1000,    "fail x 511",  "closed"],
  [1000,    "fail",        "open",                     "512 of the last 1024 calls failed"],
]);

// deno-fmt-ignore
spec("a success opens too when it is the call that was missing", { ...BY_WINDOW, countWindowSize: 10, minimumCalls: 4 }, [
  [   0,    "fail x 2",    "closed"],
  [   0,    "ok",          "closed"],
  [   0,    "ok",          "applied open",             "2 of the last 4 calls failed"],
]);

// deno-fmt-ignore
spec("refused, ignored and second results are not among the calls of a window", { ...BY_WINDOW, countWindowSize: 20, minimumCalls: 4 }, [
  [   0,    "ask a",       "passed"],
  [   0,    "a ok",        "applied"],
  [   0,    "a ok x 9",    "duplicate"],
  [   0,    "a fail x 9",  "duplicate"],
  [   0,    "ignore x 20", "applied"],
  [   0,    "fail x 2",    "closed"],
  [   0,    "fail",        "open",                     "3 of the last 4 calls failed"],
  [   0,    "ok x 117",    "refused"],
  [1000,    "ok",          "closed"],
  [1000,    "fail x 3",    "closed"],
  [1000,    "fail",        "open",                     "4 of the last 4 calls failed"],
]);

// deno-fmt-ignore
spec("a call that hangs is not among the calls of a window, nor is its result when that is late",
  { ...BY_WINDOW, countWindowSize: 20, minimumCalls: 4 }, [
  [   0,    "ask",         "passed"],
  [   0,    "ask",         "passed"],
  [   0,    "ask late",    "passed"],
  [   0,    "ask later",   "passed"],
  [   0,    "ask last",    "passed"],
  [   0,    "fail x 3",    "closed"],
  [   0,    "fail",        "open",                     "4 of the last 4 calls failed"],
  [1000,    "ok",          "closed"],
  [1001,    "fail x 2",    "closed"],
  [1001,    "late fail",   "stale closed"],
  [1001,    "later ok",    "stale closed"],
  [1001,    "last fail",   "stale closed"],
  [1001,    "fail",        "closed"],
  [1001,    "fail",        "open",                     "4 of the last 4 calls failed"],
]);

// deno-fmt-ignore
spec("a circuit that recovered starts with an empty window, without its probes",
  { ...BY_WINDOW, countWindowSize: 4, successThreshold: 3 }, [
  [   0,    "fail x 3",    "closed"],
  [   0,    "fail",        "open"],
  [1000,    "ok x 2",      "half_open"],
  [1000,    "ok",          "closed"],
  [1001,    "fail x 3",    "closed"],
  [1001,    "ok",          "open",                     "3 of the last 4 calls failed"],
]);

// deno-fmt-ignore
spec("failures in a row open beside a window, and are asked first",
  { ...BY_WINDOW, failureThreshold: 3, countWindowSize: 6, minimumCalls: 3 }, [
  [   0,    "fail x 2",    "closed"],
  [   0,    "fail",        "open",                     "3 consecutive failures"],
  [1000,    "ok",          "closed"],
  [1000,    "ok x 3",      "closed"],
  [1000,    "fail x 2",    "closed"],
  [1000,    "fail",        "open",                     "3 consecutive failures"],
  [2000,    "ok",          "closed"],
  [2000,    "fail",        "closed"],
  [2000,    "ok",          "closed"],
  [2000,    "fail",        "open",                     "2 of the last 3 calls failed"],
]);

// deno-fmt-ignore
spec("a circuit that a window opened waits as any other", { ...BY_WINDOW, countWindowSize: 2, cooldownMaxMs: 3000 }, [
  [   0,    "fail",        "closed"],
  [   0,    "fail",        "open retry:1000"],
  [ 999,    "ask",         "refused"],
  [1000,    "fail",        "open retry:2000",          "probe failed"],
  [3000,    "fail",        "open retry:3000"],
  [6000,    "ok",          "closed"],
  [6000,    "ok",          "closed"],
  [6000,    "fail",        "open retry:1000",          "1 of the last 2 calls failed"],
]);

// deno-fmt-ignore
spec("a pause that the backend asks for opens at once and is no call of a window", { ...BY_WINDOW, countWindowSize: 2 }, [
  [   0,    "fail",        "closed"],
  [   0,    "throttle 50", "applied open throttled retry:50", "throttled for 50 ms"],
  [  50,    "ok",          "closed"],
  [  50,    "fail",        "closed"],
  [  50,    "fail",        "open",                     "2 of the last 2 calls failed"],
]);

// deno-fmt-ignore
spec("a time window opens at exactly minimumCalls calls, of which it wants 10 unless it is told otherwise",
  { ...BY_WINDOW, timeWindowMs: 60_000 }, [
  [     0,  "ok x 4",      "closed"],
  [30_000,  "fail x 5",    "closed"],
  [59_999,  "fail",        "open",                     "6 of 10 calls failed within 60000 ms"],
]);

// deno-fmt-ignore
spec("a time window sees the tenth that runs and the nine before it", { ...SECOND, minimumCalls: 2 }, [
  [   0,    "fail",        "closed"],
  [1000,    "fail",        "closed"],
  [1999,    "fail",        "open",                     "2 of 2 calls failed within 1000 ms"],
]);

// deno-fmt-ignore
spec("a call leaves a time window together with its tenth", { ...SECOND, minimumCalls: 3 }, [
  [  99,    "fail",        "closed"],
  [ 100,    "fail",        "closed"],
  [1000,    "fail",        "closed"],
  [1099,    "fail",        "open",                     "3 of 3 calls failed within 1000 ms"],
]);

// deno-fmt-ignore
spec("the tenths of a time window need not be whole milliseconds", { ...BY_WINDOW, timeWindowMs: 15, minimumCalls: 3 }, [
  [   1,    "fail",        "closed"],
  [   2,    "fail",        "closed"],
  [  15,    "fail",        "closed"],
  [  16,    "fail",        "open",                     "3 of 3 calls failed within 15 ms"],
]);

// deno-fmt-ignore
for (const idleMs of [1000, 1999, 10_000, 60_000, 86_400_000, 2 ** 32 / 10, 2 ** 31, 2 ** 32, 50 * 86_400_000]) {
  spec(`a time window forgets what was ${idleMs} ms ago`, { ...SECOND, minimumCalls: 2 }, [
    [          0, "fail",   "closed"],
    [     idleMs, "fail",   "closed"],
    [idleMs +  1, "fail",   "open",                    "2 of 2 calls failed within 1000 ms"],
  ]);
}

// deno-fmt-ignore
for (const idleMs of [10, 2 ** 31, 2 ** 32, 50 * 86_400_000]) {
  spec(`the smallest time window forgets what was ${idleMs} ms ago`, { ...BY_WINDOW, timeWindowMs: 10, minimumCalls: 2 }, [
    [          0, "fail",   "closed"],
    [     idleMs, "fail",   "closed"],
    [idleMs +  9, "fail",   "open",                    "2 of 2 calls failed within 10 ms"],
  ]);
}

// deno-fmt-ignore
spec("the largest time window is a day", { ...BY_WINDOW, timeWindowMs: 86_400_000, minimumCalls: 3 }, [
  [         0, "fail",     "closed"],
  [86_399_999, "fail",     "closed"],
  [86_400_000, "fail",     "closed"],
  [86_400_001, "fail",     "open",                     "3 of 3 calls failed within 86400000 ms"],
]);

// deno-fmt-ignore
spec("a success opens when the successes before it are forgotten", { ...SECOND, minimumCalls: 2 }, [
  [   0,    "ok x 3",      "closed"],
  [ 500,    "fail",        "closed"],
  [1000,    "ok",          "applied open",             "1 of 2 calls failed within 1000 ms"],
]);

// deno-fmt-ignore
spec("refused, ignored, late and second results are not among the calls of a time window", { ...SECOND, minimumCalls: 4, cooldownMs: 100 }, [
  [   0,    "ask late",    "passed"],
  [   0,    "ask a",       "passed"],
  [   0,    "a ok",        "applied"],
  [   0,    "a ok x 9",    "duplicate"],
  [   0,    "ignore x 20", "applied"],
  [   0,    "fail x 2",    "closed"],
  [   0,    "fail",        "open",                     "3 of 4 calls failed within 1000 ms"],
  [   0,    "ok x 117",    "refused"],
  [ 100,    "ok",          "closed"],
  [ 100,    "late fail",   "stale"],
  [ 100,    "fail x 3",    "closed"],
  [ 100,    "fail",        "open",                     "4 of 4 calls failed within 1000 ms"],
]);

// deno-fmt-ignore
spec("both windows at once: calls that time forgot open by their count", { ...SECOND, countWindowSize: 4 }, [
  [   0,    "fail",        "closed"],
  [2000,    "fail",        "closed"],
  [4000,    "fail",        "closed"],
  [6000,    "fail",        "open",                     "4 of the last 4 calls failed"],
]);

// deno-fmt-ignore
spec("both windows at once: calls that the count forgot open by their time", { ...SECOND, countWindowSize: 4, failureRatio: 0.3 }, [
  [   0,    "fail",        "closed"],
  [   0,    "ok x 3",      "closed"],
  [   0,    "fail",        "open",                     "2 of 5 calls failed within 1000 ms"],
]);

// deno-fmt-ignore
spec("both windows at once: the count is asked first", { ...SECOND, countWindowSize: 4 }, [
  [   0,    "fail x 3",    "closed"],
  [   0,    "fail",        "open",                     "4 of the last 4 calls failed"],
]);

// deno-fmt-ignore
spec("a count window that is made larger finds the calls that it had forgotten", { ...BY_WINDOW, countWindowSize: 4, failureRatio: 0.3 }, [
  [   0,    "fail",                          "closed"],
  [   0,    "ok x 4",                        "closed"],
  [   0,    "reconfigure countWindowSize 6", "closed"],
  [   0,    "fail",                          "open",                  "2 of the last 6 calls failed"],
]);

// deno-fmt-ignore
spec("a count window that is made smaller sees its last calls", { ...BY_WINDOW, countWindowSize: 8 }, [
  [   0,    "fail x 4",                      "closed"],
  [   0,    "ok x 3",                        "closed"],
  [   0,    "reconfigure countWindowSize 4", "closed"],
  [   0,    "fail",                          "closed"],
  [   0,    "fail",                          "open",                  "2 of the last 4 calls failed"],
]);

// deno-fmt-ignore
spec("a count window that was off begins empty", { ...BY_WINDOW, countWindowSize: 4 }, [
  [   0,    "fail x 3",                            "closed"],
  [   0,    "reconfigure countWindowSize default", "closed"],
  [   0,    "fail x 99",                           "closed"],
  [   0,    "reconfigure countWindowSize 4",       "closed"],
  [   0,    "fail x 3",                            "closed"],
  [   0,    "fail",                                "open",            "4 of the last 4 calls failed"],
]);

// deno-fmt-ignore
spec("a time window that is made longer or shorter begins anew with the calls that it has", { ...SECOND, minimumCalls: 6 }, [
  [   0,    "fail",                          "closed"],
  [ 900,    "fail x 3",                      "closed"],
  [1000,    "reconfigure timeWindowMs 5000", "closed"],
  [5999,    "fail",                          "closed"],
  [6000,    "reconfigure timeWindowMs 100",  "closed"],
  [6099,    "fail x 4",                      "closed"],
  [6099,    "fail",                          "open",                  "6 of 6 calls failed within 100 ms"],
]);

// deno-fmt-ignore
spec("a time window that was off begins empty", { ...SECOND, minimumCalls: 2 }, [
  [   0,    "fail",                                                 "closed"],
  [   0,    "reconfigure timeWindowMs default minimumCalls default", "closed"],
  [   0,    "fail x 99",                                            "closed"],
  [   0,    "reconfigure timeWindowMs 1000 minimumCalls 2",         "closed"],
  [   0,    "fail",                                                 "closed"],
  [   0,    "fail",                                                 "open", "2 of 2 calls failed within 1000 ms"],
]);

for (const probes of [1, 64, 100, 127, 128, 200]) {
  spec(`a time window counts after an outage of ${probes} probes`, {
    ...SECOND,
    minimumCalls: 4,
    cooldownMs: 1,
    cooldownMaxMs: 1,
  }, [
    // Calls in all of the time that a window remembers, and then the outage.
    ...Array.from({ length: 20 }, (_, tenth): Line => [100 * tenth, "ok x 5", "closed"]),
    [2_000, "fail x 44", "applied closed"],
    [2_000, "fail", "applied open"],
    ...Array.from({ length: probes - 1 }, (_, probe): Line => [2_001 + probe, "fail", "applied open"]),
    [3_000, "ok", "applied closed"],
    [3_000, "fail x 3", "applied closed"],
    [3_000, "fail", "applied open", "4 of 4 calls failed within 1000 ms"],
  ]);
}
