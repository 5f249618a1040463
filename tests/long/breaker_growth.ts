/** Run on its own by breaker_growth_test.ts, with `gc`: what very many calls leave in memory, as JSON. */

import process from "node:process";
import { CircuitBreaker } from "../../core/breaker.ts";

/** What is printed. */
export interface Growth {
  readonly calls: number;
  readonly heapGrowthBytes: number;
  readonly rssGrowthBytes: number;
  readonly transitions: number;
}

/** Calls after which the engine has compiled what it will and has the memory that it takes for its nursery. */
const WARM_UP_CALLS = 1_000_000;
const CALLS = 10_000_000;

if (import.meta.main) {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, wallMs: () => nowMs };
  const breaker = new CircuitBreaker({
    cooldownMs: 10,
    probeEveryNth: 0,
    countWindowSize: 1024,
    timeWindowMs: 60_000,
    slowCallMs: 100,
    tapeSize: 1024,
    clock,
  });
  let transitions = 0;
  breaker.onTransition(() => transitions++);

  // An outage now and then: as many failures as open it, refusals until it probes, and a success.
  const call = (count: number) => {
    for (let index = 0; index < count; index++) {
      nowMs += 0.01;
      const permit = breaker.acquire();
      if (permit >= 0) breaker.record(permit, index % 10_000 < 3 ? "failure" : "success");
      if (index % 100_000 === 0) JSON.stringify([breaker.counters, breaker.snapshot(), breaker.explain()]);
    }
  };
  const memory = () => {
    (globalThis as unknown as { gc(): void }).gc();
    return process.memoryUsage();
  };
  call(WARM_UP_CALLS);
  const before = memory();
  call(CALLS);
  const after = memory();
  const growth: Growth = {
    calls: CALLS,
    heapGrowthBytes: after.heapUsed - before.heapUsed,
    rssGrowthBytes: after.rss - before.rss,
    transitions,
  };
  console.log(JSON.stringify(growth));
}
