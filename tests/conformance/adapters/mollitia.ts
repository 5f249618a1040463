/** mollitia: a breaker is a module of a circuit, with a window of calls or of time. */

import {
  type BreakerState,
  Circuit,
  SlidingCountBreaker,
  SlidingTimeBreaker,
  type SlidingWindowBreakerOptions,
  Timeout,
} from "mollitia";
import type { Action, Adapter, Capability, Settings, State, Subject } from "../adapter.ts";
import { versionOf } from "./versions.ts";

/** What its constructor takes, and beside it what is composed with the breaker. */
interface Options extends SlidingWindowBreakerOptions {
  readonly hungMs: number | undefined;
}

type Breaker = typeof SlidingCountBreaker | typeof SlidingTimeBreaker;

const STATES: Readonly<Record<`${BreakerState}`, State>> = {
  "closed": "closed",
  "half-opened": "half_open",
  "opened": "open",
};

class MollitiaSubject implements Subject {
  readonly #breaker;
  readonly #circuit: Circuit;

  constructor(Breaker: Breaker, options: Options) {
    this.#breaker = new Breaker(options);
    const modules = [this.#breaker, ...(options.hungMs === undefined ? [] : [new Timeout({ delay: options.hungMs })])];
    this.#circuit = new Circuit({ func: (action: Action) => action() as Promise<unknown>, options: { modules } });
  }

  call(action: Action): Promise<unknown> {
    return this.#circuit.execute(action);
  }

  get state(): State {
    return STATES[this.#breaker.state];
  }

  onStateChange(listener: (to: State) => void): void {
    this.#breaker.on("state-changed", (state: `${BreakerState}`) => listener(STATES[state]));
  }

  passAll(on: boolean): void {
    this.#breaker.active = !on;
  }

  reconfigure(settings: { readonly failures: number }): void {
    this.#breaker.minimumNumberOfCalls = settings.failures;
  }
}

function adapter(
  variant: string,
  Breaker: Breaker,
  lacks: Partial<Record<Capability, string>>,
  windowOf: (settings: Settings) => number,
): Adapter {
  return {
    name: "mollitia",
    version: versionOf("mollitia"),
    variant,
    lacks: {
      abort: "it takes no signal",
      attach: "its state is an object of one thread",
      backoff: "its open time is always the same",
      earlyClose: "it decides when all probes have answered: none is left when it closes",
      earlyReopen: "it decides when all probes have answered: none is left when it reopens",
      everyNth: "it probes by time alone",
      hold: "open() begins an ordinary open time, which ends by itself",
      metricsOnly: "active or not: it cannot watch without acting",
      permits: "a call's result is that of its promise, which settles once",
      plainActions: "its functions must return promises",
      results: "only what is thrown is a failure",
      retryAfter: "its refusals do not carry the wait",
      snapshot: "getState and setState are hooks for a store of the user's own",
      throttle: "it knows no Retry-After",
      ...lacks,
    },
    notes: {
      2: "100 turns the threshold off",
      4: "its limits are off unless they are set; with one: 23",
    },
    optionNames: { failures: "minimumNumberOfCalls", openMs: "openStateDelay" },
    options: (settings): Options => ({
      openStateDelay: settings.openMs,
      slidingWindowSize: windowOf(settings),
      minimumNumberOfCalls: settings.failures,
      failureRateThreshold: 100 * (settings.ratio ?? 0.5),
      permittedNumberOfCallsInHalfOpenState: Math.max(settings.probes ?? 1, settings.successes ?? 1),
      ...(settings.slowMs === undefined ? {} : { slowCallDurationThreshold: settings.slowMs }),
      ...(settings.slowRatio === undefined ? {} : { slowCallRateThreshold: 100 * settings.slowRatio }),
      onError: (error) => !settings.isNeutral(error),
      hungMs: settings.hungMs,
    }),
    make: (options) => new MollitiaSubject(Breaker, options as Options),
  };
}

export const mollitia: readonly Adapter[] = [
  adapter(
    "Count",
    SlidingCountBreaker,
    { timeWindow: "its window is one of calls; SlidingTimeBreaker has the other" },
    ({ countWindow = 10 }) => countWindow,
  ),
  adapter(
    "Time",
    SlidingTimeBreaker,
    { countWindow: "its window is one of time; SlidingCountBreaker has the other" },
    ({ timeWindowMs = 10_000 }) => timeWindowMs,
  ),
];
