/** The core beside the model, through long random programs. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { CircuitBreaker, type CircuitSnapshot, type Outcome } from "../../core/breaker.ts";
import type { CircuitBreakerNumbers, CircuitBreakerOptions } from "../../core/breaker_options.ts";
import { bytesOf } from "../../core/breaker_snapshot.ts";
import { BreakerModel } from "../model/breaker_model.ts";
import { ATTACHMENTS_MAX, options, program, type Step } from "../model/breaker_program.ts";
import type { ModelCounters, ModelSnapshot } from "../model/circuit_model.ts";

/** Seeds that once failed, kept and tried first. What to add is in the message of a failure. */
const SEEDS: { readonly breaker: readonly number[] } = JSON.parse(
  readFileSync(new URL("../model/seeds.json", import.meta.url), "utf8"),
);

/** What a new seed is tried for; a kept one is tried for as many programs as one of them. */
const STEPS = 1_000_000;

/** Programs have 250 steps on average. */
const PROGRAMS = 500;

/** The counters are many, so they are compared this often, and at the end of each program. */
const COUNTERS_EVERY = 16;

for (const seed of SEEDS.breaker) {
  Deno.test(`the core does what the model does, step by step (seed ${seed})`, () => {
    tryPrograms(seed);
  });
}

Deno.test(`the core does what the model does, step by step (${STEPS} steps of new seeds)`, async () => {
  const first = Math.floor(Math.random() * 0x7fff_0000);
  let seed = first;
  let steps = 0;
  while (steps < STEPS) {
    steps += tryPrograms(seed++);
    // No memory is collected before the turn ends in which it was made, and V8 has addresses for some hundred of them.
    await new Promise((resolve) => setTimeout(resolve));
  }
  console.log(`${steps} steps, seeds ${first} to ${seed - 1}`);
  assert.ok(steps >= STEPS);
});

Deno.test("the random programs visit every state, every mode, every answer and every way to change", () => {
  const seen = new Map<string, number>();
  const note = (word: string) => seen.set(word, (seen.get(word) ?? 0) + 1);
  for (const [settings, steps] of fc.sample(fc.tuple(options, program), { numRuns: 1000, seed: 1 })) {
    const race = new SideBySide(settings);
    race.run(steps);
    for (const [name, count] of Object.entries(race.counters)) if (count > 0) note(name);
    for (const line of race.transitions) note(line.replace(/\d+/g, "n"));
    for (const word of race.met) note(word);
  }
  assert.deepEqual(EXPECTED.filter((word) => (seen.get(word) ?? 0) < 20), []);
  const unexpected = [...seen.keys()].filter((word) => word.includes("->") && !EXPECTED.includes(word));
  assert.deepEqual(unexpected, []);
});

const EXPECTED: readonly string[] = [
  ...["permitted", "refused", "successes", "failures", "ignored", "throttled", "stale", "duplicate", "leaseExpired"],
  ...[
    "auto",
    "disabled",
    "metrics_only",
    "forced_open",
    "forced_closed",
    "reconfigured",
    "reconfigure refused",
    "restarted",
  ],
  "closed -> open: a failure",
  "closed -> open: n consecutive failures",
  "closed -> open: n of the last n calls failed",
  "closed -> open: n of the last n calls took n ms or longer",
  "closed -> open: n of n calls failed within n ms",
  "closed -> open: n of n calls within n ms took n ms or longer",
  "closed -> open: throttled for n ms",
  "closed -> open: forced open",
  "closed -> open: disabled",
  "closed -> open: restored",
  "open -> half_open: cooldown ended",
  "open -> half_open: attempt n may probe",
  "open -> half_open: a lost probe is replaced",
  "open -> closed: forced closed",
  "open -> closed: released",
  "open -> closed: enabled",
  "open -> closed: restored",
  "half_open -> open: probe failed",
  "half_open -> open: probe took n ms",
  "half_open -> open: throttled for n ms",
  "half_open -> open: no probe reported within n ms",
  "half_open -> open: forced open",
  "half_open -> open: disabled",
  "half_open -> open: restored",
  "half_open -> closed: probe succeeded",
  "half_open -> closed: n probes succeeded",
  "half_open -> closed: forced closed",
  "half_open -> closed: restored",
  ...["restored closed auto", "restored closed forced_closed", "restored closed forced_open"],
  ...["restored open auto", "restored open forced_open", "restored open disabled"],
];

/** Runs the programs of a seed, and answers with how many steps they were. */
function tryPrograms(seed: number): number {
  let stepCount = 0;
  const property = fc.property(options, program, (settings, steps) => {
    new SideBySide(settings).run(steps);
    stepCount += steps.length;
  });
  try {
    fc.assert(property, { seed, numRuns: PROGRAMS });
  } catch (cause) {
    throw new Error(`to try it first from now on, add ${seed} to "breaker" in tests/model/seeds.json`, { cause });
  }
  return stepCount;
}

/** One of those who share the circuit, on both sides. */
interface Pair {
  readonly core: CircuitBreaker;
  readonly model: BreakerModel;
}

/** A snapshot of both sides, taken at one time. */
interface Snapshots {
  readonly core: CircuitSnapshot;
  readonly model: ModelSnapshot;
}

/** The core and the model, which do the same and are compared after each step. */
class SideBySide {
  /** What happened besides transitions and counts. */
  readonly met = new Set<string>();
  readonly #clock = { nowMs: () => this.#nowMs, wallMs: () => this.#nowMs };
  readonly #seed: number | undefined;
  #first: Pair;
  #pairs: Pair[];
  #calls: { readonly core: number; readonly model: number }[] = [];
  /** The transitions of this circuit, and of those that were before it. */
  #transitions: string[] = [];
  #past: readonly string[] = [];
  readonly #snapshots: Snapshots[] = [];
  #holds: { readonly core: { release(): void }; readonly model: { release(): void } }[] = [];
  #nowMs = 0;

  constructor(settings: CircuitBreakerOptions) {
    this.#seed = settings.seed;
    this.#first = this.#begin(settings);
    this.#pairs = [this.#first];
  }

  get counters(): ModelCounters {
    return this.#first.model.counters;
  }

  get transitions(): readonly string[] {
    return [...this.#past, ...this.#transitions];
  }

  run(steps: readonly Step[]): void {
    for (const [index, step] of steps.entries()) {
      try {
        this.#do(step);
        this.#compare();
        if (index % COUNTERS_EVERY === 0 || index === steps.length - 1) this.#compareCounters();
      } catch (cause) {
        throw new Error(`step ${index + 1} of ${steps.length}, at ${this.#nowMs} ms: ${JSON.stringify(step)}`, {
          cause,
        });
      }
    }
  }

  #do(step: Step): void {
    switch (step.does) {
      case "acquire":
        this.#acquire(step.by);
        return;
      case "call": {
        const permits = this.#acquire(step.by);
        this.#nowMs += step.tookMs;
        if (permits.core >= 0) this.#record(step.by, permits, step.outcome);
        return;
      }
      case "record": {
        const call = this.#calls[this.#calls.length - 1 - (step.call % Math.max(1, this.#calls.length))];
        if (call !== undefined) this.#record(step.by, call, step.outcome);
        return;
      }
      case "wait":
        this.#nowMs += step.ms;
        return;
      case "attach":
        if (this.#pairs.length < ATTACHMENTS_MAX) this.#attach();
        return;
      case "detach":
        if (this.#pairs.length > 1) this.#detach(1 + step.by % (this.#pairs.length - 1));
        return;
      case "mode": {
        const { core, model } = this.#by(step.by);
        core.mode = step.mode;
        model.mode = step.mode;
        return;
      }
      case "hold": {
        const { core, model } = this.#by(step.by);
        this.#holds.push({ core: core.forceOpen(), model: model.forceOpen() });
        return;
      }
      case "release": {
        const hold = this.#holds[step.hold % Math.max(1, this.#holds.length)];
        hold?.core.release();
        hold?.model.release();
        return;
      }
      case "reconfigure":
        this.#reconfigure(this.#by(step.by), step.changes);
        return;
      case "snapshot":
        this.#snapshots.push(this.#snapshot(this.#by(step.by)));
        return;
      case "restore":
        this.#restore(step.by, this.#snapshots[step.snapshot % Math.max(1, this.#snapshots.length)]);
        return;
      case "restart":
        this.#restart();
        return;
    }
  }

  /** Makes a circuit on both sides, whose time begins now. */
  #begin(settings: CircuitBreakerOptions): Pair {
    const made = { ...settings, clock: this.#clock };
    const pair = this.#listen({ core: new CircuitBreaker(made), model: new BreakerModel(made) });
    this.#transitions = [...pair.model.transitions]; // into its first mode: nobody could listen yet
    return pair;
  }

  #by(by: number): Pair {
    return this.#pairs[by % this.#pairs.length]!;
  }

  #acquire(by: number): { readonly core: number; readonly model: number } {
    const { core, model } = this.#by(by);
    const permits = { core: core.acquire(), model: model.acquire() };
    assert.equal(permits.core >= 0, permits.model >= 0, "one refuses what the other lets through");
    if (permits.core >= 0) this.#calls.push(permits);
    return permits;
  }

  #record(by: number, permits: { readonly core: number; readonly model: number }, outcome: Outcome): void {
    const { core, model } = this.#by(by);
    assert.equal(core.record(permits.core, outcome), model.record(permits.model, outcome));
  }

  #attach(): void {
    const { core, model } = this.#first;
    const clock = this.#clock;
    this.#pairs.push(this.#listen({ core: CircuitBreaker.attach(core.handle, { clock }), model: model.attach() }));
  }

  #detach(index: number): void {
    const { core, model } = this.#pairs.splice(index, 1)[0]!;
    core.detach();
    model.detach();
    assert.ok(core.acquire() < 0 && model.acquire() < 0, "who detached is refused");
  }

  #reconfigure({ core, model }: Pair, changes: CircuitBreakerNumbers): void {
    const refusals = [core, model].map((machine) => {
      try {
        machine.reconfigure(changes);
        return undefined;
      } catch (error) {
        return String(error);
      }
    });
    assert.equal(refusals[0], refusals[1]);
    this.met.add(refusals[0] === undefined ? "reconfigured" : "reconfigure refused");
  }

  #snapshot({ core, model }: Pair): Snapshots {
    const snapshots = { core: core.snapshot(), model: model.snapshot() };
    const { kind: _kind, version: _version, name: _name, checksum: _checksum, ...said } = snapshots.core;
    assert.deepEqual(said, shapeOf(snapshots.model));
    return snapshots;
  }

  /** A process ends, and the one after it takes up where it was. */
  #restart(): void {
    const snapshot = this.#snapshot(this.#first);
    const settings = { ...this.#first.core.options, seed: this.#seed };
    this.#past = this.transitions;
    this.#first = this.#begin(settings);
    this.#pairs = [this.#first];
    this.#calls = [];
    this.#holds = [];
    this.#restore(0, snapshot);
    this.met.add("restarted");
  }

  #restore(by: number, snapshot: Snapshots | undefined): void {
    if (snapshot === undefined) return;
    const { core, model } = this.#by(by);
    core.restore(by % 2 === 0 ? JSON.parse(JSON.stringify(snapshot.core)) : bytesOf(snapshot.core));
    model.restore(snapshot.model);
    this.met.add(`restored ${snapshot.core.state} ${core.mode}`);
  }

  #listen(pair: Pair): Pair {
    pair.core.onTransition(({ from, to, reason }) => this.#transitions.push(`${from} -> ${to}: ${reason}`));
    return pair;
  }

  #compare(): void {
    const { core, model } = this.#first;
    assert.equal(core.state, model.state);
    assert.equal(core.mode, model.mode);
    assert.equal(core.throttled, model.throttled);
    assert.equal(core.retryAfterMs, model.retryAfterMs);
    assert.equal(this.#transitions.length, model.transitions.length);
    assert.equal(this.#transitions.at(-1), model.transitions.at(-1));
    this.met.add(model.mode);
  }

  #compareCounters(): void {
    const { core, model } = this.#first;
    const { listenerErrors, openedAtMs: _opened, lastSuccessMs: _succeeded, ...counters } = core.counters;
    assert.equal(listenerErrors, 0);
    assert.deepEqual(counters, model.counters);
    assert.deepEqual(this.#transitions, model.transitions);
  }
}

/** A model's snapshot as the core writes it. */
function shapeOf({ failures, counted, recent, ...rest }: ModelSnapshot) {
  const digitOf = ({ failed, slow }: { readonly failed: boolean; readonly slow: boolean }) =>
    (failed ? 1 : 0) + (slow ? 2 : 0);
  const oldest = Math.max(-1, ...recent.map(({ age }) => age));
  const timeWindow = Array.from({ length: oldest + 1 }, (_, tenth) => {
    const calls = recent.filter(({ age }) => age === tenth);
    return [calls.length, calls.filter(({ failed }) => failed).length, calls.filter(({ slow }) => slow).length];
  });
  return { ...rest, consecutiveFailures: failures, countWindow: counted.map(digitOf).join(""), timeWindow };
}
