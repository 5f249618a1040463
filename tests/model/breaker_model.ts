/**
 * The circuit breaker in plain TypeScript: no packed words, no shared memory, no atomics, one thread. What the core does
 * must be what this does. Written to be read, not to be fast.
 */

import type { CircuitState, Outcome, Recorded } from "../../core/breaker.ts";
import { type CheckedOptions, checkOptions, type CircuitBreakerOptions } from "../../core/breaker_options.ts";
import type { Clock } from "../../core/clock.ts";

/** A call that was let through, and whether its result has come. */
interface Call {
  readonly generation: number;
  readonly attachment: Attachment;
  /** Its place among the calls of its attachment. */
  readonly ticket: number;
  recorded: boolean;
}

interface Attachment {
  issued: number;
  attached: boolean;
}

/** The counters that both have. */
export type ModelCounters = Record<string, number>;

const REMEMBERED = 1024;

/** What all attachments share. */
class Circuit {
  readonly options: CheckedOptions;
  readonly calls: Call[] = [];
  readonly counters: ModelCounters = {
    permitted: 0,
    refused: 0,
    successes: 0,
    failures: 0,
    ignored: 0,
    throttled: 0,
    stale: 0,
    duplicate: 0,
    leaseExpired: 0,
    opened: 0,
    halfOpened: 0,
    closed: 0,
  };
  readonly transitions: string[] = [];
  state: CircuitState = "closed";
  generation = 1;
  failures = 0;
  probesInFlight = 0;
  probesOk = 0;
  /** Attempts since the circuit opened. */
  attempts = 0;
  /** Probes by cooldown that failed since the circuit opened. */
  level = 0;
  /** Whether the probes in flight pass because the cooldown had ended. */
  byCooldown = false;
  cooldownEndsMs = 0;
  leaseEndsMs = 0;
  pauseEndsMs = 0;

  constructor(options: CircuitBreakerOptions) {
    this.options = checkOptions(options);
  }

  enter(state: CircuitState, reason: string): void {
    this.transitions.push(`${this.state} -> ${state}: ${reason}`);
    if (this.state === "closed") {
      this.attempts = 0;
      this.level = 0;
      this.pauseEndsMs = 0;
    }
    if (state === "closed") this.failures = 0;
    this.state = state;
    this.generation++;
    this.probesInFlight = 0;
    this.probesOk = 0;
    this.counters[({ closed: "closed", half_open: "halfOpened", open: "opened" } as const)[state]]!++;
  }

  /** The wait that begins with this generation. */
  cooldownMs(): number {
    const { cooldownMs, cooldownBackoff, cooldownMaxMs, cooldownJitter, seed } = this.options;
    let ms = cooldownMs;
    for (let i = 0; i < this.level && ms < cooldownMaxMs; i++) ms *= cooldownBackoff;
    const luck = luckOf(seed, this.generation);
    ms = Math.floor(Math.min(ms, cooldownMaxMs) * (1 + cooldownJitter * (2 * luck - 1)) + 0.5);
    return Math.max(1, Math.min(ms, cooldownMaxMs));
  }

  lease(nowMs: number): void {
    this.leaseEndsMs = nowMs + this.options.probeLeaseMs;
  }

  pause(ms: number, nowMs: number): void {
    this.pauseEndsMs = Math.max(this.pauseEndsMs, nowMs + ms);
  }
}

/** The same face as `CircuitBreaker`, as far as it makes sense on one thread. */
export class BreakerModel {
  readonly #circuit: Circuit;
  readonly #clock: Clock;
  readonly #attachment: Attachment = { issued: 0, attached: true };

  constructor(options: CircuitBreakerOptions & { readonly clock: Clock }, circuit = new Circuit(options)) {
    this.#circuit = circuit;
    this.#clock = options.clock;
  }

  attach(): BreakerModel {
    return new BreakerModel({ clock: this.#clock }, this.#circuit);
  }

  detach(): void {
    this.#attachment.attached = false;
  }

  acquire(): number {
    const circuit = this.#circuit;
    const { probeEveryNth, probeConcurrency, probeLeaseMs } = circuit.options;
    const nowMs = this.#nowMs();
    if (!this.#attachment.attached) return -1;
    if (circuit.state === "closed") return this.#permit();

    const attempt = circuit.attempts++;
    let replaces = false;
    if (circuit.state === "half_open" && circuit.probesInFlight > 0 && nowMs >= circuit.leaseEndsMs) {
      circuit.counters.leaseExpired!++;
      circuit.enter("open", `no probe reported within ${probeLeaseMs} ms`);
      replaces = true;
    }
    const mayTry = nowMs >= circuit.pauseEndsMs;
    if (circuit.state === "half_open") {
      if (!mayTry || circuit.probesInFlight >= probeConcurrency) return this.#refuse();
      if (circuit.probesInFlight === 0) circuit.lease(nowMs);
      circuit.probesInFlight++;
      return this.#permit();
    }
    const cooledDown = nowMs >= circuit.cooldownEndsMs;
    const isDue = probeEveryNth > 0 && attempt % probeEveryNth === 0;
    if (!mayTry || !(cooledDown || isDue || replaces)) return this.#refuse();
    const why = replaces ? "a lost probe is replaced" : cooledDown ? "cooldown ended" : `attempt ${attempt} may probe`;
    circuit.enter("half_open", why);
    circuit.byCooldown = cooledDown;
    circuit.probesInFlight = 1;
    circuit.lease(nowMs);
    return this.#permit();
  }

  record(permit: number, outcome: Outcome): Recorded {
    const circuit = this.#circuit;
    const nowMs = this.#nowMs();
    const call = circuit.calls[permit];
    if (!this.#attachment.attached) return "stale";
    if (call === undefined || call.attachment.issued - call.ticket > REMEMBERED) return this.#stale();
    if (call.recorded) {
      circuit.counters.duplicate!++;
      return "duplicate";
    }
    const pauseMs = typeof outcome === "object" ? pauseOf(outcome.throttledMs, circuit.options.throttleMaxMs) : 0;
    if (call.generation !== circuit.generation) {
      if (typeof outcome === "object" && circuit.state !== "closed") circuit.pause(pauseMs, nowMs);
      return this.#stale();
    }
    call.recorded = true;
    if (typeof outcome === "object") this.#throttled(pauseMs, nowMs);
    else if (outcome === "failure") this.#failed(nowMs);
    else if (outcome === "success") this.#succeeded(nowMs);
    else {
      circuit.counters.ignored!++;
      if (circuit.state === "half_open") {
        circuit.probesInFlight--;
        circuit.lease(nowMs);
      }
    }
    return "applied";
  }

  get state(): CircuitState {
    return this.#circuit.state;
  }

  get throttled(): boolean {
    return this.#circuit.state === "open" && this.#nowMs() < this.#circuit.pauseEndsMs;
  }

  get retryAfterMs(): number {
    const circuit = this.#circuit;
    const { probeEveryNth, probeConcurrency } = circuit.options;
    if (circuit.state === "closed") return 0;
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

  #permit(): number {
    const circuit = this.#circuit;
    circuit.counters.permitted!++;
    const ticket = this.#attachment.issued++;
    return circuit.calls.push({
      generation: circuit.generation,
      attachment: this.#attachment,
      ticket,
      recorded: false,
    }) - 1;
  }

  #refuse(): number {
    this.#circuit.counters.refused!++;
    return -1;
  }

  #stale(): Recorded {
    this.#circuit.counters.stale!++;
    return "stale";
  }

  #throttled(pauseMs: number, nowMs: number): void {
    const circuit = this.#circuit;
    const wasClosed = circuit.state === "closed";
    circuit.counters.throttled!++;
    circuit.enter("open", `throttled for ${pauseMs} ms`);
    circuit.pause(pauseMs, nowMs);
    // A probe that is throttled says nothing about the cooldown, which stands; without one, the pause is all the wait.
    if (wasClosed) circuit.cooldownEndsMs = circuit.pauseEndsMs;
  }

  #failed(nowMs: number): void {
    const circuit = this.#circuit;
    circuit.counters.failures!++;
    circuit.failures = Math.min(circuit.failures + 1, 4095);
    if (circuit.state === "half_open") {
      circuit.enter("open", "probe failed");
      if (!circuit.byCooldown) return;
      circuit.level = Math.min(circuit.level + 1, 63);
      circuit.cooldownEndsMs = nowMs + circuit.cooldownMs();
    } else if (circuit.failures >= circuit.options.failureThreshold) {
      circuit.enter("open", circuit.failures === 1 ? "a failure" : `${circuit.failures} consecutive failures`);
      circuit.cooldownEndsMs = nowMs + circuit.cooldownMs();
    }
  }

  #succeeded(nowMs: number): void {
    const circuit = this.#circuit;
    circuit.counters.successes!++;
    if (circuit.state === "closed") {
      circuit.failures = 0;
      return;
    }
    const ok = circuit.probesOk + 1;
    if (ok >= circuit.options.successThreshold) {
      circuit.enter("closed", ok === 1 ? "probe succeeded" : `${ok} probes succeeded`);
      return;
    }
    circuit.probesOk = ok;
    circuit.probesInFlight--;
    circuit.lease(nowMs);
  }

  #nowMs(): number {
    return Math.floor(this.#clock.nowMs());
  }
}

function pauseOf(throttledMs: number, throttleMaxMs: number): number {
  return throttledMs > 0 ? Math.ceil(Math.min(throttledMs, throttleMaxMs)) : 0;
}

/** The finaliser of MurmurHash3 over seed and generation, as a share of 1. */
function luckOf(seed: number, generation: number): number {
  let hash = seed ^ Math.imul(generation, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
