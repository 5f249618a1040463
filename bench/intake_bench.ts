/**
 * What does it cost to take telemetry to the disk while nobody wants it?
 *
 * The upstream of the server is dead, so all that is sent stays in its journal; the least that a gateway can do is to
 * append it to a file. Both sync every 100 ms, and answer when what was sent is written.
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Listening, send, startBare, startBreakwater } from "./gateway/processes.ts";
import { REQUEST_SPAN_COUNT, requestBody } from "./gateway/request.ts";
import { answer, median } from "./measure.ts";

const QUESTION = "How many spans a second are taken to the disk while the upstream is dead?";
const ROUND_COUNT = 5;
const WARM_UP_MS = 1_000;
const LOAD_MS = 2_500;

/** Nobody listens there. */
const DEAD_UPSTREAM = "http://127.0.0.1:9";

/** Runs the rounds, about a minute, and prints the answer. There is no bar: the way through the server has one. */
export async function benchIntake(): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), "intake-bench-"));
  try {
    const bodyPath = join(folder, "request.pb");
    await writeFile(bodyPath, requestBody());
    const bare: number[] = [];
    const breakwater: number[] = [];
    for (let round = 0; round < ROUND_COUNT; round++) {
      bare.push(await spansPerSecond(bodyPath, startBare(join(folder, "segment"))));
      const data = join(folder, "data");
      breakwater.push(await spansPerSecond(bodyPath, startBreakwater(data, DEAD_UPSTREAM)));
      await rm(data, { recursive: true });
    }
    answer(QUESTION, { "bare gateway": bare, "Breakwater": breakwater }, "spans/s");
    const ratio = median(breakwater.map((rate, round) => rate / bare[round]!));
    console.log(`         of the bare gateway's rate: ${ratio.toFixed(2)}`);
    return true;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function spansPerSecond(bodyPath: string, starting: Promise<Listening>): Promise<number> {
  await using gateway = await starting;
  await send(gateway.url, bodyPath, WARM_UP_MS);
  const { accepted, refused, elapsedMs } = await send(gateway.url, bodyPath, LOAD_MS);
  if (refused > 0) throw new Error(`${refused} requests were refused: what is measured is not the disk`);
  return accepted * REQUEST_SPAN_COUNT / elapsedMs * 1_000;
}
