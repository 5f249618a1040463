// The byte ring: records of any length from many producers to one consumer, bounded in items and in bytes.
//
//        TAIL                        HEAD
//          ▼                          ▼
//    ──────┬────────┬────────┬────────┬───────────
//     free │ whole  │ being  │ whole  │ free
//          │        │ written│        │
//    ──────┴────────┴────────┴────────┴───────────
//          └─ the consumer reads up to what is not whole yet
//
// A push has three steps, and a thread may stop, or die, before each of them:
//
//   1  SLOT[ordinal]  anything older -> RESERVED    the winning compare-and-swap: this ordinal and these bytes are the thread's own
//   2  HEAD           -> behind them                 by the thread, or by the next one that comes, which finds in INTENT how far
//   3  SLOT[ordinal]  RESERVED -> COMMITTED          after the copy; now the consumer may pass
//
// Who stopped before 3 holds up the consumer and nobody else. Once its worker's exit was seen, `ringReclaim` turns RESERVED into LOST,
// and the consumer goes on behind it. After the winning compare-and-swap nothing is tried a second time.
//
// The tail is in byte_ring_tail.ts.

import { ABI_VERSION } from "./layout";
import {
  aligned, attachmentAt, BYTES_MAX, bytesBetween, COMMITTED, DATA_MASK, dataAt, DROP_OLDEST, FIRST_ORDINAL, FULL, HEAD,
  headOrdinal, headPosition, headWord, INTENT_BYTES, INTENT_ITEMS, INTENT_ORDINAL, isTaken, ITEMS_MAX, itemsBetween, LENT,
  LOST, OVERFLOW, OWNER, PUSH_BYTES_MAX, recordAt, REJECT, RESERVED, RING_ABI, RING_ATTACHMENTS_MAX, RING_MAGIC,
  RING_MAGIC_VALUE, scratchAt, sizeOf, slotAt, SLOTS, SLOTS_MASK, slotState, slotValue, slotWord, TAIL, tailWord, TOO_LARGE,
} from "./byte_ring_layout";
import { passOldest } from "./byte_ring_tail";

// What `ringPush` answers. From 0 on it is how many records were accepted.
const REFUSED_FULL: i32 = 0;
const REFUSED_TOO_LARGE: i32 = -1;
const DETACHED: i32 = -2; // given back, or reclaimed

// In OWNER.
const NOBODY: u32 = 1;
const RECLAIMED: u32 = 0xffffffff;

/** The bytes of a ring with such bounds. */
export function ringBytes(itemsMax: u32, bytesMax: u32, pushBytesMax: u32): f64 {
  const slots = aligned(SLOTS + (<usize>powerOfTwo(itemsMax) << 3));
  return <f64>slots + <f64>aligned(powerOfTwo(bytesMax)) + <f64>aligned(pushBytesMax) * <f64>(RING_ATTACHMENTS_MAX + 1);
}

/** Makes a ring of zeroed memory. Its first record has the ordinal and the position that are given: tests begin shortly before 2^32. */
export function ringInit(
  base: usize, itemsMax: u32, bytesMax: u32, pushBytesMax: u32, overflow: u32, ordinal: u32, position: u32,
): void {
  assert((base & 127) == 0); // lines are lines only from an aligned base
  assert(<f64>base + ringBytes(itemsMax, bytesMax, pushBytesMax) <= <f64>memory.size() * 65536); // it lies within its memory
  assert(load<u32>(base, RING_MAGIC) == 0); // nobody's memory is made twice
  assert((position & 7) == 0 && pushBytesMax <= bytesMax); // positions leave room for flags; the longest push fits
  store<u32>(base, itemsMax, ITEMS_MAX);
  store<u32>(base, bytesMax, BYTES_MAX);
  store<u32>(base, pushBytesMax, PUSH_BYTES_MAX);
  store<u32>(base, overflow, OVERFLOW);
  store<u32>(base, powerOfTwo(itemsMax) - 1, SLOTS_MASK);
  store<u32>(base, powerOfTwo(bytesMax) - 1, DATA_MASK);
  store<u32>(base, ordinal, FIRST_ORDINAL);
  store<i32>(base, ABI_VERSION, RING_ABI);
  store<u64>(base, headWord(ordinal, position), HEAD);
  store<u64>(base, tailWord(0, ordinal, position, 0), TAIL);
  atomic.store<u32>(base, RING_MAGIC_VALUE, RING_MAGIC);
}

/** True when a ring of this ABI lies at `base`, whole within its memory. */
export function isRing(base: usize): bool {
  if ((base & 127) != 0 || <f64>base + <f64>SLOTS > <f64>memory.size() * 65536) return false;
  if (atomic.load<u32>(base, RING_MAGIC) != RING_MAGIC_VALUE || load<i32>(base, RING_ABI) != ABI_VERSION) return false;
  const itemsMax = load<u32>(base, ITEMS_MAX);
  const bytesMax = load<u32>(base, BYTES_MAX);
  const bytes = ringBytes(itemsMax, bytesMax, load<u32>(base, PUSH_BYTES_MAX));
  return load<u32>(base, OVERFLOW) <= REJECT && load<u32>(base, SLOTS_MASK) == powerOfTwo(itemsMax) - 1 &&
    load<u32>(base, DATA_MASK) == powerOfTwo(bytesMax) - 1 && <f64>base + bytes <= <f64>memory.size() * 65536;
}

/** A setting, by its place among them. */
export function ringSetting(base: usize, index: u32): u32 {
  return load<u32>(base + ITEMS_MAX + (<usize>index << 2));
}

/** Where the records lie. */
export function ringData(base: usize): u32 { return <u32>dataAt(base); }

/** Where an attachment puts what it is about to push. */
export function ringScratch(base: usize, attachment: u32): u32 { return <u32>scratchAt(base, attachment); }

/** Offers the record whose `length` bytes lie in the scratch of the attachment, behind room for its head. */
export function ringPush(base: usize, attachment: u32, length: u32, tag: u32): i32 {
  if (isGone(base, attachment)) return DETACHED;
  if (length > load<u32>(base, PUSH_BYTES_MAX) || sizeOf(length) > load<u32>(base, PUSH_BYTES_MAX)) {
    count(attachmentAt(base, attachment) + TOO_LARGE, 1);
    return REFUSED_TOO_LARGE;
  }
  const scratch = scratchAt(base, attachment);
  store<u32>(scratch, length);
  store<u32>(scratch, tag, 4);
  return offer(base, attachment, scratch, 1, sizeOf(length));
}

/**
 * Offers the records that lie in the scratch of the attachment, heads included: all or nothing of them where the ring rejects, else
 * one after the other.
 */
export function ringPushGroup(base: usize, attachment: u32, items: u32, bytes: u32): i32 {
  assert(bytes <= load<u32>(base, PUSH_BYTES_MAX)); // what is behind the end of the ring has room for it
  if (isGone(base, attachment)) return DETACHED;
  let at = scratchAt(base, attachment);
  if (load<u32>(base, OVERFLOW) == REJECT) return offer(base, attachment, at, items, bytes);
  let accepted: i32 = 0;
  for (let item: u32 = 0; item < items; item++) {
    const size = sizeOf(load<u32>(at));
    const answer = offer(base, attachment, at, 1, size);
    if (answer < 0) return answer;
    accepted += answer;
    at += size;
  }
  return accepted;
}

/** Reserves, copies and commits. */
function offer(base: usize, attachment: u32, from: usize, items: u32, bytes: u32): i32 {
  const own = attachmentAt(base, attachment);
  let head: u64;
  let ordinal: u32;
  let slot: usize;
  let reserved: u64;
  while (true) {
    // In this order: what is full by them was full when the tail was read, however old the head is.
    head = atomic.load<u64>(base, HEAD);
    const tail = atomic.load<u64>(base, TAIL);
    const itemsUsed = itemsBetween(tail, head);
    const bytesUsed = bytesBetween(tail, head);
    if (itemsUsed < 0 || bytesUsed < 0) continue; // the head was overtaken
    if (<u32>itemsUsed + items > load<u32>(base, ITEMS_MAX) || <u32>bytesUsed + bytes > load<u32>(base, BYTES_MAX)) {
      if (load<u32>(base, OVERFLOW) == DROP_OLDEST && passOldest(base, tail, false)) continue;
      count(own + FULL, items);
      return REFUSED_FULL;
    }
    ordinal = headOrdinal(head);
    slot = slotAt(base, ordinal);
    const was = atomic.load<u64>(slot);
    if (atomic.load<u64>(base, HEAD) != head) continue; // or `was` might be of a later time round
    if (isTaken(was, ordinal)) {
      moveHead(base, head, slotValue(was)); // its owner has not come to it yet
      continue;
    }
    reserved = slotWord(ordinal, attachment, RESERVED);
    store<u32>(own, ordinal, INTENT_ORDINAL);
    store<u32>(own, items, INTENT_ITEMS);
    store<u32>(own, bytes, INTENT_BYTES);
    if (atomic.cmpxchg<u64>(slot, was, reserved) == was) break;
  }
  atomic.cmpxchg<u64>(base, head, headWord(ordinal + items, headPosition(head) + bytes), HEAD); // if it fails, another did it

  const first = sizeOf(load<u32>(from));
  memory.copy(recordAt(base, headPosition(head)), from, first);
  for (let item: u32 = 1, at: u32 = first; item < items; item++) { // the rest of a group is whole when its first record is
    const size = sizeOf(load<u32>(from + at));
    memory.copy(recordAt(base, headPosition(head) + at), from + at, size);
    store<u64>(slotAt(base, ordinal + item), slotWord(ordinal + item, size >> 3, COMMITTED));
    at += size;
  }
  const committed = slotWord(ordinal, first >> 3, COMMITTED);
  return atomic.cmpxchg<u64>(slot, reserved, committed) == reserved ? <i32>items : DETACHED;
}

/** Moves the head behind what an attachment reserved there. */
function moveHead(base: usize, head: u64, attachment: u32): void {
  const own = attachmentAt(base, attachment);
  const ordinal = headOrdinal(head) + atomic.load<u32>(own, INTENT_ITEMS);
  const position = headPosition(head) + atomic.load<u32>(own, INTENT_BYTES);
  // No attachment intends anything else before the head has moved: where it has not, what was read is right. Atomics, for
  // processors that would read the head first.
  if (atomic.load<u64>(base, HEAD) == head) atomic.cmpxchg<u64>(base, head, headWord(ordinal, position), HEAD);
}

/** The number of a handle that is lent to a worker. */
export function ringLend(base: usize): u32 {
  return atomic.add<u32>(base, 1, LENT) + 1 + NOBODY;
}

/** Takes a free attachment for who was lent `owner`, or for nobody; -1 when all are taken. */
export function ringClaim(base: usize, owner: u32): i32 {
  const attachment = claimFrom(base, 0, owner);
  return attachment >= 0 ? attachment : claimFrom(base, RECLAIMED, owner); // these last, for their threads may still be at work
}

function claimFrom(base: usize, free: u32, owner: u32): i32 {
  for (let attachment: u32 = 0; attachment < RING_ATTACHMENTS_MAX; attachment++) {
    const own = attachmentAt(base, attachment);
    if (atomic.load<u32>(own, OWNER) != free || (free == RECLAIMED && leftSomething(base, attachment))) continue;
    if (atomic.cmpxchg<u32>(own, free, owner == 0 ? NOBODY : owner, OWNER) == free) return <i32>attachment;
  }
  return -1;
}

/** True while the ring holds what an attachment never finished: how much that is stands in its INTENT. */
function leftSomething(base: usize, attachment: u32): bool {
  const ordinal = load<u32>(attachmentAt(base, attachment), INTENT_ORDINAL);
  const word = atomic.load<u64>(slotAt(base, ordinal));
  if (!isTaken(word, ordinal) || slotState(word) == COMMITTED || slotValue(word) != attachment) return false;
  const tail = atomic.load<u64>(base, TAIL);
  return itemsBetween(tail, headWord(ordinal, 0)) >= 0;
}

/** Gives an attachment back, by the thread that has it. */
export function ringDetach(base: usize, attachment: u32): void {
  if (!isGone(base, attachment)) atomic.store<u32>(attachmentAt(base, attachment), 0, OWNER);
}

/** Gives back what a dead worker attached by the handle `owner`, and lets the consumer pass what it left unfinished. */
export function ringReclaim(base: usize, owner: u32): i32 {
  let reclaimed: i32 = 0;
  for (let attachment: u32 = 0; attachment < RING_ATTACHMENTS_MAX; attachment++) {
    if (atomic.cmpxchg<u32>(attachmentAt(base, attachment), owner, RECLAIMED, OWNER) != owner) continue;
    lose(base, attachment);
    reclaimed++;
  }
  return reclaimed;
}

/** Gives up on a record that is not whole if its thread is known to be dead. Answers whether it is given up now. */
export function loseOfDead(base: usize, attachment: u32): bool {
  return atomic.load<u32>(attachmentAt(base, attachment), OWNER) == RECLAIMED && lose(base, attachment);
}

function lose(base: usize, attachment: u32): bool {
  const ordinal = load<u32>(attachmentAt(base, attachment), INTENT_ORDINAL);
  const slot = slotAt(base, ordinal);
  const reserved = slotWord(ordinal, attachment, RESERVED);
  if (atomic.load<u64>(slot) != reserved) return false;
  const head = atomic.load<u64>(base, HEAD);
  if (headOrdinal(head) == ordinal) moveHead(base, head, attachment);
  atomic.cmpxchg<u64>(slot, reserved, slotWord(ordinal, attachment, LOST));
  return true;
}

function isGone(base: usize, attachment: u32): bool {
  return attachment >= RING_ATTACHMENTS_MAX || atomic.load<u32>(attachmentAt(base, attachment), OWNER) == RECLAIMED;
}

/** Adds to a counter of the calling thread's own attachment. Nobody else writes it. */
// @ts-ignore: decorator
@inline function count(at: usize, items: u32): void { store<u64>(at, load<u64>(at) + items); }

/** The least power of two that is not below. */
function powerOfTwo(least: u32): u32 { return least <= 1 ? 1 : <u32>1 << (32 - clz<u32>(least - 1)); }
