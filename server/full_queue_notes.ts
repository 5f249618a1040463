import type { Clock } from "../core/clock.ts";
import { bySignal, itemsText, type Signal } from "../exporters/signal.ts";
import type { Log } from "./log.ts";

/**
 * A queue at its bound takes a record whenever one has left, and refuses the next: that is one state, and not many. It
 * has ended when nothing was refused for so long, in milliseconds.
 */
const QUIET_MS = 10_000;

interface Fullness {
  refusedItems: number;
  lastRefusalAtMs: number;
}

/** Tells people of queues that refuse what senders bring: one line when it begins, one when it has ended. */
export class FullQueueNotes {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #full: Record<Signal, Fullness | undefined> = bySignal(() => undefined);

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** A sender was told that there is no room. */
  refused(signal: Signal, itemCount: number): void {
    const full = this.#full[signal] ??= this.#begin(signal);
    full.refusedItems += itemCount;
    full.lastRefusalAtMs = this.#clock.nowMs();
  }

  /** A record was taken. */
  taken(signal: Signal): void {
    const full = this.#full[signal];
    if (full === undefined || this.#clock.nowMs() - full.lastRefusalAtMs < QUIET_MS) return;
    this.#full[signal] = undefined;
    this.#log("info", `${signal}: the queue has room again: ${itemsText(full.refusedItems, signal)} were refused`);
  }

  #begin(signal: Signal): Fullness {
    this.#log("warning", `${signal}: the queue is full: senders are refused, and asked to come again`);
    return { refusedItems: 0, lastRefusalAtMs: 0 };
  }
}
