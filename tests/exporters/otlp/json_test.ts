import assert from "node:assert/strict";
import fc from "fast-check";
import { requestFromJson } from "../../../exporters/otlp/json.ts";
import { MESSAGES } from "../../../exporters/otlp/schema.ts";
import { skim } from "../../../exporters/otlp/skim.ts";
import { DEPTH_MAX, MalformedRequest } from "../../../exporters/otlp/wire.ts";
import { type Signal, SIGNALS } from "../../../exporters/signal.ts";
import {
  anyRequest,
  decodeMessage,
  encodeMessage,
  type Plain,
  REQUEST_TYPES,
  toOtlpJson,
  typeOf,
} from "../../model/otlp_schema.ts";

for (const signal of SIGNALS) {
  const type = REQUEST_TYPES[signal];

  Deno.test(`R11 any ${signal} request says the same in OTLP/JSON as in protobuf, every field of it`, () => {
    fc.assert(
      fc.property(anyRequest(signal), (request) => {
        const expected = decodeMessage(type, encodeMessage(type, request));
        const json = JSON.stringify(toOtlpJson(type, expected));
        const translated = requestFromJson(json, signal);
        assert.deepEqual(decodeMessage(type, translated), expected);
        skim(translated, signal);
      }),
      { numRuns: 60 },
    );
  });

  Deno.test(`R6 R11 an empty ${signal} request, {}, is the empty message`, () => {
    assert.equal(requestFromJson("{}", signal).length, 0);
  });

  Deno.test(`R9 R11 damaged ${signal} JSON is translated or refused, nothing else`, () => {
    const [request] = fc.sample(anyRequest(signal), { numRuns: 1, seed: 3 });
    const text = JSON.stringify(toOtlpJson(type, decodeMessage(type, encodeMessage(type, request))));
    const junk = ['"', "}", "]", "{}", "[]", "null", "1", "-1", "1.5", '"x"', "true", "\\", "1e400", "\u0000", "é"];
    fc.assert(
      fc.property(fc.nat(), fc.nat(6), fc.constantFrom(...junk), (at, length, insertion) => {
        const start = at % text.length;
        const damaged = text.slice(0, start) + insertion + text.slice(start + length);
        let translated;
        try {
          translated = requestFromJson(damaged, signal);
        } catch (error) {
          assert.ok(error instanceof MalformedRequest, String(error));
          return;
        }
        skim(translated, signal);
        type.decode(translated);
      }),
      { numRuns: 500 },
    );
  });
}

Deno.test("R11 the table of messages says what the protocol's own description says", () => {
  const kinds: Record<string, string> = {
    traceId: "bytes",
    spanId: "bytes",
    parentSpanId: "bytes",
    enum: "Enumeration",
  };
  const names: Record<string, string> = { SpanEvent: "Event", SpanLink: "Link", SpanStatus: "Status" };
  for (const message of MESSAGES) {
    const ours = Array.from(message.fields.values(), ({ name, number, repeated, scalar, message }) => ({
      name,
      number,
      repeated,
      type: scalar === undefined ? names[message!.name] ?? message!.name : kinds[scalar] ?? scalar,
    }));
    const theirs = typeOf(names[message.name] ?? message.name).fieldsArray
      .map(({ name, id, repeated, type }) => ({ name, number: id, repeated, type }));
    const byNumber = (a: { number: number }, b: { number: number }) => a.number - b.number;
    assert.deepEqual(ours.toSorted(byNumber), theirs.toSorted(byNumber), message.name);
  }
});

/** One span with what the text says, inside and out again. */
function span(fields: string): Plain {
  return first(first(first(decode("traces", spanText(fields)).resourceSpans).scopeSpans).spans);
}

function spanText(fields: string): string {
  return `{"resourceSpans":[{"scopeSpans":[{"spans":[{${fields}}]}]}]}`;
}

/** An attribute's value, inside and out again. */
function value(text: string): unknown {
  return first(span(`"attributes":[{"key":"k","value":${text}}]`).attributes).value;
}

function decode(signal: Signal, text: string): Plain {
  return decodeMessage(REQUEST_TYPES[signal], requestFromJson(text, signal));
}

const first = (list: unknown): Plain => (list as readonly Plain[])[0];

const ID = "0af7651916cd43dd8448eb211c80319c";
const base64OfHex = (hex: string) => btoa(hex.replace(/../g, (digits) => String.fromCharCode(parseInt(digits, 16))));

// deno-fmt-ignore: a table
const SPANS: readonly [what: string, fields: string, expected: Plain][] = [
  ["hexadecimal ids in lower case",     `"traceId":"${ID}"`,                      { traceId: base64OfHex(ID) }],
  ["hexadecimal ids in upper case",     `"traceId":"${ID.toUpperCase()}"`,        { traceId: base64OfHex(ID) }],
  ["an id of base64 that is also hex",  `"spanId":"abcdABCD"`,                    { spanId: base64OfHex("abcdabcd") }],
  ["enum values as integers",           `"kind":3`,                               { kind: 3 }],
  ["enum values that nobody knows yet", `"kind":77`,                              { kind: 77 }],
  ["unknown fields of every kind",      `"a":1,"b":"x","c":null,"d":[{"e":[]}],"kind":1`, { kind: 1 }],
  ["snake_case, which is unknown",      `"trace_id":"xyz","start_time_unix_nano":{},"kind":1`, { kind: 1 }],
  ["names of a prototype, unknown",     `"__proto__":{"kind":2},"constructor":1,"kind":1`, { kind: 1 }],
  ["null as absent",                    `"traceId":null,"kind":null,"attributes":null,"status":null,"name":"n"`, { name: "n" }],
  ["64-bit integers as strings",        `"startTimeUnixNano":"18446744073709551615"`, { startTimeUnixNano: "18446744073709551615" }],
  ["64-bit integers as numbers",        `"startTimeUnixNano":1700000000123456789`, { startTimeUnixNano: "1700000000123456789" }],
  ["64-bit integers after a space",     `"startTimeUnixNano": 1700000000123456789`, { startTimeUnixNano: "1700000000123456789" }],
  ["the greatest number of 64 bits",    `"startTimeUnixNano":18446744073709551615`, { startTimeUnixNano: "18446744073709551615" }],
  ["small integers as numbers",         `"startTimeUnixNano":1`,                  { startTimeUnixNano: "1" }],
  ["integers with an exponent",         `"startTimeUnixNano":17e17`,              { startTimeUnixNano: "1700000000000000000" }],
  ["32-bit integers as numbers",        `"flags":4294967295,"droppedLinksCount":4294967295`, { flags: 4294967295, droppedLinksCount: 4294967295 }],
  ["32-bit integers as strings",        `"flags":"257","droppedLinksCount":"7"`,  { flags: 257, droppedLinksCount: 7 }],
  ["text beyond ASCII",                 `"name":"Grüße, 世界 🌊"`,                 { name: "Grüße, 世界 🌊" }],
  ["long text beyond ASCII",            `"name":"${"ß".repeat(100)}"`,            { name: "ß".repeat(100) }],
  ["text longer than any buffer at first", `"name":"${"界🌊".repeat(50_000)}"`, { name: "界🌊".repeat(50_000) }],
  ["text of 48 and of 49 characters",   `"name":"${"a".repeat(48)}","traceState":"${"b".repeat(49)}"`, { name: "a".repeat(48), traceState: "b".repeat(49) }],
  ["escapes",                           `"name":"\\u0000\\n\\"\\\\"`,             { name: '\0\n"\\' }],
  ["an unpaired surrogate",             `"name":"\\ud800"`,                       { name: "\ufffd" }],
];
for (const [what, fields, expected] of SPANS) {
  Deno.test(`R11 OTLP/JSON is read with ${what}`, () => assert.deepEqual(span(fields), expected));
}

// deno-fmt-ignore: a table
const VALUES: readonly [text: string, expected: Plain][] = [
  [`{"stringValue":""}`,                          { stringValue: "" }],
  [`{"boolValue":false}`,                         { boolValue: false }],
  [`{"intValue":"-9223372036854775808"}`,         { intValue: "-9223372036854775808" }],
  [`{"intValue":"9223372036854775807"}`,          { intValue: "9223372036854775807" }],
  [`{"intValue":-9007199254740993}`,              { intValue: "-9007199254740993" }],
  [`{"intValue":-1}`,                             { intValue: "-1" }],
  [`{"intValue":"-4294967296"}`,                  { intValue: "-4294967296" }],
  [`{"intValue":0}`,                              { intValue: "0" }],
  [`{"intValue":"-0"}`,                           { intValue: "0" }],
  [`{"doubleValue":1.5}`,                         { doubleValue: 1.5 }],
  [`{"doubleValue":12345678901234567890}`,        { doubleValue: 12345678901234567890 }],
  [`{"doubleValue":"NaN"}`,                       { doubleValue: NaN }],
  [`{"doubleValue":"Infinity"}`,                  { doubleValue: Infinity }],
  [`{"doubleValue":"-Infinity"}`,                 { doubleValue: -Infinity }],
  [`{"doubleValue":"-1.5e3"}`,                    { doubleValue: -1500 }],
  [`{"bytesValue":"+/8="}`,                       { bytesValue: "+/8=" }],
  [`{"bytesValue":"-_8"}`,                        { bytesValue: "+/8=" }],
  [`{"bytesValue":""}`,                           { bytesValue: "" }],
  [`{"arrayValue":{"values":[{"intValue":1},{},{"arrayValue":{}}]}}`, { arrayValue: { values: [{ intValue: "1" }, {}, { arrayValue: {} }] } }],
  [`{"kvlistValue":{"values":[{"key":"k","value":{"bytesValue":"AA=="}}]}}`, { kvlistValue: { values: [{ key: "k", value: { bytesValue: "AA==" } }] } }],
  [`{}`,                                          {}],
];
for (const [text, expected] of VALUES) {
  Deno.test(`R11 the attribute value ${text} is read`, () => assert.deepEqual(value(text), expected));
}

Deno.test("R11 identifiers of a wrong length go through, so that their items are refused and not their request", () => {
  const count = (fields: string) => skim(requestFromJson(spanText(fields), "traces"), "traces");
  const spanId = '"spanId":"b7ad6b7169203331"';
  assert.deepEqual(count(`"traceId":"${ID}",${spanId}`), { itemCount: 1, invalidCount: 0 });
  for (let digits = 0; digits <= 70; digits++) {
    if (digits === 32) continue;
    const traceId = "a".repeat(digits);
    assert.deepEqual(count(`"traceId":"${traceId}",${spanId}`), { itemCount: 1, invalidCount: 1 }, traceId);
    if (digits === 0) continue;
    const log = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"${traceId}"}]}]}]}`;
    assert.deepEqual(skim(requestFromJson(log, "logs"), "logs"), { itemCount: 1, invalidCount: 1 }, traceId);
  }
});

const AT_SPAN = "resourceSpans\\[0\\]\\.scopeSpans\\[0\\]\\.spans\\[0\\]";
const AT_VALUE = `${AT_SPAN}\\.attributes\\[0\\]\\.value`;
const attribute = (text: string) => spanText(`"attributes":[{"key":"k","value":${text}}]`);

// deno-fmt-ignore: a table
const MALFORMED: readonly [text: string, problem: string][] = [
  ["",                                       "the body is not JSON: "],
  ["{",                                      "the body is not JSON: "],
  ["[]",                                     "the body must be an object, received an array"],
  ["null",                                   "the body must be an object, received null"],
  ["1",                                      "the body must be an object, received 1"],
  [`"x"`,                                    `the body must be an object, received "x"`],
  [`{"resourceSpans":{}}`,                   "resourceSpans must be an array, received an object"],
  [`{"resourceSpans":[null]}`,               "resourceSpans\\[0\\] must be an object, received null"],
  [`{"resourceSpans":[{},[]]}`,              "resourceSpans\\[1\\] must be an object, received an array"],
  [spanText(`"traceId":"xyz"`),              `${AT_SPAN}\\.traceId must be 32 hexadecimal digits, received "xyz"`],
  [spanText(`"traceId":"0af765191\u0663"`),  `${AT_SPAN}\\.traceId must be 32 hexadecimal digits`],
  [spanText(`"spanId":"CvdlGRbNQ90="`),      `${AT_SPAN}\\.spanId must be 16 hexadecimal digits`],
  [spanText(`"parentSpanId":7`),             `${AT_SPAN}\\.parentSpanId must be 16 hexadecimal digits, received 7`],
  [spanText(`"name":5`),                     `${AT_SPAN}\\.name must be a string, received 5`],
  [spanText(`"name":"ok","kind":"SPAN_KIND_SERVER"`), `${AT_SPAN}\\.kind must be an integer, received "SPAN_KIND_SERVER"`],
  [spanText(`"kind":"2"`),                   `${AT_SPAN}\\.kind must be an integer, received "2"`],
  [spanText(`"kind":1.5`),                   `${AT_SPAN}\\.kind must be an integer from -2147483648 to 2147483647, received 1.5`],
  [spanText(`"kind":2147483648`),            `${AT_SPAN}\\.kind must be an integer from`],
  [spanText(`"flags":-1`),                   `${AT_SPAN}\\.flags must be an integer from 0 to 4294967295, received -1`],
  [spanText(`"flags":4294967296`),           `${AT_SPAN}\\.flags must be an integer from 0`],
  [spanText(`"droppedLinksCount":"1.0"`),    `${AT_SPAN}\\.droppedLinksCount must be an integer from 0`],
  [spanText(`"startTimeUnixNano":"18446744073709551616"`), `${AT_SPAN}\\.startTimeUnixNano must be an integer of 64 bits from 0`],
  [spanText(`"startTimeUnixNano":18446744073709551616`), `${AT_SPAN}\\.startTimeUnixNano must be an integer of 64 bits from 0`],
  [spanText(`"startTimeUnixNano":"-1"`),     `${AT_SPAN}\\.startTimeUnixNano must be an integer of 64 bits from 0`],
  [spanText(`"startTimeUnixNano":""`),       `${AT_SPAN}\\.startTimeUnixNano must be an integer of 64 bits from 0`],
  [spanText(`"startTimeUnixNano":"0x10"`),   `${AT_SPAN}\\.startTimeUnixNano must be an integer of 64 bits from 0`],
  [spanText(`"startTimeUnixNano":1.5`),      `${AT_SPAN}\\.startTimeUnixNano must be an integer of 64 bits from 0, received 1.5`],
  [spanText(`"startTimeUnixNano":1e30`),     `${AT_SPAN}\\.startTimeUnixNano must be an integer of 64 bits from 0`],
  [spanText(`"startTimeUnixNano":true`),     `${AT_SPAN}\\.startTimeUnixNano must be an integer of 64 bits from 0, received true`],
  [spanText(`"attributes":{"k":"v"}`),       `${AT_SPAN}\\.attributes must be an array, received an object`],
  [spanText(`"status":"OK"`),                `${AT_SPAN}\\.status must be an object, received "OK"`],
  [attribute(`"plain"`),                     `${AT_VALUE} must be an object, received "plain"`],
  [attribute(`{"intValue":"9223372036854775808"}`),  `${AT_VALUE}\\.intValue must be an integer of 64 bits`],
  [attribute(`{"intValue":"-9223372036854775809"}`), `${AT_VALUE}\\.intValue must be an integer of 64 bits`],
  [attribute(`{"boolValue":"true"}`),        `${AT_VALUE}\\.boolValue must be true or false, received "true"`],
  [attribute(`{"boolValue":1}`),             `${AT_VALUE}\\.boolValue must be true or false, received 1`],
  [attribute(`{"doubleValue":"nan"}`),       `${AT_VALUE}\\.doubleValue must be a number, "NaN", "Infinity" or "-Infinity", received "nan"`],
  [attribute(`{"doubleValue":""}`),          `${AT_VALUE}\\.doubleValue must be a number`],
  [attribute(`{"bytesValue":"a b="}`),       `${AT_VALUE}\\.bytesValue must be bytes in base64`],
  [attribute(`{"bytesValue":"A"}`),          `${AT_VALUE}\\.bytesValue must be bytes in base64`],
  [attribute(`{"bytesValue":[1]}`),          `${AT_VALUE}\\.bytesValue must be bytes in base64, received an array`],
];
for (const [text, problem] of MALFORMED) {
  Deno.test(`R9 R11 refused with its path: ${text.slice(0, 90)}`, () => {
    assert.throws(
      () => requestFromJson(text, "traces"),
      (error) => error instanceof MalformedRequest && new RegExp(`^Cannot decode OTLP: ${problem}`).test(error.message),
    );
  });
}

Deno.test("R9 a wrong value is repeated in the message only as far as a line takes it", () => {
  assert.throws(() => requestFromJson(spanText(`"traceId":"${"z".repeat(100_000)}"`), "traces"), (error) => {
    return error instanceof MalformedRequest && error.message.length < 200 && error.message.endsWith('zzz…"');
  });
});

Deno.test("R11 values lie as deep as protobuf allows and no deeper, and a deep unknown field is ignored", () => {
  const nested = (count: number) => attribute('{"arrayValue":{"values":['.repeat(count) + "{}" + "]}}".repeat(count));
  const countMax = (DEPTH_MAX - 5 - 1) / 2;
  assert.equal(skim(requestFromJson(nested(countMax), "traces"), "traces").itemCount, 1);
  assert.throws(() => requestFromJson(nested(countMax + 1), "traces"), /must be at most 100 messages deep/);
  assert.throws(() => requestFromJson(nested(100_000), "traces"), MalformedRequest);
  const unknown = spanText(`"unknown":${"[".repeat(100_000)}${"]".repeat(100_000)}`);
  try {
    requestFromJson(unknown, "traces");
  } catch (error) {
    assert.ok(error instanceof MalformedRequest, String(error));
  }
});
