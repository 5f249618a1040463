// Stands in until core/breaker_options.ts has these.
import * as real from "../../core/breaker_options.ts";

export type CircuitMode = "auto" | "disabled" | "metrics_only" | "forced_open" | "forced_closed";
export interface CircuitBreakerOptions extends real.CircuitBreakerOptions {
  readonly countWindowSize?: number | undefined;
  readonly timeWindowMs?: number | undefined;
  readonly failureRatio?: number | undefined;
  readonly slowCallMs?: number | undefined;
  readonly slowCallRatio?: number | undefined;
  readonly minimumCalls?: number | undefined;
  readonly mode?: CircuitMode | undefined;
}
export type CheckedOptions =
  & real.CheckedOptions
  & Readonly<
    Record<
      "countWindowSize" | "timeWindowMs" | "failureRatio" | "slowCallMs" | "slowCallRatio" | "minimumCalls",
      number
    >
  >;

export function checkOptions(options: CircuitBreakerOptions): CheckedOptions {
  const { failureRatio, slowCallMs, minimumCalls, timeWindowMs } = options;
  const asksForWindow = failureRatio !== undefined || slowCallMs !== undefined || minimumCalls !== undefined;
  const countWindowSize = options.countWindowSize ?? (asksForWindow && timeWindowMs === undefined ? 100 : 0);
  return {
    ...real.checkOptions(options),
    countWindowSize,
    timeWindowMs: timeWindowMs ?? 0,
    failureRatio: failureRatio ?? 0.5,
    slowCallMs: slowCallMs ?? 0,
    slowCallRatio: options.slowCallRatio ?? 0.5,
    minimumCalls: minimumCalls ?? (countWindowSize > 0 ? Math.min(10, countWindowSize) : 10),
  };
}
