/** What a decision of the circuit breaker costs, beside what one would write or take instead. */

import { CircuitBreaker } from "../core/breaker.ts";
import { systemClock } from "../core/clock.ts";
import { callClosed, decideClosed, refuse, refuseCall } from "./breaker_contenders.ts";
import { AtomicsBreaker, PlainBreaker } from "./breaker_machines.ts";
import { cockatiel, mollitiaCount, opened, opossum } from "./breaker_peers.ts";
import { ask, bar } from "./measure.ts";

const CORE = "Breakwater";
const ATOMICS = "the same machine on JavaScript's Atomics";
const PLAIN = "the same machine as a plain object, unshared";
const OPOSSUM = "opossum 10, no timeout";
const COCKATIEL = "cockatiel 4, consecutive";
const MOLLITIA = "mollitia 0.1, the last 10 calls";

/** mollitia's least window: it has none of consecutive failures alone. */
const MOLLITIA_WINDOW = 10;

/** Its turns are shorter, for its calls are longer. */
const MOLLITIA_TIMES = 100;

/** Asks what a call and a refusal cost, and answers whether all bars are met. */
export async function benchBreaker(): Promise<boolean> {
  using peers = new DisposableStack();
  const closed = await ask("What does a call cost while the circuit is closed: ask, then report success?", [
    decideClosed(CORE, new CircuitBreaker()),
    decideClosed(ATOMICS, new AtomicsBreaker(systemClock)),
    decideClosed(PLAIN, new PlainBreaker(systemClock)),
    callClosed(OPOSSUM, peers.use(opossum())),
    callClosed(COCKATIEL, peers.use(cockatiel())),
    callClosed(MOLLITIA, peers.use(mollitiaCount(MOLLITIA_WINDOW)), MOLLITIA_TIMES),
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
    refuse(CORE, new CircuitBreaker({ probeEveryNth: 0, cooldownMs: 86_400_000, cooldownMaxMs: 86_400_000 })),
    refuse(ATOMICS, new AtomicsBreaker(systemClock)),
    refuse(PLAIN, new PlainBreaker(systemClock)),
    refuseCall(OPOSSUM, await opened(peers.use(opossum()))),
    refuseCall(COCKATIEL, await opened(peers.use(cockatiel()))),
    refuseCall(MOLLITIA, await opened(peers.use(mollitiaCount())), MOLLITIA_TIMES),
  ]);
  for (const peer of [OPOSSUM, COCKATIEL]) {
    met.push(
      bar(`times cheaper than a refusal by ${peer}`, refusal.get(peer)!.ns / refusal.get(CORE)!.ns, "least", 100),
    );
  }
  return met.every((ok) => ok);
}
