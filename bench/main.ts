/**
 * Runs every bench in turn, and says whether all bars are met. `deno task bench breaker` runs those with that word in
 * their name.
 */

import { benchBacklog } from "./backlog_bench.ts";
import { benchBreaker } from "./breaker_bench.ts";
import { benchBreakerContention } from "./breaker_contention_bench.ts";
import { benchBreakerFootprint } from "./breaker_footprint_bench.ts";
import { benchBreakerWindows } from "./breaker_windows_bench.ts";
import { benchEncode } from "./encode_bench.ts";
import { benchEventLoop } from "./event_loop_bench.ts";
import { benchGateway } from "./gateway_bench.ts";
import { benchIntake } from "./intake_bench.ts";
import { benchJournal } from "./journal_bench.ts";
import { benchRing } from "./ring_bench.ts";
import { benchRun } from "./run_bench.ts";

/** Each prints its answer and says whether its bars are met. */
const BENCHES: Readonly<Record<string, () => Promise<boolean>>> = {
  breaker: benchBreaker,
  breaker_windows: benchBreakerWindows,
  breaker_contention: benchBreakerContention,
  breaker_footprint: benchBreakerFootprint,
  ring: benchRing,
  run: benchRun,
  encode: benchEncode,
  event_loop: benchEventLoop,
  gateway: benchGateway,
  intake: benchIntake,
  journal: benchJournal,
  backlog: benchBacklog,
};

console.log(
  `Deno ${Deno.version.deno}, V8 ${Deno.version.v8}, ${navigator.hardwareConcurrency} processors. Medians, in one run.`,
);
const missed: string[] = [];
for (const [name, bench] of Object.entries(BENCHES)) {
  if (Deno.args.length > 0 && !Deno.args.some((word) => name.includes(word))) continue;
  if (!await bench()) missed.push(name);
}
console.log(missed.length === 0 ? "\nAll bars are met." : `\nMissed: ${missed.join(", ")}.`);
if (missed.length > 0) Deno.exitCode = 1;
