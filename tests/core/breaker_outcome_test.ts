/** The predicates of `run`: what an error or a result counts as, and what a predicate cannot disturb. */

import assert from "node:assert/strict";
import {
  CircuitBreaker,
  type CircuitCounters,
  type Outcome,
  type OutcomePredicates,
  type RunOptions,
} from "../../core/mod.ts";
import { circuit, DOWN, fails, outcomes, RESULT } from "./run_circuit.ts";

interface Answer {
  readonly status: number;
  readonly retryAfterS?: number;
}

/** As one would for HTTP. */
function answerOutcome({ status, retryAfterS }: Answer): Outcome {
  if (retryAfterS !== undefined) return { throttledMs: retryAfterS * 1000 };
  if (status >= 500) return "failure";
  return status >= 400 ? "ignored" : "success";
}

// deno-fmt-ignore
const ANSWERS: readonly [Answer, keyof CircuitCounters][] = [
  [{ status: 200 }, "successes"],
  [{ status: 404 }, "ignored"],
  [{ status: 503 }, "failures"],
  [{ status: 503, retryAfterS: 7 }, "throttled"],
];
for (const [answer, counter] of ANSWERS) {
  Deno.test(`a result may be counted as ${counter}, and is passed on as it is`, async () => {
    const breaker = circuit();
    assert.equal(await breaker.run(() => answer, { resultOutcome: answerOutcome }), answer);
    assert.deepEqual(outcomes(breaker), { permitted: 1, [counter]: 1 });
    assert.equal(breaker.retryAfterMs, (answer.retryAfterS ?? 0) * 1_000);
  });

  Deno.test(`an error may be counted as ${counter}, and is passed on as it is`, async () => {
    const breaker = circuit();
    const errorOutcome = (error: unknown) => answerOutcome(error as Answer);
    await assert.rejects(breaker.run(() => Promise.reject(answer), { errorOutcome }), (error) => error === answer);
    assert.deepEqual(outcomes(breaker), { permitted: 1, [counter]: 1 });
    assert.equal(breaker.throttled, answer.retryAfterS !== undefined);
  });
}

Deno.test("each predicate is asked once, about its own kind of ending", async () => {
  const asked: string[] = [];
  const predicates: OutcomePredicates = {
    errorOutcome: (error) => {
      asked.push(`error ${String(error)}`);
      return "ignored";
    },
    resultOutcome: (result) => {
      asked.push(`result ${String(result)}`);
      return "ignored";
    },
  };
  const breaker = circuit();
  await breaker.run(() => 7, predicates);
  await breaker.run(() => Promise.reject(8), predicates).catch(() => {});
  assert.deepEqual(asked, ["result 7", "error 8"]);
});

Deno.test("a breaker's own predicates hold for its runs, one call's own go before them, and whoever attaches has others", async () => {
  const breaker = circuit({ errorOutcome: () => "ignored", resultOutcome: () => "failure" });
  const both = async (of: CircuitBreaker, options?: RunOptions) => {
    await of.run(() => 1, options);
    await of.run(fails, options).catch(() => {});
  };
  await both(breaker);
  assert.deepEqual(outcomes(breaker), { permitted: 2, failures: 1, ignored: 1 });
  await both(breaker, { errorOutcome: () => "success", resultOutcome: () => "success" });
  assert.deepEqual(outcomes(breaker), { permitted: 4, failures: 1, ignored: 1, successes: 2 });
  await both(CircuitBreaker.attach(breaker.handle, { clock: breaker.clock }));
  assert.deepEqual(outcomes(breaker), { permitted: 6, failures: 2, ignored: 1, successes: 3 });
  await both(CircuitBreaker.attach(breaker.handle, { errorOutcome: () => "ignored", resultOutcome: () => "ignored" }));
  assert.deepEqual(outcomes(breaker), { permitted: 8, failures: 2, ignored: 3, successes: 3 });
});

const NO_OUTCOMES: Readonly<Record<string, () => unknown>> = {
  "throws": () => {
    throw new Error("the predicate's own");
  },
  "answers nothing": () => undefined,
  "answers null": () => null,
  "answers true": () => true,
  "answers a word that is none": () => "succes",
  "answers an object without the number": () => ({ throttledMs: "5" }),
  "answers an object whose number throws": () => ({
    get throttledMs() {
      throw new Error("the getter's own");
    },
  }),
  "is async": () => Promise.resolve("ignored"),
  "is async and rejects": () => Promise.reject(new Error("nobody hears this")),
};
for (const [how, predicate] of Object.entries(NO_OUTCOMES)) {
  Deno.test(`a predicate that ${how} is counted, and the default outcome stands`, async () => {
    const breaker = circuit();
    const predicates = { errorOutcome: predicate, resultOutcome: predicate } as OutcomePredicates;
    assert.equal(await breaker.run(() => RESULT, predicates), RESULT);
    assert.deepEqual(outcomes(breaker), { permitted: 1, successes: 1, listenerErrors: 1 });
    await assert.rejects(breaker.run(fails, predicates), (error) => error === DOWN);
    assert.deepEqual(outcomes(breaker), { permitted: 2, successes: 1, failures: 1, listenerErrors: 2 });
  });
}

Deno.test("a throttled outcome is read once, so what changes its mind cannot disturb the call", async () => {
  const breaker = circuit();
  let reads = 0;
  const outcome = {
    get throttledMs() {
      if (reads++ > 0) throw new Error("read again");
      return 5_000;
    },
  };
  assert.equal(await breaker.run(() => RESULT, { resultOutcome: () => outcome }), RESULT);
  assert.equal(breaker.retryAfterMs, 5_000);
});

for (const name of ["errorOutcome", "resultOutcome"]) {
  Deno.test(`"${name}" that is no function is refused by name when the breaker is made, and when it is joined`, () => {
    const wrong = { [name]: "failure" } as unknown as OutcomePredicates;
    const mistake = `"${name}" must be a function, received string`;
    assert.throws(() => new CircuitBreaker(wrong), {
      name: "TypeError",
      message: `Cannot create circuit breaker: ${mistake}`,
    });
    using breaker = circuit();
    const { handle } = breaker;
    assert.throws(() => CircuitBreaker.attach(handle, wrong), {
      name: "TypeError",
      message: `Cannot attach circuit breaker: ${mistake}`,
    });
  });
}
