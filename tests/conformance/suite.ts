/** What a circuit breaker should do, asked of any for which there is an adapter. */

import type { Adapter } from "./adapter.ts";
import { Circuit, PLAIN, type Trial } from "./circuit.ts";
import { CLOCKS } from "./clocks.ts";
import { CONTROL } from "./control.ts";
import { FakeTime, turn } from "./fake_time.ts";
import { LATE_RESULTS } from "./late_results.ts";
import { MANNERS } from "./manners.ts";
import { OPENING } from "./opening.ts";
import { PROBING } from "./probing.ts";

/** All of them, by their numbers. */
export const TRIALS: readonly Trial[] = [
  ...OPENING,
  ...PROBING,
  ...LATE_RESULTS,
  ...CLOCKS,
  ...CONTROL,
  ...MANNERS,
].sort((a, b) => a.number - b.number);

/** How a breaker did in one of them, and why it did not do better. */
export interface Verdict {
  readonly trial: Trial;
  readonly mark: "pass" | "FAIL" | "n/a";
  readonly reason: string;
}

/** Asks one thing of a breaker. */
export async function judge(adapter: Adapter, trial: Trial): Promise<Verdict> {
  for (const capability of trial.needs) {
    const reason = adapter.lacks[capability];
    if (reason !== undefined) return { trial, mark: "n/a", reason };
  }
  const unhandled: unknown[] = [];
  const listen = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    unhandled.push(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", listen);
  let fault: string | undefined;
  try {
    using time = new FakeTime();
    await trial.run((settings) => new Circuit(adapter, time, { ...PLAIN, ...settings }), adapter);
  } catch (error) {
    fault = error instanceof Error ? error.message : String(error);
  }
  await turn();
  globalThis.removeEventListener("unhandledrejection", listen);
  if (unhandled.length > 0) fault ??= `it lets a promise be rejected that nobody holds: ${unhandled[0]}`;
  if (fault === undefined) return { trial, mark: "pass", reason: "" };
  const note = adapter.notes[trial.number];
  return { trial, mark: "FAIL", reason: note === undefined ? fault : `${fault} (${note})` };
}

/** Asks everything of a breaker. */
export async function judgeAll(adapter: Adapter): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const trial of TRIALS) verdicts.push(await judge(adapter, trial));
  return verdicts;
}
