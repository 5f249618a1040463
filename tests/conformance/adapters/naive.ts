/** The breaker that one writes in an afternoon. It shows that the suite can fail. */

import type { Action, Adapter, Settings, State, Subject } from "../adapter.ts";

interface NaiveOptions {
  readonly threshold: number;
  readonly resetMs: number;
  readonly isNeutral: (error: unknown) => boolean;
}

class NaiveBreaker implements Subject {
  state: State = "closed";
  #failures = 0;
  #openedAtMs = 0;
  readonly #options: NaiveOptions;

  constructor(options: NaiveOptions) {
    this.#options = options;
  }

  async call(action: Action): Promise<unknown> {
    const { threshold, resetMs, isNeutral } = this.#options;
    if (this.state === "open") {
      if (Date.now() - this.#openedAtMs < resetMs) throw new Error("circuit is open");
      this.state = "half_open";
    }
    try {
      const result = await action();
      this.#failures = 0;
      this.state = "closed";
      return result;
    } catch (error) {
      if (isNeutral(error)) throw error;
      this.#failures++;
      if (this.state === "half_open" || this.#failures >= threshold) {
        this.state = "open";
        this.#openedAtMs = Date.now();
      }
      throw error;
    }
  }
}

const NO_WINDOW = "it counts failures in a row and has no window";
const NO_CONTROL = "it has calls and a state, and no way to command it";

export const naive: Adapter = {
  name: "naive",
  version: "",
  variant: "",
  lacks: {
    abort: "it takes no signal",
    attach: "its state is an object of one thread",
    backoff: "its open time is always the same",
    countWindow: NO_WINDOW,
    everyNth: "it probes by time alone",
    forcedClosed: NO_CONTROL,
    hold: NO_CONTROL,
    hungLimit: "it has no limit on a call",
    listeners: "it has no listeners",
    metricsOnly: NO_CONTROL,
    permits: "a call's result is that of its promise, which settles once",
    probes: "the number of its probes cannot be set",
    ratio: NO_WINDOW,
    reconfigure: NO_CONTROL,
    results: "only what is thrown is a failure",
    retryAfter: "its refusals are plain errors",
    slowCalls: "it does not measure calls",
    snapshot: NO_CONTROL,
    successes: "one successful probe closes it",
    throttle: "it knows no Retry-After",
    timeWindow: NO_WINDOW,
  },
  notes: {},
  optionNames: { failures: "threshold", openMs: "resetMs" },
  options: (settings: Settings): NaiveOptions => ({
    threshold: settings.failures,
    resetMs: settings.openMs,
    isNeutral: settings.isNeutral,
  }),
  make: (options) => new NaiveBreaker(options as NaiveOptions),
};
