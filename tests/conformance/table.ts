/** What a run found, as text. */

import type { Adapter } from "./adapter.ts";
import { TRIALS, type Verdict } from "./suite.ts";

/** A breaker and how it did. */
export interface Result {
  readonly adapter: Adapter;
  readonly verdicts: readonly Verdict[];
}

/** How many tests it passed, of those that apply to it. */
export function totalOf({ verdicts }: Result): { readonly passed: number; readonly applicable: number } {
  const count = (mark: Verdict["mark"]) => verdicts.filter((verdict) => verdict.mark === mark).length;
  return { passed: count("pass"), applicable: verdicts.length - count("n/a") };
}

/** `cockatiel 4.0.0 Count` */
function fullNameOf({ name, version, variant }: Adapter): string {
  return [name, version, variant].filter((word) => word !== "").join(" ");
}

/** All verdicts: a line for each test, a column for each breaker. Under it, why one failed or was not asked. */
export function tableOf(results: readonly Result[]): string {
  const letters = results.map((_, index) => String.fromCharCode("A".charCodeAt(0) + index));
  const titleWidth = Math.max(...TRIALS.map(({ title }) => title.length));
  const row = (number: string, title: string, cells: readonly string[]) =>
    `${number.padStart(2)}  ${title.padEnd(titleWidth)}  ${cells.map((cell) => cell.padStart(4)).join(" ")}`;
  const totals = results.map(totalOf);
  return [
    ...results.map(({ adapter }, index) => `${letters[index]}  ${fullNameOf(adapter)}`),
    "",
    row("", "", letters),
    ...TRIALS.map(({ number, title }, index) =>
      row(String(number), title, results.map(({ verdicts }) => verdicts[index]!.mark))
    ),
    row("", "passed", totals.map(({ passed }) => String(passed))),
    row("", "of those that apply", totals.map(({ applicable }) => String(applicable))),
    "",
    ...reasonsOf(results, "FAIL", letters),
    "",
    ...reasonsOf(results, "n/a", letters),
  ].map((line) => line.trimEnd()).join("\n");
}

/** `FAIL 10  C D E: no probe passes when the open time is over`: one line for those of whom the same is true. */
function reasonsOf(results: readonly Result[], mark: Verdict["mark"], letters: readonly string[]): string[] {
  return TRIALS.flatMap(({ number }, index) => {
    const byReason = new Map<string, string[]>();
    for (const [column, { verdicts }] of results.entries()) {
      const verdict = verdicts[index]!;
      if (verdict.mark !== mark) continue;
      byReason.set(verdict.reason, [...byReason.get(verdict.reason) ?? [], letters[column]!]);
    }
    return [...byReason].map(([reason, who]) =>
      `${mark.padEnd(4)} ${String(number).padStart(2)}  ${who.join(" ")}: ${reason}`
    );
  });
}

/** The totals as the README gives them. */
export function totalsTable(results: readonly Result[]): string[] {
  const rows = results.map((result) => {
    const { passed, applicable } = totalOf(result);
    return [fullNameOf(result.adapter), String(passed), String(applicable)];
  });
  const table = [["breaker", "passes", "of"], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...table.map((cells) => cells[column]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  return [line(table[0]!), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)];
}
