/** Specifications as tables: each line is run against the core and against the model, on a clock that the line sets. */

import assert from "node:assert/strict";
import {
  CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitState,
  type Outcome,
  type Recorded,
} from "../../core/breaker.ts";
import type { Clock } from "../../core/clock.ts";
import { BreakerModel } from "../model/breaker_model.ts";

/** What both machines show to a specification. */
export interface Machine {
  acquire(): number;
  record(permit: number, outcome: Outcome): Recorded;
  readonly state: CircuitState;
  readonly throttled: boolean;
  readonly retryAfterMs: number;
}

/** The core and the oracle, by name. */
export const MACHINES: readonly (readonly [string, (options: CircuitBreakerOptions & { clock: Clock }) => Machine])[] =
  [
    ["core", (options) => new CircuitBreaker(options)],
    ["model", (options) => new BreakerModel(options)],
  ];

/**
 * A line: when, what is done, what is so afterwards.
 *
 * Done: `ok`, `fail`, `ignore` or `throttle 5000` is a call with that outcome, if it is let through; `ask a` asks and keeps the
 * permit as `a`, of which `a ok`, `a fail` and so on is the late result; `wait` only lets time pass. `x 20` at the end repeats it.
 *
 * So: words that must all be true of the answer or of the machine: `passed`, `refused`, `applied`, `stale`, `duplicate`, `closed`,
 * `half_open`, `open`, `throttled`, and `retry:5000` for the wait that is left. Repeated, it must be so each time.
 */
export type Line = readonly [atMs: number, does: string, then: string];

/** Registers one test for each machine. Times are exact: jitter is off unless the options say otherwise. */
export function spec(title: string, options: CircuitBreakerOptions, lines: readonly Line[]): void {
  for (const [name, make] of MACHINES) {
    Deno.test(`${title} (${name})`, () => {
      let nowMs = 0;
      const clock: Clock = { nowMs: () => nowMs, wallMs: () => nowMs };
      const machine = make({ cooldownJitter: 0, seed: 1, ...options, clock });
      const kept = new Map<string, number>();
      for (const [index, [atMs, does, then]] of lines.entries()) {
        nowMs = atMs;
        const [, what = "", times = "1"] = /^(.*?)(?: x (\d+))?$/.exec(does)!;
        for (let time = 0; time < Number(times); time++) {
          const facts = [step(machine, kept, what), machine.state, `retry:${machine.retryAfterMs}`];
          if (machine.throttled) facts.push("throttled");
          for (const fact of then.split(" ")) {
            assert.ok(
              facts.includes(fact),
              `line ${index + 1}: ${does} at ${atMs} ms: expected '${fact}', found '${facts.join(" ")}'`,
            );
          }
        }
      }
    });
  }
}

/** Does what a line says, and answers with the word for what came of it. */
function step(machine: Machine, kept: Map<string, number>, what: string): string {
  const words = what.split(" ");
  if (words[0] === "wait") return "waited";
  if (words[0] === "ask") {
    const permit = machine.acquire();
    if (words[1] !== undefined) kept.set(words[1], permit);
    return permit >= 0 ? "passed" : "refused";
  }
  const outcome = outcomeOf(words);
  if (outcome !== undefined) {
    const permit = machine.acquire();
    return permit >= 0 ? machine.record(permit, outcome) : "refused";
  }
  const permit = kept.get(words[0]!);
  const late = outcomeOf(words.slice(1));
  assert.ok(permit !== undefined && late !== undefined, `a line says "${what}", which means nothing`);
  return machine.record(permit, late);
}

function outcomeOf([word, ms]: readonly string[]): Outcome | undefined {
  if (word === "ok") return "success";
  if (word === "fail") return "failure";
  if (word === "ignore") return "ignored";
  return word === "throttle" ? { throttledMs: Number(ms) } : undefined;
}
