import type { JournalEntry, TakeLimits } from "../exporters/journal/journal.ts";
import { itemsText, type Signal } from "../exporters/signal.ts";
import type { LaneStatus } from "./health.ts";
import { ANSWER_GRACE_MS, answerTo } from "./lane_attempt.ts";
import type { Job } from "./lane_job.ts";
import { LaneNotes } from "./lane_notes.ts";
import { type LaneOptions, type LaneSetup, laneSetup } from "./lane_options.ts";
import { type ParkedRecord, PoisonWatch } from "./lane_poison.ts";
import { LaneSettler } from "./lane_settler.ts";
import { LaneTurns } from "./lane_turns.ts";

/**
 * Even a lane that has nothing to do comes round this often, so that one that is stuck can be told from one that
 * sleeps.
 */
export const HEARTBEAT_MS = 10_000;

/** What a lane waits for when nothing can be sent now. */
interface Rest {
  /** At most so long, in milliseconds. */
  readonly ms: number;
  /** Whether a new record ends the wait. */
  readonly untilWork: boolean;
}

const UNTIL_WORK: Rest = { ms: Infinity, untilWork: true };
const UNTIL_ANSWER: Rest = { ms: Infinity, untilWork: false };

const EVERYTHING: TakeLimits = { recordCountMax: Infinity, itemCountMax: Infinity, bytesMax: Infinity };
const ONE: TakeLimits = { ...EVERYTHING, recordCountMax: 1 };

/** The name of a lane, and of its circuit, in logs. */
export function laneName(signal: Signal, destination: string): string {
  return `${signal} -> ${destination}`;
}

/**
 * The way of one signal to one destination: takes records from its cursor, sends them through its circuit, and settles
 * each by the answer. While the circuit is closed several merged requests are in flight; otherwise one record, the
 * oldest, is the probe. What fails is given back and waits: for the back-off, for the circuit's deadline, for the
 * destination.
 *
 * ```
 *   cursor ──take──► merge ──permit──► send ──answer──► verdict ──► acknowledge
 *     ▲                                                    │
 *     └───────────────── give back, wait ◄─────────────────┘
 * ```
 */
export class Lane {
  readonly signal: Signal;
  readonly name: string;
  readonly #setup: LaneSetup;
  readonly #notes: LaneNotes;
  readonly #turns: LaneTurns;
  readonly #poison: PoisonWatch;
  readonly #settler: LaneSettler;
  readonly #jobs = new Map<Job, Promise<void>>();
  readonly #ending = new AbortController();
  #waking = new AbortController();
  #running: Promise<void> | undefined;
  #drainUntilMs = Infinity;
  #loopDueAtMs = Infinity;

  /**
   * @throws {RangeError} When a number is outside its range.
   * @throws {TypeError} When one is no number.
   */
  constructor(options: LaneOptions) {
    this.#setup = laneSetup(options);
    this.signal = options.signal;
    this.name = laneName(options.signal, options.destination.name);
    this.#notes = new LaneNotes((entry) => this.#setup.cursor.partOf(entry));
    this.#turns = new LaneTurns(this.#setup, this.#notes, (limits) => this.#take(limits));
    this.#poison = new PoisonWatch(this.#setup);
    this.#settler = new LaneSettler(this.name, this.#setup, this.#notes, this.#poison);
    this.#setup.breaker.onTransition(({ from, to, reason }) => {
      this.#settler.transitioned(from, to, reason);
      if (to === "closed") this.#turns.splitBacklog();
    });
  }

  /** Begins to send. Does nothing when the lane has begun already. */
  start(): void {
    this.#running ??= this.#run();
  }

  /**
   * Sends what it can, and ends what is in flight at the deadline; sooner when nothing is left, or when nothing can be
   * sent before it. What is left is dropped, as `shutdown`, unless it is kept: then nothing is gained by waiting for a
   * destination that is not well. Never rejects; later calls wait for the first.
   *
   * @param deadlineMs How long that may take, in milliseconds from now.
   */
  drain(deadlineMs: number): Promise<void> {
    this.#drainUntilMs = Math.min(this.#drainUntilMs, this.#setup.clock.nowMs() + deadlineMs);
    this.start();
    this.#waking.abort("woken");
    return this.#running ?? Promise.resolve();
  }

  /** How the lane stands. Reading has no side effects. */
  status(): LaneStatus {
    const { breaker, destination, cursor } = this.#setup;
    const { lastSuccessAtMs, lastFailureAtMs, lastFailure, failureCount } = this.#settler;
    const { suspended, misconfigured } = this.#settler.standing;
    return {
      destination: destination.name,
      signal: this.signal,
      circuitState: breaker.state,
      throttled: breaker.throttled || destination.floorMs > 0,
      suspended,
      misconfigured,
      inFlightCount: this.#jobs.size,
      parkedCount: this.#poison.parked.length,
      queued: cursor.queued,
      lastSuccessAtMs,
      lastFailureAtMs,
      lastFailure,
      failureCount,
      openedCount: breaker.counters.opened,
      retryInMs: this.#pauseMs(),
      loopDueAtMs: this.#loopDueAtMs,
    };
  }

  async #run(): Promise<void> {
    this.#turns.splitBacklog();
    while (!this.#waitsInVain) {
      const rest = this.#startWhatMayStart();
      if (this.#mayEnd(rest)) break;
      await this.#rest(rest);
    }
    await this.#finish();
  }

  /** Starts sends until none may start. A fault of our own costs a wait, never the lane. */
  #startWhatMayStart(): Rest {
    try {
      for (;;) {
        const rest = this.#startOne();
        if (rest !== "started") return rest;
      }
    } catch (error) {
      this.#setup.log("error", `${this.name}: ${String(error)}`);
      return { ms: this.#setup.backoffMs, untilWork: false };
    }
  }

  #startOne(): Rest | "started" {
    const { breaker, clock, destination } = this.#setup;
    if (this.#settler.standing.suspendedForMs > 0) {
      this.#rejectWhatWaits();
      return UNTIL_WORK;
    }
    const pauseMs = this.#pauseMs();
    if (pauseMs > 0) return { ms: pauseMs, untilWork: false };
    const probing = breaker.state !== "closed" || this.#settler.standing.misconfigured ||
      this.#settler.standing.suspended;
    if (this.#jobs.size >= (probing ? 1 : this.#setup.inFlightMax)) return UNTIL_ANSWER;

    const job = this.#pick(probing);
    if (job === undefined) {
      const parked = this.#nextParked();
      return parked === undefined ? UNTIL_WORK : { ms: parked.nextAttemptAtMs - clock.nowMs(), untilWork: true };
    }
    // Probes are exempt: they are rare by themselves, and the way back.
    const isRetry = !probing && job.entries.some((entry) => this.#notes.get(entry)?.isRetry);
    if (isRetry && !destination.retryBudget.take()) {
      this.#putBack(job);
      return { ms: this.#setup.backoffMs, untilWork: false };
    }
    if (!isRetry) destination.retryBudget.earn();
    const permit = breaker.acquire();
    if (permit < 0) {
      this.#putBack(job);
      return { ms: Math.max(breaker.retryAfterMs, 1), untilWork: false };
    }
    const sent = this.#carry(job, permit);
    this.#jobs.set(job, sent);
    return "started";
  }

  /** How long nothing may be sent, in milliseconds. */
  #pauseMs(): number {
    const { breaker, clock, destination } = this.#setup;
    const untilOwnMs = breaker.state === "closed"
      ? this.#settler.standing.notBeforeMs - clock.nowMs()
      : this.#jobs.size > 0
      ? 0
      : breaker.retryAfterMs;
    return Math.max(0, untilOwnMs, destination.floorMs);
  }

  /** What to send next: a parked record whose turn it is, a probe, or as much as may be merged. */
  #pick(probing: boolean): Job | undefined {
    const { clock } = this.#setup;
    const parked = this.#nextParked();
    if (!probing && parked !== undefined && parked.nextAttemptAtMs <= clock.nowMs()) {
      return this.#parkedJob(parked);
    }
    const job = probing ? this.#pickProbe() : this.#pickBatch();
    // A circuit that opened when the queue ran empty: only what is parked can show that the backend is back.
    if (job === undefined && probing && parked !== undefined) return this.#parkedJob(parked);
    return job;
  }

  #pickBatch(): Job | undefined {
    const entries = this.#turns.take();
    return entries.length === 0 ? undefined : this.#job("batch", entries, []);
  }

  /** The oldest record, unmerged; after several failures with the same one, a record behind it. */
  #pickProbe(): Job | undefined {
    const [head] = this.#take(ONE);
    if (head === undefined) return undefined;
    const picked = [head];
    const index = this.#poison.probeIndex(head.sequence);
    while (picked.length <= index) {
      const [next] = this.#take(ONE);
      if (next === undefined) break;
      picked.push(next);
    }
    return this.#job("probe", picked.slice(-1), picked.slice(0, -1));
  }

  #take(limits: TakeLimits): readonly JournalEntry[] {
    const entries = this.#setup.cursor.take(limits);
    const [first] = entries;
    this.#settler.tellOfExpired();
    if (first !== undefined) this.#notes.taken(first, (sequence) => this.#isInHand(sequence));
    return entries;
  }

  #isInHand(sequence: number): boolean {
    const isIt = (entry: JournalEntry) => entry.sequence === sequence;
    return this.#poison.parked.some(({ entry }) => isIt(entry)) ||
      [...this.#settler.refusals.leaving].some(isIt) ||
      [...this.#jobs.keys()].some(({ entries }) => entries.some(isIt));
  }

  #parkedJob(parked: ParkedRecord): Job {
    return { ...this.#job("parked", [parked.entry], []), parked };
  }

  #job(kind: Job["kind"], entries: readonly JournalEntry[], skipped: readonly JournalEntry[]): Job {
    const [first] = entries;
    const piece = entries.length === 1 && first !== undefined ? this.#notes.get(first)?.pieces?.[0] : undefined;
    const itemCount = piece?.itemCount ?? entries.reduce((sum, entry) => sum + entry.itemCount, 0);
    const wasClosed = this.#setup.breaker.state === "closed";
    return { kind, entries, skipped, parked: undefined, piece, itemCount, wasClosed, settled: false, leaving: [] };
  }

  #putBack({ kind, entries, skipped }: Job): void {
    if (kind !== "parked") this.#settler.giveBack([...skipped, ...entries]);
  }

  /** One parked record at a time: it is expected to fail, perhaps slowly. */
  #nextParked(): ParkedRecord | undefined {
    return this.#poison.inFlight === undefined ? this.#poison.next() : undefined;
  }

  async #carry(job: Job, permit: number): Promise<void> {
    const { clock } = this.#setup;
    const startedAtMs = clock.nowMs();
    if (job.parked !== undefined) job.parked.inFlight = true;
    try {
      this.#countRedelivered(job);
      const noted = this.#setup.cursor.noted();
      if (noted !== undefined) await noted;

      const answer = await answerTo(job, this.#setup, this.#ending.signal);
      if (!job.settled) this.#settler.conclude(job, permit, answer, clock.nowMs() - startedAtMs);
      if (job.leaving.length > 0) await Promise.all(job.leaving);
    } catch (error) {
      this.#setup.log("error", `${this.name}: ${String(error)}`);
    } finally {
      this.#jobs.delete(job);
      if (job.parked !== undefined) job.parked.inFlight = false;
      this.#waking.abort("woken");
    }
  }

  /** An attempt whose answer was lost may have arrived: now that it is sent again, there may be two of it. */
  #countRedelivered(job: Job): void {
    for (const entry of job.entries) {
      const note = this.#notes.get(entry);
      if (note === undefined || note.lostItems === 0) continue;
      this.#setup.cursor.countRedelivered(note.lostItems);
      note.lostItems = 0;
    }
  }

  /** While suspended nothing is held: this destination will never take it. */
  #rejectWhatWaits(): void {
    const { mergeRecordsMax } = this.#setup;
    for (const { entry } of this.#poison.clear("at_rest")) this.#settler.reject(entry, "unsupported");
    for (;;) {
      const entries = this.#take({ ...EVERYTHING, recordCountMax: mergeRecordsMax });
      if (entries.length === 0) return;
      for (const entry of entries) this.#settler.reject(entry, "unsupported");
    }
  }

  /** Sleeps until there may be something to do. */
  async #rest({ ms, untilWork }: Rest): Promise<void> {
    const { clock, cursor, sleep } = this.#setup;
    const restMs = Math.min(ms, HEARTBEAT_MS, Math.max(0, this.#drainUntilMs - clock.nowMs()));
    this.#loopDueAtMs = clock.nowMs() + restMs;
    const waking = this.#waking = new AbortController();
    const waits = [sleep(restMs, waking.signal)];
    if (untilWork) waits.push(cursor.untilSomethingWaits(waking.signal));
    await Promise.race(waits);
    waking.abort("rested");
  }

  /** Whether a draining lane has done what it can before its deadline. */
  #mayEnd({ ms, untilWork }: Rest): boolean {
    const leftMs = this.#drainUntilMs - this.#setup.clock.nowMs();
    if (leftMs <= 0) return true;
    if (leftMs === Infinity || this.#jobs.size > 0) return false;
    return ms >= leftMs || (untilWork && this.#poison.parked.length === 0);
  }

  /** Whether a draining lane, whose records are kept anyway, would only wait for a destination to become well. */
  get #waitsInVain(): boolean {
    const { breaker, destination, isDurable } = this.#setup;
    if (!isDurable || this.#drainUntilMs === Infinity) return false;
    if (this.#settler.refusals.leaving.size > 0) return false; // It waits for the disk, not for the destination.
    if (breaker.state === "open") return true;
    const { failing, misconfigured, suspended } = this.#settler.standing;
    const isWell = breaker.state === "closed" && destination.floorMs === 0 && !failing && !misconfigured && !suspended;
    return !isWell && this.#jobs.size === 0;
  }

  async #finish(): Promise<void> {
    this.#ending.abort();
    if (this.#jobs.size > 0) {
      const answered = new AbortController();
      const patience = this.#setup.sleep(ANSWER_GRACE_MS, answered.signal);
      await Promise.race([Promise.all(this.#jobs.values()), patience]);
      answered.abort();
    }
    if (this.#setup.isDurable) this.#keepWhatIsLeft();
    else this.#dropWhatIsLeft();
    this.#loopDueAtMs = Infinity;
  }

  /** The next start finds it where it is. What is in flight stays so: whoever takes it again counts it as redelivered. */
  #keepWhatIsLeft(): void {
    const { cursor, log } = this.#setup;
    for (const job of this.#jobs.keys()) {
      if (job.settled) continue;
      job.settled = true;
      this.#settler.giveBack(job.skipped);
    }
    // Nobody has what was refused, however far its bytes have come.
    cursor.release(this.#settler.refusals.abandon());
    this.#settler.giveBack(this.#poison.clear("at_rest").map(({ entry }) => entry));
    const { items } = cursor.queued;
    if (items > 0) log("info", `${this.name}: left on the disk for the next start: ${itemsText(items, this.signal)}`);
  }

  #dropWhatIsLeft(): void {
    const { cursor, log } = this.#setup;
    // A parked record of which a piece is on its way into the quarantine is in both places.
    const left = new Set(this.#settler.refusals.abandon());
    for (const { entry } of this.#poison.clear("all")) left.add(entry);
    for (const job of this.#jobs.keys()) {
      if (job.settled) continue;
      job.settled = true;
      for (const entry of [...job.skipped, ...job.entries]) left.add(entry);
    }
    for (;;) {
      const entries = cursor.take(EVERYTHING);
      if (entries.length === 0) break;
      for (const entry of entries) left.add(entry);
    }
    const itemCount = [...left].reduce((sum, entry) => sum + this.#settler.drop(entry, "shutdown"), 0);
    if (itemCount > 0) log("warning", `${this.name}: dropped ${itemsText(itemCount, this.signal)} at shutdown`);
  }
}
