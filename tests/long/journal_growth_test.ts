/** Very many spans through the server, and what they leave behind. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { REQUEST_SPAN_COUNT, requestBody } from "../../bench/gateway/request.ts";
import { ServerProcess } from "../fakes/server_process.ts";
import { TemporaryFolder } from "../fakes/temporary_folder.ts";

const SPAN_COUNT = 10_000_000;
const REQUEST_COUNT = Math.ceil(SPAN_COUNT / REQUEST_SPAN_COUNT);
const CONCURRENCY = 8;

/** One look at the memory for so many requests. */
const SAMPLE_EVERY = 100;

/**
 * What may be between the second and the last quarter. The garbage collector leaves some MiB more or less at each look;
 * four bytes for each of the spans in between would be more.
 */
const GROWTH_MIB_MAX = 20;

Deno.test({
  name: "10 000 000 spans through the server and its journal leave its memory as it was, and the account balances",
  ignore: Deno.build.os !== "linux", // Who measures memory reads it from /proc.
}, async () => {
  using folder = new TemporaryFolder();
  let receivedBytes = 0;
  await using sink = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { byteLength } = await request.arrayBuffer();
    receivedBytes += byteLength;
    return new Response(null, { headers: { "content-type": "application/x-protobuf" } });
  });
  await using server = new ServerProcess({
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${sink.addr.port}`,
    BREAKWATER_DATA_DIR: `${folder.path}/data`,
  });
  const { otlp } = await server.ready();
  const body = requestBody();
  const samplesMib: number[] = [];
  let left = REQUEST_COUNT;
  await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
    while (left > 0) {
      if (left-- % SAMPLE_EVERY === 0) samplesMib.push(rssMib(server.pid));
      const headers = { "content-type": "application/x-protobuf" };
      const response = await fetch(`${otlp}/v1/traces`, { method: "POST", headers, body });
      await response.arrayBuffer();
      assert.equal(response.status, 200);
    }
  }));
  server.signal("SIGTERM");
  const { code, stderr } = await server.ended();
  assert.equal(code, 0, stderr.join("\n"));
  assert.equal(receivedBytes, REQUEST_COUNT * body.length, "all of it has arrived");

  const quarter = samplesMib.length >> 2;
  const medians = [0, 1, 2, 3].map((index) => median(samplesMib.slice(index * quarter, (index + 1) * quarter)));
  console.log(JSON.stringify({ spans: SPAN_COUNT, peakMib: Math.max(...samplesMib), mediansMibByQuarter: medians }));
  const grownMib = medians[3] - medians[1];
  assert.ok(grownMib < GROWTH_MIB_MAX, `RSS grew by ${grownMib} MiB from the second quarter to the last`);
});

function rssMib(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
}
