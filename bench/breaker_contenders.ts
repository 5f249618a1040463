/**
 * How a bench uses a machine and a peer. Each contender has a loop of its own, as a program has that uses one of them: a loop
 * that has seen several kinds of machines is compiled for none of them.
 */

import type { Machine } from "./breaker_machines.ts";
import type { Contender } from "./measure.ts";

/** A peer's breaker around a call that succeeds or fails as it is told. Some set timers, so each is to be disposed of. */
export interface Peer extends Disposable {
  readonly call: (fail: boolean) => Promise<unknown>;
}

/** The windows that questions are asked with. */
export const COUNT_WINDOW_SIZE = 100;
export const TIME_WINDOW_MS = 10_000;

/** So many that a turn takes some tenths of a millisecond: less than the system gives to whoever else wants the processor. */
const SYNC_TIMES = 20_000;
const ASYNC_TIMES = 400;

/** Calls that succeed: asks, then reports. */
export function decideClosed(name: string, machine: Machine, times = SYNC_TIMES): Contender {
  return { name, times, run: closedLoop(machine) };
}

/** Calls of which one in ten fails. */
export function decideSometimesFailing(name: string, machine: Machine): Contender {
  const run = loop("machine.record(machine.acquire(), time % 10 === 9 ? 'failure' : 'success');", machine);
  return { name, times: SYNC_TIMES, run };
}

/** The loop of calls that succeed. */
export function closedLoop(machine: Machine): (times: number) => void {
  return loop("machine.record(machine.acquire(), 'success');", machine);
}

/** Calls that are refused. */
export function refuse(name: string, machine: Machine): Contender {
  for (let permit = machine.acquire(); permit >= 0; permit = machine.acquire()) machine.record(permit, "failure");
  return { name, times: SYNC_TIMES, run: loop("if (machine.acquire() >= 0) throw new Error('let through');", machine) };
}

/** Calls of a peer that succeed. */
export function callClosed(name: string, { call }: Peer, times = ASYNC_TIMES): Contender {
  return { name, times, run: asyncLoop("await call(false);", call) };
}

/** Calls of a peer of which one in ten fails. */
export function callSometimesFailing(name: string, { call }: Peer, times = ASYNC_TIMES): Contender {
  return { name, times, run: asyncLoop("await call(time % 10 === 9).catch(() => {});", call) };
}

/** Calls of a peer that are refused. */
export function refuseCall(name: string, { call }: Peer, times = ASYNC_TIMES): Contender {
  const once = "try { await call(false); } catch { continue; } throw new Error('let through');";
  return { name, times, run: asyncLoop(once, call) };
}

// The number keeps the engine from finding the text in its cache, and with it what it learned from another machine.
let loops = 0;

function loop(once: string, machine: Machine): (times: number) => void {
  const text = `return (times) => { /* ${loops++} */ for (let time = 0; time < times; time++) ${once} };`;
  return new Function("machine", text)(machine);
}

function asyncLoop(once: string, call: Peer["call"]): (times: number) => Promise<void> {
  const text = `return async (times) => { /* ${loops++} */ for (let time = 0; time < times; time++) { ${once} } };`;
  return new Function("call", text)(call);
}
