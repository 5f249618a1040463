/**
 * What do a thousand breakers take that have had one call each? Every kind in a process of its own, three times.
 *
 * What the process has in memory is more than what the breakers take of it, and is never measured twice alike: it is shown
 * because the shared memory of our own is counted nowhere else.
 */

import { fileURLToPath } from "node:url";
import { BREAKER_COUNT, type Footprint, type Kind } from "./breaker_footprint.ts";
import { bar, median } from "./measure.ts";

const CORE = "Breakwater";
const ROUND_COUNT = 3;

const CONTENDERS: readonly { readonly name: string; readonly kind: Kind }[] = [
  { name: CORE, kind: "core" },
  { name: "Breakwater, both windows", kind: "windows" },
  { name: "the same machine as a plain object, unshared", kind: "plain" },
  { name: "opossum 10, no timeout", kind: "opossum" },
  { name: "cockatiel 4, consecutive", kind: "cockatiel" },
  { name: "mollitia 0.1, the last 100 calls", kind: "mollitia" },
];

/** Asks, prints the answer, and says whether the bar is met. */
export async function benchBreakerFootprint(): Promise<boolean> {
  console.log(`\nWhat do ${BREAKER_COUNT} breakers take that have had one call each? Bytes for one; timers for all.`);
  console.log(`  ${"".padEnd(44)} ${row("heap", "external", "resident", "timers", "to open")}`);
  let coreTimers = 0;
  for (const { name, kind } of CONTENDERS) {
    const rounds: Footprint[] = [];
    for (let round = 0; round < ROUND_COUNT; round++) rounds.push(await footprint(kind));
    const middle = (of: keyof Footprint) => median(rounds.map((round) => round[of]));
    const each = (of: keyof Footprint) => (middle(of) / BREAKER_COUNT).toFixed(0);
    const timers = [middle("timersAtFirst"), middle("timersToOpen")];
    console.log(
      `  ${name.padEnd(44)} ${row(each("heapBytes"), each("externalBytes"), each("residentBytes"), ...timers)}`,
    );
    if (name.startsWith(CORE)) coreTimers += timers[0]! + timers[1]!;
  }
  return bar("timers, also when all of them have opened", coreTimers, "most", 0);
}

function row(...cells: readonly (string | number)[]): string {
  return cells.map((cell) => String(cell).padStart(9)).join(" ");
}

async function footprint(kind: Kind): Promise<Footprint> {
  const program = fileURLToPath(new URL("breaker_footprint.ts", import.meta.url));
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--v8-flags=--expose-gc", program, kind],
    cwd: fileURLToPath(new URL("..", import.meta.url)),
  }).output();
  if (!success) throw new Error(`The breakers were not made: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}
