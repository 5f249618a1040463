import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import { skim } from "../../exporters/otlp/skim.ts";
import { decodeRequest, type EncodedRequest } from "../../server/decode_request.ts";
import { requestOf } from "../fakes/otlp_bytes.ts";
import { span, traces, tracesJson, tracesOf } from "./receiver_fixture.ts";

const MEBIBYTE = 1_048_576;

function decode(body: Uint8Array, changes: Partial<EncodedRequest> = {}, bytesMax = MEBIBYTE) {
  return decodeRequest(
    { body, gzip: false, encoding: "protobuf", signal: "traces", sampleRatio: 1, ...changes },
    bytesMax,
  );
}

Deno.test("a good protobuf request is its own payload: nothing is copied", () => {
  const body = traces(3);
  const decoded = decode(body);
  assert.ok(decoded.outcome === "decoded");
  assert.equal(decoded.payload, body);
  assert.equal(decoded.itemCount, 3);
});

Deno.test("R3 gzip of any size inflates, whatever the length at its end promises", () => {
  for (const count of [1, 2, 100, 3000]) {
    const body = traces(count);
    const decoded = decode(gzipSync(body), { gzip: true });
    assert.ok(decoded.outcome === "decoded", `${count} spans`);
    assert.deepEqual(decoded.payload, body);
  }
  // Zeros behind a member are padding (RFC 1952 leaves it open, gzip(1) ignores them), and look like a length of 0.
  const padded = Buffer.concat([gzipSync(traces(100)), new Uint8Array(8)]);
  assert.equal(decode(padded, { gzip: true }).outcome, "decoded");
});

Deno.test("R4 100 KB of gzip that become 100 MiB end at the limit of 16, and take no more than twice that in memory", async () => {
  const script = new URL("./gzip_bomb_memory.ts", import.meta.url).pathname;
  // A process of its own: here other tests share the memory.
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["run", "--quiet", script] }).output();
  const { bombBytes, results } = JSON.parse(new TextDecoder().decode(stdout));
  assert.ok(bombBytes < 110_000);
  assert.equal(results.length, 6);
  for (const { promisedBytes, outcome, rssGrowthMb } of results) {
    assert.equal(outcome, "too_large");
    assert.ok(rssGrowthMb <= 32, `a promise of ${promisedBytes} bytes took ${rssGrowthMb} MB`);
  }
});

Deno.test("the payload never keeps more memory than its own", () => {
  const spare = new Uint8Array(100_000);
  const body = traces(2);
  spare.set(body, 50);
  const invalid = tracesOf([span(0), ...Array.from({ length: 500 }, () => span(1, { traceId: "00" }))]);
  const requests: [Uint8Array, Partial<EncodedRequest>][] = [
    [spare.subarray(50, 50 + body.length), {}],
    [Buffer.concat([gzipSync(body), new Uint8Array(8)]), { gzip: true }],
    [Buffer.from(tracesJson([span(0)])), { encoding: "json" }],
    [invalid, {}],
    [gzipSync(traces(500)), { gzip: true, sampleRatio: 0.000001 }],
  ];
  for (const [body, changes] of requests) {
    const decoded = decode(body, changes);
    assert.ok(decoded.outcome === "decoded");
    const { payload } = decoded;
    assert.ok(payload.buffer.byteLength <= payload.length + 100, `${payload.buffer.byteLength} for ${payload.length}`);
    assert.equal(payload.constructor, Uint8Array);
  }
});

Deno.test("R7 what came is what is kept, what is invalid and what sampling leaves out; only traces are sampled", () => {
  const spans = Array.from(
    { length: 200 },
    (_, index) => span(index, { traceId: (index * 0x9e3779b9 >>> 0).toString(16).padStart(8, "0").repeat(4) }),
  );
  const invalid = [span(0, { spanId: "" }), span(1, { traceId: "0".repeat(32) })];
  const decoded = decode(tracesOf([...spans.slice(1), ...invalid]), { sampleRatio: 0.25 });
  assert.ok(decoded.outcome === "decoded");
  const { itemCount, invalidCount, sampledCount, payload } = decoded;
  assert.equal(itemCount, 201);
  assert.equal(invalidCount, 2);
  const kept = skim(payload, "traces");
  assert.deepEqual(kept, { itemCount: itemCount - invalidCount - sampledCount, invalidCount: 0 });
  assert.ok(kept.itemCount > 20 && kept.itemCount < 90, `kept ${kept.itemCount} of 199`);
  const logs = decode(requestOf("logs", 5), { signal: "logs", sampleRatio: 0 });
  assert.ok(logs.outcome === "decoded");
  assert.equal(logs.sampledCount, 0);
});
