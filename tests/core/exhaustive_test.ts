/**
 * The lock-free core under all interleavings: tests/model/steps is the machine in single steps, which an explorer lets two
 * workers take in every order; and in each place that it came to, the compiled core must be about to do the same.
 */

import assert from "node:assert/strict";
import { coreReplay } from "../fakes/core_replay.ts";
import { compileHookedCore } from "../fakes/hooked_core.ts";
import {
  asks,
  AUTO,
  BY_TIME,
  BY_WINDOW,
  COOLED,
  fails,
  FORCED_CLOSED,
  FORCED_OPEN,
  METRICS_ONLY,
  passes,
  succeeds,
  TWO_PROBES,
} from "../model/steps/beginnings.ts";
import { FAILURE, IGNORED, SUCCESS, THROTTLED } from "../model/steps/breaker.ts";
import type { Event } from "../model/steps/circuit.ts";
import { explore, type Scenario } from "../model/steps/explorer.ts";
import { machineReplay } from "../model/steps/positions.ts";
import {
  ATTEMPTS,
  COUNT_BAD,
  DEADLINE,
  FLOOR,
  HEAD,
  LEASE,
  MODES,
  nameOf,
  PAGES,
  slotOf,
  TICKETS,
  WORD,
} from "../model/steps/words.ts";

/** `deno task explore` makes the workers make more calls. */
const IS_DEEP = Deno.args.includes("--deep");

const ALL_OUTCOMES = [SUCCESS, FAILURE, IGNORED, THROTTLED];

/** Worker 2 has opened the circuit; both workers hold a permit of before. */
const OPENED: readonly Event[] = [asks(0), asks(1), asks(2), fails(2, 2)];

/** A probe is under way for half of its lease, in the hand of somebody. */
const probing = (holder: number): readonly Event[] => [...COOLED, asks(holder), passes(10)];

/** Both hold a permit of a circuit that is closed; and both hold two, and so many calls have succeeded. */
const CALLING: readonly Event[] = [asks(0), asks(1)];
const calling = (succeeded: number): readonly Event[] => [
  ...Array.from({ length: succeeded }, (_, call) => [asks(2), succeeds(2, call)]).flat(),
  ...[asks(0), asks(0), asks(1), asks(1)],
];

/** A scenario, and how many states it has at least: fewer would say that something is not explored any more. */
interface Chapter extends Partial<Scenario> {
  readonly of: string;
  readonly calls: readonly [number, number];
  readonly statesMin: number;
  /** The calls and states of a deep run. */
  readonly deep: readonly [calls: readonly [number, number], statesMin: number];
}

const CHAPTERS: readonly Chapter[] = [
  { of: "a new circuit", outcomes: ALL_OUTCOMES, calls: [2, 2], statesMin: 87_000, deep: [[3, 3], 1_500_000] },
  {
    of: "a circuit that is open",
    before: OPENED,
    outcomes: ALL_OUTCOMES,
    ticks: 1,
    calls: [2, 2],
    statesMin: 45_000,
    deep: [[3, 3], 430_000],
  },
  {
    of: "a circuit whose cooldown has ended",
    before: [...OPENED, passes(10)],
    calls: [2, 2],
    statesMin: 240_000,
    deep: [[3, 3], 2_400_000],
  },
  { of: "a probe in one's hand", before: probing(0), calls: [2, 2], statesMin: 230_000, deep: [[3, 3], 1_400_000] },
  { of: "a probe whose holder died", before: probing(2), calls: [2, 2], statesMin: 170_000, deep: [[3, 3], 860_000] },
  {
    of: "attempts that are due",
    settings: { ...BY_TIME, probeEveryNth: 2 },
    before: OPENED,
    ticks: 1,
    calls: [2, 2],
    statesMin: 78_000,
    deep: [[3, 3], 1_000_000],
  },
  {
    of: "two probes at once, of which two must succeed",
    settings: TWO_PROBES,
    before: probing(0),
    calls: [2, 1],
    statesMin: 180_000,
    deep: [[2, 2], 980_000],
  },
  {
    of: "results of each other's calls, and more than one of each",
    settings: { ...BY_TIME, failureThreshold: 2 },
    before: CALLING,
    outcomes: ALL_OUTCOMES,
    ticks: 0,
    anyPermit: true,
    calls: [2, 1],
    statesMin: 50_000,
    deep: [[2, 2], 590_000],
  },
  {
    of: "a count window",
    settings: BY_WINDOW,
    before: calling(0),
    ticks: 0,
    calls: [1, 1],
    statesMin: 130_000,
    deep: [[2, 1], 1_500_000],
  },
  {
    of: "a count window whose page is full",
    settings: BY_WINDOW,
    before: calling(13),
    ticks: 0,
    calls: [1, 1],
    statesMin: 20_000,
    deep: [[2, 1], 1_500_000],
  },
  {
    of: "a count window that begins anew while a call enters it",
    settings: { ...BY_WINDOW, minimumCalls: 3 },
    before: [asks(0)],
    ticks: 0,
    outcomes: [FAILURE],
    modes: [FORCED_CLOSED],
    calls: [1, 3],
    statesMin: 65_000,
    deep: [[1, 4], 830_000],
  },
  {
    of: "modes and holds",
    before: [...COOLED, asks(0)],
    ticks: 0,
    outcomes: [SUCCESS],
    modes: [AUTO, METRICS_ONLY, FORCED_OPEN, FORCED_CLOSED],
    holds: true,
    calls: [1, 1],
    statesMin: 54_000,
    deep: [[2, 1], 4_100_000],
  },
  {
    of: "holds that both have",
    before: COOLED,
    ticks: 0,
    holds: true,
    calls: [2, 1],
    statesMin: 12_000,
    deep: [[2, 2], 120_000],
  },
];

const compiled = compileHookedCore();

for (const chapter of CHAPTERS) {
  const { of, statesMin, deep } = chapter;
  Deno.test(`P1-05 all interleavings of two workers keep the rules: ${of}`, async () => {
    const scenario = scenarioOf(chapter, IS_DEEP ? deep[0] : chapter.calls);
    const { states, steps, schedules, positions } = explore(scenario);
    console.log(`${of}: ${states} states, ${steps} steps, ${schedules.toPrecision(3)} schedules`);
    const least = IS_DEEP ? deep[1] : statesMin;
    assert.ok(states >= least, `${states} states are fewer than ${least}: something is not explored any more`);

    const replay = coreReplay(await compiled, scenario.settings);
    for (const { call, answers, stop } of positions) assert.deepEqual(replay(call, answers), stop);
  });
}

/** Words whose compare-and-swap only stores, and the rule that is found broken then. */
const TORN: readonly (readonly [address: number, of: string, rule: string])[] = [
  [WORD, "a probe in one's hand", "who half-opens the circuit counts it"],
  [DEADLINE, "a circuit that is open", "a deadline is set once"],
  [LEASE, "a circuit whose cooldown has ended", "a deadline is never replaced by one of an older generation"],
  [FLOOR, "a circuit that is open", "the pause that opens a circuit is known before it is open"],
  [ATTEMPTS, "attempts that are due", "no attempt is counted twice, and none is lost"],
  [slotOf(0) + TICKETS, "results of each other's calls, and more than one of each", "a permit applies once"],
  [PAGES, "a count window", "a call enters once"],
  [HEAD, "a count window that begins anew while a call enters it", "a window's head never goes back"],
  [COUNT_BAD, "a count window", "what failed last is no earlier call"],
  [MODES, "modes and holds", "who sets a mode leaves the holds as they are"],
];

for (const [address, of, rule] of TORN) {
  Deno.test(`a compare-and-swap of ${nameOf(address)} that only stores is found out: ${rule}`, () => {
    const scenario = scenarioOf(CHAPTERS.find((chapter) => chapter.of === of)!);
    const torn = machineReplay(scenario.settings, address);
    assert.throws(() => explore(scenario, torn), (error: Error) => error.message.startsWith(rule));
  });
}

function scenarioOf(chapter: Chapter, calls = chapter.calls): Scenario {
  return {
    settings: BY_TIME,
    before: [],
    ticks: 2,
    tickMs: 10,
    outcomes: [SUCCESS, FAILURE],
    anyPermit: false,
    ...chapter,
    calls,
  };
}
