import assert from "node:assert/strict";
import fc from "fast-check";
import { skim } from "../../../exporters/otlp/skim.ts";
import { DEPTH_MAX, MalformedRequest } from "../../../exporters/otlp/wire.ts";
import { SIGNALS } from "../../../exporters/signal.ts";
import { concat, field, varintField } from "../../fakes/otlp_bytes.ts";
import { anyRequest, decodeMessage, encodeMessage, itemsOf, REQUEST_TYPES } from "../../model/otlp_schema.ts";
import { bytesOf, isInvalid, spanRequest } from "./requests.ts";

for (const signal of SIGNALS) {
  const type = REQUEST_TYPES[signal];

  Deno.test(`R14 R7 skim counts the ${signal} items and the invalid ones among them as protobufjs sees them`, () => {
    fc.assert(
      fc.property(anyRequest(signal), (request) => {
        const items = itemsOf(signal, request);
        assert.deepEqual(skim(encodeMessage(type, request), signal), {
          itemCount: items.length,
          invalidCount: items.filter((item) => isInvalid(signal, item)).length,
        });
      }),
      { numRuns: 60 },
    );
  });

  Deno.test(`R14 what skim takes of damaged ${signal} requests protobufjs decodes, the rest is refused and nothing else`, () => {
    let takenCount = 0;
    let refusedCount = 0;
    fc.assert(
      fc.property(
        anyRequest(signal),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4, size: "max" }),
        fc.option(fc.nat(), { freq: 3 }),
        (request, changes, cut) => {
          const whole = encodeMessage(type, request);
          const damaged = cut === null ? whole : whole.slice(0, cut % (whole.length + 1));
          for (const [at, byte] of changes) if (damaged.length > 0) damaged[at % damaged.length] = byte;
          let count;
          try {
            count = skim(damaged, signal).itemCount;
          } catch (error) {
            assert.ok(error instanceof MalformedRequest, String(error));
            refusedCount++;
            return;
          }
          takenCount++;
          const items = decodeUnlessNotUtf8(() => itemsOf(signal, decodeMessage(type, damaged)));
          if (items !== undefined) assert.equal(count, items.length);
        },
      ),
      { numRuns: 250 },
    );
    assert.ok(takenCount > 20 && refusedCount > 20, `taken ${takenCount}, refused ${refusedCount}`);
  });

  Deno.test(`R14 every ${signal} request cut short anywhere is refused, or is whole up to there`, () => {
    const [request] = fc.sample(anyRequest(signal), { numRuns: 1, seed: 3 });
    const whole = encodeMessage(type, request);
    assert.ok(whole.length > 100);
    for (let length = 0; length < whole.length; length++) {
      const cut = whole.subarray(0, length);
      try {
        skim(cut, signal);
      } catch (error) {
        assert.ok(error instanceof MalformedRequest, String(error));
        continue;
      }
      type.decode(cut);
    }
  });

  Deno.test(`R6 skim takes an empty ${signal} request: nothing in it, nothing wrong with it`, () => {
    assert.deepEqual(skim(new Uint8Array(), signal), { itemCount: 0, invalidCount: 0 });
  });
}

/** Skim does not look whether strings are UTF-8, and protobufjs refuses those that are not: the one difference. */
function decodeUnlessNotUtf8<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof TypeError && /utf-?8|encoded data/i.test(error.message)) return undefined;
    throw error;
  }
}

const ID_16 = bytesOf("0af7651916cd43dd8448eb211c80319c");
const ID_8 = bytesOf("b7ad6b7169203331");
const NONE = undefined;
const EMPTY = new Uint8Array();

// deno-fmt-ignore: a table
const IDS: readonly [what: string, trace: Uint8Array | undefined, span: Uint8Array | undefined, asSpan: number, asLog: number][] = [
  ["both ids as they must be",    ID_16,                          ID_8,                          0, 0],
  ["ids of one bit",              bytesOf("00".repeat(15) + "01"), bytesOf("00".repeat(7) + "80"), 0, 0],
  ["no ids",                      NONE,                           NONE,                          1, 0],
  ["empty ids",                   EMPTY,                          EMPTY,                         1, 0],
  ["no trace id",                 NONE,                           ID_8,                          1, 0],
  ["no span id",                  ID_16,                          NONE,                          1, 0],
  ["a trace id of 15 bytes",      ID_16.slice(1),                 ID_8,                          1, 1],
  ["a trace id of 17 bytes",      concat([ID_16, ID_8.slice(7)]), ID_8,                          1, 1],
  ["a trace id read as base64",   concat([ID_16, ID_8]),          ID_8,                          1, 1],
  ["a span id of 7 bytes",        ID_16,                          ID_8.slice(1),                 1, 1],
  ["a span id of 9 bytes",        ID_16,                          concat([ID_8, ID_8.slice(7)]), 1, 1],
  ["a trace id of zeros",         new Uint8Array(16),             ID_8,                          1, 1],
  ["a span id of zeros",          ID_16,                          new Uint8Array(8),             1, 1],
  ["a wrong span id and no other", NONE,                          new Uint8Array(8),             1, 1],
  ["two wrong ids",               new Uint8Array(16),             new Uint8Array(8),             1, 1],
];
for (const [what, trace, span, asSpan, asLog] of IDS) {
  const words = (count: number) => count === 0 ? "valid" : "invalid";
  Deno.test(`R7 with ${what} a span is ${words(asSpan)} and a log record ${words(asLog)}`, () => {
    const item = (traceNumber: number, spanNumber: number) =>
      concat([
        ...(trace === undefined ? [] : [field(traceNumber, trace)]),
        ...(span === undefined ? [] : [field(spanNumber, span)]),
      ]);
    assert.deepEqual(skim(spanRequest(item(1, 2)), "traces"), { itemCount: 1, invalidCount: asSpan });
    assert.deepEqual(skim(spanRequest(item(9, 10)), "logs"), { itemCount: 1, invalidCount: asLog });
  });
}

Deno.test("R7 only an item's own ids count: those of its links and of its parent may be anything", () => {
  const link = concat([field(1, ID_8), field(2, ID_16)]);
  const span = concat([field(1, ID_16), field(2, ID_8), field(4, ID_16), field(13, link)]);
  assert.deepEqual(skim(spanRequest(span), "traces"), { itemCount: 1, invalidCount: 0 });
});

Deno.test("R14 of a field that comes twice the last one counts", () => {
  const mended = concat([field(1, ID_8), field(1, ID_16), field(2, ID_8)]);
  const broken = concat([field(1, ID_16), field(2, ID_8), field(1, ID_8)]);
  assert.equal(skim(spanRequest(mended), "traces").invalidCount, 0);
  assert.equal(skim(spanRequest(broken), "traces").invalidCount, 1);
});

const hexOf = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const attribute = (hex: string) => hexOf(field(9, bytesOf(hex)));
/** A value in that many arrays. An attribute's value is at depth 5, and each array takes two more. */
const inArrays = (count: number, innermost: string): string =>
  hexOf(Array.from({ length: count }).reduce<Uint8Array>((inner) => field(5, field(1, inner)), bytesOf(innermost)));

// Each is the inside of a span, in hexadecimal: a table of what must pass and what must not.
// deno-fmt-ignore: a table
const SPANS: readonly [what: string, hex: string, problem: RegExp | undefined][] = [
  ["unknown varint, of ten bytes",                "a006" + "ff".repeat(9) + "01",   undefined],
  ["unknown fields of 8, of n and of 4 bytes",    "a106" + "00".repeat(8) + "a20602ffff" + "a506" + "00".repeat(4), undefined],
  ["unknown fields of small numbers, as new ones", "a00100" + "a101" + "00".repeat(8) + "a20102ffff" + "a501" + "00".repeat(4), undefined],
  ["unknown field of the greatest number",        "faffffff0f0100",                 undefined],
  ["non-minimal tag, length and value",           "aa8000" + "818000" + "61" + "30" + "8180808000", undefined],
  ["negative enum, as ten bytes",                 "30" + "ff".repeat(9) + "01",     undefined],
  ["value of eleven bytes",                       "30" + "ff".repeat(10) + "01",    /at most 10 bytes/],
  ["value that does not end",                     "30ff",                           /a varint, found the end/],
  ["tag that does not end",                       "80",                             /a varint, found the end/],
  ["tag of six bytes",                            "808080808000",                   /at most 5 bytes/],
  ["tag beyond 32 bits",                          "8080808010",                     /field number below 536870912/],
  ["length without its message",                  "2a",                             /a length, found the end/],
  ["length that does not end",                    "2a80",                           /a varint, found the end/],
  ["length beyond the span",                      "2a0561",                         /a length of at most 1, received 5/],
  ["length beyond 32 bits",                       "2affffffff7f",                   /a length of at most 0/],
  ["length below zero",                           "2a" + "ff".repeat(9) + "01",     /at most 5 bytes/],
  ["fixed64 of 7 bytes",                          "39" + "00".repeat(7),            /1 more bytes/],
  ["fixed32 of 3 bytes",                          "8501" + "00".repeat(3),          /1 more bytes/],
  ["group",                                       "a306a406",                       /field 100 cannot have the wire type 3 \(groups/],
  ["end of a group",                              "a406",                           /wire type 4 \(groups/],
  ["wire type 6",                                 "a606",                           /wire type 6/],
  ["wire type 7",                                 "0f",                             /wire type 7/],
  ["field number 0",                              "0201ff",                         /field number from 1, received 0/],
  ["field number 0 in two bytes",                 "820001ff",                       /field number from 1, received 0/],
  ["name as a number",                            "2801",                           /field 5 cannot have the wire type 0/],
  ["kind as a text",                              "320161",                         /field 6 cannot have the wire type 2/],
  ["start time as a varint",                      "3801",                           /field 7 cannot have the wire type 0/],
  ["trace id as a number",                        "0801",                           /field 1 cannot have the wire type 0/],
  ["attribute of a text",                         attribute("0a016b" + "12030a0176"), undefined],
  ["attribute of an integer of ten bytes",        attribute("0a016b" + "120b18" + "ff".repeat(9) + "01"), undefined],
  ["attribute of a double",                       attribute("0a016b" + "120921" + "00".repeat(8)), undefined],
  ["attribute of a boolean",                      attribute("0a016b" + "12021001"), undefined],
  ["attribute with its value first",              attribute("12030a0176" + "0a016b"), undefined],
  ["attribute with a long key",                   attribute(hexOf(field(1, new Uint8Array(200).fill(97))) + "12030a0176"), undefined],
  ["attribute with a long text",                  attribute("0a016b" + hexOf(field(2, field(1, new Uint8Array(200).fill(97))))), undefined],
  ["attribute that is empty",                     attribute(""),                    undefined],
  ["attribute whose text ends too late",          attribute("0a016b" + "12030a0276"), /a length of at most 1, received 2/],
  ["attribute whose text ends too soon",          attribute("0a016b" + "12030a0076"), /wire type 6/],
  ["attribute whose integer does not end",        attribute("0a016b" + "120218ff"), /a varint, found the end/],
  ["attribute whose integer has eleven bytes",    attribute("0a016b" + "120c18" + "ff".repeat(10) + "01"), /at most 10 bytes/],
  ["attribute whose double has seven bytes",      attribute("0a016b" + "120821" + "00".repeat(7)), /1 more bytes/],
  ["attribute whose value ends too late",         attribute("0a016b" + "12040a0176"), /a length of at most 3, received 4/],
  ["attribute whose key ends too late",           attribute("0a7f6b" + "12030a0176"), /received 127/],
  ["attribute with a group as its value",         attribute("0a016b" + "12020b0c"), /wire type 3/],
  ["value as deep as may be",                     attribute(hexOf(field(2, bytesOf(inArrays((DEPTH_MAX - 6) / 2, "2a00"))))), undefined],
  ["value one deeper",                              attribute(hexOf(field(2, bytesOf(inArrays((DEPTH_MAX - 6) / 2, "2a020a00"))))), /at most 100 deep/],
];
for (const [what, hex, problem] of SPANS) {
  Deno.test(`R14 a span with ${what} is ${problem === undefined ? "decodable" : "refused"}`, () => {
    const request = spanRequest(concat([field(1, ID_16), field(2, ID_8), bytesOf(hex)]));
    if (problem === undefined) {
      assert.deepEqual(skim(request, "traces"), { itemCount: 1, invalidCount: 0 });
      REQUEST_TYPES.traces.decode(request);
      return;
    }
    assert.throws(
      () => skim(request, "traces"),
      (error) =>
        error instanceof MalformedRequest && /^Cannot decode OTLP: at byte \d+: /.test(error.message) &&
        problem.test(error.message),
    );
  });
}

Deno.test("R14 a message never reads beyond its own end, even where its neighbour would complete it", () => {
  // The span says it is one byte long: a tag that wants a value. The value is there, but outside.
  const request = field(1, field(2, concat([field(2, bytesOf("30")), varintField(4, 1)])));
  assert.throws(() => skim(request, "traces"), MalformedRequest);
});

Deno.test("R14 repeated numbers may come packed or one by one, and a packed list must end where a value does", () => {
  const point = (inside: Uint8Array) => field(1, field(2, field(2, field(9, field(1, inside)))));
  const bucketCounts = new Uint8Array(16);
  const alone = concat([bytesOf("31"), new Uint8Array(8)]);
  assert.equal(skim(point(field(6, bucketCounts)), "metrics").itemCount, 1);
  assert.equal(skim(point(concat([alone, alone])), "metrics").itemCount, 1);
  assert.throws(
    () => skim(point(field(6, bucketCounts.subarray(1))), "metrics"),
    /packed values of 8 bytes, received 15/,
  );

  const buckets = (inside: Uint8Array) => field(1, field(2, field(2, field(10, field(1, field(8, inside))))));
  assert.equal(skim(buckets(field(2, bytesOf("01ac02"))), "metrics").itemCount, 1);
  assert.equal(skim(buckets(concat([varintField(2, 1), varintField(2, 300)])), "metrics").itemCount, 1);
  assert.throws(() => skim(buckets(field(2, bytesOf("01ac"))), "metrics"), MalformedRequest);
});

Deno.test("R14 a message that comes twice is one message: what it repeats adds up", () => {
  const sum = (pointCount: number) => field(7, concat(Array(pointCount).fill(field(1, EMPTY))));
  const metric = concat([sum(2), sum(3)]);
  assert.deepEqual(skim(field(1, field(2, field(2, metric))), "metrics"), { itemCount: 5, invalidCount: 0 });
  const scopes = concat([field(2, field(2, EMPTY)), field(2, field(2, EMPTY))]);
  assert.equal(skim(concat([field(1, scopes), field(1, scopes)]), "traces").itemCount, 4);
});

Deno.test("R14 arbitrary bytes are taken or refused, nothing else", () => {
  fc.assert(
    fc.property(fc.constantFrom(...SIGNALS), fc.uint8Array({ maxLength: 200, size: "max" }), (signal, bytes) => {
      try {
        skim(bytes, signal);
      } catch (error) {
        assert.ok(error instanceof MalformedRequest, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});
