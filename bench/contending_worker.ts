/** A worker that makes calls at the same time as another, through an instance of its own on what they share. */

import { parentPort, workerData } from "node:worker_threads";
import { CircuitBreaker, type CircuitBreakerHandle } from "../core/breaker.ts";
import { systemClock } from "../core/clock.ts";
import { closedLoop } from "./breaker_contenders.ts";
import { AtomicsBreaker, type Machine, type SharedCells } from "./breaker_machines.ts";

/** What is called: our breaker, or the machine on JavaScript's Atomics. */
export type Shared = { readonly handle: CircuitBreakerHandle } | { readonly cells: SharedCells };

/** What a worker is given. */
export interface Contention {
  readonly shared: Shared;
  readonly index: number;
  readonly signals: Int32Array<SharedArrayBuffer>;
  /** For each worker and turn of the last round: nanoseconds a call; 0 when the other was not at work all the while. */
  readonly results: Float64Array<SharedArrayBuffer>;
}

/** Cells of `signals`. */
export const ROUND = 0; // counts up; in even ones both workers take part, in odd ones the first alone
export const READY = 1; // how often a worker was ready for a turn of this round
export const GONE = 2; // workers that are through with it
const BEGUN = 3; // for each worker: how many turns it began
const ENDED = 5; // and ended
export const SIGNALS = 7;

/** How many workers take part in a round. */
export function workersIn(round: number): number {
  return round % 2 === 0 ? 2 : 1;
}

/** Turns in a round. Both workers begin each of them together, as far as they have a processor each. */
export const TURNS = 50;

/** Calls in one turn: about a tenth of a millisecond, so that most turns end before the system wants the processor back. */
const CALLS = 5_000;

if (parentPort !== null && workerData?.shared !== undefined) contend(workerData as Contention);

function contend({ shared, index, signals, results }: Contention): void {
  const machine: Machine = "handle" in shared
    ? CircuitBreaker.attach(shared.handle)
    : new AtomicsBreaker(systemClock, shared.cells, index);
  const run = closedLoop(machine);
  for (let round = 0;;) {
    Atomics.wait(signals, ROUND, round);
    round = Atomics.load(signals, ROUND);
    const workers = workersIn(round);
    if (index >= workers) continue;
    const other = 1 - index;
    for (let turn = 1; turn <= TURNS; turn++) {
      Atomics.add(signals, READY, 1);
      while (Atomics.load(signals, READY) < turn * workers);
      const isLate = Atomics.load(signals, ENDED + other) >= turn;
      Atomics.store(signals, BEGUN + index, turn);
      const startMs = performance.now();
      run(CALLS);
      const elapsedMs = performance.now() - startMs;
      const isEarly = workers === 2 && Atomics.load(signals, BEGUN + other) < turn;
      Atomics.store(signals, ENDED + index, turn);
      results[index * TURNS + turn - 1] = isLate || isEarly ? 0 : elapsedMs * 1e6 / CALLS;
    }
    Atomics.add(signals, GONE, 1);
    Atomics.notify(signals, GONE);
  }
}
