/** What it costs to have a call made by the breaker, beside the libraries that do the same. */

import { CircuitBreaker } from "../core/breaker.ts";
import { callClosed, type Peer, refuseCall } from "./breaker_contenders.ts";
import { act, cockatiel, opened, opossum } from "./breaker_peers.ts";
import { ask, bar } from "./measure.ts";

const BARE = "nothing: the call is awaited";
const RUN = "Breakwater, breaker.run";
const OPOSSUM = "opossum 10, no timeout";
const COCKATIEL = "cockatiel 4, consecutive";

/** So many that a turn takes about a millisecond: what is compared is what a guard adds, which is little. */
const CLOSED_TIMES = 4_000;

const DAY_MS = 86_400_000;

/** Asks what `breaker.run` costs, and answers whether its bars are met. */
export async function benchRun(): Promise<boolean> {
  using peers = new DisposableStack();
  const closed = await ask("What does a guarded async call cost closed?", [
    callClosed(BARE, peers.use(bare()), CLOSED_TIMES),
    callClosed(RUN, peers.use(run()), CLOSED_TIMES),
    callClosed(OPOSSUM, peers.use(opossum()), CLOSED_TIMES),
    callClosed(COCKATIEL, peers.use(cockatiel()), CLOSED_TIMES),
  ]);
  const refused = await ask("And refused?", [
    refuseCall(RUN, await opened(peers.use(run()))),
    refuseCall(OPOSSUM, await opened(peers.use(opossum()))),
    refuseCall(COCKATIEL, await opened(peers.use(cockatiel()))),
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

/** The call itself, which no circuit guards. */
function bare(): Peer {
  return { call: act, [Symbol.dispose]: () => {} };
}

function run(): Peer {
  const breaker = new CircuitBreaker({ probeEveryNth: 0, cooldownMs: DAY_MS });
  return { call: (fail) => breaker.run(() => act(fail)), [Symbol.dispose]: () => breaker.detach() };
}
