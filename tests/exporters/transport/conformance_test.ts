/** What every transport promises, run over each of them and over the whole chain. */

import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { BreakerTransport } from "../../../exporters/transport/breaker.ts";
import { HttpTransport } from "../../../exporters/transport/http.ts";
import { otlpTransport } from "../../../exporters/transport/otlp_transport.ts";
import { RetryTransport } from "../../../exporters/transport/retry.ts";
import type { SendAnswer, SendOptions, Transport } from "../../../exporters/transport/transport.ts";

const BODY = new Uint8Array([1, 2, 3]);
const OPTIONS: SendOptions = { signal: "traces", itemCount: 3, deadlineMs: 5_000 };
const URL_OF_ALL = "http://collector:4318/";
const ENDPOINTS = { traces: URL_OF_ALL, metrics: URL_OF_ALL, logs: URL_OF_ALL };
const STATUSES = new Set([
  "delivered",
  "throttled",
  "retryable",
  "rejected",
  "too_large",
  "misconfigured",
  "unsupported",
]);

/** Waits take no time: how long they are stands in retry_test.ts. */
const IMPATIENT = { initialBackoffMs: 1, sleep: () => Promise.resolve() };

type Fetch = typeof globalThis.fetch;

const makers: Readonly<Record<string, (fetch: Fetch) => Transport>> = {
  "http": http,
  "http with gzip": (fetch) => http(fetch, "gzip"),
  "breaker(http)": (fetch) => new BreakerTransport(http(fetch), open()),
  "retry(http)": (fetch) => new RetryTransport(http(fetch), IMPATIENT),
  "otlpTransport": (fetch) => otlpTransport({ endpoints: ENDPOINTS, fetch, ...IMPATIENT, circuit: { cooldownMs: 1 } }),
  "retry(breaker(http))": (fetch) => new RetryTransport(new BreakerTransport(http(fetch), open()), IMPATIENT),
};

for (const [name, make] of Object.entries(makers)) {
  Deno.test(`${name}: what the backend takes is delivered, and a close may follow a close`, async () => {
    const transport = make(healthy);
    assert.deepEqual(await transport.send(BODY, OPTIONS), { status: "delivered", rejectedCount: 0, message: "" });
    await Promise.all([transport.close(), transport.close()]);
    await transport.close();
  });

  Deno.test(`${name}: a body in parts arrives as one`, async () => {
    const bodies: Uint8Array[] = [];
    const transport = make((_url, init) => {
      bodies.push(received(init));
      return Promise.resolve(new Response());
    });
    for (const body of [BODY, [BODY], [BODY.subarray(0, 1), new Uint8Array(), BODY.subarray(1)], []]) {
      assert.equal((await transport.send(body, OPTIONS)).status, "delivered");
    }
    assert.deepEqual(bodies, [BODY, BODY, BODY, new Uint8Array()]);
    await transport.close();
  });

  Deno.test(`${name}: a backend that never answers costs the deadline, and the data is kept`, async () => {
    const transport = make(silent);
    const answer = await transport.send(BODY, { ...OPTIONS, deadlineMs: 20 });
    assert.equal(answer.status, "retryable");
    await transport.close();
  });

  for (const deadlineMs of [0, -1, Number.NaN]) {
    Deno.test(`${name}: a deadline of ${deadlineMs} sends nothing and keeps the data`, async () => {
      let sent = 0;
      const transport = make(() => {
        sent++;
        return healthy();
      });
      const answer = await transport.send(BODY, { ...OPTIONS, deadlineMs });
      assert.deepEqual(reasonOf(answer), ["retryable", "deadline"]);
      assert.equal(sent, 0);
      await transport.close();
    });
  }

  Deno.test(`${name}: E8 an abort, before or during a send, is answered as a shutdown`, async () => {
    const transport = make(silent);
    const before = await transport.send(BODY, { ...OPTIONS, abort: AbortSignal.abort() });
    assert.deepEqual(reasonOf(before), ["retryable", "shutdown"]);
    const controller = new AbortController();
    const sending = transport.send(BODY, { ...OPTIONS, abort: controller.signal });
    controller.abort();
    assert.deepEqual(reasonOf(await sending), ["retryable", "shutdown"]);
    await transport.close();
  });

  Deno.test(`${name}: E8 a close ends what is in flight, and what comes after it`, async () => {
    const transport = make(silent);
    const sends = [transport.send(BODY, OPTIONS), transport.send(BODY, { ...OPTIONS, signal: "logs" })];
    await transport.close();
    for (const answer of await Promise.all(sends)) assert.deepEqual(reasonOf(answer), ["retryable", "shutdown"]);
    assert.deepEqual(reasonOf(await transport.send(BODY, OPTIONS)), ["retryable", "shutdown"]);
  });

  Deno.test(`${name}: whatever it is given and whatever fetch does, it resolves to an answer`, async () => {
    const body = fc.oneof(fc.uint8Array({ size: "max", maxLength: 100 }), fc.constant(null));
    const options = fc.record({
      signal: fc.constantFrom("traces", "metrics", "logs", "profiles", ""),
      itemCount: fc.oneof(fc.nat(), fc.double()),
      deadlineMs: fc.constantFrom(3, 0, -1, Number.NaN),
      headers: fc.option(fc.dictionary(fc.string(), fc.string()), { nil: undefined }),
    });
    const behaviour = fc.constantFrom<Fetch>(
      healthy,
      () => Promise.reject(new TypeError("reset")),
      () => Promise.reject(undefined),
      () => {
        throw new Error("not even a promise");
      },
      () => Promise.resolve({ status: 200 } as Response),
      () => Promise.resolve(new Response("?", { status: 503, headers: { "retry-after": "0" } })),
    );
    await fc.assert(
      fc.asyncProperty(body, options, behaviour, async (body, options, fetch) => {
        const transport = make(fetch);
        const answer = await transport.send(body as Uint8Array, options as SendOptions);
        assert.ok(STATUSES.has(answer.status));
        await transport.close();
      }),
      { numRuns: 100 },
    );
  });
}

function received({ body, headers }: RequestInit = {}): Uint8Array {
  assert.ok(body instanceof Uint8Array, "a fetch may not know what parts are");
  return new Headers(headers).get("content-encoding") === "gzip" ? new Uint8Array(gunzipSync(body)) : body;
}

function http(fetch: Fetch, compression: "none" | "gzip" = "none"): Transport {
  return new HttpTransport({ endpoints: ENDPOINTS, fetch, compression });
}

/** A circuit that lets everything pass. */
function open() {
  return { acquire: () => 0, record: () => {}, retryAfterMs: 0, state: "closed" } as const;
}

function healthy(): Promise<Response> {
  return Promise.resolve(new Response());
}

/** As a real fetch to a backend that never answers: it ends by its signal alone. */
function silent(_url: unknown, init?: RequestInit): Promise<Response> {
  const { signal } = init!;
  return new Promise((_, reject) => signal!.addEventListener("abort", () => reject(signal!.reason), { once: true }));
}

function reasonOf(answer: SendAnswer): [string, string] {
  return [answer.status, "reason" in answer ? answer.reason : ""];
}
