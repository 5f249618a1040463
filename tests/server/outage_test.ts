/** A server between senders and an upstream that is not as it should be: what else is on the way does not notice. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { CircuitBreakerSpanExporter } from "../../exporters/mod.ts";
import type { Signal } from "../../exporters/signal.ts";
import { type Collector, startCollector } from "../../exporters/testing/collector.ts";
import type { RunningServer } from "../../server/mod.ts";
import { FakeClock } from "../fakes/clock.ts";
import { requestOf } from "../fakes/otlp_bytes.ts";
import { health, started, until } from "../fakes/running_server.ts";
import { traces, tracesOf } from "./receiver_fixture.ts";

for (const metricsCome of ["before the first span", "after the first span"] as const) {
  Deno.test(`a traces-only upstream, asked for metrics and logs ${metricsCome}, delays and loses no span`, async () => {
    await using collector = await startCollector();
    for (const signal of ["metrics", "logs"] as const) collector.respond(404, { signal });
    const clock = new FakeClock();
    // The first 404 opens a circuit, which must not be that of the spans.
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, BREAKWATER_FAILURE_THRESHOLD: "1" };
    await using server = await started(env, { clock, sleep: clock.sleep });
    const others = async () => {
      for (const signal of ["metrics", "logs"] as const) await send(server, signal, requestOf(signal, 2));
    };
    const asked = (signal: Signal) => collector.requests.some((request) => request.signal === signal);

    if (metricsCome === "before the first span") {
      await others();
      await until(() => asked("metrics") && asked("logs"));
    }
    // Time stands still: a span that has to wait for anything but its own request never arrives.
    const roundCount = 30;
    for (let round = 1; round <= roundCount; round++) {
      await send(server, "traces", traces(5));
      await until(() => collector.items.traces === 5 * round);
      await others();
      if (round === 10) await until(() => asked("metrics") && asked("logs"));
    }

    const otherCount = 2 * (roundCount + (metricsCome === "before the first span" ? 1 : 0));
    await until(async () => (await health(server)).body.queue.items === 0, () => clock.advance(1000));
    assert.equal((await health(server)).status, 200, "an upstream without metrics is not ill");
    const { balanced, equations } = await server.drain();
    assert.ok(balanced, equations.join("\n"));
    assert.deepEqual(collector.items, { traces: 5 * roundCount, metrics: 0, logs: 0 });
    const text = equations.join("\n");
    assert.match(text, new RegExp(`^traces -> upstream .*delivered ${5 * roundCount} \\+ rejected 0`, "m"));
    for (const signal of ["metrics", "logs"]) {
      assert.match(
        text,
        new RegExp(`^${signal} -> upstream .*rejected ${otherCount} \\(unsupported ${otherCount}\\)`, "m"),
      );
    }
  });
}

const isPoison = (payload: Uint8Array) => Buffer.from(payload).includes("poison");
/** Beginning to end, parked records included; what is behind the poison must be through in half of it. */
const POISON_MS_MAX = 60_000;

const chokes: readonly [how: string, script: (collector: Collector) => void, reason: string][] = [
  ["answers 503 to it", (collector) => collector.respond(503, { when: isPoison }), "http_503"],
  ["cuts the connection on it", (collector) => collector.disconnect({ when: isPoison }), "export_failed"],
];
for (const [how, script, reason] of chokes) {
  for (const traffic of ["before it and behind it, all at once", "that goes on"] as const) {
    Deno.test(`a poison record does not stop its lane: the upstream ${how} and gets the traffic ${traffic}`, async () => {
      await using collector = await startCollector();
      script(collector);
      const clock = new FakeClock();
      const env = {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        BREAKWATER_COOLDOWN_MS: "100",
        BREAKWATER_COOLDOWN_MAX_MS: "200",
      };
      await using server = await started(env, { clock, sleep: clock.sleep });
      const poison = tracesOf([{ traceId: "f".repeat(32), spanId: "f".repeat(16), name: "poison" }]);
      let goodCount = 0;
      const sendGood = async () => {
        await send(server, "traces", traces(3));
        goodCount += 3;
      };

      for (let request = 0; request < 10; request++) await sendGood();
      await send(server, "traces", poison);
      for (let request = 0; request < 10; request++) await sendGood();
      if (traffic === "that goes on") {
        for (let step = 0; step < 50; step++) {
          await sendGood();
          await clock.advance(100);
        }
      }
      const move = () => clock.advance(100);
      await until(async () => (await health(server)).body.queue.items <= 1, move);
      assert.equal(collector.items.traces, goodCount, "all that is good has arrived");
      assert.ok(clock.nowMs() <= POISON_MS_MAX / 2, `it took ${clock.nowMs()} ms`);

      await until(async () => (await health(server)).body.queue.items === 0, move);
      assert.ok(clock.nowMs() <= POISON_MS_MAX, `it took ${clock.nowMs()} ms`);
      const { balanced, equations } = await server.drain();
      assert.ok(balanced, equations.join("\n"));
      assert.match(equations.join("\n"), new RegExp(`delivered ${goodCount} \\+ rejected 1 \\(${reason} 1\\)`));
      assert.equal(collector.items.traces, goodCount);
    });
  }
}

Deno.test("P1-14 the application's own requests take as long with a dead, a hung and no backend, and no span is lost to one that returns", async () => {
  await using collector = await startCollector();
  await using server = await started({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    BREAKWATER_FAILURE_THRESHOLD: "1",
    BREAKWATER_COOLDOWN_MS: "50",
    BREAKWATER_COOLDOWN_MAX_MS: "100",
    OTEL_EXPORTER_OTLP_TIMEOUT: "300",
  });
  await using application = new Application(server.otlpUrl!);
  const outages: [what: string, begin: () => Promise<void> | void][] = [
    ["dead", () => collector.refuse()],
    ["hung", () => collector.recover().then(() => collector.hang())],
    ["back", () => collector.recover()],
  ];
  const healthy = await application.serve();
  for (const [what, begin] of outages) {
    await begin();
    assertUnaffected(await application.serve(), healthy, what);
  }
  await application.flush();
  await until(() => application.exporter.account.delivered === application.requestCount);
  await until(() => collector.items.traces >= application.requestCount);
  assert.equal(application.exporter.account.accepted, application.requestCount);
  const { balanced, equations } = await server.drain();
  assert.ok(balanced, equations.join("\n"));
  assert.match(equations.join("\n"), new RegExp(`delivered ${application.requestCount} `));

  // Nobody listens any more.
  assertUnaffected(await application.serve(), healthy, "absent");
  await until(() => application.exporter.breaker.state === "open");
  assertUnaffected(await application.serve(), healthy, "absent, and known to be");
  await application.flush();
  assert.ok(application.exporter.breaker.counters.refused > 0);
});

Deno.test("P1-14 a server without an upstream takes what an application sends, and its requests are not affected", async () => {
  await using server = await started({});
  await using application = new Application(server.otlpUrl!);
  const alone = await application.serve();
  await application.flush();
  assertUnaffected(await application.serve(), alone, "without an upstream");
  await application.flush();
  await until(() => application.exporter.account.delivered === application.requestCount);
});

/** Requests of one situation: a median needs no more, and each is a chance to be caught waiting. */
const REQUESTS_PER_SITUATION = 100;
/** A machine that does other things takes this much longer now and then; a request that waits for an export takes the timeout. */
const PAUSE_MS_MAX = 2_000;
const EXPORT_TIMEOUT_MS = 3_000;

/** An HTTP service, each request of which makes a span, on the stock SDK with a wrapped stock exporter. */
class Application implements AsyncDisposable {
  readonly exporter: CircuitBreakerSpanExporter;
  requestCount = 0;
  readonly #provider: BasicTracerProvider;
  readonly #service: Deno.HttpServer<Deno.NetAddr>;

  constructor(otlpUrl: string) {
    const inner = new OTLPTraceExporter({ url: `${otlpUrl}/v1/traces`, timeoutMillis: EXPORT_TIMEOUT_MS });
    this.exporter = new CircuitBreakerSpanExporter(inner, {
      exportTimeoutMs: EXPORT_TIMEOUT_MS,
      failureThreshold: 1,
      probeEveryNth: 0, // Every batch is refused once the circuit is open.
    });
    const processor = new BatchSpanProcessor(this.exporter, { scheduledDelayMillis: 20, maxExportBatchSize: 10 });
    this.#provider = new BasicTracerProvider({ spanProcessors: [processor] });
    const tracer = this.#provider.getTracer("application");
    this.#service = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () => {
      tracer.startSpan("request").end();
      return new Response("served");
    });
  }

  /** Is asked again and again while exports go on in the background. @returns How long each request took, in milliseconds. */
  async serve(): Promise<readonly number[]> {
    const tookMs: number[] = [];
    for (let request = 0; request < REQUESTS_PER_SITUATION; request++) {
      const startedAtMs = performance.now();
      const response = await fetch(`http://127.0.0.1:${this.#service.addr.port}/`);
      assert.equal(await response.text(), "served");
      tookMs.push(performance.now() - startedAtMs);
      this.requestCount++;
    }
    return tookMs;
  }

  async flush(): Promise<void> {
    await this.#provider.forceFlush().catch(() => {}); // A failed flush is the backend's affair.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service.shutdown();
    await this.#provider.shutdown().catch(() => {});
  }
}

function assertUnaffected(tookMs: readonly number[], healthyMs: readonly number[], what: string): void {
  const slowest = Math.max(...tookMs);
  assert.ok(slowest < PAUSE_MS_MAX, `${what}: one request took ${slowest} ms`);
  const [median, usual] = [medianOf(tookMs), medianOf(healthyMs)];
  assert.ok(median < 5 * usual + 5, `${what}: requests took ${median} ms instead of ${usual} ms`);
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

async function send(server: RunningServer, signal: Signal, body: Uint8Array<ArrayBuffer>): Promise<void> {
  const headers = { "content-type": "application/x-protobuf" };
  const response = await fetch(`${server.otlpUrl}/v1/${signal}`, { method: "POST", headers, body });
  await response.body?.cancel();
  assert.equal(response.status, 200);
}
