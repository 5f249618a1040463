import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { connect as connectHttp2 } from "node:http2";
import { gzipSync } from "node:zlib";
import { decodeStatus } from "../../exporters/otlp/status.ts";
import { JSON_CONTAINERS_MAX } from "../../server/json_weight.ts";
import { JSON_TYPE, PROTOBUF, Receiving, span, traces, tracesJson, until } from "./receiver_fixture.ts";

const SPAN = traces(1);
const GZIP = { "content-encoding": "gzip" };

/** A body that says "gzip" and is not, or not quite. */
const BAD_GZIP: Readonly<Record<string, Uint8Array>> = {
  "not gzip at all": Buffer.from("this is not gzip"),
  "nothing": new Uint8Array(0),
  "a zlib header": Uint8Array.of(0x78, 0x9c, 0x01, 0x00),
  "truncated": gzipSync(SPAN).subarray(0, -12),
  "garbage behind it": Buffer.concat([gzipSync(SPAN), Buffer.from("garbage")]),
  "a second member that is cut off": Buffer.concat([gzipSync(SPAN), gzipSync(SPAN).subarray(0, 15)]),
  "a wrong checksum": flipped(gzipSync(SPAN), -5),
  "a wrong length": flipped(gzipSync(SPAN), -1),
};

interface BadRequest {
  readonly title: string;
  readonly method?: string;
  readonly path?: string;
  readonly body?: Uint8Array | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
  readonly encoding: "protobuf" | "json";
  readonly message: RegExp;
}

const json = { "content-type": JSON_TYPE };

const BAD: readonly BadRequest[] = [
  { title: "R1 R8 an unknown path", path: "/v1/spans", status: 404, encoding: "json", message: /\/v1\/traces/ },
  { title: "R1 R8 a path with a slash too many", path: "/v1/traces/", status: 404, encoding: "json", message: /path/ },
  { title: "R2 R8 PUT", method: "PUT", status: 405, encoding: "json", message: /POST/ },
  { title: "R2 R8 DELETE", method: "DELETE", status: 405, encoding: "json", message: /POST/ },
  {
    title: "R2 R8 a content type of nobody's",
    headers: { "content-type": "text/plain" },
    status: 415,
    encoding: "json",
    message: /application\/json/,
  },
  {
    title: "R2 R8 no content type",
    headers: { "content-type": "" },
    status: 415,
    encoding: "json",
    message: /application\/x-protobuf/,
  },
  {
    title: "gRPC over HTTP/1.1",
    headers: { "content-type": "application/grpc+proto" },
    status: 415,
    encoding: "json",
    message: /4317/,
  },
  {
    title: "R3 R8 an unknown content encoding",
    headers: { "content-encoding": "br" },
    status: 415,
    encoding: "protobuf",
    message: /gzip/,
  },
  {
    title: "R3 R8 two content encodings",
    headers: { "content-encoding": "gzip, gzip" },
    status: 415,
    encoding: "protobuf",
    message: /gzip/,
  },
  ...Object.entries(BAD_GZIP).map(([what, body]): BadRequest => (
    { title: `R3 R9 gzip that is ${what}`, body, headers: GZIP, status: 400, encoding: "protobuf", message: /gzip/ }
  )),
  {
    title: "R9 R14 garbage for protobuf",
    body: "garbage, not protobuf",
    status: 400,
    encoding: "protobuf",
    message: /Cannot decode OTLP/,
  },
  {
    title: "R9 R14 truncated protobuf",
    body: SPAN.subarray(0, -3),
    status: 400,
    encoding: "protobuf",
    message: /at byte/,
  },
  {
    title: "R14 a varint that does not end",
    body: Uint8Array.of(0x78, ...Array(11).fill(0xff)),
    status: 400,
    encoding: "protobuf",
    message: /varint/,
  },
  {
    title: "R14 a protobuf group",
    body: Uint8Array.of(0x0b, 0x0c),
    status: 400,
    encoding: "protobuf",
    message: /group/,
  },
  {
    title: "R9 JSON for protobuf",
    body: tracesJson([span(0)]),
    status: 400,
    encoding: "protobuf",
    message: /Cannot decode OTLP/,
  },
  {
    title: "R9 R11 protobuf for JSON",
    body: SPAN,
    headers: json,
    status: 400,
    encoding: "json",
    message: /JSON|UTF-8/,
  },
  {
    title: "R9 R11 half a JSON",
    body: '{"resourceSpans":[',
    headers: json,
    status: 400,
    encoding: "json",
    message: /JSON/,
  },
  { title: "R11 JSON of another kind", body: "[]", headers: json, status: 400, encoding: "json", message: /object/ },
  {
    title: "R11 JSON that is not UTF-8",
    body: Uint8Array.of(0x7b, 0xff, 0x7d),
    headers: json,
    status: 400,
    encoding: "json",
    message: /UTF-8/,
  },
  {
    title: "R11 a wrong JSON value",
    body: tracesJson([{ kind: "SERVER" }]),
    headers: json,
    status: 400,
    encoding: "json",
    message: /kind/,
  },
  {
    title: "R11 an id in base64",
    body: tracesJson([{ traceId: "AAAA/AAAAAAAAAAAAAAAAA==" }]),
    headers: json,
    status: 400,
    encoding: "json",
    message: /traceId/,
  },
  {
    title: "R4 a body larger than the limit",
    body: new Uint8Array(2_000_001),
    status: 413,
    encoding: "protobuf",
    message: /at most 2000000 bytes/,
  },
  {
    title: "R4 R8 a JSON body larger than the limit",
    body: " ".repeat(2_000_001),
    headers: json,
    status: 413,
    encoding: "json",
    message: /at most/,
  },
  {
    title: "R4 a gzip that grows beyond the limit",
    body: gzipSync(new Uint8Array(2_000_001)),
    headers: GZIP,
    status: 413,
    encoding: "protobuf",
    message: /inflated/,
  },
];

for (
  const { title, method = "POST", path = "/v1/traces", body = SPAN, headers = {}, status, encoding, message } of BAD
) {
  Deno.test(`${title} is ${status} with a Status in ${encoding}, and the server keeps serving`, async () => {
    await using receiving = await Receiving.start({ bodyBytesMax: 2_000_000 });
    const response = await fetch(receiving.receiver.url + path, {
      method,
      body: body as BodyInit,
      headers: { "content-type": PROTOBUF, ...headers },
    });
    assert.equal(response.status, status);
    assert.equal(response.headers.get("content-type"), encoding === "json" ? JSON_TYPE : PROTOBUF);
    assert.equal(response.headers.get("allow"), status === 405 ? "POST" : null);
    const answer = decodeStatus(await response.bytes(), encoding);
    assert.match(answer?.message ?? "no Status", message);
    await assertServes(receiving);
  });
}

Deno.test("R4 a body of exactly the limit is taken, before and after inflating, and one byte more is not", async () => {
  const body = traces(3);
  await using receiving = await Receiving.start({ bodyBytesMax: body.length });
  const padded = new Uint8Array([...body, 0x08, 0x00]); // An unknown field more.
  // deno-fmt-ignore
  const cases: [Uint8Array, Record<string, string>, number][] = [
    [body, {}, 200], [gzipSync(body, { level: 9 }), GZIP, 200], [padded, {}, 413], [gzipSync(padded), GZIP, 413],
  ];
  for (const [bytes, headers, status] of cases) {
    const response = await receiving.post("/v1/traces", bytes as BodyInit, headers);
    assert.equal(response.status, status);
    await response.body?.cancel();
  }
});

Deno.test("R4 JSON of very many objects is 413 and says so, also when there is little memory free to inflate it", async () => {
  const body = gzipSync(`{"resourceLogs":[${"{},".repeat(JSON_CONTAINERS_MAX)}{}]}`);
  for (const budgetBytesMax of [256_000_000, 40_000_000]) {
    await using receiving = await Receiving.start({ budgetBytesMax });
    const response = await receiving.post("/v1/logs", body, { ...GZIP, "content-type": JSON_TYPE });
    assert.equal(response.status, 413);
    assert.match(
      decodeStatus(await response.bytes(), "json")?.message ?? "",
      /at most 2000000 JSON objects and arrays/,
    );
    assert.equal(receiving.budget.reservedBytes, 0);
    await assertServes(receiving);
  }
});

Deno.test("R4 a chunked body is counted while it is read, and refused as soon as it is too large", async () => {
  await using receiving = await Receiving.start({ bodyBytesMax: 1000 });
  const chunk = `100\r\n${"a".repeat(256)}\r\n`;
  const head = `POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: ${PROTOBUF}\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const socket = receiving.connect();
  const answer = new Promise((resolve) => socket.once("data", resolve));
  socket.write(head);
  // The body never ends, and is refused all the same.
  socket.write(chunk.repeat(4));
  assert.match(String(await answer), /^HTTP\/1\.1 413 /);
  assert.equal(receiving.budget.reservedBytes, 0);
  socket.destroy();
});

Deno.test("R4 who asks before sending a body that is too large is told at once; who may send is told so too", async () => {
  await using receiving = await Receiving.start({ bodyBytesMax: 1000 });
  const head = (bytes: number, more = "") =>
    `POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: ${PROTOBUF}\r\nContent-Length: ${bytes}\r\nExpect: 100-continue\r\n${more}\r\n`;
  const refused = await receiving.converse(head(1001));
  assert.match(refused, /^HTTP\/1\.1 413 /);
  assert.match(refused, /connection: close/i);
  const taken = await receiving.converse(head(SPAN.length, "Connection: close\r\n"), SPAN);
  assert.match(taken, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
  assert.match(
    await receiving.converse(head(1).replace("100-continue", "miracle")),
    /^HTTP\/1\.1 417 [^]*must be 100-continue/,
  );
  await assertServes(receiving);
});

Deno.test("R9 a body for which there is no memory is 503 with Retry-After, by its head or while it comes", async () => {
  await using receiving = await Receiving.start({ budgetBytesMax: 1000 });
  const chunked = new ReadableStream({
    start(controller) {
      controller.enqueue(new Uint8Array(600));
      controller.enqueue(new Uint8Array(600));
      controller.close();
    },
  });
  const response = await receiving.post("/v1/traces", chunked);
  assert.equal(response.status, 503);
  assert.equal(response.headers.get("retry-after"), "1");
  assert.equal(decodeStatus(await response.bytes(), "protobuf")?.code, 14);
  // Only the head is sent.
  const socket = receiving.connect();
  const answer = new Promise((resolve) => socket.once("data", resolve));
  socket.write(`POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: ${PROTOBUF}\r\nContent-Length: 1001\r\n\r\n`);
  assert.match(String(await answer), /^HTTP\/1\.1 503 /);
  socket.destroy();
  await assertServes(receiving);
});

Deno.test("a body that does not arrive in time is 408, however steadily it trickles, and holds nothing", async () => {
  await using receiving = await Receiving.start({ bodyReadTimeoutMs: 5000 });
  const head = `POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: ${JSON_TYPE}\r\nContent-Length: 100000\r\n\r\n`;
  const answered = receiving.converse(head, "{");
  const trickle = receiving.connect().resume();
  const ended = new Promise<void>((resolve) => trickle.on("close", () => resolve()));
  trickle.write(head);
  await until(() => receiving.budget.reservedBytes === 100_000);
  for (let second = 0; second < 4; second++) {
    trickle.write("{");
    await receiving.clock.advance(1000);
  }
  await until(() => receiving.budget.reservedBytes === 200_000);
  await receiving.clock.advance(1000);
  assert.match(await answered, /^HTTP\/1\.1 408 [^]*connection: close[^]*The body did not arrive in time/i);
  await receiving.clock.advance(5000);
  await ended;
  await assertServes(receiving);
});

Deno.test("senders that go away in the middle of a body give back their memory exactly, and nothing is counted", async () => {
  await using receiving = await Receiving.start();
  const head = `POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: ${PROTOBUF}\r\nContent-Length: 100000\r\n\r\n`;
  const sockets = Array.from({ length: 10 }, () => receiving.connect());
  for (const socket of sockets) {
    socket.write(head);
    socket.write(new Uint8Array(500));
  }
  await until(() => receiving.budget.reservedBytes === 1_000_000);
  for (const socket of sockets) socket.destroy();
  await until(() => receiving.budget.reservedBytes === 0);
  await assertServes(receiving);
});

const NOT_HTTP: readonly [string, string | Uint8Array, RegExp][] = [
  [
    "garbage",
    Uint8Array.from({ length: 300 }, (_, index) => index * 7 & 0xff),
    /^HTTP\/1\.1 400 [^]*"message":"The request is not HTTP\/1\.1\."/,
  ],
  ["a TLS handshake", Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3), /^HTTP\/1\.1 400 /],
  [
    "headers without end",
    `POST /v1/traces HTTP/1.1\r\nX: ${"a".repeat(100_000)}`,
    /^HTTP\/1\.1 431 [^]*headers are too large/,
  ],
  [
    "two lengths of one body",
    "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    /^HTTP\/1\.1 400 /,
  ],
  [
    "a length and chunks",
    "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    /^HTTP\/1\.1 400 /,
  ],
  [
    "a chunk that is none",
    `POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: ${PROTOBUF}\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n`,
    /^(HTTP\/1\.1 400 |$)/,
  ],
];
for (const [title, bytes, answer] of NOT_HTTP) {
  Deno.test(`R8 ${title} instead of HTTP is answered and the connection ended, and the server keeps serving`, async () => {
    await using receiving = await Receiving.start();
    assert.match(await receiving.converse(bytes), answer);
    await assertServes(receiving);
  });
}

Deno.test("gRPC spoken to this port is told by HTTP/2 where it is, and does not hang", async () => {
  await using receiving = await Receiving.start();
  const session = connectHttp2(receiving.receiver.url!);
  session.on("error", () => {});
  const hint = new Promise<string>((resolve) => session.on("goaway", (_code, _last, data) => resolve(String(data))));
  const stream = session.request({
    ":method": "POST",
    ":path": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {});
  const ended = new Promise<void>((resolve) => stream.on("close", () => resolve()));
  stream.end(new Uint8Array(5));
  assert.match(await hint, /OTLP\/HTTP.*4317/);
  await ended;
  session.destroy();
  await assertServes(receiving);
});

/** Whatever came before: the next good request is taken, and no memory is held. */
async function assertServes(receiving: Receiving): Promise<void> {
  const before = receiving.counts("traces");
  const response = await receiving.post("/v1/traces", SPAN);
  assert.equal(response.status, 200);
  await response.body?.cancel();
  const after = receiving.counts("traces");
  assert.equal(after.received, before.received + 1);
  assert.equal(after.accepted, before.accepted + 1);
  await until(() => receiving.budget.reservedBytes === 0);
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[copy.length + at] ^= 1;
  return copy;
}
