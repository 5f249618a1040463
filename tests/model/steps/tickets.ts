/** tickets.ts of core/assembly, step by step. */

import { cmpxchg, load, type Steps, type Thread } from "./memory.ts";
import {
  attachmentOf,
  doubleOf,
  generationOf,
  PERMIT_EXPONENT,
  slotOf,
  TICKET_MAX,
  ticketOf,
  TICKETS,
  TICKETS_REMEMBERED,
} from "./words.ts";

export const FIRST = 0;
const UNKNOWN = 1;
export const AGAIN = 2;

export function issue(thread: Thread, w: bigint): number {
  const ticket = BigInt(thread.counts.issued++) & TICKET_MAX;
  return doubleOf((PERMIT_EXPONENT << 52n) | (generationOf(w) << 32n) | (BigInt(thread.attachment) << 24n) | ticket);
}

export function* mark(thread: Thread, permit: bigint): Steps<number> {
  const issuer = attachmentOf(permit);
  const ticket = ticketOf(permit);
  const age = (BigInt(thread.issuedBy(issuer)) - 1n - ticket) & TICKET_MAX;
  if (age >= TICKETS_REMEMBERED) return UNKNOWN;
  const tag = ticket >> 5n;
  const bit = 1n << (ticket & 31n);
  const word = ticketWord(issuer, ticket);
  let seen = yield* load(word);
  while (true) {
    let next: bigint;
    if (seen >> 32n === tag) {
      if ((seen & bit) !== 0n) return AGAIN;
      next = seen | bit;
    } else {
      if ((((seen >> 32n) - tag) & (TICKET_MAX >> 5n)) <= TICKETS_REMEMBERED) return UNKNOWN;
      next = (tag << 32n) | bit;
    }
    const before = yield* cmpxchg(word, seen, next);
    if (before === seen) return FIRST;
    seen = before;
  }
}

export function* isMarked(thread: Thread, permit: bigint): Steps<boolean> {
  const issuer = attachmentOf(permit);
  const ticket = ticketOf(permit);
  const age = (BigInt(thread.issuedBy(issuer)) - 1n - ticket) & TICKET_MAX;
  const seen = yield* load(ticketWord(issuer, ticket));
  return age < TICKETS_REMEMBERED && seen >> 32n === ticket >> 5n && ((seen >> (ticket & 31n)) & 1n) !== 0n;
}

/** Where the result of a ticket is noted. */
function ticketWord(issuer: number, ticket: bigint): number {
  return slotOf(issuer) + TICKETS + Number((ticket >> 5n) & 63n) * 8;
}
