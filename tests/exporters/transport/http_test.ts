/** The HTTP transport against a real server, where HTTP itself matters; and with a scripted fetch, where luck does. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import fc from "fast-check";
import { startCollector } from "../../../exporters/testing/collector.ts";
import { HttpTransport, type HttpTransportOptions } from "../../../exporters/transport/http.ts";
import type { SendAnswer } from "../../../exporters/transport/transport.ts";
import { VERSION } from "../../../exporters/version.ts";
import { requestOf } from "../../fakes/otlp_bytes.ts";

const BODY = requestOf("traces", 3);
const OPTIONS = { signal: "traces", itemCount: 3, deadlineMs: 20_000 } as const;
const NOWHERE = everywhere("http://collector:4318/");

Deno.test("E10 a request is OTLP protobuf on its signal's own path, and its sender is named", async () => {
  await using collector = await startCollector();
  const transport = new HttpTransport({ endpoints: collector.endpoints });
  for (const signal of ["traces", "metrics", "logs"] as const) {
    assert.equal((await transport.send(requestOf(signal, 2), { ...OPTIONS, signal })).status, "delivered");
  }
  await transport.close();
  assert.deepEqual(collector.items, { traces: 2, metrics: 2, logs: 2 });
  for (const { headers } of collector.requests) {
    assert.equal(headers["content-type"], "application/x-protobuf");
    assert.equal(headers["user-agent"], `Breakwater/${VERSION} OTel-OTLP-Exporter-JavaScript/${VERSION}`);
    assert.equal(headers["content-encoding"], undefined);
  }
});

Deno.test("The version that is told is the version that is published", () => {
  const { version } = JSON.parse(readFileSync(new URL("../../../deno.json", import.meta.url), "utf8"));
  assert.equal(VERSION, version);
});

Deno.test("E9 one connection serves one request after another, also with gzip", async () => {
  await using collector = await startCollector();
  const transport = new HttpTransport({ endpoints: collector.endpoints, compression: "gzip" });
  for (let sent = 0; sent < 5; sent++) assert.equal((await transport.send(BODY, OPTIONS)).status, "delivered");
  await transport.close();
  assert.equal(collector.connectionCount, 1);
  assert.equal(collector.requests[4].headers["content-encoding"], "gzip");
  assert.deepEqual(collector.requests[4].payload, BODY);
});

Deno.test("Configured headers, headers of one send and credentials in the URL all arrive, the send's own winning", async () => {
  await using collector = await startCollector();
  const url = collector.endpoints.traces.replace("http://", "http://user:p%40ss@");
  const transport = new HttpTransport({
    endpoints: { ...collector.endpoints, traces: url },
    headers: { "x-team": "harbour", "breakwater-hop": "none" },
  });
  await transport.send(BODY, { ...OPTIONS, headers: { "breakwater-hop": "a" } });
  await transport.close();
  const { headers } = collector.requests[0];
  assert.equal(headers["x-team"], "harbour");
  assert.equal(headers["breakwater-hop"], "a");
  assert.equal(headers.authorization, `Basic ${btoa("user:p@ss")}`);
});

Deno.test("Headers, compression and timeout may differ for each signal", async () => {
  await using collector = await startCollector();
  const transport = new HttpTransport({
    endpoints: collector.endpoints,
    headers: { traces: { "x-key": "t" }, metrics: { "x-key": "m" }, logs: {} },
    compression: { traces: "gzip", metrics: "none", logs: "none" },
    timeoutMs: { traces: 10_000, metrics: 10_000, logs: 1 },
  });
  for (const signal of ["traces", "metrics"] as const) {
    await transport.send(requestOf(signal, 1), { ...OPTIONS, signal });
  }
  collector.hang({ signal: "logs" });
  const answer = await transport.send(requestOf("logs", 1), { ...OPTIONS, signal: "logs" });
  assert.match(answer.message, /did not answer within 1 ms/);
  await transport.close();
  const seen = collector.requests.slice(0, 2).map(({ headers }) => [headers["x-key"], headers["content-encoding"]]);
  assert.deepEqual(seen, [["t", "gzip"], ["m", undefined]]);
});

Deno.test("A body in shared memory is copied, so that what is sent cannot change on the way", async () => {
  await using collector = await startCollector();
  for (const compression of ["none", "gzip"] as const) {
    const shared = new Uint8Array(new SharedArrayBuffer(BODY.length + 4), 2, BODY.length);
    shared.set(BODY);
    const transport = new HttpTransport({ endpoints: collector.endpoints, compression });
    const sending = transport.send(shared, OPTIONS);
    shared.fill(0xff);
    assert.equal((await sending).status, "delivered");
    await transport.close();
  }
  assert.deepEqual(collector.requests.map(({ payload }) => payload), [BODY, BODY]);
});

Deno.test("A redirect is not followed: credentials would go with it", async () => {
  await using other = await startCollector();
  await using collector = await startCollector();
  collector.respond(307, { headers: { location: other.endpoints.traces } });
  const transport = new HttpTransport({ endpoints: collector.endpoints, headers: { authorization: "Bearer secret" } });
  assert.equal((await transport.send(BODY, OPTIONS)).status, "misconfigured");
  await transport.close();
  assert.equal(other.requests.length, 0);
});

Deno.test("E5 a refused connection is retryable and nobody has the data; a cut one may have delivered it", async () => {
  await using collector = await startCollector();
  const transport = new HttpTransport({ endpoints: collector.endpoints });
  const host = new URL(collector.url).host;

  collector.disconnect();
  const cut = await transport.send(BODY, OPTIONS);
  assert.deepEqual(essence(cut), { status: "retryable", reason: "export_failed", answerLost: true });
  assert.ok(cut.message.startsWith(`${host} broke off without an answer: `), cut.message);

  await collector.refuse();
  const refused = await transport.send(BODY, OPTIONS);
  assert.deepEqual(essence(refused), { status: "retryable", reason: "export_failed", answerLost: false });
  assert.ok(refused.message.startsWith(`${host} cannot be reached: `), refused.message);
  assert.match(refused.message, /refused/i);

  await collector.recover();
  assert.equal((await transport.send(BODY, OPTIONS)).status, "delivered");
  await transport.close();
});

Deno.test("E5 a server that speaks no TLS is retryable, and never got the data", async () => {
  await using collector = await startCollector();
  const url = `${collector.url.replace("http:", "https:")}/?token=s3cr3t`;
  const transport = new HttpTransport({ endpoints: everywhere(url) });
  const answer = await transport.send(BODY, OPTIONS);
  assert.deepEqual(essence(answer), { status: "retryable", reason: "export_failed", answerLost: false });
  assert.doesNotMatch(answer.message, /s3cr3t/);
  await transport.close();
});

Deno.test("A connection that died while it was kept alive is an answer or a delivery, never an exception", async () => {
  await using collector = await startCollector();
  const transport = new HttpTransport({ endpoints: collector.endpoints });
  for (let death = 0; death < 10; death++) {
    assert.equal((await transport.send(BODY, OPTIONS)).status, "delivered");
    await collector.refuse();
    await collector.recover();
    const answer = await transport.send(BODY, OPTIONS);
    assert.ok(answer.status === "delivered" || answer.status === "retryable", answer.message);
  }
  await transport.close();
});

Deno.test("A hung backend costs the attempt's timeout and no more, and may have the data", async () => {
  await using collector = await startCollector();
  const transport = new HttpTransport({ endpoints: collector.endpoints, timeoutMs: 20 });
  collector.hang();
  const answer = await transport.send(BODY, OPTIONS);
  assert.deepEqual(essence(answer), { status: "retryable", reason: "deadline", answerLost: true });
  await transport.close();
});

Deno.test("A 2xx whose body hangs was delivered: the timeout covers the body and costs its details only", async () => {
  const silent = new ReadableStream({ pull: () => new Promise<void>(() => {}) });
  const fetch = () => Promise.resolve(new Response(silent, { status: 200 }));
  const transport = new HttpTransport({ endpoints: NOWHERE, fetch, timeoutMs: 20 });
  const answer = await transport.send(BODY, OPTIONS);
  assert.equal(answer.status, "delivered");
  assert.match(answer.message, /accepted the request, but its answer broke off/);
});

Deno.test("A backend that hangs in the middle of its answer leaves nothing behind", async () => {
  await using collector = await startCollector();
  const transport = new HttpTransport({ endpoints: collector.endpoints, timeoutMs: 50 });
  collector.hang({ duringBody: true });
  // Which of the two depends on whether its first half was here in time.
  assert.match((await transport.send(BODY, OPTIONS)).status, /^(delivered|retryable)$/);
  await transport.close();
});

Deno.test("Bytes that are no HTTP are retryable", async () => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.end("220 smtp.example.com ESMTP\r\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { readonly port: number };
  const transport = new HttpTransport({ endpoints: everywhere(`http://127.0.0.1:${port}/`) });
  assert.deepEqual(essence(await transport.send(BODY, OPTIONS)), {
    status: "retryable",
    reason: "export_failed",
    answerLost: true,
  });
  await transport.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

Deno.test("E4 a request over 64 MiB is not sent, and neither is one that compression makes larger than that", async () => {
  let sent = 0;
  const fetch = () => {
    sent++;
    return Promise.resolve(new Response());
  };
  const plain = new HttpTransport({ endpoints: NOWHERE, fetch });
  const over = await plain.send(new Uint8Array(67_108_865), OPTIONS);
  assert.equal(over.status, "too_large");
  assert.match(over.message, /67108865 bytes/);
  assert.equal(sent, 0);

  const largest = noise(67_108_864);
  assert.equal((await plain.send(largest, OPTIONS)).status, "delivered");
  const gzip = new HttpTransport({ endpoints: NOWHERE, fetch, compression: "gzip" });
  assert.equal((await gzip.send(largest, OPTIONS)).status, "too_large");
  assert.equal(sent, 1);
});

Deno.test("E4 an answer is read up to its limit and no further: a 2xx stays delivered, a 503 stays retryable", async () => {
  for (const [status, expected] of [[200, "delivered"], [503, "retryable"]] as const) {
    let chunkCount = 0;
    let cancelled = false;
    const long = new ReadableStream({
      pull: (controller) => {
        chunkCount++;
        if (chunkCount > 100) controller.close();
        else controller.enqueue(new Uint8Array(1_000));
      },
      cancel: () => {
        cancelled = true;
      },
    });
    const fetch = () => Promise.resolve(new Response(long, { status }));
    const transport = new HttpTransport({ endpoints: NOWHERE, fetch, responseBytesMax: 10_000 });
    const answer = await transport.send(BODY, OPTIONS);
    assert.equal(answer.status, expected);
    if (status === 200) assert.match(answer.message, /its answer is larger than 10000 bytes/);
    assert.ok(chunkCount <= 13, `${chunkCount} chunks were read`);
    assert.ok(cancelled);
  }
});

Deno.test("Even a fetch that heeds no signal cannot hold up a send or a close", async () => {
  const fetch = () => new Promise<Response>(() => {});
  const transport = new HttpTransport({ endpoints: NOWHERE, fetch, timeoutMs: 5 });
  assert.equal((await transport.send(BODY, OPTIONS)).status, "retryable");
  const slow = new HttpTransport({ endpoints: NOWHERE, fetch });
  const sending = slow.send(BODY, OPTIONS);
  await slow.close();
  assert.deepEqual(essence(await sending), { status: "retryable", reason: "shutdown", answerLost: true });
});

Deno.test("Whatever a backend or a fetch does, a send resolves to an answer of the closed set", async () => {
  const thrown = fc.anything({ maxDepth: 2 });
  const response = fc.record({
    status: fc.integer({ min: 200, max: 599 }),
    contentType: fc.constantFrom("application/x-protobuf", "application/json", "text/plain", "", "Application/JSON; x"),
    retryAfter: fc.oneof(fc.string({ unit: "grapheme-ascii" }), fc.nat().map(String)),
    body: fc.uint8Array({ size: "max", maxLength: 300 }),
    breaksOff: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.oneof({ weight: 3, arbitrary: response }, thrown.map((error) => ({ error }))),
      async (script) => {
        const fetch = (): Promise<Response> => {
          if ("error" in script) return Promise.reject(script.error);
          const bodiless = [204, 205, 304].includes(script.status);
          const stream = new ReadableStream({
            start: (controller) => {
              controller.enqueue(script.body);
              if (script.breaksOff) controller.error(new Error("reset"));
              else controller.close();
            },
          });
          const headers = { "content-type": script.contentType, "retry-after": script.retryAfter };
          return Promise.resolve(new Response(bodiless ? null : stream, { status: script.status, headers }));
        };
        const transport = new HttpTransport({ endpoints: NOWHERE, fetch });
        const answer = await transport.send(BODY, OPTIONS);
        assert.equal(typeof answer.message, "string");
        if (answer.status === "delivered") {
          assert.ok(Number.isInteger(answer.rejectedCount) && answer.rejectedCount >= 0 && answer.rejectedCount <= 3);
        } else {
          assert.match(answer.reason, /^(http_\d{3}|export_failed|too_large|unsupported)$/);
        }
      },
    ),
    { numRuns: 500 },
  );
});

// deno-fmt-ignore
const refused: [string, HttpTransportOptions, typeof TypeError | typeof RangeError, RegExp][] = [
  ["an endpoint that is no URL",     { endpoints: everywhere("user:hunter22@host") },                 TypeError,  /"endpoints.traces" must be an http: or https: URL$/],
  ["an endpoint of another scheme",  { endpoints: everywhere("ftp://user:hunter22@host/") },          TypeError,  /"endpoints.traces" must be/],
  ["a header that HTTP forbids",     { endpoints: NOWHERE, headers: { "x-a": "hunter22\r\nx-b: 1" } }, TypeError, /header "x-a" has a name or value/],
  ["a timeout out of range",         { endpoints: NOWHERE, timeoutMs: 0 },                            RangeError, /"timeoutMs" must be an integer from 1 to 86400000, received 0$/],
  ["another compression",            { endpoints: NOWHERE, compression: "zstd" as "gzip" },           TypeError,  /"compression" must be "none" or "gzip", received "zstd"$/],
  ["a status that is no error",      { endpoints: NOWHERE, retryableStatuses: [200] },                RangeError, /"retryableStatuses" must be integers from 400 to 599, received 200$/],
];
for (const [what, options, kind, message] of refused) {
  Deno.test(`A transport is not created with ${what}, and the message holds no secret`, () => {
    assert.throws(() => new HttpTransport(options), (error: Error) => {
      assert.ok(error instanceof kind);
      assert.match(error.message, message);
      assert.ok(error.message.startsWith("Cannot create HTTP transport: "));
      assert.doesNotMatch(error.message, /hunter22/);
      return true;
    });
  });
}

function everywhere(url: string): HttpTransportOptions["endpoints"] {
  return { traces: url, metrics: url, logs: url };
}

/** Bytes that gzip can only make longer: they repeat farther apart than it looks back. */
function noise(bytes: number): Uint8Array<ArrayBuffer> {
  const block = crypto.getRandomValues(new Uint8Array(65_536));
  const whole = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += block.length) whole.set(block, at);
  return whole;
}

function essence(answer: SendAnswer): unknown {
  assert.equal(answer.status, "retryable");
  const { status, reason, answerLost } = answer as SendAnswer & { status: "retryable" };
  return { status, reason, answerLost };
}
