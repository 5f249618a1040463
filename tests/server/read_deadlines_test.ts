import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
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

Deno.test("a read that is over is not held on to, however long an older one still has", async () => {
  const clock = new FakeClock();
  const deadlines = new ReadDeadlines(1000, clock, clock.sleep);
  const open = { expire: () => {} };
  deadlines.begin(open);
  await clock.advance(1);
  const over = readsThatEnd(deadlines);
  // What an iterator holds on to are the tables of a map that has grown or shrunk under it.
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  for (let turn = 0; turn < 3; turn++) {
    await setImmediate();
    gc();
  }
  assert.equal(over.filter((read) => read.deref() !== undefined).length, 0);
  deadlines.end(open);
  await clock.advance(1000);
});

/** So many that a map makes room for them many times, eight of them at a time. */
function readsThatEnd(deadlines: ReadDeadlines): readonly WeakRef<object>[] {
  const inTime: { expire(): void }[] = [];
  return Array.from({ length: 1000 }, () => {
    const read = { expire: () => {} };
    deadlines.begin(read);
    inTime.push(read);
    if (inTime.length === 8) { for (const ended of inTime.splice(0)) deadlines.end(ended); }
    return new WeakRef(read);
  });
}
