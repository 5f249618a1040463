/** opossum: one breaker around one function, timers, a rolling window of ten buckets. */

import Opossum from "opossum";
import type { Action, Adapter, Settings, State, Subject } from "../adapter.ts";
import { versionOf } from "./versions.ts";

const EVENTS = [["open", "open"], ["halfOpen", "half_open"], ["close", "closed"]] as const;

class OpossumSubject implements Subject {
  readonly #breaker;
  readonly #options: object;

  constructor(options: object) {
    this.#breaker = new Opossum((action: Action) => action(), options);
    this.#options = options;
  }

  call(action: Action): Promise<unknown> {
    return this.#breaker.fire(action);
  }

  get state(): State {
    return this.#breaker.opened ? "open" : this.#breaker.halfOpen ? "half_open" : "closed";
  }

  onStateChange(listener: (to: State) => void): void {
    for (const [event, state] of EVENTS) this.#breaker.on(event, () => listener(state));
  }

  passAll(on: boolean): void {
    if (on) this.#breaker.disable();
    else this.#breaker.enable();
  }

  snapshot(): unknown {
    return this.#breaker.toJSON();
  }

  restore(snapshot: unknown): Subject {
    const { state, status } = snapshot as { state: object; status: object };
    return new OpossumSubject({ ...this.#options, state, status });
  }
}

export const opossum: Adapter = {
  name: "opossum",
  version: versionOf("opossum"),
  variant: "",
  lacks: {
    abort: "its AbortController belongs to the breaker, not to a call",
    attach: "its state is an object of one thread",
    backoff: "its open time is always the same",
    countWindow: "its window is one of time",
    earlyClose: "one probe at a time: none is left when it closes",
    earlyReopen: "one probe at a time: none is left when it reopens",
    everyNth: "it probes by time alone",
    hold: "open() begins an ordinary open time, which ends by itself",
    metricsOnly: "enabled or not: it cannot watch without acting",
    permits: "a call's result is that of its promise, which settles once",
    probes: "one probe at a time, always",
    reconfigure: "its options are read when it is made",
    results: "only what is thrown is a failure",
    retryAfter: "its refusals do not carry the wait",
    slowCalls: "it measures calls and does not decide on it; a timeout is another thing",
    successes: "one successful probe closes it",
    throttle: "it knows no Retry-After",
  },
  notes: {
    2: "the ratio must be exceeded",
    4: "without its timeout, which the OpenTelemetry exporter built on it turns off; with it: 23",
    39: "the calls that passed meanwhile dilute its rate",
    36: "they do not keep the process alive, and shutdown() ends them",
  },
  optionNames: { failures: "volumeThreshold", openMs: "resetTimeout" },
  options: (settings: Settings) => ({
    timeout: settings.hungMs ?? false,
    volumeThreshold: settings.failures,
    errorThresholdPercentage: 100 * (settings.ratio ?? 0.5),
    rollingCountTimeout: settings.timeWindowMs ?? 10_000,
    resetTimeout: settings.openMs,
    errorFilter: settings.isNeutral,
  }),
  make: (options) => new OpossumSubject(options),
};
