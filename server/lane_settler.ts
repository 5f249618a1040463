import type { CircuitState, ExportObserver } from "../exporters/export_observer.ts";
import { isolatedObserver } from "../exporters/isolation.ts";
import type { JournalEntry } from "../exporters/journal/journal.ts";
import type { QuarantineStore, RefusalCause } from "../exporters/journal/quarantine.ts";
import type { Reason } from "../exporters/reason.ts";
import { itemsText } from "../exporters/signal.ts";
import { backoffMs } from "../exporters/transport/backoff.ts";
import type { SendAnswer } from "../exporters/transport/transport.ts";
import type { Job } from "./lane_job.ts";
import type { LaneNotes } from "./lane_notes.ts";
import type { LaneSetup } from "./lane_options.ts";
import type { ParkedRecord, PoisonWatch } from "./lane_poison.ts";
import { type Kept, LaneRefusals } from "./lane_refusals.ts";
import { LaneStanding } from "./lane_standing.ts";
import { verdictOn } from "./lane_verdict.ts";

/** How often what became of data is told in the log, each kind by itself: the account counts every item of it. */
const WARNING_INTERVAL_MS = 60_000;

/** Draws the consequences of answers: for the circuit, for the records, for people. */
export class LaneSettler {
  /** What the answers say about the lane as a whole. */
  readonly standing: LaneStanding;
  /** What is refused for good, and on its way out. */
  readonly refusals: LaneRefusals;
  readonly #name: string;
  readonly #setup: LaneSetup;
  readonly #notes: LaneNotes;
  readonly #poison: PoisonWatch;
  /** Whoever watches cannot disturb what is watched. */
  readonly #observer: Required<ExportObserver>;
  #deliveryCount = 0;
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
    this.standing = new LaneStanding(name, setup);
    this.refusals = new LaneRefusals(name, setup, notes);
    const { observer, log, clock } = setup;
    const report = (message: string, error: unknown) => log("error", `${name}: ${message}: ${String(error)}`);
    this.#observer = isolatedObserver(observer, report, clock);
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

  /** Settles a job by its answer, or gives its records back, or sends them into the quarantine. */
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
    if (answer.status === "delivered") this.#deliveryCount++;
    this.standing.heard(answer, verdict.data === "keep" && !isKnownToFail);
    job.settled = true;
    this.#settleSkipped(job, verdict.circuit === "success");
    if (job.kind === "probe" && verdict.circuit === "failure") this.#poison.probeFailed();

    const reason = verdict.reason ?? "export_failed";
    switch (verdict.data) {
      case "delivered":
        return this.#delivered(job, answer.status === "delivered" ? answer.rejectedCount : 0);
      case "give_up":
        return this.#giveUp(job, { reason, message: answer.message });
      case "reject":
        return this.#rejected(job, reason, answer.message);
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
    const mayHaveArrived = (entry: JournalEntry) => this.#notes.mayHaveArrived(entry);
    this.#setup.cursor.release(entries.filter((entry) => !mayHaveArrived(entry)));
    this.#setup.cursor.release(entries.filter(mayHaveArrived), true);
  }

  /** The queue drops what has waited too long by itself; here people are told. */
  tellOfExpired(): void {
    const { cursor, signal } = this.#setup;
    const expiredCount = cursor.totals.dropped.expired ?? 0;
    const itemCount = expiredCount - this.#expiredCountTold;
    if (itemCount === 0) return;
    if (this.#warn("expired", `dropped ${itemsText(itemCount, signal)} that had waited too long`)) {
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
    if (to === "closed") this.standing.waitNoLonger();
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

  /** A probe that passed has shown that the records before it, which did not, are at fault themselves. */
  #settleSkipped(job: Job, passed: boolean): void {
    if (job.kind !== "probe") return;
    if (!passed) return this.giveBack(job.skipped);
    this.#poison.probePassed();
    for (const entry of job.skipped) this.#park(job, entry);
  }

  #park(job: Job, entry: JournalEntry): void {
    const crowdedOut = this.#poison.park(entry, this.#setup.clock.nowMs());
    if (crowdedOut !== undefined) this.#giveUpParked(job, crowdedOut);
  }

  #delivered(job: Job, rejectedCount: number): void {
    const [first] = job.entries;
    if (job.piece !== undefined && first !== undefined) {
      const { itemCount } = job.piece;
      const rejected = Math.min(rejectedCount, itemCount);
      this.#notes.settlePart(first, {
        delivered: itemCount - rejected,
        ...(rejected > 0 ? { rejected: { partial_success: rejected } } : {}),
      });
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

  /** Refused for good, for what it is: its bytes are worth a look. */
  #giveUp(job: Job, cause: RefusalCause): void {
    const { quarantine } = this.#setup;
    if (quarantine === undefined) return this.#rejected(job, cause.reason, cause.message);
    const [first] = job.entries;
    const tell = (kept: Kept) => this.#tellOfKept(quarantine, kept, cause.reason, cause.message);
    if (job.piece !== undefined && first !== undefined) {
      const sent = this.refusals.sendPiece(quarantine, first, job.piece, cause);
      job.leaving.push(sent.then((kept) => {
        if (kept === undefined) return;
        tell(kept);
        this.#pieceDone(job, first);
      }));
    } else {
      if (job.parked !== undefined) this.#poison.unpark(job.parked);
      job.leaving.push(this.refusals.send(quarantine, job.entries, cause).then(tell));
    }
  }

  /** Gives up a record that was put aside: nobody would take it. */
  #giveUpParked(job: Job, record: ParkedRecord): void {
    const { log, quarantine, signal } = this.#setup;
    this.#poison.unpark(record);
    const { cause } = this.#notes.take(record.entry);
    const why = `nobody would take them: ${cause.reason}`;
    if (quarantine === undefined) {
      const itemCount = this.#notes.unsettledItems(record.entry);
      this.reject(record.entry, cause.reason);
      return log("warning", `${this.#name}: gave up ${itemsText(itemCount, signal)}: ${why}`);
    }
    const sent = this.refusals.send(quarantine, [record.entry], cause);
    job.leaving.push(sent.then((kept) => this.#tellOfKept(quarantine, kept, cause.reason, why)));
  }

  #rejected(job: Job, reason: Reason, message: string): void {
    const [first] = job.entries;
    // A missing signal is told of when the lane is suspended.
    if (reason !== "unsupported") {
      this.#warn(reason, `gave up ${itemsText(job.itemCount, this.#setup.signal)}: ${message}`);
    }
    if (job.piece !== undefined && first !== undefined && reason !== "unsupported") {
      this.#notes.settlePart(first, { rejected: { [reason]: job.piece.itemCount } });
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
    const path = job.piece?.path ?? "";
    const pieces = halves.map((body, half) => ({ body, itemCount: requests.count(body, signal), path: path + half }));
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
      if (answer.status !== "delivered") note.cause = { reason: answer.reason, message: answer.message };
      note.isRetry = true;
    }
    if (job.parked !== undefined) return this.#parkedFailed(job, job.parked, failed);
    const [first] = job.entries;
    if (first !== undefined && failed && this.#failsWhereOthersPass(job)) {
      if (job.entries.length === 1 && this.#poison.hasRoom) return this.#park(job, first);
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
    const { backoffMs: initialMs, backoffMaxMs: maxMs, breaker, clock, random } = this.#setup;
    const waitMs = backoffMs(record.failureCount, { initialMs, maxMs }, random());
    record.nextAttemptAtMs = clock.nowMs() + waitMs;
    // In an outage everything fails; only while others pass does a failure speak against the record.
    const isCounted = failed && job.wasClosed && breaker.state === "closed";
    if (isCounted && this.#poison.parkedFailed(record, record.nextAttemptAtMs)) this.#giveUpParked(job, record);
  }

  #tellOfKept({ folder }: QuarantineStore, { quarantined, rejected }: Kept, reason: Reason, why: string): void {
    const { signal } = this.#setup;
    const where = `kept in ${folder}, see "deno task cli quarantine list"`;
    if (quarantined > 0) this.#warn(reason, `quarantined ${itemsText(quarantined, signal)}: ${why}; ${where}`);
    if (rejected > 0) {
      this.#warn(
        "quarantine_full",
        `gave up ${itemsText(rejected, signal)}, for which the quarantine has no room: ${why}`,
      );
    }
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
