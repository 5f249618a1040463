import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decodeExportResponse,
  encodeExportResponse,
  type Encoding,
  RESPONSE_BYTES_MAX,
} from "../../../exporters/otlp/response.ts";
import { decodeStatus, encodeStatus } from "../../../exporters/otlp/status.ts";
import { MalformedRequest } from "../../../exporters/otlp/wire.ts";
import { type Signal, SIGNALS } from "../../../exporters/signal.ts";
import { decodeMessage, encodeMessage, type Plain, typeOf } from "../../model/otlp_schema.ts";
import { bytesOf } from "./requests.ts";

const ENCODINGS: readonly Encoding[] = ["protobuf", "json"];
const RESPONSES: Readonly<Record<Signal, readonly [type: string, rejected: string]>> = {
  traces: ["ExportTraceServiceResponse", "rejectedSpans"],
  metrics: ["ExportMetricsServiceResponse", "rejectedDataPoints"],
  logs: ["ExportLogsServiceResponse", "rejectedLogRecords"],
};

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const utf8 = (content: string) => new TextEncoder().encode(content);

for (const signal of SIGNALS) {
  const [typeName, rejected] = RESPONSES[signal];

  Deno.test(`R5 a full success of ${signal} is the empty message: no bytes in protobuf, {} in JSON`, () => {
    assert.equal(encodeExportResponse(signal, "protobuf").length, 0);
    assert.equal(text(encodeExportResponse(signal, "json")), "{}");
    const nothing = { rejectedCount: 0, message: "" };
    assert.equal(encodeExportResponse(signal, "protobuf", nothing).length, 0);
    assert.equal(text(encodeExportResponse(signal, "json", nothing)), "{}");
  });

  Deno.test(`R7 a partial success of ${signal} names its rejected items, in JSON as a string`, () => {
    const partial = { rejectedCount: 3, message: "3 of 5 are invalid" };
    assert.equal(
      text(encodeExportResponse(signal, "json", partial)),
      `{"partialSuccess":{"${rejected}":"3","errorMessage":"3 of 5 are invalid"}}`,
    );
    assert.deepEqual(decodeMessage(typeOf(typeName), encodeExportResponse(signal, "protobuf", partial)), {
      partialSuccess: { [rejected]: "3", errorMessage: "3 of 5 are invalid" },
    });
  });

  Deno.test(`R7 a warning about ${signal} rejects nothing and has a message`, () => {
    const warning = { rejectedCount: 0, message: "use gzip" };
    assert.equal(text(encodeExportResponse(signal, "json", warning)), '{"partialSuccess":{"errorMessage":"use gzip"}}');
    assert.deepEqual(decodeMessage(typeOf(typeName), encodeExportResponse(signal, "protobuf", warning)), {
      partialSuccess: { errorMessage: "use gzip" },
    });
  });

  Deno.test(`E7 what a backend answers about ${signal} is read back, in both encodings`, () => {
    const partial = fc.record(
      { rejectedCount: fc.maxSafeNat(), message: fc.string({ unit: "grapheme" }) },
      { noNullPrototype: true },
    );
    fc.assert(fc.property(partial, (partial) => {
      const expected = partial.rejectedCount === 0 && partial.message === "" ? undefined : partial;
      for (const encoding of ENCODINGS) {
        const body = encodeExportResponse(signal, encoding, partial);
        assert.deepEqual(decodeExportResponse(body, encoding, signal), expected);
      }
      const theirs: Plain = {
        partialSuccess: { [rejected]: String(partial.rejectedCount), errorMessage: partial.message },
      };
      const body = encodeMessage(typeOf(typeName), theirs);
      assert.deepEqual(decodeExportResponse(body, "protobuf", signal), expected);
    }));
  });
}

// deno-fmt-ignore: a table
const JSON_ANSWERS: readonly [body: string, expected: unknown][] = [
  ["",                                                             undefined],
  ["{}",                                                           undefined],
  [`{"partialSuccess":null}`,                                      undefined],
  [`{"partialSuccess":{}}`,                                        undefined],
  [`{"partialSuccess":{"rejectedSpans":"0","errorMessage":""}}`,   undefined],
  [`{"partialSuccess":{"rejectedSpans":7}}`,                       { rejectedCount: 7, message: "" }],
  [`{"partialSuccess":{"rejectedSpans":"-7"}}`,                    undefined],
  [`{"partialSuccess":{"rejectedSpans":null,"errorMessage":"m"}}`, { rejectedCount: 0, message: "m" }],
  [`{"partialSuccess":{"rejectedLogRecords":"7"}}`,                undefined],
  [`{"partialSuccess":{"rejectedSpans":"9223372036854775807"}}`,   { rejectedCount: Number.MAX_SAFE_INTEGER, message: "" }],
  ["[]",                                                           MalformedRequest],
  ["<html>",                                                       MalformedRequest],
  [`{"partialSuccess":[]}`,                                        MalformedRequest],
  [`{"partialSuccess":{"rejectedSpans":"x"}}`,                     MalformedRequest],
  [`{"partialSuccess":{"rejectedSpans":1.5}}`,                     MalformedRequest],
  [`{"partialSuccess":{"errorMessage":1}}`,                        MalformedRequest],
];
for (const [body, expected] of JSON_ANSWERS) {
  Deno.test(`E7 a backend's JSON answer ${body || "(empty)"} is ${expected === MalformedRequest ? "unreadable" : "read"}`, () => {
    const read = () => decodeExportResponse(utf8(body), "json", "traces");
    if (expected === MalformedRequest) assert.throws(read, MalformedRequest);
    else assert.deepEqual(read(), expected);
  });
}

// deno-fmt-ignore: a table
const PROTOBUF_ANSWERS: readonly [what: string, hex: string, expected: unknown][] = [
  ["an empty partial success",        "0a00",                               undefined],
  ["unknown fields around",           "980107" + "0a020807" + "9a0100",      { rejectedCount: 7, message: "" }],
  ["unknown fields inside",           "0a059801070807",                     { rejectedCount: 7, message: "" }],
  ["two partial successes, merged",   "0a0208070a0312016d",                 { rejectedCount: 7, message: "m" }],
  ["a negative count",                "0a0b08" + "ff".repeat(9) + "01",     undefined],
  ["a count beyond exact numbers",    "0a0a08" + "ff".repeat(8) + "7f",     { rejectedCount: Number.MAX_SAFE_INTEGER, message: "" }],
  ["a text that is not UTF-8",        "0a031201ff",       { rejectedCount: 0, message: "\ufffd" }],
  ["a page of HTML",                  "3c68746d6c3e",                       MalformedRequest],
  ["a count that is a text",          "0a030a0161",                         MalformedRequest],
  ["a message that ends too soon",    "0a0508",                             MalformedRequest],
];
for (const [what, hex, expected] of PROTOBUF_ANSWERS) {
  Deno.test(`E7 a backend's protobuf answer with ${what} is ${expected === MalformedRequest ? "unreadable" : "read"}`, () => {
    const read = () => decodeExportResponse(bytesOf(hex), "protobuf", "traces");
    if (expected === MalformedRequest) assert.throws(read, MalformedRequest);
    else assert.deepEqual(read(), expected);
  });
}

Deno.test("R9 an error is a google.rpc.Status with a BadRequest in its details, in both encodings", () => {
  const status = { code: 3, message: "cannot decode", violations: ["at byte 7: …", "another"] };
  assert.deepEqual(JSON.parse(text(encodeStatus("json", status))), {
    code: 3,
    message: "cannot decode",
    details: [{
      "@type": "type.googleapis.com/google.rpc.BadRequest",
      fieldViolations: [{ description: "at byte 7: …" }, { description: "another" }],
    }],
  });
  const decoded = typeOf("RpcStatus").toObject(typeOf("RpcStatus").decode(encodeStatus("protobuf", status)));
  assert.equal(decoded.code, 3);
  assert.equal(decoded.message, "cannot decode");
  assert.equal(decoded.details.length, 1);
  assert.equal(decoded.details[0].typeUrl, "type.googleapis.com/google.rpc.BadRequest");
  assert.deepEqual(decodeMessage(typeOf("BadRequest"), decoded.details[0].value), {
    fieldViolations: [{ description: "at byte 7: …" }, { description: "another" }],
  });
});

Deno.test("R9 a status without violations has no details, one without a code none", () => {
  assert.equal(text(encodeStatus("json", { message: "busy" })), '{"message":"busy"}');
  assert.deepEqual(decodeMessage(typeOf("RpcStatus"), encodeStatus("protobuf", { message: "busy" })), {
    message: "busy",
  });
});

Deno.test("a status is read back from both encodings, and what is none is undefined", () => {
  for (const encoding of ENCODINGS) {
    const body = encodeStatus(encoding, { code: 14, message: "try later", violations: ["v"] });
    assert.deepEqual(decodeStatus(body, encoding), { code: 14, message: "try later" });
    for (
      const other of [
        "",
        "<html><body>502 Bad Gateway</body></html>",
        "upstream connect error",
        "[1]",
        '{"message":{}}',
      ]
    ) {
      assert.equal(decodeStatus(utf8(other), encoding), undefined, `${encoding}: ${other}`);
    }
  }
  assert.deepEqual(decodeStatus(utf8('{"message":"m"}'), "json"), { code: 0, message: "m" });
});

Deno.test("R10 a response is at most 4 MiB: its message is cut first, its count stays", () => {
  assert.equal(RESPONSE_BYTES_MAX, 4 * 1024 * 1024);
  for (const encoding of ENCODINGS) {
    // Each of these takes 6 bytes in JSON and one in protobuf.
    const message = "\u0001".repeat(encoding === "json" ? RESPONSE_BYTES_MAX / 5 : RESPONSE_BYTES_MAX);
    const partial = encodeExportResponse("logs", encoding, { rejectedCount: 9, message });
    assert.ok(partial.length <= RESPONSE_BYTES_MAX, encoding);
    const read = decodeExportResponse(partial, encoding, "logs");
    assert.equal(read?.rejectedCount, 9);
    assert.ok(read.message.length > 100_000 && message.startsWith(read.message));

    const status = encodeStatus(encoding, { code: 3, message, violations: ["v"] });
    assert.ok(status.length <= RESPONSE_BYTES_MAX, encoding);
    assert.equal(decodeStatus(status, encoding)?.code, 3);
    const manyViolations = encodeStatus(encoding, { message: "short", violations: [message, message] });
    assert.deepEqual(decodeStatus(manyViolations, encoding), { code: 0, message: "short" });
  }
});

Deno.test("answers of arbitrary bytes are read or refused, nothing else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60, size: "max" }), fc.constantFrom(...ENCODINGS), (body, encoding) => {
      decodeStatus(body, encoding);
      try {
        decodeExportResponse(body, encoding, "traces");
      } catch (error) {
        assert.ok(error instanceof MalformedRequest, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});
