/** One circuit and many threads, for minutes: more of them than processors, and some that are killed. */

import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { CircuitBreaker } from "../../core/breaker.ts";
import { circuit, gather, release, start } from "../core/breaker_threads.ts";
import { NOW_MS, PASSED, type Stampede } from "../core/breaker_worker.ts";
import { seededRandom } from "../fakes/random.ts";

/** Threads in a stampede: on most machines some of them sleep, in whatever they were doing. */
const WORKERS = 8;

/** Deadlines for which they race. Each begins two generations, of which there are 2^20. */
const DEADLINES = 100_000;

/** Workers that are killed with the only probe in their hand, and with what calls they have out: more than can be attached. */
const HOLDERS_KILLED = 300;
const CALLERS_KILLED = 300;

/** Attaching and detaching, by each of the workers. */
const CHURNS = 20_000;

/** A worker that should go on, and does not within this, has stopped. */
const STOPPED_MS = 30_000;

for (const probeConcurrency of [1, 3]) {
  Deno.test(`P1-05 at each of ${DEADLINES} deadlines for which ${WORKERS} workers race, ${probeConcurrency} pass`, async () => {
    const cooldownMs = 10;
    const { breaker, cells } = circuit({ cooldownMs, cooldownBackoff: 1, probeConcurrency, probeLeaseMs: 86_400_000 });
    breaker.record(breaker.acquire(), "failure");
    Atomics.add(cells, NOW_MS, cooldownMs);
    const task = { does: "stampede", rounds: DEADLINES, probeConcurrency, cooldownMs } as const;
    const racing = Array.from({ length: WORKERS }, () => start<Stampede>(breaker, cells, task));
    gather(cells, WORKERS);
    release(cells);
    const seen = await Promise.all(racing.map(({ answer }) => answer));
    for (const { worker } of racing) await worker.terminate();

    // Generation 1 is closed, the even ones are open, and what began after the last deadline may not have come to its end.
    const permits = new Uint32Array(2 * DEADLINES + 4);
    const holders: number[] = [];
    for (const [worker, { generations }] of seen.entries()) {
      for (const generation of generations) {
        permits[generation]!++;
        holders[generation] = worker;
      }
    }
    const probes = permits.subarray(2, 2 * DEADLINES + 2).filter((_, index) => index % 2 === 1);
    assert.equal(probes.length, DEADLINES);
    assert.deepEqual([...probes.filter((count) => count !== probeConcurrency)], []);
    assert.deepEqual([...permits.filter((count, generation) => generation % 2 === 0 && count > 0)], []);
    assert.deepEqual(seen.map(({ notStale }) => notStale), Array(WORKERS).fill(0));
    assert.equal(breaker.counters.leaseExpired, 0);

    const shares = seen.map(({ generations }) => generations.length);
    const turns = holders.filter((holder, generation) => generation > 3 && holder !== holders[generation - 2]).length;
    console.log(`${shares.join(" + ")} probes, ${turns} times another worker's than before`);
    assert.ok(availableParallelism() === 1 || turns > DEADLINES / 1_000, "the workers did not meet");
  });
}

Deno.test(`${HOLDERS_KILLED} workers killed with the only probe in their hand: each time it heals when the lease ends`, async () => {
  const { breaker, cells } = circuit({ cooldownMs: 100, probeLeaseMs: 500 });
  for (let death = 1; death <= HOLDERS_KILLED; death++) {
    assert.equal(breaker.record(breaker.acquire(), "failure"), "applied");
    Atomics.add(cells, NOW_MS, 100);
    const lent = breaker.lend();
    const { worker, answer } = start<number>(lent, cells, { does: "hold", busily: true });
    const lost = await answer;
    assert.ok(lost >= 0, `no probe at death ${death}`);
    await worker.terminate();
    assert.equal(lent.reclaim(), 1);
    Atomics.add(cells, NOW_MS, 499);
    assert.ok(breaker.acquire() < 0, `two probes at death ${death}`);
    Atomics.add(cells, NOW_MS, 1);
    const permit = breaker.acquire();
    assert.ok(permit >= 0, `nothing passes after death ${death}`);
    assert.equal(breaker.record(lost, "failure"), "stale");
    assert.equal(breaker.record(permit, "success"), "applied");
    assert.equal(breaker.state, "closed");
    assert.equal(breaker.counters.leaseExpired, death);
  }
});

Deno.test(`${CALLERS_KILLED} workers killed with calls out: those that are left go on`, async () => {
  const probeConcurrency = 2;
  const { breaker, cells } = circuit({
    failureThreshold: 2,
    probeEveryNth: 7,
    cooldownMs: 3,
    cooldownMaxMs: 9,
    probeConcurrency,
    probeLeaseMs: 20,
  });
  const random = seededRandom(1);
  const call = (seed: number) => {
    const lent = breaker.lend();
    return { lent, worker: start<never>(lent, cells, { does: "storm", seed }).worker };
  };
  let calling = call(0);
  for (let death = 1; death <= CALLERS_KILLED; death++) {
    const next = call(death);
    waitForCalls(cells, 100 + Math.floor(400 * random()));
    await calling.worker.terminate();
    calling.lent.reclaim();
    assert.ok(breaker.counters.probesInFlight <= probeConcurrency);
    calling = next;
  }
  await calling.worker.terminate();

  Atomics.add(cells, NOW_MS, 86_400_000);
  for (let probe = 0; breaker.state !== "closed"; probe++) {
    assert.ok(probe < 10, "nothing passes when all waits are over");
    breaker.record(breaker.acquire(), "success");
  }
});

Deno.test(`${WORKERS} workers that attach and detach ${CHURNS} times each never have one attachment together`, async () => {
  const { breaker, cells } = circuit({});
  const owners = new Int32Array(new SharedArrayBuffer(4 * 256));
  const churning = Array.from(
    { length: WORKERS },
    () => start<number>(breaker, cells, { does: "churn", times: CHURNS, owners }),
  );
  gather(cells, WORKERS);
  release(cells);
  assert.deepEqual(await Promise.all(churning.map(({ answer }) => answer)), Array(WORKERS).fill(0));
  for (const { worker } of churning) await worker.terminate();
  assert.equal(breaker.counters.permitted, WORKERS * CHURNS);
  assert.equal(breaker.counters.successes, WORKERS * CHURNS);
});

Deno.test("100 000 others attach and detach while 255 are held; the 257th is told each time that none is left", () => {
  const churns = 100_000;
  const breaker = new CircuitBreaker({ name: "crowded" });
  const random = seededRandom(1);
  const others = Array.from({ length: 255 }, () => CircuitBreaker.attach(breaker.handle));
  const { handle } = breaker;
  for (let churn = 0; churn < churns; churn++) {
    assert.throws(() => CircuitBreaker.attach(handle), {
      message: 'Cannot attach circuit breaker: all 256 attachments of "crowded" are taken',
    });
    const place = Math.floor(others.length * random());
    const left = others[place]!;
    const permit = left.acquire();
    left.detach();
    assert.ok(left.acquire() < 0);
    others[place] = CircuitBreaker.attach(handle);
    assert.equal(others[place].record(permit, "success"), "applied");
  }
  const { permitted, successes, stale, duplicate } = breaker.counters;
  const attachments = [breaker, ...others].map((joined) => Math.floor(joined.acquire() / 2 ** 24) % 256);
  assert.equal(new Set(attachments).size, 256, "each has one of its own");
  assert.deepEqual({ permitted, successes, stale, duplicate }, {
    permitted: churns,
    successes: churns,
    stale: 0,
    duplicate: 0,
  });
});

/** Waits until so many calls more have passed. */
function waitForCalls(cells: Int32Array, count: number): void {
  const enough = Atomics.load(cells, PASSED) + count;
  for (let passed = 0; passed < enough; passed = Atomics.load(cells, PASSED)) {
    assert.notEqual(Atomics.wait(cells, PASSED, passed, STOPPED_MS), "timed-out", "no call passes any more");
  }
}
