/** The last act: every item from the application to the collector, as equations that balance or do not. */

import { ITEM_NAMES, type Signal, SIGNALS } from "../exporters/signal.ts";
import type { Sent, SentItems } from "./application.ts";
import type { SignalView } from "./screen.ts";
import type { CircuitChanges, Ending } from "./server.ts";

/** What four witnesses say independently of each other, in items. */
export interface Testimony {
  /** The application: what it made, and what the server told it that it has. */
  readonly sent: Sent;
  /** The server: what came in and what became of it. */
  readonly views: Readonly<Record<Signal, SignalView>>;
  /** The collector: what it answered 200 to. */
  readonly arrived: Readonly<Record<Signal, number>>;
  /** The server's own account at its end, and how it ended. */
  readonly ending: Ending;
  readonly circuits: CircuitChanges;
}

export interface Verdict {
  readonly lines: readonly string[];
  /** True when everything balances, the circuit opened and closed, and the server ended well. */
  readonly good: boolean;
}

export function judge({ sent, views, arrived, ending, circuits }: Testimony): Verdict {
  const { account, code } = ending;
  const lines = ["", "The account, in items:", ""];
  const faults: string[] = [];
  for (const signal of SIGNALS) {
    const balanced = isBalanced(sent[signal], views[signal], arrived[signal]);
    lines.push(
      `  ${equation(signal, sent[signal], views[signal], arrived[signal])}   ${balanced ? "" : "NOT "}balanced`,
    );
    if (!balanced) faults.push(`the account of ${ITEM_NAMES[signal]} does not balance`);
  }
  lines.push("", "The server's own account, printed as it ended:", "", ...account.map((line) => `  ${line}`), "");
  if (account.length === 0 || account.some((line) => line.includes("NOT BALANCED"))) {
    faults.push("the server's own account does not balance");
  }
  if (code !== 0) faults.push(`the server ended with exit code ${code}`);
  if (circuits.openedCount === 0) faults.push("no circuit opened");
  if (circuits.closedCount === 0) faults.push("no circuit closed again");
  lines.push(
    `Circuits opened ${circuits.openedCount} times and closed ${circuits.closedCount} times.`,
    faults.length === 0
      ? "Every item is accounted for, and the application never noticed."
      : `Something is wrong: ${faults.join("; ")}.`,
  );
  return { lines, good: faults.length === 0 };
}

/**
 * Whatever was acknowledged was received, whatever was received is somewhere, and whatever was delivered has arrived.
 * A request whose answer the kill swallowed is there, and comes again: the server then has it twice, or the collector.
 */
function isBalanced({ made, acknowledged, givenUp }: SentItems, view: SignalView, arrived: number): boolean {
  const { received, delivered, redelivered, queued, lost } = view;
  return made > 0 && made === acknowledged + givenUp && received >= acknowledged &&
    received === delivered + sum(lost) + queued && arrived >= delivered && arrived <= delivered + redelivered;
}

function equation(
  signal: Signal,
  { made, acknowledged, givenUp }: SentItems,
  view: SignalView,
  arrived: number,
): string {
  const { received, delivered, queued, lost } = view;
  const twice = received > acknowledged ? ` (${received - acknowledged} of them with no answer, or twice)` : "";
  const again = arrived > delivered ? ` (${arrived - delivered} of them twice)` : "";
  return `${ITEM_NAMES[signal].padEnd(12)} made ${made} = acknowledged ${acknowledged} + given up ${givenUp}; ` +
    `received ${received}${twice} = delivered ${delivered} + lost ${describe(lost)} + queued ${queued}; ` +
    `the collector has ${arrived}${again}`;
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, itemCount) => sum + itemCount, 0);
}

function describe(lost: Readonly<Record<string, number>>): string {
  const reasons = Object.entries(lost).filter(([, itemCount]) => itemCount > 0);
  if (reasons.length === 0) return "0";
  return reasons.map(([reason, itemCount]) => `${itemCount} (${reason})`).join(" + ");
}
