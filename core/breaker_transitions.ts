import type { CircuitState } from "./breaker.ts";
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

/** The states in the order of their numbers. */
export const STATES = ["closed", "half_open", "open"] as const satisfies readonly CircuitState[];

// By the numbers of assembly/breaker.ts.
const REASONS: readonly ((detail: number) => string)[] = [
  (failures) => failures === 1 ? "a failure" : `${failures} consecutive failures`,
  () => "probe failed",
  (ms) => `throttled for ${ms} ms`,
  (probes) => probes === 1 ? "probe succeeded" : `${probes} probes succeeded`,
  () => "cooldown ended",
  (attempt) => `attempt ${attempt} may probe`,
  (ms) => `no probe reported within ${ms} ms`,
  () => "a lost probe is replaced",
];

/** The changes of state that the last call of an attachment made, in their order. */
export function transitionsOf(core: Core, base: number, attachment: number, name: string): CircuitTransition[] {
  const transitions: CircuitTransition[] = [];
  const count = core.toldCount(base, attachment);
  for (let index = 0; index < count; index++) {
    const told = core.told(base, attachment, index);
    transitions.push({
      name,
      from: STATES[(told >> 6) & 3]!,
      to: STATES[(told >> 4) & 3]!,
      generation: told >> 8,
      reason: REASONS[told & 15]!(core.toldDetail(base, attachment, index)),
    });
  }
  return transitions;
}

/** Listeners that can do the circuit no harm. */
export class TransitionListeners {
  #listeners: readonly ((transition: CircuitTransition) => void)[] = [];
  #errorCount = 0;

  /** How often one of them threw, or returned a promise that was rejected. */
  get errorCount(): number {
    return this.#errorCount;
  }

  add(listener: (transition: CircuitTransition) => void): () => void {
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
