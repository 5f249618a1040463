import assert from "node:assert/strict";
import fc from "fast-check";
import { requestFromJson } from "../../../exporters/otlp/json.ts";
import { SIGNALS } from "../../../exporters/signal.ts";
import { anyRequest, decodeMessage, encodeMessage, REQUEST_TYPES, toOtlpJson } from "../../model/otlp_schema.ts";

for (const signal of SIGNALS) {
  Deno.test(`R11 any ${signal} request says the same in OTLP/JSON as in protobuf, every field of it`, () => {
    const type = REQUEST_TYPES[signal];
    fc.assert(
      fc.property(anyRequest(signal), (request) => {
        const expected = decodeMessage(type, encodeMessage(type, request));
        const json = JSON.stringify(toOtlpJson(type, expected));
        assert.deepEqual(decodeMessage(type, requestFromJson(json, signal)), expected);
      }),
      { numRuns: 150 },
    );
  });

  Deno.test(`R6 R11 an empty ${signal} request, {}, is the empty message`, () => {
    assert.equal(requestFromJson("{}", signal).length, 0);
  });
}
