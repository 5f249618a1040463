/** What holds for runs whatever their calls, their predicates and their signals do, in whatever order. */

import assert from "node:assert/strict";
import * as fc from "fast-check";
import { CircuitBreaker, CircuitOpenError, type Outcome } from "../../core/mod.ts";
import { FakeClock } from "../fakes/clock.ts";

/** What a call does, or a call that waits when it is told to end. */
const ENDINGS = ["returns", "throws", "resolves", "rejects"] as const;

/** What a predicate does; the last two are none. */
const ANSWERS = ["success", "failure", "ignored", { throttledMs: 700 }, "nonsense", "throws"] as const;

type Ending = typeof ENDINGS[number];

interface Start {
  readonly do: "start";
  readonly ending: Ending | "waits";
  readonly answer: typeof ANSWERS[number] | undefined;
  readonly aborted: boolean;
}

type Step =
  | Start
  | { readonly do: "end"; readonly index: number; readonly ending: Ending }
  | { readonly do: "abort"; readonly index: number }
  | { readonly do: "wait"; readonly ms: number };

const index = fc.nat({ max: 100 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("start" as const),
      ending: fc.constantFrom(...ENDINGS, "waits" as const, "waits" as const),
      answer: fc.option(fc.constantFrom(...ANSWERS), { nil: undefined }),
      aborted: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("end" as const), index, ending: fc.constantFrom(...ENDINGS) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("abort" as const), index }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(1, 300, 1_000, 3_000) }) },
);

Deno.test("whatever calls, predicates and signals do: each call made is told of once, and each caller gets what is theirs", async () => {
  const seen = new Set<string>();
  const programs = fc.array(step, { minLength: 30, maxLength: 150, size: "max" });
  await fc.assert(
    fc.asyncProperty(programs, async (program) => {
      const runs = new Runs();
      for (const step of program) await runs.take(step);
      await runs.endAll();
      for (const [name, count] of Object.entries(runs.breaker.counters)) if (count > 0) seen.add(name);
    }),
    { numRuns: 150 },
  );
  for (const name of ["refused", "ignored", "throttled", "stale", "leaseExpired", "closed", "listenerErrors"]) {
    assert.ok(seen.has(name), `no program led to ${name}: the property says nothing about it`);
  }
});

/** One run, and what its caller must get. */
interface Running {
  readonly controller: AbortController;
  readonly end: (ending: Ending) => void;
  readonly done: Promise<void>;
}

class Runs {
  readonly clock = new FakeClock();
  readonly breaker = new CircuitBreaker({
    probeEveryNth: 5,
    cooldownMs: 500,
    probeLeaseMs: 2_000,
    clock: this.clock,
    seed: 1,
  });
  readonly #running: Running[] = [];
  #made = 0;
  #refused = 0;
  #faults = 0;

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case "start":
        this.#running.push(this.#start(step));
        break;
      case "end":
        this.#running[step.index]?.end(step.ending);
        break;
      case "abort":
        this.#running[step.index]?.controller.abort();
        break;
      case "wait":
        return await this.clock.advance(step.ms);
    }
  }

  async endAll(): Promise<void> {
    for (const { end } of this.#running) end("resolves");
    await Promise.all(this.#running.map(({ done }) => done));
    const { permitted, refused, successes, failures, ignored, throttled, stale, duplicate, listenerErrors } =
      this.breaker.counters;
    assert.equal(permitted, this.#made);
    assert.equal(refused, this.#refused);
    assert.equal(successes + failures + ignored + throttled + stale, permitted);
    assert.equal(duplicate, 0);
    assert.equal(listenerErrors, this.#faults);
  }

  #start({ ending, answer, aborted }: Start): Running {
    const controller = new AbortController();
    if (aborted) controller.abort();
    const waiting = Promise.withResolvers<Ending>();
    const result = {};
    const error = new Error("the call's own");
    let calls = 0;
    const predicate = (): Outcome => {
      if (answer === "nonsense" || answer === "throws") this.#faults++;
      if (answer === "throws") throw new Error("the predicate's own");
      return answer as Outcome;
    };
    let endedBy: Ending;
    const call = () => {
      calls++;
      this.#made++;
      if (ending === "waits") return waiting.promise.then(finish);
      return finish(ending);
    };
    const finish = (ending: Ending) => {
      endedBy = ending;
      if (ending === "throws") throw error;
      if (ending === "rejects") return Promise.reject(error);
      return ending === "returns" ? result : Promise.resolve(result);
    };
    const options = answer === undefined ? {} : { errorOutcome: predicate, resultOutcome: predicate };
    const run = this.breaker.run(call, { ...options, signal: controller.signal });
    const begun = calls;
    const done = run.then((given) => {
      assert.equal(given, result);
      assert.ok(endedBy === "returns" || endedBy === "resolves");
    }, (given: unknown) => {
      if (aborted) assert.equal(given, controller.signal.reason);
      else if (given instanceof CircuitOpenError) this.#refused++;
      else {
        assert.equal(given, error);
        assert.ok(endedBy === "throws" || endedBy === "rejects");
      }
      assert.equal(calls, given === error ? 1 : 0);
    }).then(() => assert.equal(calls, begun, "made at once or never"));
    return { controller, end: waiting.resolve, done };
  }
}
