/** What slow calls do, as tables: a backend that answers too late is not well, whatever it answers. */

import { spec } from "./breaker_spec.ts";

/** Leaves it to the last 4 calls to open, and to the cooldown to try again. */
const LAST_4 = { failureThreshold: 4095, probeEveryNth: 0, cooldownMs: 1000, countWindowSize: 4, slowCallMs: 100 };

/** One call is enough to see what it counts as. */
const LAST_1 = { ...LAST_4, countWindowSize: 1 };

// deno-fmt-ignore
spec("a call is slow from exactly slowCallMs on", LAST_1, [
  // at ms  does               then                      why
  [   0,    "ok after 99",     "applied closed"],
  [ 100,    "ok after 100",    "applied open",           "1 of the last 1 calls took 100 ms or longer"],
]);

// deno-fmt-ignore
spec("a call takes whole milliseconds, from the one in which it was let through to the one in which it is recorded", LAST_1, [
  [   0,    "ask a",           "passed"],
  [  99.9,  "a ok",            "closed"],
  [ 100.9,  "ask b",           "passed"],
  [ 200,    "b ok",            "open",                   "1 of the last 1 calls took 100 ms or longer"],
]);

// deno-fmt-ignore
spec("a call takes as long as it took, also after 50 days and for 50 days", LAST_1, [
  [4_320_000_000, "ok after 99",        "closed"],
  [4_320_000_099, "ask a",              "passed"],
  [8_640_000_099, "a ok",               "open",          "1 of the last 1 calls took 100 ms or longer"],
]);

// deno-fmt-ignore
spec("a slow success is no failure, but half of them slow is too much unless it is told otherwise", { ...LAST_4, failureRatio: 0.001 }, [
  [   0,    "ok after 100",    "applied closed"],
  [ 100,    "ok x 2",          "closed"],
  [ 100,    "ok after 500",    "applied open retry:1000", "2 of the last 4 calls took 100 ms or longer"],
]);

// deno-fmt-ignore
spec("a slow failure counts once in each ratio: here the failures are too many",
  { ...LAST_4, failureRatio: 0.75, slowCallRatio: 0.75 }, [
  [   0,    "fail after 100",  "closed"],
  [ 100,    "ok",              "closed"],
  [ 100,    "fail",            "closed"],
  [ 100,    "fail after 100",  "open",                   "3 of the last 4 calls failed"],
]);

// deno-fmt-ignore
spec("a slow failure counts once in each ratio: here the slow calls are too many",
  { ...LAST_4, failureRatio: 0.75, slowCallRatio: 0.75 }, [
  [   0,    "fail after 100",  "closed"],
  [ 100,    "fail after 100",  "closed"],
  [ 200,    "ok",              "closed"],
  [ 200,    "ok after 100",    "open",                   "3 of the last 4 calls took 100 ms or longer"],
]);

// deno-fmt-ignore
spec("where failures and slow calls are both too many, the failures are told", LAST_4, [
  [   0,    "fail after 100 x 3", "closed"],
  [ 300,    "fail after 100",  "open",                   "4 of the last 4 calls failed"],
]);

// deno-fmt-ignore
spec("a slow call leaves the window as any other", { ...LAST_4, slowCallRatio: 0.75 }, [
  [   0,    "ok after 100 x 2","closed"],
  [ 200,    "ok x 3",          "closed"],
  [ 200,    "ok after 100 x 2","closed"],
  [ 400,    "ok after 100",    "open",                   "3 of the last 4 calls took 100 ms or longer"],
]);

// deno-fmt-ignore
spec("a bound for slow calls alone looks at the last 100 calls, from the tenth on", { failureThreshold: 4095, slowCallMs: 100 }, [
  [   0,    "ok after 100 x 9","closed"],
  [ 900,    "ok after 100",    "open",                   "10 of the last 10 calls took 100 ms or longer"],
]);

// deno-fmt-ignore
spec("with a ratio of 1 all calls have to be slow", { ...LAST_4, slowCallRatio: 1 }, [
  [   0,    "ok after 100 x 3","closed"],
  [ 300,    "ok",              "closed"],
  [ 300,    "ok after 100 x 3","closed"],
  [ 600,    "ok after 100",    "open",                   "4 of the last 4 calls took 100 ms or longer"],
]);

// deno-fmt-ignore
spec("a time window counts slow calls in the tenth in which they end",
  { failureThreshold: 4095, timeWindowMs: 1000, minimumCalls: 2, slowCallMs: 100 }, [
  [   0,    "ok after 1000",   "closed"],
  [1999,    "ask a",           "passed"],
  [2099,    "a ok",            "closed"],
  [2199,    "ok after 100",    "open",                   "2 of 2 calls within 1000 ms took 100 ms or longer"],
]);

// deno-fmt-ignore
spec("both windows at once: slow calls that the count forgot open by their time",
  { ...LAST_4, timeWindowMs: 1000, slowCallRatio: 0.3 }, [
  [   0,    "ok after 100",    "closed"],
  [ 100,    "ok x 3",          "closed"],
  [ 100,    "ok after 100",    "open",                   "2 of 5 calls within 1000 ms took 100 ms or longer"],
]);

// deno-fmt-ignore
spec("both windows at once: slow calls of the count are told before failures of the time",
  { ...LAST_4, timeWindowMs: 1000, failureRatio: 0.4, slowCallRatio: 0.25 }, [
  [   0,    "fail",            "closed"],
  [   0,    "ok x 3",          "closed"],
  [   0,    "fail after 100",  "open",                   "1 of the last 4 calls took 100 ms or longer"],
]);

// deno-fmt-ignore
spec("an ignored call is not slow, however long it took", LAST_4, [
  [   0,    "ignore after 5000 x 9", "applied closed"],
  [50_000,  "ok x 9",          "closed"],
]);

// deno-fmt-ignore
spec("a probe that succeeds too late has failed", { failureThreshold: 1, probeEveryNth: 0, cooldownMs: 1000, slowCallMs: 100 }, [
  [   0,    "fail",            "open retry:1000"],
  [1000,    "ok after 100",    "applied open retry:2000", "probe took 100 ms"],
  [3099,    "ask",             "refused"],
  [3100,    "ok after 99",     "applied closed",         "probe succeeded"],
]);

// deno-fmt-ignore
spec("a slow probe that fails has failed once", { failureThreshold: 1, probeEveryNth: 0, cooldownMs: 1000, slowCallMs: 100 }, [
  [   0,    "fail",            "open retry:1000"],
  [1000,    "fail after 100",  "applied open retry:2000", "probe failed"],
]);

// deno-fmt-ignore
spec("a slow probe by attempt that succeeds leaves the cooldown as it was", { failureThreshold: 1, probeEveryNth: 5, cooldownMs: 1000, slowCallMs: 100 }, [
  [   0,    "fail",            "open"],
  [   0,    "ok after 250",    "applied open retry:750", "probe took 250 ms"],
]);

// deno-fmt-ignore
spec("a slow probe forgets the successful one before it",
  { failureThreshold: 1, successThreshold: 2, probeEveryNth: 0, cooldownMs: 1000, slowCallMs: 100 }, [
  [   0,    "fail",            "open"],
  [1000,    "ok",              "half_open"],
  [1000,    "ok after 100",    "open retry:2000",        "probe took 100 ms"],
  [3100,    "ok",              "half_open"],
  [3100,    "ok",              "closed"],
]);

// deno-fmt-ignore
spec("a slow success ends a row of failures like any other", { ...LAST_4, failureThreshold: 3, countWindowSize: 100 }, [
  [   0,    "fail x 2",        "closed"],
  [   0,    "ok after 100",    "closed"],
  [ 100,    "fail x 2",        "closed"],
  [ 100,    "fail",            "open",                   "3 consecutive failures"],
]);

// deno-fmt-ignore
spec("turned off, slow calls are forgotten by no window and open none", { ...LAST_4, slowCallRatio: 0.75 }, [
  [   0,    "ok after 100 x 3",                     "closed"],
  [ 300,    "reconfigure slowCallMs default slowCallRatio default", "closed"],
  [ 300,    "ok after 100",                         "closed"],
  [ 400,    "reconfigure slowCallMs 100 slowCallRatio 0.5", "closed"],
  [ 400,    "ok",                                   "open",     "2 of the last 4 calls took 100 ms or longer"],
]);

// deno-fmt-ignore
spec("a call that began while calls were not timed is not slow, nor one that began before that", LAST_1, [
  [   0,    "ask before",                           "passed"],
  [   0,    "reconfigure slowCallMs default",       "closed"],
  [   0,    "ask meanwhile",                        "passed"],
  [ 100,    "reconfigure slowCallMs 100",           "closed"],
  [ 500,    "before ok",                            "applied closed"],
  [ 500,    "meanwhile ok",                         "applied closed"],
  [ 500,    "ok after 100",                         "open",     "1 of the last 1 calls took 100 ms or longer"],
]);
