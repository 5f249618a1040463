/** Prints how Breakwater, its oracle and its peers do, and why. Fails when Breakwater or the oracle is not perfect. */

import { OTHERS, OURS, resultsOf } from "./breakers.ts";
import { TRIALS } from "./suite.ts";
import { tableOf, totalOf } from "./table.ts";

const results = await resultsOf([...OURS, ...OTHERS]);
const today = new Date().toISOString().slice(0, 10);
console.log(`Conformance of circuit breakers, ${today}, Deno ${Deno.version.deno}. n/a: it has no such thing.\n`);
console.log(tableOf(results));
console.log("\n@std/async is on JSR alone and is not asked: the peers come from npm.");

const imperfect = results.slice(0, OURS.length).some((result) => totalOf(result).passed < TRIALS.length);
if (imperfect) Deno.exitCode = 1;
