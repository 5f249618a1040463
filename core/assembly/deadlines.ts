// When something may happen: deadlines in shared memory, never timers.
//
// A deadline is published after the change of state it belongs to. Between the two the thread may die, so whoever finds a
// deadline that is behind W installs it, by the same rule, from what W says. Of several only the first counts.

import {
  ATTEMPTS, BY_COOLDOWN, BY_THROTTLE, COOLDOWN_BACKOFF, COOLDOWN_JITTER, COOLDOWN_MAX_MS, COOLDOWN_MS, DEADLINE, deadlineWord,
  FLOOR, GENERATION_MAX, generationOf, LEASE, levelOf, msOf, OPENING_MAX, openingOf, ownerOf, PROBE_LEASE_MS, SEED, settingOf,
  THROTTLE_MAX_MS, wayOf, whole,
} from "./layout";

/** 43 bits, 278 years: any wait can be added to it, and a deadline's 44 bits still hold that. */
const TIME_MAX_MS: f64 = 8796093022207;

/** A time as the machine counts it: what is no number is 0, and what would not fit into a deadline's 44 bits is cut. */
export function wholeMs(time: f64): u64 {
  return time > 0 ? whole(min<f64>(time, TIME_MAX_MS)) : 0;
}

/** When the open circuit `w` may probe by cooldown. */
export function probeDeadline(base: usize, w: u64, nowMs: u64): u64 {
  const d = atomic.load<u64>(base, DEADLINE);
  const generation = generationOf(w);
  if (ownerOf(d) != generation) {
    return install(base + DEADLINE, d, deadlineWord(generation, plannedDeadline(base, w, d, nowMs)), GENERATION_MAX);
  }
  return within(base + DEADLINE, d, nowMs + waitMaxMs(base));
}

/** What the deadline of the open circuit `w` is to be, when `d` is the one of an earlier generation. */
function plannedDeadline(base: usize, w: u64, d: u64, nowMs: u64): u64 {
  const way = wayOf(w);
  if (way == BY_COOLDOWN) return nowMs + cooldownMs(base, generationOf(w), levelOf(w));
  if (way == BY_THROTTLE) return floorMs(base, w, nowMs);
  return msOf(d);
}

/** When the half-open episode `w` is void unless it reports before. */
export function leaseDeadline(base: usize, w: u64, nowMs: u64): u64 {
  const d = atomic.load<u64>(base, LEASE);
  const generation = generationOf(w);
  const latestMs = nowMs + settingOf(base, PROBE_LEASE_MS);
  if (ownerOf(d) != generation) return install(base + LEASE, d, deadlineWord(generation, latestMs), GENERATION_MAX);
  return within(base + LEASE, d, latestMs);
}

/** Starts the lease of the half-open episode `w` anew. */
export function renewLease(base: usize, w: u64, nowMs: u64): void {
  raise(base + LEASE, deadlineWord(generationOf(w), nowMs + settingOf(base, PROBE_LEASE_MS)), GENERATION_MAX);
}

/** Until when the backend asked to be left alone; 0 when it did not since the circuit `w` opened. */
export function floorMs(base: usize, w: u64, nowMs: u64): u64 {
  const d = atomic.load<u64>(base, FLOOR);
  if (ownerOf(d) != openingOf(w)) return 0;
  return within(base + FLOOR, d, nowMs + settingOf(base, THROTTLE_MAX_MS));
}

/**
 * Lets FLOOR and ATTEMPTS belong to an opening. Most openings have no pause, and some no attempts that count: a word that was left
 * behind for half a round of openings would seem to be ahead, and be left alone.
 */
export function beginOpening(base: usize, opening: u64): void {
  raise(base + FLOOR, deadlineWord(opening, 0), OPENING_MAX);
  raise(base + ATTEMPTS, deadlineWord(opening, 0), OPENING_MAX);
}

/** Raises the floor of an opening; it never sinks. Called before the opening it belongs to, so nobody sees that without. */
export function raiseFloor(base: usize, opening: u64, untilMs: u64): void {
  raise(base + FLOOR, deadlineWord(opening, untilMs), OPENING_MAX);
}

/** Shortens the waits that are under way to what the settings allow now. */
export function shortenWaits(base: usize, nowMs: u64): void {
  within(base + DEADLINE, atomic.load<u64>(base, DEADLINE), nowMs + waitMaxMs(base));
  within(base + LEASE, atomic.load<u64>(base, LEASE), nowMs + <u64>load<f64>(base, PROBE_LEASE_MS));
  within(base + FLOOR, atomic.load<u64>(base, FLOOR), nowMs + <u64>load<f64>(base, THROTTLE_MAX_MS));
}

/** The cooldown of a level, spread by the seed's luck for this generation. At least 1 ms, at most `cooldownMaxMs`. */
export function cooldownMs(base: usize, generation: u64, level: u64): u64 {
  const longest = load<f64>(base, COOLDOWN_MAX_MS);
  const backoff = load<f64>(base, COOLDOWN_BACKOFF);
  let ms = load<f64>(base, COOLDOWN_MS);
  for (let i: u64 = 0; i < level && ms < longest; i++) ms *= backoff;
  const luck = spread(<u32>load<f64>(base, SEED), <u32>generation); // 0 <= luck < 1
  ms = floor<f64>(min<f64>(ms, longest) * (1 + load<f64>(base, COOLDOWN_JITTER) * (2 * luck - 1)) + 0.5);
  return whole(max<f64>(1, min<f64>(ms, longest)));
}

/** Luck without a source of it: the 32-bit finaliser of MurmurHash3 over seed and generation. */
function spread(seed: u32, generation: u32): f64 {
  let h = seed ^ (generation * 0x9e3779b1);
  h = (h ^ (h >> 16)) * 0x85ebca6b;
  h = (h ^ (h >> 13)) * 0xc2b2ae35;
  h ^= h >> 16;
  return <f64>h / 4294967296.0;
}

/** Puts `next` where `d` was found, unless what stands there is as new or newer, and answers the deadline that stands. */
function install(address: usize, d: u64, next: u64, ownerMax: u64): u64 {
  while (!isLater(ownerOf(d), ownerOf(next), ownerMax)) {
    const seen = atomic.cmpxchg<u64>(address, d, next);
    if (seen == d) return msOf(next);
    if (ownerOf(seen) == ownerOf(next)) return msOf(seen);
    d = seen;
  }
  return msOf(d);
}

/** Puts `next` in its place unless what stands there is of a newer owner, or of the same one and not less. */
export function raise(address: usize, next: u64, ownerMax: u64): void {
  let d = atomic.load<u64>(address);
  while (!isLater(ownerOf(d), ownerOf(next), ownerMax)) {
    if (ownerOf(d) == ownerOf(next) && msOf(d) >= msOf(next)) return;
    const seen = atomic.cmpxchg<u64>(address, d, next);
    if (seen == d) return;
    d = seen;
  }
}

/**
 * The deadline `d`, brought back to `latestMs` if it is later than that. No wait is longer than its setting, so a later one
 * was written by a thread whose idea of the time is wrong (the wall clock was stepped while it attached).
 */
function within(address: usize, d: u64, latestMs: u64): u64 {
  if (msOf(d) <= latestMs) return msOf(d);
  atomic.cmpxchg<u64>(address, d, deadlineWord(ownerOf(d), latestMs));
  return latestMs;
}

// @ts-ignore: decorator
@inline function waitMaxMs(base: usize): u64 {
  return whole(max<f64>(load<f64>(base, COOLDOWN_MAX_MS), load<f64>(base, THROTTLE_MAX_MS)));
}

/** True when `a` comes after `b` in a count that wraps at `mask`. */
// @ts-ignore: decorator
@inline export function isLater(a: u64, b: u64, mask: u64): bool {
  const ahead = (a - b) & mask;
  return ahead != 0 && ahead <= mask >> 1;
}

/** Milliseconds until a deadline; 0 when it is over. */
// @ts-ignore: decorator
@inline export function remaining(deadlineMs: u64, nowMs: u64): f64 {
  return deadlineMs > nowMs ? <f64>(deadlineMs - nowMs) : 0;
}
