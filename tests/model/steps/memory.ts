/**
 * The circuit breaker of core/assembly as a machine of single steps: a thread is a generator that stops before each access to
 * memory that others write, says which it is, and is given what the access answered. Who asks the generators decides who goes
 * next. Each file here is to be read beside the one of the same name in core/assembly: where that has an `atomic`, this has
 * a `yield*` of the same, in the same order. Slow calls, time windows, tape and jitter are left out.
 */

import { ADD, CMPXCHG, LOAD, SUB } from "./words.ts";

/** One access to shared memory, about to happen. */
export interface Access {
  readonly kind: number;
  readonly address: number;
  /** What a compare-and-swap compares with. */
  readonly expected: bigint;
  /** What is written, or added. */
  readonly next: bigint;
}

/** What a thread does, one access at a time: `next` is given what the access answered. */
export type Steps<T> = Generator<Access, T, bigint>;

/** The numbers that a machine works with. */
export interface Settings {
  readonly failureThreshold: number;
  readonly successThreshold: number;
  readonly probeEveryNth: number;
  readonly probeConcurrency: number;
  readonly cooldownMs: number;
  readonly cooldownBackoff: number;
  readonly cooldownMaxMs: number;
  readonly probeLeaseMs: number;
  readonly throttleMaxMs: number;
  /** 0 when there is no count window. */
  readonly countWindowSize: number;
  readonly minimumCalls: number;
  readonly failureRatio: number;
}

/** The counters of a slot, in their order. */
// deno-fmt-ignore
export const COUNTERS = [
  "issued", "refused", "success", "failure", "ignored", "throttled", "stale", "duplicate", "leaseExpired", "opened",
  "halfOpened", "closed",
] as const;
export type Counter = typeof COUNTERS[number];

/** A thread: what it alone writes, and what it knows of the others. */
export interface Thread {
  readonly settings: Settings;
  readonly attachment: number;
  /** Its counters. Nobody else writes them, so counting is no step. */
  readonly counts: Record<Counter, number>;
  /** Changes of state in its last call. */
  readonly told: Told[];
  /** How many permits an attachment has given out. Another's is read without an atomic, to see how old a ticket is. */
  issuedBy(attachment: number): number;
}

/** A change of state, as the core packs it, and the numbers behind it. */
export interface Told {
  readonly what: number;
  readonly detail: number;
  readonly second: number;
}

export function* load(address: number): Steps<bigint> {
  return yield { kind: LOAD, address, expected: 0n, next: 0n };
}

export function* cmpxchg(address: number, expected: bigint, next: bigint): Steps<bigint> {
  return yield { kind: CMPXCHG, address, expected, next };
}

export function* add(address: number, value: bigint): Steps<bigint> {
  return yield { kind: ADD, address, expected: 0n, next: value };
}

export function* sub(address: number, value: bigint): Steps<bigint> {
  return yield { kind: SUB, address, expected: 0n, next: value };
}

/** What stands in memory after an access that found `seen` there. */
export function written({ kind, expected, next }: Access, seen: bigint): bigint {
  if (kind === LOAD) return seen;
  if (kind === CMPXCHG) return seen === expected ? next : seen;
  if (kind === ADD) return seen + next;
  if (kind === SUB) return seen - next;
  return next;
}
