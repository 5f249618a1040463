import type { CircuitBreaker, Outcome } from "../core/breaker.ts";
import { CircuitOpenError } from "../core/circuit_open_error.ts";
import type { ExportObserver } from "./export_observer.ts";
import { type CircuitBreakerExporterOptions, type ExporterSettings, exporterSettings } from "./exporter_options.ts";
import { isolatedObserver, runIsolated } from "./isolation.ts";
import { type CountByReason, type Reason, tally } from "./reason.ts";
import type { ExportResult, ResultCallback } from "./sdk_types.ts";
import type { Signal } from "./signal.ts";
import type { Sleep } from "./sleep.ts";
import { logTransitions } from "./transition_log.ts";

/** What every OpenTelemetry exporter can do, whatever it carries. */
export interface GuardedExporter<Batch> {
  export(batch: Batch, resultCallback: ResultCallback): void;
  forceFlush?(): Promise<void>;
  shutdown(): Promise<void>;
}

/**
 * What became of the items given to an exporter, since it was made: `accepted = delivered + dropped + queued`, exactly,
 * at any moment. Items are spans, data points or log records.
 */
export interface ExportAccount {
  /** Items given to `export`. */
  readonly accepted: number;
  /** Items of batches that the inner exporter has answered with success. */
  readonly delivered: number;
  /** Items of batches that were refused, failed, or not answered in time; an absent reason is 0. */
  readonly dropped: Readonly<CountByReason>;
  /** Items in flight: the inner exporter has them and has not answered yet. */
  readonly queued: number;
}

/** How an export ended. */
type Ending =
  | { readonly status: "delivered" }
  | { readonly status: "failed"; readonly reason: Reason; readonly error: Error; readonly outcome: Outcome };

/** An export that the inner exporter has and has not answered. */
interface Flight {
  readonly itemCount: number;
  /** Ends the wait for the deadline. */
  landing: AbortController | undefined;
  /** Resolves when the export has ended, in one way or another. */
  landed: Promise<void> | undefined;
}

// OpenTelemetry's `ExportResultCode`: its enum is run-time code of an SDK, which is used here only as a type.
const SUCCESS = 0;
const FAILED = 1;

/**
 * The least time an inner exporter gets to shut down, when exports in flight have used up the rest, in milliseconds.
 */
const INNER_SHUTDOWN_MS_MIN = 1;

/** The part that the three wrappers share: a breaker and a deadline around `export`, an account, and an orderly end. */
export class GuardedExport<Batch> {
  readonly #signal: Signal;
  readonly #inner: GuardedExporter<Batch>;
  readonly #countItems: (batch: Batch) => number;
  readonly #settings: ExporterSettings;
  readonly #observer: Required<ExportObserver>;
  readonly #inFlight = new Set<Flight>();
  #accepted = 0;
  #delivered = 0;
  readonly #dropped: CountByReason = {};
  #shutdown: Promise<void> | undefined;

  constructor(
    signal: Signal,
    inner: GuardedExporter<Batch>,
    countItems: (batch: Batch) => number,
    options: CircuitBreakerExporterOptions,
  ) {
    this.#signal = signal;
    this.#inner = inner;
    this.#countItems = countItems;
    this.#settings = exporterSettings(signal, options);
    const { breaker, ownsBreaker, observer, report, clock } = this.#settings;
    this.#observer = isolatedObserver(observer, report, clock);
    if (ownsBreaker) breaker.onTransition(({ name, from, to }) => this.#observer.transitioned({ name, from, to }));
    logTransitions(breaker);
  }

  get breaker(): CircuitBreaker {
    return this.#settings.breaker;
  }

  get account(): ExportAccount {
    let queued = 0;
    for (const { itemCount } of this.#inFlight) queued += itemCount;
    return { accepted: this.#accepted, delivered: this.#delivered, dropped: { ...this.#dropped }, queued };
  }

  /** Exports a batch. Answers exactly once and never throws, whatever the inner exporter and the callback do. */
  export(batch: Batch, callback: ResultCallback): void {
    const itemCount = this.#count(batch);
    if (this.#shutdown !== undefined) {
      return this.#refuse(itemCount, "shutdown", new Error("Cannot export: the exporter is shut down"), callback);
    }
    if (itemCount === 0) return this.#answer(callback, { code: SUCCESS });
    const { concurrentExportsMax } = this.#settings;
    if (this.#inFlight.size >= concurrentExportsMax) {
      const error = new Error(`Cannot export: ${concurrentExportsMax} exports are in flight already`);
      return this.#refuse(itemCount, "queue_full", error, callback);
    }
    const permit = this.#acquire();
    if (typeof permit === "number") return this.#send(batch, itemCount, permit, callback);
    const reason = permit instanceof CircuitOpenError ? "circuit_open" : "export_failed";
    this.#refuse(itemCount, reason, permit, callback);
  }

  /**
   * Flushes the inner exporter, for at most the export timeout; at once and without asking it while the circuit is
   * open.
   */
  async forceFlush(): Promise<void> {
    const { breaker, exportTimeoutMs, sleep } = this.#settings;
    if (this.#shutdown !== undefined || breaker.state === "open") return;
    await within(exportTimeoutMs, "flush", sleep, async () => await this.#inner.forceFlush?.());
  }

  /**
   * Waits for exports in flight, then shuts the inner exporter down: once, and for at most the export timeout together.
   */
  shutdown(): Promise<void> {
    this.#shutdown ??= this.#end();
    return this.#shutdown;
  }

  async #end(): Promise<void> {
    const { clock, exportTimeoutMs, sleep } = this.#settings;
    const startedMs = clock.nowMs();
    await Promise.resolve(); // Lets an export that is just being begun set its deadline.
    // Each has a deadline of its own, which is not later than ours.
    await Promise.all([...this.#inFlight].map(({ landed }) => landed));
    const leftMs = Math.max(Math.ceil(exportTimeoutMs - (clock.nowMs() - startedMs)), INNER_SHUTDOWN_MS_MIN);
    await within(leftMs, "shut down", sleep, async () => await this.#inner.shutdown());
  }

  #acquire(): number | Error {
    const { breaker } = this.#settings;
    try {
      const permit = breaker.acquire();
      return permit >= 0 ? permit : new CircuitOpenError("export", breaker);
    } catch (error) {
      return asError(error); // A breaker that was taken apart throws. The traced program must not notice.
    }
  }

  #send(batch: Batch, itemCount: number, permit: number, callback: ResultCallback): void {
    const flight: Flight = { itemCount, landing: undefined, landed: undefined };
    const settle = this.#begin(flight, permit, callback);
    runIsolated(
      () => this.#inner.export(batch, (result) => settle(endingOf(result))),
      (error) => settle(failure("export_failed", asError(error))),
    );
    if (this.#inFlight.has(flight)) this.#watch(flight, settle);
  }

  /** Puts an export into flight; what is returned lands it, the first time it is called. */
  #begin(flight: Flight, permit: number, callback: ResultCallback): (ending: Ending) => void {
    const { clock } = this.#settings;
    const startedMs = clock.nowMs();
    this.#accepted += flight.itemCount;
    this.#inFlight.add(flight);
    // The inner exporter may keep what it was given for ever: it must not keep the caller with it.
    let waiting: ResultCallback | undefined = callback;
    return (ending) => {
      if (waiting === undefined) return;
      const answerTo = waiting;
      waiting = undefined;
      this.#inFlight.delete(flight);
      flight.landing?.abort();
      this.#settle(ending, flight.itemCount, permit, clock.nowMs() - startedMs, answerTo);
    };
  }

  /** Sets the deadline. Only an export that was not answered at once needs one. */
  #watch(flight: Flight, settle: (ending: Ending) => void): void {
    const { exportTimeoutMs, sleep } = this.#settings;
    flight.landing = new AbortController();
    flight.landed = sleep(exportTimeoutMs, flight.landing.signal).then(() =>
      settle(failure("deadline", new Error(`Cannot export: no answer within ${exportTimeoutMs} ms`)))
    );
  }

  #settle(ending: Ending, itemCount: number, permit: number, durationMs: number, callback: ResultCallback): void {
    const { breaker, report } = this.#settings;
    const succeeded = ending.status === "delivered";
    if (succeeded) this.#delivered += itemCount;
    else tally(this.#dropped, ending.reason, itemCount);
    // The account balances from here on. What follows is told to others, who may look at it.
    runIsolated(
      () => breaker.record(permit, succeeded ? "success" : ending.outcome),
      (error) => report("A circuit breaker refused the outcome of an export", error),
    );
    this.#observer.attempted({ signal: this.#signal, itemCount, durationMs, succeeded });
    if (!succeeded) this.#observer.dropped({ signal: this.#signal, itemCount, reason: ending.reason });
    this.#answer(callback, succeeded ? { code: SUCCESS } : { code: FAILED, error: ending.error });
  }

  #refuse(itemCount: number, reason: Reason, error: Error, callback: ResultCallback): void {
    if (itemCount > 0) {
      this.#accepted += itemCount;
      tally(this.#dropped, reason, itemCount);
      this.#observer.dropped({ signal: this.#signal, itemCount, reason });
    }
    this.#answer(callback, { code: FAILED, error });
  }

  #answer(callback: ResultCallback, result: ExportResult): void {
    runIsolated(
      () => callback(result),
      (error) => this.#settings.report("The result callback of an export failed", error),
    );
  }

  #count(batch: Batch): number {
    try {
      const itemCount = this.#countItems(batch);
      if (Number.isSafeInteger(itemCount) && itemCount >= 0) return itemCount;
    } catch {
      // Not a batch. It is one thing that was given to us, and the inner exporter may know what it is.
    }
    return 1;
  }
}

function endingOf(result: ExportResult | undefined): Ending {
  if (result?.code === SUCCESS) return { status: "delivered" };
  const error = asError(result?.error ?? "Cannot export: the inner exporter failed and did not say why");
  return { ...failure("export_failed", error), outcome: blamesTheData(error) ? "ignored" : "failure" };
}

function failure(reason: Reason, error: Error) {
  return { status: "failed", reason, error, outcome: "failure" } as const;
}

/**
 * Whether a backend that works has refused this batch for what is in it: one bad batch says nothing about the next. The
 * stock OTLP exporters give the HTTP status as `error.code`.
 */
function blamesTheData(error: Error): boolean {
  const status = (error as { readonly code?: unknown }).code;
  return typeof status === "number" && status >= 400 && status < 500 && !BLAMES_THE_SENDER.has(status);
}

/** Refused for who asks, where, or how often: the next batch would fare no better. */
const BLAMES_THE_SENDER = new Set([401, 403, 404, 405, 429]);

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** @throws {Error} When `work` fails, or has not ended within `ms`. */
async function within(ms: number, action: string, sleep: Sleep, work: () => Promise<unknown>): Promise<void> {
  const ended = new AbortController();
  const late = sleep(ms, ended.signal).then(() => {
    throw new Error(`Cannot ${action} the inner exporter: no answer within ${ms} ms`);
  });
  const done = work().catch((error: unknown) => {
    throw new Error(`Cannot ${action} the inner exporter: ${asError(error).message}`, { cause: error });
  });
  try {
    await Promise.race([done, late]);
  } finally {
    late.catch(() => {}); // Aborting the wait ends it, and nobody listens any more.
    ended.abort();
  }
}
