/** Breakers that are right but for one thing each. The tests that are about that thing must find it. */

import type { CircuitBreakerOptions } from "../../../core/mod.ts";
import { type Action, type Adapter, BAD_RESULT, Neutral, type Settings, type State, type Subject } from "../adapter.ts";
import { ModelSubject, oracle } from "./model.ts";
import { naive } from "./naive.ts";

/** A fault, and the tests that are there to find it. */
export interface Fault {
  readonly what: string;
  readonly foundBy: readonly number[];
  readonly adapter: Adapter;
}

const right = oracle[0]!;

/** A breaker that hears other settings than it is told. */
function hears(
  what: string,
  foundBy: readonly number[],
  change: Partial<Settings> | ((settings: Settings) => Partial<Settings>),
  adapter: Adapter = right,
): Fault {
  const changed = (settings: Settings) => ({
    ...settings,
    ...(typeof change === "function" ? change(settings) : change),
  });
  return { what, foundBy, adapter: { ...adapter, options: (settings) => adapter.options(changed(settings)) } };
}

/** A breaker that judges errors or results in its own way. */
function judges(what: string, foundBy: readonly number[], predicates: CircuitBreakerOptions): Fault {
  const options = (settings: Settings) => ({ ...right.options(settings), ...predicates });
  return { what, foundBy, adapter: { ...right, options } };
}

/** A breaker that does something otherwise. */
function does(what: string, foundBy: readonly number[], Faulty: typeof ModelSubject): Fault {
  return { what, foundBy, adapter: { ...right, make: (options) => new Faulty("Consecutive", options) } };
}

export const FAULTY: readonly Fault[] = [
  hears("opens one failure late", [1, 27], ({ failures }) => ({ failures: failures + 1 })),
  hears("opens one failure early", [1, 20, 27], ({ failures }) => ({ failures: failures - 1 })),
  hears("opens at the first failure after it closed", [7, 8, 13], { failures: 1 }, naive),
  hears("has a window that is too long", [11], ({ countWindow }) => ({ countWindow: countWindow && 3 * countWindow })),
  hears("opens at a lower ratio", [11, 27], ({ ratio }) => ({ ratio: ratio && ratio / 2 })),
  hears("opens at a higher ratio", [27], ({ ratio }) => ({ ratio: ratio && (1 + ratio) / 2 })),
  hears("measures no call", [26, 28], { slowMs: undefined }),
  hears("lets one probe too many pass", [3, 9, 21], ({ probes = 1 }) => ({ probes: probes + 1 })),
  hears("lets one probe pass at a time", [7, 9, 21], { probes: 1 }),
  hears("closes at the first success", [22], { successes: 1 }),
  hears("waits for lost probes", [23], { hungMs: undefined }),
  hears("probes at every call", [24], ({ everyNth }) => ({ everyNth: everyNth && 1 })),
  hears("probes by time alone", [24], { everyNth: undefined }),
  hears("lengthens no wait", [25], { backoff: undefined }),
  hears("lengthens waits without limit", [25], { openMaxMs: undefined }),
  judges("takes a pause for a failure", [31, 32], {
    errorOutcome: (error) => error instanceof Neutral ? "ignored" : "failure",
  }),
  judges("takes a neutral error for a success", [15, 29, 30], {
    errorOutcome: (error) => error instanceof Neutral ? "success" : "failure",
  }),
  judges("takes a neutral error for a failure", [30], { errorOutcome: () => "failure" }),
  judges("takes what is not thrown for a success", [53], { resultOutcome: () => "success" }),
  judges("takes a plain value for a failure", [52], {
    resultOutcome: (result) => result === undefined || result === BAD_RESULT ? "failure" : "success",
  }),
  does(
    "counts a result as often as it is told",
    [20],
    class extends ModelSubject {
      override acquire() {
        return (outcome: Parameters<NonNullable<ReturnType<ModelSubject["acquire"]>>>[0]) =>
          super.acquire()?.(outcome) ?? "refused";
      }
    },
  ),
  does(
    "calls before it guards",
    [1, 51],
    class extends ModelSubject {
      override call(action: Action, signal?: AbortSignal): Promise<unknown> {
        try {
          const returned = action(signal);
          return super.call(() => returned, signal);
        } catch (error) {
          return Promise.reject(error);
        }
      }
    },
  ),
  does(
    "keeps the results to itself",
    [50, 53],
    class extends ModelSubject {
      override call(action: Action, signal?: AbortSignal): Promise<unknown> {
        return super.call(action, signal).then(() => "done");
      }
    },
  ),
  does(
    "forgets that it is held",
    [37, 38],
    class extends ModelSubject {
      override hold(): () => void {
        super.hold()();
        return () => {};
      }
    },
  ),
  does(
    "ends all holds with one",
    [38],
    class extends ModelSubject {
      readonly #releases: (() => void)[] = [];

      override hold(): () => void {
        this.#releases.push(super.hold());
        return () => this.#releases.forEach((release) => release());
      }
    },
  ),
  does(
    "never leaves a mode",
    [39, 40],
    class extends ModelSubject {
      override passAll(on: boolean): void {
        if (on) super.passAll(on);
      }

      override watchOnly(on: boolean): void {
        if (on) super.watchOnly(on);
      }
    },
  ),
  does(
    "acts while it should watch, and refuses while it should not",
    [39, 40],
    class extends ModelSubject {
      override passAll(): void {}
      override watchOnly(): void {}
    },
  ),
  does(
    "forgets a snapshot",
    [41, 58],
    class extends ModelSubject {
      override restore(): Subject {
        return this;
      }
    },
  ),
  does(
    "ignores a change of its settings",
    [43],
    class extends ModelSubject {
      override reconfigure(): void {}
    },
  ),
  does(
    "shares nothing",
    [44],
    class extends ModelSubject {
      override attach(): Subject {
        return right.make(right.options({ failures: 5, openMs: 1_000, isNeutral: () => false }));
      }
    },
  ),
  does(
    "tells its listeners everything twice",
    [45],
    class extends ModelSubject {
      override onStateChange(listener: (to: State) => void): void {
        super.onStateChange(listener);
        super.onStateChange(listener);
      }
    },
  ),
  does(
    "moves on when it is looked at",
    [47],
    class extends ModelSubject {
      override get state(): State {
        const state = super.state;
        if (state === "open") super.call(() => undefined).catch(() => {});
        return state;
      }
    },
  ),
  {
    what: "says nothing about the wait",
    foundBy: [56],
    adapter: { ...right, retryAfterMs: () => 0 },
  },
];
