/**
 * `deno task crash`: processes that are killed at random moments, and a look at what is left after each.
 *
 * `--rounds N` lives on a journal, `--server-rounds M` of a whole server between a real OpenTelemetry SDK and a backend
 * with moods; `--seed S` decides where luck begins. A round that fails prints its seed and keeps its folder. Closes with
 * `crash: N of N rounds survived`.
 */

import { parseArgs } from "node:util";
import { JournalStory, STORY_ROUND_COUNT } from "./journal_story.ts";
import { SERVER_STORY_ROUND_COUNT, ServerStory } from "./server_story.ts";

/** Stories that are told at the same time: as many as the smallest machine has processors. */
const TELLER_COUNT = 2;

/** Seeds that may be given. */
const SEED_MAX = 2 ** 31;

/** A folder and the processes that live on it, one after the other. */
interface Story {
  readonly seed: number;
  readonly folder: string;
  /** What happened, in a line. */
  readonly summary: string;
  /** One life, one death, and a look at what is left. @throws {Error} When something is wrong with that. */
  round(): Promise<void>;
}

/** Rounds that were to be survived, and were. */
interface Tally {
  survived: number;
  rounds: number;
}

/** Tells stories until there were enough rounds. A round that fails ends its story. */
async function tell(rounds: number, storyRounds: number, begin: () => Story, tally: Tally): Promise<void> {
  let left = rounds;
  const tellOne = async () => {
    while (left > 0) {
      const story = begin();
      const count = Math.min(storyRounds, left);
      left -= count;
      for (let round = 1; round <= count; round++) {
        tally.rounds++;
        try {
          await story.round();
          tally.survived++;
        } catch (error) {
          left += count - round;
          console.log(`error: seed ${story.seed}, round ${round}, ${story.folder}: ${(error as Error).stack ?? error}`);
          break;
        }
      }
      console.log(story.summary);
    }
  };
  await Promise.all(Array.from({ length: TELLER_COUNT }, tellOne));
}

/** @throws {RangeError} When it is not a whole number from 0 to `max`. */
function countOf(name: string, text: string, max: number): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count <= max) return count;
  throw new RangeError(`Cannot crash: "--${name}" must be an integer from 0 to ${max}, received ${text}`);
}

async function main(args: string[]): Promise<boolean> {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: "string", default: "200" },
      "server-rounds": { type: "string", default: "20" },
      seed: { type: "string", default: String(Math.floor(Math.random() * SEED_MAX)) },
    },
  });
  let seed = countOf("seed", values.seed, SEED_MAX);
  const startMs = performance.now();
  const tally: Tally = { survived: 0, rounds: 0 };
  const serverRounds = countOf("server-rounds", values["server-rounds"], 1e6);
  await tell(serverRounds, SERVER_STORY_ROUND_COUNT, () => new ServerStory(seed++), tally);
  await tell(countOf("rounds", values.rounds, 1e6), STORY_ROUND_COUNT, () => new JournalStory(seed++), tally);
  const seconds = (performance.now() - startMs) / 1000;
  console.log(`\n${(1000 * seconds / tally.rounds).toFixed(0)} ms a round`);
  console.log(`crash: ${tally.survived} of ${tally.rounds} rounds survived`);
  return tally.survived === tally.rounds;
}

if (import.meta.main && !await main(Deno.args)) Deno.exitCode = 1;
