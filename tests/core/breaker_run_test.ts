/** `run`: whatever a call does, its permit is given back once, and what the call gave is the caller's. */

import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { types } from "node:util";
import { type CircuitBreaker, CircuitOpenError } from "../../core/mod.ts";
import { circuit, DOWN, fails, open, outcomes, RESULT } from "./run_circuit.ts";

const ENDINGS: Readonly<Record<string, readonly [call: () => unknown, ending: "returns" | "throws"]>> = {
  "returns": [() => RESULT, "returns"],
  "returns a promise": [() => Promise.resolve(RESULT), "returns"],
  "returns what has a then": [() => ({ then: (resolve: (value: unknown) => void) => resolve(RESULT) }), "returns"],
  "returns what calls back twice": [
    () => ({
      then: (resolve: (value: unknown) => void, reject: (error: unknown) => void) => {
        resolve(RESULT);
        reject(DOWN);
      },
    }),
    "returns",
  ],
  "throws": [() => {
    throw DOWN;
  }, "throws"],
  "rejects": [fails, "throws"],
  "returns what has a then that rejects": [
    () => ({ then: (_: unknown, reject: (error: unknown) => void) => reject(DOWN) }),
    "throws",
  ],
  "returns what has a then that throws": [() => ({
    then: () => {
      throw DOWN;
    },
  }), "throws"],
};
for (const [how, [call, ending]] of Object.entries(ENDINGS)) {
  Deno.test(`a call that ${how}: ${ending === "returns" ? "a success" : "a failure"}, told once and passed on`, async () => {
    const breaker = circuit();
    let calls = 0;
    const running = breaker.run(() => {
      calls++;
      return call();
    });
    assert.ok(running instanceof Promise);
    if (ending === "returns") assert.equal(await running, RESULT);
    else await assert.rejects(running, (error) => error === DOWN);
    assert.equal(calls, 1);
    assert.deepEqual(outcomes(breaker), {
      permitted: 1,
      ...(ending === "returns" ? { successes: 1 } : { failures: 1 }),
    });
  });
}

Deno.test("the call is begun at once, and is given the signal and nothing else", async () => {
  const breaker = circuit();
  const { signal } = new AbortController();
  const given: unknown[][] = [];
  const call = (...args: unknown[]) => void given.push(args);
  const running = [breaker.run(call), breaker.run(call, { signal })];
  assert.deepEqual(given, [[undefined], [signal]]);
  await Promise.all(running);
});

Deno.test("a refused call is not made, and its error says which circuit and how long", async () => {
  const breaker = circuit();
  open(breaker);
  await breaker.clock.advance(400);
  await assert.rejects(breaker.run(() => assert.fail("called")), (error) => {
    assert.ok(error instanceof CircuitOpenError && types.isNativeError(error));
    assert.equal(error.message, 'Cannot run: circuit "stock" is open, a probe may pass in 600 ms at the latest');
    assert.equal(error.circuitName, "stock");
    assert.equal(error.retryAfterMs, 600);
    return true;
  });
  assert.deepEqual(outcomes(breaker), { permitted: 3, failures: 3, refused: 1 });
});

Deno.test("refusals in a row that say the same are one error, without a stack of calls; others are others", async () => {
  const breaker = circuit();
  open(breaker);
  const refusal = () =>
    breaker.run(() => {}).then(() => assert.fail("let through"), (error: CircuitOpenError) => error);
  const first = await refusal();
  assert.equal(first.stack, `CircuitOpenError: ${first.message}`);
  assert.equal(await refusal(), first);

  await breaker.clock.advance(1);
  const later = await refusal();
  assert.notEqual(later, first);
  assert.equal(first.retryAfterMs, 1_000);
  assert.equal(later.retryAfterMs, 999);
});

Deno.test("the error of an open circuit is not that of the same circuit half-open, also when both wait as long", async () => {
  const breaker = circuit({ probeLeaseMs: 1_000 });
  open(breaker);
  const refusal = () => breaker.run(() => {}).catch((error: CircuitOpenError) => error) as Promise<CircuitOpenError>;
  const whileOpen = await refusal();
  await breaker.clock.advance(1_000);
  breaker.acquire();
  const whileHalfOpen = await refusal();
  assert.equal(whileHalfOpen.retryAfterMs, whileOpen.retryAfterMs);
  assert.match(whileOpen.message, /is open/);
  assert.match(whileHalfOpen.message, /is half-open/);
});

Deno.test("a refusal that nobody minds is reported by the runtime once, like any other; one that is minded is not", async () => {
  const breaker = circuit();
  open(breaker);
  const reported: unknown[] = [];
  const report = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    reported.push(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", report);
  const refusal = await breaker.run(() => {}).catch((error) => error);
  await turnOfTheLoop();
  assert.deepEqual(reported, []);
  breaker.run(() => {});
  await turnOfTheLoop();
  globalThis.removeEventListener("unhandledrejection", report);
  assert.deepEqual(reported, [refusal]);
});

function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

Deno.test("of a hundred runs at once at the end of the cooldown, one is made, and it closes the circuit", async () => {
  const breaker = circuit();
  open(breaker);
  await breaker.clock.advance(1_000);
  let calls = 0;
  const runs = await Promise.allSettled(Array.from({ length: 100 }, () => breaker.run(() => void calls++)));
  assert.equal(calls, 1);
  assert.equal(runs.filter(({ status }) => status === "rejected").length, 99);
  assert.equal(breaker.state, "closed");
});

Deno.test("a call that ends after the circuit has moved on is passed on, and changes nothing", async () => {
  const breaker = circuit();
  const { promise, resolve } = Promise.withResolvers<string>();
  const running = breaker.run(() => promise);
  open(breaker);
  resolve("late");
  assert.equal(await running, "late");
  assert.equal(breaker.state, "open");
  assert.equal(breaker.counters.stale, 1);
});

Deno.test("with a signal that is aborted already, neither the call is made nor the circuit asked", async () => {
  const breaker = circuit();
  const signal = AbortSignal.abort(DOWN);
  const run = () => breaker.run(() => assert.fail("called"), { signal });
  await assert.rejects(run(), (error) => error === DOWN);
  assert.deepEqual(outcomes(breaker), {});
  open(breaker);
  await assert.rejects(run(), (error) => error === DOWN);
  assert.equal(breaker.counters.refused, 0);
});

Deno.test("an error while the signal is aborted is ignored, whatever a predicate says, and is passed on", async () => {
  const breaker = circuit({ errorOutcome: () => assert.fail("asked") });
  const controller = new AbortController();
  const running = breaker.run(
    (signal) => new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason))),
    { signal: controller.signal, errorOutcome: () => assert.fail("asked") },
  );
  controller.abort(DOWN);
  await assert.rejects(running, (error) => error === DOWN);
  assert.deepEqual(outcomes(breaker), { permitted: 1, ignored: 1 });
});

Deno.test("an error after a deadline passed counts, as the predicate says: the backend took too long", async () => {
  const late = new DOMException("Signal timed out.", "TimeoutError"); // the reason of AbortSignal.timeout
  for (const [errorOutcome, counted] of [["failure", "failures"], ["ignored", "ignored"]] as const) {
    const breaker = circuit({ errorOutcome: () => errorOutcome });
    const controller = new AbortController();
    const running = breaker.run(
      (signal) => new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason))),
      { signal: controller.signal },
    );
    controller.abort(late);
    await assert.rejects(running, late);
    assert.equal(breaker.counters[counted], 1);
  }
});

Deno.test("a result while the signal is aborted counts: the backend has answered", async () => {
  const breaker = circuit();
  const controller = new AbortController();
  const { promise, resolve } = Promise.withResolvers<void>();
  const running = breaker.run(() => promise, { signal: controller.signal });
  controller.abort();
  resolve();
  await running;
  assert.deepEqual(outcomes(breaker), { permitted: 1, successes: 1 });
});

Deno.test("a signal does not end a call that does not listen to it, and hears nothing from us", async () => {
  const breaker = circuit();
  let listeners = 0;
  const signal = { aborted: false, reason: undefined, addEventListener: () => void listeners++ };
  const { promise, resolve } = Promise.withResolvers<string>();
  const running = breaker.run(() => promise, { signal: signal as unknown as AbortSignal });
  signal.aborted = true;
  resolve("all the same");
  assert.equal(await running, "all the same");
  assert.equal(listeners, 0);
});

Deno.test("a listener that throws does not disturb the call that opens the circuit", async () => {
  const breaker = circuit({ failureThreshold: 1 });
  breaker.onTransition(() => {
    throw new Error("the listener's own");
  });
  await assert.rejects(breaker.run(fails), (error) => error === DOWN);
  assert.equal(breaker.state, "open");
  assert.equal(breaker.counters.listenerErrors, 1);
});

// deno-fmt-ignore
const MISTAKES: readonly [args: unknown[], message: string][] = [
  [[], '"fn" must be a function, received undefined'],
  [["fetch"], '"fn" must be a function, received string'],
  [[() => {}, null], '"options" must be an object, received null'],
  [[() => {}, { signal: null }], '"signal" must be an AbortSignal, received null'],
  [[() => {}, { signal: new AbortController() }], '"signal" must be an AbortSignal, received object'],
  [[() => {}, { signal: "aborted" }], '"signal" must be an AbortSignal, received string'],
  [[() => {}, { errorOutcome: "failure" }], '"errorOutcome" must be a function, received string'],
  [[() => {}, { resultOutcome: null }], '"resultOutcome" must be a function, received null'],
];
for (const [args, mistake] of MISTAKES) {
  Deno.test(`run rejects, and asks nobody: ${mistake}`, async () => {
    const breaker = circuit();
    const running = breaker.run(...args as Parameters<CircuitBreaker["run"]>);
    await assert.rejects(running, { name: "TypeError", message: `Cannot run: ${mistake}` });
    assert.deepEqual(outcomes(breaker), {});
  });
}

Deno.test("a breaker that is detached refuses its runs, and says so", async () => {
  const breaker = circuit();
  breaker.detach();
  await assert.rejects(breaker.run(() => assert.fail("called")), {
    name: "CircuitOpenError",
    message: /or this breaker is detached from it$/,
  });
});

Deno.test("run never throws: a clock that does makes it reject", async () => {
  const breaker = circuit();
  open(breaker);
  breaker.clock.nowMs = () => {
    throw DOWN;
  };
  await assert.rejects(breaker.run(() => assert.fail("called")), (error) => error === DOWN);
});

// deno-fmt-ignore
const REFUSING_MODES = [
  ["forced_open", "is forced open, nothing passes until it is released or another mode is set"],
  ["disabled", "is disabled, nothing passes until another mode is set"],
] as const;
for (const [mode, predicate] of REFUSING_MODES) {
  Deno.test(`run on a circuit that ${predicate}`, async () => {
    const breaker = circuit({ cooldownMaxMs: 60_000 });
    open(breaker);
    await breaker.run(() => assert.fail("called")).catch(() => {});
    breaker.mode = mode;
    for (const waitMs of [0, 10_000_000]) {
      await breaker.clock.advance(waitMs);
      await assert.rejects(breaker.run(() => assert.fail("called")), {
        name: "CircuitOpenError",
        message: `Cannot run: circuit "stock" ${predicate}`,
        retryAfterMs: 60_000,
      });
    }
  });
}

Deno.test("one error tells of one mode, also when each would have callers wait as long", async () => {
  const breaker = circuit({ mode: "forced_open" });
  const refusal = () => breaker.run(() => assert.fail("called")).catch((error: Error) => error.message);
  assert.match(await refusal(), /is forced open/);
  breaker.mode = "disabled";
  assert.match(await refusal(), /is disabled/);
});

Deno.test("while nothing is refused every run is made, and a circuit that only measures gives its results away", async () => {
  const breaker = circuit({ mode: "forced_closed" });
  for (let time = 0; time < 5; time++) await breaker.run(fails).catch(() => {});
  assert.equal(await breaker.run(() => 7), 7);
  assert.deepEqual(outcomes(breaker), { permitted: 6, failures: 5, successes: 1 });
  breaker.mode = "metrics_only";
  open(breaker);
  assert.equal(await breaker.run(() => 7), 7);
  assert.equal(breaker.counters.refused, 1);
});
