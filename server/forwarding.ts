import { CircuitBreaker } from "../core/breaker.ts";
import type { Clock } from "../core/clock.ts";
import type { ExportObserver } from "../exporters/export_observer.ts";
import type { Journal } from "../exporters/journal/journal.ts";
import type { QuarantineStore } from "../exporters/journal/quarantine.ts";
import type { Signal } from "../exporters/signal.ts";
import type { Sleep } from "../exporters/sleep.ts";
import { HttpTransport } from "../exporters/transport/http.ts";
import { RetryBudget } from "../exporters/transport/retry_budget.ts";
import type { Config } from "./config.ts";
import { Destination } from "./destination.ts";
import type { LaneStatus } from "./health.ts";
import { Lane, laneName } from "./lane.ts";
import type { Log } from "./log.ts";
import { PlainFetch } from "./plain_fetch.ts";
import type { Upstream } from "./upstream.ts";

/** What forwarding is made of. */
export interface ForwardingParts {
  readonly config: Config;
  readonly journals: Readonly<Record<Signal, Journal>>;
  /** Where records go that a destination refuses for good; undefined for nowhere. */
  readonly quarantine: QuarantineStore | undefined;
  readonly hopId: string;
  readonly observer: ExportObserver;
  readonly log: Log;
  readonly clock: Clock;
  readonly sleep: Sleep;
}

/** The name of the destination while there is only one. */
const ONLY_DESTINATION = "upstream";

/**
 * The lanes to the upstream: one for each signal that has an endpoint. Signals whose endpoints are on one host are one
 * destination; a host that asks for a pause speaks for its own signals, not for those that go elsewhere.
 */
export class Forwarding {
  readonly #lanes: readonly Lane[];
  readonly #destinations: readonly Destination[];
  readonly #plain = new PlainFetch();

  /** @param parts From which journals, by whose settings. */
  constructor(parts: ForwardingParts) {
    const { upstream } = parts.config;
    const groups = upstream === undefined ? [] : byHost(upstream);
    const berths = groups.map(({ host, signals }) => {
      const name = groups.length === 1 ? ONLY_DESTINATION : host;
      const destination = destinationFor(name, upstream!, parts, this.#plain);
      return { destination, lanes: signals.map((signal) => laneFor(signal, destination, upstream!, parts)) };
    });
    this.#destinations = berths.map(({ destination }) => destination);
    this.#lanes = berths.flatMap(({ lanes }) => lanes);
  }

  /** Begins to send. */
  start(): void {
    for (const lane of this.#lanes) lane.start();
  }

  /** How each lane stands; none without an upstream. */
  statuses(): readonly LaneStatus[] {
    return this.#lanes.map((lane) => lane.status());
  }

  /** Sends what it can in the time given. What is left stays on the disk; in memory it is dropped, as `shutdown`. */
  async drain(deadlineMs: number): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.drain(deadlineMs)));
    await Promise.all(this.#destinations.map((destination) => destination.close()));
    this.#plain.close();
  }
}

function byHost(upstream: Upstream): readonly { readonly host: string; readonly signals: readonly Signal[] }[] {
  const hosts = new Map<string, Signal[]>();
  for (const signal of upstream.signals) {
    const { host } = new URL(upstream.shownEndpoints[signal]!);
    hosts.set(host, [...(hosts.get(host) ?? []), signal]);
  }
  return Array.from(hosts, ([host, signals]) => ({ host, signals }));
}

function destinationFor(
  name: string,
  upstream: Upstream,
  { config, clock }: ForwardingParts,
  plain: PlainFetch,
): Destination {
  const transport = new HttpTransport({
    endpoints: upstream.endpoints.reveal(),
    headers: upstream.headers.reveal(),
    compression: upstream.compression,
    timeoutMs: upstream.timeoutMs,
    // Only the runtime's own `fetch` finds its way through a proxy.
    fetch: upstream.proxied ? undefined : plain.fetch,
    clock,
  });
  const retryBudget = new RetryBudget(clock);
  return new Destination({ name, transport, retryBudget, throttleMaxMs: config.breaker.throttleMaxMs, clock });
}

function laneFor(signal: Signal, destination: Destination, upstream: Upstream, parts: ForwardingParts): Lane {
  const { config, journals, quarantine, hopId, observer, log, clock, sleep } = parts;
  const name = laneName(signal, destination.name);
  return new Lane({
    signal,
    destination,
    cursor: journals[signal].cursor(destination.name, "reject"),
    breaker: new CircuitBreaker({ ...config.breaker, name, clock }),
    attemptTimeoutMs: upstream.timeoutMs[signal],
    isDurable: journals[signal].isDurable,
    quarantine,
    hopId,
    observer,
    log,
    clock,
    sleep,
  });
}
