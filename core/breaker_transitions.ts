import { type CircuitMode, MODES } from "./breaker_modes.ts";
import { type CircuitBreakerNumbers, SETTINGS } from "./breaker_options.ts";
import { type CircuitState, STATES } from "./circuit.ts";
import { describe } from "./limits.ts";
import type { Core } from "./loader.ts";

/** A change of state. */
export interface CircuitTransition {
  /** The circuit's name. */
  readonly name: string;
  /** The state before. */
  readonly from: CircuitState;
  /** The state now. */
  readonly to: CircuitState;
  /** The generation that began with it: one more for each change, from 1 to 1048575 and round again. */
  readonly generation: number;
  /** Why, as a short sentence for a log line: `"3 consecutive failures"`. */
  readonly reason: string;
}

// By the numbers of assembly/told.ts: what the two numbers behind a change mean, and what the settings say.
const REASONS: readonly ((first: number, second: number, setting: (name: Setting) => number) => string)[] = [
  (failures) => failures === 1 ? "a failure" : `${failures} consecutive failures`,
  () => "probe failed",
  (ms) => `throttled for ${ms} ms`,
  (probes) => probes === 1 ? "probe succeeded" : `${probes} probes succeeded`,
  () => "cooldown ended",
  (attempt) => `attempt ${attempt} may probe`,
  (ms) => `no probe reported within ${ms} ms`,
  () => "a lost probe is replaced",
  (bad, calls) => `${bad} of the last ${calls} calls failed`,
  (bad, calls, setting) => `${bad} of the last ${calls} calls took ${setting("slowCallMs")} ms or longer`,
  (bad, calls, setting) => `${bad} of ${calls} calls failed within ${setting("timeWindowMs")} ms`,
  (bad, calls, setting) =>
    `${bad} of ${calls} calls within ${setting("timeWindowMs")} ms took ${setting("slowCallMs")} ms or longer`,
  (ms) => `probe took ${ms} ms`,
  (mode, before) => modeReason(MODES[mode]!, MODES[before]!),
  () => "restored",
];

type Setting = keyof CircuitBreakerNumbers;

function modeReason(mode: CircuitMode, before: CircuitMode): string {
  if (mode === "forced_open") return "forced open";
  if (mode === "forced_closed") return "forced closed";
  if (mode === "disabled") return "disabled";
  return before === "disabled" ? "enabled" : "released";
}

/** The changes of state that the last call of an attachment made, in their order. */
export function transitionsOf(
  core: Core,
  base: number,
  attachment: number,
  count: number,
  name: string,
): CircuitTransition[] {
  return Array.from({ length: count }, (_, index) => {
    const [what, first, second] = [0, 1, 2].map((field) => core.told(base, attachment, index, field)) as Numbers;
    return transitionOf(name, what, reasonOf(core, base, what & 0xff, first, second));
  });
}

/** The words for a reason, by its number in assembly/told.ts, and the numbers behind it. */
export function reasonOf(core: Core, base: number, reason: number, first: number, second: number): string {
  return REASONS[reason]!(first, second, (name) => core.setting(base, SETTINGS.indexOf(name)));
}

type Numbers = [number, number, number];

function transitionOf(name: string, what: number, reason: string): CircuitTransition {
  return { name, from: STATES[(what >>> 10) & 3]!, to: STATES[(what >>> 8) & 3]!, generation: what >>> 12, reason };
}

/** Listeners that can do the circuit no harm. */
export class TransitionListeners {
  #listeners: readonly ((transition: CircuitTransition) => void)[] = [];
  #errorCount = 0;

  /** How often one of them threw, or returned a promise that was rejected. */
  get errorCount(): number {
    return this.#errorCount;
  }

  /** @throws {TypeError} When it is no function. */
  add(listener: (transition: CircuitTransition) => void): () => void {
    if (typeof listener !== "function") {
      throw new TypeError(
        `Cannot listen to circuit breaker: "listener" must be a function, received ${describe(listener)}`,
      );
    }
    // Wrapped, so that one function added twice is two listeners, and removing one of them leaves the other.
    const entry = (transition: CircuitTransition) => listener(transition);
    this.#listeners = [...this.#listeners, entry];
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== entry);
    };
  }

  tell(transition: CircuitTransition): void {
    for (const listener of this.#listeners) {
      try {
        const returned: unknown = listener(transition);
        // An async function is a listener too, and its rejection would end the host's process.
        if (returned instanceof Promise) returned.catch(() => this.#errorCount++);
      } catch {
        // Reporting it globally would end the host's process as well.
        this.#errorCount++;
      }
    }
  }
}
