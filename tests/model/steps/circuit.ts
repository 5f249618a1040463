/** The step machine used as a circuit: one call after another, each from its beginning to its end. */

import { type Settings, written } from "./memory.ts";
import { type Call, perform, type Stop, threadOf } from "./positions.ts";
import { CLOCK, CLOSED, GENERATION_SHIFT, WORD } from "./words.ts";

/** Something that happens to a circuit. `permit` is the place of a permit among those that were given out. */
export type Event =
  | { readonly by: number; readonly does: "acquire" }
  | { readonly by: number; readonly does: "record"; readonly permit: number; readonly outcome: number }
  | { readonly passesMs: number };

/** How long a backend asks to be left alone, whenever it does. */
export const PAUSE_MS = 20;

export class StepCircuit {
  readonly settings: Settings;
  readonly words: Map<number, bigint>;
  /** How many permits each attachment gave out. */
  readonly issued: number[];
  /** All permits, in their order. */
  readonly permits: number[] = [];

  constructor(settings: Settings, words: Iterable<readonly [number, bigint]> = START, issued = [0, 0, 0, 0]) {
    this.settings = settings;
    this.words = new Map(words);
    this.issued = issued;
  }

  happens(event: Event): number {
    if ("passesMs" in event) {
      this.words.set(CLOCK, this.read(CLOCK) + BigInt(event.passesMs));
      return 0;
    }
    const { by } = event;
    const issued = [...this.issued];
    if (event.does === "acquire") {
      const permit = this.run({ does: "acquire", by, issued }).answer!;
      if (permit >= 0) this.permits.push(permit);
      return permit;
    }
    const permit = this.permits[event.permit]!;
    return this.run({ does: "record", by, issued, permit, outcome: event.outcome, throttledMs: PAUSE_MS }).answer!;
  }

  run(call: Call): Stop {
    const thread = threadOf(this.settings, call);
    const steps = perform(thread, call);
    let next = steps.next();
    while (!next.done) {
      const { address } = next.value;
      const seen = this.read(address);
      this.words.set(address, written(next.value, seen));
      next = steps.next(seen);
    }
    this.issued[call.by] = thread.counts.issued;
    return { access: undefined, answer: next.value, counts: thread.counts, told: thread.told };
  }

  read(address: number): bigint {
    return this.words.get(address) ?? 0n;
  }
}

/** A breaker as `init` leaves it, at a time that is not 0. */
const START: readonly (readonly [number, bigint])[] = [[WORD, CLOSED | (1n << GENERATION_SHIFT)], [CLOCK, 1_000n]];
