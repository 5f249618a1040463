/** How the play looks: one block that is redrawn on a terminal, one line a change and one a tick in a pipe. */

import { ITEM_NAMES, type Signal, SIGNALS } from "../exporters/signal.ts";

/** What is known of one signal at one moment, in items. */
export interface SignalView {
  /** `closed`, `half_open`, `open`; `throttled` while an open circuit waits out a Retry-After. */
  readonly circuit: string;
  /** Why the circuit is as it is, in a few words; empty while it has never opened. */
  readonly why: string;
  readonly received: number;
  readonly delivered: number;
  /** Items that may have arrived twice, because the first answer was lost. */
  readonly redelivered: number;
  readonly queued: number;
  /** Dropped and rejected items by reason. */
  readonly lost: Readonly<Record<string, number>>;
}

/** One moment of the play. */
export interface Moment {
  readonly elapsedMs: number;
  readonly playMs: number;
  readonly sceneNumber: number;
  readonly sceneCount: number;
  readonly sceneTitle: string;
  readonly signals: Readonly<Record<Signal, SignalView>>;
}

export interface Screen {
  /** Something that stays: a heading, a change of scene, a circuit that opened. */
  say(line: string): void;
  /** The present moment. May be shown, replaced or passed over. */
  show(moment: Moment): void;
  /** Leaves the last moment standing. */
  end(): void;
}

/** In a pipe the present moment is told this often: enough to follow, few enough to read. */
const TICK_MS = 2_000;

const PAINT = { closed: 32, half_open: 33, open: 31, throttled: 35 } as Readonly<Record<string, number>>;

/** A terminal, as far as the play needs to know it. */
export interface Terminal {
  write(text: string): void;
  readonly colored: boolean;
  /** Asked at each drawing, for a window may change. */
  readonly columnCount: number;
}

/** A screen that redraws its block in place. */
export function terminalScreen(terminal: Terminal): Screen {
  let drawnLineCount = 0;
  let last: readonly string[] = [];
  return { say, show, end };

  function say(line: string): void {
    erase();
    for (const part of wrap(line, terminal.columnCount)) terminal.write(`${part}\n`);
    draw();
  }

  function show(moment: Moment): void {
    erase();
    last = block(moment, terminal);
    draw();
  }

  function end(): void {
    drawnLineCount = 0;
    last = [];
  }

  function erase(): void {
    if (drawnLineCount > 0) terminal.write(`\x1b[${drawnLineCount}F\x1b[0J`);
    drawnLineCount = 0;
  }

  function draw(): void {
    if (last.length > 0) terminal.write(last.join("\n") + "\n");
    drawnLineCount = last.length;
  }
}

/** A screen for a file or a pipe: no control characters, nothing is ever taken back. */
export function pipeScreen(write: (text: string) => void): Screen {
  let nextTickMs = 0;
  return {
    say: (line) => write(`${line}\n`),
    show: (moment) => {
      if (moment.elapsedMs < nextTickMs) return;
      nextTickMs = moment.elapsedMs + TICK_MS;
      write(`${tick(moment)}\n`);
    },
    end: () => {},
  };
}

/**
 * One line for the whole moment:
 * `  12.1 s  traces open: in 480, out 310, queued 170 | metrics closed: in 12, out 12 | …`.
 */
export function tick(moment: Moment): string {
  const signals = SIGNALS.map((signal) => {
    const { circuit, received, delivered, queued, lost } = moment.signals[signal];
    const lostCount = Object.values(lost).reduce((sum, itemCount) => sum + itemCount, 0);
    const waiting = queued > 0 ? `, queued ${queued}` : "";
    const gone = lostCount > 0 ? `, lost ${lostCount}` : "";
    return `${signal} ${circuit}: in ${received}, out ${delivered}${waiting}${gone}`;
  });
  return `${seconds(moment.elapsedMs).padStart(5)} s       ${signals.join(" | ")}`;
}

/**
 * The block of a terminal: scene, progress, a table of the signals with the reason for each circuit's state, which has a
 * line of its own where the table would be too wide.
 */
export function block(moment: Moment, { colored, columnCount }: Omit<Terminal, "write">): string[] {
  const header = ["", "circuit", "in", "delivered", "queued", "lost", "why"];
  const rows = SIGNALS.map((signal) => {
    const view = moment.signals[signal];
    return [
      ITEM_NAMES[signal],
      view.circuit,
      count(view.received),
      count(view.delivered),
      count(view.queued),
      losses(view.lost),
      view.why,
    ];
  });
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    "  " +
    cells.map((cell, column) =>
      column >= 2 && column <= 4 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)
    )
      .join("  ").trimEnd();
  const isWide = rows.some((row) => line(row).length >= columnCount);
  const tableRow = (row: readonly string[]) => {
    const [cells, why] = isWide ? [row.slice(0, -1), row.at(-1)!] : [row, ""];
    const inTable = paint(cut(line(cells)), row[1]!, colored);
    return why === "" ? [inTable] : [inTable, cut(`  ${" ".repeat(widths[0]!)}  ${why}`)];
  };
  return [
    "",
    `  ${moment.sceneNumber}/${moment.sceneCount}  ${moment.sceneTitle}`,
    `  ${bar(moment.elapsedMs / moment.playMs)}  ${seconds(moment.elapsedMs)} s of ${seconds(moment.playMs)} s`,
    "",
    cut(line(isWide ? header.slice(0, -1) : header)),
    ...rows.flatMap(tableRow),
    "",
  ];

  /** A line that wraps would be two, and one of them would stay when the block is drawn again. */
  function cut(text: string): string {
    return text.length < columnCount ? text : `${text.slice(0, columnCount - 2)}…`;
  }
}

/** What is said may be longer than the terminal is wide: it breaks between words, and goes on further in. */
function wrap(line: string, columnCount: number): string[] {
  const margin = /^ */.exec(line)![0].length;
  const indent = " ".repeat(margin === 0 ? 0 : margin + 4);
  const parts: string[] = [];
  let rest = line;
  while (rest.length > columnCount) {
    const end = rest.lastIndexOf(" ", columnCount);
    if (end <= indent.length) break; // one word that is longer than the terminal is wide
    parts.push(rest.slice(0, end).trimEnd());
    rest = indent + rest.slice(end).trimStart();
  }
  return [...parts, rest];
}

function paint(line: string, circuit: string, colored: boolean): string {
  const color = PAINT[circuit];
  return colored && color !== undefined ? line.replace(circuit, `\x1b[${color}m${circuit}\x1b[0m`) : line;
}

const BAR_WIDTH = 40;

function bar(share: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * BAR_WIDTH);
  return "█".repeat(filled) + "░".repeat(BAR_WIDTH - filled);
}

function losses(lost: Readonly<Record<string, number>>): string {
  const reasons = Object.entries(lost).filter(([, itemCount]) => itemCount > 0);
  if (reasons.length === 0) return "0";
  return reasons.map(([reason, itemCount]) => `${count(itemCount)} ${reason}`).join(", ");
}

function count(itemCount: number): string {
  return itemCount.toLocaleString("en-US");
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1);
}
