import { type Clock, systemClock } from "../core/clock.ts";
import type { ExportObserver } from "./export_observer.ts";

/** Tells a person that something of theirs has failed. Never used for the state of the backend. */
export type Report = (message: string, error: unknown) => void;

/** How long the same complaint about the same thing stays unsaid, in milliseconds: a log is not a place for a storm. */
export const REPORT_INTERVAL_MS = 60_000;

/** Runs foreign code that may throw, or return a promise that rejects, and lets neither reach the caller. */
export function runIsolated(run: () => unknown, onError: (error: unknown) => void): void {
  try {
    const returned = run();
    if (isThenable(returned)) returned.then(undefined, onError);
  } catch (error) {
    onError(error);
  }
}

/** An observer whose members can be called without care: what one throws is reported once a minute for each member. */
export function isolatedObserver(
  observer: ExportObserver,
  report: Report,
  clock: Clock = systemClock,
): Required<ExportObserver> {
  const reportedAtMs = new Map<keyof ExportObserver, number>();
  const tell = (member: keyof ExportObserver, run: () => unknown) =>
    runIsolated(run, (error) => {
      const nowMs = clock.nowMs();
      if (nowMs - (reportedAtMs.get(member) ?? -Infinity) < REPORT_INTERVAL_MS) return;
      reportedAtMs.set(member, nowMs);
      report(`An export observer failed in "${member}"; the export is not affected`, error);
    });
  return {
    attempted: (attempt) => tell("attempted", () => observer.attempted?.(attempt)),
    dropped: (drop) => tell("dropped", () => observer.dropped?.(drop)),
    transitioned: (transition) => tell("transitioned", () => observer.transitioned?.(transition)),
  };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
