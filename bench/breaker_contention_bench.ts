/**
 * What does a call cost when two workers make calls at the same time?
 *
 * Each worker has an instance of its own on the memory that both share. Rounds of one worker and of two take turns, so that
 * whatever else the machine does happens to both, and the ratio of the medians is what counts. Of the turns of two only those
 * count in which both were at work: where other programs want the processors too, one worker often waits for the other's.
 * Two workers on circuits of their own show what the machine itself takes from two threads that share nothing.
 */

import { Worker } from "node:worker_threads";
import { CircuitBreaker } from "../core/breaker.ts";
import { COUNT_WINDOW_SIZE } from "./breaker_contenders.ts";
import { makeSharedCells } from "./breaker_machines.ts";
import { type Contention, GONE, READY, ROUND, type Shared, SIGNALS, TURNS, workersIn } from "./contending_worker.ts";
import { bar, median } from "./measure.ts";

const CORE = "Breakwater";
const ATOMICS = "the same machine on JavaScript's Atomics";
const RATIO_MAX = 1.5;

const WORKER_COUNT = 2;

/** Rounds of one worker, and as many of two; after those that leave the compiler time to be done. */
const ROUND_COUNT = 15;
const WARM_UP_ROUND_COUNT = 5;

/** With fewer turns in which both were at work, rounds go on. */
const TURNS_LEAST = 100;
const ROUND_COUNT_MAX = 40;

/** A round that takes longer never ends: a worker is gone. */
const ROUND_MS_MAX = 30_000;

/** Asks, prints the answer, and says whether the bar is met. */
export async function benchBreakerContention(): Promise<boolean> {
  console.log("\nWhat does a call cost that one worker makes, or two at the same time?");
  const breaker = new CircuitBreaker();
  const ratio = await contend(CORE, () => ({ handle: breaker.handle }));
  await contend(`${CORE}, a circuit for each worker`, () => ({ handle: new CircuitBreaker().handle }));
  const cells = makeSharedCells();
  await contend(ATOMICS, () => ({ cells }));
  const windowed = new CircuitBreaker({ countWindowSize: COUNT_WINDOW_SIZE });
  await contend(`${CORE}, the last ${COUNT_WINDOW_SIZE} calls`, () => ({ handle: windowed.handle }));
  const windowedCells = makeSharedCells(COUNT_WINDOW_SIZE);
  await contend(`JavaScript's Atomics, the last ${COUNT_WINDOW_SIZE} calls`, () => ({ cells: windowedCells }));
  for (const { counters: { permitted, successes } } of [breaker, windowed]) {
    if (successes !== permitted) throw new Error(`Of ${permitted} calls only ${successes} are counted as successes`);
  }
  return bar("of the cost with one worker", ratio, "most", RATIO_MAX);
}

/** Lets one worker make calls, then two at once, in turns, and answers how much more they cost then; NaN where nobody knows. */
async function contend(name: string, share: (index: number) => Shared): Promise<number> {
  const signals = new Int32Array(new SharedArrayBuffer(4 * SIGNALS));
  const results = new Float64Array(new SharedArrayBuffer(8 * WORKER_COUNT * TURNS));
  const workers = Array.from({ length: WORKER_COUNT }, (_, index) => {
    const workerData: Contention = { shared: share(index), index, signals, results };
    return new Worker(new URL("contending_worker.ts", import.meta.url), { workerData });
  });
  const turns: [number[], number[]] = [[], []];
  let round = 1;
  for (; round <= 2 * WARM_UP_ROUND_COUNT; round++) playRound(signals, round);
  const [least, most] = [round + 2 * ROUND_COUNT, round + 2 * ROUND_COUNT_MAX];
  for (; round < least || (round < most && turns[1].length < TURNS_LEAST); round++) {
    playRound(signals, round);
    const measured = results.subarray(0, workersIn(round) * TURNS).filter((ns) => ns > 0);
    turns[workersIn(round) - 1]!.push(...measured);
  }
  for (const worker of workers) await worker.terminate();
  const [one, two] = turns.map(median) as [number, number];
  const isKnown = turns[1].length >= TURNS_LEAST;
  const cells = [
    `${one.toFixed(1)} ns`,
    ...isKnown ? [`${two.toFixed(1)} ns`, `${(two / one).toFixed(2)} x`] : ["?", "?"],
  ];
  console.log(
    `  ${name.padEnd(44)} ${cells.map((cell) => cell.padStart(9)).join(" ")}   ${turns[1].length} turns of two`,
  );
  return isKnown ? two / one : NaN;
}

function playRound(signals: Int32Array<SharedArrayBuffer>, round: number): void {
  for (let signal = READY; signal < SIGNALS; signal++) Atomics.store(signals, signal, 0);
  Atomics.store(signals, ROUND, round);
  Atomics.notify(signals, ROUND);
  for (let gone = 0; gone < workersIn(round); gone = Atomics.load(signals, GONE)) {
    if (Atomics.wait(signals, GONE, gone, ROUND_MS_MAX) === "timed-out") throw new Error("A worker is gone");
  }
}
