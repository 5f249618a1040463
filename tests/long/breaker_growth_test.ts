/** Very many calls, and what they leave behind. */

import assert from "node:assert/strict";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Growth } from "./breaker_growth.ts";

const MIB = 2 ** 20;

Deno.test("10 000 000 calls, with every rule on and an outage now and then, leave memory as it was", async () => {
  const { code, stdout, stderr } = await new Deno.Command(process.execPath, {
    args: [
      "run",
      "-A",
      "--no-check",
      "--v8-flags=--expose-gc",
      fileURLToPath(new URL("./breaker_growth.ts", import.meta.url)),
    ],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  assert.equal(code, 0, text.decode(stderr));
  const growth = JSON.parse(text.decode(stdout)) as Growth;
  console.log(JSON.stringify(growth));
  assert.equal(growth.calls, 10_000_000);
  assert.ok(growth.transitions > 1_000, "the circuit opened now and then");
  // One byte for each of a tenth of the calls would be more.
  assert.ok(growth.heapGrowthBytes < MIB, `the heap grew by ${growth.heapGrowthBytes} bytes`);
  assert.ok(growth.rssGrowthBytes < 8 * MIB, `RSS grew by ${growth.rssGrowthBytes} bytes`);
});
