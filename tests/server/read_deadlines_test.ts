import assert from "node:assert/strict";
import { ReadDeadlines } from "../../server/read_deadlines.ts";
import { FakeClock } from "../fakes/clock.ts";

Deno.test("each read expires at its own deadline, once, and not when it has ended", async () => {
  const clock = new FakeClock();
  const deadlines = new ReadDeadlines(1000, clock, clock.sleep);
  const expired: string[] = [];
  const read = (name: string) => ({ expire: () => void expired.push(`${name} ${clock.nowMs()}`) });
  const ended = read("ended");
  deadlines.begin(read("first"));
  await clock.advance(300);
  deadlines.begin(ended);
  deadlines.begin(read("second"));
  await clock.advance(699);
  assert.deepEqual(expired, []);
  deadlines.end(ended);
  await clock.advance(1);
  assert.deepEqual(expired, ["first 1000"]);
  await clock.advance(300);
  assert.deepEqual(expired, ["first 1000", "second 1300"]);
  await clock.advance(10_000);
  deadlines.begin(read("third"));
  await clock.advance(1000);
  assert.deepEqual(expired.slice(2), ["third 12300"], "a watch that has ended begins again");
});

Deno.test("any number of reads need one timer", async () => {
  const clock = new FakeClock();
  const deadlines = new ReadDeadlines(1000, clock, clock.sleep);
  const reads = Array.from({ length: 1000 }, () => ({ expire: () => assert.fail("it was in time") }));
  for (const read of reads) deadlines.begin(read);
  assert.equal(clock.sleeperCount, 1);
  for (const read of reads) deadlines.end(read);
  await clock.advance(1000);
  assert.equal(clock.sleeperCount, 0);
});
