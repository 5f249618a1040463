import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { type Collector, startCollector } from "../../../exporters/testing/collector.ts";
import { requestOf } from "../../fakes/otlp_bytes.ts";

Deno.test("A healthy collector answers 200 with an empty success and counts items by signal, inflated", async () => {
  await using collector = await startCollector();
  assert.equal(await post(collector, "traces", requestOf("traces", 3)), 200);
  assert.equal(await post(collector, "metrics", requestOf("metrics", 2)), 200);
  assert.equal(await post(collector, "logs", gzipSync(requestOf("logs", 5)), { "content-encoding": "gzip" }), 200);
  assert.deepEqual(collector.items, { traces: 3, metrics: 2, logs: 5 });
  assert.deepEqual(collector.requests.map(({ signal, path }) => [signal, path]), [
    ["traces", "/v1/traces"],
    ["metrics", "/v1/metrics"],
    ["logs", "/v1/logs"],
  ]);
  assert.deepEqual(collector.requests[2].payload, requestOf("logs", 5));
  assert.equal(collector.requests[2].headers["content-encoding"], "gzip");
});

Deno.test("JSON bodies are counted too, and answered in kind; what is no request counts nothing", async () => {
  await using collector = await startCollector();
  const ask = async (body: string) => {
    const headers = { "content-type": "application/json" };
    const response = await fetch(collector.endpoints.traces, { method: "POST", headers, body });
    return [response.status, response.headers.get("content-type"), await response.text()];
  };
  const success = [200, "application/json", "{}"];
  const request = { resourceSpans: [{ scopeSpans: [{ spans: [{ name: "a" }, { name: "b" }] }] }] };
  assert.deepEqual(await ask(JSON.stringify(request)), success);
  assert.deepEqual(await ask("["), success);
  assert.equal(collector.items.traces, 2);
  assert.equal(collector.requests.length, 2);
});

Deno.test("Faults are used in the order asked for, each as often as asked, for its signal alone", async () => {
  await using collector = await startCollector();
  collector.respond(503, { times: 2 });
  collector.respond(429, { signal: "logs" });
  const statuses = [];
  for (const signal of ["traces", "logs", "logs", "traces"] as const) statuses.push(await post(collector, signal));
  assert.deepEqual(statuses, [503, 503, 429, 200]);
  collector.respond(404, { signal: "logs" });
  assert.equal(await post(collector, "logs"), 404, "the newer lasting fault replaces the older");
  await collector.recover();
  assert.equal(await post(collector, "logs"), 200);
});

Deno.test("A fault can be for certain payloads, which it knows by what is in them, inflated", async () => {
  await using collector = await startCollector();
  const two = requestOf("traces", 2);
  collector.respond(503, { when: (payload) => payload.length === two.length, times: 2 });
  assert.equal(await post(collector, "traces", requestOf("traces", 1)), 200);
  assert.equal(await post(collector, "traces", two), 503);
  assert.equal(await post(collector, "traces", gzipSync(two), { "content-encoding": "gzip" }), 503);
  assert.equal(await post(collector, "traces", two), 200, "it has been used up");
  assert.equal(collector.items.traces, 3);
});

Deno.test("A refusing collector refuses connections, also on kept-alive ones, and recovers on the same port", async () => {
  await using collector = await startCollector();
  const { url } = collector;
  assert.equal(await post(collector, "traces"), 200);
  await collector.refuse();
  await assert.rejects(post(collector, "traces"), TypeError);
  await collector.recover();
  assert.equal(collector.url, url);
  assert.equal(await post(collector, "traces"), 200);
});

Deno.test("A hanging collector reads and never answers, is closed at once all the same, and cuts what hung", async () => {
  const collector = await startCollector();
  collector.hang({ signal: "traces" });
  const hung = assert.rejects(post(collector, "traces"), TypeError);
  assert.equal(await post(collector, "logs"), 200, "another signal is not held up");
  await collector[Symbol.asyncDispose]();
  await hung;
  assert.equal(collector.connectionCount, 0);
});

Deno.test("The collector keeps the newest requests only", async () => {
  await using collector = await startCollector({ requestCountMax: 2 });
  for (const signal of ["traces", "metrics", "logs"] as const) await post(collector, signal);
  assert.deepEqual(collector.requests.map(({ signal }) => signal), ["metrics", "logs"]);
});

Deno.test("Unknown paths, other methods and broken gzip are refused, and nothing is counted", async () => {
  await using collector = await startCollector();
  const ask = async (path: string, init: RequestInit) => {
    const response = await fetch(collector.url + path, init);
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await ask("/v1/spans", { method: "POST" }), 404);
  assert.equal(await ask("/v1/traces", { method: "GET" }), 405);
  assert.equal(await ask("/v1/traces", { method: "POST", headers: { "content-encoding": "gzip" }, body: "no" }), 400);
  assert.deepEqual(collector.requests, []);
});

async function post(
  collector: Collector,
  signal: "traces" | "metrics" | "logs",
  body: Uint8Array = new Uint8Array(),
  headers: Record<string, string> = {},
): Promise<number> {
  const response = await fetch(collector.endpoints[signal], {
    method: "POST",
    headers: { "content-type": "application/x-protobuf", ...headers },
    body: new Uint8Array(body),
  });
  await response.arrayBuffer();
  return response.status;
}
