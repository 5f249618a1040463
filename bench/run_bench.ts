/** What it costs to have a call made by the breaker, beside the libraries that do the same. */

import { circuitBreaker, ConsecutiveBreaker, handleAll } from "cockatiel";
import OpossumBreaker from "opossum";
import { CircuitBreaker } from "../core/breaker.ts";
import { ask, bar, type Contender } from "./measure.ts";

const BARE = "nothing: the call is awaited";
const RUN = "Breakwater, breaker.run";
const OPOSSUM = "opossum 10, no timeout";
const COCKATIEL = "cockatiel 4, consecutive";

/** So many that a turn takes about a millisecond. */
const CLOSED_TIMES = 4_000;
const REFUSED_TIMES = 400;

const DAY_MS = 86_400_000;

/** Asks what `breaker.run` costs, and answers whether its bars are met. */
export async function benchRun(): Promise<boolean> {
  const closed = await ask("What does a guarded async call cost closed?", [
    succeeds(BARE, act),
    succeeds(RUN, run()),
    succeeds(OPOSSUM, opossum()),
    succeeds(COCKATIEL, cockatiel()),
  ]);
  const refused = await ask("And refused?", [
    refuses(RUN, await opened(run())),
    refuses(OPOSSUM, await opened(opossum())),
    refuses(COCKATIEL, await opened(cockatiel())),
  ]);
  const met = [
    bar("of what cockatiel adds to a call, closed", added(RUN) / added(COCKATIEL), "most", 0.8),
  ];
  for (const peer of [OPOSSUM, COCKATIEL]) {
    met.push(
      bar(`breaker.run refused: times cheaper than ${peer}`, refused.get(peer)!.ns / refused.get(RUN)!.ns, "least", 5),
    );
  }
  return met.every((ok) => ok);

  function added(name: string): number {
    return closed.get(name)!.ns - closed.get(BARE)!.ns;
  }
}

/** A call that may fail, and so may one that is guarded. */
type Call = (fail: boolean) => Promise<unknown>;

// Each contender has a loop of its own, for the reason that breaker_contenders.ts gives.

let loops = 0;
function loop(body: string, call: Call): (times: number) => Promise<void> {
  return new Function("call", `return async (times) => { /* ${loops++} */ ${body} };`)(call);
}

function succeeds(name: string, call: Call): Contender {
  return { name, times: CLOSED_TIMES, run: loop("for (let time = 0; time < times; time++) await call(false);", call) };
}

function refuses(name: string, call: Call): Contender {
  const once = "try { await call(false); } catch { continue; } throw new Error('let through');";
  return { name, times: REFUSED_TIMES, run: loop(`for (let time = 0; time < times; time++) { ${once} }`, call) };
}

/** Makes a contender open its circuit. */
async function opened(call: Call): Promise<Call> {
  for (let time = 0; time < 10; time++) await call(true).catch(() => {});
  return call;
}

function act(fail: boolean): Promise<void> {
  return fail ? Promise.reject(new Error("down")) : Promise.resolve();
}

function run(): Call {
  const breaker = new CircuitBreaker({ probeEveryNth: 0, cooldownMs: DAY_MS });
  return (fail) => breaker.run(() => act(fail));
}

function opossum(): Call {
  const breaker = new OpossumBreaker(act, { timeout: false, resetTimeout: DAY_MS });
  return (fail) => breaker.fire(fail);
}

function cockatiel(): Call {
  const breaker = circuitBreaker(handleAll, { halfOpenAfter: DAY_MS, breaker: new ConsecutiveBreaker(3) });
  return (fail) => breaker.execute(() => act(fail));
}
