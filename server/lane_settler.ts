import type { CircuitState, ExportObserver } from "../exporters/export_observer.ts";
import { isolatedObserver } from "../exporters/isolation.ts";
import type { JournalEntry } from "../exporters/journal/journal.ts";
import { type Reason, tally } from "../exporters/reason.ts";
import { ITEM_NAMES } from "../exporters/signal.ts";
import { backoffMs } from "../exporters/transport/backoff.ts";
import type { SendAnswer } from "../exporters/transport/transport.ts";
import type { LaneNotes, Piece } from "./lane_notes.ts";
import type { LaneSetup } from "./lane_options.ts";
import type { ParkedRecord, PoisonWatch } from "./lane_poison.ts";
import { verdictOn } from "./lane_verdict.ts";

/** One request on its way. */
export interface Job {
  /** A `batch` is sent while all is well, a `probe` to find out, a `parked` record to see whether it passes at last. */
  readonly kind: "batch" | "probe" | "parked";
  readonly entries: readonly JournalEntry[];
  /** Records before the probe's, taken but not sent. */
  readonly skipped: readonly JournalEntry[];
  /** The place of a `parked` record. */
  readonly parked: ParkedRecord | undefined;
  /** The part of the one record that is sent, where it is sent in parts. */
  readonly piece: Piece | undefined;
  readonly itemCount: number;
  /** Whether the circuit was closed when it was sent. */
  readonly wasClosed: boolean;
  /** True once its records have been settled without its answer. */
  settled: boolean;
}

/** How often what became of data is told in the log, each kind by itself: the account counts every item of it. */
const WARNING_INTERVAL_MS = 60_000;

/** Draws the consequences of answers: for the circuit, for the records, for the lane's next step, for people. */
export class LaneSettler {
  readonly #name: string;
  readonly #setup: LaneSetup;
  readonly #notes: LaneNotes;
  readonly #poison: PoisonWatch;
  /** Whoever watches cannot disturb what is watched. */
  readonly #observer: Required<ExportObserver>;
  #consecutiveFailureCount = 0;
  #deliveryCount = 0;
  #notBeforeMs = -Infinity;
  #suspendedUntilMs: number | undefined;
  #misconfigured = false;
  readonly #warnedAtMs = new Map<Reason | "answer", number>();
  #lastSuccessAtMs: number | undefined;
  #lastFailureAtMs: number | undefined;
  #lastFailure: { readonly reason: Reason; readonly message: string } | undefined;
  #failureCount = 0;
  #expiredCountTold: number;
  /** What was wrong with the attempt that the circuit is being told of. */
  #heard = "";

  constructor(name: string, setup: LaneSetup, notes: LaneNotes, poison: PoisonWatch) {
    this.#name = name;
    this.#setup = setup;
    this.#notes = notes;
    this.#poison = poison;
    this.#expiredCountTold = setup.cursor.totals.dropped.expired ?? 0;
    const { observer, log, clock } = setup;
    const report = (message: string, error: unknown) => log("error", `${name}: ${message}: ${String(error)}`);
    this.#observer = isolatedObserver(observer, report, clock);
  }

  /** The monotonic moment before which a lane with a closed circuit sends nothing, in milliseconds. */
  get notBeforeMs(): number {
    return this.#notBeforeMs;
  }

  /** The destination has no such signal, as far as is known. */
  get suspended(): boolean {
    return this.#suspendedUntilMs !== undefined;
  }

  /** Until the destination is asked again whether it has the signal, in milliseconds. */
  get suspendedForMs(): number {
    return Math.max(0, (this.#suspendedUntilMs ?? -Infinity) - this.#setup.clock.nowMs());
  }

  get misconfigured(): boolean {
    return this.#misconfigured;
  }

  get lastSuccessAtMs(): number | undefined {
    return this.#lastSuccessAtMs;
  }

  get lastFailureAtMs(): number | undefined {
    return this.#lastFailureAtMs;
  }

  get lastFailure(): { readonly reason: Reason; readonly message: string } | undefined {
    return this.#lastFailure;
  }

  get failureCount(): number {
    return this.#failureCount;
  }

  /** Settles a job by its answer, or gives its records back. */
  conclude(job: Job, permit: number, answer: SendAnswer, durationMs: number): void {
    const { backoffMs: initialMs, backoffMaxMs: maxMs, random, breaker } = this.#setup;
    const throttleFloorMs = backoffMs(0, { initialMs, maxMs }, random());
    const verdict = verdictOn(answer, job.entries.length > 1, throttleFloorMs);
    // What is parked is known to fail: while others pass, its failures say nothing about the backend.
    const isKnownToFail = job.kind === "parked" && job.wasClosed && verdict.circuit === "failure";
    this.#heard = answer.message;
    breaker.record(permit, isKnownToFail ? "ignored" : verdict.circuit);
    this.#heard = "";
    this.#takeDown(job, answer, durationMs);
    this.#nextStep(answer, verdict.data === "keep" && !isKnownToFail);
    this.#settleSkipped(job, verdict.circuit === "success");
    if (job.kind === "probe" && verdict.circuit === "failure") this.#poison.probeFailed();

    switch (verdict.data) {
      case "delivered":
        return this.#delivered(job, answer.status === "delivered" ? answer.rejectedCount : 0);
      case "reject":
        return this.#rejected(job, verdict.reason ?? "export_failed", answer.message);
      case "split":
        return this.#tooLarge(job, answer.message);
      case "one_by_one":
        this.#notes.takeApart(job.entries);
        return this.giveBack(job.entries);
      case "keep":
        return this.#kept(job, answer, verdict.circuit === "failure");
    }
  }

  /**
   * Gives records back to the queue, to be taken again. One that is sent in pieces must not be merged, nor sent whole.
   */
  giveBack(entries: readonly JournalEntry[]): void {
    for (const entry of entries) if (this.#notes.get(entry)?.pieces !== undefined) this.#notes.sendAlone(entry);
    this.#setup.cursor.release(entries);
  }

  /** The queue drops what has waited too long by itself; here people are told. */
  tellOfExpired(): void {
    const { cursor, signal } = this.#setup;
    const expiredCount = cursor.totals.dropped.expired ?? 0;
    const itemCount = expiredCount - this.#expiredCountTold;
    if (itemCount === 0) return;
    if (this.#warn("expired", `dropped ${itemCount} ${ITEM_NAMES[signal]} that had waited too long`)) {
      this.#expiredCountTold = expiredCount;
    }
  }

  /** Drops what is not settled of a record yet. @returns How many items that were. */
  drop(entry: JournalEntry, reason: Reason): number {
    const { cursor, signal } = this.#setup;
    const itemCount = this.#notes.unsettledItems(entry);
    cursor.acknowledge(entry, this.#notes.settlement(entry, { dropped: { [reason]: itemCount } }));
    this.#notes.forget(entry);
    this.#observer.dropped({ signal, itemCount, reason });
    return itemCount;
  }

  /** Gives up what is not settled of a record yet. */
  reject(entry: JournalEntry, reason: Reason): void {
    const itemCount = this.#notes.unsettledItems(entry);
    this.#setup.cursor.acknowledge(entry, this.#notes.settlement(entry, { rejected: { [reason]: itemCount } }));
    this.#notes.forget(entry);
  }

  /** The circuit has changed its state. */
  transitioned(from: CircuitState, to: CircuitState, reason: string): void {
    const { log } = this.#setup;
    if (to === "open") this.#notes.forgiveAll();
    if (to === "closed") this.#notBeforeMs = -Infinity;
    const heard = to === "open" && this.#heard !== "" ? `: ${this.#heard}` : "";
    log(to === "open" ? "warning" : "info", `${this.#name}: circuit ${from} -> ${to}: ${reason}${heard}`);
    this.#observer.transitioned({ name: this.#name, from, to });
  }

  /** Keeps what health and metrics want to know. */
  #takeDown(job: Job, answer: SendAnswer, durationMs: number): void {
    const { clock, signal } = this.#setup;
    const succeeded = answer.status === "delivered";
    if (succeeded) {
      this.#lastSuccessAtMs = clock.wallMs();
      if (answer.message !== "") this.#warn("answer", answer.message);
    } else {
      this.#lastFailureAtMs = clock.wallMs();
      this.#lastFailure = { reason: answer.reason, message: answer.message };
      this.#failureCount++;
    }
    this.#observer.attempted({ signal, itemCount: job.itemCount, durationMs, succeeded });
  }

  /** What the answer means for the lane as a whole. */
  #nextStep(answer: SendAnswer, waits: boolean): void {
    const { backoffMs: initialMs, backoffMaxMs: maxMs, clock, log, misconfiguredPauseMs, random } = this.#setup;
    if (answer.status === "delivered") {
      this.#deliveryCount++;
      if (this.#misconfigured || this.suspended) log("info", `${this.#name}: the destination takes this signal again`);
    }
    this.#setMisconfigured(answer);
    this.#setSuspended(answer);
    if (!waits) {
      this.#consecutiveFailureCount = 0;
      return;
    }
    const floorMs = answer.status === "misconfigured"
      ? misconfiguredPauseMs
      : answer.status === "retryable"
      ? answer.retryAfterMs ?? 0
      : 0;
    const waitMs = backoffMs(this.#consecutiveFailureCount, { initialMs, maxMs }, random(), floorMs);
    this.#consecutiveFailureCount++;
    this.#notBeforeMs = Math.max(this.#notBeforeMs, clock.nowMs() + waitMs);
  }

  /** Only another kind of answer from the backend itself takes a misconfiguration back; silence does not. */
  #setMisconfigured(answer: SendAnswer): void {
    if (answer.status === "retryable" || answer.status === "throttled") return;
    const isNews = answer.status === "misconfigured" && !this.#misconfigured;
    this.#misconfigured = answer.status === "misconfigured";
    if (isNews) {
      this.#setup.log(
        "error",
        `${this.#name}: refused, check the configuration: ${answer.message}; its telemetry waits`,
      );
    }
  }

  #setSuspended(answer: SendAnswer): void {
    const { clock, log, suspendedMs } = this.#setup;
    if (answer.status !== "unsupported") {
      this.#suspendedUntilMs = undefined;
      return;
    }
    if (!this.suspended) {
      log(
        "warning",
        `${this.#name}: ${answer.message}; rejected from now on, asked again every ${suspendedMs / 1000} s`,
      );
    }
    this.#suspendedUntilMs = clock.nowMs() + suspendedMs;
  }

  /** A probe that passed has shown that the records before it, which did not, are at fault themselves. */
  #settleSkipped({ skipped, kind }: Job, passed: boolean): void {
    if (kind !== "probe") return;
    if (!passed) return this.giveBack(skipped);
    this.#poison.probePassed();
    for (const entry of skipped) this.#park(entry);
  }

  #park(entry: JournalEntry): void {
    const crowdedOut = this.#poison.park(entry, this.#setup.clock.nowMs());
    if (crowdedOut !== undefined) this.reject(crowdedOut.entry, this.#notes.take(crowdedOut.entry).reason);
  }

  #delivered(job: Job, rejectedCount: number): void {
    const [first] = job.entries;
    if (job.piece !== undefined && first !== undefined) {
      const note = this.#notes.take(first);
      const rejected = Math.min(rejectedCount, job.piece.itemCount);
      note.delivered += job.piece.itemCount - rejected;
      if (rejected > 0) tally(note.rejected, "partial_success", rejected);
      return this.#pieceDone(job, first);
    }
    // Which of the merged records the rejected items were in is not said; only their sum has to be right.
    let rejectedLeft = rejectedCount;
    for (const entry of job.entries) {
      const rejected = Math.min(Math.max(0, rejectedLeft), entry.itemCount);
      rejectedLeft -= rejected;
      this.#setup.cursor.acknowledge(entry, {
        delivered: entry.itemCount - rejected,
        ...(rejected > 0 ? { rejected: { partial_success: rejected } } : {}),
      });
      this.#done(job, entry);
    }
  }

  #rejected(job: Job, reason: Reason, message: string): void {
    const [first] = job.entries;
    // A missing signal is told of when the lane is suspended.
    if (reason !== "unsupported") {
      this.#warn(reason, `gave up ${job.itemCount} ${ITEM_NAMES[this.#setup.signal]}: ${message}`);
    }
    if (job.piece !== undefined && first !== undefined && reason !== "unsupported") {
      tally(this.#notes.take(first).rejected, reason, job.piece.itemCount);
      return this.#pieceDone(job, first);
    }
    for (const entry of job.entries) {
      this.reject(entry, reason);
      this.#done(job, entry);
    }
  }

  #tooLarge(job: Job, message: string): void {
    const { requests, signal } = this.#setup;
    const [entry] = job.entries;
    if (entry === undefined) return;
    const halves = requests.split(job.piece?.body ?? entry.payload, signal);
    if (halves.length < 2) return this.#rejected(job, "too_large", message);
    const pieces = halves.map((body) => ({ body, itemCount: requests.count(body, signal) }));
    const note = this.#notes.take(entry);
    note.pieces = [...pieces, ...(note.pieces ?? []).slice(1)];
    if (job.parked === undefined) this.giveBack([entry]);
  }

  /** One part of a record is settled: on with the next, or the record is done. */
  #pieceDone(job: Job, entry: JournalEntry): void {
    const { cursor } = this.#setup;
    const note = this.#notes.take(entry);
    note.isRetry = false;
    note.pieces?.shift();
    if (note.pieces !== undefined && note.pieces.length > 0) {
      if (job.parked === undefined) this.giveBack([entry]);
      return;
    }
    cursor.acknowledge(entry, this.#notes.settlement(entry, {}));
    this.#done(job, entry);
  }

  #done(job: Job, entry: JournalEntry): void {
    this.#notes.forget(entry);
    if (job.parked !== undefined) this.#poison.unpark(job.parked);
  }

  /** Nobody has it, or nobody knows: it is sent again. */
  #kept(job: Job, answer: SendAnswer, failed: boolean): void {
    const lost = answer.status === "retryable" && answer.answerLost;
    for (const entry of job.entries) {
      const note = this.#notes.take(entry);
      if (lost) note.lostItems = job.piece?.itemCount ?? entry.itemCount;
      if (answer.status !== "delivered") note.reason = answer.reason;
      note.isRetry = true;
    }
    if (job.parked !== undefined) return this.#parkedFailed(job, job.parked, failed);
    const [first] = job.entries;
    if (first !== undefined && failed && this.#failsWhereOthersPass(job)) {
      if (job.entries.length === 1 && this.#poison.hasRoom) return this.#park(first);
      this.#notes.takeApart(job.entries);
    }
    this.giveBack(job.entries);
  }

  /**
   * With several requests in flight a poison record may never open the circuit, because others pass between its
   * failures. It is found by that: it failed as often as a poison head, the circuit stayed closed, and something was
   * delivered.
   */
  #failsWhereOthersPass(job: Job): boolean {
    if (!job.wasClosed || this.#setup.breaker.state !== "closed") return false;
    const notes = job.entries.map((entry) => this.#notes.take(entry));
    for (const note of notes) {
      if (note.failureCount === 0) note.deliveriesAtFirstFailure = this.#deliveryCount;
      note.failureCount++;
    }
    return notes.every((note) =>
      note.failureCount >= this.#setup.headProbesMax && note.deliveriesAtFirstFailure < this.#deliveryCount
    );
  }

  #parkedFailed(job: Job, record: ParkedRecord, failed: boolean): void {
    const { backoffMs: initialMs, backoffMaxMs: maxMs, breaker, clock, log, random, signal } = this.#setup;
    const waitMs = backoffMs(record.failureCount, { initialMs, maxMs }, random());
    record.nextAttemptAtMs = clock.nowMs() + waitMs;
    // In an outage everything fails; only while others pass does a failure speak against the record.
    const isCounted = failed && job.wasClosed && breaker.state === "closed";
    if (!isCounted || !this.#poison.parkedFailed(record, record.nextAttemptAtMs)) return;
    const { reason } = this.#notes.take(record.entry);
    const itemCount = this.#notes.unsettledItems(record.entry);
    this.reject(record.entry, reason);
    this.#poison.unpark(record);
    log("warning", `${this.#name}: gave up ${itemCount} ${ITEM_NAMES[signal]} that nobody would take: ${reason}`);
  }

  /** @returns Whether it was told. */
  #warn(kind: Reason | "answer", message: string): boolean {
    const { clock, log } = this.#setup;
    if (clock.nowMs() - (this.#warnedAtMs.get(kind) ?? -Infinity) < WARNING_INTERVAL_MS) return false;
    this.#warnedAtMs.set(kind, clock.nowMs());
    log("warning", `${this.#name}: ${message}`);
    return true;
  }
}
