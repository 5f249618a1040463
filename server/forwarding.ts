import { CircuitBreaker } from "../core/breaker.ts";
import type { Clock } from "../core/clock.ts";
import type { ExportObserver } from "../exporters/export_observer.ts";
import type { Journal, OnFull } from "../exporters/journal/journal.ts";
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
import { StartError } from "./start_error.ts";
import type { DestinationPlan } from "./upstream.ts";

/** What forwarding is made of. */
export interface ForwardingParts {
  readonly config: Pick<Config, "destinations" | "breaker">;
  readonly journals: Readonly<Record<Signal, Journal>>;
  /** Where records go that a destination refuses for good; undefined for nowhere. */
  readonly quarantine: QuarantineStore | undefined;
  readonly hopId: string;
  readonly observer: ExportObserver;
  readonly log: Log;
  readonly clock: Clock;
  readonly sleep: Sleep;
}

/**
 * The lanes: one for each signal of each destination, with a cursor, a circuit and counters of its own. Those of a
 * destination whose endpoints are on one host share its pauses and its retry budget; a host that asks for a pause speaks
 * for its own signals, not for those that go elsewhere.
 *
 * ```
 *   journal of traces ──┬──► traces -> upstream   "reject": full, it makes senders come back
 *                       └──► traces -> second     "drop_oldest": full, it lets go of its oldest
 * ```
 */
export class Forwarding {
  readonly #lanes: readonly Lane[];
  readonly #destinations: readonly Destination[];
  readonly #plain = new PlainFetch();

  /**
   * @param parts From which journals, by whose settings.
   * @throws {StartError} When two destinations have one name, or one has none.
   */
  constructor(parts: ForwardingParts) {
    const { destinations: plans } = parts.config;
    mustHaveNames(plans);
    const berths = plans.flatMap((plan) =>
      byHost(plan).map((signals) => {
        const destination = destinationFor(plan, parts, this.#plain);
        return { destination, lanes: signals.map((signal) => laneFor(signal, destination, plan, parts)) };
      })
    );
    this.#destinations = berths.map(({ destination }) => destination);
    this.#lanes = berths.flatMap(({ lanes }) => lanes);
  }

  /** Begins to send. */
  start(): void {
    for (const lane of this.#lanes) lane.start();
  }

  /** How each lane stands; none without a destination. */
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

/** Two of one name would share a place in the journal, and each would have a part of what is meant for both. */
function mustHaveNames(plans: readonly DestinationPlan[]): void {
  const names = plans.map(({ name }) => name);
  const wrong = names.filter((name, index) => name === "" || names.indexOf(name) !== index);
  if (wrong.length === 0) return;
  throw new StartError(
    [...new Set(wrong)].map((name) => `destinations must each have a name of their own, received "${name}"`),
  );
}

function byHost({ signals, shownEndpoints }: DestinationPlan): readonly (readonly Signal[])[] {
  const hosts = Map.groupBy(signals, (signal) => new URL(shownEndpoints[signal]!).host);
  return [...hosts.values()];
}

function destinationFor(plan: DestinationPlan, { config, clock }: ForwardingParts, plain: PlainFetch): Destination {
  const transport = new HttpTransport({
    endpoints: plan.endpoints.reveal(),
    headers: plan.headers.reveal(),
    compression: plan.compression,
    timeoutMs: plan.timeoutMs,
    // Only the runtime's own `fetch` finds its way through a proxy.
    fetch: plan.proxied ? undefined : plain.fetch,
    fetchTakesParts: !plan.proxied,
    clock,
  });
  const retryBudget = new RetryBudget(clock);
  const { throttleMaxMs } = config.breaker;
  return new Destination({ name: plan.name, transport, retryBudget, throttleMaxMs, clock });
}

function laneFor(signal: Signal, destination: Destination, plan: DestinationPlan, parts: ForwardingParts): Lane {
  const { config, journals, quarantine, hopId, observer, log, clock, sleep } = parts;
  const name = laneName(signal, destination.name);
  return new Lane({
    signal,
    destination,
    cursor: journals[signal].cursor(destination.name, onFullOf(signal, plan, config)),
    breaker: new CircuitBreaker({ ...config.breaker, name, clock }),
    attemptTimeoutMs: plan.timeoutMs[signal],
    isDurable: journals[signal].isDurable,
    quarantine,
    hopId,
    observer,
    log,
    clock,
    sleep,
  });
}

/** Each signal has one destination that speaks for all when there is no room: somebody must tell the sender. */
function onFullOf(signal: Signal, plan: DestinationPlan, { destinations }: Pick<Config, "destinations">): OnFull {
  const first = destinations.find(({ signals }) => signals.includes(signal));
  return plan.onFull ?? (plan === first ? "reject" : "drop_oldest");
}
