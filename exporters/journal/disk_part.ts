import type { Stretch } from "./cursor_state.ts";
import { EntryHeap } from "./entry_heap.ts";
import { pointAfter, type RecordHead, storedBytes, type StreamPoint } from "./format.ts";
import type { JournalEntry } from "./journal.ts";
import type { PatientReader } from "./patient_reader.ts";

/** A record that is about to be taken, is in flight, or was given back. */
export interface DiskEntry extends Stretch {
  readonly sequence: number;
  readonly head: RecordHead;
  isInFlight: boolean;
  maybeDelivered: boolean;
  /** Whether that was in this process: who takes it again knows, and counts it himself. */
  isKnown: boolean;
}

/** Records that one call steps over, because they are too old or damaged, before it comes back. */
export const SKIP_COUNT_MAX = 4096;

/**
 * One part of a cursor, backlog or live: stretches of the stream of which nothing was taken, and entries that were given
 * back. The oldest of both is next.
 *
 * ```
 *   stretches   ├────┤      ├───────────────┤
 *   given back          ▪ ▪                        at most a few of each, but for a cursor that has lived through much
 * ```
 */
export class DiskPart {
  /** What is not settled, in flight included. */
  items = 0;
  bytes = 0;
  readonly #reader: PatientReader;
  /** Told of items that are lost to damage. */
  readonly #onLost: (itemCount: number) => void;
  /** In order, none of them empty. */
  readonly #stretches: { from: StreamPoint; to: StreamPoint; maybeDelivered: boolean }[] = [];
  readonly #givenBack = new EntryHeap<DiskEntry>();
  /** What stands where the first stretch begins, once it was looked for: an entry, or damage up to a point. */
  #front: DiskEntry | { readonly lostTo: StreamPoint } | undefined;
  /** The last entry that was read and then not taken, because it did not fit to those before it. */
  #readAhead: JournalEntry | undefined;

  constructor(reader: PatientReader, onLost: (itemCount: number) => void) {
    this.#reader = reader;
    this.#onLost = onLost;
  }

  /** What was never taken, in the order of the stream. */
  get stretches(): readonly Stretch[] {
    return this.#stretches;
  }

  get somethingWaits(): boolean {
    return this.#stretches.length > 0 || this.#givenBack.oldest !== undefined;
  }

  get nextIsGivenBack(): boolean {
    const givenBack = this.#givenBack.oldest;
    const [first] = this.#stretches;
    return givenBack !== undefined && !(first !== undefined && first.from.sequence < givenBack.sequence);
  }

  /** How long nothing is read here, in milliseconds, because the disk did not answer. */
  get heldMs(): number {
    return this.#reader.heldMs;
  }

  /** Puts a stretch behind all others. */
  add(stretch: Stretch): void {
    this.items += stretch.to.items - stretch.from.items;
    this.bytes += stretch.to.position - stretch.from.position;
    this.#join(stretch);
  }

  /** Puts a new record behind everything. */
  append(head: RecordHead): void {
    const entry = entryOf(head, false);
    if (this.#stretches.length === 0) this.#front = entry;
    this.add(entry);
  }

  /** Puts a younger part behind this one. What was of that is of this now. */
  absorb(part: DiskPart): void {
    this.items += part.items;
    this.bytes += part.bytes;
    for (const stretch of part.#stretches) this.#join(stretch);
    for (let entry = part.#givenBack.pop(); entry !== undefined; entry = part.#givenBack.pop()) {
      this.#givenBack.push(entry);
    }
  }

  giveBack(entry: DiskEntry): void {
    this.#givenBack.push(entry);
  }

  /** The oldest entry that waits; undefined when none does, or the disk does not answer. Damage is stepped over. */
  next(): DiskEntry | undefined {
    for (let skips = 0; skips < SKIP_COUNT_MAX; skips++) {
      if (this.nextIsGivenBack) return this.#givenBack.oldest;
      const front = this.#look();
      if (front === undefined || "head" in front) return front;
      this.#lose(front.lostTo);
    }
    return undefined;
  }

  /** The oldest entry that was never taken, if it is whole. Whoever only looks changes nothing. */
  peek(): DiskEntry | undefined {
    const front = this.#look();
    return front !== undefined && "head" in front ? front : undefined;
  }

  /** The next entry with what it carries; undefined while the disk does not answer. */
  read(next: DiskEntry): JournalEntry | "damage" | undefined {
    if (this.#readAhead?.sequence === next.sequence) return this.#readAhead;
    const body = this.#reader.body(next.head);
    if (body?.kind !== "body") return body?.kind;
    const { sequence, head: { itemCount, receivedAtMs } } = next;
    return this.#readAhead = { sequence, itemCount, receivedAtMs, hops: body.hops, payload: body.payload };
  }

  /** Takes the next entry from where it waits. */
  remove(next: DiskEntry): void {
    this.#readAhead = undefined;
    if (next === this.#givenBack.oldest) this.#givenBack.pop();
    else this.#advance(next.to);
  }

  /** An entry is settled. */
  forget({ head }: DiskEntry): void {
    this.items -= head.itemCount;
    this.bytes -= storedBytes(head);
  }

  #join({ from, to, maybeDelivered }: Stretch): void {
    const last = this.#stretches.at(-1);
    if (last?.to.position === from.position && last.maybeDelivered === maybeDelivered) last.to = to;
    else this.#stretches.push({ from, to, maybeDelivered });
  }

  #look(): DiskEntry | { readonly lostTo: StreamPoint } | undefined {
    const [first] = this.#stretches;
    if (this.#front !== undefined || first === undefined) return this.#front;
    const found = this.#reader.find(first.from);
    if (found === undefined) return undefined;
    return this.#front = found.kind === "record" ? entryOf(found.head, first.maybeDelivered) : { lostTo: found.next };
  }

  /** The stretch knows where it ends, and so how much is lost at most: what is behind it has its own story. */
  #lose(to: StreamPoint): void {
    const [first] = this.#stretches;
    const { from } = first;
    const lostTo = to.position < first.to.position ? to : first.to;
    this.#advance(lostTo);
    this.items -= lostTo.items - from.items;
    this.bytes -= lostTo.position - from.position;
    this.#onLost(lostTo.items - from.items);
  }

  #advance(to: StreamPoint): void {
    const [first] = this.#stretches;
    this.#front = undefined;
    first.from = to;
    if (to.position >= first.to.position) this.#stretches.shift();
  }
}

function entryOf(head: RecordHead, maybeDelivered: boolean): DiskEntry {
  const { at } = head;
  return {
    sequence: at.sequence,
    head,
    from: at,
    to: pointAfter(head),
    isInFlight: false,
    maybeDelivered,
    isKnown: false,
  };
}
