/** The HTTP column of the answer table, row by row: what a status means for the data, and what the circuit is told. */

import assert from "node:assert/strict";
import type { Outcome } from "../../../core/breaker.ts";
import type { Signal } from "../../../exporters/signal.ts";
import { outcomeOf } from "../../../exporters/transport/breaker.ts";
import { HttpTransport, type HttpTransportOptions } from "../../../exporters/transport/http.ts";
import type { SendAnswer } from "../../../exporters/transport/transport.ts";
import { concat, field, varintField } from "../../fakes/otlp_bytes.ts";

const ENDPOINTS = {
  traces: "http://collector:4318/v1/traces",
  metrics: "http://collector:4318/v1/metrics",
  logs: "http://collector:4318/v1/logs",
};
const AFTER_7_S = { "retry-after": "7" };
const THROTTLED: Outcome = { throttledMs: 7_000 };

interface Row {
  readonly title: string;
  readonly statuses: readonly number[];
  readonly headers?: Record<string, string>;
  readonly succeeded?: readonly Signal[];
  readonly options?: Partial<HttpTransportOptions>;
  readonly answer: (status: number) => Partial<Record<string, unknown>>;
  readonly outcome: Outcome;
}

const rows: readonly Row[] = [
  {
    title: "2xx is delivered",
    statuses: [200, 202, 204, 299],
    answer: () => ({ status: "delivered", rejectedCount: 0, message: "" }),
    outcome: "success",
  },
  {
    title: "E6 429 with Retry-After throttles this signal alone",
    statuses: [429],
    headers: AFTER_7_S,
    answer: () => ({ status: "throttled", reason: "http_429", retryAfterMs: 7_000, wholeDestination: false }),
    outcome: THROTTLED,
  },
  {
    title: "E6 503 with Retry-After throttles the whole destination",
    statuses: [503],
    headers: AFTER_7_S,
    answer: () => ({ status: "throttled", reason: "http_503", retryAfterMs: 7_000, wholeDestination: true }),
    outcome: THROTTLED,
  },
  {
    title: "E5 429, 502, 503 and 504 are sent again",
    statuses: [429, 502, 503, 504],
    answer: (status) => ({ status: "retryable", reason: `http_${status}`, answerLost: false, retryAfterMs: undefined }),
    outcome: "failure",
  },
  {
    title: "E6 a Retry-After that cannot be read is none",
    statuses: [429, 503],
    headers: { "retry-after": "soon" },
    answer: (status) => ({ status: "retryable", reason: `http_${status}`, retryAfterMs: undefined }),
    outcome: "failure",
  },
  {
    title: "E6 Retry-After on 502 and 504 is a floor, and no throttle",
    statuses: [502, 504],
    headers: AFTER_7_S,
    answer: () => ({ status: "retryable", retryAfterMs: 7_000 }),
    outcome: "failure",
  },
  {
    title: "413 is too large",
    statuses: [413],
    answer: () => ({ status: "too_large", reason: "too_large" }),
    outcome: "ignored",
  },
  {
    title: "E5 E8 400 and other 4xx are rejected for what was sent",
    statuses: [400, 402, 406, 408, 415, 422, 499],
    answer: (status) => ({ status: "rejected", reason: `http_${status}`, backendFailed: false }),
    outcome: "ignored",
  },
  {
    title: "E5 E8 500, 501 and other 5xx are rejected, and the backend is to blame",
    statuses: [500, 501, 505, 520, 599],
    answer: (status) => ({ status: "rejected", reason: `http_${status}`, backendFailed: true }),
    outcome: "failure",
  },
  {
    title: "E5 statuses in retryableStatuses are sent again",
    statuses: [408, 500],
    options: { retryableStatuses: [408, 500] },
    answer: (status) => ({ status: "retryable", reason: `http_${status}` }),
    outcome: "failure",
  },
  {
    title: "401, 403 and redirects are misconfigured",
    statuses: [401, 403, 301, 302, 303, 304, 307, 308],
    answer: (status) => ({ status: "misconfigured", reason: `http_${status}` }),
    outcome: "failure",
  },
  {
    title: "404 and 405 are misconfigured while no signal has succeeded",
    statuses: [404, 405],
    answer: (status) => ({ status: "misconfigured", reason: `http_${status}` }),
    outcome: "failure",
  },
  {
    title: "404, 405 and 501 are unsupported once another signal has succeeded",
    statuses: [404, 405, 501],
    succeeded: ["logs"],
    answer: () => ({ status: "unsupported", reason: "unsupported" }),
    outcome: "ignored",
  },
  {
    title: "404 and 405 on the only signal that has succeeded are misconfigured: the route broke, the data is held",
    statuses: [404, 405],
    succeeded: ["traces"],
    answer: (status) => ({ status: "misconfigured", reason: `http_${status}` }),
    outcome: "failure",
  },
  {
    title: "401 and 403 stay misconfigured when another signal has succeeded",
    statuses: [401, 403],
    succeeded: ["logs", "metrics"],
    answer: () => ({ status: "misconfigured" }),
    outcome: "failure",
  },
];

for (const row of rows) {
  Deno.test(`${row.title}: ${row.statuses.join(", ")} -> circuit ${JSON.stringify(row.outcome)}`, async () => {
    for (const status of row.statuses) {
      const answer = await answerTo({ status, ...row });
      const expected = row.answer(status);
      for (const [name, value] of Object.entries(expected)) {
        assert.deepEqual((answer as Record<string, unknown>)[name], value, `${status}: ${name}`);
      }
      assert.deepEqual(outcomeOf(answer), row.outcome);
    }
  });
}

// deno-fmt-ignore
const bodies: [string, string, string | Uint8Array<ArrayBuffer>, number, string][] = [
  ["E7 rejected spans, protobuf",  "application/x-protobuf", partial(3, "no"),                        3,  "collector:4318 rejected 3 of 10 spans: no"],
  ["E7 rejected spans, JSON",      "application/json", '{"partialSuccess":{"rejectedSpans":"3"}}',    3,  "collector:4318 rejected 3 of 10 spans"],
  ["E7 more than was sent",        "application/x-protobuf", partial(50, ""),                         10, "collector:4318 rejected 50 of 10 spans"],
  ["E7 fewer than none",           "application/json", '{"partialSuccess":{"rejectedSpans":-5}}',     0,  ""],
  ["a warning without rejections", "application/x-protobuf", partial(0, "old\nformat"),               0,  "collector:4318 warned: old format"],
  ["another signal's rejections",  "application/json", '{"partialSuccess":{"rejectedLogRecords":3}}', 0,  ""],
  ["an empty JSON answer",         "application/json", "{}",                                          0,  ""],
  ["an unknown field",             "application/x-protobuf", field(9, field(1, new Uint8Array())),    0,  ""],
  ["truncated protobuf",           "application/x-protobuf", partial(3, "no").slice(0, 5),            0,  "collector:4318 accepted the request, but its answer is no OTLP response"],
  ["broken JSON",                  "application/json", "{",                                           0,  "collector:4318 accepted the request, but its answer is no OTLP response"],
  ["a page for people",            "text/html", "<h1>Hello</h1>",                                     0,  "collector:4318 accepted the request, but its answer is no OTLP response"],
];
for (const [title, contentType, body, rejectedCount, message] of bodies) {
  Deno.test(`A 2xx is delivered whatever its body says: ${title}`, async () => {
    const answer = await answerTo({ status: 200, headers: { "content-type": contentType }, body });
    assert.deepEqual(answer, { status: "delivered", rejectedCount, message });
  });
}

Deno.test("An error's own words are told in one line, cut, and without our credentials", async () => {
  const body = `key s3cr3t-t0ken\r\n\x1b[31mis unknown ${"x".repeat(1_000)}`;
  const options = { headers: { authorization: "Bearer s3cr3t-t0ken" } };
  const text = await answerTo({ status: 400, headers: { "content-type": "text/plain" }, body, options });
  assert.ok(text.message.startsWith("collector:4318 answered 400: key *** [31mis unknown xxx"), text.message);
  assert.ok(text.message.length < 600);

  const unnamed = await answerTo({ status: 400, body: new TextEncoder().encode("no such tenant") });
  assert.equal(unnamed.message, "collector:4318 answered 400: no such tenant");
  const status = field(2, new TextEncoder().encode("bad span"));
  const protobuf = await answerTo({ status: 400, headers: { "content-type": "application/x-protobuf" }, body: status });
  assert.equal(protobuf.message, "collector:4318 answered 400: bad span");
  const json = await answerTo({
    status: 500,
    headers: { "content-type": "application/json" },
    body: '{"message":"oh"}',
  });
  assert.equal(json.message, "collector:4318 answered 500: oh");
});

Deno.test("A redirect's message says where it leads to, without path and query", async () => {
  const answer = await answerTo({ status: 307, headers: { location: "https://other:1/login?token=abc" } });
  assert.equal(
    answer.message,
    "collector:4318 answered 307, a redirect to https://other:1, which is not followed",
  );
});

interface Exchange {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly succeeded?: readonly Signal[];
  readonly options?: Partial<HttpTransportOptions>;
}

/** What a new transport makes of one answer to ten spans, after those signals have been delivered. */
async function answerTo({ status, headers, body, succeeded = [], options }: Exchange): Promise<SendAnswer> {
  let next = new Response(null, { status: 200 });
  const fetch = () => Promise.resolve(next);
  const transport = new HttpTransport({ endpoints: ENDPOINTS, fetch, ...options });
  for (const signal of succeeded) {
    await transport.send(new Uint8Array(), { signal, itemCount: 1, deadlineMs: 1_000 });
    next = new Response(null, { status: 200 });
  }
  const isNull = status === 204 || status === 304;
  next = new Response(isNull ? null : body ?? "", { status, headers });
  return await transport.send(new Uint8Array(), { signal: "traces", itemCount: 10, deadlineMs: 1_000 });
}

function partial(rejectedCount: number, message: string): Uint8Array<ArrayBuffer> {
  return field(1, concat([varintField(1, rejectedCount), field(2, new TextEncoder().encode(message))]));
}
