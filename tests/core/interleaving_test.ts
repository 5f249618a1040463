/**
 * Two threads on one memory that take turns as they are told: the compiled core, with a hook before each atomic, does in real
 * threads what the step machine of tests/model/steps does, word for word.
 */

import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { CircuitBreaker } from "../../core/breaker.ts";
import { initCore, loadHookedCore } from "../fakes/core_call.ts";
import { compileHookedCore } from "../fakes/hooked_core.ts";
import { seededRandom } from "../fakes/random.ts";
import {
  asks,
  BY_TIME,
  BY_WINDOW,
  COOLED,
  fails,
  FORCED_CLOSED,
  passes,
  TWO_PROBES,
} from "../model/steps/beginnings.ts";
import { FAILURE, IGNORED, SUCCESS, THROTTLED } from "../model/steps/breaker.ts";
import {
  begun,
  type Duo,
  OUTCOME_WORDS,
  type PlannedCall,
  RECORD_WORDS,
  type Schedule,
  Schedules,
} from "../model/steps/schedules.ts";
import { CLOCK, KINDS, MEMORY_PAGES, MODES, nameOf, SHARED, shown, writeWord } from "../model/steps/words.ts";
import { AT, type Batch, type Bench, CELLS, reset } from "./interleaving_worker.ts";

const ask: PlannedCall = { does: "acquire" };
const hold: PlannedCall = { does: "hold" };
const letGo: PlannedCall = { does: "letGo" };
const force = (mode: number): PlannedCall => ({ does: "setMode", mode });
const end = (permit: number, outcome: number): PlannedCall => ({ does: "record", permit, outcome });

/** Two programs, and what is different from a new circuit that opens at the first failure. */
interface Pair extends Partial<Duo> {
  readonly of: string;
  readonly programs: Duo["programs"];
}

/** Short ones, of which all schedules are played, and how many these are. */
const RACES: readonly (Pair & { readonly schedules: number })[] = [
  {
    of: "two ask for the second probe",
    settings: TWO_PROBES,
    before: [...COOLED, asks(2)],
    programs: [[ask], [ask]],
    schedules: 924,
  },
  {
    of: "one permit comes back twice",
    before: [asks(0)],
    programs: [[end(0, SUCCESS)], [end(0, SUCCESS)]],
    schedules: 20,
  },
  {
    of: "two failures, of which the second opens",
    settings: { ...BY_TIME, failureThreshold: 2 },
    before: [asks(0), asks(1)],
    programs: [[end(0, FAILURE)], [end(1, FAILURE)]],
    schedules: 252,
  },
  {
    of: "a failure that opens, and a question",
    before: [asks(0)],
    programs: [[end(0, FAILURE)], [ask]],
    schedules: 1006,
  },
  {
    of: "a probe that succeeds, and a question",
    before: [...COOLED, asks(0)],
    programs: [[end(0, SUCCESS)], [ask]],
    schedules: 849,
  },
  {
    of: "a probe that fails, and a question",
    before: [...COOLED, asks(0)],
    programs: [[end(0, FAILURE)], [ask]],
    schedules: 1752,
  },
];

/** Longer ones, of which some schedules are played: time passes in them, and at times a worker dies. */
const WALKS: readonly Pair[] = [
  {
    of: "the cooldown has ended",
    before: COOLED,
    programs: [[ask, end(0, FAILURE), ask], [ask, end(0, SUCCESS), ask]],
  },
  {
    of: "a probe was lost",
    before: [...COOLED, asks(2), passes(20)],
    programs: [[ask, end(0, SUCCESS), ask], [ask, ask, end(0, FAILURE)]],
  },
  {
    of: "attempts that are due, and two probes at once",
    settings: { ...TWO_PROBES, probeEveryNth: 2 },
    before: [asks(0), asks(1), asks(2), fails(2, 2)],
    programs: [
      [ask, end(2, IGNORED), end(0, THROTTLED), ask, end(3, SUCCESS)],
      [ask, end(1, FAILURE), ask, end(2, SUCCESS), ask, end(3, FAILURE)],
    ],
  },
  {
    of: "a count window",
    settings: BY_WINDOW,
    before: [asks(0), asks(1), asks(0), asks(1)],
    programs: [[end(0, SUCCESS), end(2, FAILURE), ask, ask], [end(1, FAILURE), end(3, SUCCESS), ask]],
  },
  {
    of: "holds and modes",
    before: [asks(0), asks(1)],
    programs: [[hold, ask, letGo, ask], [end(1, FAILURE), force(FORCED_CLOSED), ask, end(2, THROTTLED)]],
  },
];

/** Schedules of each walk, and how many are played before they are looked at. */
const WALK_SCHEDULES = 400;
const BATCH = 500;

/** Not optimised: exhaustive_test.ts has the module that is. */
const compiled = compileHookedCore(true);

for (const { schedules, ...race } of RACES) {
  Deno.test(`P1-05 all ${schedules} schedules of two threads: ${race.of}`, async () => {
    const duo = duoOf(race);
    assert.equal(await play(duo, new Schedules(duo).all()), schedules);
  });
}

for (const walk of WALKS) {
  const seed = Math.floor(Math.random() * 2 ** 32);
  Deno.test(`P1-05 ${WALK_SCHEDULES} schedules of two threads by chance: ${walk.of} (seed ${seed})`, async () => {
    const duo = { ...duoOf(walk), ticks: 3, deaths: 1 };
    const schedules = new Schedules(duo);
    const random = seededRandom(seed);
    const some = Array.from({ length: WALK_SCHEDULES }, () => schedules.any((below) => Math.floor(random() * below)));
    await play(duo, some);
  });
}

function duoOf(pair: Pair): Duo {
  return { settings: BY_TIME, before: [], ticks: 0, tickMs: 10, deaths: 0, ...pair };
}

/** Has two threads play schedules, and compares each step with the machine's. Answers how many there were. */
async function play(duo: Duo, schedules: Iterable<Schedule>): Promise<number> {
  const module = await compiled;
  const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES, shared: true });
  initCore(loadHookedCore(module, memory, () => {}), duo.settings);
  const cells = new SharedArrayBuffer(4 * CELLS);
  const workers = [0, 1].map((me) => {
    const workerData: Bench = { me, module, memory, cells };
    return new Worker(new URL("./interleaving_worker.ts", import.meta.url), { workerData });
  });
  let [count, moves] = [0, 0];
  const ends = new Map<string, readonly bigint[]>();
  try {
    for (const batch of inBatches(schedules)) {
      await playBatch(duo, batch, { workers, memory, cells });
      count += batch.length;
      for (const { moves: made, outcome } of batch) {
        moves += made.length - 1;
        const words = outcome.slice(0, SHARED.length);
        ends.set(words.join(), words);
      }
    }
  } finally {
    for (const worker of workers) await worker.terminate();
  }
  for (const words of ends.values()) comesAfter(duo, words);
  console.log(`${count} schedules, ${moves} steps in two threads, ${ends.size} ends`);
  return count;
}

interface Stage {
  readonly workers: readonly Worker[];
  readonly memory: WebAssembly.Memory;
  readonly cells: SharedArrayBuffer;
}

async function playBatch(duo: Duo, schedules: readonly Schedule[], { workers, memory, cells }: Stage): Promise<void> {
  const { circuit, known } = begun(duo);
  const moves = Uint8Array.from(schedules.flatMap(({ moves }) => moves));
  const batch: Omit<Batch, "program"> = {
    permits: known,
    tickMs: duo.tickMs,
    words: SHARED.map((address) => circuit.read(address)),
    issued: circuit.issued.slice(0, 2),
    moves,
    records: sharedWords(moves.length * RECORD_WORDS),
    outcomes: sharedWords(schedules.length * OUTCOME_WORDS),
  };
  reset(new DataView(memory.buffer), batch);
  Atomics.store(new Int32Array(cells), AT, 0);
  const reports = workers.map((worker, me) =>
    new Promise<string>((resolve, reject) => {
      worker.once("message", resolve).once("error", reject);
      worker.postMessage({ ...batch, program: duo.programs[me]! } satisfies Batch);
    })
  );
  const troubles = (await Promise.all(reports)).filter((trouble) => trouble !== "");

  let at = 0;
  for (const [index, { moves, records, outcome }] of schedules.entries()) {
    for (let move = 0; move < moves.length - 1; move++, at++) {
      const done = batch.records.subarray(at * RECORD_WORDS, (at + 1) * RECORD_WORDS);
      const wanted = records.slice(move * RECORD_WORDS, (move + 1) * RECORD_WORDS);
      assert.deepEqual(told(done), told(wanted), `schedule ${moves.join(" ")}, move ${move}: ${troubles}`);
    }
    at++; // its end
    const found = batch.outcomes.subarray(index * OUTCOME_WORDS, (index + 1) * OUTCOME_WORDS);
    assert.deepEqual([...found], outcome, `schedule ${moves.join(" ")}, at its end: ${troubles}`);
  }
  assert.deepEqual(troubles, []);
}

/** A record, as a reader wants to see it. */
function told(record: ArrayLike<bigint>): string[] {
  const [kind, address, expected, next, ...words] = Array.from(record) as [bigint, bigint, bigint, bigint, ...bigint[]];
  const access = `${KINDS[Number(kind)]} ${nameOf(Number(address))} ${expected} ${next}`;
  return [access, ...words.map((word, place) => `${nameOf(SHARED[place]!)}: ${shown(SHARED[place]!, word)}`)];
}

/** The circuit that two threads left, dead or alive: who comes to it on the committed module is let through in time. */
function comesAfter({ settings }: Duo, words: readonly bigint[]): void {
  const word = (address: number) => words[SHARED.indexOf(address)]!;
  if (word(MODES) !== 0n) return; // held open, or in a mode of its own
  const clock = { ms: 0, nowMs: () => clock.ms, wallMs: () => clock.ms };
  const { countWindowSize, minimumCalls, failureRatio, ...rest } = settings;
  const window = countWindowSize > 0 ? { countWindowSize, minimumCalls, failureRatio } : {};
  const maker = new CircuitBreaker({ ...rest, ...window, cooldownJitter: 0, clock });
  CircuitBreaker.attach(maker.handle, { clock });
  const breaker = CircuitBreaker.attach(maker.handle, { clock }); // the third: it has had no permits
  const memory = new DataView(maker.handle.memory.buffer, maker.handle.base);
  for (const address of SHARED) if (address !== CLOCK) writeWord(memory, address, word(address));

  clock.ms = Number(word(CLOCK));
  let permit = breaker.acquire();
  if (permit < 0) {
    clock.ms += settings.cooldownMaxMs + settings.throttleMaxMs + settings.probeLeaseMs;
    permit = breaker.acquire();
  }
  for (let probe = 0; breaker.state !== "closed" && probe < settings.successThreshold; probe++) {
    assert.equal(breaker.record(permit, "success"), "applied");
    permit = breaker.acquire();
  }
  assert.ok(permit >= 0 && breaker.state === "closed", `not let through after ${words.join(" ")}`);
}

function* inBatches(schedules: Iterable<Schedule>): Generator<Schedule[]> {
  let batch: Schedule[] = [];
  for (const schedule of schedules) {
    if (batch.push(schedule) < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

function sharedWords(count: number): BigUint64Array<SharedArrayBuffer> {
  return new BigUint64Array(new SharedArrayBuffer(8 * count));
}
