/** The tape of a circuit, and what it comes to when it is played again. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { CircuitBreaker, type CircuitTape, type Outcome } from "../../core/breaker.ts";
import type { CircuitBreakerNumbers, CircuitBreakerOptions } from "../../core/breaker_options.ts";
import { type ReplayedTransition, replayTape } from "../../core/breaker_replay.ts";
import { options, program, type Step } from "../model/breaker_program.ts";

/** More than any program of these tests puts on it. */
const LONG = 4096;

const PROGRAMS = 300;

Deno.test("a tape played again comes to the same changes of state, at the same times, in the same generations, for the same reasons", () => {
  let changes = 0;
  fc.assert(
    fc.property(options, program, (settings, steps) => {
      const live = new Live({ ...settings, tapeSize: LONG });
      live.run(steps.filter(({ does }) => does !== "reconfigure"));
      const { transitions, state, isExact, assumed } = replayTape(live.tape);
      assert.deepEqual(transitions, live.transitions);
      assert.deepEqual([state, isExact, assumed], [live.breaker.state, true, 0]);
      changes += transitions.length;
    }),
    { numRuns: PROGRAMS },
  );
  assert.ok(changes > 10 * PROGRAMS, `${changes} changes of state in ${PROGRAMS} programs`);
});

Deno.test("a tape that was too short, or was cut, comes to the last of the changes, or says that it is not exact", () => {
  const seen = { all: 0, last: 0, notExact: 0 };
  fc.assert(
    fc.property(options, program, fc.integer({ min: 1, max: 200 }), (settings, steps, tapeSize) => {
      const live = new Live({ ...settings, tapeSize });
      live.run(steps);
      const { transitions, state, isExact } = replayTape(live.tape);
      if (isExact) {
        assert.deepEqual(transitions, live.transitions.slice(live.transitions.length - transitions.length));
        assert.equal(state, live.breaker.state);
      }
      const isAll = transitions.length === live.transitions.length;
      seen[isExact ? isAll ? "all" : transitions.length > 0 ? "last" : "all" : "notExact"]++;
    }),
    { numRuns: PROGRAMS },
  );
  for (const [how, count] of Object.entries(seen)) assert.ok(count > PROGRAMS / 20, `${how}: ${count}`);
});

Deno.test("played with other options, a tape comes to what the same calls come to live under these", () => {
  let different = 0;
  const property = fc.property(options, program, options, (settings, steps, { mode: _, seed: __, ...others }) => {
    // With metrics only every call is made, so the tape knows how each ends, whatever the options.
    const calls = steps.filter(({ does }) => ["acquire", "record", "call", "wait", "attach"].includes(does));
    const live = new Live({ ...settings, mode: "metrics_only", tapeSize: LONG });
    live.runApart(calls);
    const other = new Live({ ...settings, mode: "metrics_only" });
    if (!reconfigured(other.breaker, others)) return assert.throws(() => replayTape(live.tape, others));
    other.runApart(calls);
    const { transitions, state, isExact, assumed } = replayTape(live.tape, others);
    assert.deepEqual(transitions, other.transitions);
    assert.deepEqual([state, isExact, assumed], [other.breaker.state, true, 0]);
    if (JSON.stringify(transitions) !== JSON.stringify(live.transitions)) different++;
  });
  fc.assert(property, { numRuns: PROGRAMS });
  assert.ok(different > PROGRAMS / 2, `${different} of ${PROGRAMS} came to something else`);
});

function reconfigured(breaker: CircuitBreaker, changes: CircuitBreakerNumbers): boolean {
  try {
    breaker.reconfigure(changes);
    return true;
  } catch {
    return false;
  }
}

/** A circuit that programs happen to. */
class Live {
  readonly breaker: CircuitBreaker;
  readonly transitions: ReplayedTransition[] = [];
  readonly #circuits: CircuitBreaker[];
  readonly #permits: number[] = [];
  readonly #recorded = new Set<number>();
  readonly #holds: { release(): void }[] = [];
  readonly #clock = { nowMs: () => this.#nowMs, wallMs: () => this.#nowMs };
  #nowMs = 0;
  #isApart = false;

  constructor({ mode = "auto", ...settings }: CircuitBreakerOptions) {
    this.breaker = this.#listen(new CircuitBreaker({ ...settings, clock: this.#clock }));
    this.#circuits = [this.breaker];
    this.breaker.mode = mode; // now, so that it is heard
  }

  get tape(): CircuitTape {
    return JSON.parse(JSON.stringify(this.breaker.tape));
  }

  run(steps: readonly Step[]): void {
    for (const step of steps) {
      this.#do(step);
      assert.ok(this.breaker.retryAfterMs >= 0 && this.breaker.counters.refused >= 0); // who looks changes nothing
    }
  }

  /** Runs a program so that each request and each result has a millisecond of its own, and every call has one result. */
  runApart(steps: readonly Step[]): void {
    this.#isApart = true;
    this.run(steps);
    for (const permit of this.#permits) this.#record(this.breaker, permit, "success");
  }

  #do(step: Step): void {
    const circuit = this.#circuits["by" in step ? step.by % this.#circuits.length : 0]!;
    switch (step.does) {
      case "acquire":
        this.#acquire(circuit);
        return;
      case "call": {
        const permit = this.#acquire(circuit);
        this.#nowMs += step.tookMs;
        this.#record(circuit, permit, step.outcome);
        return;
      }
      case "record": {
        const permit = this.#permits.at(-1 - step.call % Math.max(1, this.#permits.length));
        if (permit !== undefined) this.#record(circuit, permit, step.outcome);
        return;
      }
      case "wait":
        this.#nowMs += step.ms;
        return;
      case "attach":
        if (this.#circuits.length > 3) return;
        this.#circuits.push(this.#listen(CircuitBreaker.attach(this.breaker.handle, { clock: this.#clock })));
        return;
      case "detach":
        if (circuit !== this.breaker) this.#circuits.splice(this.#circuits.indexOf(circuit), 1)[0]!.detach();
        return;
      case "mode":
        circuit.mode = step.mode;
        return;
      case "hold":
        this.#holds.push(circuit.forceOpen());
        return;
      case "release":
        this.#holds[step.hold]?.release();
        return;
      case "reconfigure":
        reconfigured(circuit, step.changes);
    }
  }

  #acquire(circuit: CircuitBreaker): number {
    this.#tick();
    const permit = circuit.acquire();
    if (permit >= 0) this.#permits.push(permit);
    return permit;
  }

  #record(circuit: CircuitBreaker, permit: number, outcome: Outcome): void {
    if (this.#isApart && this.#recorded.has(permit)) return;
    this.#recorded.add(permit);
    this.#tick();
    circuit.record(permit, outcome);
  }

  #tick(): void {
    if (this.#isApart) this.#nowMs = Math.floor(this.#nowMs) + 1;
  }

  #listen(circuit: CircuitBreaker): CircuitBreaker {
    circuit.onTransition(({ name: _, ...transition }) => {
      this.transitions.push({ atMs: Math.floor(this.#nowMs), ...transition });
    });
    return circuit;
  }
}
