import type { Clock } from "../../core/clock.ts";
import type { CountByReason, Reason } from "../reason.ts";
import { tally } from "../reason.ts";
import type { Sleep } from "../sleep.ts";
import { type CursorState, joined } from "./cursor_state.ts";
import { type DiskEntry, DiskPart, SKIP_COUNT_MAX } from "./disk_part.ts";
import { pointAfter, type RecordHead, type StreamPoint } from "./format.ts";
import type { Cursor, CursorTotals, JournalEntry, OnFull, Part, Queued, Settlement, TakeLimits } from "./journal.ts";
import { CursorLedger, mustAddUp } from "./ledger.ts";
import { PatientReader } from "./patient_reader.ts";
import type { StreamReader } from "./reader.ts";
import { Waiters } from "./waiters.ts";

/** What a cursor needs of its journal. */
export interface DiskCursorOptions {
  readonly state: CursorState;
  /** The end of the stream when the cursor is opened. */
  readonly end: StreamPoint;
  readonly reader: StreamReader;
  /** Whether nobody takes from it any more: it keeps what waits, and gets nothing new. */
  readonly isRetired: boolean;
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

/** Entries in flight or given back at a time, and stretches never taken: a cursor's state has to name each of them. */
export const UNSETTLED_COUNT_MAX = 16_384;

/** What one `take` reads at most, but for the first entry: its caller holds it in memory. */
const TAKE_BYTES_MAX = 64 * 2 ** 20;

/**
 * One cursor on the disk. It holds places, not payloads: those are read when they are taken.
 *
 * ```
 *   backlog, live: each in order ──take──► in flight ──acknowledge──► settled
 *      ▲                                      │
 *      └──────────────── release ◄────────────┘
 * ```
 */
export class DiskCursor implements Cursor {
  readonly name: string;
  readonly onFull: OnFull;
  readonly isRetired: boolean;
  readonly #options: DiskCursorOptions;
  readonly #backlog: DiskPart;
  #live: DiskPart;
  /** The sequence at which the cursor was last split. */
  #liveFrom: number;
  /** Where the stream ends, as far as this cursor was told. */
  #end: StreamPoint;
  /** By sequence: entries that are in flight or were given back. */
  readonly #unsettled = new Map<number, DiskEntry>();
  readonly #ledger: CursorLedger;
  readonly #waiters = new Waiters();

  constructor(options: DiskCursorOptions) {
    const { state, end, isRetired } = options;
    this.name = state.name;
    this.onFull = state.onFull;
    this.isRetired = isRetired;
    this.#options = options;
    this.#ledger = new CursorLedger(state.totals);
    this.#backlog = this.#newPart();
    this.#live = this.#newPart();
    this.#liveFrom = state.liveFrom;
    this.#end = end;
    for (const stretch of state.open) this.#partWith(stretch.from).add(stretch);
    if (state.end.position < end.position) this.#live.add({ from: state.end, to: end, maybeDelivered: false });
  }

  get queuedItems(): number {
    return this.#backlog.items + this.#live.items;
  }

  get queuedBytes(): number {
    return this.#backlog.bytes + this.#live.bytes;
  }

  get queued(): Queued {
    let oldest = this.#backlog.peek() ?? this.#live.peek();
    for (const entry of this.#unsettled.values()) {
      if (oldest === undefined || entry.sequence < oldest.sequence) oldest = entry;
    }
    return { items: this.queuedItems, bytes: this.queuedBytes, oldestReceivedAtMs: oldest?.head.receivedAtMs };
  }

  get backlog(): Pick<Queued, "items" | "bytes"> {
    return { items: this.#backlog.items, bytes: this.#backlog.bytes };
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
    const open = [...this.#unsettled.values(), ...this.#backlog.stretches, ...this.#live.stretches];
    return {
      name: this.name,
      onFull: this.onFull,
      end: this.#end,
      open: joined(open.sort((a, b) => a.from.sequence - b.from.sequence), this.#liveFrom),
      liveFrom: this.#liveFrom,
      totals: this.#ledger.totals,
      discardedBefore: this.#options.state.discardedBefore,
    };
  }

  /** Whether anything between two positions of the stream is still wanted here. */
  wants(from: number, to: number): boolean {
    for (const { stretches } of [this.#backlog, this.#live]) {
      if (stretches.some((stretch) => stretch.from.position < to && stretch.to.position > from)) return true;
    }
    for (const entry of this.#unsettled.values()) {
      if (entry.from.position >= from && entry.from.position < to) return true;
    }
    return false;
  }

  take({ recordCountMax, itemCountMax, bytesMax, from }: TakeLimits): readonly JournalEntry[] {
    const taken: JournalEntry[] = [];
    let itemCount = 0;
    let bytes = 0;
    this.dropExpired();
    for (let skips = 0; taken.length < recordCountMax && skips < SKIP_COUNT_MAX;) {
      const part = this.#nextPart(from);
      const next = part?.next();
      if (part === undefined || next === undefined || !this.#mayTakeFrom(part)) break;
      itemCount += next.head.itemCount;
      bytes += next.head.payloadBytes;
      const fits = itemCount <= itemCountMax && bytes <= Math.min(bytesMax, TAKE_BYTES_MAX);
      if (taken.length > 0 && !fits) break;
      const entry = part.read(next);
      if (entry === undefined) break;
      if (entry === "damage") {
        itemCount -= next.head.itemCount;
        bytes -= next.head.payloadBytes;
        this.#drop(part, next, "corrupt");
        skips++;
        continue;
      }
      if (taken.length > 0 && entry.hops !== taken[0].hops) break;
      this.#handOut(part, next);
      taken.push(entry);
    }
    if (taken.length > 0) this.#options.onChange();
    return taken;
  }

  async noted(): Promise<void> {
    const { noted, retryMs, sleep } = this.#options;
    const isNoted = new AbortController();
    await Promise.race([noted(), sleep(retryMs, isNoted.signal)]);
    isNoted.abort("noted");
  }

  acknowledge(entry: JournalEntry, settlement: Settlement): void {
    const unsettled = this.#mustBeInFlight("acknowledge", entry);
    mustAddUp(unsettled.head.itemCount, settlement);
    this.#ledger.settle(settlement);
    const wasFull = this.#isFull;
    this.#unsettled.delete(unsettled.sequence);
    this.#partWith(unsettled).forget(unsettled);
    if (wasFull) this.#waiters.wake();
    this.#options.onChange();
  }

  /** @throws {RangeError} When an entry is not in flight; none is given back then. */
  release(entries: readonly JournalEntry[], mayHaveArrived = false): void {
    const all = new Set(entries.map((entry) => this.#mustBeInFlight("release", entry)));
    for (const unsettled of all) {
      unsettled.isInFlight = false;
      unsettled.maybeDelivered = unsettled.isKnown = mayHaveArrived;
      this.#partWith(unsettled).giveBack(unsettled);
    }
    if (all.size === 0) return;
    this.#waiters.wake();
    this.#options.onChange();
  }

  split(): void {
    if (!this.#live.somethingWaits || this.#isFull) return;
    this.#backlog.absorb(this.#live);
    this.#live = this.#newPart();
    this.#liveFrom = this.#end.sequence;
    this.#options.onChange();
  }

  partOf({ sequence }: Pick<JournalEntry, "sequence">): Part {
    return sequence < this.#liveFrom ? "backlog" : "live";
  }

  countRedelivered(itemCount: number): void {
    this.#ledger.countRedelivered(itemCount);
    this.#options.onChange();
  }

  async untilSomethingWaits(abort: AbortSignal): Promise<void> {
    while (!abort.aborted && !this.#somethingWaits) {
      const held = [this.#backlog, this.#live].filter((part) => part.somethingWaits && part.heldMs > 0);
      if (held.length === 0) await this.#waiters.next(abort);
      else await this.#untilWoken(Math.min(...held.map(({ heldMs }) => heldMs)), abort);
    }
  }

  /** Lets go of what has become too old, as far as it can be seen from the front. */
  dropExpired(): void {
    const { recordAgeMaxMs, clock } = this.#options;
    if (recordAgeMaxMs === 0) return;
    const oldestMs = clock.wallMs() - recordAgeMaxMs;
    for (const part of [this.#backlog, this.#live]) {
      for (let skips = 0; skips < SKIP_COUNT_MAX; skips++) {
        const next = part.next();
        if (next === undefined || next.head.receivedAtMs >= oldestMs) break;
        this.#drop(part, next, "expired");
      }
    }
  }

  /** Lets go of the oldest entry that is not in flight; false when there is none. */
  dropOldest(): boolean {
    const part = this.#nextPart();
    const next = part?.next();
    if (part === undefined || next === undefined) return false;
    this.#drop(part, next, "queue_full");
    return true;
  }

  /** Lets go of entries before a position of the stream, but for those that are in flight. */
  dropBefore(position: number): void {
    for (let skips = 0; skips < SKIP_COUNT_MAX; skips++) {
      const part = this.#nextPart();
      const next = part?.next();
      if (part === undefined || next === undefined || next.from.position >= position) return;
      this.#drop(part, next, "queue_full");
    }
  }

  /** The stream has become longer by this record. @param keep Whether there is room for it. */
  appended(head: RecordHead, keep: boolean): void {
    const isAlone = !this.#backlog.somethingWaits && !this.#live.somethingWaits;
    this.#end = pointAfter(head);
    if (this.isRetired) {
      this.#ledger.drop(head.itemCount, "no_destination");
      return this.#options.onChange();
    }
    this.#live.append(head);
    // Nothing but what is in flight is before it, so the newcomer itself is the oldest that can be dropped.
    if (!keep && isAlone) this.dropOldest();
    else this.#waiters.wake();
  }

  get #somethingWaits(): boolean {
    const isReady = (part: DiskPart) => part.somethingWaits && part.heldMs === 0 && this.#mayTakeFrom(part);
    return isReady(this.#backlog) || isReady(this.#live);
  }

  /** A part that the disk did not answer for is read again; until then the other one may get something. */
  async #untilWoken(heldMs: number, abort: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const stop = AbortSignal.any([abort, woken.signal]);
    await Promise.race([this.#options.sleep(heldMs, stop), this.#waiters.next(stop)]);
    woken.abort("woken");
  }

  /** Whether more would be open than can be named. */
  get #isFull(): boolean {
    const openCount = this.#unsettled.size + this.#backlog.stretches.length + this.#live.stretches.length;
    return openCount > UNSETTLED_COUNT_MAX;
  }

  /** What was given back is named already; and one entry may always be in flight, so that it goes on. */
  #mayTakeFrom(part: DiskPart): boolean {
    return part.nextIsGivenBack || !this.#isFull || this.#unsettled.size === 0;
  }

  /** The part from which is taken next; undefined when nothing waits there, or the disk does not answer. */
  #nextPart(from?: Part): DiskPart | undefined {
    if (from !== "live" && this.#backlog.next() !== undefined) return this.#backlog;
    return from !== "backlog" && this.#live.next() !== undefined ? this.#live : undefined;
  }

  #partWith({ sequence }: Pick<StreamPoint, "sequence">): DiskPart {
    return sequence < this.#liveFrom ? this.#backlog : this.#live;
  }

  #newPart(): DiskPart {
    return new DiskPart(new PatientReader(this.#options), (itemCount) => {
      this.#ledger.drop(itemCount, "corrupt");
      this.#options.onChange();
    });
  }

  #handOut(part: DiskPart, next: DiskEntry): void {
    part.remove(next);
    // Until it is given back or settled, a process after this one has to reckon with it.
    if (next.maybeDelivered && !next.isKnown) this.#ledger.countRedelivered(next.head.itemCount);
    next.isInFlight = true;
    next.maybeDelivered = true;
    this.#unsettled.set(next.sequence, next);
  }

  #drop(part: DiskPart, next: DiskEntry, reason: Reason): void {
    part.remove(next);
    part.forget(next);
    this.#unsettled.delete(next.sequence);
    this.#ledger.drop(next.head.itemCount, reason);
    this.#options.onChange();
  }

  #mustBeInFlight(action: string, entry: JournalEntry): DiskEntry {
    const unsettled = this.#unsettled.get(entry.sequence);
    if (unsettled?.isInFlight) return unsettled;
    throw new RangeError(
      `Cannot ${action}: "entry" must have been taken at cursor "${this.name}" and not be settled or given back, ` +
        `received sequence ${entry.sequence}`,
    );
  }
}
