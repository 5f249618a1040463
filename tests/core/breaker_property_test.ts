/** The core beside the model, through long random programs. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { CircuitBreaker, type CircuitBreakerOptions, type Outcome } from "../../core/breaker.ts";
import { BreakerModel } from "../model/breaker_model.ts";

/** One step of a program. Calls and attachments are chosen by a number, modulo how many there are. */
type Step =
  | { readonly does: "acquire"; readonly by: number }
  | { readonly does: "record"; readonly by: number; readonly call: number; readonly outcome: Outcome }
  | { readonly does: "call"; readonly by: number; readonly outcome: Outcome }
  | { readonly does: "wait"; readonly ms: number }
  | { readonly does: "attach" }
  | { readonly does: "detach"; readonly by: number };

/** The recent calls that a program records; older ones are recorded too, now and then. */
const RECENT_CALLS = 6;

/** Programs take few attachments, so that these meet. */
const ATTACHMENTS_MAX = 4;

const by = fc.nat({ max: ATTACHMENTS_MAX - 1 });
const outcome: fc.Arbitrary<Outcome> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Outcome>("failure") },
  { weight: 4, arbitrary: fc.constant<Outcome>("success") },
  { weight: 2, arbitrary: fc.constant<Outcome>("ignored") },
  { weight: 1, arbitrary: fc.record({ throttledMs: fc.oneof(fc.nat({ max: 300 }), fc.double({ min: -1, max: 99 })) }) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ does: fc.constant("acquire" as const), by }) },
  { weight: 6, arbitrary: fc.record({ does: fc.constant("call" as const), by, outcome }) },
  {
    weight: 6,
    arbitrary: fc.record({ does: fc.constant("record" as const), by, call: fc.nat({ max: RECENT_CALLS }), outcome }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("record" as const), by, call: fc.nat(), outcome }) },
  {
    weight: 5,
    arbitrary: fc.record({ does: fc.constant("wait" as const), ms: fc.oneof(fc.nat({ max: 20 }), fc.nat(200)) }),
  },
  { weight: 1, arbitrary: fc.constant({ does: "attach" as const }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("detach" as const), by }) },
);
const options: fc.Arbitrary<CircuitBreakerOptions> = fc.record({
  failureThreshold: fc.integer({ min: 1, max: 4 }),
  successThreshold: fc.integer({ min: 1, max: 4 }),
  probeEveryNth: fc.nat({ max: 5 }),
  cooldownMs: fc.integer({ min: 1, max: 60 }),
  cooldownBackoff: fc.oneof(fc.constant(1), fc.double({ min: 1, max: 3, noNaN: true })),
  cooldownMaxMs: fc.integer({ min: 60, max: 300 }),
  cooldownJitter: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true })),
  probeConcurrency: fc.integer({ min: 1, max: 3 }),
  probeLeaseMs: fc.integer({ min: 1, max: 50 }),
  throttleMaxMs: fc.integer({ min: 1, max: 200 }),
  seed: fc.nat({ max: 0xffff_ffff }),
});
const program = fc.array(step, { minLength: 60, maxLength: 400, size: "max" });

/** Seeds that once failed, kept and tried first. What to add is in the message of a failure. */
const SEEDS: { readonly breaker: readonly number[] } = JSON.parse(
  readFileSync(new URL("../model/seeds.json", import.meta.url), "utf8"),
);

const PROGRAMS = 400;

for (const seed of [...SEEDS.breaker, undefined]) {
  Deno.test(`the core does what the model does, step by step (${seed === undefined ? "a new seed" : `seed ${seed}`})`, () => {
    const parameters = { numRuns: PROGRAMS, ...(seed === undefined ? {} : { seed }) };
    fc.assert(fc.property(options, program, sameOnBoth), parameters);
  });
}

Deno.test("the random programs visit every state, every answer and every way to change", () => {
  const seen = new Map<string, number>();
  const note = (word: string) => seen.set(word, (seen.get(word) ?? 0) + 1);
  for (const [settings, steps] of fc.sample(fc.tuple(options, program), { numRuns: 200, seed: 1 })) {
    const { counters, transitions } = run(settings, steps);
    for (const [name, count] of Object.entries(counters)) if (count > 0) note(name);
    for (const line of transitions) note(line.replace(/\d+/, "n"));
  }
  const rare = [
    ...["permitted", "refused", "successes", "failures", "ignored", "throttled", "stale", "duplicate", "leaseExpired"],
    ...[
      "closed -> open: n consecutive failures",
      "closed -> open: throttled for n ms",
      "open -> half_open: cooldown ended",
    ],
    ...["open -> half_open: attempt n may probe", "open -> half_open: a lost probe is replaced"],
    ...[
      "half_open -> open: probe failed",
      "half_open -> open: throttled for n ms",
      "half_open -> closed: probe succeeded",
    ],
    ...["half_open -> closed: n probes succeeded", "half_open -> open: no probe reported within n ms"],
  ].filter((word) => (seen.get(word) ?? 0) < 20);
  assert.deepEqual(rare, []);
});

function sameOnBoth(settings: CircuitBreakerOptions, steps: readonly Step[]): void {
  run(settings, steps);
}

/** Runs a program on both and compares them after each step. */
function run(settings: CircuitBreakerOptions, steps: readonly Step[]) {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, wallMs: () => nowMs };
  const circuit = new CircuitBreaker({ ...settings, clock });
  const oracle = new BreakerModel({ ...settings, clock });
  const transitions: string[] = [];
  const listen = (breaker: CircuitBreaker) => {
    breaker.onTransition(({ from, to, reason }) => transitions.push(`${from} -> ${to}: ${reason}`));
    return breaker;
  };
  const pairs = [{ core: listen(circuit), model: oracle }];
  const calls: { readonly core: number; readonly model: number }[] = [];

  const acquire = (by: number) => {
    const { core, model } = pairs[by % pairs.length]!;
    const permits = { core: core.acquire(), model: model.acquire() };
    assert.equal(permits.core >= 0, permits.model >= 0, "one refuses what the other lets through");
    if (permits.core >= 0) calls.push(permits);
    return permits;
  };
  const record = (by: number, permits: { readonly core: number; readonly model: number }, outcome: Outcome) => {
    const { core, model } = pairs[by % pairs.length]!;
    assert.equal(core.record(permits.core, outcome), model.record(permits.model, outcome));
  };
  for (const [index, step] of steps.entries()) {
    try {
      if (step.does === "acquire") acquire(step.by);
      else if (step.does === "call") {
        const permits = acquire(step.by);
        if (permits.core >= 0) record(step.by, permits, step.outcome);
      } else if (step.does === "record") {
        const call = calls[calls.length - 1 - (step.call % Math.max(1, calls.length))];
        if (call !== undefined) record(step.by, call, step.outcome);
      } else if (step.does === "wait") nowMs += step.ms;
      else if (step.does === "attach" && pairs.length < ATTACHMENTS_MAX) {
        pairs.push({ core: listen(CircuitBreaker.attach(circuit.handle, { clock })), model: oracle.attach() });
      } else if (step.does === "detach" && pairs.length > 1) {
        const [{ core, model }] = pairs.splice(1 + step.by % (pairs.length - 1), 1) as [typeof pairs[0]];
        core.detach();
        model.detach();
        assert.ok(core.acquire() < 0 && model.acquire() < 0, "who detached is refused");
      }
      assert.equal(circuit.state, oracle.state);
      assert.equal(circuit.throttled, oracle.throttled);
      assert.equal(circuit.retryAfterMs, oracle.retryAfterMs);
      assert.deepEqual(transitions, oracle.transitions);
      const { listenerErrors, openedAtMs: _, lastSuccessMs: __, ...counters } = circuit.counters;
      assert.equal(listenerErrors, 0);
      assert.deepEqual(counters, oracle.counters);
    } catch (cause) {
      throw new Error(`step ${index + 1} of ${steps.length}, at ${nowMs} ms: ${JSON.stringify(step)}`, { cause });
    }
  }
  return { counters: oracle.counters, transitions };
}
