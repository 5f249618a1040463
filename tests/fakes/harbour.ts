import { setImmediate } from "node:timers";
import { CircuitBreaker } from "../../core/breaker.ts";
import type { ExportObserver } from "../../exporters/export_observer.ts";
import type { AppendAnswer, Cursor, Journal, OnFull } from "../../exporters/journal/journal.ts";
import type { QuarantineStore } from "../../exporters/journal/quarantine.ts";
import { MemoryJournal } from "../../exporters/journal/memory_journal.ts";
import type { Signal } from "../../exporters/signal.ts";
import { RetryBudget } from "../../exporters/transport/retry_budget.ts";
import { Account, type DestinationBalance } from "../../server/account.ts";
import { Destination } from "../../server/destination.ts";
import { Lane } from "../../server/lane.ts";
import type { LaneLimits } from "../../server/lane_options.ts";
import type { RequestTools } from "../../server/otlp_requests.ts";
import { FakeClock } from "./clock.ts";
import { type Script, ScriptedTransport } from "./backend.ts";

/** Bodies of one byte an item: what is merged, split and counted can be read from them. */
export const BYTE_REQUESTS: RequestTools = {
  merge: (payloads) => Uint8Array.from(payloads.flatMap((payload) => [...payload])),
  split: (payload) => {
    const middle = Math.ceil(payload.length / 2);
    return payload.length < 2 ? [payload] : [payload.subarray(0, middle), payload.subarray(middle)];
  },
  count: (payload) => payload.length,
};

/** What a test may change about its lanes. */
export interface HarbourOptions extends LaneLimits {
  readonly signal?: Signal;
  readonly failureThreshold?: number;
  readonly successThreshold?: number;
  readonly cooldownMs?: number;
  readonly cooldownMaxMs?: number;
  readonly itemsMax?: number;
  readonly recordAgeMaxMs?: number;
  /** Whether the lanes are told that what is left at the end is kept. */
  readonly isDurable?: boolean;
  readonly observer?: ExportObserver;
  readonly quarantine?: QuarantineStore;
  readonly seed?: number;
}

/** One journal, any number of destinations with a lane each, and a clock that stands still. */
export class Harbour {
  readonly clock: FakeClock;
  readonly log: string[] = [];
  readonly journal: Journal;
  readonly account: Account;
  readonly #options: HarbourOptions;
  readonly #lanes: Lane[] = [];

  /** @param journal One that is there already. @default {one in memory} */
  constructor(options: HarbourOptions = {}, clock: FakeClock = new FakeClock(), journal?: Journal) {
    this.clock = clock;
    const { signal = "traces", itemsMax = 1_000_000, recordAgeMaxMs } = options;
    this.#options = options;
    this.journal = journal ?? new MemoryJournal(signal, { itemsMax, bytesMax: 64_000_000, recordAgeMaxMs, clock });
    this.account = new Account([this.journal]);
  }

  /** A destination with its transport, and the lane that leads there. */
  berth(name: string, script?: Script, onFull: OnFull = "reject"): Berth {
    const transport = new ScriptedTransport(this.clock, script);
    const retryBudget = new RetryBudget(this.clock);
    const destination = new Destination({ name, transport, retryBudget, clock: this.clock });
    return this.lane(destination, transport, onFull);
  }

  /** A lane to a destination that is already there. */
  lane(
    destination: Destination,
    transport: ScriptedTransport,
    onFull: OnFull = "reject",
    journal: Journal = this.journal,
  ): Berth {
    const { failureThreshold = 3, successThreshold = 1, cooldownMs = 5000, cooldownMaxMs = 30_000 } = this.#options;
    const cursor = journal.cursor(destination.name, onFull);
    const breaker = new CircuitBreaker({
      failureThreshold,
      successThreshold,
      probeEveryNth: 0,
      cooldownMs,
      cooldownMaxMs,
      cooldownJitter: 0,
      clock: this.clock,
    });
    const lane = new Lane({
      ...this.#options,
      signal: journal.signal,
      destination,
      cursor,
      breaker,
      hopId: "us",
      log: (level, message) => this.log.push(`${level} ${message}`),
      requests: BYTE_REQUESTS,
      clock: this.clock,
      sleep: this.clock.sleep,
      random: () => 0,
    });
    this.#lanes.push(lane);
    return { transport, destination, cursor, breaker, lane };
  }

  /**
   * Takes one record for each argument, and lets the lanes run. Each number is an item. Lanes start with the first
   * call, after its records: they find them all.
   */
  async receive(...records: readonly (readonly number[])[]): Promise<void> {
    for (const items of records) await this.receiveFrom("", items);
    await this.advance(0);
  }

  async receiveFrom(hops: string, items: readonly number[]): Promise<AppendAnswer> {
    const { signal } = this.journal;
    this.account.received(signal, items.length);
    const receivedAtMs = this.clock.wallMs();
    const answer = await this.journal.append({
      payload: Uint8Array.from(items),
      itemCount: items.length,
      receivedAtMs,
      hops,
    });
    if (answer !== "appended") this.account.refused(signal, answer, items.length);
    return answer;
  }

  /** Moves time, and lets the lanes run. */
  async advance(ms: number): Promise<void> {
    for (const lane of this.#lanes) lane.start();
    await this.clock.advance(ms);
    // One turn of the event loop: everything that is ready has run, however long its chain of promises.
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** What became of the signal's items at a destination. */
  balance(name: string): DestinationBalance {
    const signal = this.account.balance().signals.find(({ signal }) => signal === this.journal.signal);
    const balance = signal?.destinations.find(({ destination }) => destination === name);
    if (balance === undefined) throw new Error(`no destination ${name}`);
    return balance;
  }
}

/** One lane with everything it is made of. */
export interface Berth {
  readonly transport: ScriptedTransport;
  readonly destination: Destination;
  readonly cursor: Cursor;
  readonly breaker: CircuitBreaker;
  readonly lane: Lane;
}
