import assert from "node:assert/strict";
import { parseRetryAfter } from "../../../exporters/transport/retry_after.ts";

/** Sunday, 6 November 1994, 08:49:37 GMT: the RFC's own example. */
const NOW_MS = 784_111_777_000;

// deno-fmt-ignore
const cases: [string | null, number | undefined, string][] = [
  ["0",                               0,              "now is fine"],
  ["120",                             120_000,        "seconds"],
  [" 7 ",                             7_000,          "with spaces around"],
  ["99999999999999999999",            31_536_000_000, "at most a year"],
  ["Sun, 06 Nov 1994 08:49:42 GMT",   5_000,          "a date in today's form"],
  ["Sunday, 06-Nov-94 08:49:42 GMT",  5_000,          "a date in the form of RFC 850"],
  ["Sun Nov  6 08:49:42 1994",        5_000,          "a date in the form of asctime, which is GMT"],
  ["Sun, 06 Nov 1994 08:49:30 GMT",   0,              "a date that has passed"],
  [null,                              undefined,      "absent"],
  ["",                                undefined,      "empty"],
  ["-1",                              undefined,      "negative"],
  ["1.5",                             undefined,      "a fraction, which Date.parse would take for a day in 2001"],
  ["1e3",                             undefined,      "another way to write a number"],
  ["soon",                            undefined,      "a word"],
  ["Sun, 99 Foo 1994 08:49:42 GMT",   undefined,      "a day that never was"],
];
for (const [value, expectedMs, what] of cases) {
  Deno.test(`E6 Retry-After ${JSON.stringify(value)}, ${what}: ${expectedMs} ms`, () => {
    assert.equal(parseRetryAfter(value, NOW_MS), expectedMs);
  });
}
