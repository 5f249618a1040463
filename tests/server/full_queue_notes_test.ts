import assert from "node:assert/strict";
import { FullQueueNotes } from "../../server/full_queue_notes.ts";
import { FakeClock } from "../fakes/clock.ts";

Deno.test("a full queue is told of once when it begins to refuse, and once when nothing was refused for a while", async () => {
  const lines: string[] = [];
  const clock = new FakeClock();
  const notes = new FullQueueNotes((level, message) => lines.push(`${level} ${message}`), clock);
  notes.taken("traces");
  assert.deepEqual(lines, []);
  for (let round = 0; round < 5; round++) {
    notes.refused("traces", 2);
    notes.taken("traces"); // One has left, and another has its place.
    await clock.advance(9_000);
  }
  notes.taken("logs");
  assert.deepEqual(lines, ["warning traces: the queue is full: senders are refused, and asked to come again"]);
  await clock.advance(1_000);
  notes.taken("traces");
  notes.taken("traces");
  assert.deepEqual(lines.slice(1), ["info traces: the queue has room again: 10 spans were refused"]);
  notes.refused("traces", 1);
  assert.equal(lines.length, 3, "another time is another line");
});
