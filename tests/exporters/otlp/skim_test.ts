import assert from "node:assert/strict";
import fc from "fast-check";
import { skim } from "../../../exporters/otlp/skim.ts";
import { SIGNALS } from "../../../exporters/signal.ts";
import { concat, field } from "../../fakes/otlp_bytes.ts";
import { anyRequest, encodeMessage, itemsOf, REQUEST_TYPES } from "../../model/otlp_schema.ts";
import { bytesOf, isInvalid, spanRequest } from "./requests.ts";

for (const signal of SIGNALS) {
  Deno.test(`R14 R7 skim counts the ${signal} items and the invalid ones among them as protobufjs sees them`, () => {
    fc.assert(
      fc.property(anyRequest(signal), (request) => {
        const items = itemsOf(signal, request);
        assert.deepEqual(skim(encodeMessage(REQUEST_TYPES[signal], request), signal), {
          itemCount: items.length,
          invalidCount: items.filter((item) => isInvalid(signal, item)).length,
        });
      }),
      { numRuns: 150 },
    );
  });

  Deno.test(`R6 skim takes an empty ${signal} request: nothing in it, nothing wrong with it`, () => {
    assert.deepEqual(skim(new Uint8Array(), signal), { itemCount: 0, invalidCount: 0 });
  });
}

const ID_16 = bytesOf("0af7651916cd43dd8448eb211c80319c");
const ID_8 = bytesOf("b7ad6b7169203331");

// deno-fmt-ignore: a table
const SPAN_IDS: readonly [what: string, traceId: Uint8Array | undefined, spanId: Uint8Array | undefined, invalidCount: number][] = [
  ["both as they must be",   ID_16,                          ID_8,                          0],
  ["one bit set",            bytesOf("00".repeat(15) + "01"), bytesOf("00".repeat(7) + "80"), 0],
  ["no trace id",            undefined,                      ID_8,                          1],
  ["no span id",             ID_16,                          undefined,                     1],
  ["an empty trace id",      new Uint8Array(),               ID_8,                          1],
  ["an empty span id",       ID_16,                          new Uint8Array(),              1],
  ["a trace id of 15 bytes", ID_16.slice(1),                 ID_8,                          1],
  ["a trace id of 17 bytes", concat([ID_16, ID_8.slice(7)]), ID_8,                          1],
  ["a trace id in base64",   concat([ID_16, ID_8]),          ID_8,                          1],
  ["a span id of 7 bytes",   ID_16,                          ID_8.slice(1),                 1],
  ["a span id of 9 bytes",   ID_16,                          concat([ID_8, ID_8.slice(7)]), 1],
  ["a zero trace id",        new Uint8Array(16),             ID_8,                          1],
  ["a zero span id",         ID_16,                          new Uint8Array(8),             1],
  ["both wrong, once",       new Uint8Array(16),             new Uint8Array(8),             1],
];
for (const [what, traceId, spanId, invalidCount] of SPAN_IDS) {
  Deno.test(`R7 a span with ${what} is ${invalidCount === 0 ? "valid" : "invalid"}`, () => {
    const span = concat([
      ...(traceId === undefined ? [] : [field(1, traceId)]),
      ...(spanId === undefined ? [] : [field(2, spanId)]),
    ]);
    assert.deepEqual(skim(spanRequest(span), "traces"), { itemCount: 1, invalidCount });
  });
}
