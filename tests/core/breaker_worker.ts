/** A worker that shares a circuit with the tests that started it (breaker_threads.ts), and does what it is told. */

import { parentPort, workerData } from "node:worker_threads";
import {
  CircuitBreaker,
  type CircuitBreakerHandle,
  type CircuitState,
  type CircuitTransition,
  type Outcome,
} from "../../core/breaker.ts";
import type { Clock } from "../../core/clock.ts";

/** Cells of the array that all share. */
export const NOW_MS = 0;
export const ROUND = 1;
export const ARRIVED = 2;
export const PASSED = 3;
export const NAPS = 4;
export const READY = 5;
export const EPISODES = 6;
export const CELLS = 7;

/** Refusals in one episode, a second of them and more, after which a stampede is given up: nobody will ever pass. */
const STALLED = 50_000_000;

/** What a worker is to do. */
export type Task =
  | { readonly does: "race"; readonly rounds: number; readonly asksPerRound: number }
  | { readonly does: "roam"; readonly calls: number; readonly seed: number; readonly naps: boolean }
  | {
    readonly does: "bring back";
    readonly rounds: number;
    readonly permits: Float64Array;
    readonly outcomes: readonly Outcome[];
  }
  | {
    readonly does: "stampede";
    readonly rounds: number;
    readonly probeConcurrency: number;
    readonly cooldownMs: number;
  }
  | { readonly does: "churn"; readonly times: number; readonly owners: Int32Array }
  | { readonly does: "storm"; readonly seed: number }
  | { readonly does: "hold"; readonly busily?: boolean }
  | { readonly does: "tell the wait" };

/** What a worker is given. */
export interface Assignment {
  readonly handle: CircuitBreakerHandle;
  readonly task: Task;
  readonly cells: SharedArrayBuffer;
}

/** What a roaming worker did. */
export interface Journey {
  /** Its changes of state, as `packed`. */
  readonly transitions: Uint32Array;
  /** The generations of its permits, in their order. */
  readonly generations: Uint32Array;
  /** Changes of state by a result of a generation that was over. */
  readonly outlived: number;
  readonly answers: Readonly<Record<"refused" | "applied" | "stale" | "duplicate", number>>;
}

/** What a worker saw in a stampede. */
export interface Stampede {
  /** The generations of its permits, in their order. */
  readonly generations: Uint32Array;
  /** Results of probes of an earlier episode that were not stale. */
  readonly notStale: number;
}

/** The states in the order of their numbers. */
export const STATES: readonly CircuitState[] = ["closed", "half_open", "open"];

/** A change of state in 24 bits, so that the order of the numbers is the order of the generations. */
export function packed({ generation, from, to }: CircuitTransition): number {
  return generation * 16 + STATES.indexOf(from) * 4 + STATES.indexOf(to);
}

/** Time as the tests move it, for all threads. */
export function clockOf(cells: Int32Array): Clock {
  const nowMs = () => Atomics.load(cells, NOW_MS);
  return { nowMs, wallMs: nowMs };
}

/** The generation of a permit, as assembly/layout.ts draws it. */
export function generationOf(permit: number): number {
  return Math.floor((permit - 2 ** 52) / 2 ** 32);
}

if (parentPort !== null && workerData?.task !== undefined) {
  const { handle, task, cells } = workerData as Assignment;
  // Listening keeps it alive until it is terminated: what a worker posts as it ends may be lost.
  parentPort.on("message", () => {});
  parentPort.postMessage(await work(handle, task, new Int32Array(cells)));
}

function work(handle: CircuitBreakerHandle, task: Task, cells: Int32Array): unknown {
  if (task.does === "tell the wait") return CircuitBreaker.attach(handle).retryAfterMs;
  const breaker = CircuitBreaker.attach(handle, { clock: clockOf(cells) });
  if (task.does === "race") return race(breaker, task.rounds, task.asksPerRound, cells);
  if (task.does === "roam") return roam(breaker, task, cells);
  if (task.does === "bring back") return bringBack(breaker, task, cells);
  if (task.does === "stampede") return stampede(breaker, task, cells);
  if (task.does === "churn") return churn(handle, task, cells);
  if (task.does === "storm") return storm(breaker, task.seed, cells);
  return hold(breaker, task.busily === true);
}

/** Takes a permit and keeps it; if busily, it goes on reading until it is terminated. */
function hold(breaker: CircuitBreaker, busily: boolean): number | Promise<never> {
  const permit = breaker.acquire();
  if (!busily) return permit;
  parentPort!.postMessage(permit);
  return untilTerminated(() => void breaker.counters);
}

/** Deno ends a thread only between two turns of its loop, so one that is to be ended has to have turns. */
async function untilTerminated(turn: () => void): Promise<never> {
  for (;;) {
    for (let time = 0; time < 100; time++) turn();
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

/** In each round all ask at the same moment; who passes says so, and ends the episode when all have asked. */
function race(breaker: CircuitBreaker, rounds: number, asksPerRound: number, cells: Int32Array): number {
  let passed = 0;
  for (let round = 1; round <= rounds; round++) {
    while (Atomics.load(cells, ROUND) < 2 * round - 1) Atomics.wait(cells, ROUND, 2 * round - 2);
    const permits: number[] = [];
    for (let ask = 0; ask < asksPerRound; ask++) {
      const permit = breaker.acquire();
      if (permit >= 0) permits.push(permit);
    }
    Atomics.add(cells, PASSED, permits.length);
    arrive(cells);
    while (Atomics.load(cells, ROUND) < 2 * round) Atomics.wait(cells, ROUND, 2 * round - 1);
    for (const permit of permits) breaker.record(permit, round % 2 === 0 ? "success" : "failure");
    passed += permits.length;
    arrive(cells);
  }
  return passed;
}

/** In each round two bring permits back, the same ones or not, as nearly at the same time as can be. */
function bringBack(
  breaker: CircuitBreaker,
  { rounds, permits, outcomes }: Task & { does: "bring back" },
  cells: Int32Array,
): void {
  for (let round = 1; round <= rounds; round++) {
    while (Atomics.load(cells, ROUND) < round) Atomics.wait(cells, ROUND, round - 1);
    Atomics.add(cells, READY, 1);
    while (Atomics.load(cells, READY) < 2 * round); // who is woken first would be through before the other begins
    let applied = 0;
    for (const [index, permit] of permits.entries()) {
      if (breaker.record(permit, outcomes[index % outcomes.length]!) === "applied") applied++;
    }
    Atomics.add(cells, PASSED, applied);
    arrive(cells);
  }
}

/**
 * All ask without a pause. The last that may pass reports a failure and moves the time to the next deadline, for which all
 * run at once. Answers with the generations of its permits.
 */
function stampede(
  breaker: CircuitBreaker,
  { rounds, probeConcurrency, cooldownMs }: Task & { does: "stampede" },
  cells: Int32Array,
): Stampede {
  const generations: number[] = [];
  let held = -1;
  let notStale = 0;
  let luck = 1;
  let refusedCount = 0;
  let episode = -1;
  arrive(cells);
  Atomics.wait(cells, ROUND, 0);
  for (let now = 0; now < rounds && refusedCount < STALLED; now = Atomics.load(cells, EPISODES)) {
    refusedCount = now === episode ? refusedCount + 1 : 0;
    episode = now;
    const permit = breaker.acquire();
    if (permit < 0) continue;
    generations.push(generationOf(permit));
    // Who passed without being the last reports an episode later, when it is too late.
    if (held >= 0 && generationOf(held) !== generationOf(permit)) {
      if (breaker.record(held, "success") !== "stale") notStale++;
    }
    held = -1;
    if (Atomics.add(cells, PASSED, 1) + 1 < probeConcurrency) {
      held = permit;
      continue;
    }
    Atomics.store(cells, PASSED, 0);
    breaker.record(permit, "failure");
    Atomics.add(cells, NOW_MS, cooldownMs);
    Atomics.add(cells, EPISODES, 1);
    // It knows of the new deadline before the others do, and would nearly always be the first.
    luck = (Math.imul(luck, 1664525) + 1013904223) >>> 0;
    for (let wait = luck >>> 24; wait > 0; wait--) Atomics.load(cells, NOW_MS);
  }
  return { generations: Uint32Array.from(generations), notStale };
}

/** Attaches and detaches. Answers how often somebody else had the same attachment at the same time. */
function churn(handle: CircuitBreakerHandle, { times, owners }: Task & { does: "churn" }, cells: Int32Array): number {
  let sharedCount = 0;
  arrive(cells);
  Atomics.wait(cells, ROUND, 0);
  for (let time = 0; time < times; time++) {
    using joined = CircuitBreaker.attach(handle, { clock: clockOf(cells) });
    const permit = joined.acquire();
    const attachment = Math.floor(permit / 2 ** 24) % 256;
    if (Atomics.add(owners, attachment, 1) > 0) sharedCount++;
    joined.record(permit, "success");
    Atomics.sub(owners, attachment, 1);
  }
  return sharedCount;
}

/** Calls until it is terminated, moving the time that all share, with results that come while others are awaited. */
function storm(breaker: CircuitBreaker, seed: number, cells: Int32Array): Promise<never> {
  let luck = seed;
  const held: number[] = [];
  return untilTerminated(() => {
    luck = (Math.imul(luck, 1664525) + 1013904223) >>> 0;
    const chance = luck >>> 28;
    if (chance === 0) Atomics.add(cells, NOW_MS, 1);
    const permit = breaker.acquire();
    if (permit >= 0) {
      held.push(permit);
      if (Atomics.add(cells, PASSED, 1) % 16 === 0) Atomics.notify(cells, PASSED);
    }
    const result = chance < 4 ? undefined : held.shift(); // whoever is terminated has some in its hand
    if (result !== undefined) breaker.record(result, chance < 11 ? "failure" : "success");
  });
}

function arrive(cells: Int32Array): void {
  Atomics.add(cells, ARRIVED, 1);
  Atomics.notify(cells, ARRIVED);
}

/** Calls as fast as it can, with outcomes by chance, moving the time that all share. */
function roam(breaker: CircuitBreaker, { calls, seed, naps }: Task & { does: "roam" }, cells: Int32Array): Journey {
  const transitions: number[] = [];
  let ending = 0; // the generation of the permit whose result is being recorded
  let outlived = 0;
  breaker.onTransition((transition) => {
    transitions.push(packed(transition));
    if (ending > 0 && transition.generation !== ending + 1) outlived++;
  });
  const generations: number[] = [];
  const answers = { refused: 0, applied: 0, stale: 0, duplicate: 0 };
  let luck = seed;
  arrive(cells);
  Atomics.wait(cells, ROUND, 0);
  while (generations.length < calls) {
    luck = (Math.imul(luck, 1664525) + 1013904223) >>> 0;
    if (luck % 16 === 0) Atomics.add(cells, NOW_MS, 1);
    const permit = breaker.acquire();
    if (permit >= 0) generations.push(generationOf(permit));
    if (naps && luck % 8 === 0) nap(cells);
    const chance = luck >>> 28;
    if (permit < 0) {
      answers.refused++;
      continue;
    }
    ending = generationOf(permit);
    answers[breaker.record(permit, chance < 9 ? "failure" : chance < 15 ? "success" : { throttledMs: 1 })]++;
    ending = 0;
  }
  return { transitions: Uint32Array.from(transitions), generations: Uint32Array.from(generations), outlived, answers };
}

/** Lets the others find the circuit as it is now, also where threads outnumber processors. */
function nap(cells: Int32Array): void {
  Atomics.wait(cells, NAPS, 0, 0.01);
}
