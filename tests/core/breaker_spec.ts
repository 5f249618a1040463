/** Specifications as tables: each line is run against the core and against the model, on a clock that the line sets. */

import assert from "node:assert/strict";
import { CircuitBreaker, type CircuitState, type Outcome, type Recorded } from "../../core/breaker.ts";
import type { CircuitMode } from "../../core/breaker_modes.ts";
import type { CircuitBreakerNumbers, CircuitBreakerOptions } from "../../core/breaker_options.ts";
import type { Clock } from "../../core/clock.ts";
import { BreakerModel } from "../model/breaker_model.ts";

/** What both machines show to a specification. */
export interface Machine {
  acquire(): number;
  record(permit: number, outcome: Outcome): Recorded;
  mode: CircuitMode;
  forceOpen(): { release(): void };
  reconfigure(changes: CircuitBreakerNumbers): void;
  readonly state: CircuitState;
  readonly throttled: boolean;
  readonly retryAfterMs: number;
}

/** A machine, and why it last changed its state. */
interface Subject {
  readonly machine: Machine;
  readonly because: () => string;
}

/** The core and the oracle, by name. */
const SUBJECTS: readonly (readonly [string, (options: CircuitBreakerOptions & { clock: Clock }) => Subject])[] = [
  ["core", (options) => {
    const machine = new CircuitBreaker(options);
    let because = "";
    machine.onTransition(({ reason }) => because = reason);
    return { machine, because: () => because };
  }],
  ["model", (options) => {
    const machine = new BreakerModel(options);
    return { machine, because: () => machine.transitions.at(-1)?.replace(/^.*?: /, "") ?? "" };
  }],
];

/**
 * A line: when, what is done, what is so afterwards, and at times why.
 *
 * Done: `ok`, `fail`, `ignore` or `throttle 5000` is a call with that outcome, if it is let through, and `ok after 120` one that
 * takes so many milliseconds; `ask a` asks and keeps the permit as `a`, of which `a ok`, `a fail` and so on is the late result;
 * `mode disabled` chooses a mode; `hold a` forces open until `release a`; `reconfigure cooldownMs 500` changes numbers, and
 * `default` for one is the default; `wait` only lets time pass. `x 20` at the end repeats it, one after another.
 *
 * So: words that must all be true of the answer or of the machine: `passed`, `refused`, `applied`, `stale`, `duplicate`, `closed`,
 * `half_open`, `open`, `throttled`, `unthrottled`, `retry:5000` for the wait that is left, `mode:auto` and so on. Repeated, it must be
 * so each time.
 *
 * Why: the reason of the last change of state.
 */
export type Line = readonly [atMs: number, does: string, then: string, why?: string];

/** Registers one test for each machine. Times are exact: jitter is off unless the options say otherwise. */
export function spec(title: string, options: CircuitBreakerOptions, lines: readonly Line[]): void {
  for (const [name, make] of SUBJECTS) {
    Deno.test(`${title} (${name})`, () => new Run(make, options).follow(lines));
  }
}

/** A table under way on one machine. */
class Run {
  readonly #subject: Subject;
  readonly #permits = new Map<string, number>();
  readonly #holds = new Map<string, { release(): void }>();
  #nowMs = 0;

  constructor(make: (options: CircuitBreakerOptions & { clock: Clock }) => Subject, options: CircuitBreakerOptions) {
    const clock = { nowMs: () => this.#nowMs, wallMs: () => this.#nowMs };
    this.#subject = make({ cooldownJitter: 0, seed: 1, ...options, clock });
  }

  follow(lines: readonly Line[]): void {
    for (const [index, [atMs, does, then, why]] of lines.entries()) {
      assert.ok(atMs >= this.#nowMs, `line ${index + 1} is of a time before the line above it ends`);
      this.#nowMs = atMs;
      const [, what = "", times = "1"] = /^(.*?)(?: x (\d+))?$/.exec(does)!;
      for (let time = 0; time < Number(times); time++) {
        const found = this.#facts(this.#do(what.split(" ")));
        for (const fact of then.split(" ")) {
          assert.ok(
            found.includes(fact),
            `line ${index + 1}: ${does} at ${atMs} ms: expected '${fact}', found '${found.join(" ")}'`,
          );
        }
      }
      if (why !== undefined) assert.equal(this.#subject.because(), why, `line ${index + 1}: why`);
    }
  }

  #facts(answer: string): string[] {
    const { state, mode, retryAfterMs, throttled } = this.#subject.machine;
    return [answer, state, `retry:${retryAfterMs}`, `mode:${mode}`, throttled ? "throttled" : "unthrottled"];
  }

  /** Does what a line says, and answers with the word for what came of it. */
  #do(words: readonly string[]): string {
    const { machine } = this.#subject;
    const [verb = "", name = ""] = words;
    switch (verb) {
      case "wait":
        return "waited";
      case "ask": {
        const permit = machine.acquire();
        this.#permits.set(name, permit);
        return permit >= 0 ? "passed" : "refused";
      }
      case "mode":
        machine.mode = name as CircuitMode;
        return "chosen";
      case "hold":
        this.#holds.set(name, machine.forceOpen());
        return "held";
      case "release":
        this.#holds.get(name)!.release();
        return "released";
      case "reconfigure":
        machine.reconfigure(numbersOf(words.slice(1)));
        return "reconfigured";
    }
    const call = outcomeOf(words);
    if (call !== undefined) {
      const permit = machine.acquire();
      this.#nowMs += call.tookMs;
      return permit >= 0 ? machine.record(permit, call.outcome) : "refused";
    }
    const permit = this.#permits.get(verb);
    const late = outcomeOf(words.slice(1));
    assert.ok(permit !== undefined && late !== undefined, `a line says "${words.join(" ")}", which means nothing`);
    return machine.record(permit, late.outcome);
  }
}

/** Reads `ok`, `fail after 120`, `throttle 5000`. */
function outcomeOf(words: readonly string[]): { readonly outcome: Outcome; readonly tookMs: number } | undefined {
  const after = words.indexOf("after");
  const tookMs = after < 0 ? 0 : Number(words[after + 1]);
  switch (words[0]) {
    case "ok":
      return { outcome: "success", tookMs };
    case "fail":
      return { outcome: "failure", tookMs };
    case "ignore":
      return { outcome: "ignored", tookMs };
    case "throttle":
      return { outcome: { throttledMs: Number(words[1]) }, tookMs };
  }
  return undefined;
}

/** Reads `cooldownMs 500 failureThreshold default`. */
function numbersOf(words: readonly string[]): CircuitBreakerNumbers {
  const numbers: Record<string, number | undefined> = {};
  for (let index = 0; index < words.length; index += 2) {
    const value = words[index + 1];
    numbers[words[index]!] = value === "default" ? undefined : Number(value);
  }
  return numbers;
}
