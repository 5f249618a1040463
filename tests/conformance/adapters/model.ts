/** The oracle: the plain model that the core is compared with. What is not a matter of the machine it does its own way. */

import { systemClock } from "../../../core/clock.ts";
import type { CircuitBreakerOptions, Outcome } from "../../../core/mod.ts";
import { BreakerModel } from "../../model/breaker_model.ts";
import type { Action, Adapter, State, Subject } from "../adapter.ts";
import { failuresName, optionsOf, type Variant } from "./breakwater.ts";
import { OUR_VERSION } from "./versions.ts";

class Refused extends Error {
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    super(`refused, ${retryAfterMs} ms are left`);
    this.retryAfterMs = retryAfterMs;
  }
}

export class ModelSubject implements Subject {
  readonly #variant: Variant;
  readonly #options: CircuitBreakerOptions;
  readonly #model: BreakerModel;
  readonly #listeners: ((to: State) => void)[] = [];
  #toldCount: number;

  constructor(variant: Variant, options: CircuitBreakerOptions, model?: BreakerModel) {
    this.#variant = variant;
    this.#options = options;
    this.#model = model ?? new BreakerModel({ ...options, clock: systemClock });
    this.#toldCount = this.#model.transitions.length;
  }

  async call(action: Action, signal?: AbortSignal): Promise<unknown> {
    const record = this.acquire();
    if (record === undefined) throw new Refused(this.#model.retryAfterMs);
    try {
      const result = await action(signal);
      record(this.#options.resultOutcome!(result));
      return result;
    } catch (error) {
      record(signal?.aborted ? "ignored" : this.#outcomeOf(error));
      throw error;
    }
  }

  get state(): State {
    return this.#model.state;
  }

  onStateChange(listener: (to: State) => void): void {
    this.#listeners.push(listener);
  }

  acquire(): ((outcome: Outcome) => string) | undefined {
    const permit = this.#model.acquire();
    this.#tell();
    if (permit < 0) return undefined;
    return (outcome) => {
      const answer = this.#model.record(permit, outcome);
      this.#tell();
      return answer;
    };
  }

  hold(): () => void {
    const hold = this.#model.forceOpen();
    return () => hold.release();
  }

  passAll(on: boolean): void {
    this.#model.mode = on ? "forced_closed" : "auto";
  }

  watchOnly(on: boolean): void {
    this.#model.mode = on ? "metrics_only" : "auto";
  }

  /** The model's snapshot is an object like others: it is kept here, and this is its number. */
  snapshot(): unknown {
    return { number: kept.push(this.#model.snapshot()) - 1 };
  }

  restore(snapshot: unknown): Subject {
    const found = kept[(snapshot as { readonly number: number }).number];
    if (found === undefined) throw new TypeError("no snapshot has this number");
    this.#model.restore(found);
    return this;
  }

  reconfigure({ failures }: { readonly failures: number }): void {
    this.#model.reconfigure({ [failuresName(this.#variant)]: failures });
  }

  attach(): Subject {
    return new ModelSubject(this.#variant, this.#options, this.#model.attach());
  }

  #outcomeOf(error: unknown): Outcome {
    try {
      return this.#options.errorOutcome!(error);
    } catch {
      return "failure";
    }
  }

  /** Tells what the model went through since the last time. It keeps lines: `closed -> open: a failure`. */
  #tell(): void {
    const lines = this.#model.transitions.slice(this.#toldCount);
    this.#toldCount += lines.length;
    for (const line of lines) {
      for (const listener of this.#listeners) {
        try {
          listener(/-> (\w+)/.exec(line)![1] as State);
        } catch {
          // The model goes on.
        }
      }
    }
  }
}

const kept: ReturnType<BreakerModel["snapshot"]>[] = [];

function adapter(variant: Variant): Adapter {
  return {
    name: "oracle",
    version: OUR_VERSION,
    variant,
    lacks: {},
    notes: {},
    optionNames: { failures: failuresName(variant), openMs: "cooldownMs" },
    options: (settings) => optionsOf(variant, settings),
    make: (options) => new ModelSubject(variant, options),
    retryAfterMs: (refusal) => refusal instanceof Refused ? refusal.retryAfterMs : NaN,
  };
}

export const oracle: readonly Adapter[] = [adapter("Consecutive"), adapter("Count"), adapter("Time")];
