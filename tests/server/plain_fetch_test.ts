import assert from "node:assert/strict";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { mergeRequests } from "../../exporters/otlp/merge.ts";
import { startCollector } from "../../exporters/testing/collector.ts";
import { HttpTransport, type HttpTransportOptions } from "../../exporters/transport/http.ts";
import { PlainFetch } from "../../server/plain_fetch.ts";
import { requestOf } from "../fakes/otlp_bytes.ts";

const BODY = requestOf("traces", 3);
const OPTIONS = { signal: "traces", itemCount: 3, deadlineMs: 20_000 } as const;

Deno.test("E9 plain requests arrive whole, with their headers, one after another on one connection", async () => {
  await using collector = await startCollector();
  await using sender = senderTo(collector.endpoints, { headers: { "x-team": "harbour" } });
  const large = requestOf("traces", 20_000);
  for (const body of [BODY, large, new Uint8Array(), BODY]) {
    assert.equal((await sender.send(body, OPTIONS)).status, "delivered");
  }
  assert.equal(collector.connectionCount, 1);
  assert.deepEqual(collector.requests.map(({ payload }) => payload.length), [
    BODY.length,
    large.length,
    0,
    BODY.length,
  ]);
  assert.deepEqual(collector.requests[1].payload, large);
  assert.equal(collector.requests[0].headers["x-team"], "harbour");
  assert.equal(collector.requests[0].headers["transfer-encoding"], undefined);
});

Deno.test("A plain request in parts arrives as one, also when a kept connection broke and it is repeated", async () => {
  await using collector = await startCollector();
  await using sender = senderTo(collector.endpoints, { fetchTakesParts: true });
  const parts = [requestOf("traces", 1), new Uint8Array(), requestOf("traces", 20_000), requestOf("traces", 1)];
  const whole = mergeRequests(parts);
  for (const part of [parts, [BODY], []]) assert.equal((await sender.send(part, OPTIONS)).status, "delivered");
  assert.deepEqual(collector.requests.map(({ payload }) => payload), [whole, BODY, new Uint8Array()]);
  assert.equal(collector.requests[0].headers["transfer-encoding"], undefined);
  assert.equal(collector.connectionCount, 1);

  collector.disconnect({ times: 1 });
  const small = [BODY, BODY];
  assert.equal((await sender.send(small, OPTIONS)).status, "delivered");
  assert.deepEqual(collector.requests.at(-1)?.payload, mergeRequests(small));
});

Deno.test("A body in parts for a URL that is not plain is put together for the runtime's fetch", async () => {
  const plain = new PlainFetch();
  const { fetch } = globalThis;
  let received: RequestInit["body"];
  globalThis.fetch = (_url, init) => {
    received = init?.body;
    return Promise.resolve(new Response());
  };
  try {
    const urls = { traces: "https://backend/", metrics: "https://backend/", logs: "https://backend/" };
    const transport = new HttpTransport({ endpoints: urls, fetch: plain.fetch, fetchTakesParts: true });
    assert.equal((await transport.send([BODY, BODY], OPTIONS)).status, "delivered");
    assert.deepEqual(received, mergeRequests([BODY, BODY]));
  } finally {
    globalThis.fetch = fetch;
    plain.close();
  }
});

Deno.test("A plain answer is judged by its status, its headers and its body", async () => {
  await using collector = await startCollector();
  await using sender = senderTo(collector.endpoints);
  collector.respond(503, { times: 1, headers: { "retry-after": "7" } });
  const throttled = await sender.send(BODY, OPTIONS);
  assert.ok(throttled.status === "throttled" && throttled.retryAfterMs === 7_000);
  collector.respond(400, { times: 1, headers: { "content-type": "application/json" }, body: '{"message":"no ids"}' });
  assert.match((await sender.send(BODY, OPTIONS)).message, /answered 400.*no ids/);
  collector.respond(204, { times: 1 });
  assert.equal((await sender.send(BODY, OPTIONS)).status, "delivered");
  collector.respond(307, { times: 1, headers: { location: "http://elsewhere.example/" } });
  assert.equal((await sender.send(BODY, OPTIONS)).status, "misconfigured");
  assert.equal((await sender.send(BODY, OPTIONS)).status, "delivered");
});

Deno.test("An answer that is too long is not read to its end", async () => {
  await using collector = await startCollector();
  await using sender = senderTo(collector.endpoints, { responseBytesMax: 1000 });
  collector.respond(200, { body: new Uint8Array(1_000_000) });
  const answer = await sender.send(BODY, OPTIONS);
  assert.equal(answer.status, "delivered");
  assert.match(answer.message, /larger than 1000 bytes/);
});

Deno.test("E5 a plain connection that is refused sent nothing; one that is cut may have delivered", async () => {
  await using collector = await startCollector();
  await using sender = senderTo(collector.endpoints);
  assert.equal((await sender.send(BODY, OPTIONS)).status, "delivered");
  collector.disconnect();
  const cut = await sender.send(BODY, OPTIONS);
  assert.ok(cut.status === "retryable" && cut.answerLost, JSON.stringify(cut));
  // The runtime itself repeats a request that a kept connection lost, but once.
  assert.ok(collector.requests.length <= 3, `${collector.requests.length} requests`);
  await collector.refuse();
  const refused = await sender.send(BODY, OPTIONS);
  assert.ok(refused.status === "retryable" && !refused.answerLost, JSON.stringify(refused));
  await collector.recover();
  assert.equal((await sender.send(BODY, OPTIONS)).status, "delivered");
});

Deno.test("A plain request that hangs, before its answer or in it, ends with its connection at the deadline", async () => {
  await using collector = await startCollector();
  await using sender = senderTo(collector.endpoints, { timeoutMs: 20 });
  collector.hang({ times: 1 });
  const hung = await sender.send(BODY, OPTIONS);
  assert.ok(hung.status === "retryable" && hung.reason === "deadline", JSON.stringify(hung));
  collector.hang({ times: 1, duringBody: true });
  // Longer, for the head of the answer has to arrive before: also on a machine that has much else to do.
  await using patient = senderTo(collector.endpoints, { timeoutMs: 1_000 });
  const half = await patient.send(BODY, OPTIONS);
  assert.equal(half.status, "delivered");
  assert.match(half.message, /broke off/);
  await until(() => collector.connectionCount === 0);
});

Deno.test("A name with several addresses is reached at the one that listens", async () => {
  await using collector = await startCollector();
  const url = collector.endpoints.traces.replace("127.0.0.1", "localhost");
  await using sender = senderTo({ traces: url, metrics: url, logs: url });
  assert.equal((await sender.send(BODY, OPTIONS)).status, "delivered");
});

Deno.test("A plain connection without requests is closed after a while, and all are when the sender ends", async () => {
  const opened: Socket[] = [];
  // A backend that would keep connections for ever, unlike most.
  const server = createHttpServer({ keepAliveTimeout: 0 }, (_request, response) => response.end("kept"));
  server.on("connection", (socket) => opened.push(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;

  const brief = new PlainFetch({ idleTimeoutMs: 1 });
  await (await brief.fetch(url, { method: "POST", body: BODY })).arrayBuffer();
  await until(() => opened[0].destroyed);
  const patient = new PlainFetch();
  await (await patient.fetch(url, { method: "POST", body: BODY })).arrayBuffer();
  assert.equal(opened[1].destroyed, false);
  patient.close();
  await until(() => opened[1].destroyed);
  await new Promise((resolve) => server.close(resolve));
});

Deno.test("An answer that no Response can hold is an error of the request, not of the program", async () => {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end("HTTP/1.1 999 Odd\r\ncontent-length: 2\r\n\r\nno"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  await using sender = senderTo({ traces: url, metrics: url, logs: url });
  assert.equal((await sender.send(BODY, OPTIONS)).status, "retryable");
  await new Promise((resolve) => server.close(resolve));
});

/** A transport over a plain fetch; both end with the test. */
function senderTo(endpoints: HttpTransportOptions["endpoints"], options: Partial<HttpTransportOptions> = {}) {
  const plain = new PlainFetch();
  const transport = new HttpTransport({ endpoints, fetch: plain.fetch, ...options });
  return Object.assign(transport, {
    async [Symbol.asyncDispose]() {
      await transport.close();
      plain.close();
    },
  });
}

/** Lets the loop turn until something has come about. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 1));
}
