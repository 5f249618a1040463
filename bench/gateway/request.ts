import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";

/** Spans of one request: the SDK's batch. */
export const REQUEST_SPAN_COUNT = 512;

/** A typical request: {@linkcode typicalSpans} as the stock serializer sends them. */
export function requestBody(spanCount = REQUEST_SPAN_COUNT, hostName = "web-3"): Uint8Array<ArrayBuffer> {
  const body = ProtobufTraceSerializer.serializeRequest(typicalSpans(spanCount, hostName));
  if (body === undefined) throw new Error("The stock serializer gave no request");
  return new Uint8Array(body);
}

/** Spans of one service, each with eight attributes and an event. @param hostName Of their resource. */
export function typicalSpans(spanCount = REQUEST_SPAN_COUNT, hostName = "web-3"): ReadableSpan[] {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ "service.name": "checkout", "service.version": "1.4.2", "host.name": hostName }),
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  });
  const tracer = provider.getTracer("bench", "1.0.0");
  for (let index = 0; index < spanCount; index++) {
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
  return exporter.getFinishedSpans();
}
