import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { gzipSync } from "node:zlib";
import { requestFromJson } from "../../exporters/otlp/json.ts";
import type { EncodedRequest } from "../../server/decode_request.ts";
import { DecodeWorker } from "../../server/decode_worker.ts";
import { FakeClock, settle } from "../fakes/clock.ts";
import { JSON_TYPE, Receiving, span, traces, tracesJson } from "./receiver_fixture.ts";

const MEBIBYTE = 1_048_576;

function request(body: Uint8Array | string, changes: Partial<EncodedRequest> = {}): EncodedRequest {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  return { body: bytes, gzip: false, encoding: "protobuf", signal: "traces", sampleRatio: 1, ...changes };
}

function breakable(): Worker {
  return new Worker(new URL("../fakes/broken_worker.ts", import.meta.url));
}

Deno.test("a worker decodes what the main thread would, and a body that fills its buffer moves there without a copy", async () => {
  const worker = new DecodeWorker();
  const body = traces(10);
  const expected = Uint8Array.from(body);
  const answer = await worker.decode(request(body), () => MEBIBYTE);
  assert.deepEqual(answer, { outcome: "decoded", payload: expected, itemCount: 10, invalidCount: 0, sampledCount: 0 });
  assert.equal(body.length, 0, "moved");

  const part = new Uint8Array([0, ...expected]).subarray(1);
  assert.equal((await worker.decode(request(part), () => MEBIBYTE)).outcome, "decoded");
  assert.equal(part.length, expected.length, "copied");

  const json = await worker.decode(request("{", { encoding: "json" }), () => MEBIBYTE);
  assert.equal(json.outcome, "malformed");
  const bomb = request(gzipSync(new Uint8Array(1001)), { gzip: true });
  assert.equal((await worker.decode(bomb, () => 1000)).outcome, "too_large");
  await worker.close();
});

Deno.test("a body of 16 MiB reaches the worker in no time: what is posted has no property for each byte", async () => {
  const worker = new DecodeWorker({ requestTimeoutMs: 4000 });
  // Field 1000, which nobody knows, holds all that follows its key and its length, so that decoding is no work.
  const body = new Uint8Array(16 * MEBIBYTE);
  body.set([0xc2, 0x3e, 0xfa, 0xff, 0xff, 0x07]);
  const part = new Uint8Array(body.length + 1).subarray(1);
  part.set(body);
  for (const sent of [body, part]) {
    const answer = await worker.decode(request(sent), () => 16 * MEBIBYTE);
    assert.equal(answer.outcome, "decoded");
  }
  await worker.close();
});

Deno.test("a worker that dies fails its request only, and the next gets a new one", async () => {
  let started = 0;
  const worker = new DecodeWorker({ start: () => (started++, breakable()) });
  assert.equal(started, 0, "no worker before there is work");
  const dying = worker.decode(request("exit"), () => MEBIBYTE);
  const next = worker.decode(request("fine"), () => MEBIBYTE);
  assert.deepEqual(await dying, { outcome: "failed", message: "The decoding worker has ended." });
  assert.equal((await next).outcome, "decoded");
  assert.equal((await worker.decode(request("fine"), () => MEBIBYTE)).outcome, "decoded");
  assert.equal(started, 2);
  await worker.close();
});

Deno.test("a worker that is stuck is ended when its time is up, and the next request gets a new one", async () => {
  const clock = new FakeClock();
  const worker = new DecodeWorker({ start: breakable, requestTimeoutMs: 5000, sleep: clock.sleep });
  const stuck = worker.decode(request("hang"), () => MEBIBYTE);
  const next = worker.decode(request("fine"), () => MEBIBYTE);
  await clock.advance(5000);
  assert.deepEqual(await stuck, { outcome: "failed", message: "The request took too long to decode." });
  assert.equal((await next).outcome, "decoded");
  assert.equal(clock.sleeperCount, 0, "an answer ends its deadline");
  await worker.close();
});

Deno.test("as many requests wait as may, and those for which there is no memory when their turn comes fail", async () => {
  const worker = new DecodeWorker({ start: breakable, waitingCountMax: 1 });
  const first = worker.decode(request("fine"), () => MEBIBYTE);
  const noMemory = worker.decode(request("fine"), () => undefined);
  const tooMany = await worker.decode(request("fine"), () => MEBIBYTE);
  assert.equal(tooMany.outcome, "failed");
  assert.equal((await first).outcome, "decoded");
  assert.deepEqual(await noMemory, { outcome: "failed", message: "There is no memory free to decode the request." });
  assert.equal((await worker.decode(request("fine"), () => MEBIBYTE)).outcome, "decoded");
  await worker.close();
});

Deno.test("closing fails what the worker has and what waits, and what comes later", async () => {
  const worker = new DecodeWorker({ start: breakable });
  const answers = [worker.decode(request("hang"), () => MEBIBYTE), worker.decode(request("fine"), () => MEBIBYTE)];
  await settle();
  await worker.close();
  answers.push(worker.decode(request("fine"), () => MEBIBYTE));
  for (const answer of await Promise.all(answers)) {
    assert.deepEqual(answer, { outcome: "failed", message: "The server is shutting down." });
  }
});

Deno.test("R9 a request whose worker dies is 503 with Retry-After, holds nothing, and the server keeps serving", async () => {
  await using receiving = await Receiving.start({ decodeWorker: new DecodeWorker({ start: breakable }) });
  const large = "exit" + " ".repeat(2 * MEBIBYTE);
  const response = await receiving.post("/v1/traces", large, { "content-type": JSON_TYPE });
  assert.equal(response.status, 503);
  assert.equal(response.headers.get("retry-after"), "1");
  assert.match((await response.json()).message, /worker has ended/);
  assert.equal(receiving.budget.reservedBytes, 0);
  assert.equal((await receiving.post("/v1/traces", traces(1))).status, 200);
});

Deno.test("large requests take the way through the worker: protobuf, JSON, and gzip that is small until it is inflated", async () => {
  await using receiving = await Receiving.start();
  const spans = Array.from({ length: 3000 }, (_, index) => span(index, { name: "x".repeat(500) }));
  const json = tracesJson(spans);
  const protobuf = requestFromJson(json, "traces");
  assert.ok(protobuf.length > MEBIBYTE);
  // deno-fmt-ignore
  const bodies: [Uint8Array | string, Record<string, string>][] = [
    [protobuf, {}],
    [json, { "content-type": JSON_TYPE }],
    [gzipSync(protobuf), { "content-encoding": "gzip" }],
    [gzipSync(json), { "content-type": JSON_TYPE, "content-encoding": "gzip" }],
  ];
  for (const [body, headers] of bodies) {
    const response = await receiving.post("/v1/traces", body, headers);
    assert.equal(response.status, 200);
    await response.body?.cancel();
    const [entry] = receiving.take("traces");
    assert.equal(entry.itemCount, 3000);
    assert.deepEqual(entry.payload, protobuf);
    assert.equal(receiving.budget.reservedBytes, 0);
  }
});

Deno.test("R9 while a large body inflates its memory is part of the budget: none free is 503, not 413", async () => {
  await using receiving = await Receiving.start({ budgetBytesMax: 3 * MEBIBYTE });
  const inflated = new Uint8Array(4 * MEBIBYTE);
  const response = await receiving.post("/v1/traces", gzipSync(inflated), { "content-encoding": "gzip" });
  assert.equal(response.status, 503);
  await response.body?.cancel();
  assert.equal(receiving.budget.reservedBytes, 0);
  assert.ok(receiving.budget.reserve(3 * MEBIBYTE));
});
