// Who calls, and which call it was: attachments, and the tickets by which a result is known to be the first for its call.

import {
  ATTACHMENT_SHIFT, ATTACHMENTS_MAX, CLAIMED, generationOf, HIGHEST, ISSUED, OWNER, OWNERS, PERMIT_EXPONENT,
  PERMIT_EXPONENT_SHIFT, PERMIT_GENERATION_SHIFT, slotOf, TICKET_MAX, TICKET_WORDS_MASK, TICKETS, TICKETS_REMEMBERED,
} from "./layout";

/** What `mark` says of a ticket. */
export const FIRST: i32 = 0;
const UNKNOWN: i32 = 1; // never issued, or too long ago to tell
export const AGAIN: i32 = 2;

/** In OWNER of a free attachment: it was reclaimed, so its worker may still be at work for a while. */
export const RECLAIMED: u32 = 0xffffffff;

/** The number of a handle that is lent to a worker. */
export function lend(base: usize): u32 {
  return atomic.add<u32>(base, 1, OWNERS) + 1;
}

/**
 * Takes a free attachment for who was lent `owner`; -1 when all are taken. Who joins resets nothing. One that was reclaimed is taken
 * only when no other is left: a thread that works on in it would count what the next one counts too.
 */
export function claim(base: usize, owner: u32): i32 {
  const attachment = claimAny(base, owner, false);
  return attachment >= 0 ? attachment : claimAny(base, owner, true);
}

function claimAny(base: usize, owner: u32, takesReclaimed: bool): i32 {
  for (let index: u32 = 0; index < ATTACHMENTS_MAX; index++) {
    const word = base + CLAIMED + ((index >> 5) << 2);
    const bit: u32 = 1 << (index & 31);
    if ((atomic.load<u32>(word) & bit) != 0) continue;
    if (!takesReclaimed && atomic.load<u32>(slotOf(base, index), OWNER) == RECLAIMED) continue;
    if ((atomic.or<u32>(word, bit) & bit) != 0) continue; // another thread was first
    atomic.store<u32>(slotOf(base, index), owner, OWNER);
    let highest = atomic.load<u32>(base, HIGHEST);
    while (highest <= index) {
      const seen = atomic.cmpxchg<u32>(base, highest, index + 1, HIGHEST);
      if (seen == highest) break;
      highest = seen;
    }
    return <i32>index;
  }
  return -1;
}

/** Gives an attachment back. Its tickets and counters stay and go on, so calls still out can be recorded. */
export function release(base: usize, attachment: u32, isReclaimed: bool): void {
  if (attachment >= ATTACHMENTS_MAX) return;
  // First, or who claims it next could be taken for the owner's for a moment, and be reclaimed.
  atomic.store<u32>(slotOf(base, attachment), isReclaimed ? RECLAIMED : 0, OWNER);
  atomic.and<u32>(base + CLAIMED + ((attachment >> 5) << 2), ~(1 << (attachment & 31)));
}

/** The permit for a call that `w` let through. Only the attachment's own thread issues, so this needs no atomic. */
// @ts-ignore: decorator
@inline export function issue(slot: usize, attachment: u32, w: u64): f64 {
  const issued = load<u64>(slot, ISSUED);
  store<u64>(slot, issued + 1, ISSUED);
  return reinterpret<f64>(
    (PERMIT_EXPONENT << PERMIT_EXPONENT_SHIFT) | (generationOf(w) << PERMIT_GENERATION_SHIFT) |
    (<u64>attachment << ATTACHMENT_SHIFT) | (issued & TICKET_MAX)
  );
}

/**
 * Notes that a ticket came back, exactly once over all threads.
 *
 * A word of TICKETS belongs to the 32 tickets of its tag. Nothing is cleared when tickets are issued: the first ticket of a
 * later lap that comes back turns the page.
 */
// @ts-ignore: decorator
@inline export function mark(slot: usize, ticket: u64): i32 {
  const age = (load<u64>(slot, ISSUED) - 1 - ticket) & TICKET_MAX;
  if (age >= TICKETS_REMEMBERED) return UNKNOWN;
  const tag = ticket >> 5;
  const bit: u64 = 1 << (ticket & 31);
  const word = slot + TICKETS + (<usize>(tag & TICKET_WORDS_MASK) << 3);
  let seen = atomic.load<u64>(word);
  while (true) {
    let next: u64;
    if (seen >> 32 == tag) {
      if ((seen & bit) != 0) return AGAIN;
      next = seen | bit;
    } else {
      // A later page is found by a thread that slept while its permit's owner gave out a thousand more, and by a permit that
      // nobody gave out.
      if (((seen >> 32) - tag & (TICKET_MAX >> 5)) <= TICKETS_REMEMBERED) return UNKNOWN;
      next = (tag << 32) | bit;
    }
    const before = atomic.cmpxchg<u64>(word, seen, next);
    if (before == seen) return FIRST;
    seen = before;
  }
  return UNKNOWN; // never reached: the loop ends by returning
}

/** True when a ticket is known to have come back. */
export function isMarked(slot: usize, ticket: u64): bool {
  const age = (load<u64>(slot, ISSUED) - 1 - ticket) & TICKET_MAX;
  const seen = atomic.load<u64>(slot + TICKETS + (<usize>((ticket >> 5) & TICKET_WORDS_MASK) << 3));
  return age < TICKETS_REMEMBERED && seen >> 32 == ticket >> 5 && (seen >> (ticket & 31) & 1) != 0;
}
