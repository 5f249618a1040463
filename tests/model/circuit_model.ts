/** What all who share a circuit share: its state, its deadlines, its mode and its numbers. Plain fields, one thread. */

import type { CircuitState } from "../../core/breaker.ts";
import type { CircuitMode } from "../../core/breaker_modes.ts";
import {
  changed,
  type CheckedNumbers,
  checkOptions,
  type CircuitBreakerNumbers,
  type CircuitBreakerOptions,
} from "../../core/breaker_options.ts";
import { WindowsModel, type WindowsSnapshot } from "./window_model.ts";

/** A call that was let through, and whether its result has come. */
export interface Call {
  readonly generation: number;
  readonly startedMs: number;
  readonly attachment: Attachment;
  /** Its place among the calls of its attachment. */
  readonly ticket: number;
  recorded: boolean;
}

/** One of those who share the circuit. */
export interface Attachment {
  issued: number;
  attached: boolean;
}

/** The counters that both have. */
export type ModelCounters = Record<string, number>;

/** A circuit as it was at some time: what `restore` takes. Times are what was left of them. */
export interface ModelSnapshot extends WindowsSnapshot {
  readonly state: "closed" | "open";
  readonly failures: number;
  readonly attempts: number;
  readonly level: number;
  readonly cooldownLeftMs: number;
  readonly pauseLeftMs: number;
  readonly mode: CircuitMode;
}

/** 12 bits of the core's word count failures. */
const FAILURES_MAX = 4095;

/** 6 bits of it count the probes by cooldown that failed. */
const LEVEL_MAX = 63;

export class CircuitModel {
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
  readonly holds = new Set<object>();
  /** When the circuit was made, on the clock of who made it: its own time begins then. */
  readonly originMs: number;
  options: CheckedNumbers;
  readonly seed: number;
  windows = new WindowsModel();
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
  /** The first call since calls are timed: how long earlier ones take is not known. */
  timedFrom = 0;
  pauseEndsMs = 0;
  /** The mode that rules: the one that was chosen, unless someone holds the circuit open. */
  mode: CircuitMode = "auto";
  #chosenMode: CircuitMode = "auto";
  /** Whether the circuit was closed when it was forced open. */
  #wasClosed = true;

  constructor(options: CircuitBreakerOptions, originMs: number) {
    this.originMs = originMs;
    const { seed, tapeSize: _, ...numbers } = checkOptions(options);
    this.seed = seed;
    this.options = numbers;
    this.choose(options.mode ?? "auto");
  }

  /** The one door: every change of state goes through it, and begins a generation. */
  begin(state: CircuitState, reason: string): void {
    if (state !== this.state) {
      this.transitions.push(`${this.state} -> ${state}: ${reason}`);
      this.counters[({ closed: "closed", half_open: "halfOpened", open: "opened" } as const)[state]]!++;
    }
    if (this.state === "closed") {
      this.attempts = 0;
      this.level = 0;
      this.pauseEndsMs = 0;
    }
    if (state === "closed") {
      this.failures = 0;
      this.windows = new WindowsModel();
    }
    this.state = state;
    this.generation++;
    this.probesInFlight = 0;
    this.probesOk = 0;
  }

  /** Opens, for one cooldown. */
  open(reason: string, nowMs: number): void {
    this.begin("open", reason);
    this.cooldownEndsMs = nowMs + this.#cooldownMs();
  }

  /** A probe failed. Only one that passed by cooldown makes the next one wait longer. */
  reopen(reason: string, nowMs: number): void {
    this.begin("open", reason);
    if (!this.byCooldown) return;
    this.level = Math.min(this.level + 1, LEVEL_MAX);
    this.cooldownEndsMs = nowMs + this.#cooldownMs();
  }

  /** Notes a failure. */
  fail(): void {
    this.failures = Math.min(this.failures + 1, FAILURES_MAX);
  }

  lease(nowMs: number): void {
    this.leaseEndsMs = nowMs + this.options.probeLeaseMs;
  }

  pause(ms: number, nowMs: number): void {
    this.pauseEndsMs = Math.max(this.pauseEndsMs, nowMs + ms);
  }

  get isForcedOpen(): boolean {
    return isForcedOpen(this.mode);
  }

  /** Chooses a mode, which rules unless the circuit is held open. */
  choose(mode: CircuitMode): void {
    this.#chosenMode = mode;
    this.rule();
  }

  /** Lets the mode rule that is due, after a choice or when a hold came or went. */
  rule(): void {
    const [before, mode] = [this.mode, this.holds.size > 0 ? "forced_open" : this.#chosenMode];
    this.mode = mode;
    if (mode === before) return;
    if (isForcedOpen(mode)) {
      if (isForcedOpen(before)) return;
      this.#wasClosed = this.state === "closed";
      this.begin("open", mode === "disabled" ? "disabled" : "forced open");
    } else if (mode === "forced_closed") this.begin("closed", "forced closed");
    else if (isForcedOpen(before)) {
      this.begin(this.#wasClosed ? "closed" : "open", before === "disabled" ? "enabled" : "released");
    } else if (before === "forced_closed") this.begin("closed", "released");
  }

  /** Changes the numbers that `changes` names; what is under way goes on. */
  reconfigure(changes: CircuitBreakerNumbers, nowMs: number): void {
    const before = this.options;
    const after = changed("reconfigure circuit breaker", before, changes);
    this.options = after;
    this.windows.resize(before, after, nowMs);
    if (before.slowCallMs === 0) this.timedFrom = this.calls.length;
    this.#shortenWaits(nowMs);
  }

  /** No wait is longer than its setting. */
  #shortenWaits(nowMs: number): void {
    const { cooldownMaxMs, throttleMaxMs, probeLeaseMs } = this.options;
    this.cooldownEndsMs = Math.min(this.cooldownEndsMs, nowMs + Math.max(cooldownMaxMs, throttleMaxMs));
    this.leaseEndsMs = Math.min(this.leaseEndsMs, nowMs + probeLeaseMs);
    this.pauseEndsMs = Math.min(this.pauseEndsMs, nowMs + throttleMaxMs);
  }

  /** What the circuit is, or will be when nobody holds it open: closed, then it is clean. */
  snapshot(nowMs: number): ModelSnapshot {
    const mode = this.#chosenMode;
    const clean = {
      mode,
      failures: 0,
      attempts: 0,
      level: 0,
      cooldownLeftMs: 0,
      pauseLeftMs: 0,
      counted: [],
      recent: [],
    };
    if (this.state === "closed") {
      return { ...clean, state: "closed", failures: this.failures, ...this.windows.snapshot(this.options, nowMs) };
    }
    if (mode === "forced_closed" || (this.isForcedOpen && this.#wasClosed)) return { ...clean, state: "closed" };
    return {
      ...clean,
      state: "open",
      failures: this.failures,
      attempts: this.attempts,
      level: this.level,
      cooldownLeftMs: this.state === "half_open" ? 0 : Math.max(0, this.cooldownEndsMs - nowMs),
      pauseLeftMs: Math.max(0, this.pauseEndsMs - nowMs),
    };
  }

  restore(snapshot: ModelSnapshot, nowMs: number): void {
    const { cooldownMaxMs, throttleMaxMs } = this.options;
    const pauseMs = Math.min(snapshot.pauseLeftMs, throttleMaxMs);
    this.#chosenMode = snapshot.mode;
    this.mode = this.holds.size > 0 ? "forced_open" : snapshot.mode;
    this.#wasClosed = snapshot.state === "closed";
    this.begin(this.isForcedOpen ? "open" : snapshot.state, "restored");
    this.failures = snapshot.failures;
    this.attempts = snapshot.attempts;
    this.level = snapshot.level;
    this.cooldownEndsMs = nowMs + Math.min(snapshot.cooldownLeftMs, Math.max(cooldownMaxMs, pauseMs));
    this.pauseEndsMs = nowMs + pauseMs;
    if (this.state === "closed") this.windows = WindowsModel.restored(snapshot, this.options, nowMs);
  }

  /** The wait that begins with this generation. */
  #cooldownMs(): number {
    const { cooldownMs, cooldownBackoff, cooldownMaxMs, cooldownJitter } = this.options;
    let ms = cooldownMs;
    for (let i = 0; i < this.level && ms < cooldownMaxMs; i++) ms *= cooldownBackoff;
    const luck = luckOf(this.seed, this.generation);
    ms = Math.floor(Math.min(ms, cooldownMaxMs) * (1 + cooldownJitter * (2 * luck - 1)) + 0.5);
    return Math.max(1, Math.min(ms, cooldownMaxMs));
  }
}

/** `disabled` is `forced_open` by another name, so that nobody needs to be alarmed. */
function isForcedOpen(mode: CircuitMode): boolean {
  return mode === "forced_open" || mode === "disabled";
}

/** The finaliser of MurmurHash3 over seed and generation, as a share of 1. */
function luckOf(seed: number, generation: number): number {
  let hash = seed ^ Math.imul(generation, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
