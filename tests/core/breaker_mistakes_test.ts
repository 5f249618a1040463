/** What a caller does wrong is said with what came instead, and changes nothing. */

import assert from "node:assert/strict";
import { CircuitBreaker, type CircuitBreakerOptions, type Outcome } from "../../core/breaker.ts";
import { FakeClock } from "../fakes/clock.ts";

/** Without a way to become text. */
const BARE = Object.create(null);

// deno-fmt-ignore
const NO_OUTCOMES: readonly (readonly [received: string, outcome: unknown])[] = [
  ['"sucess"',    "sucess"],
  ['"Failure"',   "Failure"],
  ['"toString"',  "toString"],
  ['"__proto__"', "__proto__"],
  ["undefined",   undefined],
  ["null",        null],
  ["0",           0],
  ["true",        true],
  ["an object",   {}],
  ["an object",   BARE],
  ["an object",   { throttledMs: "5" }],
  ["an object",   { throttledMs: 5n }],
  ["an array",    ["failure"]],
  ["a function",  () => "failure"],
];
for (const [index, [received, outcome]] of NO_OUTCOMES.entries()) {
  Deno.test(`an outcome that is none does not pass for a success: ${received} (${index})`, () => {
    for (const options of [{}, { slowCallMs: 100 }, { timeWindowMs: 1_000 }]) {
      const breaker = new CircuitBreaker({ failureThreshold: 1, probeEveryNth: 1, clock: new FakeClock(), ...options });
      breaker.record(breaker.acquire(), "failure");
      const probe = breaker.acquire();
      const { counters } = breaker;
      assert.throws(() => breaker.record(probe, outcome as Outcome), {
        name: "TypeError",
        message: 'Cannot record: "outcome" must be success, failure, ignored or { throttledMs: number }, ' +
          `received ${received}`,
      });
      assert.equal(breaker.state, "half_open");
      assert.deepEqual(breaker.counters, counters);
      assert.equal(breaker.record(probe, "success"), "applied", "the permit is still good");
    }
  });
}

// deno-fmt-ignore
const NO_OBJECTS: readonly (readonly [received: string, options: unknown])[] = [
  ["null",       null],
  ['"payments"', "payments"],
  ["5",          5],
  ["a function", () => ({})],
];
for (const [received, options] of NO_OBJECTS) {
  Deno.test(`options that are no object are not taken for none: ${received}`, () => {
    const breaker = new CircuitBreaker();
    const wanted = `"options" must be an object, received ${received}`;
    const refused = (action: string) => ({ name: "TypeError", message: `Cannot ${action} circuit breaker: ${wanted}` });
    assert.throws(() => new CircuitBreaker(options as CircuitBreakerOptions), refused("create"));
    assert.throws(() => CircuitBreaker.attach(breaker.handle, options as CircuitBreakerOptions), refused("attach"));
    assert.throws(() => breaker.reconfigure(options as CircuitBreakerOptions), refused("reconfigure"));
  });
}

// deno-fmt-ignore
const NO_CLOCKS: readonly (readonly [received: string, clock: unknown])[] = [
  ["null",      null],
  ["5",         5],
  ["an object", {}],
  ["an object", { nowMs: () => 0 }],
  ["an object", { wallMs: () => 0 }],
];
for (const [index, [received, clock]] of NO_CLOCKS.entries()) {
  Deno.test(`a clock that is none is refused: ${received} (${index})`, () => {
    const { handle } = new CircuitBreaker();
    const options = { clock } as CircuitBreakerOptions;
    const says = `"clock" must be an object with the functions nowMs and wallMs, received ${received}`;
    assert.throws(() => new CircuitBreaker(options), {
      name: "TypeError",
      message: `Cannot create circuit breaker: ${says}`,
    });
    assert.throws(() => CircuitBreaker.attach(handle, { clock: options.clock! }), TypeError);
  });
}

Deno.test("only a function can listen", () => {
  assert.throws(() => new CircuitBreaker().onTransition(BARE), {
    name: "TypeError",
    message: 'Cannot listen to circuit breaker: "listener" must be a function, received an object',
  });
});

Deno.test("what has no way to become text is refused by name all the same", () => {
  const breaker = new CircuitBreaker();
  const of = (name: string) => new RegExp(`"${name}" must be .*, received an object$`);
  assert.throws(() => new CircuitBreaker({ cooldownMs: BARE }), of("cooldownMs"));
  assert.throws(() => new CircuitBreaker({ mode: BARE }), of("mode"));
  assert.throws(() => CircuitBreaker.attach({ ...breaker.handle, kind: BARE }), of("kind"));
  assert.throws(() => CircuitBreaker.attach({ ...breaker.handle, base: BARE }), of("base"));
  assert.throws(() => breaker.restore({ ...breaker.snapshot(), mode: BARE }), of("mode"));
});
