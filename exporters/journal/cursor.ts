import type { Clock } from "../../core/clock.ts";
import type { CountByReason, Reason } from "../reason.ts";
import { tally } from "../reason.ts";
import type { Sleep } from "../sleep.ts";
import type { CursorState, UnsettledEntry } from "./cursor_state.ts";
import { EntryHeap } from "./entry_heap.ts";
import { pointAfter, type RecordHead, storedBytes, type StreamPoint } from "./format.ts";
import type { Cursor, CursorTotals, JournalEntry, OnFull, Queued, Settlement, TakeLimits } from "./journal.ts";
import { CursorLedger, mustAddUp } from "./ledger.ts";
import type { Found, StreamReader } from "./reader.ts";
import { Waiters } from "./waiters.ts";

/** What a cursor needs of its journal. */
export interface DiskCursorOptions {
  readonly state: CursorState;
  /** The end of the stream when the cursor is opened. */
  readonly end: StreamPoint;
  readonly reader: StreamReader;
  /** What has been discarded since the beginning, at every cursor. */
  readonly discarded: Readonly<CountByReason>;
  /** How old a record may become, in milliseconds; 0 for any age. */
  readonly recordAgeMaxMs: number;
  /** How long a disk that does not answer is left alone. */
  readonly retryMs: number;
  readonly clock: Clock;
  readonly sleep: Sleep;
  /** Told after each change of what the state says. */
  readonly onChange: () => void;
  /** Resolves when the state as it is now was written, or could not be. */
  readonly noted: () => Promise<void>;
  /** Told when the disk cannot be read, and with undefined when it can again. */
  readonly onDisk: (error: unknown) => void;
}

/** Entries that may be out of a cursor's order at a time: its state has to name each of them. */
export const UNSETTLED_COUNT_MAX = 16_384;

/** What one `take` reads at most, but for the first entry: its caller holds it in memory. */
const TAKE_BYTES_MAX = 64 * 2 ** 20;

/** Records that one call steps over, because they are too old or damaged, before it comes back. */
const SKIP_COUNT_MAX = 4096;

/** How often a place is read in vain before it is taken for damaged, if others can be read. */
const READ_ATTEMPTS_MAX = 3;

/** An entry before the frontier, and where it is. */
interface Unsettled extends Omit<UnsettledEntry, "isInFlight"> {
  isInFlight: boolean;
  /** Whether a process before this one may have delivered it. */
  maybeDelivered: boolean;
}

/**
 * One cursor on the disk. It holds places, not payloads: those are read when they are taken.
 *
 * ```
 *   stream, from the frontier on ──take──► in flight ──acknowledge──► settled
 *                                          │      ▲
 *                                     release    take, first
 *                                          ▼      │
 *                                        given back
 * ```
 */
export class DiskCursor implements Cursor {
  readonly name: string;
  readonly onFull: OnFull;
  readonly #options: DiskCursorOptions;
  /** The stream's first record that was never taken here. It only moves forward. */
  #frontier: StreamPoint;
  #end: StreamPoint;
  /** What stands at the frontier, once it was looked for. */
  #found: Exclude<Found, { kind: "unreadable" }> | undefined;
  /** By sequence, and in that order: an entry comes in when the frontier passes it, and goes when it is settled. */
  readonly #unsettled = new Map<number, Unsettled>();
  readonly #givenBack = new EntryHeap<Unsettled>();
  /** The last entry that was read and then not taken, because it did not fit to those before it. */
  #readAhead: JournalEntry | undefined;
  readonly #ledger: CursorLedger;
  readonly #waiters = new Waiters();
  queuedItems: number;
  queuedBytes: number;
  /** While the disk does not answer nothing is taken. */
  #heldUntilMs = -Infinity;
  #readAttempts = 0;

  constructor(options: DiskCursorOptions) {
    const { state, end } = options;
    this.name = state.name;
    this.onFull = state.onFull;
    this.#options = options;
    this.#frontier = state.frontier;
    this.#end = end;
    this.#ledger = new CursorLedger(state.totals);
    this.queuedItems = end.items - state.frontier.items;
    this.queuedBytes = end.position - state.frontier.position;
    for (const entry of state.unsettled) {
      const unsettled: Unsettled = { ...entry, isInFlight: false, maybeDelivered: entry.isInFlight };
      this.#unsettled.set(entry.sequence, unsettled);
      this.#givenBack.push(unsettled);
      this.queuedItems += entry.itemCount;
      this.queuedBytes += storedBytes(entry);
    }
  }

  get queued(): Queued {
    const [oldest] = this.#unsettled.values();
    // Whoever only looks changes nothing: damage is counted when it is stepped over.
    const next = oldest === undefined ? this.#look() : undefined;
    const oldestReceivedAtMs = (next?.kind === "record" ? next.head : oldest)?.receivedAtMs;
    return { items: this.queuedItems, bytes: this.queuedBytes, oldestReceivedAtMs };
  }

  get totals(): CursorTotals {
    const totals = this.#ledger.totals;
    const dropped: CountByReason = { ...totals.dropped };
    const { discarded, state: { discardedBefore } } = this.#options;
    for (const [reason, count] of Object.entries(discarded) as [Reason, number][]) {
      const own = count - (discardedBefore[reason] ?? 0);
      if (own > 0) tally(dropped, reason, own);
    }
    return { ...totals, dropped };
  }

  /** Where the cursor stands. */
  get state(): CursorState {
    return {
      name: this.name,
      onFull: this.onFull,
      frontier: this.#frontier,
      unsettled: [...this.#unsettled.values()].map((entry) => ({
        ...entry,
        isInFlight: entry.isInFlight || entry.maybeDelivered,
      })),
      totals: this.#ledger.totals,
      discardedBefore: this.#options.state.discardedBefore,
    };
  }

  /** Whether anything between two positions of the stream is still wanted here. */
  wants(from: number, to: number): boolean {
    if (this.#frontier.position < to) return true;
    for (const { at } of this.#unsettled.values()) {
      if (at.position >= to) return false;
      if (at.position >= from) return true;
    }
    return false;
  }

  take({ recordCountMax, itemCountMax, bytesMax }: TakeLimits): readonly JournalEntry[] {
    const taken: JournalEntry[] = [];
    let itemCount = 0;
    let bytes = 0;
    this.dropExpired();
    for (let skips = 0; taken.length < recordCountMax && skips < SKIP_COUNT_MAX && this.#mayTake;) {
      const next = this.#nextWaiting();
      if (next === undefined) break;
      itemCount += next.itemCount;
      bytes += next.payloadBytes;
      const fits = itemCount <= itemCountMax && bytes <= Math.min(bytesMax, TAKE_BYTES_MAX);
      if (taken.length > 0 && !fits) break;
      const entry = this.#read(next);
      if (entry === "unreadable") break;
      if (entry === "damage") {
        itemCount -= next.itemCount;
        bytes -= next.payloadBytes;
        this.#dropNext("corrupt");
        skips++;
        continue;
      }
      if (taken.length > 0 && entry.hops !== taken[0].hops) break;
      this.#handOut(entry);
      taken.push(entry);
    }
    if (taken.length > 0) this.#options.onChange();
    return taken;
  }

  async noted(): Promise<void> {
    const { noted, retryMs, sleep } = this.#options;
    const isNoted = new AbortController();
    await Promise.race([noted(), sleep(retryMs, isNoted.signal)]);
    isNoted.abort();
  }

  acknowledge(entry: JournalEntry, settlement: Settlement): void {
    const unsettled = this.#mustBeInFlight("acknowledge", entry);
    mustAddUp(unsettled.itemCount, settlement);
    this.#ledger.settle(settlement);
    const wasFull = this.#unsettled.size >= UNSETTLED_COUNT_MAX;
    this.#forget(unsettled);
    if (wasFull) this.#waiters.wake();
    this.#options.onChange();
  }

  /** @throws {RangeError} When an entry is not in flight; none is given back then. */
  release(entries: readonly JournalEntry[]): void {
    const all = new Set(entries.map((entry) => this.#mustBeInFlight("release", entry)));
    for (const unsettled of all) {
      unsettled.isInFlight = false;
      this.#givenBack.push(unsettled);
    }
    if (all.size === 0) return;
    this.#waiters.wake();
    this.#options.onChange();
  }

  countRedelivered(itemCount: number): void {
    this.#ledger.countRedelivered(itemCount);
    this.#options.onChange();
  }

  async untilSomethingWaits(abort: AbortSignal): Promise<void> {
    while (!abort.aborted && !this.#somethingWaits) {
      const heldMs = this.#heldUntilMs - this.#options.clock.nowMs();
      if (heldMs > 0) await this.#options.sleep(heldMs, abort);
      else await this.#waiters.next(abort);
    }
  }

  /** Lets go of what has become too old, as far as it can be seen from the front. */
  dropExpired(): void {
    const { recordAgeMaxMs, clock } = this.#options;
    if (recordAgeMaxMs === 0) return;
    const oldestMs = clock.wallMs() - recordAgeMaxMs;
    for (let skips = 0; skips < SKIP_COUNT_MAX; skips++) {
      const next = this.#nextWaiting();
      if (next === undefined || next.receivedAtMs >= oldestMs) return;
      this.#dropNext("expired");
    }
  }

  /** Lets go of the oldest entry that is not in flight; false when there is none. */
  dropOldest(): boolean {
    if (this.#nextWaiting() === undefined) return false;
    this.#dropNext("queue_full");
    return true;
  }

  /** The stream has become longer by this record. @param keep Whether there is room for it. */
  appended(head: RecordHead, keep: boolean): void {
    const isNext = this.#frontier.position === this.#end.position;
    this.#end = pointAfter(head);
    this.queuedItems += head.itemCount;
    this.queuedBytes += storedBytes(head);
    if (isNext) this.#found = { kind: "record", head };
    // Nothing but what is in flight is before it, so the newcomer itself is the oldest that can be dropped.
    if (!keep && isNext) this.#dropNext("queue_full");
    else this.#waiters.wake();
  }

  get #somethingWaits(): boolean {
    if (this.#heldUntilMs > this.#options.clock.nowMs()) return false;
    return this.#mayTake && (this.#givenBack.oldest !== undefined || this.#frontier.position < this.#end.position);
  }

  get #mayTake(): boolean {
    return this.#givenBack.oldest !== undefined || this.#unsettled.size < UNSETTLED_COUNT_MAX;
  }

  /** The oldest entry that is not in flight: one that was given back, or the one at the frontier. */
  #nextWaiting(): Unsettled | undefined {
    const givenBack = this.#givenBack.oldest;
    if (givenBack !== undefined) return givenBack;
    const head = this.#peek();
    return head && { ...head, sequence: head.at.sequence, isInFlight: false, maybeDelivered: false };
  }

  /** The record at the frontier. What is damaged before it is counted and stepped over. */
  #peek(): RecordHead | undefined {
    for (let skips = 0; skips < SKIP_COUNT_MAX; skips++) {
      const found = this.#look();
      if (found?.kind !== "damage") return found?.head;
      this.#lose(found.next);
    }
    return undefined;
  }

  /** What stands at the frontier; undefined at the end of the stream, and while the disk does not answer. */
  #look(): Exclude<Found, { kind: "unreadable" }> | undefined {
    if (this.#found !== undefined) return this.#found;
    const { reader, clock } = this.#options;
    if (this.#frontier.position >= this.#end.position || this.#heldUntilMs > clock.nowMs()) return undefined;
    const found = reader.find(this.#frontier, this.#readAttempts >= READ_ATTEMPTS_MAX);
    if (found.kind === "unreadable") return void this.#hold(found.error);
    if (found.kind === "record") this.#answered();
    return this.#found = found;
  }

  #lose(next: StreamPoint): void {
    const lostItems = next.items - this.#frontier.items;
    this.#ledger.drop(lostItems, "corrupt");
    this.queuedItems -= lostItems;
    this.queuedBytes -= next.position - this.#frontier.position;
    this.#frontier = next;
    this.#found = undefined;
    this.#options.onChange();
  }

  #read({ at, ...next }: Unsettled): JournalEntry | "damage" | "unreadable" {
    if (this.#readAhead?.sequence === next.sequence) return this.#readAhead;
    const { reader, clock } = this.#options;
    if (this.#heldUntilMs > clock.nowMs()) return "unreadable";
    const insist = this.#readAttempts >= READ_ATTEMPTS_MAX;
    const found = reader.find(at, insist);
    const body = found.kind === "record" ? reader.body(found.head, insist) : found;
    if (body.kind === "unreadable") {
      this.#hold(body.error);
      return "unreadable";
    }
    if (body.kind !== "body") return "damage";
    this.#answered();
    const { sequence, itemCount, receivedAtMs } = next;
    return this.#readAhead = { sequence, itemCount, receivedAtMs, hops: body.hops, payload: body.payload };
  }

  /** The next that waits is in flight from now on. */
  #handOut(entry: JournalEntry): void {
    const unsettled = this.#removeNext();
    unsettled.isInFlight = true;
    this.#readAhead = undefined;
    if (!unsettled.maybeDelivered) return;
    unsettled.maybeDelivered = false;
    this.#ledger.countRedelivered(entry.itemCount);
  }

  #dropNext(reason: Reason): void {
    const dropped = this.#removeNext();
    this.#ledger.drop(dropped.itemCount, reason);
    this.#forget(dropped);
    this.#options.onChange();
  }

  /** Takes the next that waits from where it was: after this it is before the frontier, and not given back. */
  #removeNext(): Unsettled {
    const next = this.#nextWaiting();
    if (next === undefined) throw new Error(`Cannot remove: nothing waits at cursor "${this.name}"`);
    if (this.#givenBack.pop() !== undefined) return next;
    this.#frontier = pointAfter(next);
    this.#found = undefined;
    this.#unsettled.set(next.sequence, next);
    return next;
  }

  #forget(entry: Unsettled): void {
    this.#unsettled.delete(entry.sequence);
    this.queuedItems -= entry.itemCount;
    this.queuedBytes -= storedBytes(entry);
  }

  #hold(error: unknown): void {
    this.#readAttempts++;
    this.#heldUntilMs = this.#options.clock.nowMs() + this.#options.retryMs;
    this.#options.onDisk(error);
  }

  /** A record was read: whoever had to insist does not have to any more. */
  #answered(): void {
    if (this.#readAttempts > 0) this.#options.onDisk(undefined);
    this.#readAttempts = 0;
  }

  #mustBeInFlight(action: string, entry: JournalEntry): Unsettled {
    const unsettled = this.#unsettled.get(entry.sequence);
    if (unsettled?.isInFlight) return unsettled;
    throw new RangeError(
      `Cannot ${action}: "entry" must have been taken at cursor "${this.name}" and not be settled or given back, ` +
        `received sequence ${entry.sequence}`,
    );
  }
}
