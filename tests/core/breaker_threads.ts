/** How tests set threads upon one circuit. What the threads do is in breaker_worker.ts. */

import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { CircuitBreaker, type CircuitBreakerOptions } from "../../core/breaker.ts";
import { ARRIVED, CELLS, clockOf, ROUND, type Task } from "./breaker_worker.ts";

/** A circuit whose time and workers a test moves through an array of cells. */
export function circuit(options: CircuitBreakerOptions): { breaker: CircuitBreaker; cells: Int32Array } {
  const cells = new Int32Array(new SharedArrayBuffer(4 * CELLS));
  const clock = clockOf(cells);
  return {
    breaker: new CircuitBreaker({
      failureThreshold: 1,
      probeEveryNth: 0,
      cooldownJitter: 0,
      seed: 1,
      clock,
      ...options,
    }),
    cells,
  };
}

/** Starts a worker with a task, and waits for its answer. */
export function start<T>(
  { handle }: Pick<CircuitBreaker, "handle">,
  cells: Int32Array,
  task: Task,
): { worker: Worker; answer: Promise<T> } {
  const workerData = { handle, task, cells: cells.buffer };
  const worker = new Worker(new URL("./breaker_worker.ts", import.meta.url), { workerData });
  const answer = new Promise<T>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  return { worker, answer };
}

/** Lets all workers go on. */
export function release(cells: Int32Array): void {
  Atomics.add(cells, ROUND, 1);
  Atomics.notify(cells, ROUND);
}

/** Waits until as many workers have come to where they wait for the next release. */
export function gather(cells: Int32Array, workers: number): void {
  for (let arrived = 0; arrived < workers; arrived = Atomics.load(cells, ARRIVED)) {
    assert.notEqual(Atomics.wait(cells, ARRIVED, arrived, 60_000), "timed-out", "a worker does not come back");
  }
  Atomics.store(cells, ARRIVED, 0);
}
