// Where everything of a byte ring stands in memory. Offsets are bytes from its base, a multiple of 128; words that different
// threads write never share a 128-byte line, as in layout.ts.
//
//      0  HEAD         u64  ordinal:32 | position:32                        what the next record will be, and where it begins
//    128  TAIL         u64  epoch:8 | ordinal:24 | position:29 | flags:3    the oldest record that is not released
//    256  EVICTED      u64  count:63 | toggle:1    records that made room for newer ones
//    264  ABANDONED    u64  count:63 | toggle:1    records whose producer died before they were whole
//    272  DRAINED      u64                         records that were released
//    280  EPOCH        u32                         how many consumers there ever were; the last one is the consumer
//    284  LENT         u32                         how many handles were lent
//    384  MAGIC, ABI   u32 x 2                     where a breaker has its own, so that neither is taken for the other
//    392  settings     u32 x 7                     in the order of RING_SETTINGS in byte_ring_options.ts
//   1024  ATTACHMENT[64] of 128 bytes, one for each thread that offers:
//            0  OWNER            u32       0 free; 1 nobody's; above, the lent handle; all ones once it was reclaimed
//            4  INTENT           u32 x 3   ordinal, items and bytes of what it reserves, written before it does
//           16  FULL, TOO_LARGE  u64 x 2   written by the attachment's own thread alone
//   9216  SLOT[slots]   u64  ordinal:32 | value:29 | state:3    one for each item; slots is a power of two
//         DATA          capacity bytes, a power of two, and as many behind it as one push may take
//         SCRATCH[64]   what an attachment is about to push: only its own thread touches it
//
// An ordinal counts items, a position counts bytes; both go round at 2^32, so they are compared by their signed difference. TAIL
// keeps the low 24 bits of an ordinal: 16 times as many as a ring may hold.
//
// A record in DATA, at position modulo capacity:
//
//    0        4        8               8 + length
//    ├────────┼────────┼───────────────┼───────┤
//    │ length │  tag   │ bytes         │ 0 … 7 │ up to a multiple of 8
//    └────────┴────────┴───────────────┴───────┘
//
// One that begins before the end of the ring goes on behind it, and the next begins where it would have ended after going round. So
// each record lies in one piece, and no two of these are in the ring at once: they are more than its capacity apart.

// @ts-ignore: decorator
@inline export const HEAD: usize = 0;
// @ts-ignore: decorator
@inline export const TAIL: usize = 128;
// @ts-ignore: decorator
@inline export const EVICTED: usize = 256;
// @ts-ignore: decorator
@inline export const ABANDONED: usize = 264;
// @ts-ignore: decorator
@inline export const DRAINED: usize = 272;
// @ts-ignore: decorator
@inline export const EPOCH: usize = 280;
// @ts-ignore: decorator
@inline export const LENT: usize = 284;

// @ts-ignore: decorator
@inline export const RING_MAGIC: usize = 384;
// @ts-ignore: decorator
@inline export const RING_ABI: usize = 388;
export const RING_MAGIC_VALUE: u32 = 0x62776b72; // "bwkr"

// Settings, and what follows from them. They never change.
// @ts-ignore: decorator
@inline export const ITEMS_MAX: usize = 392;
// @ts-ignore: decorator
@inline export const BYTES_MAX: usize = 396;
// @ts-ignore: decorator
@inline export const PUSH_BYTES_MAX: usize = 400;
// @ts-ignore: decorator
@inline export const OVERFLOW: usize = 404;
// @ts-ignore: decorator
@inline export const SLOTS_MASK: usize = 408;
// @ts-ignore: decorator
@inline export const DATA_MASK: usize = 412;
// @ts-ignore: decorator
@inline export const FIRST_ORDINAL: usize = 416;

// What happens when there is no room.
export const DROP_NEWEST: u32 = 0;
export const DROP_OLDEST: u32 = 1;
export const REJECT: u32 = 2;

// @ts-ignore: decorator
@inline export const ATTACHMENTS: usize = 1024;
// @ts-ignore: decorator
@inline export const ATTACHMENT_SHIFT: usize = 7;
/** A worker for each processor of a large machine. Each has its own scratch, so that they are not more. */
export const RING_ATTACHMENTS_MAX: u32 = 64;
// @ts-ignore: decorator
@inline export const OWNER: usize = 0;
// @ts-ignore: decorator
@inline export const INTENT_ORDINAL: usize = 4;
// @ts-ignore: decorator
@inline export const INTENT_ITEMS: usize = 8;
// @ts-ignore: decorator
@inline export const INTENT_BYTES: usize = 12;
// @ts-ignore: decorator
@inline export const FULL: usize = 16;
// @ts-ignore: decorator
@inline export const TOO_LARGE: usize = 24;

// @ts-ignore: decorator
@inline export const SLOTS: usize = ATTACHMENTS + (<usize>RING_ATTACHMENTS_MAX << ATTACHMENT_SHIFT);

export const RECORD_HEAD_BYTES: u32 = 8;

/** The bytes of a record in the ring. */
// @ts-ignore: decorator
@inline export function sizeOf(length: u32): u32 { return (length + RECORD_HEAD_BYTES + 7) & ~7; }

// States of a slot. What a slot says holds only for the ordinal that is in it.
export const RESERVED: u64 = 1; // being written; value is the attachment that does
export const COMMITTED: u64 = 2; // whole; value is its bytes in the ring, in eights
export const LOST: u64 = 3; // its producer died; value is the attachment, whose INTENT says how much it reserved

// @ts-ignore: decorator
@inline export function slotWord(ordinal: u32, value: u32, state: u64): u64 {
  return (<u64>ordinal << 32) | (<u64>value << 3) | state;
}
// @ts-ignore: decorator
@inline export function slotState(word: u64): u64 { return word & 7; }
// @ts-ignore: decorator
@inline export function slotValue(word: u64): u32 { return <u32>word >> 3; }
// @ts-ignore: decorator
@inline export function slotBytes(word: u64): u32 { return <u32>word & ~7; }
/** True when a slot was taken for an ordinal. A slot that never was has no state. */
// @ts-ignore: decorator
@inline export function isTaken(word: u64, ordinal: u32): bool { return <u32>(word >> 32) == ordinal && slotState(word) != 0; }
/** The same for the ordinal of a TAIL, or one that comes after it. */
// @ts-ignore: decorator
@inline export function isOfTail(word: u64, ordinal: u32): bool {
  return ((<u32>(word >> 32) ^ ordinal) & TAIL_ORDINAL_MASK) == 0 && slotState(word) != 0;
}

// HEAD.
// @ts-ignore: decorator
@inline export function headWord(ordinal: u32, position: u32): u64 { return (<u64>ordinal << 32) | position; }
// @ts-ignore: decorator
@inline export function headOrdinal(head: u64): u32 { return <u32>(head >> 32); }
// @ts-ignore: decorator
@inline export function headPosition(head: u64): u32 { return <u32>head; }

// TAIL. Its flags stand where a position, a multiple of 8, has none.
export const HELD: u64 = 1; // the consumer reads what begins here
export const PASSING: u64 = 2; // what begins here is going to be taken away, whoever does it
export const TOGGLE: u64 = 4; // what the toggle of its counter was before
export const TAIL_ORDINAL_MASK: u32 = 0xffffff;
export const EPOCH_SHIFT: u64 = 56;

// @ts-ignore: decorator
@inline export function tailOrdinal(tail: u64): u32 { return <u32>(tail >> 32) & TAIL_ORDINAL_MASK; }
// @ts-ignore: decorator
@inline export function tailPosition(tail: u64): u32 { return <u32>tail & ~7; }
// @ts-ignore: decorator
@inline export function tailEpoch(tail: u64): u32 { return <u32>(tail >> EPOCH_SHIFT); }
// @ts-ignore: decorator
@inline export function tailWord(epoch: u32, ordinal: u32, position: u32, flags: u64): u64 {
  return (<u64>epoch << EPOCH_SHIFT) | (<u64>(ordinal & TAIL_ORDINAL_MASK) << 32) | position | flags;
}

/** How many items are in the ring. Negative when `head` was read so long ago that it was overtaken. */
// @ts-ignore: decorator
@inline export function itemsBetween(tail: u64, head: u64): i32 {
  return <i32>((headOrdinal(head) - tailOrdinal(tail)) << 8) >> 8;
}
/** The same in bytes. */
// @ts-ignore: decorator
@inline export function bytesBetween(tail: u64, head: u64): i32 { return <i32>(headPosition(head) - tailPosition(tail)); }

// Places.
// @ts-ignore: decorator
@inline export function attachmentAt(base: usize, attachment: u32): usize {
  return base + ATTACHMENTS + (<usize>attachment << ATTACHMENT_SHIFT);
}
// @ts-ignore: decorator
@inline export function slotAt(base: usize, ordinal: u32): usize {
  return base + SLOTS + (<usize>(ordinal & load<u32>(base, SLOTS_MASK)) << 3);
}
// @ts-ignore: decorator
@inline export function dataAt(base: usize): usize {
  return aligned(base + SLOTS + ((<usize>load<u32>(base, SLOTS_MASK) + 1) << 3));
}
// @ts-ignore: decorator
@inline export function recordAt(base: usize, position: u32): usize {
  return dataAt(base) + <usize>(position & load<u32>(base, DATA_MASK));
}
// @ts-ignore: decorator
@inline export function scratchAt(base: usize, attachment: u32): usize {
  const stride = aligned(<usize>load<u32>(base, PUSH_BYTES_MAX));
  return dataAt(base) + aligned(<usize>load<u32>(base, DATA_MASK) + 1) + stride * (<usize>attachment + 1);
}
/** Up to the next line. */
// @ts-ignore: decorator
@inline export function aligned(bytes: usize): usize { return (bytes + 127) & ~127; }
