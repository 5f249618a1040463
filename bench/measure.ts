/** A small harness: contenders take turns in one process, medians are compared, and the ratio decides. */

/** One way to do what the question asks about. `run` does it `times` times. */
export interface Contender {
  readonly name: string;
  /** How often it is done in one turn: enough for a turn of some tenths of a millisecond. */
  readonly times: number;
  readonly run: (times: number) => void | Promise<void>;
}

/** What was measured of a contender. */
export interface Measured {
  readonly name: string;
  /** Nanoseconds for one, the median of all turns. */
  readonly ns: number;
}

/**
 * Turns that are measured; an odd number, so that the median is one of them. Many and short ones: where other programs
 * want the processor too, most turns still have it for themselves.
 */
const TURNS = 51;

/** Turns before that, which leave the compiler time to be done. */
const WARM_UP_TURNS = 25;

/** Asks a question of some contenders, prints the answer as a table against the first of them, and returns it. */
export async function ask(question: string, contenders: readonly Contender[]): Promise<ReadonlyMap<string, Measured>> {
  const turns = contenders.map((): number[] => []);
  for (let turn = 0; turn < WARM_UP_TURNS + TURNS; turn++) {
    for (const [index, { run, times }] of contenders.entries()) {
      const startMs = performance.now();
      const running = run(times);
      if (running !== undefined) await running;
      const elapsedMs = performance.now() - startMs;
      if (turn >= WARM_UP_TURNS) turns[index]!.push(elapsedMs * 1e6 / times);
    }
  }
  const measured = contenders.map(({ name }, index): Measured => ({ name, ns: median(turns[index]!) }));
  console.log(`\n${question}`);
  for (const { name, ns } of measured) {
    console.log(`  ${name.padEnd(44)} ${format(ns).padStart(10)} ns ${format(ns / measured[0]!.ns).padStart(9)} x`);
  }
  return new Map(measured.map((one) => [one.name, one]));
}

/** Prints the answer to a question that was asked in rounds: each contender's median, and what the rounds gave. */
export function answer(question: string, rounds: Readonly<Record<string, readonly number[]>>, unit: string): void {
  console.log(`\n${question}`);
  for (const [name, values] of Object.entries(rounds)) {
    console.log(
      `  ${name.padEnd(44)} ${format(median(values)).padStart(10)} ${unit}  (${values.map(format).join(" ")})`,
    );
  }
}

/** Prints whether a bar is met. `least` bars ask for at least the number, `most` bars for at most. */
export function bar(sentence: string, found: number, kind: "least" | "most", bound: number): boolean {
  const ok = kind === "least" ? found >= bound : found <= bound;
  console.log(
    `  ${ok ? "ok    " : "missed"} ${sentence}: ${format(found)}, bar ${kind === "least" ? ">=" : "<="} ${bound}`,
  );
  return ok;
}

/** The middle one of an odd number of numbers. */
export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}

function format(number: number): string {
  return number >= 100 ? number.toFixed(0) : number.toFixed(number >= 10 ? 1 : 2);
}
