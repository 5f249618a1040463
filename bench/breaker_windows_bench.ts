/** What a call costs when windows watch it, beside what one would write or take instead. */

import { CircuitBreaker, type CircuitBreakerOptions } from "../core/breaker.ts";
import { systemClock } from "../core/clock.ts";
import {
  callClosed,
  callSometimesFailing,
  COUNT_WINDOW_SIZE,
  decideClosed,
  decideSometimesFailing,
  TIME_WINDOW_MS,
} from "./breaker_contenders.ts";
import { AtomicsBreaker, makeSharedCells, PlainBreaker } from "./breaker_machines.ts";
import { cockatielCount, cockatielSampling, mollitiaCount, mollitiaTime, opossum } from "./breaker_peers.ts";
import { ask, bar, type Contender } from "./measure.ts";

const COUNT = `Breakwater, the last ${COUNT_WINDOW_SIZE} calls`;
const TIME = `Breakwater, the last ${TIME_WINDOW_MS / 1_000} s`;
const BOTH = "Breakwater, both windows";
const SLOW = "Breakwater, slow calls";
const ATOMICS = "the same machine on JavaScript's Atomics";
const PLAIN = "the same machine as a plain object, unshared";
const MOLLITIA_COUNT = `mollitia 0.1, the last ${COUNT_WINDOW_SIZE} calls, timed`;

const WINDOWS_NS_MAX = 30;

/** Their turns are of fewer calls, for each takes longer. */
const CLOCK_TIMES = 2_000;
const OPOSSUM_FAILING_TIMES = 10;
const MOLLITIA_COUNT_TIMES = 40;
const MOLLITIA_TIME_TIMES = 10;

/** Asks what each kind of window costs, and answers whether all bars are met. */
export async function benchBreakerWindows(): Promise<boolean> {
  using peers = new DisposableStack();
  const count = await ask("What does a call cost with a window over the last calls?", [
    core(COUNT, { countWindowSize: COUNT_WINDOW_SIZE }),
    core("Breakwater, no window", {}),
    decideClosed(ATOMICS, new AtomicsBreaker(systemClock, makeSharedCells(COUNT_WINDOW_SIZE))),
    decideClosed(PLAIN, new PlainBreaker(systemClock, COUNT_WINDOW_SIZE)),
    callClosed("cockatiel 4, CountBreaker", peers.use(cockatielCount())),
    callClosed(MOLLITIA_COUNT, peers.use(mollitiaCount()), MOLLITIA_COUNT_TIMES),
  ]);
  const met = [withWindows(count.get(COUNT)!.ns, "the last calls")];

  await ask("And while one call in ten fails, which makes a window add up what it holds?", [
    decideSometimesFailing(COUNT, new CircuitBreaker({ countWindowSize: COUNT_WINDOW_SIZE })),
    decideSometimesFailing(TIME, new CircuitBreaker({ timeWindowMs: TIME_WINDOW_MS })),
    decideSometimesFailing("Breakwater, no window", new CircuitBreaker()),
    decideSometimesFailing(ATOMICS, new AtomicsBreaker(systemClock, makeSharedCells(COUNT_WINDOW_SIZE))),
    decideSometimesFailing(PLAIN, new PlainBreaker(systemClock, COUNT_WINDOW_SIZE)),
    callSometimesFailing("opossum 10, no timeout", peers.use(opossum()), OPOSSUM_FAILING_TIMES),
    callSometimesFailing("cockatiel 4, CountBreaker", peers.use(cockatielCount())),
    callSometimesFailing(MOLLITIA_COUNT, peers.use(mollitiaCount()), MOLLITIA_COUNT_TIMES),
  ]);

  const time = await ask("With a window over the last seconds?", [
    core(TIME, { timeWindowMs: TIME_WINDOW_MS }),
    core(BOTH, { countWindowSize: COUNT_WINDOW_SIZE, timeWindowMs: TIME_WINDOW_MS }),
    callClosed("opossum 10, no timeout", peers.use(opossum())),
    callClosed("cockatiel 4, SamplingBreaker", peers.use(cockatielSampling())),
    callClosed("mollitia 0.1, the last 1 000 calls in 10 s", peers.use(mollitiaTime()), MOLLITIA_TIME_TIMES),
  ]);
  met.push(withWindows(time.get(TIME)!.ns, "the last seconds"), withWindows(time.get(BOTH)!.ns, "both windows"));

  await ask("And when slow calls count, for which a clock is read twice?", [
    decideClosed(SLOW, new CircuitBreaker({ countWindowSize: COUNT_WINDOW_SIZE, slowCallMs: 1_000 }), CLOCK_TIMES),
    twoReadings("two readings of the clock and nothing else"),
    callClosed(MOLLITIA_COUNT, peers.use(mollitiaCount()), MOLLITIA_COUNT_TIMES),
  ]);
  return met.every((ok) => ok);
}

function core(name: string, options: CircuitBreakerOptions): Contender {
  return decideClosed(name, new CircuitBreaker(options));
}

function withWindows(ns: number, what: string): boolean {
  return bar(`closed ask and report with ${what}, in ns (depends on the processor)`, ns, "most", WINDOWS_NS_MAX);
}

function twoReadings(name: string): Contender {
  let sum = 0;
  const run = (times: number) => {
    for (let time = 0; time < times; time++) sum += systemClock.nowMs() - systemClock.nowMs();
    if (Number.isNaN(sum)) throw new Error("The clock answers no number");
  };
  return { name, times: CLOCK_TIMES, run };
}
