import { type Clock, systemClock } from "../core/clock.ts";
import type { Signal } from "../exporters/signal.ts";
import type { RetryBudget } from "../exporters/transport/retry_budget.ts";
import type { RequestBody, SendAnswer, SendOptions, Transport } from "../exporters/transport/transport.ts";

/** How a destination is made. */
export interface DestinationOptions {
  /** Its name in metrics, logs and the journal's cursors. */
  readonly name: string;
  /** Carries requests for all three signals, without retry and without a breaker: the lanes bring their own. */
  readonly transport: Transport;
  /** Shared by the destination's lanes, so that three signals do not retry three times as much as one. */
  readonly retryBudget: RetryBudget;
  /**
   * The longest pause that the destination can impose on all its signals at once, in milliseconds.
   * @default {300_000}
   */
  readonly throttleMaxMs?: number;
  /** @default {systemClock} */
  readonly clock?: Clock;
}

/** Reasons as for the circuit's own `throttleMaxMs`: a backend's mistake must not silence us for hours. */
const THROTTLE_MAX_MS = 300_000;

/**
 * One backend: what its three lanes have in common. A 503 with `Retry-After` speaks for the whole backend, so it sets a
 * floor that the other signals wait out as well; their circuits keep their state.
 */
export class Destination implements Transport {
  readonly name: string;
  readonly retryBudget: RetryBudget;
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #throttleMaxMs: number;
  readonly #succeeded = new Set<Signal>();
  #floorEndsAtMs = -Infinity;

  constructor(options: DestinationOptions) {
    this.name = options.name;
    this.retryBudget = options.retryBudget;
    this.#transport = options.transport;
    this.#clock = options.clock ?? systemClock;
    this.#throttleMaxMs = options.throttleMaxMs ?? THROTTLE_MAX_MS;
  }

  /** The signals that this destination has taken at least once. */
  get succeeded(): ReadonlySet<Signal> {
    return this.#succeeded;
  }

  /** How long all signals have to wait, in milliseconds; 0 when the destination asks for no pause. */
  get floorMs(): number {
    return Math.max(0, this.#floorEndsAtMs - this.#clock.nowMs());
  }

  /** Sends, and learns from the answer what concerns the other signals. */
  async send(body: RequestBody, options: SendOptions): Promise<SendAnswer> {
    const answer = await this.#transport.send(body, options);
    if (answer.status === "delivered") this.#succeeded.add(options.signal);
    if (answer.status === "throttled" && answer.wholeDestination) this.#raiseFloor(answer.retryAfterMs);
    return answer;
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  /** A shorter wish does not take back a longer one: the lanes that heard the longer one are still waiting. */
  #raiseFloor(retryAfterMs: number): void {
    const endsAtMs = this.#clock.nowMs() + Math.min(retryAfterMs, this.#throttleMaxMs);
    this.#floorEndsAtMs = Math.max(this.#floorEndsAtMs, endsAtMs);
  }
}
