import type { CircuitState } from "../core/breaker.ts";
import type { Reason } from "./reason.ts";
import type { Signal } from "./signal.ts";

export type { CircuitState };

/**
 * What an exporter or a lane tells whoever keeps its metrics. Every member is optional, and none may disturb the
 * caller: a member that throws is reported and otherwise ignored.
 */
export interface ExportObserver {
  /** One export or one attempt that reached the backend has ended, well or badly. Duration in milliseconds. */
  attempted?(attempt: {
    readonly signal: Signal;
    readonly itemCount: number;
    readonly durationMs: number;
    readonly succeeded: boolean;
  }): void;
  /** Items that will not be sent any more. */
  dropped?(drop: { readonly signal: Signal; readonly itemCount: number; readonly reason: Reason }): void;
  /** A circuit has changed its state. Told once for each change, after it. */
  transitioned?(transition: {
    readonly name: string;
    readonly from: CircuitState;
    readonly to: CircuitState;
  }): void;
}
