import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { decodeExportResponse } from "../../exporters/otlp/response.ts";
import { skim } from "../../exporters/otlp/skim.ts";
import { decodeStatus } from "../../exporters/otlp/status.ts";
import { type Signal, SIGNALS } from "../../exporters/signal.ts";
import { field, requestOf } from "../fakes/otlp_bytes.ts";
import { JSON_TYPE, PROTOBUF, Receiving, span, traces, tracesJson, tracesOf, until } from "./receiver_fixture.ts";

const LOGS_JSON =
  '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a"}},{"severityNumber":9}]}]}]}';
const METRICS_JSON =
  '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","sum":{"dataPoints":[{"asInt":"1"},{"asInt":"2"}]}}]}]}]}';

for (const signal of SIGNALS) {
  Deno.test(`R1 R2 R5 POST /v1/${signal} takes protobuf and answers an empty protobuf response`, async () => {
    await using receiving = await Receiving.start();
    const body = signal === "traces" ? traces(3) : requestOf(signal, 3);
    const response = await receiving.post(`/v1/${signal}`, body);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), PROTOBUF);
    assert.equal((await response.bytes()).length, 0);
    const [entry] = receiving.take(signal);
    assert.deepEqual(entry.payload, body, "the payload is what came");
    assert.equal(entry.itemCount, 3);
    assert.equal(entry.receivedAtMs, receiving.clock.wallMs());
    assert.deepEqual(receiving.counts(signal), { received: 3, accepted: 3, refused: {} });
  });
}

const jsonBodies: readonly [Signal, string, number][] = [
  ["traces", tracesJson([span(0), span(1)]), 2],
  ["metrics", METRICS_JSON, 2],
  ["logs", LOGS_JSON, 2],
];
for (const [signal, body, itemCount] of jsonBodies) {
  Deno.test(`R1 R2 R5 R11 POST /v1/${signal} takes JSON on the same port, and answers {} as JSON`, async () => {
    await using receiving = await Receiving.start();
    const response = await receiving.post(`/v1/${signal}`, body, { "content-type": "Application/JSON; charset=utf-8" });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), JSON_TYPE);
    assert.equal(await response.text(), "{}");
    const [entry] = receiving.take(signal);
    assert.deepEqual(skim(entry.payload, signal), { itemCount, invalidCount: 0 }, "kept as protobuf");
    assert.equal(entry.itemCount, itemCount);
  });
}

Deno.test("R3 gzip and identity bodies are accepted, several gzip members are one body", async () => {
  await using receiving = await Receiving.start();
  const body = traces(40);
  const halves = new Uint8Array([...gzipSync(body.subarray(0, 500)), ...gzipSync(body.subarray(500))]);
  const encoded: [string, Uint8Array<ArrayBuffer>][] = [
    ["gzip", Uint8Array.from(gzipSync(body))],
    ["GZIP", halves],
    ["identity", body],
  ];
  for (const [contentEncoding, bytes] of encoded) {
    const response = await receiving.post("/v1/traces", bytes, { "content-encoding": contentEncoding });
    assert.equal(response.status, 200, contentEncoding);
    await response.body?.cancel();
  }
  const entries = receiving.take("traces");
  assert.equal(entries.length, 3);
  for (const entry of entries) assert.deepEqual(entry.payload, body);
});

Deno.test("R4 by default a body may inflate to 64 MiB: 65 KB of gzip that grow to that are taken, and to one byte more are 413", async () => {
  await using receiving = await Receiving.start();
  const limit = 64 * 2 ** 20;
  for (const [bytes, status] of [[limit, 200], [limit + 1, 413]] as const) {
    // A field that nobody knows: a tag, four bytes of length, and zeros.
    const body = field(15, new Uint8Array(bytes - 5));
    assert.equal(body.length, bytes);
    const response = await receiving.post("/v1/traces", Uint8Array.from(gzipSync(body)), {
      "content-encoding": "gzip",
    });
    assert.equal(response.status, status);
    await response.body?.cancel();
  }
});

Deno.test("bodies in one piece, in many, announced and in chunks of unknown size arrive whole", async () => {
  await using receiving = await Receiving.start();
  for (const count of [1, 5000]) {
    const body = traces(count);
    const chunked = new ReadableStream({
      start(controller) {
        for (let at = 0; at < body.length; at += 50_000) controller.enqueue(body.slice(at, at + 50_000));
        controller.close();
      },
    });
    for (const sent of [body, chunked]) {
      const response = await receiving.post("/v1/traces", sent);
      assert.equal(response.status, 200);
      await response.body?.cancel();
      const [entry] = receiving.take("traces");
      assert.equal(entry.itemCount, count);
      assert.deepEqual(entry.payload, body);
      assert.ok(entry.payload.buffer.byteLength < body.length + 5000, "a record keeps no memory but its own");
    }
  }
  assert.equal(receiving.budget.reservedBytes, 0);
});

Deno.test("R6 an empty request is taken, in every way in which it can be empty, and leaves nothing behind", async () => {
  await using receiving = await Receiving.start();
  const empties: [string, BodyInit | undefined, string][] = [
    [PROTOBUF, undefined, ""],
    [PROTOBUF, new Uint8Array(0), ""],
    [JSON_TYPE, "{}", "{}"],
    [JSON_TYPE, undefined, "{}"],
    [JSON_TYPE, '{"resourceSpans":[]}', "{}"],
    [JSON_TYPE, '{"resourceSpans":[{"scopeSpans":[{"spans":[]}]}]}', "{}"],
  ];
  for (const [type, body, expected] of empties) {
    const response = await receiving.post("/v1/traces", body, { "content-type": type });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), type);
    assert.equal(await response.text(), expected);
  }
  assert.deepEqual(receiving.take("traces"), []);
  assert.deepEqual(receiving.counts("traces"), { received: 0, accepted: 0, refused: {} });
});

const invalidSpans = [
  span(1, { traceId: "0".repeat(32) }),
  span(2, { spanId: "0".repeat(16) }),
  span(3, { traceId: "abcd" }),
];

for (const encoding of ["protobuf", "json"] as const) {
  Deno.test(`R7 spans with ids that cannot be are rejected by partial success, the others taken (${encoding})`, async () => {
    await using receiving = await Receiving.start();
    const spans = [span(0), ...invalidSpans, span(4)];
    const [type, body] = encoding === "json" ? [JSON_TYPE, tracesJson(spans)] : [PROTOBUF, tracesOf(spans)];
    const response = await receiving.post("/v1/traces", body, { "content-type": type });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), type);
    const answer = await response.bytes();
    if (encoding === "json") {
      assert.equal(JSON.parse(new TextDecoder().decode(answer)).partialSuccess.rejectedSpans, "3");
    }
    const partial = decodeExportResponse(answer, encoding, "traces");
    assert.equal(partial?.rejectedCount, 3);
    assert.match(partial?.message ?? "", /3 of 5 spans .* id/);
    const [entry] = receiving.take("traces");
    assert.equal(entry.itemCount, 2);
    assert.deepEqual(skim(entry.payload, "traces"), { itemCount: 2, invalidCount: 0 });
    assert.deepEqual(receiving.counts("traces"), { received: 5, accepted: 2, refused: { invalid: 3 } });
  });
}

Deno.test("R7 when no span is any good, all are rejected and nothing is kept", async () => {
  await using receiving = await Receiving.start();
  const response = await receiving.post("/v1/traces", tracesOf(invalidSpans));
  assert.equal(response.status, 200);
  assert.equal(decodeExportResponse(await response.bytes(), "protobuf", "traces")?.rejectedCount, 3);
  assert.deepEqual(receiving.take("traces"), []);
  assert.deepEqual(receiving.counts("traces"), { received: 3, accepted: 0, refused: { invalid: 3 } });
});

Deno.test("R9 what cannot be decoded is 400, and the Status holds a BadRequest that says what is wrong", async () => {
  await using receiving = await Receiving.start();
  const response = await receiving.post("/v1/traces", tracesJson([span(0, { kind: "SERVER" })]), {
    "content-type": JSON_TYPE,
  });
  assert.equal(response.status, 400);
  const { code, message, details } = await response.json();
  assert.equal(code, 3);
  assert.match(message, /spans\[0\]\.kind must be an integer/);
  const badRequest = {
    "@type": "type.googleapis.com/google.rpc.BadRequest",
    fieldViolations: [{ description: message }],
  };
  assert.deepEqual(details, [badRequest]);
  assert.deepEqual(receiving.counts("traces"), { received: 0, accepted: 0, refused: {} });
});

Deno.test("R9 a full queue is 503 with Retry-After, its items are counted, and there is room again afterwards", async () => {
  const lines: string[] = [];
  const log = (_: string, message: string) => lines.push(message);
  await using receiving = await Receiving.start({ itemsMax: 10, retryAfterMs: 1500, log });
  for (const [count, status] of [[8, 200], [3, 503], [2, 200]]) {
    const response = await receiving.post("/v1/traces", traces(count));
    assert.equal(response.status, status);
    assert.equal(response.headers.get("retry-after"), status === 503 ? "2" : null);
    const body = await response.bytes();
    if (status === 503) assert.deepEqual(decodeStatus(body, "protobuf"), { code: 14, message: "The queue is full." });
  }
  assert.deepEqual(receiving.counts("traces"), { received: 13, accepted: 10, refused: { queue_full: 3 } });
  const cursor = receiving.journals.traces.cursor("backend", "reject");
  for (const entry of receiving.take("traces")) cursor.acknowledge(entry, { delivered: entry.itemCount });
  await receiving.clock.advance(10_000);
  const response = await receiving.post("/v1/traces", traces(10));
  assert.equal(response.status, 200);
  await response.body?.cancel();
  assert.deepEqual(lines, [
    "traces: the queue is full: senders are refused, and asked to come again",
    "traces: the queue has room again: 3 spans were refused",
  ]);
});

Deno.test("P2-02 a request larger than the whole queue is 413: trying again would not help", async () => {
  await using receiving = await Receiving.start({ itemsMax: 10 });
  const response = await receiving.post(
    "/v1/traces",
    tracesJson(Array.from({ length: 11 }, (_, index) => span(index))),
    {
      "content-type": JSON_TYPE,
    },
  );
  assert.equal(response.status, 413);
  assert.match((await response.json()).message, /larger than the whole queue/);
  assert.deepEqual(receiving.counts("traces"), { received: 11, accepted: 0, refused: { too_large: 11 } });
});

Deno.test("P1-13 traces are sampled by the trace id, the others are accepted and dropped; logs are not sampled", async () => {
  await using receiving = await Receiving.start({ sampleRatio: 0.5 });
  const low = span(0, { traceId: "1".repeat(16) + "0012345678901234" });
  const high = span(1, { traceId: "1".repeat(16) + "00f2345678901234" });
  const response = await receiving.post("/v1/traces", tracesOf([low, high, high, invalidSpans[0]]));
  assert.equal(response.status, 200);
  assert.equal(decodeExportResponse(await response.bytes(), "protobuf", "traces")?.rejectedCount, 1);
  assert.deepEqual(receiving.counts("traces"), { received: 4, accepted: 3, refused: { invalid: 1 } });
  const [entry] = receiving.take("traces");
  assert.equal(entry.itemCount, 2);
  assert.equal(skim(entry.payload, "traces").itemCount, 2);
  assert.deepEqual(receiving.journals.traces.cursor("backend", "reject").totals.dropped, { sampled: 1 });
  assert.ok(receiving.account.balance().balanced);

  const logs = await receiving.post("/v1/logs", LOGS_JSON, { "content-type": JSON_TYPE });
  await logs.body?.cancel();
  assert.deepEqual(receiving.counts("logs"), { received: 2, accepted: 2, refused: {} });
});

Deno.test("hops are kept with the record; our own id among them, or more than 8, is a circle", async () => {
  await using receiving = await Receiving.start();
  const eight = Array.from({ length: 8 }, (_, index) => `hop-${index}`);
  const cases: [string, number][] = [
    ["a,  b ", 200],
    [eight.join(", "), 200],
    [[...eight, "ninth"].join(","), 400],
    ["a, our-own-id", 400],
  ];
  for (const [hops, status] of cases) {
    const response = await receiving.post("/v1/traces", traces(1), { "breakwater-hop": hops });
    assert.equal(response.status, status, hops);
    const body = await response.bytes();
    if (status === 400) assert.match(decodeStatus(body, "protobuf")?.message ?? "", /"breakwater-hop"/);
  }
  assert.deepEqual(receiving.take("traces").map(({ hops }) => hops), ["a, b"]);
  assert.deepEqual(receiving.take("traces").map(({ hops }) => hops), [eight.join(", ")]);
});

Deno.test("with a token set, only who shows it is heard, and a wrong one is told in the request's encoding", async () => {
  await using receiving = await Receiving.start({ ingestToken: "s3cret" });
  const cases: [string | undefined, number][] = [
    [undefined, 401],
    ["Bearer wrong", 401],
    ["Bearer s3cret2", 401],
    ["Basic s3cret", 401],
    ["Bearer s3cret", 200],
    ["bearer  s3cret", 200],
  ];
  for (const [authorization, status] of cases) {
    const response = await receiving.post(
      "/v1/traces",
      traces(1),
      authorization === undefined ? {} : { authorization },
    );
    assert.equal(response.status, status, authorization);
    const body = await response.bytes();
    if (status !== 401) continue;
    assert.equal(response.headers.get("www-authenticate"), "Bearer");
    assert.equal(decodeStatus(body, "protobuf")?.code, 16);
  }
  assert.equal(receiving.counts("traces").received, 2);
});

Deno.test("while draining, requests are counted and refused with 503 and Retry-After", async () => {
  let draining = false;
  await using receiving = await Receiving.start({ isDraining: () => draining });
  await (await receiving.post("/v1/traces", traces(2))).body?.cancel();
  draining = true;
  const response = await receiving.post("/v1/traces", traces(3));
  assert.equal(response.status, 503);
  assert.equal(response.headers.get("retry-after"), "1");
  assert.match(decodeStatus(await response.bytes(), "protobuf")?.message ?? "", /shutting down/);
  assert.deepEqual(receiving.counts("traces"), { received: 5, accepted: 2, refused: { shutdown: 3 } });
});

Deno.test("closing lets a request that has begun end, and cuts off one that does not by the deadline", async () => {
  const receiving = await Receiving.start();
  const body = traces(1);
  const head =
    `POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: ${PROTOBUF}\r\nContent-Length: ${body.length}\r\n\r\n`;
  let finish = () => {};
  const slow = new ReadableStream({
    start(controller) {
      controller.enqueue(body.slice(0, 10));
      finish = () => {
        controller.enqueue(body.slice(10));
        controller.close();
      };
    },
  });
  const ending = receiving.post("/v1/traces", slow);
  const never = receiving.converse(head, body.subarray(0, 10));
  await until(() => receiving.budget.reservedBytes > body.length);
  let closed = false;
  const closing = receiving.receiver.close(1000).then(() => closed = true);
  finish();
  const response = await ending;
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("connection"), "close");
  await response.body?.cancel();
  assert.equal(closed, false);
  await receiving.clock.advance(1000);
  await closing;
  assert.equal(await never, "");
  await until(() => receiving.budget.reservedBytes === 0);
  assert.equal(receiving.receiver.url, undefined);
  assert.equal(receiving.counts("traces").accepted, 1);
});

Deno.test("a journal that fails is 503, so that the sender tries again, and the items are counted as refused", async () => {
  const lines: string[] = [];
  await using receiving = await Receiving.start({ log: (level, message) => lines.push(`${level} ${message}`) });
  await receiving.journals.traces.close();
  const response = await receiving.post("/v1/traces", traces(2));
  assert.equal(response.status, 503);
  await response.body?.cancel();
  assert.deepEqual(receiving.counts("traces"), { received: 2, accepted: 0, refused: { journal_full: 2 } });
  assert.match(lines.join(), /error The journal of traces could not take a record: .* closed/);
});
