/** One circuit and much time: 50 days of it, counts that wrap, and a wall clock that nobody can trust. */

import assert from "node:assert/strict";
import { CircuitBreaker, type CircuitBreakerOptions, type Outcome } from "../../core/breaker.ts";
import type { Clock } from "../../core/clock.ts";
import { seededRandom } from "../fakes/random.ts";
import { BreakerModel } from "../model/breaker_model.ts";

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;

/** 2^32 ms are 49 days and 17 hours. */
const DAYS = 50;

/** Where a number that is too short for the time would turn over. */
const TURNS_MS = [2 ** 31, 2 ** 32, 2 ** 40];

/** There are 2^20 generations, and 2^7 openings. */
const GENERATIONS = 2 ** 21;

const STEPS_OF_THE_WALL_CLOCK = 2_000;

/** Every rule at once, with waits as they are in a service. */
const EVERY_RULE: CircuitBreakerOptions = {
  failureThreshold: 5,
  successThreshold: 2,
  probeEveryNth: 50,
  cooldownMs: 30_000,
  cooldownMaxMs: 600_000,
  probeConcurrency: 2,
  probeLeaseMs: 90_000,
  throttleMaxMs: 900_000,
  countWindowSize: 50,
  timeWindowMs: HOUR_MS,
  slowCallMs: 20_000,
  minimumCalls: 20,
  seed: 1,
};

Deno.test(`in ${DAYS} days the core does what the model does, call by call`, () => {
  const race = new SideBySide(EVERY_RULE, 1);
  while (race.nowMs < DAYS * 24 * HOUR_MS) race.step(60 * SECOND_MS);
  assert.ok(race.callCount > 50_000, `${race.callCount} calls`);
  for (const reason of ["consecutive failures", "of the last", "within", "throttled for", "no probe reported"]) {
    assert.ok(race.model.transitions.some((line) => line.includes(reason)), `nothing changed because of: ${reason}`);
  }
});

for (const turnMs of TURNS_MS) {
  Deno.test(`at ${turnMs} ms the core does what the model does, millisecond by millisecond`, () => {
    const race = new SideBySide({
      ...EVERY_RULE,
      cooldownMs: 30,
      cooldownMaxMs: 600,
      probeLeaseMs: 90,
      throttleMaxMs: 900,
      timeWindowMs: HOUR_MS / 1_000,
      slowCallMs: 20,
    }, turnMs);
    race.nowMs = turnMs - 10 * SECOND_MS;
    while (race.nowMs < turnMs + 10 * SECOND_MS) race.step(4);
    assert.ok(race.model.transitions.length > 100, `${race.model.transitions.length} changes of state`);
  });
}

Deno.test(`after ${GENERATIONS} changes of state a circuit does what it did at first`, () => {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, wallMs: () => nowMs };
  const settings = { failureThreshold: 1, probeEveryNth: 0, cooldownMs: 100, cooldownJitter: 0, countWindowSize: 1024 };
  const breaker = new CircuitBreaker({ ...settings, clock });
  const lost = breaker.acquire();
  while (breaker.counters.transitions < GENERATIONS) {
    for (let opening = 0; opening < 1_000; opening++) {
      assert.equal(breaker.record(breaker.acquire(), "failure"), "applied");
      assert.equal(breaker.retryAfterMs, 100);
      nowMs += 99;
      assert.ok(breaker.acquire() < 0);
      nowMs += 1;
      assert.equal(breaker.record(breaker.acquire(), "success"), "applied");
      assert.equal(breaker.state, "closed");
    }
  }
  assert.equal(breaker.record(lost, "failure"), "stale");
});

Deno.test(`${STEPS_OF_THE_WALL_CLOCK} times the wall clock steps before and while others attach: no wait grows, and it heals`, () => {
  const random = seededRandom(1);
  const world = { ms: 1_000_000, wallMs: 1_700_000_000_000 };
  const clockFrom = (originMs: number): Clock => ({
    nowMs: () => world.ms - originMs,
    wallMs: () => Math.floor(world.wallMs + world.ms),
  });
  /** By a millisecond up to three years, either way. */
  const stepTheWall = () => {
    world.wallMs += (random() < 0.5 ? -1 : 1) * Math.floor(10 ** (11 * random()));
  };
  const settings = { failureThreshold: 2, probeEveryNth: 0, cooldownMs: 100, cooldownMaxMs: 400, probeLeaseMs: 50 };
  const longestMs = 400;
  const breaker = new CircuitBreaker({ ...settings, throttleMaxMs: 300, timeWindowMs: 1_000, clock: clockFrom(0) });
  const call = (caller: CircuitBreaker) => {
    const permit = caller.acquire();
    const chance = random();
    if (permit >= 0 && chance < 0.9) caller.record(permit, chance < 0.8 ? "failure" : { throttledMs: 9_999 });
  };

  for (let step = 0; step < STEPS_OF_THE_WALL_CLOCK; step++) {
    stepTheWall();
    world.ms += random();
    using before = CircuitBreaker.attach(breaker.handle, { clock: clockFrom(world.ms - 1_000 * random()) });
    for (let time = 0; time < 4; time++) call(random() < 0.5 ? breaker : before);
    const differenceMs = Math.abs(before.retryAfterMs - breaker.retryAfterMs);
    assert.ok(differenceMs <= 1, `${differenceMs} ms apart, though the clock was stepped before`);

    const { handle } = breaker;
    stepTheWall();
    using during = CircuitBreaker.attach(handle, { clock: clockFrom(world.ms) });
    for (let time = 0; time < 4; time++) call(during);
    for (const { retryAfterMs } of [during, before, breaker]) {
      assert.ok(retryAfterMs >= 0 && retryAfterMs <= longestMs, `${retryAfterMs} ms to wait`);
    }
    assert.ok(breaker.counters.probesInFlight <= 1);

    world.ms += longestMs + 1;
    if (breaker.state !== "closed") assert.equal(breaker.record(breaker.acquire(), "success"), "applied");
    assert.equal(breaker.state, "closed");
  }
});

/** The core and the model, to which the same happens. */
class SideBySide {
  nowMs = 0;
  callCount = 0;
  readonly model: BreakerModel;
  readonly #core: CircuitBreaker;
  readonly #random: () => number;
  #out: { readonly core: number; readonly model: number }[] = [];
  /** Until when the backend is as it is, and how often it then fails. */
  #changesAtMs = 0;
  #failureShare = 0;

  constructor(settings: CircuitBreakerOptions, seed: number) {
    const clock = { nowMs: () => this.nowMs, wallMs: () => this.nowMs };
    this.#core = new CircuitBreaker({ ...settings, clock });
    this.model = new BreakerModel({ ...settings, clock });
    this.#random = seededRandom(seed);
  }

  /** Asks for a call, lets a result come, and lets some of `pauseMs` pass. */
  step(pauseMs: number): void {
    const random = this.#random;
    if (this.nowMs >= this.#changesAtMs) {
      this.#failureShare = [0.02, 0.02, 0.6, 0.95, 0][Math.floor(5 * random())]!;
      this.#changesAtMs = this.nowMs + 100 * pauseMs * random();
    }
    const permits = { core: this.#core.acquire(), model: this.model.acquire() };
    assert.equal(permits.core >= 0, permits.model >= 0, `at ${this.nowMs} ms one refuses what the other lets through`);
    if (permits.core >= 0) {
      this.callCount++;
      // Some results never come.
      if (random() < 0.98) this.#out.push(permits);
    }
    while (this.#out.length > 3 || (this.#out.length > 0 && random() < 0.7)) {
      const { core, model } = this.#out.shift()!;
      const outcome = this.#outcome(pauseMs);
      assert.equal(this.#core.record(core, outcome), this.model.record(model, outcome), `at ${this.nowMs} ms`);
    }
    for (const reading of ["state", "retryAfterMs", "throttled"] as const) {
      assert.equal(this.#core[reading], this.model[reading], `${reading} at ${this.nowMs} ms`);
    }
    this.nowMs += Math.floor(2 * pauseMs * random());
  }

  #outcome(pauseMs: number): Outcome {
    const chance = this.#random();
    if (chance < this.#failureShare) {
      return chance < this.#failureShare / 50 ? { throttledMs: 10 * pauseMs } : "failure";
    }
    return chance > 0.97 ? "ignored" : "success";
  }
}
