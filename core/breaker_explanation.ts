import { MODES } from "./breaker_modes.ts";
import { type CircuitBreakerNumbers, SETTINGS } from "./breaker_options.ts";
import { countWindowOf, timeWindowOf } from "./breaker_snapshot.ts";
import { reasonOf } from "./breaker_transitions.ts";
import { type CircuitState, STATES } from "./circuit.ts";
import type { Core } from "./loader.ts";

/**
 * What a circuit is, why, and what comes next: one sentence with the numbers behind the last change, which any thread
 * knows. When another thread changes the circuit meanwhile it is looked at again, so that all is of one moment.
 */
export function explanationOf(core: Core, base: number, name: string, nowMs: number): string {
  for (;;) {
    const generation = core.generation(base);
    const sentence = `${JSON.stringify(name)} ${new Look(core, base, nowMs).predicate()}`;
    if (core.generation(base) === generation) return sentence;
  }
}

// Reasons by their numbers in assembly/told.ts.
const PAUSE_ASKED = 2;
const COUNT_FAILED = 8;
const COUNT_SLOW = 9;
const TIME_FAILED = 10;
const TIME_SLOW = 11;
const MODE_CHANGED = 13;
const RESTORED = 14;

type Setting = keyof CircuitBreakerNumbers;

/** The setting that the numbers behind a reason met. */
const MET: { readonly [reason: number]: Setting } = {
  0: "failureThreshold",
  2: "throttleMaxMs",
  3: "successThreshold",
  5: "probeEveryNth",
  6: "probeLeaseMs",
  8: "failureRatio",
  9: "slowCallRatio",
  10: "failureRatio",
  11: "slowCallRatio",
  12: "slowCallMs",
};

/** Why a circuit changed its state, or would: a reason and the two numbers behind it. */
interface Cause {
  readonly reason: number;
  readonly first: number;
  readonly second: number;
}

/** A change of state that was told. */
interface Change extends Cause {
  readonly atMs: number;
  readonly to: CircuitState;
}

/** A look at a circuit. */
class Look {
  readonly #core: Core;
  readonly #base: number;
  readonly #nowMs: number;
  readonly #last: Change | undefined;

  constructor(core: Core, base: number, nowMs: number) {
    this.#core = core;
    this.#base = base;
    this.#nowMs = nowMs;
    this.#last = lastChange(core, base);
  }

  predicate(): string {
    const mode = MODES[this.#core.mode(this.#base)]!;
    if (mode === "forced_open" || mode === "disabled") return this.#shut(mode);
    const state = STATES[this.#core.state(this.#base)]!;
    const is = this.#because(state, state === "half_open" ? "half-open" : state);
    if (mode === "forced_closed") return `${is}; nothing opens it while it is forced closed`;
    const next = state === "closed" ? this.#watching() : state === "open" ? this.#waiting() : this.#probing();
    return `${is}; ${next}${mode === "metrics_only" ? "; meanwhile every call passes, the mode is metrics_only" : ""}`;
  }

  #because(state: CircuitState, what: string): string {
    const last = this.#last;
    if (last === undefined && state === "closed") return `is ${what} and never opened`;
    if (last?.to !== state) {
      return `is ${what}, and nobody told why: the thread that changed it may have ended before it could`;
    }
    // Nobody holds it open any more, or this would not be asked.
    const isOver = last.reason === MODE_CHANGED && state === "open";
    return `${this.#been(what, last)}: ${this.#why(last)}${isOver ? ", and not any more" : ""}`;
  }

  /** Of a circuit that lets nothing pass. When it was open before, only the mode changed, which is not told. */
  #shut(mode: "forced_open" | "disabled"): string {
    const last = this.#last;
    const isItself = last?.reason === RESTORED || (last?.reason === MODE_CHANGED && MODES[last.first] === mode);
    const been = (what: string) => isItself ? this.#been(what, last) : `is ${what}`;
    const before = last?.to === "open" && last.reason < MODE_CHANGED ? `, and was open before: ${this.#why(last)}` : "";
    const holds = this.#core.holds(this.#base);
    if (holds === 0) {
      return `${been(mode === "disabled" ? mode : "forced open")}${before}; nothing passes until another mode is set`;
    }
    const chosen = MODES[this.#core.chosenMode(this.#base)]!;
    const also = chosen === "forced_open" || chosen === "disabled" ? " and another mode is set" : "";
    const until = holds === 1 ? "it is released" : "they are released";
    return `${been("held open")} by ${count(holds, "hold")}${before}; nothing passes until ${until}${also}`;
  }

  #been(what: string, { atMs }: Change): string {
    return `has been ${what} for ${duration(this.#nowMs - atMs)}`;
  }

  /** How far a closed circuit is from opening. */
  #watching(): string {
    const failures = this.#core.consecutiveFailures(this.#base);
    const threshold = `failureThreshold ${this.#setting("failureThreshold")}`;
    const shares = this.#shares().filter(({ reason, second }) =>
      second > 0 && (reason === COUNT_FAILED || reason === TIME_FAILED || this.#setting("slowCallMs") > 0)
    );
    const windows = shares.map((share) => `; ${this.#why(share)}`).join("");
    const least = windows === "" ? "" : `; minimumCalls is ${this.#setting("minimumCalls")}`;
    return `${count(failures, "consecutive failure")} of ${threshold}${windows}${least}`;
  }

  /** What the windows would open the circuit for. */
  #shares(): Cause[] {
    const calls = [...countWindowOf(this.#core, this.#base)].map(Number);
    const tenths = timeWindowOf(this.#core, this.#base, this.#nowMs);
    const counted = (bit: number) => calls.filter((call) => (call & bit) !== 0).length;
    const timed = (which: 0 | 1 | 2) => tenths.reduce((sum, tenth) => sum + tenth[which], 0);
    return [
      { reason: COUNT_FAILED, first: counted(1), second: calls.length },
      { reason: COUNT_SLOW, first: counted(2), second: calls.length },
      { reason: TIME_FAILED, first: timed(1), second: timed(0) },
      { reason: TIME_SLOW, first: timed(2), second: timed(0) },
    ];
  }

  /** When an open circuit lets a probe pass. */
  #waiting(): string {
    const [attempts, nth] = [this.#core.attempts(this.#base), this.#setting("probeEveryNth")];
    const pauseMs = this.#core.pauseLeftMs(this.#base, this.#nowMs);
    const isDue = nth > 0 && attempts % nth === 0;
    const waitMs = Math.max(pauseMs, isDue ? 0 : this.#core.cooldownLeftMs(this.#base, this.#nowMs));
    if (waitMs === 0) return "the next call may probe";
    const isNews = pauseMs > 0 && this.#last?.reason !== PAUSE_ASKED;
    const pause = isNews ? `a pause that the backend asked for ends in ${duration(pauseMs)}, ` : "";
    const dueAt = Math.ceil(attempts / nth) * nth;
    const sooner = nth > 0 && waitMs > pauseMs ? `, or earlier at attempt ${dueAt} (the next is ${attempts})` : "";
    return `${pause}the next probe may pass in ${duration(waitMs)}${sooner}`;
  }

  /** What a half-open circuit waits for. */
  #probing(): string {
    const [probes, concurrency] = [this.#core.probesInFlight(this.#base), this.#setting("probeConcurrency")];
    const under = probes === 0 ? "" : `${probes} of probeConcurrency ${concurrency} under way, `;
    if (probes < concurrency) {
      const pauseMs = this.#core.pauseLeftMs(this.#base, this.#nowMs);
      return under + (pauseMs > 0 ? `the next probe may pass in ${duration(pauseMs)}` : "the next call may probe");
    }
    const waitMs = this.#core.retryAfterMs(this.#base, this.#nowMs); // 0 while every call passes
    if (waitMs === 0 && MODES[this.#core.mode(this.#base)] !== "metrics_only") {
      return "no probe has reported in time, the next call may probe";
    }
    const most = waitMs > 0 ? `, for ${duration(waitMs)} at most` : "";
    return `waits for ${probes === 1 ? "the probe" : `its ${probes} probes`}${most}`;
  }

  /** A reason in the words of a transition, and the setting that its numbers met. */
  #why({ reason, first, second }: Cause): string {
    const words = reasonOf(this.#core, this.#base, reason, first, second);
    const name = MET[reason];
    if (name === undefined) return words;
    const value = this.#setting(name);
    if (name === "failureThreshold" && first >= value) return `${words} reached ${name} ${value}`;
    return second > 0
      ? `${words}, ${percent(first / second)}, ${name} is ${percent(value)}`
      : `${words}, ${name} is ${value}`;
  }

  #setting(name: Setting): number {
    return this.#core.setting(this.#base, SETTINGS.indexOf(name));
  }
}

/** The change that was told last, unless none was, or it is being overwritten. */
function lastChange(core: Core, base: number): Change | undefined {
  const place = core.lastPlace(base);
  const [generation, atMs, what, first, second] = [0, 1, 2, 3, 4].map((field) => core.last(base, place, field));
  if (generation === 0 || what! >>> 12 !== generation || core.last(base, place, 2) !== what) return undefined;
  return { atMs: atMs!, to: STATES[(what >>> 8) & 3]!, reason: what & 0xff, first: first!, second: second! };
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function percent(share: number): string {
  return `${Number((100 * share).toFixed(1))} %`;
}

/** Only what was made by a clock that went backwards lies ahead. */
function duration(ms: number): string {
  return ms < 1_000 ? `${Math.max(0, Math.floor(ms))} ms` : `${Number((ms / 1_000).toFixed(1))} s`;
}
