/**
 * What does the server cost beside the least that a gateway can do?
 *
 * Sender, gateway and sink share this machine, each in a process of its own. What counts is what arrived at the sink,
 * and the clock runs until all of it has. The two gateways take turns, so that whatever else the machine does happens
 * to both.
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { startChild } from "../demo/child.ts";
import { answer, bar, median } from "./measure.ts";

/** Spans of one request: the SDK's batch. */
const REQUEST_SPAN_COUNT = 512;

/** Requests in flight: enough to keep both cores busy, as many senders would. */
const CONCURRENCY = 8;

/** How long the sender sends before the clock runs: a gateway runs for weeks, and is compiled in its first second. */
const WARM_UP_MS = 1_000;

/** How long the sender sends in one run. */
const LOAD_MS = 2_500;

/** How long the sink may wait for the rest once the sender has ended. */
const DRAIN_BOUND_MS = 15_000;

const SINK = new URL("gateway/sink.ts", import.meta.url);
const LOAD = new URL("gateway/load.ts", import.meta.url);
const BARE_GATEWAY = new URL("gateway/bare_gateway.ts", import.meta.url);
const BREAKWATER = new URL("../server/main.ts", import.meta.url);

const QUESTION = "How many spans a second go through the server, beside the least that a gateway can do?";
const ROUND_COUNT = 5;
const RATIO_MIN = 0.85;

/** Runs the rounds, about a minute, prints the answer, and says whether the bar is met. */
export async function benchGateway(): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), "gateway-bench-"));
  try {
    const body = requestBody();
    const bodyPath = join(folder, "request.pb");
    await writeFile(bodyPath, body);
    const bare: number[] = [];
    const breakwater: number[] = [];
    for (let round = 0; round < ROUND_COUNT; round++) {
      bare.push(await spansPerSecond(body, bodyPath, (sinkUrl) => startBare(sinkUrl, join(folder, "segment"))));
      const dataDir = join(folder, `data-${round}`);
      breakwater.push(await spansPerSecond(body, bodyPath, (sinkUrl) => startBreakwater(sinkUrl, dataDir)));
    }
    answer(QUESTION, { "bare gateway": bare, "Breakwater": breakwater }, "spans/s");
    // Round by round: a machine that becomes busy half-way slows both of a round, but not both medians.
    const ratios = breakwater.map((rate, round) => rate / bare[round]);
    return bar("of the bare gateway's rate", median(ratios), "least", RATIO_MIN);
  } finally {
    await rm(folder, { recursive: true });
  }
}

type Gateway = Awaited<ReturnType<typeof startBare>>;

/** One run: a gateway is warmed up, and then measured. */
async function spansPerSecond(
  body: Uint8Array,
  bodyPath: string,
  start: (sinkUrl: string) => Promise<Gateway>,
): Promise<number> {
  await using sink = startChild(SINK, [], {});
  const sinkUrl = await firstLine(sink.stdout);
  await using gateway = await start(sinkUrl);
  const way = { body, bodyPath, sinkUrl, gatewayUrl: gateway.url };
  await carry(way, WARM_UP_MS);
  const { requestCount, elapsedMs } = await carry(way, LOAD_MS);
  return requestCount * REQUEST_SPAN_COUNT / elapsedMs * 1_000;
}

interface Way {
  readonly body: Uint8Array;
  readonly bodyPath: string;
  readonly sinkUrl: string;
  readonly gatewayUrl: string;
}

/** Load through a gateway for so long, and on until the sink has had every byte that was accepted. */
async function carry({ body, bodyPath, sinkUrl, gatewayUrl }: Way, loadMs: number) {
  const bytesBefore = await bytesAt(sinkUrl);
  const beganAtMs = performance.now();
  await using load = startChild(LOAD, [gatewayUrl, bodyPath, String(CONCURRENCY), String(loadMs)], {});
  const { accepted, elapsedMs } = JSON.parse(await firstLine(load.stdout)) as { accepted: number; elapsedMs: number };
  const loadEndedAtMs = performance.now();
  const startUpMs = loadEndedAtMs - beganAtMs - elapsedMs;
  while (await bytesAt(sinkUrl) < bytesBefore + accepted * body.length) {
    if (performance.now() - loadEndedAtMs > DRAIN_BOUND_MS) {
      throw new Error(`The sink has not had everything ${DRAIN_BOUND_MS} ms after the load ended`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return { requestCount: accepted, elapsedMs: performance.now() - beganAtMs - startUpMs };
}

async function bytesAt(sinkUrl: string): Promise<number> {
  return Number(await (await fetch(sinkUrl)).text());
}

async function startBare(sinkUrl: string, file: string) {
  const child = startChild(BARE_GATEWAY, [sinkUrl, file], {});
  return { url: await firstLine(child.stdout), [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}

async function startBreakwater(sinkUrl: string, dataDir: string) {
  const child = startChild(BREAKWATER, [], {
    OTEL_EXPORTER_OTLP_ENDPOINT: sinkUrl,
    BREAKWATER_OTLP_HTTP_LISTEN: "127.0.0.1:0",
    BREAKWATER_OTLP_GRPC_LISTEN: "off",
    BREAKWATER_ADMIN_LISTEN: "off",
    BREAKWATER_DATA_DIR: dataDir,
  });
  const ready = await firstLine(child.stdout);
  const url = /\botlp=(\S+)/.exec(ready)?.[1];
  if (url === undefined) throw new Error(`The server did not say that it is ready: ${ready}`);
  return { url, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}

async function firstLine(lines: AsyncIterable<string>): Promise<string> {
  const { value } = await lines[Symbol.asyncIterator]().next();
  if (typeof value !== "string") throw new Error("A process of the bench ended without a word");
  return value;
}

/** A typical request: 512 spans of one service, each with eight attributes and an event. */
function requestBody(): Uint8Array<ArrayBuffer> {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ "service.name": "checkout", "service.version": "1.4.2", "host.name": "web-3" }),
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  });
  const tracer = provider.getTracer("bench", "1.0.0");
  for (let index = 0; index < REQUEST_SPAN_COUNT; index++) {
    const span = tracer.startSpan("GET /orders/:id", {
      kind: SpanKind.SERVER,
      attributes: {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "server.address": "orders.internal.example",
        "server.port": 8443,
        "url.path": `/orders/${index}`,
        "user.authenticated": true,
        "app.retry.count": index % 3,
      },
    });
    span.addEvent("cache.miss", { "cache.key": `order:${index}` });
    span.setStatus({ code: SpanStatusCode.OK });
    span.end();
  }
  const body = ProtobufTraceSerializer.serializeRequest(exporter.getFinishedSpans());
  if (body === undefined) throw new Error("The stock serializer gave no request");
  return new Uint8Array(body);
}
