/**
 * All interleavings of two workers that acquire, record and die while time passes: every call that a worker may make, at every
 * moment, every step of it before or after every step of the other, within a bounded number of calls.
 *
 * A state is the shared words, where each worker stands, and what is left to do. What follows from a state that was seen is
 * not gone through again: the schedules through it are counted without being walked. A worker dies by never being chosen again.
 * Every state is asked whether a third thread is let through after it, so each death at each step is among what is explored.
 */

import { type Event, PAUSE_MS, StepCircuit } from "./circuit.ts";
import { APPLIED, REFUSED, SUCCESS, THROTTLED, TOLD_FLAG } from "./breaker.ts";
import { type Settings, written } from "./memory.ts";
import { type Call, machineReplay, type Position, Positions, type Replay } from "./positions.ts";
import { isShut, wantedMode } from "./modes.ts";
import { checkEnd, checkWrite, isOnlyWatched, must, Violation } from "./rules.ts";
import {
  attachmentOf,
  bitsOf,
  CLOCK,
  CLOSED,
  CMPXCHG,
  deadlineWord,
  FLOOR,
  generationOf,
  HALF_OPEN,
  HOLDS,
  IN_FLIGHT_MASK,
  inFlightOf,
  KINDS,
  LEASE,
  MACHINE_WORDS,
  MODE_WORDS,
  modeOf,
  MODES,
  msOf,
  nameOf,
  ownerOf,
  permitGenerationOf,
  SHARED,
  shown,
  slotOf,
  STATE_MASK,
  stateOf,
  ticketOf,
  WINDOW_WORDS,
  WORD,
} from "./words.ts";

/** What is explored. */
export interface Scenario {
  readonly settings: Settings;
  /** What happened before. Workers hold the permits that they were given then and did not record. */
  readonly before: readonly Event[];
  /** How many calls each worker may make. */
  readonly calls: readonly [number, number];
  /** How often time passes, and how much of it. */
  readonly ticks: number;
  readonly tickMs: number;
  /** What may become of a call. */
  readonly outcomes: readonly number[];
  /** Whether a worker may record what another was let through for, and what has been recorded. */
  readonly anyPermit: boolean;
  /** The modes that a worker may set, and whether it may hold the circuit open. */
  readonly modes?: readonly number[];
  readonly holds?: boolean;
}

/** What an exploration went through. */
export interface Explored {
  readonly states: number;
  /** Steps from one state to the next. */
  readonly steps: number;
  /** Ways from the beginning to an end. */
  readonly schedules: number;
  /** The most accesses of one call. */
  readonly longest: number;
  /** Different circuits that a third thread was sent to. */
  readonly rescues: number;
  readonly positions: readonly Position[];
}

/** No call takes more steps than this: a longer one goes round for ever. */
const STEPS_MAX = 60;

const WORKERS = [0, 1] as const;
const RESCUER = 3;

// A state is an array of small numbers, in which words are numbered by value and places in calls by position:
//
//   shared words, FLOOR when the generation began, since when the lease surely counts, ticks left,
//   for each worker its position + 1 in two cells (0 between calls) and the calls it has left,
//   for each worker the permits that it was given
const WORKER_CELLS = 3;

/** The permits that a worker can have been given: some before, and one by each call. */
const PERMITS_MAX = 8;

// A permit's cell: its number times 4, and what became of it.
const OUT = 1;
const RECORDED = 2;
const TOOK_EFFECT = 3;

type State = readonly number[];

/** Goes through all that may happen. Throws a Violation with the way to it if a rule is broken. */
export function explore(scenario: Scenario, replay: Replay = machineReplay(scenario.settings)): Explored {
  return new Exploration(scenario, replay).run();
}

class Exploration {
  readonly #scenario: Scenario;
  /** Where the words stand in a state, by address. LAST is left out: whatever it holds, it is as if it held 0. */
  readonly #places: ReadonlyMap<number, number>;
  readonly #floorAtStart: number;
  readonly #leasedFrom: number;
  readonly #ticks: number;
  readonly #workers: number;
  readonly #permitCells: number;
  readonly #positions: Positions;
  readonly #values: bigint[] = [];
  readonly #numbers = new Map<bigint, number>();
  readonly #permits: number[] = [];
  readonly #permitNumbers = new Map<number, number>();
  /** How many permits each attachment has given out that no worker holds. */
  readonly #issuedBefore = [0, 0, 0, 0];
  /** The generations of the permits that the dead hold. */
  readonly #lost: bigint[] = [];
  /** Schedules from a state to the end. */
  readonly #schedules = new Map<string, number>();
  readonly #rescued = new Set<string>();
  readonly #choices = new Map<string, readonly Position[]>();
  readonly #ended = new Set<Position>();
  /** What happened on the way to the state that is being looked at; `undefined` is time that passes. */
  readonly #way: (Position | undefined)[] = [];
  #steps = 0;
  #longest = 0;

  constructor(scenario: Scenario, replay: Replay) {
    this.#scenario = scenario;
    this.#positions = new Positions(replay);
    const { settings, modes, holds } = scenario;
    const words = [
      ...MACHINE_WORDS,
      ...(settings.countWindowSize > 0 ? WINDOW_WORDS : []),
      ...(modes !== undefined || holds ? MODE_WORDS : []),
    ];
    this.#places = new Map(words.map((address, place) => [address, place]));
    this.#floorAtStart = words.length;
    this.#leasedFrom = words.length + 1;
    this.#ticks = words.length + 2;
    this.#workers = words.length + 3;
    this.#permitCells = this.#workers + WORKERS.length * WORKER_CELLS;
  }

  run(): Explored {
    const first = this.#begin();
    let schedules: number;
    try {
      schedules = this.#schedulesFrom(first);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      throw new Violation(`${error.message}. The way to it:\n${this.#told(first).join("\n")}`);
    }
    return {
      states: this.#schedules.size,
      steps: this.#steps,
      schedules,
      longest: this.#longest,
      rescues: this.#rescued.size,
      positions: this.#positions.all,
    };
  }

  #begin(): State {
    const { settings, before, calls, ticks } = this.#scenario;
    const circuit = new StepCircuit(settings);
    const out = new Set<number>();
    for (const event of before) {
      const answer = circuit.happens(event);
      if ("passesMs" in event) continue;
      if (event.does === "acquire" && answer >= 0) out.add(answer);
      if (event.does === "record") out.delete(circuit.permits[event.permit]!);
    }
    const state = [...this.#places.keys()].map((address) => this.#numberOf(circuit.read(address)));
    state.push(this.#numberOf(circuit.read(FLOOR)), this.#numberOf(0n), ticks);
    for (const worker of WORKERS) state.push(0, 0, calls[worker]);
    for (const worker of WORKERS) {
      this.#issuedBefore[worker] = circuit.issued[worker]!;
      for (let place = 0; place < PERMITS_MAX; place++) state.push(0);
    }
    for (const permit of out) {
      const holder = attachmentOf(bitsOf(permit));
      if (holder >= WORKERS.length) this.#lost.push(permitGenerationOf(bitsOf(permit)));
      else {
        const place = state.indexOf(0, this.#permitCells + holder * PERMITS_MAX);
        state[place] = this.#permitNumberOf(permit) * 4 + OUT;
        this.#issuedBefore[holder]!--;
      }
    }
    return state;
  }

  #schedulesFrom(state: State): number {
    const key = String.fromCharCode(...state);
    const known = this.#schedules.get(key);
    if (known !== undefined) return known;
    this.#checkState(state, key);
    let schedules = 0;
    let moves = 0;
    for (const worker of WORKERS) {
      for (const position of this.#positionsOf(state, key, worker)) {
        moves++;
        this.#way.push(position);
        schedules += this.#schedulesFrom(this.#step(state, worker, position));
        this.#way.pop();
      }
    }
    if (state[this.#ticks]! > 0) {
      moves++;
      this.#way.push(undefined);
      schedules += this.#schedulesFrom(this.#tick(state));
      this.#way.pop();
    }
    this.#steps += moves;
    if (moves === 0) schedules = 1;
    this.#schedules.set(key, schedules);
    return schedules;
  }

  /** Where the worker may take its next step: in the call that it is in, or at the beginning of any that it may make. */
  #positionsOf(state: State, key: string, worker: number): readonly Position[] {
    const position = this.#positionAt(state, worker);
    if (position !== undefined) return [position];
    if (state[this.#workers + worker * WORKER_CELLS + 2] === 0) return [];
    const held = this.#scenario.holds === true && this.#read(state, slotOf(worker) + HOLDS) > 0n;
    const choice = `${worker}${held}${key.slice(this.#permitCells)}`;
    let choices = this.#choices.get(choice);
    if (choices === undefined) {
      choices = this.#choicesOf(state, worker, held);
      this.#choices.set(choice, choices);
    }
    return choices;
  }

  /** The calls that the worker may make. */
  #choicesOf(state: State, worker: number, held: boolean): Position[] {
    const issued = this.#issuedBefore.map((before, attachment) =>
      attachment < WORKERS.length ? before + this.#given(state, attachment) : before
    );
    const positions = [this.#positions.first({ does: "acquire", by: worker, issued })];
    const { outcomes, anyPermit, modes = [], holds = false } = this.#scenario;
    for (let place = this.#permitCells; place < state.length; place++) {
      const status = state[place]! % 4;
      const own = Math.floor((place - this.#permitCells) / PERMITS_MAX) === worker;
      if (status === 0 || !anyPermit && (!own || status !== OUT)) continue;
      const permit = this.#permits[state[place]! >> 2]!;
      for (const outcome of outcomes) {
        const throttledMs = outcome === THROTTLED ? PAUSE_MS : 0;
        positions.push(this.#positions.first({ does: "record", by: worker, issued, permit, outcome, throttledMs }));
      }
    }
    for (const mode of modes) positions.push(this.#positions.first({ does: "setMode", by: worker, issued, mode }));
    if (holds) {
      positions.push(this.#positions.first({ does: "hold", by: worker, issued }));
      if (held) positions.push(this.#positions.first({ does: "letGo", by: worker, issued }));
    }
    return positions;
  }

  #tick(state: State): State {
    const next = state.slice();
    next[this.#ticks]!--;
    next[this.#places.get(CLOCK)!] = this.#numberOf(this.#read(state, CLOCK) + BigInt(this.#scenario.tickMs));
    return next;
  }

  /** The worker makes the access that it stands before. */
  #step(state: State, worker: number, position: Position): State {
    const next = state.slice();
    const { address } = position.stop.access!;
    const place = this.#places.get(address);
    const seen = this.#read(state, address);
    const value = written(position.stop.access!, seen);
    if (place !== undefined && value !== seen) {
      this.#checkWrite(state, worker, position, seen, value);
      next[place] = this.#numberOf(value);
      if (address === WORD && generationOf(seen) !== generationOf(value)) {
        next[this.#floorAtStart] = next[this.#places.get(FLOOR)!]!;
      }
    }
    const after = position.after(seen);
    must(after.answers.length <= STEPS_MAX, "every call ends");
    const cell = this.#workers + worker * WORKER_CELLS;
    if (position.answers.length === 0) next[cell + 2]!--;
    next[cell] = next[cell + 1] = 0;
    if (after.stop.access === undefined) this.#end(next, worker, after);
    else {
      next[cell] = after.index + 1 & 0xffff;
      next[cell + 1] = after.index + 1 >> 16;
    }
    return next;
  }

  #end(next: number[], worker: number, position: Position): void {
    const { call, stop: { answer }, answers } = position;
    this.#longest = Math.max(this.#longest, answers.length);
    if (!this.#ended.has(position)) {
      checkEnd(position);
      this.#ended.add(position);
    }
    if (call.does === "record") {
      const cell = this.#cellOf(next, call.permit);
      const applied = (answer! & ~TOLD_FLAG) === APPLIED;
      must(!applied || next[cell]! % 4 !== TOOK_EFFECT, "a permit applies once");
      if (next[cell]! % 4 === OUT || applied) next[cell] = (next[cell]! & ~3) + (applied ? TOOK_EFFECT : RECORDED);
    } else if (call.does === "acquire" && answer! >= 0) {
      const given = this.#given(next, worker);
      must(given < PERMITS_MAX, "there is a cell for each permit");
      const place = this.#permitCells + worker * PERMITS_MAX + given;
      next[place] = this.#permitNumberOf(answer!) * 4 + OUT;
    }
    // A call of the other that has read the time before may bring this lease back to that: then it proves nothing.
    const { leases, nowMs } = position;
    if (leases === undefined || this.#positionAt(next, 1 - worker) !== undefined) return;
    const lease = this.#read(next, LEASE);
    const isWhole = ownerOf(lease) === leases && msOf(lease) >= nowMs + BigInt(this.#scenario.settings.probeLeaseMs);
    if (!isWhole || leases !== generationOf(this.#read(next, WORD))) return;
    const leased = deadlineWord(leases, nowMs);
    if (leased > this.#values[next[this.#leasedFrom]!]!) next[this.#leasedFrom] = this.#numberOf(leased);
  }

  #checkWrite(state: State, worker: number, position: Position, from: bigint, to: bigint): void {
    const { call, stop } = position;
    const { address } = stop.access!;
    checkWrite(this.#scenario.settings, position, address, from, to, {
      read: (other) => this.#read(state, other),
      floorAtStart: this.#values[state[this.#floorAtStart]!]!,
      leasedFrom: this.#values[state[this.#leasedFrom]!]!,
    });
    if (address !== WORD || call.does !== "record") return;
    const other = this.#positionAt(state, 1 - worker);
    const shared = other?.call.does === "record" && other.call.permit === call.permit && other.swings.length > 0;
    must(state[this.#cellOf(state, call.permit)]! % 4 !== TOOK_EFFECT && !shared, "a permit takes effect once");
    must(position.swings.length === 0, "a result changes W once");
  }

  /** What holds in every state: the probes in flight are those that are, and nobody's death wedges the circuit. */
  #checkState(state: State, key: string): void {
    const w = this.#read(state, WORD);
    if ((w & (STATE_MASK | IN_FLIGHT_MASK)) !== CLOSED) {
      const inFlight = Number(inFlightOf(w));
      must(inFlight <= this.#scenario.settings.probeConcurrency, "no more probes in flight than may be");
      const flying = stateOf(w) === HALF_OPEN ? this.#flying(state, generationOf(w)) : 0;
      must(inFlight === flying, "probes in flight are counted");
    }
    if (this.#positionAt(state, 0) === undefined && this.#positionAt(state, 1) === undefined) {
      must(modeOf(w) === wantedMode(this.#read(state, MODES)), "the mode in force is the one that is wanted");
    }
    const circuit = key.slice(0, this.#places.size);
    if (this.#rescued.has(circuit)) return;
    this.#rescued.add(circuit);
    rescue(this.#scenario.settings, [...this.#places.keys()].map((address) => [address, this.#read(state, address)]));
  }

  /** Probes of this generation whose result has not changed W, in anyone's hand. */
  #flying(state: State, generation: bigint): number {
    let flying = this.#lost.filter((lost) => lost === generation).length;
    for (let place = this.#permitCells; place < state.length; place++) {
      const cell = state[place]!;
      if (cell === 0 || cell % 4 === TOOK_EFFECT) continue;
      if (permitGenerationOf(bitsOf(this.#permits[cell >> 2]!)) === generation) flying++;
    }
    for (const worker of WORKERS) {
      const position = this.#positionAt(state, worker);
      if (position === undefined || position.swings.length === 0) continue;
      if (position.granted === generation) flying++;
      if (position.call.does === "record" && permitGenerationOf(bitsOf(position.call.permit)) === generation) flying--;
    }
    return flying;
  }

  /** The way to the state that is being looked at, a line for each step. */
  #told(first: State): string[] {
    let state = first;
    return this.#way.map((position, index) => {
      if (position === undefined) {
        state = this.#tick(state);
        return `        ${this.#scenario.tickMs} ms pass`;
      }
      const { call, answers, stop } = position;
      const { kind, address, expected, next } = stop.access!;
      const seen = this.#read(state, address);
      const line = `${call.by} ${described(call)} ${answers.length}: ${KINDS[kind]} ${nameOf(address)}: ${
        shown(address, seen)
      }${kind === CMPXCHG ? seen === expected ? ` => ${shown(address, next)}` : ", not as expected" : ""}`;
      if (index < this.#way.length - 1) state = this.#step(state, call.by, position);
      return line;
    });
  }

  #read(state: State, address: number): bigint {
    const place = this.#places.get(address);
    if (place !== undefined) return this.#values[state[place]!]!;
    must(SHARED.includes(address), `no word at ${address} is shared`);
    return 0n;
  }

  #positionAt(state: State, worker: number): Position | undefined {
    const cell = this.#workers + worker * WORKER_CELLS;
    const number = state[cell]! + (state[cell + 1]! << 16);
    return number === 0 ? undefined : this.#positions.all[number - 1];
  }

  /** How many permits the worker was given that have a cell. */
  #given(state: State, worker: number): number {
    let given = 0;
    while (given < PERMITS_MAX && state[this.#permitCells + worker * PERMITS_MAX + given] !== 0) given++;
    return given;
  }

  #cellOf(state: State, permit: number): number {
    const number = this.#permitNumberOf(permit);
    return state.findIndex((cell, place) => place >= this.#permitCells && cell >> 2 === number && cell !== 0);
  }

  #numberOf(value: bigint): number {
    let number = this.#numbers.get(value);
    if (number === undefined) {
      number = this.#values.push(value) - 1;
      this.#numbers.set(value, number);
      must(number <= 0xffff, "words are told apart by sixteen bits");
    }
    return number;
  }

  #permitNumberOf(permit: number): number {
    let number = this.#permitNumbers.get(permit);
    if (number === undefined) {
      number = this.#permits.push(permit) - 1;
      this.#permitNumbers.set(permit, number);
    }
    return number;
  }
}

function described(call: Call): string {
  if (call.does === "setMode") return `set mode ${call.mode}`;
  if (call.does !== "record") return call.does;
  const permit = bitsOf(call.permit);
  const outcome = ["success", "failure", "ignored", "throttled"][call.outcome];
  return `record(${attachmentOf(permit)}/${ticketOf(permit)} of ${permitGenerationOf(permit)}, ${outcome})`;
}

/** All are dead. A thread that comes now is let through within the longest of all waits, and can close the circuit. */
function rescue(settings: Settings, words: readonly (readonly [number, bigint])[]): void {
  const circuit = new StepCircuit(settings, words);
  const ask = () => {
    const permit = circuit.happens({ by: RESCUER, does: "acquire" });
    return isOnlyWatched(permit) ? REFUSED : permit;
  };
  let permit = ask();
  if (permit < 0) {
    circuit.happens({ passesMs: settings.cooldownMaxMs + settings.throttleMaxMs + settings.probeLeaseMs });
    permit = ask();
  }
  if (isShut(wantedMode(circuit.read(MODES)))) {
    // Who wanted it shut may have died before it was: then it goes on as before.
    return must(permit < 0 || !isShut(modeOf(circuit.read(WORD))), "no call passes while the circuit is shut");
  }
  must(permit >= 0, "a thread that comes after the dead is let through in time");
  for (let probe = 0; stateOf(circuit.read(WORD)) !== CLOSED; probe++) {
    must(permit >= 0 && probe < settings.successThreshold, "so many probes that succeed close the circuit");
    circuit.happens({ by: RESCUER, does: "record", permit: circuit.permits.length - 1, outcome: SUCCESS });
    permit = ask();
  }
}
