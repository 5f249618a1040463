/** The count window of window.ts of core/assembly, step by step. */

import { raise } from "./deadlines.ts";
import { cmpxchg, load, type Settings, type Steps } from "./memory.ts";
import { COUNT_FAILED } from "./transitions.ts";
import {
  COUNT_BAD,
  deadlineWord,
  GENERATION_MAX,
  generationOf,
  HEAD,
  isLater,
  msOf,
  ownerOf,
  PAGES,
  WORD,
} from "./words.ts";

const PAGES_MASK = 127n;
const PAGE_CALLS = 14n;
const PAGE_TAG_SHIFT = 32n;
const PAGE_NUMBER_MAX = 0xfffn;
const COUNT_SHIFT = 28n;
const COUNT_ONE = 1n << COUNT_SHIFT;
const COUNT_MAX = 0xfn;
const PAGE_FAILED_SHIFT = 14n;
const CALLS_MASK = (1n << PAGE_CALLS) - 1n;

/** What a window says when it opens the circuit. */
export interface Verdict {
  readonly reason: number;
  readonly bad: number;
  readonly calls: number;
}

export function* enterCount(generation: bigint, failed: boolean): Steps<void> {
  const head = yield* load(HEAD);
  const address = pageAddress(msOf(head));
  const page = yield* load(address);
  const calls = countOf(page);
  const isUsual = page >> PAGE_TAG_SHIFT === tagOf(generation, msOf(head)) && calls < PAGE_CALLS &&
    (yield* cmpxchg(address, page, (page + COUNT_ONE) | (bitsOf(failed) << calls))) === page;
  if (!isUsual) yield* enterCountAnyhow(generation, failed);
  else if (failed) {
    yield* raise(COUNT_BAD, deadlineWord(generation, msOf(head) * PAGE_CALLS + calls), GENERATION_MAX);
  }
}

function* enterCountAnyhow(generation: bigint, failed: boolean): Steps<void> {
  while (true) {
    const head = yield* load(HEAD);
    if (ownerOf(head) !== generation) {
      if (isLater(ownerOf(head), generation, GENERATION_MAX)) return;
      yield* cmpxchg(HEAD, head, deadlineWord(generation, 0n));
      continue;
    }
    const number = msOf(head);
    const address = pageAddress(number);
    const page = yield* load(address);
    const isTurned = page >> PAGE_TAG_SHIFT === tagOf(generation, number);
    if (!isTurned && generation !== generationOf(yield* load(WORD))) return;
    const calls = isTurned ? countOf(page) : 0n;
    if (calls === PAGE_CALLS) {
      yield* cmpxchg(HEAD, head, deadlineWord(generation, number + 1n));
      continue;
    }
    const before = isTurned ? page : tagOf(generation, number) << PAGE_TAG_SHIFT;
    if ((yield* cmpxchg(address, page, (before + COUNT_ONE) | (bitsOf(failed) << calls))) !== page) continue;
    if (failed) yield* raise(COUNT_BAD, deadlineWord(generation, number * PAGE_CALLS + calls), GENERATION_MAX);
    return;
  }
}

export function* countVerdict(settings: Settings, generation: bigint): Steps<Verdict | undefined> {
  const bad = yield* load(COUNT_BAD);
  return ownerOf(bad) === generation ? yield* countCalls(settings, generation, bad) : undefined;
}

function* countCalls(settings: Settings, generation: bigint, bad: bigint): Steps<Verdict | undefined> {
  const size = BigInt(settings.countWindowSize);
  const head = yield* load(HEAD);
  if (ownerOf(head) !== generation) return undefined;
  if (msOf(bad) + size < msOf(head) * PAGE_CALLS) return undefined;
  let calls = 0n;
  let failed = 0;
  for (let number = msOf(head); number >= 0n && calls < size; number--) {
    const page = yield* pageAt(generation, number);
    if (page === 0n && number !== msOf(head)) break;
    const count = countOf(page);
    const taken = count < size - calls ? count : size - calls;
    const mask = ((1n << taken) - 1n) << (count - taken);
    failed += ones((page >> PAGE_FAILED_SHIFT) & CALLS_MASK & mask);
    calls += taken;
  }
  return verdict(settings, Number(calls), failed);
}

function verdict(settings: Settings, calls: number, failed: number): Verdict | undefined {
  if (calls < settings.minimumCalls) return undefined;
  return failed / calls >= settings.failureRatio ? { reason: COUNT_FAILED, bad: failed, calls } : undefined;
}

function* pageAt(generation: bigint, number: bigint): Steps<bigint> {
  const page = yield* load(pageAddress(number));
  return page >> PAGE_TAG_SHIFT === tagOf(generation, number) ? page : 0n;
}

export const countOf = (page: bigint) => (page >> COUNT_SHIFT) & COUNT_MAX;
const tagOf = (generation: bigint, number: bigint) => (generation << 12n) | (number & PAGE_NUMBER_MAX);
const bitsOf = (failed: boolean) => failed ? 1n << PAGE_FAILED_SHIFT : 0n;
const pageAddress = (number: bigint) => PAGES + Number(number & PAGES_MASK) * 8;
const ones = (bits: bigint) => bits.toString(2).replaceAll("0", "").length;
