/**
 * What does the server cost beside the least that a gateway can do?
 *
 * Sender, gateway and sink share this machine, each in a process of its own. What counts is what arrived at the sink,
 * and the clock runs until all of it has. The two gateways take turns, so that whatever else the machine does happens
 * to both. Both write what they take to the same disk, and sync it every 100 ms.
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Listening, send, startBare, startBreakwater, startSink } from "./gateway/processes.ts";
import { REQUEST_SPAN_COUNT, requestBody } from "./gateway/request.ts";
import { answer, bar, median } from "./measure.ts";

/** How long the sender sends before the clock runs: a gateway runs for weeks, and is compiled in its first second. */
const WARM_UP_MS = 1_000;

/** How long the sender sends in one run. */
const LOAD_MS = 2_500;

/** How long the sink may wait for the rest once the sender has ended. */
const DRAIN_BOUND_MS = 15_000;

const QUESTION = "How many spans a second go through the server, beside the least that a gateway can do?";
const MEMORY_QUESTION = "And how much memory does it take at most?";
const ROUND_COUNT = 5;
const RATIO_MIN = 0.85;

/** What was measured of one gateway. */
interface Rounds {
  readonly rates: number[];
  readonly peaksMib: number[];
}

/** Runs the rounds, about a minute, prints the answer, and says whether the bar is met. */
export async function benchGateway(): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), "gateway-bench-"));
  try {
    const body = requestBody();
    const bodyPath = join(folder, "request.pb");
    await writeFile(bodyPath, body);
    const bare: Rounds = { rates: [], peaksMib: [] };
    const breakwater: Rounds = { rates: [], peaksMib: [] };
    for (let round = 0; round < ROUND_COUNT; round++) {
      await measure(bare, body, bodyPath, (sinkUrl) => startBare(join(folder, "segment"), sinkUrl));
      await measure(breakwater, body, bodyPath, (sinkUrl) => startBreakwater(join(folder, `data-${round}`), sinkUrl));
    }
    answer(QUESTION, { "bare gateway": bare.rates, "Breakwater": breakwater.rates }, "spans/s");
    if (bare.peaksMib.length > 0) {
      answer(MEMORY_QUESTION, { "bare gateway": bare.peaksMib, "Breakwater": breakwater.peaksMib }, "MiB");
    }
    // Round by round: a machine that becomes busy half-way slows both of a round, but not both medians.
    const ratios = breakwater.rates.map((rate, round) => rate / bare.rates[round]!);
    return bar("of the bare gateway's rate", median(ratios), "least", RATIO_MIN);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** One run: a gateway is warmed up, and then measured. */
async function measure(
  { rates, peaksMib }: Rounds,
  body: Uint8Array,
  bodyPath: string,
  start: (sinkUrl: string) => Promise<Listening>,
): Promise<void> {
  await using sink = await startSink();
  await using gateway = await start(sink.url);
  const way = { body, bodyPath, sinkUrl: sink.url, gatewayUrl: gateway.url };
  await carry(way, WARM_UP_MS);
  const { requestCount, elapsedMs } = await carry(way, LOAD_MS);
  rates.push(requestCount * REQUEST_SPAN_COUNT / elapsedMs * 1_000);
  const peakMib = await gateway.peakMib();
  if (peakMib !== undefined) peaksMib.push(peakMib);
}

interface Way {
  readonly body: Uint8Array;
  readonly bodyPath: string;
  readonly sinkUrl: string;
  readonly gatewayUrl: string;
}

/** Load through a gateway for so long, and on until the sink has had every byte that was accepted. */
async function carry({ body, bodyPath, sinkUrl, gatewayUrl }: Way, loadMs: number) {
  const bytesBefore = await bytesAt(sinkUrl);
  const beganAtMs = performance.now();
  const { accepted, elapsedMs } = await send(gatewayUrl, bodyPath, loadMs);
  const loadEndedAtMs = performance.now();
  const startUpMs = loadEndedAtMs - beganAtMs - elapsedMs;
  while (await bytesAt(sinkUrl) < bytesBefore + accepted * body.length) {
    if (performance.now() - loadEndedAtMs > DRAIN_BOUND_MS) {
      throw new Error(`The sink has not had everything ${DRAIN_BOUND_MS} ms after the load ended`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return { requestCount: accepted, elapsedMs: performance.now() - beganAtMs - startUpMs };
}

async function bytesAt(sinkUrl: string): Promise<number> {
  return Number(await (await fetch(sinkUrl)).text());
}
