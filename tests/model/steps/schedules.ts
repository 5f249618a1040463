/**
 * Schedules for two workers with a program each, and what the step machine does under them: all there are, or some by chance.
 * What is wanted of the real module is written down in the same form as the workers of interleaving_worker.ts report it.
 */

import { type Event, PAUSE_MS, StepCircuit } from "./circuit.ts";
import { THROTTLED } from "./breaker.ts";
import { type Counter, COUNTERS, type Settings, written } from "./memory.ts";
import { type Asking, type Call, machineReplay, type Position, Positions, type Ruling, threadOf } from "./positions.ts";
import { attachmentOf, bitsOf, CLOCK, SHARED } from "./words.ts";

/**
 * A call of a program. `permit` is a place among the permits that the worker knows: those of both that were given out before, and
 * then its own. Without such a one the call is left out.
 */
export type PlannedCall =
  | Asking
  | Ruling
  | { readonly does: "record"; readonly permit: number; readonly outcome: number };

/** Two workers and what they are to do. */
export interface Duo {
  readonly settings: Settings;
  readonly before: readonly Event[];
  readonly programs: readonly [readonly PlannedCall[], readonly PlannedCall[]];
  readonly ticks: number;
  readonly tickMs: number;
  /** Workers that may die between two steps. */
  readonly deaths: number;
}

/** What comes next, in a schedule: a step of a worker, time that passes, the death of a worker, the end. */
export const TICK = 2;
export const END = 3;
export const DEATH = 4;

/** Numbers of a step's record: kind, address, expected, next, and all shared words before it. */
export const RECORD_WORDS = 4 + SHARED.length;

/** Who goes when, and what comes of it. */
export interface Schedule {
  /** One for each step, the last of which is END. */
  readonly moves: readonly number[];
  /** RECORD_WORDS for each worker's step; zeros for what is none. */
  readonly records: readonly bigint[];
  /** At the end: all shared words, what the calls of both answered, and the counters of both. */
  readonly outcome: readonly bigint[];
}

interface Worker {
  /** Where it takes its next step; undefined when it takes none, because it has ended or died. */
  readonly position: Position | undefined;
  /** The place in its program of the call after that. */
  readonly next: number;
  readonly permits: readonly number[];
  /** Its counters, without those of the call that it is in. */
  readonly counts: Readonly<Record<Counter, number>>;
  readonly answers: readonly number[];
}

interface State {
  readonly words: readonly bigint[];
  readonly workers: readonly Worker[];
  readonly ticks: number;
  readonly deaths: number;
}

const CLOCK_PLACE = SHARED.indexOf(CLOCK);

/** What two workers may do. */
export class Schedules {
  readonly #duo: Duo;
  readonly #positions: Positions;
  /** How many permits each has given out before. Those of meanwhile are too few to matter to another. */
  #issued: readonly number[] = [];

  constructor(duo: Duo) {
    this.#duo = duo;
    this.#positions = new Positions(machineReplay(duo.settings));
  }

  /** Every schedule, once. */
  *all(): Generator<Schedule> {
    const moves: number[] = [];
    const records: (readonly bigint[])[] = [];
    const from = function* (this: Schedules, state: State): Generator<Schedule> {
      const possible = this.#movesFrom(state);
      for (const move of possible) {
        moves.push(move);
        records.push(this.#recordOf(state, move));
        yield* from.call(this, this.#after(state, move));
        moves.pop();
        records.pop();
      }
      if (possible.length === 0) yield { moves: [...moves, END], records: records.flat(), outcome: outcomeOf(state) };
    };
    yield* from.call(this, this.#begin());
  }

  /** One by chance: `random` answers a number below its argument. */
  any(random: (below: number) => number): Schedule {
    const moves: number[] = [];
    const records: bigint[] = [];
    let state = this.#begin();
    for (let possible = this.#movesFrom(state); possible.length > 0; possible = this.#movesFrom(state)) {
      const move = possible[random(possible.length)]!;
      moves.push(move);
      records.push(...this.#recordOf(state, move));
      state = this.#after(state, move);
    }
    return { moves: [...moves, END], records, outcome: outcomeOf(state) };
  }

  #begin(): State {
    const { ticks, deaths } = this.#duo;
    const { circuit, known } = begun(this.#duo);
    this.#issued = circuit.issued;
    const workers = [0, 1].map((index) => {
      const { counts } = threadOf(this.#duo.settings, { does: "acquire", by: index, issued: circuit.issued });
      return this.#ready(index, { position: undefined, next: 0, permits: known, counts, answers: [] });
    });
    return { words: SHARED.map((address) => circuit.read(address)), workers, ticks, deaths };
  }

  #movesFrom({ workers, ticks, deaths }: State): number[] {
    const moves: number[] = [];
    for (const [index, { position }] of workers.entries()) {
      if (position === undefined) continue;
      moves.push(index);
      if (deaths > 0 && position.answers.length > 0) moves.push(DEATH + index);
    }
    if (ticks > 0 && moves.length > 0) moves.push(TICK);
    return moves;
  }

  #recordOf({ words, workers }: State, move: number): bigint[] {
    const access = workers[move]?.position?.stop.access;
    if (access === undefined) return new Array(RECORD_WORDS).fill(0n);
    return [BigInt(access.kind), BigInt(access.address), access.expected, access.next, ...words];
  }

  #after(state: State, move: number): State {
    if (move === TICK) {
      const words = state.words.with(CLOCK_PLACE, state.words[CLOCK_PLACE]! + BigInt(this.#duo.tickMs));
      return { ...state, words, ticks: state.ticks - 1 };
    }
    const index = move % DEATH;
    const worker = state.workers[index]!;
    if (move >= DEATH) {
      const dead = { ...worker, position: undefined, counts: sum(worker.counts, worker.position!) };
      return { ...state, workers: state.workers.with(index, dead), deaths: state.deaths - 1 };
    }
    const access = worker.position!.stop.access!;
    const place = SHARED.indexOf(access.address);
    const seen = state.words[place]!;
    const position = worker.position!.after(seen);
    return {
      ...state,
      words: state.words.with(place, written(access, seen)),
      workers: state.workers.with(index, this.#ready(index, { ...worker, position })),
    };
  }

  /** The worker, its call ended if it has come to its end and the next one begun. */
  #ready(index: number, worker: Worker): Worker {
    const { position, counts, permits, answers } = worker;
    if (position?.stop.access !== undefined) return worker;
    if (position !== undefined) {
      const answer = position.stop.answer!;
      const given = position.call.does === "acquire" && answer >= 0 ? [answer] : [];
      return this.#ready(index, {
        ...worker,
        position: undefined,
        permits: [...permits, ...given],
        counts: sum(counts, position),
        answers: [...answers, answer],
      });
    }
    const program = this.#duo.programs[index]!;
    const planned = program[worker.next];
    if (planned === undefined) return worker;
    const next = worker.next + 1;
    const call = callOf(planned, index, permits, this.#issued.with(index, counts.issued));
    return call === undefined
      ? this.#ready(index, { ...worker, next })
      : { ...worker, next, position: this.#positions.first(call) };
  }
}

/** The circuit as the workers find it, and the permits that they know. */
export function begun({ settings, before }: Duo): { readonly circuit: StepCircuit; readonly known: readonly number[] } {
  const circuit = new StepCircuit(settings);
  const recorded = new Set<number>();
  for (const event of before) {
    circuit.happens(event);
    if ("does" in event && event.does === "record") recorded.add(circuit.permits[event.permit]!);
  }
  const isKnown = (permit: number) => attachmentOf(bitsOf(permit)) < 2 && !recorded.has(permit);
  return { circuit, known: circuit.permits.filter(isKnown) };
}

/** The call of a worker that knows these permits; undefined when it knows no such permit. */
export function callOf(
  planned: PlannedCall,
  by: number,
  permits: readonly number[],
  issued: readonly number[],
): Call | undefined {
  if (planned.does !== "record") return { ...planned, by, issued };
  const permit = permits[planned.permit];
  const { outcome } = planned;
  const throttledMs = outcome === THROTTLED ? PAUSE_MS : 0;
  return permit === undefined ? undefined : { does: "record", by, issued, permit, outcome, throttledMs };
}

/** The counters with those of the call at `position`, which begin at 0 but for the first. */
function sum(counts: Worker["counts"], { stop }: Position): Worker["counts"] {
  const sums = COUNTERS.map((name) => [name, counts[name] + stop.counts[name]]);
  return { ...Object.fromEntries(sums), issued: stop.counts.issued };
}

function outcomeOf({ words, workers }: State): bigint[] {
  return [
    ...words,
    ...workers.flatMap(({ answers }) => answersOf(answers)),
    ...workers.flatMap(({ counts }) => COUNTERS.map((name) => BigInt(counts[name]))),
  ];
}

/** The most calls of a program. */
const CALLS_MAX = 8;

/** The answers to a worker's calls, in as many places as it may make calls. A place is 0 when there was none. */
export function answersOf(answers: readonly number[]): bigint[] {
  return Array.from({ length: CALLS_MAX }, (_, call) => answers[call] === undefined ? 0n : bitsOf(answers[call]) + 1n);
}

/** Numbers of a schedule's outcome. */
export const OUTCOME_WORDS = SHARED.length + 2 * (COUNTERS.length + CALLS_MAX);
