/** The last act: every item from the application to the collector, as equations that balance or do not. */

import { ITEM_NAMES, type Signal, SIGNALS } from "../exporters/signal.ts";
import type { SignalView } from "./screen.ts";

/** What four witnesses say independently of each other, in items. */
export interface Testimony {
  /** The application: what it handed to its exporters. */
  readonly made: Readonly<Record<Signal, number>>;
  /** The server: what came in and what became of it. */
  readonly views: Readonly<Record<Signal, SignalView>>;
  /** The collector: what it answered 200 to. */
  readonly arrived: Readonly<Record<Signal, number>>;
  /** The server's own account at its end, and how it ended. */
  readonly account: readonly string[];
  readonly serverCode: number;
  readonly circuits: { readonly openedCount: number; readonly closedCount: number };
}

export interface Verdict {
  readonly lines: readonly string[];
  /** True when everything balances, the circuit opened and closed, and the server ended well. */
  readonly good: boolean;
}

export function judge({ made, views, arrived, account, serverCode, circuits }: Testimony): Verdict {
  const lines = ["", "The account, in items:", ""];
  const faults: string[] = [];
  for (const signal of SIGNALS) {
    const { received, delivered, queued, lost } = views[signal];
    const lostCount = Object.values(lost).reduce((sum, itemCount) => sum + itemCount, 0);
    const balanced = made[signal] === received && received === delivered + lostCount + queued &&
      arrived[signal] === delivered && made[signal] > 0;
    lines.push(
      `  ${ITEM_NAMES[signal].padEnd(12)} made ${made[signal]} = received ${received} = ` +
        `delivered ${delivered} + lost ${describe(lost)} + queued ${queued}; the collector has ${arrived[signal]}` +
        `   ${balanced ? "balanced" : "NOT BALANCED"}`,
    );
    if (!balanced) faults.push(`the account of ${ITEM_NAMES[signal]} does not balance`);
  }
  lines.push("", "The server's own account, printed as it ended:", "", ...account.map((line) => `  ${line}`), "");
  if (account.length === 0 || account.some((line) => line.includes("NOT BALANCED"))) {
    faults.push("the server's own account does not balance");
  }
  if (serverCode !== 0) faults.push(`the server ended with exit code ${serverCode}`);
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

function describe(lost: Readonly<Record<string, number>>): string {
  const reasons = Object.entries(lost).filter(([, itemCount]) => itemCount > 0);
  if (reasons.length === 0) return "0";
  return reasons.map(([reason, itemCount]) => `${itemCount} (${reason})`).join(" + ");
}
