/**
 * The circuit breaker in plain TypeScript: no packed words, no shared memory, no atomics, one thread. What the core does
 * must be what this does. Written to be read, not to be fast.
 */

import type { CircuitState, Outcome, Recorded } from "../../core/breaker.ts";
import type { CircuitMode } from "../../core/breaker_modes.ts";
import type { CircuitBreakerNumbers, CircuitBreakerOptions } from "../../core/breaker_options.ts";
import type { Clock } from "../../core/clock.ts";
import { type Attachment, CircuitModel, type ModelCounters, type ModelSnapshot } from "./circuit_model.ts";

/** How many of its last calls an attachment tells apart. */
const REMEMBERED = 1024;

/** The generation of a call that was only let through because the circuit is watched: its result is stale in any. */
const NO_GENERATION = 0;

/** The same face as `CircuitBreaker`, as far as it makes sense on one thread. */
export class BreakerModel {
  readonly #circuit: CircuitModel;
  readonly #clock: Clock;
  readonly #attachment: Attachment = { issued: 0, attached: true };
  readonly #holds = new Set<object>();

  constructor(options: CircuitBreakerOptions & { readonly clock: Clock }, circuit?: CircuitModel) {
    this.#clock = options.clock;
    this.#circuit = circuit ?? new CircuitModel(options, Math.floor(options.clock.nowMs()));
  }

  attach(): BreakerModel {
    return new BreakerModel({ clock: this.#clock }, this.#circuit);
  }

  detach(): void {
    this.#attachment.attached = false;
    for (const hold of this.#holds) this.#release(hold);
  }

  acquire(): number {
    if (!this.#attachment.attached) return -1;
    const nowMs = this.#nowMs();
    if (this.#isAdmitted(nowMs)) return this.#permit(this.#circuit.generation, nowMs);
    this.#circuit.counters.refused!++;
    return this.#circuit.mode === "metrics_only" ? this.#permit(NO_GENERATION, nowMs) : -1;
  }

  record(permit: number, outcome: Outcome): Recorded {
    const circuit = this.#circuit;
    const nowMs = this.#nowMs();
    const call = circuit.calls[permit];
    if (!this.#attachment.attached) return "stale";
    if (call === undefined || call.attachment.issued - call.ticket > REMEMBERED) return this.#stale();
    if (call.generation === NO_GENERATION) return this.#stale();
    if (call.recorded) {
      circuit.counters.duplicate!++;
      return "duplicate";
    }
    const tookMs = permit >= circuit.timedFrom ? nowMs - call.startedMs : 0;
    const pauseMs = typeof outcome === "object" ? pauseOf(outcome.throttledMs, circuit.options.throttleMaxMs) : 0;
    if (call.generation !== circuit.generation) {
      if (typeof outcome === "object" && circuit.state !== "closed") circuit.pause(pauseMs, nowMs);
      return this.#stale();
    }
    call.recorded = true;
    if (typeof outcome === "object") this.#throttled(pauseMs, nowMs);
    else if (outcome === "ignored") this.#ignored(nowMs);
    else if (circuit.state === "closed") this.#completed(outcome, tookMs, nowMs);
    else this.#probed(outcome, tookMs, nowMs);
    return "applied";
  }

  get state(): CircuitState {
    return this.#circuit.state;
  }

  get mode(): CircuitMode {
    return this.#circuit.mode;
  }

  set mode(mode: CircuitMode) {
    this.#circuit.choose(mode);
  }

  /** Holds the circuit open until what it returns is released. */
  forceOpen(): { release(): void } {
    const hold = {};
    this.#holds.add(hold);
    this.#circuit.holds.add(hold);
    this.#circuit.rule();
    return { release: () => this.#release(hold) };
  }

  reconfigure(changes: CircuitBreakerNumbers): void {
    this.#circuit.reconfigure(changes, this.#nowMs());
  }

  snapshot(): ModelSnapshot {
    return this.#circuit.snapshot(this.#nowMs());
  }

  restore(snapshot: ModelSnapshot): void {
    this.#circuit.restore(snapshot, this.#nowMs());
  }

  get throttled(): boolean {
    const { state, isForcedOpen, pauseEndsMs } = this.#circuit;
    return state === "open" && !isForcedOpen && this.#nowMs() < pauseEndsMs;
  }

  get retryAfterMs(): number {
    const circuit = this.#circuit;
    const { probeEveryNth, probeConcurrency, cooldownMaxMs } = circuit.options;
    if (circuit.isForcedOpen) return cooldownMaxMs;
    if (circuit.state === "closed" || circuit.mode === "metrics_only") return 0;
    let endsMs = circuit.pauseEndsMs;
    if (circuit.state === "half_open") {
      if (circuit.probesInFlight >= probeConcurrency) endsMs = Math.max(endsMs, circuit.leaseEndsMs);
    } else if (probeEveryNth === 0 || circuit.attempts % probeEveryNth !== 0) {
      endsMs = Math.max(endsMs, circuit.cooldownEndsMs);
    }
    return Math.max(0, endsMs - this.#nowMs());
  }

  get counters(): ModelCounters {
    const { counters, failures, probesInFlight } = this.#circuit;
    const transitions = counters.opened! + counters.halfOpened! + counters.closed!;
    return { ...counters, transitions, consecutiveFailures: failures, probesInFlight };
  }

  /** What all attachments went through, as lines. */
  get transitions(): readonly string[] {
    return this.#circuit.transitions;
  }

  /** Whether a call passes now. While the circuit is not closed this is an attempt, and may become a probe. */
  #isAdmitted(nowMs: number): boolean {
    const circuit = this.#circuit;
    const { probeEveryNth, probeConcurrency, probeLeaseMs } = circuit.options;
    if (circuit.isForcedOpen) return false;
    if (circuit.state === "closed") return true;

    const attempt = probeEveryNth > 0 ? circuit.attempts++ : 0;
    let replaces = false;
    if (circuit.state === "half_open" && circuit.probesInFlight > 0 && nowMs >= circuit.leaseEndsMs) {
      circuit.counters.leaseExpired!++;
      circuit.begin("open", `no probe reported within ${probeLeaseMs} ms`);
      replaces = true;
    }
    const mayTry = nowMs >= circuit.pauseEndsMs;
    if (circuit.state === "half_open") {
      if (!mayTry || circuit.probesInFlight >= probeConcurrency) return false;
      if (circuit.probesInFlight === 0) circuit.lease(nowMs);
      circuit.probesInFlight++;
      return true;
    }
    const cooledDown = nowMs >= circuit.cooldownEndsMs;
    const isDue = probeEveryNth > 0 && attempt % probeEveryNth === 0;
    if (!mayTry || !(cooledDown || isDue || replaces)) return false;
    const why = replaces ? "a lost probe is replaced" : cooledDown ? "cooldown ended" : `attempt ${attempt} may probe`;
    circuit.begin("half_open", why);
    circuit.byCooldown = cooledDown;
    circuit.probesInFlight = 1;
    circuit.lease(nowMs);
    return true;
  }

  #permit(generation: number, startedMs: number): number {
    const circuit = this.#circuit;
    circuit.counters.permitted!++;
    const ticket = this.#attachment.issued++;
    return circuit.calls.push({ generation, startedMs, attachment: this.#attachment, ticket, recorded: false }) - 1;
  }

  #release(hold: object): void {
    this.#holds.delete(hold);
    if (this.#circuit.holds.delete(hold)) this.#circuit.rule();
  }

  #stale(): Recorded {
    this.#circuit.counters.stale!++;
    return "stale";
  }

  #throttled(pauseMs: number, nowMs: number): void {
    const circuit = this.#circuit;
    circuit.counters.throttled!++;
    if (circuit.mode === "forced_closed") return;
    const wasClosed = circuit.state === "closed";
    circuit.begin("open", `throttled for ${pauseMs} ms`);
    circuit.pause(pauseMs, nowMs);
    // A probe that is throttled says nothing about the cooldown, which stands; without one, the pause is all the wait.
    if (wasClosed) circuit.cooldownEndsMs = circuit.pauseEndsMs;
  }

  #ignored(nowMs: number): void {
    const circuit = this.#circuit;
    circuit.counters.ignored!++;
    if (circuit.state === "half_open") this.#reported(nowMs);
  }

  /** A call completed while the circuit is closed: it counts in every way of opening, and the first that says so opens. */
  #completed(outcome: "success" | "failure", tookMs: number, nowMs: number): void {
    const circuit = this.#circuit;
    this.#count(outcome);
    circuit.windows.add({ failed: outcome === "failure", slow: this.#isSlow(tookMs) }, nowMs, circuit.options);
    if (circuit.mode === "forced_closed") return;
    const { failures } = circuit;
    if (failures >= circuit.options.failureThreshold) {
      circuit.open(failures === 1 ? "a failure" : `${failures} consecutive failures`, nowMs);
    } else {
      const verdict = circuit.windows.verdict(circuit.options);
      if (verdict !== undefined) circuit.open(verdict, nowMs);
    }
  }

  /** A probe completed: one that took too long is as good as failed. */
  #probed(outcome: "success" | "failure", tookMs: number, nowMs: number): void {
    const circuit = this.#circuit;
    this.#count(outcome);
    if (outcome === "failure" || this.#isSlow(tookMs)) {
      circuit.reopen(outcome === "failure" ? "probe failed" : `probe took ${tookMs} ms`, nowMs);
      return;
    }
    const ok = circuit.probesOk + 1;
    if (ok >= circuit.options.successThreshold) {
      circuit.begin("closed", ok === 1 ? "probe succeeded" : `${ok} probes succeeded`);
      return;
    }
    circuit.probesOk = ok;
    this.#reported(nowMs);
  }

  /** A probe gives its place back, and the others have longer. */
  #reported(nowMs: number): void {
    this.#circuit.probesInFlight--;
    this.#circuit.lease(nowMs);
  }

  #count(outcome: "success" | "failure"): void {
    const circuit = this.#circuit;
    if (outcome === "failure") {
      circuit.counters.failures!++;
      circuit.fail();
    } else {
      circuit.counters.successes!++;
      if (circuit.state === "closed") circuit.failures = 0;
    }
  }

  #isSlow(tookMs: number): boolean {
    const { slowCallMs } = this.#circuit.options;
    return slowCallMs > 0 && tookMs >= slowCallMs;
  }

  #nowMs(): number {
    return Math.floor(this.#clock.nowMs()) - this.#circuit.originMs;
  }
}

function pauseOf(throttledMs: number, throttleMaxMs: number): number {
  return throttledMs > 0 ? Math.ceil(Math.min(throttledMs, throttleMaxMs)) : 0;
}
