/** What a decision of the circuit breaker costs, beside what one would write or take instead. */

import { circuitBreaker, ConsecutiveBreaker, handleAll } from "cockatiel";
import OpossumBreaker from "opossum";
import { CircuitBreaker } from "../core/breaker.ts";
import { systemClock } from "../core/clock.ts";
import { AtomicsBreaker, type Machine, PlainBreaker } from "./breaker_peers.ts";
import { ask, bar, type Contender } from "./measure.ts";

const CORE = "Breakwater";
const ATOMICS = "the same machine on JavaScript's Atomics";
const PLAIN = "the same machine as a plain object, unshared";
const OPOSSUM = "opossum 10, no timeout";
const COCKATIEL = "cockatiel 4, consecutive";

/** So many that a turn takes about a millisecond. */
const SYNC_TIMES = 40_000;
const ASYNC_TIMES = 400;

/** Asks all questions about the breaker, and answers whether all bars are met. */
export async function benchBreaker(): Promise<boolean> {
  const closed = await ask("What does a call cost while the circuit is closed: ask, then report success?", [
    decideClosed(CORE, new CircuitBreaker()),
    decideClosed(ATOMICS, new AtomicsBreaker(systemClock)),
    decideClosed(PLAIN, new PlainBreaker(systemClock)),
    callClosed(OPOSSUM, opossum(false)),
    callClosed(COCKATIEL, cockatiel()),
  ]);
  const met = [
    bar(
      "closed ask and report, in ns (depends on the processor, the ratio below hardly)",
      closed.get(CORE)!.ns,
      "most",
      15,
    ),
    bar("of the same on JavaScript's Atomics", closed.get(CORE)!.ns / closed.get(ATOMICS)!.ns, "most", 0.6),
  ];

  const refusal = await ask("What does a refusal cost while the circuit is open?", [
    refuse(CORE, new CircuitBreaker({ probeEveryNth: 0, cooldownMs: 86_400_000 })),
    refuse(ATOMICS, new AtomicsBreaker(systemClock)),
    refuse(PLAIN, new PlainBreaker(systemClock)),
    refuseCall(OPOSSUM, await opened(opossum(true))),
    refuseCall(COCKATIEL, await opened(cockatiel())),
  ]);
  for (const peer of [OPOSSUM, COCKATIEL]) {
    met.push(
      bar(`times cheaper than a refusal by ${peer}`, refusal.get(peer)!.ns / refusal.get(CORE)!.ns, "least", 100),
    );
  }
  return met.every((ok) => ok);
}

// Each contender has a loop of its own, as a program has that uses one of them: a loop that has seen several kinds of
// machines is compiled for none of them.

function decideClosed(name: string, machine: Machine): Contender {
  const run = loop("for (let time = 0; time < times; time++) machine.record(machine.acquire(), 'success');", machine);
  return { name, times: SYNC_TIMES, run };
}

function refuse(name: string, machine: Machine): Contender {
  for (let permit = machine.acquire(); permit >= 0; permit = machine.acquire()) machine.record(permit, "failure");
  const run = loop(
    "for (let time = 0; time < times; time++) if (machine.acquire() >= 0) throw new Error('let through');",
    machine,
  );
  return { name, times: SYNC_TIMES, run };
}

let loops = 0;
function loop(body: string, machine: Machine): (times: number) => void {
  // The number keeps the engine from finding the text in its cache, and with it what it learned from another machine.
  return new Function("machine", `return (times) => { /* ${loops++} */ ${body} };`)(machine);
}

/** A peer: it wraps the call, and answers by a promise that a refusal rejects. */
type Call = (fail: boolean) => Promise<unknown>;

function callClosed(name: string, call: Call): Contender {
  const run = async (times: number) => {
    for (let time = 0; time < times; time++) await call(false);
  };
  return { name, times: ASYNC_TIMES, run };
}

function refuseCall(name: string, call: Call): Contender {
  const run = async (times: number) => {
    for (let time = 0; time < times; time++) {
      try {
        await call(false);
      } catch {
        continue;
      }
      throw new Error(`${name} let a call through`);
    }
  };
  return { name, times: ASYNC_TIMES, run };
}

/** Makes a peer open its circuit. */
async function opened(call: Call): Promise<Call> {
  for (let time = 0; time < 10; time++) await call(true).catch(() => {});
  return call;
}

function act(fail: boolean): Promise<void> {
  return fail ? Promise.reject(new Error("down")) : Promise.resolve();
}

function opossum(opens: boolean): Call {
  const breaker = new OpossumBreaker(act, { timeout: false, resetTimeout: 86_400_000, volumeThreshold: opens ? 1 : 0 });
  return (fail) => breaker.fire(fail);
}

function cockatiel(): Call {
  const breaker = circuitBreaker(handleAll, { halfOpenAfter: 86_400_000, breaker: new ConsecutiveBreaker(3) });
  return (fail) => breaker.execute(() => act(fail));
}
