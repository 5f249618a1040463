/** The encoders beside the serializers of OpenTelemetry SDK 3.x. */

import { ProtobufLogsSerializer, ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { report, testBeside, work } from "../exporters/otlp/encode_scenarios.ts";

const resource = resourceFromAttributes({ "service.name": "harbour", "process.pid": 42, "tags": ["a", "b"] });

testBeside({
  name: "SDK 3.x",
  serializeSpans: (spans) => ProtobufTraceSerializer.serializeRequest(spans),
  serializeLogs: (records) => ProtobufLogsSerializer.serializeRequest(records),
  makeSpans() {
    const exporter = new InMemorySpanExporter();
    const provider = new TracerProvider({ resource, spanProcessors: [new SimpleSpanProcessor({ exporter })] });
    work(provider.getTracer("lighthouse", "1.2.3", { schemaUrl: "https://example.org/schema" }));
    work(provider.getTracer("pier"));
    return exporter.getFinishedSpans();
  },
  makeLogs() {
    const exporter = new InMemoryLogRecordExporter();
    const provider = new LoggerProvider({ resource, processors: [new SimpleLogRecordProcessor({ exporter })] });
    const logger = provider.getLogger("lighthouse", "1.2.3", { schemaUrl: "https://example.org/schema" });
    report((record) => logger.emit(record));
    return exporter.getFinishedLogRecords();
  },
});
