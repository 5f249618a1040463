import assert from "node:assert/strict";
import type { OnFull } from "../../exporters/journal/journal.ts";
import { answers, type Script } from "../fakes/backend.ts";
import { Outpost, type Shore } from "../fakes/outpost.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const RECORDS_PER_HOUR = 10;
const HOURS = 72;

/** Lanes look around at most so often: days have to go by in a second. */
const STEP_MS = 3 * MINUTE_MS;

/** Room for 40 hours. */
const RECORDS_MAX = 400;

/** Nothing is parked: what is delivered is in the order of the stream. */
const IN_ORDER = { headProbesMax: 1000, inFlightMax: 1 };

const DOWN: Script = () => answers.retryable();
const UP: Script = () => answers.delivered();

Deno.test("P2-10 three days of outage: nothing is lost up to the bound, then senders are told, and the account balances every hour", async () => {
  const dead = shore("dead", "reject", DOWN);
  const second = shore("second", "drop_oldest", UP);
  await using outpost = new Outpost({ shores: [dead, second], recordCountMax: RECORDS_MAX, ...IN_ORDER });
  const accepted = await threeDays(outpost);
  assert.deepEqual(accepted, numbers(0, RECORDS_MAX), "the oldest are kept");
  assert.deepEqual(outpost.account.refused, { queue_full: 24 * RECORDS_PER_HOUR }, "what this life refused");
  assert.deepEqual(second.delivered, accepted, "the other destination had all that was accepted");

  dead.script = UP;
  await outpost.advance(MINUTE_MS);
  assert.deepEqual(dead.delivered, accepted);
  assert.deepEqual(outpost.at(dead).dropped, {});
  outpost.assertBounded();
});

Deno.test("P2-10 three days of outage at one destination of two: it keeps the newest, and the other has everything at once", async () => {
  const first = shore("first", "reject", UP);
  const dead = shore("dead", "drop_oldest", DOWN);
  await using outpost = new Outpost({ shores: [first, dead], recordCountMax: RECORDS_MAX, ...IN_ORDER });
  const accepted = await threeDays(outpost, () => assert.equal(outpost.at(first).queued, 0));
  assert.deepEqual(accepted, numbers(0, HOURS * RECORDS_PER_HOUR));
  assert.deepEqual(first.delivered, accepted);
  assert.deepEqual(outpost.at(dead).dropped, { queue_full: accepted.length - RECORDS_MAX });

  dead.script = UP;
  await outpost.advance(MINUTE_MS);
  assert.deepEqual(dead.delivered, accepted.slice(-RECORDS_MAX));
});

Deno.test("P2-10 what has become too old by the wall clock expires, wherever that clock is set, and all else is delivered", async () => {
  const ageMaxMs = 24 * HOUR_MS + MINUTE_MS;
  const dead = shore("dead", "reject", DOWN);
  await using outpost = new Outpost({
    shores: [dead],
    recordCountMax: RECORDS_MAX,
    recordAgeMaxMs: ageMaxMs,
    ...IN_ORDER,
  });
  // What waits, by the wall clock at its receipt: only the front is looked at, so a time ahead protects what is behind.
  const waiting: number[] = [];
  let expired = 0;
  const accepted = await threeDays(outpost, (hour) => {
    const oldestMs = outpost.clock.wallMs() - ageMaxMs;
    while (waiting[0] !== undefined && waiting[0] < oldestMs) expired += Number(waiting.shift() !== undefined);
    assert.deepEqual(outpost.at(dead).dropped, expired === 0 ? {} : { expired });
    assert.equal(outpost.at(dead).queued, waiting.length);
    outpost.clock.stepWall(WALL_STEPS_MS[hour % WALL_STEPS_MS.length]!);
  }, () => waiting.push(outpost.clock.wallMs()));
  assert.equal(accepted.length, HOURS * RECORDS_PER_HOUR, "there was always room");
  assert.ok(expired > 24 * RECORDS_PER_HOUR);

  dead.script = UP;
  await outpost.advance(MINUTE_MS);
  assert.deepEqual(dead.delivered, accepted.slice(outpost.at(dead).dropped.expired));
  assert.equal(outpost.at(dead).queued, 0);
});

Deno.test("P2-10 after an outage the backlog comes oldest first, and what comes now stands behind two requests, not behind all", async () => {
  const back = shore("back", "reject", DOWN);
  await using outpost = new Outpost({
    shores: [back],
    recordCountMax: RECORDS_MAX,
    mergeRecordsMax: 4,
    backlogBytesMin: 1,
    ...IN_ORDER,
  });
  await outpost.start();
  for (let record = 0; record < RECORDS_MAX / 2; record++) await outpost.receive();
  await outpost.advance(HOUR_MS, STEP_MS);
  await outpost.end();
  await outpost.start();

  back.script = () => outpost.clock.sleep(REQUEST_MS).then(() => answers.delivered());
  for (let second = 0; second < 60 && back.delivered.length === 0; second++) await outpost.advance(1000);
  const late: number[] = [];
  for (let turn = 0; turn < RECORDS_MAX && !back.delivered.includes(RECORDS_MAX / 2 - 1); turn++) {
    const { number } = await outpost.receive();
    await outpost.advance(3 * REQUEST_MS);
    if (!back.delivered.includes(number)) late.push(number);
    outpost.assertBounded();
    assert.ok(outpost.account.balanced);
  }
  assert.deepEqual(late, []);
  assert.deepEqual(back.delivered.filter((number) => number < RECORDS_MAX / 2), numbers(0, RECORDS_MAX / 2));
  const live = back.delivered.filter((number) => number >= RECORDS_MAX / 2);
  assert.ok(live.length > 10);
  assert.deepEqual(live, numbers(RECORDS_MAX / 2, RECORDS_MAX / 2 + live.length));
});

/** How long a request takes, where it takes any time. */
const REQUEST_MS = 1000;

/** How the wall clock is set, hour by hour: forth and back, and on the whole right. */
const WALL_STEPS_MS = [0, 2 * HOUR_MS, 0, -3 * HOUR_MS, -MINUTE_MS, HOUR_MS, MINUTE_MS];

/** Steady traffic, and a restart each day. @returns The numbers of what was accepted. */
async function threeDays(
  outpost: Outpost,
  everyHour: (hour: number) => void = () => {},
  onAccepted: () => void = () => {},
): Promise<readonly number[]> {
  const accepted: number[] = [];
  for (let hour = 0; hour < HOURS; hour++) {
    if (hour % 24 === 0) {
      await outpost.end();
      await outpost.start();
    }
    for (let record = 0; record < RECORDS_PER_HOUR; record++) {
      const { number, answer } = await outpost.receive();
      if (answer === "appended") {
        accepted.push(number);
        onAccepted();
      }
      await outpost.advance(HOUR_MS / RECORDS_PER_HOUR, STEP_MS);
    }
    outpost.assertBounded();
    assert.equal(outpost.account.accepted, accepted.length);
    everyHour(hour);
  }
  return accepted;
}

function shore(name: string, onFull: OnFull, script: Script): Shore {
  return { name, onFull, script, delivered: [] };
}

function numbers(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
