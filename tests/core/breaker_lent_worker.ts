/** A worker that is given a handle by the tests of breaker_lend_test.ts. */

import { parentPort, workerData } from "node:worker_threads";
import { CircuitBreaker, type CircuitBreakerHandle } from "../../core/breaker.ts";
import { systemClock } from "../../core/clock.ts";

/** What it is to do. */
export type Errand =
  | { readonly does: "join by name"; readonly handle: CircuitBreakerHandle; readonly name: string }
  | {
    readonly does: "attach and hold";
    readonly handle: CircuitBreakerHandle;
    readonly attachments: number;
    readonly holds: number;
  };

if (parentPort !== null && workerData?.does !== undefined) {
  // Listening keeps it alive until it is terminated: what a worker posts as it ends may be lost.
  parentPort.on("message", () => {});
  parentPort.postMessage(run(workerData as Errand));
}

function run(errand: Errand): unknown {
  if (errand.does === "join by name") return joinByName(errand.handle, errand.name);
  const breakers = Array.from({ length: errand.attachments }, () => CircuitBreaker.attach(errand.handle));
  for (let hold = 0; hold < errand.holds; hold++) breakers[hold % breakers.length]!.forceOpen();
  return breakers[0]!.mode;
}

function joinByName(handle: CircuitBreakerHandle, name: string): unknown {
  const stranger = refusalOf(name);
  // A thread's monotonic clock may begin anywhere.
  const clock = { nowMs: () => systemClock.nowMs() + 1_000_000, wallMs: () => systemClock.wallMs() };
  using _first = CircuitBreaker.attach(handle, { clock });
  using second = CircuitBreaker.attach(name, { clock });
  return { stranger, retryAfterMs: second.retryAfterMs, unknown: refusalOf("third") };
}

function refusalOf(name: string): string {
  try {
    CircuitBreaker.attach(name);
    return "not refused";
  } catch (error) {
    return (error as Error).message;
  }
}
