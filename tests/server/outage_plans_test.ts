import assert from "node:assert/strict";
import fc from "fast-check";
import { total } from "../../exporters/reason.ts";
import type { SendAnswer } from "../../exporters/transport/transport.ts";
import { answers, type Sent } from "../fakes/backend.ts";
import { numbersIn, Outpost, type Shore } from "../fakes/outpost.ts";

/** How a destination is for a while. */
const MOODS = ["up", "slow", "down", "hung", "throttled", "lost"] as const;
type Mood = typeof MOODS[number];

/** A while of a plan. */
interface Phase {
  readonly moods: readonly [Mood, Mood];
  readonly recordCount: number;
  /** Between two records. */
  readonly pauseMs: number;
  readonly wallStepMs: number;
  readonly restarts: boolean;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Lanes look around at most so often, or a plan would take a minute. */
const STEP_MS = MINUTE_MS;

/** Each is some days long. */
const PLAN_COUNT = 8;

const mood = fc.constantFrom<Mood>("up", "up", "down", ...MOODS);
const phase: fc.Arbitrary<Phase> = fc.record({
  moods: fc.tuple(mood, mood),
  recordCount: fc.integer({ min: 0, max: 25 }),
  pauseMs: fc.constantFrom(0, 500, 20_000, 5 * MINUTE_MS, 30 * MINUTE_MS),
  wallStepMs: fc.constantFrom(0, 0, 0, HOUR_MS, -HOUR_MS, 30_000),
  restarts: fc.boolean(),
});

Deno.test("P2-10 whatever the outages, restarts and clocks, what was accepted is delivered, or counted with its reason", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(phase, { minLength: 8, maxLength: 16, size: "max" }),
      fc.constantFrom(20, 60),
      fc.constantFrom(0, 3 * HOUR_MS),
      fc.constantFrom(2, 1000),
      async (phases, recordCountMax, recordAgeMaxMs, headProbesMax) => {
        const shores = [new MoodyShore("first", "reject"), new MoodyShore("second", "drop_oldest")];
        await using outpost = new Outpost({
          shores,
          recordCountMax,
          recordAgeMaxMs,
          headProbesMax,
          mergeRecordsMax: 5,
          backlogBytesMin: 1000,
        });
        for (const shore of shores) shore.sleep = outpost.clock.sleep;
        await outpost.start();
        const accepted = new Set<number>();
        for (const { moods, recordCount, pauseMs, wallStepMs, restarts } of phases) {
          shores.forEach((shore, index) => shore.mood = moods[index]!);
          for (let record = 0; record < recordCount; record++) {
            const { number, answer } = await outpost.receive();
            if (answer === "appended") accepted.add(number);
            else assert.equal(answer, "queue_full");
            await outpost.advance(pauseMs, STEP_MS);
          }
          outpost.clock.stepWall(wallStepMs);
          if (restarts) {
            await outpost.end();
            await outpost.start();
          }
          outpost.assertBounded();
          assert.equal(outpost.account.accepted, accepted.size);
        }

        for (const shore of shores) shore.mood = "up";
        await outpost.advance(2 * HOUR_MS, STEP_MS);
        for (const shore of shores) assertTold(outpost, shore, accepted);
      },
    ),
    { numRuns: PLAN_COUNT },
  );
});

/** Asserts that each record is where the account says. */
function assertTold(outpost: Outpost, shore: MoodyShore, accepted: ReadonlySet<number>): void {
  const { delivered, rejected, dropped, redelivered, queued } = outpost.at(shore);
  const came = new Set(shore.delivered);
  const missing = accepted.difference(came);
  const story = JSON.stringify({ ...outpost.at(shore), came: came.size, missing: [...missing] });
  assert.equal(queued, 0, story);
  assert.ok(came.isSubsetOf(accepted), "nothing came that was not accepted");
  assert.ok(delivered <= came.size, story);
  assert.ok(missing.size <= total(rejected) + total(dropped), story);
  assert.ok(shore.delivered.length - came.size <= redelivered, `what comes twice is counted: ${story}`);
  const reasons = Object.keys({ ...rejected, ...dropped });
  const known = ["expired", "export_failed", "deadline", ...(shore.onFull === "reject" ? [] : ["queue_full"])];
  assert.deepEqual(reasons.filter((reason) => !known.includes(reason)), [], story);
}

/** A destination of changing moods. */
class MoodyShore implements Shore {
  readonly delivered: number[] = [];
  mood: Mood = "up";
  sleep: (ms: number) => Promise<void> = () => Promise.resolve();

  constructor(readonly name: string, readonly onFull: Shore["onFull"]) {}

  readonly script = async (sent: Sent): Promise<SendAnswer> => {
    switch (this.mood) {
      case "up":
        return answers.delivered();
      case "slow":
        await this.sleep(3000);
        return answers.delivered();
      case "down":
        return answers.retryable();
      case "hung":
        await this.sleep(HOUR_MS);
        return answers.retryable(true, "deadline");
      case "throttled":
        return answers.throttled(10 * MINUTE_MS);
      case "lost":
        this.delivered.push(...numbersIn(sent));
        return answers.retryable(true);
    }
  };
}
