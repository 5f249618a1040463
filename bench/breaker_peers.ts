/** The circuit breakers that one would take instead. Each wraps the call, and answers by a promise that a refusal rejects. */

import { circuitBreaker, ConsecutiveBreaker, CountBreaker, handleAll, SamplingBreaker } from "cockatiel";
import { BreakerState, Circuit, SlidingCountBreaker, SlidingTimeBreaker } from "mollitia";
import OpossumBreaker from "opossum";
import { COUNT_WINDOW_SIZE, type Peer, TIME_WINDOW_MS } from "./breaker_contenders.ts";

const MINIMUM_CALLS = 10;
const NEVER_MS = 86_400_000;

/** opossum has a rolling window of ten buckets in any case; its own timeout of a call is not asked about here. */
export function opossum(): Peer {
  const breaker = new OpossumBreaker(act, {
    timeout: false,
    resetTimeout: NEVER_MS,
    rollingCountTimeout: TIME_WINDOW_MS,
    volumeThreshold: MINIMUM_CALLS,
  });
  return { call: (fail) => breaker.fire(fail), [Symbol.dispose]: () => breaker.shutdown() };
}

/** cockatiel on consecutive failures. */
export function cockatiel(): Peer {
  return cockatielOf(new ConsecutiveBreaker(3));
}

/** cockatiel with a window over the last calls. */
export function cockatielCount(): Peer {
  return cockatielOf(
    new CountBreaker({ threshold: 0.5, size: COUNT_WINDOW_SIZE, minimumNumberOfCalls: MINIMUM_CALLS }),
  );
}

/** cockatiel with a window over the last seconds. */
export function cockatielSampling(): Peer {
  return cockatielOf(new SamplingBreaker({ threshold: 0.5, duration: TIME_WINDOW_MS, minimumRps: 1 }));
}

function cockatielOf(breaker: ConsecutiveBreaker | CountBreaker | SamplingBreaker): Peer {
  const policy = circuitBreaker(handleAll, { halfOpenAfter: NEVER_MS, breaker });
  return { call: (fail) => policy.execute(() => act(fail)), [Symbol.dispose]: () => {} };
}

/** mollitia with its window over the last calls, which it has in any case and which times every call. */
export function mollitiaCount(size = COUNT_WINDOW_SIZE): Peer {
  return mollitiaOf(new SlidingCountBreaker({ ...MOLLITIA, slidingWindowSize: size }));
}

/** mollitia with its window over the last milliseconds, which holds at most 1 000 calls. */
export function mollitiaTime(): Peer {
  return mollitiaOf(new SlidingTimeBreaker({ ...MOLLITIA, slidingWindowSize: TIME_WINDOW_MS }));
}

const MOLLITIA = {
  state: BreakerState.CLOSED,
  failureRateThreshold: 50,
  minimumNumberOfCalls: MINIMUM_CALLS,
  openStateDelay: NEVER_MS,
};

function mollitiaOf(breaker: SlidingCountBreaker | SlidingTimeBreaker): Peer {
  const circuit = new Circuit({ func: act, options: { modules: [breaker] } });
  return { call: (fail) => circuit.execute(fail), [Symbol.dispose]: () => circuit.dispose() };
}

/** Makes a peer open its circuit, by more failures in a row than any of them needs. */
export async function opened(peer: Peer): Promise<Peer> {
  for (let time = 0; time < 2 * MINIMUM_CALLS; time++) await peer.call(true).catch(() => {});
  return peer;
}

/** The call that is guarded. */
export function act(fail: boolean): Promise<void> {
  return fail ? Promise.reject(new Error("down")) : Promise.resolve();
}
