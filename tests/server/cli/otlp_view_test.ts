import assert from "node:assert/strict";
import fc from "fast-check";
import { requestFromJson } from "../../../exporters/otlp/json.ts";
import { SIGNALS } from "../../../exporters/signal.ts";
import { requestView } from "../../../server/cli/otlp_view.ts";
import { requestOf } from "../../fakes/otlp_bytes.ts";
import { anyRequest, decodeMessage, encodeMessage, REQUEST_TYPES } from "../../model/otlp_schema.ts";

for (const signal of SIGNALS) {
  const type = REQUEST_TYPES[signal];

  Deno.test(`any ${signal} request is shown with every field: the JSON says the same as the bytes`, () => {
    fc.assert(
      fc.property(anyRequest(signal), (request) => {
        const bytes = encodeMessage(type, request);
        const json = JSON.stringify(requestView(bytes, signal));
        assert.deepEqual(decodeMessage(type, requestFromJson(json, signal)), decodeMessage(type, bytes));
      }),
      { numRuns: 60 },
    );
  });

  Deno.test(`${signal} whose bytes are damaged are shown as far as they can be, and why no further`, () => {
    const bytes = requestOf(signal, 3);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.nat(bytes.length), (at, byte, length) => {
        JSON.stringify(requestView(bytes.with(at, byte).subarray(0, length), signal));
      }),
      { numRuns: 300 },
    );
    assert.deepEqual(requestView(Uint8Array.of(0x0a, 9), signal), {
      undecoded: { why: "Cannot decode OTLP: at byte 1: expected a length of at most 0, received 9", bytes: "Cgk=" },
    });
  });
}
