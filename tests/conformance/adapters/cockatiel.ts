/** cockatiel: a policy with one of three ways to count. */

import {
  circuitBreaker,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  CountBreaker,
  ExponentialBackoff,
  handleWhen,
  type IBreaker,
  type ICircuitBreakerOptions,
  noJitterGenerator,
  SamplingBreaker,
  timeout,
  TimeoutStrategy,
  wrap,
} from "cockatiel";
import {
  type Action,
  type Adapter,
  BAD_RESULT,
  type Capability,
  type Settings,
  type State,
  type Subject,
} from "../adapter.ts";
import { versionOf } from "./versions.ts";

/** What its constructor takes, and beside it what is composed with the breaker. */
interface Options extends ICircuitBreakerOptions {
  readonly isNeutral: (error: unknown) => boolean;
  readonly hungMs: number | undefined;
  readonly makeBreaker: () => IBreaker;
}

const STATES: Readonly<Record<CircuitState, State>> = {
  [CircuitState.Closed]: "closed",
  [CircuitState.Open]: "open",
  [CircuitState.HalfOpen]: "half_open",
  [CircuitState.Isolated]: "open",
};

class CockatielSubject implements Subject {
  readonly #options: Options;
  readonly #policy: CircuitBreakerPolicy;
  readonly #execute: CircuitBreakerPolicy["execute"];

  constructor(options: Options) {
    this.#options = options;
    const handled = handleWhen((error) => !options.isNeutral(error)).orWhenResult((result) => result === BAD_RESULT);
    this.#policy = circuitBreaker(handled, options);
    const { hungMs } = options;
    const policy = hungMs === undefined
      ? this.#policy
      : wrap(this.#policy, timeout(hungMs, TimeoutStrategy.Aggressive));
    this.#execute = policy.execute.bind(policy) as CircuitBreakerPolicy["execute"];
  }

  call(action: Action, signal?: AbortSignal): Promise<unknown> {
    return this.#execute(({ signal }) => action(signal), signal);
  }

  get state(): State {
    return STATES[this.#policy.state];
  }

  onStateChange(listener: (to: State) => void): void {
    this.#policy.onStateChange((state) => listener(STATES[state]));
  }

  hold(): () => void {
    const isolation = this.#policy.isolate();
    return () => isolation.dispose();
  }

  snapshot(): unknown {
    return this.#policy.toJSON();
  }

  restore(initialState: unknown): Subject {
    return new CockatielSubject({ ...this.#options, breaker: this.#options.makeBreaker(), initialState });
  }
}

function adapter(
  variant: string,
  failuresName: string,
  lacks: Partial<Record<Capability, string>>,
  breaker: (settings: Settings) => IBreaker,
): Adapter {
  return {
    name: "cockatiel",
    version: versionOf("cockatiel"),
    variant,
    lacks: {
      attach: "its state is an object of one thread",
      earlyClose: "it closes when all probes have answered: none is left",
      everyNth: "it probes by time alone",
      forcedClosed: "it has a hold that keeps it open and none that keeps it closed",
      metricsOnly: "it cannot watch without acting",
      permits: "a call's result is that of its promise, which settles once",
      reconfigure: "its options are read when it is made",
      retryAfter: "its refusals do not carry the wait",
      slowCalls: "it does not decide on how long calls take",
      throttle: "it knows no Retry-After",
      ...lacks,
    },
    notes: {
      3: "by design",
      4: "composed with its timeout policy: 23",
      15: "documented so: what the policy does not handle is a success",
      55: "a policy that does not handle AbortError would make it neutral",
    },
    optionNames: { failures: failuresName, openMs: "halfOpenAfter" },
    options: (settings): Options => ({
      breaker: breaker(settings),
      makeBreaker: () => breaker(settings),
      halfOpenAfter: settings.backoff === undefined ? settings.openMs : new ExponentialBackoff({
        generator: noJitterGenerator,
        initialDelay: settings.openMs,
        exponent: settings.backoff,
        maxDelay: settings.openMaxMs ?? Infinity,
      }),
      halfOpenSampling: { calls: Math.max(settings.probes ?? 1, settings.successes ?? 1), threshold: 0 },
      isNeutral: settings.isNeutral,
      hungMs: settings.hungMs,
    }),
    make: (options) => new CockatielSubject(options as Options),
  };
}

const NO_COUNT_WINDOW = "it has no window of calls; CountBreaker has";
const NO_TIME_WINDOW = "it has no window of time; SamplingBreaker has";
const BELOW_ONE = "its constructor refuses a threshold of 100 %";

export const cockatiel: readonly Adapter[] = [
  adapter(
    "Consecutive",
    "threshold",
    { countWindow: NO_COUNT_WINDOW, timeWindow: NO_TIME_WINDOW, ratio: "it counts failures in a row" },
    ({ failures }) => new ConsecutiveBreaker(failures),
  ),
  adapter(
    "Count",
    "minimumNumberOfCalls",
    { timeWindow: NO_TIME_WINDOW, fullRatio: BELOW_ONE },
    ({ failures, ratio = 0.5, countWindow = 10 }) =>
      new CountBreaker({ threshold: ratio, size: countWindow, minimumNumberOfCalls: failures }),
  ),
  adapter(
    "Sampling",
    "minimumRps",
    { countWindow: NO_COUNT_WINDOW, fullRatio: BELOW_ONE },
    ({ failures, ratio = 0.5, timeWindowMs = 10_000 }) =>
      new SamplingBreaker({ threshold: ratio, duration: timeWindowMs, minimumRps: failures / (timeWindowMs / 1_000) }),
  ),
];
