/** deadlines.ts of core/assembly, step by step. */

import { cmpxchg, load, type Settings, type Steps } from "./memory.ts";
import {
  ATTEMPTS,
  BY_COOLDOWN,
  BY_THROTTLE,
  DEADLINE,
  deadlineWord,
  FLOOR,
  GENERATION_MAX,
  generationOf,
  isLater,
  LEASE,
  levelOf,
  msOf,
  OPENING_MAX,
  openingOf,
  ownerOf,
  wayOf,
} from "./words.ts";

export function* probeDeadline(settings: Settings, w: bigint, nowMs: bigint): Steps<bigint> {
  const d = yield* load(DEADLINE);
  const generation = generationOf(w);
  if (ownerOf(d) !== generation) {
    const planned = yield* plannedDeadline(settings, w, d, nowMs);
    return yield* install(DEADLINE, d, deadlineWord(generation, planned), GENERATION_MAX);
  }
  return yield* within(DEADLINE, d, nowMs + BigInt(Math.max(settings.cooldownMaxMs, settings.throttleMaxMs)));
}

function* plannedDeadline(settings: Settings, w: bigint, d: bigint, nowMs: bigint): Steps<bigint> {
  const way = wayOf(w);
  if (way === BY_COOLDOWN) return nowMs + cooldownMs(settings, levelOf(w));
  if (way === BY_THROTTLE) return yield* floorMs(settings, w, nowMs);
  return msOf(d);
}

export function* leaseDeadline(settings: Settings, w: bigint, nowMs: bigint): Steps<bigint> {
  const d = yield* load(LEASE);
  const generation = generationOf(w);
  const latestMs = nowMs + BigInt(settings.probeLeaseMs);
  if (ownerOf(d) !== generation) return yield* install(LEASE, d, deadlineWord(generation, latestMs), GENERATION_MAX);
  return yield* within(LEASE, d, latestMs);
}

export function* renewLease(settings: Settings, w: bigint, nowMs: bigint): Steps<void> {
  yield* raise(LEASE, deadlineWord(generationOf(w), nowMs + BigInt(settings.probeLeaseMs)), GENERATION_MAX);
}

export function* floorMs(settings: Settings, w: bigint, nowMs: bigint): Steps<bigint> {
  const d = yield* load(FLOOR);
  if (ownerOf(d) !== openingOf(w)) return 0n;
  return yield* within(FLOOR, d, nowMs + BigInt(settings.throttleMaxMs));
}

export function* beginOpening(opening: bigint): Steps<void> {
  yield* raise(FLOOR, deadlineWord(opening, 0n), OPENING_MAX);
  yield* raise(ATTEMPTS, deadlineWord(opening, 0n), OPENING_MAX);
}

export function* raiseFloor(opening: bigint, untilMs: bigint): Steps<void> {
  yield* raise(FLOOR, deadlineWord(opening, untilMs), OPENING_MAX);
}

/** Without jitter: luck is no matter of interleaving. */
function cooldownMs(settings: Settings, level: bigint): bigint {
  let ms = settings.cooldownMs;
  for (let i = 0n; i < level && ms < settings.cooldownMaxMs; i++) ms *= settings.cooldownBackoff;
  return BigInt(Math.max(1, Math.floor(Math.min(ms, settings.cooldownMaxMs) + 0.5)));
}

function* install(address: number, d: bigint, next: bigint, ownerMax: bigint): Steps<bigint> {
  while (!isLater(ownerOf(d), ownerOf(next), ownerMax)) {
    const seen = yield* cmpxchg(address, d, next);
    if (seen === d) return msOf(next);
    if (ownerOf(seen) === ownerOf(next)) return msOf(seen);
    d = seen;
  }
  return msOf(d);
}

export function* raise(address: number, next: bigint, ownerMax: bigint): Steps<void> {
  let d = yield* load(address);
  while (!isLater(ownerOf(d), ownerOf(next), ownerMax)) {
    if (ownerOf(d) === ownerOf(next) && msOf(d) >= msOf(next)) return;
    const seen = yield* cmpxchg(address, d, next);
    if (seen === d) return;
    d = seen;
  }
}

function* within(address: number, d: bigint, latestMs: bigint): Steps<bigint> {
  if (msOf(d) <= latestMs) return msOf(d);
  yield* cmpxchg(address, d, deadlineWord(ownerOf(d), latestMs));
  return latestMs;
}
