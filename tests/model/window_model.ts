import type { CheckedNumbers } from "../../core/breaker_options.ts";

/** A call that succeeded or failed, as a window remembers it. */
export interface CompletedCall {
  /** The tenth of the time window in which it completed, counted from the clock's origin. */
  readonly tenth: number;
  readonly failed: boolean;
  readonly slow: boolean;
}

/** What a window is asked for: how many calls it holds, and which share of them is too much. */
type WindowOptions = Pick<
  CheckedNumbers,
  "countWindowSize" | "timeWindowMs" | "failureRatio" | "slowCallMs" | "slowCallRatio" | "minimumCalls"
>;

/** A time window is the tenth that runs and the nine before it. */
const TENTHS = 10;

/** The largest `countWindowSize`: a window that is made larger finds the calls that it had forgotten. */
const CALLS_MAX = 1024;

/** What windows hold at some time: the calls of the time window by how many tenths ago they were. */
export interface WindowsSnapshot {
  readonly counted: readonly Omit<CompletedCall, "tenth">[];
  readonly recent: readonly (Omit<CompletedCall, "tenth"> & { readonly age: number })[];
}

/** The completed calls of one closed generation, as far as a window may see them: plain lists, oldest first. */
export class WindowsModel {
  /** What a count window sees the last of. */
  counted: readonly CompletedCall[] = [];
  /** What the time window sees. */
  recent: readonly CompletedCall[] = [];

  /** Enters a call. A window that is off takes none. */
  add(call: Omit<CompletedCall, "tenth">, nowMs: number, { countWindowSize, timeWindowMs }: WindowOptions): void {
    const entered = { ...call, tenth: tenthOf(nowMs, timeWindowMs) };
    if (countWindowSize > 0) this.counted = [...this.counted, entered].slice(-CALLS_MAX);
    if (timeWindowMs > 0) this.recent = [...this.recent, entered].filter((other) => isRecent(other, entered.tenth));
  }

  /** Why the circuit is to open, now that a call was added; `undefined` when it may stay closed. */
  verdict(options: WindowOptions): string | undefined {
    const { countWindowSize, timeWindowMs, failureRatio, slowCallMs, slowCallRatio, minimumCalls } = options;
    const last = countWindowSize > 0 ? this.counted.slice(-countWindowSize) : [];
    const { recent } = this;
    const [failedLast, slowLast] = [countOf(last, "failed"), countOf(last, "slow")];
    const [failedRecent, slowRecent] = [countOf(recent, "failed"), countOf(recent, "slow")];
    const isTooMuch = (bad: number, calls: readonly CompletedCall[], ratio: number) =>
      calls.length >= minimumCalls && bad / calls.length >= ratio;
    if (isTooMuch(failedLast, last, failureRatio)) return `${failedLast} of the last ${last.length} calls failed`;
    if (slowCallMs > 0 && isTooMuch(slowLast, last, slowCallRatio)) {
      return `${slowLast} of the last ${last.length} calls took ${slowCallMs} ms or longer`;
    }
    if (isTooMuch(failedRecent, recent, failureRatio)) {
      return `${failedRecent} of ${recent.length} calls failed within ${timeWindowMs} ms`;
    }
    if (slowCallMs > 0 && isTooMuch(slowRecent, recent, slowCallRatio)) {
      return `${slowRecent} of ${recent.length} calls within ${timeWindowMs} ms took ${slowCallMs} ms or longer`;
    }
    return undefined;
  }

  snapshot({ countWindowSize, timeWindowMs }: WindowOptions, nowMs: number): WindowsSnapshot {
    const now = tenthOf(nowMs, timeWindowMs);
    return {
      counted: countWindowSize > 0 ? this.counted.slice(-countWindowSize) : [],
      recent: this.recent.filter((call) => isRecent(call, now)).map(({ tenth, ...call }) => ({
        ...call,
        age: now - tenth,
      })),
    };
  }

  static restored({ counted, recent }: WindowsSnapshot, options: WindowOptions, nowMs: number): WindowsModel {
    const windows = new WindowsModel();
    const now = tenthOf(nowMs, options.timeWindowMs);
    if (options.countWindowSize > 0) windows.counted = counted.map((call) => ({ ...call, tenth: now }));
    if (options.timeWindowMs > 0) windows.recent = recent.map(({ age, ...call }) => ({ ...call, tenth: now - age }));
    return windows;
  }

  /**
   * Takes up other numbers: a window that is turned on begins empty, one that lasts longer or shorter begins anew with
   * what it has.
   */
  resize(before: WindowOptions, after: WindowOptions, nowMs: number): void {
    if (before.countWindowSize === 0) this.counted = [];
    if (before.timeWindowMs === after.timeWindowMs) return;
    const [was, is] = [before, after].map(({ timeWindowMs }) => tenthOf(nowMs, timeWindowMs)) as [number, number];
    this.recent = after.timeWindowMs === 0
      ? []
      : this.recent.filter((call) => isRecent(call, was)).map((call) => ({ ...call, tenth: is }));
  }
}

function tenthOf(nowMs: number, timeWindowMs: number): number {
  return timeWindowMs > 0 ? Math.floor(nowMs * TENTHS / timeWindowMs) : 0;
}

function isRecent(call: CompletedCall, tenth: number): boolean {
  return tenth - call.tenth < TENTHS;
}

function countOf(calls: readonly CompletedCall[], what: "failed" | "slow"): number {
  return calls.filter((call) => call[what]).length;
}
