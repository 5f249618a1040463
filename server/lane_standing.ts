import { backoffMs } from "../exporters/transport/backoff.ts";
import type { SendAnswer } from "../exporters/transport/transport.ts";
import type { LaneSetup } from "./lane_options.ts";

/** How a lane stands with its destination: how long it waits after a failure, and whether it is welcome at all. */
export class LaneStanding {
  readonly #name: string;
  readonly #setup: LaneSetup;
  #consecutiveFailureCount = 0;
  #notBeforeMs = -Infinity;
  #suspendedUntilMs: number | undefined;
  #misconfigured = false;

  constructor(name: string, setup: LaneSetup) {
    this.#name = name;
    this.#setup = setup;
  }

  /** The monotonic moment before which a lane with a closed circuit sends nothing, in milliseconds. */
  get notBeforeMs(): number {
    return this.#notBeforeMs;
  }

  /** The destination has no such signal, as far as is known. */
  get suspended(): boolean {
    return this.#suspendedUntilMs !== undefined;
  }

  /** Until the destination is asked again whether it has the signal, in milliseconds. */
  get suspendedForMs(): number {
    return Math.max(0, (this.#suspendedUntilMs ?? -Infinity) - this.#setup.clock.nowMs());
  }

  /** What was answered last was a failure: what was sent is kept, and waits. */
  get failing(): boolean {
    return this.#consecutiveFailureCount > 0;
  }

  get misconfigured(): boolean {
    return this.#misconfigured;
  }

  /** The circuit has closed: the destination is known to be well. */
  waitNoLonger(): void {
    this.#notBeforeMs = -Infinity;
  }

  /**
   * The destination has answered.
   *
   * @param waits Whether what was sent is kept, and has to wait.
   */
  heard(answer: SendAnswer, waits: boolean): void {
    const { backoffMs: initialMs, backoffMaxMs: maxMs, clock, log, misconfiguredPauseMs, random } = this.#setup;
    if (answer.status === "delivered" && (this.#misconfigured || this.suspended)) {
      log("info", `${this.#name}: the destination takes this signal again`);
    }
    this.#setMisconfigured(answer);
    this.#setSuspended(answer);
    if (!waits) {
      this.#consecutiveFailureCount = 0;
      return;
    }
    const floorMs = answer.status === "misconfigured"
      ? misconfiguredPauseMs
      : answer.status === "retryable"
      ? answer.retryAfterMs ?? 0
      : 0;
    const waitMs = backoffMs(this.#consecutiveFailureCount, { initialMs, maxMs }, random(), floorMs);
    this.#consecutiveFailureCount++;
    this.#notBeforeMs = Math.max(this.#notBeforeMs, clock.nowMs() + waitMs);
  }

  /** Only another kind of answer from the backend itself takes a misconfiguration back; silence does not. */
  #setMisconfigured(answer: SendAnswer): void {
    if (answer.status === "retryable" || answer.status === "throttled") return;
    const isNews = answer.status === "misconfigured" && !this.#misconfigured;
    this.#misconfigured = answer.status === "misconfigured";
    if (isNews) {
      this.#setup.log(
        "error",
        `${this.#name}: refused, check the configuration: ${answer.message}; its telemetry waits`,
      );
    }
  }

  #setSuspended(answer: SendAnswer): void {
    const { clock, log, suspendedMs } = this.#setup;
    if (answer.status !== "unsupported") {
      this.#suspendedUntilMs = undefined;
      return;
    }
    if (!this.suspended) {
      log(
        "warning",
        `${this.#name}: ${answer.message}; rejected from now on, asked again every ${suspendedMs / 1000} s`,
      );
    }
    this.#suspendedUntilMs = clock.nowMs() + suspendedMs;
  }
}
