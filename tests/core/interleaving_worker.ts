/** A worker that runs its program on the hooked core under a schedule that it shares with another, and reports each step. */

import { parentPort, workerData } from "node:worker_threads";
import type { Core } from "../../core/loader.ts";
import { callCore, loadHookedCore } from "../fakes/core_call.ts";
import {
  answersOf,
  callOf,
  DEATH,
  END,
  OUTCOME_WORDS,
  type PlannedCall,
  RECORD_WORDS,
  TICK,
} from "../model/steps/schedules.ts";
import { COUNTERS } from "../model/steps/memory.ts";
import { CLOCK, LOAD, readWord, SHARED, slotOf, SLOTS, writeWord } from "../model/steps/words.ts";

/** Cells of the array that both share: the move that is next. */
export const AT = 0;
export const CELLS = 1;

/** What a worker is given once. */
export interface Bench {
  readonly me: number;
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly cells: SharedArrayBuffer;
}

/** Schedules that follow each other without anyone else. */
export interface Batch {
  readonly program: readonly PlannedCall[];
  readonly permits: readonly number[];
  readonly tickMs: number;
  /** SHARED as the first call finds it, and how many permits each has given out. */
  readonly words: readonly bigint[];
  readonly issued: readonly number[];
  /** The moves of all schedules, and what is reported: a record for each move, and an outcome for each schedule. */
  readonly moves: Uint8Array;
  readonly records: BigUint64Array;
  readonly outcomes: BigUint64Array;
}

/** A worker that waits longer for its turn has lost its way. */
const PATIENCE_MS = 10_000;

/** What a hook throws to end its worker's call between two steps for good. */
const DEAD = Symbol("dead");

/** Plays batches, a schedule after the other. Worker 0 lets the time pass and puts the circuit back for the next one. */
class Player {
  readonly #me: number;
  readonly #core: Core;
  readonly #memory: DataView;
  readonly #cells: Int32Array;
  #batch!: Batch;
  /** Where the END of this schedule stands among the moves. */
  #end = -1;
  /** Whether the last step that was begun is this worker's. */
  #steps = false;

  constructor({ me, module, memory, cells }: Bench) {
    this.#me = me;
    this.#core = loadHookedCore(module, memory, (...access) => this.#before(...access));
    this.#memory = new DataView(memory.buffer);
    this.#cells = new Int32Array(cells);
  }

  play(batch: Batch): void {
    this.#batch = batch;
    const schedules = batch.outcomes.length / OUTCOME_WORDS;
    this.#end = -1;
    for (let schedule = 0; schedule < schedules; schedule++) {
      this.#end = batch.moves.indexOf(END, this.#end + 1);
      const place = schedule * OUTCOME_WORDS;
      const answers = this.#run();
      batch.outcomes.set(answers, place + SHARED.length + this.#me * answers.length);
      this.#pass();
      this.#awaitTurn(END);
      if (this.#me !== 0) continue;
      batch.outcomes.set(SHARED.map((address) => readWord(this.#memory, address)), place);
      for (const worker of [0, 1]) {
        const counts = COUNTERS.map((_, counter) => readWord(this.#memory, slotOf(worker) + counter * 8));
        batch.outcomes.set(counts, place + SHARED.length + 2 * answers.length + worker * COUNTERS.length);
      }
      reset(this.#memory, batch);
      this.#next();
    }
  }

  #run(): bigint[] {
    const { program, permits } = this.#batch;
    const known = [...permits];
    const answers: number[] = [];
    try {
      for (const planned of program) {
        const call = callOf(planned, this.#me, known, []);
        if (call === undefined) continue;
        const answer = callCore(this.#core, call, () => {
          this.#before(LOAD, CLOCK, 0n, 0n);
          return Number(readWord(this.#memory, CLOCK));
        });
        answers.push(answer);
        if (call.does === "acquire" && answer >= 0) known.push(answer);
      }
    } catch (error) {
      if (error !== DEAD) throw error;
    }
    return answersOf(answers);
  }

  /** The hook: ends this worker's last step, and returns when the next one is its own. */
  #before(kind: number, address: number, expected: bigint, next: bigint): void {
    this.#pass();
    const at = this.#awaitTurn(this.#me);
    if (this.#batch.moves[at] === DEATH + this.#me) {
      this.#next();
      throw DEAD;
    }
    const shared = SHARED.map((address) => readWord(this.#memory, address));
    this.#batch.records.set([BigInt(kind), BigInt(address), expected, next, ...shared], at * RECORD_WORDS);
    this.#steps = true;
  }

  #pass(): void {
    if (this.#steps) this.#next();
    this.#steps = false;
  }

  #next(): void {
    Atomics.add(this.#cells, AT, 1);
    Atomics.notify(this.#cells, AT);
  }

  /** Returns where the moves stand when it is this worker's turn, or when the schedule has come to its end and `move` is END. */
  #awaitTurn(move: number): number {
    while (true) {
      const at = Atomics.load(this.#cells, AT);
      const found = this.#batch.moves[at];
      if (move === END && (this.#me === 0 ? at === this.#end : at > this.#end)) return at;
      if (move === this.#me && (found === move || found === DEATH + move)) return at;
      if (at >= this.#end && this.#me === 0 || at > this.#end) {
        throw new Error(`worker ${this.#me} takes a step too many`);
      }
      if (this.#me === 0 && found === TICK) {
        writeWord(this.#memory, CLOCK, readWord(this.#memory, CLOCK) + BigInt(this.#batch.tickMs));
        this.#next();
      } else if (Atomics.wait(this.#cells, AT, at, PATIENCE_MS) === "timed-out") {
        throw new Error(`worker ${this.#me} waits in vain for its turn, at move ${at}`);
      }
    }
  }
}

/** Puts the circuit back to how a batch finds it. */
export function reset(memory: DataView, { words, issued }: Pick<Batch, "words" | "issued">): void {
  new Uint8Array(memory.buffer, SLOTS).fill(0, 0, slotOf(2) - SLOTS);
  for (const [worker, count] of issued.entries()) writeWord(memory, slotOf(worker), BigInt(count));
  for (const [place, address] of SHARED.entries()) writeWord(memory, address, words[place]!);
}

if (parentPort !== null && workerData?.module !== undefined) {
  const port = parentPort;
  const bench = workerData as Bench;
  const player = new Player(bench);
  port.on("message", (batch: Batch) => {
    try {
      player.play(batch);
      port.postMessage("");
    } catch (error) {
      port.postMessage(String(error));
    }
  });
}
