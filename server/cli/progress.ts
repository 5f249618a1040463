import cliProgress from "cli-progress";
import { type Progress, type ProgressUnit, SILENT } from "./io.ts";
import { durationText, sizeText } from "./words.ts";

/** A terminal that a line can be drawn on. */
type Terminal = NodeJS.WriteStream & { readonly isTTY?: boolean };

/** What is used of cli-progress, which has no types of its own. */
interface Bar {
  start(total: number, done: number, payload: object): void;
  update(done: number, payload: object): void;
  stop(): void;
}

/** Often enough to see it move, seldom enough to cost nothing. */
const FRAMES_PER_SECOND = 8;

/** A line on a terminal that says how far something is, how fast, and for how long still; nothing elsewhere. */
export function showProgress(
  terminal: Terminal,
  nowMs: () => number,
  title: string,
  total: number,
  unit: ProgressUnit,
): Progress {
  if (!terminal.isTTY || total === 0) return SILENT;
  const bar: Bar = new cliProgress.SingleBar({
    format: "{title} [{bar}] {percentage}%  {state}",
    stream: terminal,
    fps: FRAMES_PER_SECOND,
    clearOnComplete: true,
    barsize: 24,
    barCompleteChar: "=",
    barIncompleteChar: " ",
    // A process that is killed does not show it again.
    hideCursor: false,
  });
  const startMs = nowMs();
  bar.start(total, 0, { title, state: "" });
  return {
    reached: (done) => bar.update(done, { state: stateText(done, total, nowMs() - startMs, unit) }),
    end: () => bar.stop(),
  };
}

/** How far, how fast, how long still. */
export function stateText(done: number, total: number, elapsedMs: number, unit: ProgressUnit): string {
  const amount = (count: number) => unit === "bytes" ? sizeText(count) : `${Math.round(count)} ${unit}`;
  if (done <= 0 || elapsedMs <= 0) return `of ${amount(total)}`;
  const rate = done / elapsedMs;
  return `${amount(done)} of ${amount(total)}, ${amount(rate * 1000)}/s, ${durationText((total - done) / rate)} left`;
}
