// The tail of the byte ring: what is read, released, or taken away.
//
// Three may want to move TAIL: the consumer that releases what it read, a producer that makes room by dropping the oldest record,
// and whoever finds a LOST one there. HELD keeps the others away while the consumer reads. Taking away has two steps, of which
// anyone may do the second:
//
//   1  TAIL     -> PASSING, with what the toggle of the counter is: from here on it is certain that the record goes
//   2  counter  + items, toggle turned, if it is still as TAIL says; then TAIL moves on
//
// So a thread may die anywhere between and it is still counted exactly once.
//
// A consumer that was replaced has an EPOCH of its past, also in TAIL: no compare-and-swap of its own succeeds any more.

import {
  ABANDONED, ATTACHMENT_SHIFT, attachmentAt, ATTACHMENTS, bytesBetween, COMMITTED, DATA_MASK, DRAINED, EPOCH, EVICTED,
  FIRST_ORDINAL, FULL, HEAD, HELD, INTENT_BYTES, INTENT_ITEMS, isOfTail, itemsBetween, LOST, PASSING, RESERVED,
  RING_ATTACHMENTS_MAX, slotAt, slotBytes, slotState, slotValue, TAIL, tailEpoch, tailOrdinal, tailPosition, tailWord, TOGGLE,
  TOO_LARGE,
} from "./byte_ring_layout";
import { loseOfDead } from "./byte_ring";

/** From `ringTake`: another is the consumer now. */
const REPLACED: f64 = -1;

/** A number of items and one of bytes in one f64. */
const ITEM_UNIT: f64 = 4294967296;

/**
 * Begins the reading of a new consumer, and ends that of the one before: what it held is read again. Answers its epoch. When several
 * begin at once, the last one is the consumer.
 */
export function ringConsume(base: usize): u32 {
  const epoch = atomic.add<u32>(base, 1, EPOCH) + 1;
  while (atomic.load<u32>(base, EPOCH) == epoch) {
    const tail = atomic.load<u64>(base, TAIL);
    const flags = tail & (PASSING | TOGGLE);
    if (atomic.cmpxchg<u64>(base, tail, tailWord(epoch, tailOrdinal(tail), tailPosition(tail), flags), TAIL) == tail) break;
  }
  // One that died between its release and its count is made up for.
  atomic.add<u64>(base, drained(base) - atomic.load<u64>(base, DRAINED), DRAINED);
  return epoch;
}

/**
 * Lends the consumer the records that follow those that it holds, as far as they are whole, fit, and lie in one piece. Answers how
 * many, and their bytes, as `items * 2^32 + bytes`. The first one is lent though it alone is too long if `first` is 1.
 */
export function ringTake(
  base: usize, epoch: u32, heldItems: u32, heldBytes: u32, bytesMax: u32, itemsMax: u32, first: u32,
): f64 {
  const tail = holdTail(base, epoch);
  if (!isConsumer(base, tail, epoch)) return REPLACED;
  if ((tail & HELD) == 0) return 0;
  const ordinal = tailOrdinal(tail) + heldItems;
  const mask = load<u32>(base, DATA_MASK);
  const untilEnd = mask + 1 - ((tailPosition(tail) + heldBytes) & mask);
  let items: u32 = 0;
  let bytes: u32 = 0;
  while (items < itemsMax && bytes < untilEnd) {
    const word = atomic.load<u64>(slotAt(base, ordinal + items));
    if (!isOfTail(word, ordinal + items) || slotState(word) != COMMITTED) break;
    if (bytes + slotBytes(word) > bytesMax && (items > 0 || first == 0)) break;
    bytes += slotBytes(word);
    items++;
  }
  return <f64>items * ITEM_UNIT + <f64>bytes;
}

/** Where the records that the consumer holds begin, as a position. */
export function ringHeldAt(base: usize): u32 { return tailPosition(atomic.load<u64>(base, TAIL)); }

/** Gives back so many records, and their bytes, that were lent. False when another is the consumer now. */
export function ringRelease(base: usize, epoch: u32, items: u32, bytes: u32): bool {
  const tail = atomic.load<u64>(base, TAIL);
  if (!isConsumer(base, tail, epoch)) return false;
  if ((tail & HELD) == 0) return items == 0;
  const next = tailWord(epoch, tailOrdinal(tail) + items, tailPosition(tail) + bytes, 0);
  if (atomic.cmpxchg<u64>(base, tail, next, TAIL) != tail) return false; // replaced in between: only that changes what is held
  atomic.add<u64>(base, items, DRAINED);
  return true;
}

/** TAIL with HELD if a whole record begins there, after what was lost there is taken away. */
function holdTail(base: usize, epoch: u32): u64 {
  while (true) {
    const tail = atomic.load<u64>(base, TAIL);
    if (!isConsumer(base, tail, epoch) || (tail & HELD) != 0) return tail;
    const word = atomic.load<u64>(slotAt(base, tailOrdinal(tail)));
    if ((tail & PASSING) == 0 && isOfTail(word, tailOrdinal(tail)) && slotState(word) == COMMITTED) {
      const held = tail | HELD;
      if (atomic.cmpxchg<u64>(base, tail, held, TAIL) == tail) return held;
    } else if (!passOldest(base, tail, true)) return tail;
  }
}

/**
 * Takes away what is oldest: a whole record, unless `onlyLost`, or a lost one. False when it stays: it is held, not whole, or there is
 * none. True also when another thread has moved the tail.
 */
export function passOldest(base: usize, tail: u64, onlyLost: bool): bool {
  if ((tail & HELD) != 0) return false;
  if ((tail & PASSING) == 0) {
    const word = atomic.load<u64>(slotAt(base, tailOrdinal(tail)));
    if (atomic.load<u64>(base, TAIL) != tail) return true;
    if (!isOfTail(word, tailOrdinal(tail))) return false;
    if (slotState(word) == RESERVED) return loseOfDead(base, slotValue(word));
    if (onlyLost && slotState(word) == COMMITTED) return true; // it has just become whole
    const isTurned = (atomic.load<u64>(base + counterOf(word)) & 1) != 0;
    const passing = tail | PASSING | (isTurned ? TOGGLE : 0);
    if (atomic.cmpxchg<u64>(base, tail, passing, TAIL) != tail) return true;
    tail = passing;
  }
  finishPassing(base, tail);
  return true;
}

function finishPassing(base: usize, tail: u64): void {
  const word = atomic.load<u64>(slotAt(base, tailOrdinal(tail)));
  const isLost = slotState(word) == LOST;
  const own = attachmentAt(base, slotValue(word));
  const items = isLost ? atomic.load<u32>(own, INTENT_ITEMS) : 1;
  const bytes = isLost ? atomic.load<u32>(own, INTENT_BYTES) : slotBytes(word);
  const counter = base + counterOf(word);
  const counted = atomic.load<u64>(counter);
  if (atomic.load<u64>(base, TAIL) != tail) return; // somebody has finished it, so what was read may be of another record
  if ((counted & 1) == ((tail & TOGGLE) != 0 ? 1 : 0)) {
    atomic.cmpxchg<u64>(counter, counted, (((counted >> 1) + items) << 1) | ((counted & 1) ^ 1));
  }
  const next = tailWord(tailEpoch(tail), tailOrdinal(tail) + items, tailPosition(tail) + bytes, 0);
  atomic.cmpxchg<u64>(base, tail, next, TAIL);
}

// @ts-ignore: decorator
@inline function counterOf(word: u64): usize { return slotState(word) == LOST ? ABANDONED : EVICTED; }

// @ts-ignore: decorator
@inline function isConsumer(base: usize, tail: u64, epoch: u32): bool {
  return tailEpoch(tail) == (epoch & 0xff) && atomic.load<u32>(base, EPOCH) == epoch;
}

/**
 * What was counted: 0 accepted, 1 drained, 2 evicted, 3 abandoned, 4 refused because it was full, 5 refused because it was too large,
 * 6 items in the ring, 7 their bytes.
 */
export function ringCounter(base: usize, which: u32): f64 {
  const tail = atomic.load<u64>(base, TAIL);
  if ((tail & PASSING) != 0) finishPassing(base, tail); // who began it may be dead
  if (which == 0) return <f64>(released(base) + queued(base));
  if (which == 1) return <f64>drained(base);
  if (which == 2) return <f64>(atomic.load<u64>(base, EVICTED) >> 1);
  if (which == 3) return <f64>(atomic.load<u64>(base, ABANDONED) >> 1);
  if (which == 4) return <f64>sum(base, FULL);
  if (which == 5) return <f64>sum(base, TOO_LARGE);
  if (which == 6) return <f64>queued(base);
  return <f64>max<i32>(bytesBetween(atomic.load<u64>(base, TAIL), atomic.load<u64>(base, HEAD)), 0);
}

function queued(base: usize): u64 {
  const tail = atomic.load<u64>(base, TAIL); // first, so that the head is not behind it
  return <u64>itemsBetween(tail, atomic.load<u64>(base, HEAD));
}

function sum(base: usize, counter: usize): u64 {
  let total: u64 = 0;
  for (let attachment: u32 = 0; attachment < RING_ATTACHMENTS_MAX; attachment++) {
    total += load<u64>(base + ATTACHMENTS + (<usize>attachment << ATTACHMENT_SHIFT) + counter);
  }
  return total;
}

/** All that ever left the ring. TAIL knows the low 24 bits of it; the counters are never far from the rest. */
function released(base: usize): u64 {
  const near = atomic.load<u64>(base, DRAINED) + taken(base);
  const exact = tailOrdinal(atomic.load<u64>(base, TAIL)) - load<u32>(base, FIRST_ORDINAL);
  return near + <i64>(<i32>((exact - <u32>near) << 8) >> 8);
}

function drained(base: usize): u64 { return released(base) - taken(base); }

function taken(base: usize): u64 {
  return (atomic.load<u64>(base, EVICTED) >> 1) + (atomic.load<u64>(base, ABANDONED) >> 1);
}
