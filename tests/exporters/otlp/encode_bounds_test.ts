/** What the encoders promise where the stock serializers promise nothing: bounds, ids and times that are none, items that run code. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { mock } from "node:test";
import fc from "fast-check";
import { encodeResource, encodeScope } from "../../../exporters/otlp/encode_envelope.ts";
import { encodeLogRecord } from "../../../exporters/otlp/encode_log.ts";
import { encodeSpan } from "../../../exporters/otlp/encode_span.ts";
import { type Outcome, Scratch } from "../../../exporters/otlp/scratch.ts";
import { decodeMessage, type Plain, typeOf } from "../../model/otlp_schema.ts";
import { anyLog, anySpan, logWith, messageOf, SCRATCH_BYTES, SPAN_ID, spanWith, TRACE_ID } from "./encode_cases.ts";

const SPAN = typeOf("Span");
const GUARD = 0xa5;

testFit("a span", anySpan, encodeSpan);
testFit("a log record", anyLog, encodeLogRecord);
testFit("a resource", anySpan.map(({ resource }) => resource), encodeResource);
testFit("a scope", anySpan.map(({ instrumentationScope }) => instrumentationScope), encodeScope);

function testFit<Item>(
  what: string,
  items: fc.Arbitrary<Item>,
  encode: (item: Item, scratch: Scratch) => Outcome,
): void {
  const property = fc.property(
    items,
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.boolean(),
    (item, part, shared) => {
      const message = messageOf(encode, item);
      for (const capacity of [message.length, message.length - 1, Math.floor(part * (message.length - 1))]) {
        const size = capacity + 64;
        const memory = new Uint8Array(shared ? new SharedArrayBuffer(size) : new ArrayBuffer(size)).fill(GUARD);
        const scratch = new Scratch(memory.subarray(32, 32 + capacity));
        const outcome = encode(item, scratch);
        assert.equal(outcome, capacity === message.length ? "encoded" : "too_large");
        assert.equal(scratch.length, outcome === "encoded" ? message.length : 0);
        if (outcome === "encoded") assert.equal(Buffer.compare(scratch.message, message), 0);
        for (const side of [memory.subarray(0, 32), memory.subarray(32 + capacity)]) {
          assert.ok(side.every((byte) => byte === GUARD));
        }
      }
    },
  );

  Deno.test(`${what} is encoded into exactly its size, is too large for less, and touches nothing else`, () => {
    fc.assert(property, { numRuns: 150, seed: 20_261_121 });
    fc.assert(property);
  });
}

Deno.test("a scratch that refused an item encodes the next one as if nothing had been", () => {
  const scratch = new Scratch(new Uint8Array(1_000));
  const small = spanWith({ name: "small" });
  const expected = messageOf(encodeSpan, small);
  for (
    const bad of [spanWith({ name: "x".repeat(1_000) }), spanWith({ startTime: undefined }), spanWith({ links: 5 })]
  ) {
    assert.notEqual(encodeSpan(bad, scratch), "encoded");
    assert.equal(encodeSpan(small, scratch), "encoded");
    assert.deepEqual(scratch.message, expected);
  }
});

const hugeList = new Array(2 ** 32 - 1);

for (
  const [what, value] of [
    ["a text of 10 MiB", "x".repeat(10 * 2 ** 20)],
    ["a text of 10 MiB that is not ASCII", "世".repeat(10 * 2 ** 20)],
    ["10 MiB of bytes", new Uint8Array(10 * 2 ** 20)],
    ["bytes that say that they are fewer than none", bytesThatClaim(-1, 3)],
    ["a list with nothing but a length", hugeList],
    ["a list without an end", unending(1)],
    ["a list that goes on with bytes of no length", unending(bytesThatClaim(NaN, 0))],
    ["a map of a million keys", Object.fromEntries(Array.from({ length: 1_000_000 }, (_, key) => [key, key]))],
  ] as const
) {
  Deno.test(`too large, however large: ${what}`, () => {
    const scratch = new Scratch(new Uint8Array(SCRATCH_BYTES));
    assert.equal(encodeSpan(spanWith({ attributes: { value } }), scratch), "too_large");
    assert.equal(encodeLogRecord(logWith({ body: value }), scratch), "too_large");
    assert.equal(encodeResource({ ...spanWith({}).resource, attributes: { value } as never }, scratch), "too_large");
  });
}

Deno.test("a text that cannot fit is not even looked at", () => {
  const scratch = new Scratch(new Uint8Array(4_096));
  const spy = mock.method(TextEncoder.prototype, "encodeInto");
  try {
    assert.equal(encodeSpan(spanWith({ name: "x".repeat(1_000) }), scratch), "encoded");
    assert.equal(encodeSpan(spanWith({ name: "x".repeat(4_096) }), scratch), "too_large");
    assert.equal(spy.mock.callCount(), 1);
  } finally {
    spy.mock.restore();
  }
});

Deno.test("too large, however large: a key, a name, events without an end", () => {
  const scratch = new Scratch(new Uint8Array(SCRATCH_BYTES));
  const huge = "k".repeat(10 * 2 ** 20);
  const event = { time: [0, 0], name: "" };
  for (const parts of [{ attributes: { [huge]: 1 } }, { name: huge }, { events: unending(event) }]) {
    assert.equal(encodeSpan(spanWith(parts), scratch), "too_large");
  }
});

/** Bytes that say of their length what they like. */
function bytesThatClaim(length: number, trueLength: number): Uint8Array {
  return Object.defineProperty(new Uint8Array(trueLength), "length", { value: length });
}

function unending(item: unknown): unknown[] {
  return Object.assign([], {
    *[Symbol.iterator]() {
      for (;;) yield item;
    },
  });
}

const thrower = {
  get boom() {
    throw new Error("boom");
  },
};
const revoked = Proxy.revocable({}, {});
revoked.revoke();
const cyclicMap: Record<string, unknown> = {};
cyclicMap.self = cyclicMap;
const cyclicList: unknown[] = [];
cyclicList.push([cyclicList]);

for (
  const [what, value] of [
    ["a map that contains itself", cyclicMap],
    ["a list that contains itself", cyclicList],
    ["a getter that throws", thrower],
    ["a getter that throws nothing", Object.defineProperty({}, "x", { enumerable: true, get: throwUndefined })],
    ["a revoked proxy", revoked.proxy],
    ["a proxy of bytes", new Proxy(new Uint8Array(3), {})],
    ["bytes that say that they are fewer than they are", bytesThatClaim(1, 5_000)],
  ] as const
) {
  Deno.test(`invalid, whatever it does: ${what}`, () => {
    const scratch = new Scratch(new Uint8Array(4_096));
    const attributes = { value } as never;
    assert.equal(encodeSpan(spanWith({ attributes }), scratch), "invalid");
    assert.equal(encodeSpan(spanWith({ events: [{ time: [0, 0], name: "", attributes }] }), scratch), "invalid");
    assert.equal(encodeLogRecord(logWith({ body: value }), scratch), "invalid");
    assert.equal(encodeScope({ name: "", attributes }, scratch), "invalid");
    assert.equal(scratch.length, 0);
  });
}

function throwUndefined(): never {
  throw undefined;
}

const BAD_IDS: readonly unknown[] = [
  "",
  "0",
  "0".repeat(32),
  "0".repeat(16),
  "0".repeat(15),
  TRACE_ID + "00",
  TRACE_ID.slice(2),
  SPAN_ID.slice(1),
  SPAN_ID.replace("b", "g"),
  TRACE_ID.replace("0", " "),
  TRACE_ID.replace("0", "İ"),
  SPAN_ID.replace("b", "\u0162"),
  undefined,
  null,
  7,
  7n,
  Symbol("id"),
  {},
  Array.from(SPAN_ID),
  Array.from(TRACE_ID),
];

Deno.test("R7 a span or a log record with an id that is not one is invalid, as it is to our own receiver", () => {
  const scratch = new Scratch(new Uint8Array(4_096));
  for (const id of BAD_IDS) {
    for (const ids of [{ traceId: id, spanId: SPAN_ID }, { traceId: TRACE_ID, spanId: id }]) {
      const spanContext = { ...ids, traceFlags: 1 };
      assert.equal(encodeSpan(spanWith({ spanContext: () => spanContext }), scratch), "invalid", String(id));
      // A log record may have none.
      const expected = id ? "invalid" : "encoded";
      assert.equal(encodeLogRecord(logWith({ spanContext }), scratch), expected, String(id));
    }
    // A span may have no parent, and what is all zero stands for none.
    const expected = id && id !== "0".repeat(16) ? "invalid" : "encoded";
    const parentSpanContext = { spanId: id };
    assert.equal(encodeSpan(spanWith({ parentSpanContext }), scratch), expected, String(id));
  }
});

Deno.test("a link with an id that is not one keeps its span, and has none", () => {
  for (const id of BAD_IDS.filter((id) => !/^0{16}$|^0{32}$/.test(String(id)))) {
    const context = { traceId: id, spanId: id, traceFlags: 1 };
    const span = decodeMessage(SPAN, messageOf(encodeSpan, spanWith({ links: [{ context, attributes: { a: 1 } }] })));
    const [link] = span.links as readonly Plain[];
    assert.equal(link.traceId ?? "", "");
    assert.equal(link.spanId ?? "", "");
    assert.equal((link.attributes as unknown[]).length, 1);
  }
});

Deno.test("a time that cannot be is written as 0, one that can be to the nanosecond", () => {
  const impossible = [[-1, 0], [0, -1], [NaN, 0], [0, NaN], [Infinity, 0], [-Infinity, 5], [2e10, 0], [2 ** 53, 0], []];
  for (const time of impossible) assert.equal(timeOf(time), 0n, String(time));
  fc.assert(
    fc.property(fc.integer({ min: 4, max: 18_446_744_000 }), fc.integer({ min: -4e9, max: 7e10 }), (seconds, nanos) => {
      assert.equal(timeOf([seconds, nanos]), BigInt(seconds) * 1_000_000_000n + BigInt(nanos));
    }),
    { numRuns: 20_000 },
  );

  function timeOf(hrTime: readonly number[]): bigint {
    const bytes = messageOf(encodeLogRecord, logWith({ hrTime }));
    return new DataView(bytes.buffer).getBigUint64(1, true);
  }
});

Deno.test("what an item does while it is encoded does not spoil it: an item within it is invalid, and counted so", () => {
  const scratch = new Scratch(new Uint8Array(4_096));
  const outcomes: Outcome[] = [];
  const span = (inner: unknown) => spanWith({ attributes: { before: 1, inner, after: 2 } });
  const nested = spanWith({
    attributes: {
      before: 1,
      get inner() {
        outcomes.push(encodeSpan(spanWith({}), scratch));
        return "value";
      },
      after: 2,
    },
  });
  assert.equal(encodeSpan(nested, scratch), "encoded");
  assert.deepEqual(scratch.message, messageOf(encodeSpan, span("value")));
  assert.deepEqual(outcomes, ["invalid"]);
});
