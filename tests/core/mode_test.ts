/** What modes do, as tables: a circuit that people hold open, hold closed, switch off or only watch. */

import { spec } from "./breaker_spec.ts";

const BY_TIME = { failureThreshold: 2, probeEveryNth: 0, cooldownMs: 1000, cooldownMaxMs: 60_000 };
const FIFTY_DAYS_MS = 50 * 86_400_000;

// deno-fmt-ignore
spec("forced open, every call is refused, however long", { ...BY_TIME, probeEveryNth: 1 }, [
  // at ms  does                    then                                     why
  [   0,    "ok",                   "applied closed mode:auto"],
  [   0,    "mode forced_open",     "open mode:forced_open retry:60000",     "forced open"],
  [   0,    "ask x 100",            "refused open retry:60000"],
  [1000,    "ask x 100",            "refused open retry:60000"],
  [FIFTY_DAYS_MS, "ask x 100",      "refused open retry:60000"],
]);

// deno-fmt-ignore
spec("released, a circuit that was closed when it was forced open is closed and clean", { ...BY_TIME, countWindowSize: 4, failureRatio: 0.75 }, [
  [   0,    "ask late",             "passed"],
  [   0,    "ok",                   "closed"],
  [   0,    "fail",                 "closed"],
  [   0,    "mode forced_open",     "open"],
  [   1,    "mode auto",            "closed mode:auto retry:0",              "released"],
  [   1,    "late fail",            "stale closed"],
  [   1,    "fail",                 "applied closed"],
  [   1,    "ok",                   "applied closed"],
  [   1,    "fail",                 "applied closed"],
  [   1,    "fail",                 "applied open",                          "2 consecutive failures"],
]);

// deno-fmt-ignore
spec("released, a circuit that was open when it was forced open has the deadline that it had", BY_TIME, [
  [   0,    "fail x 2",             "applied"],
  [ 100,    "mode forced_open",     "open retry:60000",                      "2 consecutive failures"],
  [ 200,    "ask",                  "refused"],
  [ 300,    "mode auto",            "open retry:700",                        "2 consecutive failures"],
  [ 999,    "ask",                  "refused"],
  [1000,    "fail",                 "applied open retry:2000",               "probe failed"],
  [1500,    "mode forced_open",     "open retry:60000"],
  [3500,    "ask",                  "refused"],
  [3500,    "mode auto",            "open retry:0"],
  [3500,    "ok",                   "applied closed"],
]);

// deno-fmt-ignore
spec("released, a circuit that was half-open when it was forced open is open, and may probe at once", BY_TIME, [
  [   0,    "fail x 2",             "applied"],
  [1000,    "ask late",             "passed half_open"],
  [1001,    "mode forced_open",     "open",                                  "forced open"],
  [1002,    "late ok",              "stale open"],
  [1003,    "mode auto",            "open retry:0",                          "forced open"],
  [1003,    "fail",                 "applied open retry:2000",               "probe failed"],
]);

// deno-fmt-ignore
spec("released, a pause that the backend asked for goes on, and is not shown while it is forced open", BY_TIME, [
  [   0,    "throttle 5000",        "open throttled"],
  [1000,    "mode forced_open",     "open unthrottled retry:60000"],
  [2000,    "mode auto",            "open throttled retry:3000"],
  [5000,    "ok",                   "closed"],
]);

// deno-fmt-ignore
spec("attempts go on where they were when it was forced open", { ...BY_TIME, probeEveryNth: 10 }, [
  [   0,    "fail x 2",             "applied"],
  [   0,    "fail",                 "applied open",                          "probe failed"],
  [   0,    "ask x 4",              "refused"],
  [   0,    "mode forced_open",     "open"],
  [   0,    "ask x 100",            "refused"],
  [   0,    "mode auto",            "open"],
  [   0,    "ask x 5",              "refused"],
  [   0,    "ask",                  "passed half_open",                      "attempt 10 may probe"],
]);

// deno-fmt-ignore
spec("P1-13 disabled is the kill switch: nothing reaches the backend until it is enabled, and calls still out are forgotten",
  { ...BY_TIME, probeEveryNth: 1 }, [
  [   0,    "ask late",             "passed closed"],
  [   0,    "ask later",            "passed closed"],
  [   0,    "mode disabled",        "open mode:disabled retry:60000",        "disabled"],
  [   0,    "late fail",            "stale"],
  [FIFTY_DAYS_MS, "ask x 100",      "refused open retry:60000"],
  [FIFTY_DAYS_MS, "mode auto",      "closed mode:auto retry:0",              "enabled"],
  [FIFTY_DAYS_MS, "later fail",     "stale closed"],
  [FIFTY_DAYS_MS, "ok",             "applied closed"],
]);

// deno-fmt-ignore
spec("P1-13 a circuit made disabled is open from the start", { ...BY_TIME, mode: "disabled" }, [
  [   0,    "ask x 3",              "refused open mode:disabled"],
  [   0,    "mode auto",            "closed",                                "enabled"],
  [   0,    "ok",                   "applied"],
]);

// deno-fmt-ignore
spec("P1-13 enabled, a circuit that was open has the deadline that it had", BY_TIME, [
  [   0,    "fail x 2",             "applied"],
  [ 100,    "mode disabled",        "open mode:disabled"],
  [ 400,    "mode auto",            "open retry:600"],
]);

// deno-fmt-ignore
spec("from forced open to disabled and back only the mode changes", BY_TIME, [
  [   0,    "mode forced_open",     "open mode:forced_open",                 "forced open"],
  [   0,    "mode disabled",        "open mode:disabled",                    "forced open"],
  [   0,    "ask",                  "refused"],
  [   0,    "mode forced_open",     "open mode:forced_open",                 "forced open"],
  [   0,    "mode disabled",        "open mode:disabled",                    "forced open"],
  [   0,    "mode auto",            "closed mode:auto",                      "enabled"],
]);

// deno-fmt-ignore
spec("a hold is in force until it is released, and may be released twice", BY_TIME, [
  [   0,    "hold a",               "open mode:forced_open retry:60000",     "forced open"],
  [5000,    "ask x 9",              "refused"],
  [5000,    "release a",            "closed mode:auto",                      "released"],
  [5000,    "release a",            "closed mode:auto"],
  [5000,    "ok",                   "applied"],
]);

// deno-fmt-ignore
spec("two hold it: nobody can release the hold of another", BY_TIME, [
  [   0,    "hold a",               "mode:forced_open"],
  [   0,    "hold b",               "mode:forced_open"],
  [   0,    "release a",            "open mode:forced_open"],
  [   0,    "release a",            "open mode:forced_open"],
  [   0,    "ask",                  "refused"],
  [   0,    "release b",            "closed mode:auto",                      "released"],
]);

// deno-fmt-ignore
spec("a mode chosen while it is held rules when it is released", BY_TIME, [
  [   0,    "hold a",               "mode:forced_open"],
  [   0,    "mode disabled",        "mode:forced_open"],
  [   0,    "ask",                  "refused"],
  [   0,    "mode metrics_only",    "mode:forced_open"],
  [   0,    "mode forced_closed",   "open mode:forced_open"],
  [   0,    "ask",                  "refused open"],
  [   0,    "release a",            "closed mode:forced_closed",             "forced closed"],
  [   0,    "fail x 9",             "applied closed"],
]);

// deno-fmt-ignore
spec("a circuit that was forced open stays so when a hold on it is released", BY_TIME, [
  [   0,    "mode forced_open",     "open"],
  [   0,    "hold a",               "open mode:forced_open"],
  [   0,    "release a",            "open mode:forced_open"],
  [   0,    "mode auto",            "closed",                                "released"],
]);

// deno-fmt-ignore
spec("a circuit that was disabled is so again when a hold on it is released", BY_TIME, [
  [   0,    "mode disabled",        "open mode:disabled",                    "disabled"],
  [   0,    "hold a",               "open mode:forced_open"],
  [   0,    "release a",            "open mode:disabled",                    "disabled"],
  [   0,    "mode auto",            "closed",                                "enabled"],
]);

// deno-fmt-ignore
spec("forced closed, every call passes, and nothing opens it", { ...BY_TIME, countWindowSize: 4, slowCallMs: 100 }, [
  [   0,    "mode forced_closed",   "closed mode:forced_closed retry:0"],
  [   0,    "fail x 5000",          "applied closed"],
  [   0,    "ok after 100 x 9",     "applied closed"],
  [ 900,    "throttle 5000",        "applied closed unthrottled retry:0"],
  [ 900,    "ok",                   "applied closed"],
]);

// deno-fmt-ignore
spec("forced closed, an open circuit is closed and clean, and calls still out are stale", BY_TIME, [
  [   0,    "ask late",             "passed"],
  [   0,    "fail x 2",             "applied"],
  [   1,    "mode forced_closed",   "closed retry:0",                        "forced closed"],
  [   1,    "late fail",            "stale"],
  [   1,    "ask last",             "passed"],
  [   1,    "fail x 9",             "applied closed"],
  [   2,    "mode auto",            "closed mode:auto",                      "forced closed"],
  [   2,    "last fail",            "stale closed"],
  [   2,    "fail",                 "applied closed"],
  [   2,    "fail",                 "applied open retry:1000",               "2 consecutive failures"],
]);

// deno-fmt-ignore
spec("forced closed, a circuit that was closed begins anew", BY_TIME, [
  [   0,    "ask late",             "passed"],
  [   0,    "fail",                 "closed"],
  [   0,    "mode forced_closed",   "closed"],
  [   0,    "late fail",            "stale"],
  [   0,    "mode auto",            "closed"],
  [   0,    "fail",                 "closed"],
]);

// deno-fmt-ignore
spec("forced open from forced closed, it is closed when it is released", BY_TIME, [
  [   0,    "fail x 2",             "applied"],
  [   0,    "mode forced_closed",   "closed",                                "forced closed"],
  [   0,    "mode forced_open",     "open",                                  "forced open"],
  [   0,    "ask",                  "refused"],
  [   0,    "mode auto",            "closed",                                "released"],
]);

// deno-fmt-ignore
spec("with metrics only the circuit changes as ever, and no call is refused", BY_TIME, [
  [   0,    "mode metrics_only",    "closed mode:metrics_only"],
  [   0,    "fail",                 "applied closed"],
  [   0,    "fail",                 "applied open",                          "2 consecutive failures"],
  [   0,    "ask would_not",        "passed open"],
  [   1,    "would_not fail",       "stale open"],
  [   1,    "would_not fail",       "stale open"],
  [   1,    "ok x 50",              "stale open"],
  [ 999,    "ok",                   "stale open"],
  [1000,    "ask probe",            "passed half_open",                      "cooldown ended"],
  [1000,    "ok x 50",              "stale half_open"],
  [1000,    "fail x 50",            "stale half_open"],
  [1000,    "probe ok",             "applied closed",                        "probe succeeded"],
  [1000,    "fail",                 "applied closed"],
]);

// deno-fmt-ignore
spec("with metrics only a call that would have been refused says nothing about a pause either", BY_TIME, [
  [   0,    "mode metrics_only",    "closed"],
  [   0,    "fail x 2",             "applied"],
  [   0,    "throttle 9000",        "stale open"],
  [1000,    "ok",                   "applied closed"],
]);

// deno-fmt-ignore
spec("from auto to metrics only and back only the mode changes", BY_TIME, [
  [   0,    "ask a",                "passed"],
  [   0,    "fail",                 "closed"],
  [   0,    "mode metrics_only",    "closed mode:metrics_only"],
  [   0,    "a fail",               "applied open",                          "2 consecutive failures"],
  [ 100,    "mode auto",            "open mode:auto retry:900"],
  [ 100,    "ask",                  "refused"],
  [ 200,    "mode metrics_only",    "open mode:metrics_only"],
  [1000,    "ask p",                "passed half_open"],
  [1000,    "mode auto",            "half_open"],
  [1000,    "p ok",                 "applied closed"],
]);

// deno-fmt-ignore
spec("released into metrics only, it is as in auto", BY_TIME, [
  [   0,    "fail x 2",             "applied"],
  [   0,    "mode forced_open",     "open"],
  [   0,    "ask",                  "refused"],
  [ 100,    "mode metrics_only",    "open mode:metrics_only"],
  [ 999,    "ok",                   "stale open"],
  [1000,    "ok",                   "applied closed"],
]);

// deno-fmt-ignore
spec("a mode chosen again changes nothing", BY_TIME, [
  [   0,    "ask a",                "passed"],
  [   0,    "mode auto",            "closed"],
  [   0,    "a ok",                 "applied"],
  [   0,    "mode forced_closed",   "closed"],
  [   0,    "ask b",                "passed"],
  [   0,    "mode forced_closed",   "closed"],
  [   0,    "b ok",                 "applied"],
  [   0,    "mode metrics_only",    "closed"],
  [   0,    "ask c",                "passed"],
  [   0,    "mode metrics_only",    "closed"],
  [   0,    "c ok",                 "applied"],
]);
