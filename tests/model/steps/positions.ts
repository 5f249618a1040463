/**
 * Where a thread may stand within a call. What a thread does next follows from the call and from what its accesses answered so
 * far, so each such history is one position, and a table of them lets an explorer go from one to the next without running
 * anything twice. Who fills the table, the step machine or the compiled core, answers the same question: `Replay`.
 */

import { acquire, record } from "./breaker.ts";
import {
  type Access,
  type Counter,
  COUNTERS,
  load,
  type Settings,
  type Steps,
  type Thread,
  type Told,
  written,
} from "./memory.ts";
import { hold, letGo, setMode } from "./modes.ts";
import { ATTEMPTS, CLOCK, CMPXCHG, generationOf, HALF_OPEN, inFlightOf, msOf, stateOf, STORE, WORD } from "./words.ts";

/** A call that a thread makes, with how many permits each attachment had given out when it began. */
export type Call = Begun & (Asking | Recording | Ruling);

interface Begun {
  /** The attachment that calls. */
  readonly by: number;
  readonly issued: readonly number[];
}

/** `acquire`. */
export interface Asking {
  readonly does: "acquire";
}

/** `record`. */
export interface Recording {
  readonly does: "record";
  readonly permit: number;
  readonly outcome: number;
  readonly throttledMs: number;
}

/** A change of the mode that is set, a hold, or the end of one. */
export type Ruling = { readonly does: "setMode"; readonly mode: number } | { readonly does: "hold" | "letGo" };

/** Where a call stops: before its next access, or at its end with an answer. */
export interface Stop {
  readonly access: Access | undefined;
  readonly answer: number | undefined;
  /** What the call has counted so far; the first is how many permits its thread has given out. */
  readonly counts: Readonly<Record<Counter, number>>;
  readonly told: readonly Told[];
}

/** The answer of a call in which the module trapped. */
export const TRAPPED = -99;

/** Runs a call from its beginning, with what its accesses answered, to where it stops. */
export type Replay = (call: Call, answers: readonly bigint[]) => Stop;

/** The replay of the step machine. At an address that is `torn`, what should compare and swap only stores. */
export function machineReplay(settings: Settings, torn?: number): Replay {
  return (call, answers) => {
    const thread = threadOf(settings, call);
    const { counts, told } = thread;
    const isTorn = (access: Access | number): access is Access =>
      typeof access === "object" && access.kind === CMPXCHG && access.address === torn;
    const steps = perform(thread, call);
    let next = steps.next();
    for (const answer of answers) next = steps.next(isTorn(next.value) ? next.value.expected : answer);
    if (next.done) return { access: undefined, answer: next.value, counts, told };
    const access = isTorn(next.value) ? { ...next.value, kind: STORE } : next.value;
    return { access, answer: undefined, counts, told };
  };
}

/** The steps of a call. */
export function* perform(thread: Thread, call: Call): Steps<number> {
  if (call.does === "acquire") return yield* acquire(thread);
  if (call.does === "record") return yield* record(thread, call.permit, call.outcome, call.throttledMs);
  const nowMs = yield* load(CLOCK);
  if (call.does === "setMode") yield* setMode(thread, BigInt(call.mode), nowMs);
  else if (call.does === "hold") yield* hold(thread, nowMs);
  else yield* letGo(thread, nowMs);
  return 0;
}

/** A thread at the beginning of a call. */
export function threadOf(settings: Settings, { by, issued }: Call): Thread {
  const counts = { ...Object.fromEntries(COUNTERS.map((name) => [name, 0])), issued: issued[by]! } as Thread["counts"];
  return {
    settings,
    attachment: by,
    counts,
    told: [],
    issuedBy: (attachment) => attachment === by ? counts.issued : issued[attachment]!,
  };
}

/** One place in one call, after one history of answers. */
export class Position {
  readonly call: Call;
  readonly answers: readonly bigint[];
  readonly stop: Stop;
  /** The changes of W that this call has brought about: from, to. */
  readonly swings: readonly (readonly [bigint, bigint])[];
  /** The number that this call has among the attempts; -1 when it has none. */
  readonly attempt: bigint;
  /** The time that the call has read; -1 when it has not. */
  readonly nowMs: bigint;
  /** Its number in its table. */
  readonly index: number;
  readonly #followers = new Map<bigint, Position>();
  readonly #table: Positions;

  constructor(table: Positions, call: Call, before?: Position, answer?: bigint) {
    this.#table = table;
    this.call = call;
    this.answers = before === undefined ? [] : [...before.answers, answer!];
    this.stop = table.replay(call, this.answers);
    const access = before?.stop.access;
    const wrote = access !== undefined && written(access, answer!) !== answer;
    this.swings = wrote && access.address === WORD ? [...before!.swings, [answer!, access.next]] : before?.swings ?? [];
    this.attempt = wrote && access.address === ATTEMPTS ? msOf(access.next) - 1n : before?.attempt ?? -1n;
    this.nowMs = access?.address === CLOCK ? answer! : before?.nowMs ?? -1n;
    this.index = table.all.push(this) - 1;
  }

  /** The generation of the probe that this call has become, though its permit may not be given out yet. */
  get granted(): bigint | undefined {
    const [from, to] = this.swings.at(-1) ?? [0n, 0n];
    return this.call.does === "acquire" && inFlightOf(to) > inFlightOf(from) ? generationOf(to) : undefined;
  }

  /** The generation of the half-open episode whose lease begins anew with this call. */
  get leases(): bigint | undefined {
    const [from, to] = this.swings.at(-1) ?? [0n, 0n];
    if (stateOf(to) !== HALF_OPEN || (this.call.does === "acquire" && inFlightOf(from) > 0n)) return undefined;
    return generationOf(to);
  }

  /** Where the call stands when the access it stopped before has answered `answer`. */
  after(answer: bigint): Position {
    let position = this.#followers.get(answer);
    if (position === undefined) {
      position = new Position(this.#table, this.call, this, answer);
      this.#followers.set(answer, position);
    }
    return position;
  }
}

/** All positions that were ever reached. */
export class Positions {
  readonly all: Position[] = [];
  readonly replay: Replay;
  readonly #first = new Map<string, Position>();

  constructor(replay: Replay) {
    this.replay = replay;
  }

  /** Where a call begins. */
  first(call: Call): Position {
    const key = Object.values(call).join();
    let position = this.#first.get(key);
    if (position === undefined) {
      position = new Position(this, call);
      this.#first.set(key, position);
    }
    return position;
  }
}
