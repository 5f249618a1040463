import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { showProgress, stateText } from "../../../server/cli/progress.ts";

Deno.test("progress says how far, how fast and how long still, in the unit of what is done", () => {
  const MIB = 2 ** 20;
  assert.equal(stateText(0, 100 * MIB, 0, "bytes"), "of 100.0 MiB");
  assert.equal(stateText(25 * MIB, 100 * MIB, 500, "bytes"), "25.0 MiB of 100.0 MiB, 50.0 MiB/s, 2 s left");
  assert.equal(stateText(10, 40, 2000, "records"), "10 records of 40 records, 5 records/s, 6 s left");
});

Deno.test("progress is drawn on a terminal, taken away at the end, and not drawn anywhere else", () => {
  for (const isTTY of [true, false]) {
    let drawn = "";
    const write = (text: string) => (drawn += text, true);
    const stream = Object.assign(new PassThrough(), { isTTY, columns: 100, write });
    let nowMs = 0;
    const progress = showProgress(stream as never, () => nowMs, "traces", 100, "records");
    nowMs = 1000;
    progress.reached(50);
    progress.end();
    assert.equal(drawn.includes("traces ["), isTTY);
  }
});
