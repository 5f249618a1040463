/**
 * What does it cost to make OTLP of spans, beside the serializer that comes with OpenTelemetry?
 *
 * All make the same request, byte for byte, of the SDK's batch of typical spans. In the pipeline only the encoding is
 * paid by the application's thread; the framing is not.
 */

import assert from "node:assert/strict";
import { JsonTraceSerializer, ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { encodeResource, encodeScope } from "../exporters/otlp/encode_envelope.ts";
import { encodeSpan } from "../exporters/otlp/encode_span.ts";
import { type EncodedItem, frameRequest } from "../exporters/otlp/frame.ts";
import { Scratch } from "../exporters/otlp/scratch.ts";
import { typicalSpans } from "./gateway/request.ts";
import { ask, bar } from "./measure.ts";

const ENCODE = "Breakwater, encoding";
const FRAME = "Breakwater, encoding and framing";
const STOCK = "ProtobufTraceSerializer";
const SCRATCH_BYTES = 65_536;

/** Asks, some seconds, and says whether the bar is met. */
export async function benchEncode(): Promise<boolean> {
  const spans = typicalSpans();
  const stock = ProtobufTraceSerializer.serializeRequest(spans);
  const scratch = new Scratch(new Uint8Array(SCRATCH_BYTES));
  const shared = new Scratch(new Uint8Array(new SharedArrayBuffer(SCRATCH_BYTES)));
  const queue = new Uint8Array(stock!.length);
  assert.deepEqual(request(), Uint8Array.from(stock!));
  const asked = await ask("What does it cost to make OTLP of a span?", [
    { name: ENCODE, times: spans.length, run: () => encodeAll(scratch) },
    { name: `${ENCODE}, in shared memory`, times: spans.length, run: () => encodeAll(shared) },
    { name: FRAME, times: spans.length, run: () => void request() },
    { name: STOCK, times: spans.length, run: () => void ProtobufTraceSerializer.serializeRequest(spans) },
    { name: "JsonTraceSerializer", times: spans.length, run: () => void JsonTraceSerializer.serializeRequest(spans) },
  ]);
  return bar("times as fast as the stock serializer", asked.get(STOCK)!.ns / asked.get(ENCODE)!.ns, "least", 4);

  function encodeAll(into: Scratch): void {
    for (const span of spans) encodeSpan(span, into);
  }

  /** As in the pipeline: each message is copied out of the scratch, and all are framed from there. */
  function request(): Uint8Array {
    const resource = (encodeResource(spans[0].resource, scratch), scratch.message.slice());
    const scope = (encodeScope(spans[0].instrumentationScope, scratch), scratch.message.slice());
    let pos = 0;
    const items = spans.map((span): EncodedItem => {
      encodeSpan(span, scratch);
      queue.set(scratch.message, pos);
      const message = queue.subarray(pos, pos + scratch.length);
      pos += scratch.length;
      return { resource, scope, message };
    });
    return frameRequest(items);
  }
}
