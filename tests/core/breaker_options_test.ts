/** The options of a breaker: ranges, contradictions, defaults, and how they are changed while it works. */

import assert from "node:assert/strict";
import { CircuitBreaker, type CircuitBreakerNumbers, type CircuitBreakerOptions } from "../../core/breaker.ts";
import { FakeClock } from "../fakes/clock.ts";

// deno-fmt-ignore
const RANGES: readonly [option: keyof CircuitBreakerOptions, least: number, most: number, rest?: CircuitBreakerOptions][] = [
  ["failureThreshold", 1, 4095],
  ["successThreshold", 1, 63],
  ["probeEveryNth",    0, 1_000_000],
  ["cooldownMs",       1, 86_400_000],
  ["cooldownBackoff",  1, 100],
  ["cooldownMaxMs",    1, 86_400_000, { cooldownMs: 1 }],
  ["cooldownJitter",   0, 1],
  ["probeConcurrency", 1, 63],
  ["probeLeaseMs",     1, 86_400_000],
  ["exportTimeoutMs",  1, 86_400_000],
  ["throttleMaxMs",    1, 86_400_000],
  ["minimumCalls",     1, 1_000_000,  { timeWindowMs: 1_000 }],
  ["countWindowSize",  1, 1_024],
  ["timeWindowMs",    10, 86_400_000],
  ["failureRatio", 0.001, 1,         { countWindowSize: 20 }],
  ["slowCallMs",       1, 86_400_000, { countWindowSize: 20 }],
  ["slowCallRatio", 0.001, 1,         { slowCallMs: 100 }],
  ["seed",             0, 4_294_967_295],
  ["tapeSize",         1, 65_536],
];
const FRACTIONS = ["cooldownBackoff", "cooldownJitter", "failureRatio", "slowCallRatio"];
const ONCE = ["seed", "tapeSize"];

for (const [option, least, most, rest] of RANGES) {
  const isInteger = !FRACTIONS.includes(option);
  const wanted = `"${option}" must be ${isInteger ? "an integer" : "a number"} from ${least} to ${most}`;
  const wrong = [least - 1, most + 1, Number.NaN, Infinity, ...(isInteger ? [least + 0.5] : [least / 2 - 0.0001])];

  Deno.test(`"${option}" may be ${least} to ${most}, and is refused by name outside of that`, () => {
    for (const value of [least, most]) new CircuitBreaker({ ...rest, [option]: value }).detach();
    for (const value of wrong) {
      assert.throws(() => new CircuitBreaker({ ...rest, [option]: value }), {
        name: "RangeError",
        message: `Cannot create circuit breaker: ${wanted}, received ${value}`,
      });
    }
    for (const [value, shown] of [["5", '"5"'], [null, "object null"], [true, "boolean true"], [5n, "bigint 5"]]) {
      assert.throws(() => new CircuitBreaker({ ...rest, [option as "seed"]: value as unknown as number }), {
        name: "TypeError",
        message: `Cannot create circuit breaker: ${wanted}, received ${shown}`,
      });
    }
  });

  if (ONCE.includes(option)) continue;
  Deno.test(`"${option}" may be changed within that range, by anyone, and goes back to its default`, () => {
    const { seed: _, ...numbers } = rest ?? {};
    const breaker = new CircuitBreaker(numbers);
    const other = CircuitBreaker.attach(breaker.handle);
    const before = breaker.options;
    for (const value of [least, most]) {
      other.reconfigure({ [option]: value });
      assert.equal(breaker.options[option as keyof CircuitBreakerNumbers], value);
      assert.deepEqual(other.options, breaker.options);
    }
    for (const value of wrong) {
      const inForce = breaker.options;
      assert.throws(() => other.reconfigure({ [option]: value }), {
        name: "RangeError",
        message: `Cannot reconfigure circuit breaker: ${wanted}, received ${value}`,
      });
      assert.deepEqual(breaker.options, inForce);
    }
    other.reconfigure({ [option]: undefined });
    assert.deepEqual(breaker.options, before);
  });
}

/** The numbers of a circuit that has no windows, unless they are given. */
const DEFAULTS = {
  failureThreshold: 3,
  successThreshold: 1,
  probeEveryNth: 10,
  cooldownMs: 30_000,
  cooldownBackoff: 2,
  cooldownMaxMs: 300_000,
  cooldownJitter: 0.2,
  probeConcurrency: 1,
  probeLeaseMs: 20_000,
  exportTimeoutMs: 15_000,
  throttleMaxMs: 300_000,
};

// deno-fmt-ignore
const FOLLOWS: readonly (readonly [given: CircuitBreakerOptions, follows: CircuitBreakerNumbers])[] = [
  [{},                                        {}],
  [{ name: "n", seed: 7, tapeSize: 9, mode: "disabled", clock: new FakeClock() }, {}],
  [{ cooldownMs: 600_000 },                   { cooldownMaxMs: 600_000 }],
  [{ exportTimeoutMs: 1_000 },                { probeLeaseMs: 6_000 }],
  [{ exportTimeoutMs: 86_400_000 },           { probeLeaseMs: 86_400_000 }],
  [{ countWindowSize: 50 },                   { failureRatio: 0.5, minimumCalls: 10 }],
  [{ countWindowSize: 4 },                    { failureRatio: 0.5, minimumCalls: 4 }],
  [{ countWindowSize: 50, minimumCalls: 20 }, { failureRatio: 0.5 }],
  [{ timeWindowMs: 1_000 },                   { failureRatio: 0.5, minimumCalls: 10 }],
  [{ timeWindowMs: 1_000, countWindowSize: 4 }, { failureRatio: 0.5, minimumCalls: 4 }],
  [{ timeWindowMs: 1_000, failureRatio: 0.3 }, { minimumCalls: 10 }],
  [{ failureRatio: 0.3 },                     { countWindowSize: 100, minimumCalls: 10 }],
  [{ failureRatio: 0.5 },                     { countWindowSize: 100, minimumCalls: 10 }],
  [{ minimumCalls: 70 },                      { countWindowSize: 100, failureRatio: 0.5 }],
  [{ slowCallMs: 100 },                       { countWindowSize: 100, failureRatio: 0.5, minimumCalls: 10, slowCallRatio: 0.5 }],
  [{ slowCallMs: 100, timeWindowMs: 1_000 },  { failureRatio: 0.5, minimumCalls: 10, slowCallRatio: 0.5 }],
];
for (const [given, follows] of FOLLOWS) {
  const { name: _name, seed: _seed, tapeSize: _tape, mode: _mode, clock: _clock, ...numbers } = given;
  Deno.test(`of ${JSON.stringify(numbers)} follows ${JSON.stringify(follows)}, and the rest is the default`, () => {
    const breaker = new CircuitBreaker(given);
    assert.deepEqual(breaker.options, { ...DEFAULTS, ...numbers, ...follows });
    const changed = new CircuitBreaker();
    changed.reconfigure(numbers);
    assert.deepEqual(changed.options, breaker.options, "told at once or later");
    breaker.reconfigure({});
    assert.deepEqual(breaker.options, changed.options, "changing nothing");
    breaker.reconfigure(breaker.options);
    assert.deepEqual(breaker.options, changed.options, "told what it has");
  });
}

// deno-fmt-ignore
const CONTRADICTIONS: readonly (readonly [options: CircuitBreakerNumbers, name: string, says: string])[] = [
  [{ slowCallRatio: 0.5 },                         "TypeError",  '"slowCallRatio" needs "slowCallMs", which says what slow is'],
  [{ slowCallRatio: 0.5, countWindowSize: 5 },     "TypeError",  '"slowCallRatio" needs "slowCallMs", which says what slow is'],
  [{ countWindowSize: 5, minimumCalls: 6 },        "RangeError", '"minimumCalls" must be at most "countWindowSize" (5), received 6'],
  [{ countWindowSize: 5, minimumCalls: 6, timeWindowMs: 1_000 }, "RangeError", '"minimumCalls" must be at most "countWindowSize" (5), received 6'],
  [{ minimumCalls: 101 },                          "RangeError", '"minimumCalls" must be at most "countWindowSize" (100), received 101'],
  [{ cooldownMs: 1_000, cooldownMaxMs: 999 },      "RangeError", '"cooldownMaxMs" must be at least "cooldownMs" (1000), received 999'],
  [{ cooldownMaxMs: 29_999 },                      "RangeError", '"cooldownMaxMs" must be at least "cooldownMs" (30000), received 29999'],
];
for (const [options, name, says] of CONTRADICTIONS) {
  Deno.test(`${JSON.stringify(options)} is refused: ${says}`, () => {
    assert.throws(() => new CircuitBreaker(options), { name, message: `Cannot create circuit breaker: ${says}` });
    const breaker = new CircuitBreaker();
    assert.throws(() => breaker.reconfigure(options), { name, message: `Cannot reconfigure circuit breaker: ${says}` });
    assert.deepEqual(breaker.options, DEFAULTS);
  });
}

// deno-fmt-ignore
const CONTRADICTED: readonly (readonly [has: CircuitBreakerNumbers, changes: CircuitBreakerNumbers, says: string])[] = [
  [{ countWindowSize: 20, minimumCalls: 15 }, { countWindowSize: 12 },  '"minimumCalls" must be at most "countWindowSize" (12), received 15'],
  [{ slowCallMs: 100, slowCallRatio: 0.9 },   { slowCallMs: undefined }, '"slowCallRatio" needs "slowCallMs", which says what slow is'],
  [{ cooldownMaxMs: 40_000 },                 { cooldownMs: 50_000 },   '"cooldownMaxMs" must be at least "cooldownMs" (50000), received 40000'],
];
for (const [has, changes, says] of CONTRADICTED) {
  Deno.test(`to change ${JSON.stringify(changes)} of ${JSON.stringify(has)} is refused: ${says}`, () => {
    const breaker = new CircuitBreaker(has);
    const before = breaker.options;
    assert.throws(() => breaker.reconfigure(changes), { message: `Cannot reconfigure circuit breaker: ${says}` });
    assert.deepEqual(breaker.options, before);
  });
}

for (const option of ["name", "clock", "seed", "tapeSize", "mode", "errorOutcome", "toString", "cooldown"]) {
  Deno.test(`"${option}" cannot be changed, and nothing that is named beside it is`, () => {
    const breaker = new CircuitBreaker();
    assert.throws(() => breaker.reconfigure({ failureThreshold: 5, [option]: undefined }), (error) => {
      assert.ok(error instanceof TypeError);
      assert.match(
        error.message,
        new RegExp(`^Cannot reconfigure circuit breaker: "${option}" cannot be changed, only `),
      );
      return true;
    });
    assert.deepEqual(breaker.options, DEFAULTS);
  });
}

Deno.test("a number that a default follows from takes it along, one that was given stays", () => {
  const breaker = new CircuitBreaker();
  breaker.reconfigure({ cooldownMs: 400_000, exportTimeoutMs: 1_000 });
  assert.deepEqual([breaker.options.cooldownMaxMs, breaker.options.probeLeaseMs], [400_000, 6_000]);
  breaker.reconfigure({ probeLeaseMs: 9_000 });
  breaker.reconfigure({ exportTimeoutMs: 2_000 });
  assert.equal(breaker.options.probeLeaseMs, 9_000);
});

Deno.test("a window that is there because a number asked for it stays when that number goes back to its default", () => {
  const breaker = new CircuitBreaker();
  breaker.reconfigure({ slowCallMs: 100 });
  breaker.reconfigure({ slowCallMs: undefined });
  assert.deepEqual(breaker.options, { ...DEFAULTS, countWindowSize: 100, failureRatio: 0.5, minimumCalls: 10 });
  breaker.reconfigure({ countWindowSize: undefined });
  assert.deepEqual(breaker.options, DEFAULTS);
});

Deno.test("who reads the options, or gives them, can change nothing by them afterwards", () => {
  const given = { failureThreshold: 5 };
  const breaker = new CircuitBreaker(given);
  given.failureThreshold = 1;
  (breaker.options as typeof given).failureThreshold = 1;
  const changes = { failureThreshold: 6 };
  breaker.reconfigure(Object.freeze(changes));
  assert.equal(breaker.options.failureThreshold, 6);
});

Deno.test("changing numbers keeps state, windows, failures, attempts and waits, and lets results out count", () => {
  const clock = new FakeClock();
  const options = {
    failureThreshold: 9,
    countWindowSize: 20,
    timeWindowMs: 1_000,
    minimumCalls: 5,
    cooldownJitter: 0,
    clock,
  };
  const breaker = new CircuitBreaker({ ...options, probeEveryNth: 3 });
  const other = CircuitBreaker.attach(breaker.handle, { clock });
  const told: string[] = [];
  breaker.onTransition(({ reason }) => told.push(reason));
  other.onTransition(({ reason }) => told.push(reason));
  const out = breaker.acquire();
  for (const outcome of ["success", "success", "failure"] as const) breaker.record(breaker.acquire(), outcome);
  const closed = breaker.snapshot();
  const changes = { failureThreshold: 8, failureRatio: 0.9, successThreshold: 4, cooldownMs: 1_000, slowCallMs: 50 };
  other.reconfigure(changes);
  assert.deepEqual(breaker.snapshot(), closed);
  assert.equal(breaker.record(out, "failure"), "applied");

  breaker.record(breaker.acquire(), { throttledMs: 5_000 });
  for (let ask = 0; ask < 7; ask++) breaker.acquire();
  const open = breaker.snapshot();
  assert.deepEqual([open.attempts, open.pauseLeftMs], [7, 5_000]);
  other.reconfigure({ probeEveryNth: 4, failureRatio: undefined, countWindowSize: 8, cooldownBackoff: 3 });
  assert.deepEqual(breaker.snapshot(), open);
  assert.deepEqual(told, ["throttled for 5000 ms"]);
});

Deno.test("a time window that is made longer or shorter keeps its calls, as if they had just happened", async () => {
  const clock = new FakeClock();
  const breaker = new CircuitBreaker({ failureThreshold: 9, timeWindowMs: 1_000, slowCallMs: 100, clock });
  for (const outcome of ["success", "failure"] as const) {
    const permit = breaker.acquire();
    await clock.advance(100);
    breaker.record(permit, outcome);
  }
  await clock.advance(300);
  breaker.record(breaker.acquire(), "failure");
  for (const timeWindowMs of [60_000, 50]) {
    breaker.reconfigure({ timeWindowMs });
    assert.deepEqual(breaker.snapshot().timeWindow, [[3, 2, 2]]);
    await clock.advance(0.9 * timeWindowMs - 1);
  }
  await clock.advance(50);
  assert.deepEqual(breaker.snapshot().timeWindow, []);
});

Deno.test("no call is slow while another thread is about to turn slow calls off", () => {
  const breaker = new CircuitBreaker({ slowCallMs: 50, failureThreshold: 1, probeEveryNth: 1 });
  breaker.record(breaker.acquire(), "failure");
  const { memory, base } = breaker.handle;
  new DataView(memory.buffer).setFloat64(base + 520, 0, true); // slowCallMs, while there still is a rule for it
  breaker.record(breaker.acquire(), "success");
  assert.equal(breaker.state, "closed");
});

for (const mode of ["auto", "disabled", "metrics_only", "forced_open", "forced_closed"] as const) {
  Deno.test(`a circuit may begin ${mode}`, () => {
    const breaker = new CircuitBreaker({ mode });
    assert.equal(breaker.mode, mode);
    assert.equal(breaker.acquire() >= 0, mode !== "disabled" && mode !== "forced_open");
    assert.equal(CircuitBreaker.attach(breaker.handle).mode, mode);
  });
}

for (const [mode, shown] of [["open", '"open"'], ["", '""'], [null, "null"], [1, "1"], [{}, "an object"]]) {
  Deno.test(`a mode is refused that is ${shown}`, () => {
    const says = `"mode" must be one of auto, disabled, metrics_only, forced_open, forced_closed, received ${shown}`;
    assert.throws(() => new CircuitBreaker({ mode: mode as "auto" }), {
      name: "TypeError",
      message: `Cannot create circuit breaker: ${says}`,
    });
    const breaker = new CircuitBreaker({ mode: "metrics_only" });
    assert.throws(() => breaker.mode = mode as "auto", {
      name: "TypeError",
      message: `Cannot set the mode of a circuit breaker: ${says}`,
    });
    assert.equal(breaker.mode, "metrics_only");
  });
}

Deno.test("two threads that change different numbers at once both have their way", () => {
  const breaker = new CircuitBreaker();
  const other = CircuitBreaker.attach(breaker.handle);
  breaker.reconfigure({
    // Read after the numbers that stand and before new ones are written: there the other thread comes in between.
    get cooldownMs() {
      other.reconfigure({ failureThreshold: 9 });
      return 5_000;
    },
  });
  const { failureThreshold, cooldownMs } = breaker.options;
  assert.deepEqual({ failureThreshold, cooldownMs }, { failureThreshold: 9, cooldownMs: 5_000 });
});

Deno.test("who is detached changes no numbers, and hears of a wrong one", () => {
  const breaker = new CircuitBreaker();
  const other = CircuitBreaker.attach(breaker.handle);
  breaker.detach();
  breaker.reconfigure({ failureThreshold: 9 });
  assert.equal(other.options.failureThreshold, 3);
  assert.throws(() => breaker.reconfigure({ failureThreshold: 0 }), RangeError);
});

for (const window of [{ countWindowSize: 8 }, { timeWindowMs: 1_000 }]) {
  Deno.test(`${JSON.stringify(window)} turned on after more changes than half of what generations count opens the circuit`, () => {
    const clock = { nowMs: () => 5_000, wallMs: () => 5_000 };
    const breaker = new CircuitBreaker({ failureThreshold: 4095, clock });
    const { memory, base } = breaker.handle;
    new BigUint64Array(memory.buffer, base)[0]! += 600_000n << 29n; // the generation, by assembly/layout.ts
    breaker.reconfigure({ ...window, minimumCalls: 4 });
    for (const outcome of ["success", "failure", "success", "failure"] as const) {
      assert.equal(breaker.state, "closed");
      breaker.record(breaker.acquire(), outcome);
    }
    assert.equal(breaker.state, "open");
  });
}
