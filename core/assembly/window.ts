// What the calls of a closed circuit came to lately: the last so many, or those of the last so many milliseconds.
//
// Both windows belong to a generation, which stands in each of their words: a circuit that closes again finds all words of
// another generation, and so begins clean without a reset that could be lost half-way.
//
// The count window is a row of pages, numbered from 0 in each generation, of which the ring PAGES keeps the last 128:
//
//   a page   generation:20 | number:12 | count:4 | failed:14 | slow:14     one bit for each of its `count` calls, first call lowest
//   HEAD     generation:20 | number:44                                     the page that is being filled
//
// A call enters by one compare-and-swap of a page, which gives it its place and its bits at once: no thread ever sees a place
// without them. HEAD follows, by whoever finds its page full. (A thread that slept while others entered exactly 57 344 calls would
// overwrite one page, which takes 14 calls out of a window.)
//
// The time window is a row of buckets, each a tenth of it long, of which the ring BUCKETS keeps the last 16:
//
//   a bucket   calls, failed, slow, each: generation:8 | lap:32 | count:24     the lap is the bucket's number / 16

import {
  BUCKETS, COUNT_BAD, COUNT_WINDOW_SIZE, deadlineWord, FAILURE_RATIO, GENERATION_MAX, generationOf, HEAD, MINIMUM_CALLS, msOf,
  ownerOf, PAGES, RULES, settingOf, SLOW_CALL_RATIO, SLOW_CALLS, TIME_BAD, TIME_WINDOW_MS, whole, WORD,
} from "./layout";
import { isLater, raise, wholeMs } from "./deadlines";
import { COUNT_FAILED, COUNT_SLOW, TIME_FAILED, TIME_SLOW } from "./told";

const PAGES_MASK: u64 = 127;
const PAGE_CALLS: u64 = 14;
const PAGE_TAG_SHIFT: u64 = 32;
const PAGE_NUMBER_MAX: u64 = 0xfff;
const PAGE_GENERATION_SHIFT: u64 = 12;
const COUNT_SHIFT: u64 = 28;
const COUNT_ONE: u64 = 1 << COUNT_SHIFT;
const COUNT_MAX: u64 = 0xf;
const PAGE_FAILED_SHIFT: u64 = 14;
const CALLS_MASK: u64 = (1 << PAGE_CALLS) - 1;

const TENTHS: u64 = 10;
const BUCKETS_MASK: u64 = 15;
const BUCKET_SHIFT: usize = 5;
const LAP_SHIFT: u64 = 4;
const LAP_MAX: u64 = 0xffffffff;
const KEY_SHIFT: u64 = 24;
const KEY_GENERATION_SHIFT: u64 = 32;
const KEY_GENERATION_MAX: u64 = 0xff;
const BUCKET_COUNT_MAX: u64 = 0xffffff;

// In a bucket.
const CALLS: usize = 0;
const FAILED: usize = 8;
const SLOW: usize = 16;

/** What a window says when it opens the circuit: reason:8 | bad calls:28 | calls:28. 0 when it does not. */
export const VERDICT_REASON_SHIFT: u64 = 56;
export const VERDICT_BAD_SHIFT: u64 = 28;
export const VERDICT_MASK: u64 = 0xfffffff;

/** How a call comes into a window: bits. */
export const ENTERS_FAILED: u64 = 1;
export const ENTERS_SLOW: u64 = 2;

/** Enters a call of a closed generation into the count window. */
// @ts-ignore: decorator
@inline export function enterCount(base: usize, generation: u64, call: u64): void {
  const head = atomic.load<u64>(base, HEAD);
  const address = pageAddress(base, msOf(head));
  const page = atomic.load<u64>(address);
  const calls = countOf(page);
  // As a rule the page is the one that is being filled, and nobody else is filling it. (HEAD may be of a later generation, and the
  // page still of this one, which is over: then the call enters where nobody looks any more.)
  const isUsual = page >> PAGE_TAG_SHIFT == tagOf(generation, msOf(head)) && calls < PAGE_CALLS &&
    atomic.cmpxchg<u64>(address, page, (page + COUNT_ONE) | (bitsOf(call) << calls)) == page;
  if (!isUsual) enterCountAnyhow(base, generation, call);
  else if (call != 0) raise(base + COUNT_BAD, deadlineWord(generation, msOf(head) * PAGE_CALLS + calls), GENERATION_MAX);
}

/** The same, turning pages and trying again until it is done. */
function enterCountAnyhow(base: usize, generation: u64, call: u64): void {
  while (true) {
    const head = atomic.load<u64>(base, HEAD);
    if (ownerOf(head) != generation) {
      if (isLater(ownerOf(head), generation, GENERATION_MAX)) return; // the generation is over
      atomic.cmpxchg<u64>(base, head, deadlineWord(generation, 0), HEAD);
      continue;
    }
    const number = msOf(head);
    const address = pageAddress(base, number);
    const page = atomic.load<u64>(address);
    const isTurned = page >> PAGE_TAG_SHIFT == tagOf(generation, number);
    // Over since HEAD was read: then the page may be another's. (Its own generation does not tell: it may be very old.)
    if (!isTurned && generation != generationOf(atomic.load<u64>(base, WORD))) return;
    const calls = isTurned ? countOf(page) : 0;
    if (calls == PAGE_CALLS) {
      atomic.cmpxchg<u64>(base, head, deadlineWord(generation, number + 1), HEAD);
      continue;
    }
    const before = isTurned ? page : tagOf(generation, number) << PAGE_TAG_SHIFT;
    if (atomic.cmpxchg<u64>(address, page, (before + COUNT_ONE) | (bitsOf(call) << calls)) != page) continue;
    if (call != 0) raise(base + COUNT_BAD, deadlineWord(generation, number * PAGE_CALLS + calls), GENERATION_MAX);
    return;
  }
}

/** What the count window says of a closed generation. */
// @ts-ignore: decorator
@inline export function countVerdict(base: usize, generation: u64): u64 {
  const bad = atomic.load<u64>(base, COUNT_BAD);
  return ownerOf(bad) == generation ? verdictOfPages(base, generation, bad) : 0; // or nothing bad has happened
}

/** The same, when something bad has happened in it: `bad` says where that was last. */
function verdictOfPages(base: usize, generation: u64, bad: u64): u64 {
  const size = settingOf(base, COUNT_WINDOW_SIZE);
  const head = atomic.load<u64>(base, HEAD);
  if (ownerOf(head) != generation) return 0;
  if (msOf(bad) + size < msOf(head) * PAGE_CALLS) return 0; // nothing bad lately
  let calls: u64 = 0;
  let failed: u64 = 0;
  let slow: u64 = 0;
  for (let number = <i64>msOf(head); number >= 0 && calls < size; number--) {
    const page = pageAt(base, generation, <u64>number);
    if (page == 0 && <u64>number != msOf(head)) break;
    const count = countOf(page);
    const taken = min<u64>(count, size - calls);
    const mask = ((<u64>1 << taken) - 1) << (count - taken);
    failed += popcnt<u64>(page >> PAGE_FAILED_SHIFT & CALLS_MASK & mask);
    slow += popcnt<u64>(page & CALLS_MASK & mask);
    calls += taken;
  }
  return verdict(base, calls, failed, slow, COUNT_FAILED, COUNT_SLOW);
}

/** How many calls the count window holds. */
export function countWindowCalls(base: usize): u32 {
  const generation = generationOf(atomic.load<u64>(base, WORD));
  const head = atomic.load<u64>(base, HEAD);
  if (ownerOf(head) != generation) return 0;
  const size = settingOf(base, COUNT_WINDOW_SIZE);
  let calls: u64 = 0;
  for (let number = <i64>msOf(head); number >= 0 && calls < size; number--) {
    const page = pageAt(base, generation, <u64>number);
    if (page == 0 && <u64>number != msOf(head)) break;
    calls += countOf(page);
  }
  return <u32>min<u64>(calls, size);
}

/**
 * The call that entered the count window `age` calls before the last one, as `enterCount` was given it; -1 when it is not there.
 */
export function countWindowCall(base: usize, age: u32): i32 {
  const generation = generationOf(atomic.load<u64>(base, WORD));
  const head = atomic.load<u64>(base, HEAD);
  if (ownerOf(head) != generation) return -1;
  let left = <u64>age;
  for (let number = <i64>msOf(head); number >= 0; number--) {
    const page = pageAt(base, generation, <u64>number);
    if (page == 0 && <u64>number != msOf(head)) return -1;
    const count = countOf(page);
    if (left < count) {
      const place = count - 1 - left;
      return <i32>((page >> (PAGE_FAILED_SHIFT + place) & 1) | (page >> place & 1) << 1);
    }
    left -= count;
  }
  return -1;
}

/** Enters a call as `countWindowCall` gave it. */
export function enterCountCall(base: usize, call: u32): void {
  enterCount(base, generationOf(atomic.load<u64>(base, WORD)), call & (ENTERS_FAILED | ENTERS_SLOW));
}

/** Empties the count window, however old what stands there is. */
export function forgetCountWindow(base: usize): void {
  const generation = generationOf(atomic.load<u64>(base, WORD));
  for (let number: u64 = 0; number <= PAGES_MASK; number++) {
    const page = atomic.load<u64>(pageAddress(base, number));
    if (pageIsOf(page, generation)) atomic.cmpxchg<u64>(pageAddress(base, number), page, 0);
  }
  setBack(base + HEAD, generation);
  setBack(base + COUNT_BAD, generation);
}

/** Lets a word belong to the generation before one, which takes it from there. */
function setBack(address: usize, generation: u64): void {
  const seen = atomic.load<u64>(address);
  atomic.cmpxchg<u64>(address, seen, deadlineWord((generation - 1) & GENERATION_MAX, 0));
}

/** Enters a call of a closed generation into the time window. */
// @ts-ignore: decorator
@inline export function enterTime(base: usize, generation: u64, nowMs: u64, call: u64): void {
  const bucket = bucketAt(base, nowMs);
  const address = bucketAddress(base, bucket);
  const key = keyOf(generation, bucket);
  // The calls first: who reads in between sees a call that did not fail, and not a failure without a call.
  const seen = atomic.load<u64>(address + CALLS);
  const isUsual = seen >> KEY_SHIFT == key && (seen & BUCKET_COUNT_MAX) != BUCKET_COUNT_MAX &&
    atomic.cmpxchg<u64>(address + CALLS, seen, seen + 1) == seen;
  if (!isUsual) add(base, address + CALLS, key, 1);
  if (call == 0) return;
  if ((call & ENTERS_FAILED) != 0) add(base, address + FAILED, key, 1);
  if ((call & ENTERS_SLOW) != 0) add(base, address + SLOW, key, 1);
  raise(base + TIME_BAD, deadlineWord(generation, nowMs), GENERATION_MAX);
}

/** What the time window says of a closed generation. */
// @ts-ignore: decorator
@inline export function timeVerdict(base: usize, generation: u64, nowMs: u64): u64 {
  const bad = atomic.load<u64>(base, TIME_BAD);
  return ownerOf(bad) == generation ? verdictOfBuckets(base, generation, bad, nowMs) : 0; // or nothing bad has happened
}

/** The same, when something bad has happened in it. */
function verdictOfBuckets(base: usize, generation: u64, bad: u64, nowMs: u64): u64 {
  const bucket = bucketAt(base, nowMs);
  if (bucketAt(base, msOf(bad)) + TENTHS <= bucket) return 0; // nothing bad lately
  let calls: u64 = 0;
  let failed: u64 = 0;
  let slow: u64 = 0;
  for (let age: u64 = 0; age < TENTHS; age++) {
    const key = keyOf(generation, bucket - age);
    const address = bucketAddress(base, bucket - age);
    const made = countAt(address + CALLS, key);
    if (made == 0) continue;
    calls += made;
    failed += countAt(address + FAILED, key);
    slow += countAt(address + SLOW, key);
  }
  return verdict(base, calls, failed, slow, TIME_FAILED, TIME_SLOW);
}

/** What the time window holds of the bucket `age` tenths before now: `which` is 0 for calls, 1 for failed ones, 2 for slow ones. */
export function timeWindowCount(base: usize, age: u32, which: u32, nowMs: f64): u32 {
  const generation = generationOf(atomic.load<u64>(base, WORD));
  const bucket = bucketAt(base, wholeMs(nowMs));
  if (which > 2) return 0;
  return <u32>countIn(base, generation, bucket - age, <usize>which << 3);
}

/** Enters many calls at once, which happened `age` tenths before now. A window that is off takes none. */
export function enterTimeCounts(base: usize, age: u32, calls: u32, failed: u32, slow: u32, nowMs: f64): void {
  if (load<f64>(base, TIME_WINDOW_MS) == 0) return;
  const generation = generationOf(atomic.load<u64>(base, WORD));
  const now = bucketAt(base, wholeMs(nowMs));
  const bucket = now - age; // before the beginning of time the numbers go round, as do their laps
  const address = bucketAddress(base, bucket);
  const key = keyOf(generation, bucket);
  if (calls > 0) add(base, address + CALLS, key, calls);
  if (failed > 0) add(base, address + FAILED, key, failed);
  if (slow > 0) add(base, address + SLOW, key, slow);
  if (failed + slow > 0) raise(base + TIME_BAD, deadlineWord(generation, wholeMs(nowMs)), GENERATION_MAX);
}

/**
 * Takes up the calls of a time window that was `beforeMs` long into one of the length that is set now, as if they had just been
 * made.
 */
export function resizeTimeWindow(base: usize, beforeMs: f64, nowMs: f64): void {
  const generation = generationOf(atomic.load<u64>(base, WORD));
  const last = beforeMs > 0 ? wholeMs(nowMs) * TENTHS / <u64>beforeMs : 0;
  const calls = beforeMs > 0 ? inTime(base, generation, last, CALLS) : 0;
  const failed = beforeMs > 0 ? inTime(base, generation, last, FAILED) : 0;
  const slow = beforeMs > 0 ? inTime(base, generation, last, SLOW) : 0;
  for (let place: usize = 0; place < <usize>(BUCKETS_MASK + 1) << BUCKET_SHIFT; place += 8) {
    const word = base + BUCKETS + place;
    let seen = atomic.load<u64>(word);
    for (let before = seen; ; seen = before) {
      before = atomic.cmpxchg<u64>(word, seen, 0);
      if (before == seen) break;
    }
  }
  setBack(base + TIME_BAD, generation);
  enterTimeCounts(base, 0, <u32>calls, <u32>failed, <u32>slow, nowMs);
}

/** What so many calls mean for the circuit, of which so many failed and so many were slow. */
function verdict(base: usize, calls: u64, failed: u64, slow: u64, reasonFailed: u64, reasonSlow: u64): u64 {
  if (<f64>calls < load<f64>(base, MINIMUM_CALLS)) return 0;
  // Divided, for then 7 of 100 calls are the very number that a setting of 0.07 is.
  if (<f64>failed / <f64>calls >= load<f64>(base, FAILURE_RATIO)) return word(reasonFailed, failed, calls);
  const slowCounts = (load<u32>(base, RULES) & SLOW_CALLS) != 0;
  return slowCounts && <f64>slow / <f64>calls >= load<f64>(base, SLOW_CALL_RATIO) ? word(reasonSlow, slow, calls) : 0;
}

// @ts-ignore: decorator
@inline function word(reason: u64, bad: u64, calls: u64): u64 {
  return (reason << VERDICT_REASON_SHIFT) | (min<u64>(bad, VERDICT_MASK) << VERDICT_BAD_SHIFT) | min<u64>(calls, VERDICT_MASK);
}

// @ts-ignore: decorator
@inline function countOf(page: u64): u64 { return page >> COUNT_SHIFT & COUNT_MAX; }

// @ts-ignore: decorator
@inline function tagOf(generation: u64, number: u64): u64 {
  return (generation << PAGE_GENERATION_SHIFT) | (number & PAGE_NUMBER_MAX);
}

// @ts-ignore: decorator
@inline function bitsOf(call: u64): u64 { return ((call & ENTERS_FAILED) << PAGE_FAILED_SHIFT) | (call >> 1); }

// @ts-ignore: decorator
@inline function pageAddress(base: usize, number: u64): usize { return base + PAGES + (<usize>(number & PAGES_MASK) << 3); }

/** The page of a number; 0 when it is not there. */
function pageAt(base: usize, generation: u64, number: u64): u64 {
  const page = atomic.load<u64>(pageAddress(base, number));
  return page >> PAGE_TAG_SHIFT == tagOf(generation, number) ? page : 0;
}

/** True when a page is of a generation, whatever its number. */
// @ts-ignore: decorator
@inline function pageIsOf(page: u64, generation: u64): bool {
  return page >> (PAGE_TAG_SHIFT + PAGE_GENERATION_SHIFT) == generation;
}

/** The bucket of a time. A division of doubles is exact enough for 2^47 tenths, and costs a third of one of integers. */
// @ts-ignore: decorator
@inline function bucketAt(base: usize, ms: u64): u64 {
  const windowMs = max<f64>(load<f64>(base, TIME_WINDOW_MS), 1); // 0 when another thread has just turned it off
  return whole(<f64><i64>(ms * TENTHS) / windowMs);
}

// @ts-ignore: decorator
@inline function bucketAddress(base: usize, bucket: u64): usize {
  return base + BUCKETS + (<usize>(bucket & BUCKETS_MASK) << BUCKET_SHIFT);
}

// @ts-ignore: decorator
@inline function keyOf(generation: u64, bucket: u64): u64 {
  return ((generation & KEY_GENERATION_MAX) << KEY_GENERATION_SHIFT) | (bucket >> LAP_SHIFT & LAP_MAX);
}

/** The calls of one kind in the ten buckets up to `last`. */
function inTime(base: usize, generation: u64, last: u64, kind: usize): u64 {
  let sum: u64 = 0;
  for (let age: u64 = 0; age < TENTHS; age++) sum += countIn(base, generation, last - age, kind);
  return sum;
}

function countIn(base: usize, generation: u64, bucket: u64, kind: usize): u64 {
  return countAt(bucketAddress(base, bucket) + kind, keyOf(generation, bucket));
}

// @ts-ignore: decorator
@inline function countAt(address: usize, key: u64): u64 {
  const seen = atomic.load<u64>(address);
  return seen >> KEY_SHIFT == key ? seen & BUCKET_COUNT_MAX : 0;
}

/** Adds to a word of a bucket, which is turned to `key` if it is of an earlier lap or generation. A full one stays full. */
function add(base: usize, address: usize, key: u64, calls: u64): void {
  let seen = atomic.load<u64>(address);
  while (true) {
    const isSame = seen >> KEY_SHIFT == key;
    if (!isSame && seen != 0 && isAhead(base, seen >> KEY_SHIFT, key)) return; // … while this thread slept
    const count = min<u64>((isSame ? seen & BUCKET_COUNT_MAX : 0) + calls, BUCKET_COUNT_MAX);
    const before = atomic.cmpxchg<u64>(address, seen, (key << KEY_SHIFT) | count);
    if (before == seen) return;
    seen = before;
  }
}

/** True when a bucket's word that is not of `key` is of a later lap or generation, and not of one that is over. */
function isAhead(base: usize, found: u64, key: u64): bool {
  const generation = found >> KEY_GENERATION_SHIFT;
  if (generation == key >> KEY_GENERATION_SHIFT) return isLater(found & LAP_MAX, key & LAP_MAX, LAP_MAX);
  // The word may be hundreds of generations old, so eight bits do not say which of two is the later. The one that there is now is.
  return generation == (generationOf(atomic.load<u64>(base, WORD)) & KEY_GENERATION_MAX);
}
