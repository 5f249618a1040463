/** Runs every bench in turn. A bar that is missed is said, and makes the whole end with 1. */

import { benchBreaker } from "./breaker_bench.ts";

const BENCHES: readonly (() => Promise<boolean>)[] = [benchBreaker];

console.log(
  `Deno ${Deno.version.deno}, V8 ${Deno.version.v8}, ${navigator.hardwareConcurrency} processors. Medians, in one run.`,
);
let allMet = true;
for (const bench of BENCHES) allMet = await bench() && allMet;
console.log(allMet ? "\nAll bars are met." : "\nSome bars are missed.");
Deno.exit(allMet ? 0 : 1);
