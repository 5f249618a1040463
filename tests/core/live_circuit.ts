/** A circuit that random programs happen to, with all its changes of state. */

import assert from "node:assert/strict";
import { CircuitBreaker, type CircuitSnapshot, type CircuitTape, type Outcome } from "../../core/breaker.ts";
import type { CircuitBreakerNumbers, CircuitBreakerOptions } from "../../core/breaker_options.ts";
import type { ReplayedTransition } from "../../core/breaker_replay.ts";
import type { Step } from "../model/breaker_program.ts";

/** A circuit that programs happen to. */
export class Live {
  readonly breaker: CircuitBreaker;
  readonly transitions: ReplayedTransition[] = [];
  readonly #circuits: CircuitBreaker[];
  readonly #permits: number[] = [];
  readonly #recorded = new Set<number>();
  readonly #snapshots: CircuitSnapshot[] = [];
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

  /** Makes it as after so many changes: its generation, and those that words of it belong to, by assembly/layout.ts. */
  age(changes: number): void {
    const { memory, base } = this.breaker.handle;
    const words = new BigUint64Array(memory.buffer, base);
    words[0]! += BigInt(changes) << 29n;
    for (const owned of [16, 17, 176, 177, 178]) words[owned] = BigInt(changes) << 44n;
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
        return;
      case "snapshot":
        this.#snapshots.push(circuit.snapshot());
        return;
      case "restore": {
        const snapshot = this.#snapshots[step.snapshot % Math.max(1, this.#snapshots.length)];
        if (snapshot !== undefined) circuit.restore(snapshot);
      }
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

/** Changes numbers of a breaker, and says whether that could be done. */
export function reconfigured(breaker: CircuitBreaker, changes: CircuitBreakerNumbers): boolean {
  try {
    breaker.reconfigure(changes);
    return true;
  } catch {
    return false;
  }
}
