/** What the circuit breaker does, as tables. Each is run against the core and against the plain model. */

import { type Line, spec } from "./breaker_spec.ts";

/** As the predecessor's forwarder was set, and most tables here: the cooldown alone decides. */
const BY_TIME = { failureThreshold: 5, probeEveryNth: 0, cooldownMs: 30_000 };

// deno-fmt-ignore
spec("P1-02 2 failures, 1 success, 2 failures leave it closed; the third in a row opens it", { failureThreshold: 3 }, [
  // at ms  does        then
  [  0,     "fail x 2", "applied closed retry:0"],
  [  1,     "ok",       "applied closed"],
  [  2,     "fail x 2", "applied closed"],
  [  3,     "fail",     "applied open"],
]);

// deno-fmt-ignore
spec("P1-02 the three states: closed, open after three failures, half-open while a probe is under way", {}, [
  [  0,     "ok",       "applied closed"],
  [  0,     "fail x 2", "applied closed"],
  [  0,     "fail",     "applied open"],
  [  0,     "ask p",    "passed half_open"],
  [  0,     "ask",      "refused half_open"],
  [  0,     "p fail",   "applied open"],
  [  0,     "ask x 8",  "refused open"],
  [  0,     "ok",       "applied closed"],
]);

// deno-fmt-ignore
spec("P1-03 attempts 0, 10 and 20 reach the backend, the eighteen between do not", {}, [
  [  0,     "fail x 2", "closed"],
  [  0,     "fail",     "open"],
  [  1,     "fail",     "applied open"],
  [  2,     "fail x 9", "refused open"],
  [  3,     "fail",     "applied open"],
  [  4,     "fail x 9", "refused open"],
  [  5,     "fail",     "applied open"],
  [  6,     "fail x 9", "refused open"],
]);

// deno-fmt-ignore
spec("P1-03 a backend that is well again at attempt 10 closes it, and the next opening counts from 0", {}, [
  [  0,     "fail x 3", "applied"],
  [  0,     "fail",     "applied open"],
  [  0,     "ok x 9",   "refused"],
  [  0,     "ok",       "applied closed"],
  [  0,     "fail x 2", "closed"],
  [  0,     "fail",     "open"],
  [  0,     "ask p",    "passed half_open"],
]);

// deno-fmt-ignore
spec("P1-04 a successful probe closes it with clean counters", { failureThreshold: 2, probeEveryNth: 1 }, [
  [  0,     "fail x 2", "applied"],
  [  0,     "fail",     "applied open"],
  [  0,     "ok",       "applied closed"],
  [  0,     "fail",     "closed"],
  [  0,     "fail",     "open"],
]);

// deno-fmt-ignore
spec("P1-04 with a success threshold of 2 the second successful probe closes it", { successThreshold: 2 }, [
  [  0,     "fail x 3", "applied"],
  [  0,     "ask a",    "passed half_open"],
  [  0,     "ask",      "refused"],
  [  0,     "a ok",     "applied half_open retry:0"],
  [  0,     "ask b",    "passed half_open"],
  [  0,     "ask",      "refused"],
  [  0,     "b ok",     "applied closed"],
]);

// deno-fmt-ignore
spec("a failed probe forgets the successful one before it", { ...BY_TIME, failureThreshold: 1, successThreshold: 2, cooldownMs: 100 }, [
  [  0,     "fail",     "open"],
  [100,     "ok",       "half_open"],
  [100,     "fail",     "open"],
  [300,     "ok",       "half_open"],
  [300,     "ok",       "closed"],
]);

// deno-fmt-ignore
spec("P1-05 of 100 calls at a probe attempt exactly 1 passes", {}, [
  [  0,     "fail x 3", "applied"],
  [  0,     "ask p",    "passed half_open"],
  [  0,     "ask x 99", "refused half_open"],
  [  0,     "p ok",     "applied closed"],
]);

// deno-fmt-ignore
spec("P2-04 29.999 s after 5 failures a call is refused, 30.000 s after exactly one probe passes", BY_TIME, [
  [     7,  "fail x 4", "closed"],
  [     7,  "fail",     "open retry:30000"],
  [ 30_006, "ask",      "refused open retry:1"],
  [ 30_007, "wait",     "open retry:0"],
  [ 30_007, "ask p",    "passed half_open"],
  [ 30_007, "ask x 4",  "refused"],
  [ 30_008, "p ok",     "applied closed"],
]);

// deno-fmt-ignore
spec("P2-04 a probe that fails starts the wait again, twice as long each time, up to the longest",
  { ...BY_TIME, failureThreshold: 1, cooldownMs: 100, cooldownMaxMs: 300 }, [
  [  0,     "fail",     "open retry:100"],
  [100,     "fail",     "open retry:200"],
  [299,     "ask",      "refused"],
  [300,     "fail",     "open retry:300"],
  [600,     "fail",     "open retry:300"],
  [900,     "ok",       "closed"],
  [900,     "fail",     "open retry:100"],
]);

// deno-fmt-ignore
spec("a probe by attempt that fails leaves the cooldown as it was", { failureThreshold: 1, probeEveryNth: 4, cooldownMs: 100 }, [
  [  0,     "fail",     "open retry:0"],
  [ 10,     "fail",     "applied open retry:90"],
  [ 20,     "ask x 3",  "refused open"],
  [ 30,     "fail",     "applied open retry:70"],
  [ 99,     "ask",      "refused"],
  [100,     "fail",     "applied open retry:200"],
]);

// deno-fmt-ignore
spec("whichever comes first, attempt or cooldown, lets a probe pass", { failureThreshold: 1, probeEveryNth: 10, cooldownMs: 100 }, [
  [  0,     "fail",     "open"],
  [  0,     "fail",     "applied open"],
  [100,     "ok",       "applied closed"],
]);

// deno-fmt-ignore
spec("a result that outlived its generation is stale and changes nothing", { ...BY_TIME, failureThreshold: 2, cooldownMs: 100 }, [
  [  0,     "ask late",      "passed closed"],
  [  0,     "ask later",     "passed closed"],
  [  0,     "ask last",      "passed closed"],
  [  1,     "fail x 2",      "applied"],
  [  2,     "late ok",       "stale open retry:99"],
  [101,     "ask probe",     "passed half_open"],
  [102,     "later ok",      "stale half_open"],
  [103,     "probe ok",      "applied closed"],
  [104,     "last fail",     "stale closed"],
  [105,     "fail",          "applied closed"],
  [106,     "fail",          "applied open"],
]);

// deno-fmt-ignore
spec("a probe's result that comes after its lease is stale", { ...BY_TIME, failureThreshold: 1, cooldownMs: 100, probeLeaseMs: 50 }, [
  [  0,     "fail",          "open"],
  [100,     "ask lost",      "passed half_open"],
  [149,     "ask",           "refused half_open retry:1"],
  [150,     "ask found",     "passed half_open"],
  [151,     "lost ok",       "stale half_open"],
  [152,     "ask",           "refused half_open"],
  [153,     "found ok",      "applied closed"],
  [154,     "lost fail",     "stale closed"],
]);

// deno-fmt-ignore
spec("a lost probe by attempt is replaced before the cooldown ends, and leaves it as it was",
  { failureThreshold: 1, probeEveryNth: 1000, cooldownMs: 10_000, probeLeaseMs: 50 }, [
  [  0,     "fail",          "open"],
  [  0,     "ask lost",      "passed half_open"],
  [ 49,     "ask",           "refused"],
  [ 50,     "ask found",     "passed half_open"],
  [ 60,     "found fail",    "applied open retry:9940"],
]);

// deno-fmt-ignore
spec("a lost probe does not lengthen the cooldown; the failure of its replacement does",
  { ...BY_TIME, failureThreshold: 1, cooldownMs: 100, probeLeaseMs: 50 }, [
  [  0,     "fail",          "open"],
  [100,     "ask",           "passed half_open"],
  [150,     "ask",           "passed half_open"],
  [200,     "ask last",      "passed half_open"],
  [200,     "last fail",     "applied open retry:200"],
]);

// deno-fmt-ignore
spec("a call's second result is a duplicate, in each state", { ...BY_TIME, failureThreshold: 2, successThreshold: 2, cooldownMs: 100 }, [
  [  0,     "ask a",         "passed"],
  [  0,     "a fail",        "applied closed"],
  [  0,     "a fail",        "duplicate closed"],
  [  0,     "a ok",          "duplicate closed"],
  [  0,     "fail",          "applied open"],
  [100,     "ask p",         "passed"],
  [100,     "p ok",          "applied half_open"],
  [100,     "p ok",          "duplicate half_open"],
  [100,     "ask q",         "passed"],
  [100,     "ask",           "refused"],
  [100,     "p ok",          "duplicate half_open"],
  [100,     "q fail",        "applied open"],
  [100,     "q fail",        "duplicate open"],
  [100,     "a fail",        "duplicate open"],
]);

// deno-fmt-ignore
spec("an ignored probe frees its place, and neither closes nor opens", { ...BY_TIME, failureThreshold: 1, cooldownMs: 100, probeLeaseMs: 50 }, [
  [  0,     "fail",          "open"],
  [100,     "ignore",        "applied half_open retry:0"],
  [500,     "ignore x 5",    "applied half_open retry:0"],
  [500,     "ask p",         "passed half_open"],
  [500,     "ask",           "refused"],
  [520,     "p ok",          "applied closed"],
]);

// deno-fmt-ignore
spec("an ignored call neither counts as a failure nor breaks a row of them", { failureThreshold: 2 }, [
  [  0,     "fail",          "closed"],
  [  0,     "ignore x 9",    "applied closed"],
  [  0,     "fail",          "open"],
]);

// deno-fmt-ignore
spec("throttled, it opens at once, for as long as it was told", { failureThreshold: 3, probeEveryNth: 0 }, [
  [  0,     "throttle 5000", "applied open throttled retry:5000"],
  [4999,    "ask",           "refused open throttled retry:1"],
  [5000,    "wait",          "open retry:0"],
  [5000,    "ask p",         "passed half_open"],
  [5000,    "ask",           "refused"],
  [5001,    "p ok",          "closed"],
]);

// deno-fmt-ignore
spec("until a pause ends no probe passes, by attempt or by cooldown", { failureThreshold: 1, probeEveryNth: 2, cooldownMs: 100 }, [
  [  0,     "ask late",      "passed"],
  [  0,     "fail",          "open"],
  [ 50,     "late throttle 1000", "stale open throttled retry:1000"],
  [ 60,     "ask x 9",       "refused throttled"],
  [200,     "ask x 9",       "refused throttled"],
  [1049,    "ask",           "refused throttled retry:1"],
  [1050,    "ask",           "passed half_open"],
]);

// deno-fmt-ignore
spec("a pause asked for while open makes the wait longer, never shorter", { failureThreshold: 1, probeEveryNth: 0, cooldownMs: 100 }, [
  [  0,     "ask a",         "passed"],
  [  0,     "ask b",         "passed"],
  [  0,     "ask c",         "passed"],
  [  0,     "a throttle 500","applied open throttled retry:500"],
  [ 10,     "b throttle 1000","stale open throttled retry:1000"],
  [ 20,     "c throttle 100","stale open throttled retry:990"],
]);

// deno-fmt-ignore
spec("a pause is capped, and what is not a number of milliseconds is none",
  { failureThreshold: 1, probeEveryNth: 0, throttleMaxMs: 2000 }, [
  [  0,     "throttle 86400000",  "open throttled retry:2000"],
  [2000,    "throttle Infinity",  "open throttled retry:2000"],
  [4000,    "throttle 0.5",       "open throttled retry:1"],
  [4001,    "throttle NaN",       "applied open retry:0"],
  [4001,    "throttle -1",        "applied open retry:0"],
]);

// deno-fmt-ignore
spec("a probe that is throttled re-opens it, and the cooldown does not grow", { ...BY_TIME, failureThreshold: 1, cooldownMs: 100 }, [
  [  0,     "fail",          "open"],
  [100,     "throttle 300",  "applied open throttled retry:300"],
  [400,     "fail",          "applied open retry:200"],
]);

// deno-fmt-ignore
spec("a pause is forgotten when it closes", { failureThreshold: 1, probeEveryNth: 0, cooldownMs: 100 }, [
  [  0,     "ask late",      "passed"],
  [  0,     "fail",          "open"],
  [100,     "ask p",         "passed"],
  [100,     "late throttle 9000", "stale half_open"],
  [100,     "p ok",          "closed"],
  [101,     "fail",          "open retry:100"],
  [201,     "ok",            "applied closed"],
]);

// deno-fmt-ignore
spec("3 probes at once pass where the concurrency is 3, and no fourth",
  { ...BY_TIME, failureThreshold: 1, successThreshold: 3, probeConcurrency: 3, cooldownMs: 100, probeLeaseMs: 50 }, [
  [  0,     "fail",          "open"],
  [100,     "ask a",         "passed half_open"],
  [100,     "ask b",         "passed half_open retry:0"],
  [100,     "ask c",         "passed half_open retry:50"],
  [100,     "ask",           "refused"],
  [110,     "a ok",          "applied half_open"],
  [110,     "ask d",         "passed"],
  [110,     "ask",           "refused"],
  [110,     "b ok",          "applied half_open"],
  [110,     "c fail",        "applied open"],
  [110,     "d ok",          "stale open"],
]);

// deno-fmt-ignore
spec("each report of a probe renews the lease of those that are still out",
  { ...BY_TIME, failureThreshold: 1, successThreshold: 3, probeConcurrency: 2, cooldownMs: 100, probeLeaseMs: 50 }, [
  [  0,     "fail",          "open"],
  [100,     "ask a",         "passed half_open"],
  [100,     "ask b",         "passed half_open retry:50"],
  [140,     "a ok",          "applied half_open"],
  [150,     "ask c",         "passed half_open retry:40"],
  [170,     "c ignore",      "applied half_open"],
  [219,     "ask d",         "passed half_open retry:1"],
  [220,     "ask e",         "passed half_open"],
  [221,     "b ok",          "stale half_open"],
  [221,     "d ok",          "stale half_open"],
  [221,     "e fail",        "applied open"],
]);

// deno-fmt-ignore
spec("reconfigured, what is under way goes on by the new numbers", { failureThreshold: 3, probeEveryNth: 0, cooldownMs: 100 }, [
  [  0,     "fail x 2",                       "closed"],
  [  0,     "reconfigure failureThreshold 4", "closed"],
  [  0,     "fail",                           "closed"],
  [  0,     "reconfigure failureThreshold default", "closed"],
  [  0,     "fail",                           "open retry:100",    "4 consecutive failures"],
  [ 50,     "reconfigure cooldownMs 500",     "open retry:50"],
  [100,     "ask p",                          "passed half_open"],
  [100,     "reconfigure successThreshold 2", "half_open"],
  [100,     "p ok",                           "applied half_open"],
  [100,     "fail",                           "open retry:1000"],
]);

// deno-fmt-ignore
spec("reconfigured, attempts are counted on, and from 0 where they were not counted", { failureThreshold: 1, cooldownMs: 10_000 }, [
  [  0,     "fail",                           "open"],
  [  0,     "fail",                           "open",              "probe failed"],
  [  0,     "ask x 2",                        "refused"],
  [  0,     "reconfigure probeEveryNth 4",    "open"],
  [  0,     "ask",                            "refused"],
  [  0,     "fail",                           "applied"],
  [  0,     "reconfigure probeEveryNth 0",    "open"],
  [  0,     "ask x 99",                       "refused"],
  [  0,     "reconfigure probeEveryNth 7",    "open"],
  [  0,     "ask x 2",                        "refused"],
  [  0,     "ask",                            "passed half_open",  "attempt 7 may probe"],
]);

// deno-fmt-ignore
spec("reconfigured, no wait that is under way is longer than the new settings have it",
  { failureThreshold: 1, probeEveryNth: 2, cooldownMs: 10_000, probeLeaseMs: 500, throttleMaxMs: 1000 }, [
  [  0,     "fail",                           "open"],
  [  0,     "ask p",                          "passed half_open retry:500"],
  [  0,     "reconfigure probeLeaseMs 100",   "half_open retry:100"],
  [  0,     "reconfigure cooldownMs 50 cooldownMaxMs 2000 throttleMaxMs 300", "half_open"],
  [ 99,     "ask",                            "refused"],
  [ 99,     "p fail",                         "open retry:0"],
  [ 99,     "fail",                           "open retry:1901"],
  [ 99,     "reconfigure cooldownMaxMs 50",   "open retry:300"],
  [398,     "ask",                            "refused"],
]);

/** Openings that end with the next call, from `fromMs` on, each with its cooldown of 10 ms. */
function openings(count: number, fromMs = 0): Line[] {
  return Array.from({ length: count }, (_, index) => fromMs + 10 * index).flatMap((atMs): Line[] => [
    [atMs, "fail", "applied open"],
    [atMs + 10, "ok", "applied closed"],
  ]);
}

for (const count of [63, 64, 100, 128]) {
  spec(`a pause is kept after ${count} openings that had none`, { ...BY_TIME, failureThreshold: 1, cooldownMs: 10 }, [
    ...openings(count),
    [2_000, "throttle 50", "applied throttled retry:50"],
    [2_049, "ask", "refused open"],
    [2_050, "ask", "passed half_open"],
  ]);

  spec(`attempts count from 0 after ${count} openings in which they did not count`, {
    ...BY_TIME,
    failureThreshold: 1,
    cooldownMs: 10,
  }, [
    ...openings(count),
    [2_000, "reconfigure probeEveryNth 3", "closed"],
    [2_000, "fail", "applied open"],
    [2_000, "fail", "applied open"],
    [2_000, "ask x 2", "refused"],
    [2_000, "ask", "passed half_open"],
  ]);
}
