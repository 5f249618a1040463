/** What must hold of the encoders beside one version of OpenTelemetry's own serializers. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags, type Tracer } from "@opentelemetry/api";
import type { ReadableLogRecord, ReadableSpan } from "../../../exporters/sdk_types.ts";
import { anyLog, anySpan, logWith, manyOf, requestOfLogs, requestOfSpans, spanWith } from "./encode_cases.ts";

/** The serializers of one major version of the SDK, and items that this version made. */
export interface Stock {
  readonly name: string;
  readonly serializeSpans: (spans: ReadableSpan[]) => Uint8Array | undefined;
  readonly serializeLogs: (records: ReadableLogRecord[]) => Uint8Array | undefined;
  readonly makeSpans: () => ReadableSpan[];
  readonly makeLogs: () => ReadableLogRecord[];
}

type Parts = Readonly<Record<string, unknown>>;

/** How the stock serializers write a value: the bytes of its `AnyValue`. */
const VALUES: readonly (readonly [what: string, value: unknown, hex: string])[] = [
  ["the empty text", "", "0a00"],
  ["half of a surrogate pair", "\ud83c", "0a03efbfbd"],
  ["the halves in the wrong order", "\udf0a\ud83c", "0a06efbfbdefbfbd"],
  ["false", false, "1000"],
  ["true", true, "1001"],
  ["an integral double", 5.0, "1805"],
  ["negative zero, which becomes the integer 0", -0, "1800"],
  ["-1", -1, "18ffffffffffffffffff01"],
  ["2^53 + 2", 2 ** 53 + 2, "188280808080808010"],
  ["the largest integer below 2^63", 2 ** 63 - 1024, "1880f8ffffffffffff7f"],
  ["-2^63", -(2 ** 63), "1880808080808080808001"],
  ["2^63, a double", 2 ** 63, "21000000000000e043"],
  ["below -2^63, a double", -(2 ** 63) - 2048, "21010000000000e0c3"],
  ["a fraction", 0.5, "21000000000000e03f"],
  ["not a number", NaN, "21000000000000f87f"],
  ["infinity", Infinity, "21000000000000f07f"],
  ["null", null, ""],
  ["undefined", undefined, ""],
  ["a BigInt", 5n, ""],
  ["a function", () => 5, ""],
  ["a symbol", Symbol("five"), ""],
  ["no bytes", new Uint8Array(), "3a00"],
  ["bytes", new Uint8Array([0, 255]), "3a0200ff"],
  ["an empty list", [], "2a00"],
  ["a list of several kinds", [1, "a", null], "2a0b0a0218010a030a01610a00"],
  ["a list with a hole", [1, , 1], "2a0a0a0218010a000a021801"],
  ["an empty map", {}, "3200"],
  ["a map", { a: true }, "32090a070a016112021001"],
  ["a date, a map without properties", new Date(), "3200"],
  ["an array of doubles, a map by index", new Float64Array([1]), "32090a070a013012021801"],
  ["only what is own and enumerable", Object.create({ b: 1 }, { c: { value: 1 } }), "3200"],
];

/** How the stock serializers write a field of a span: what is unset is left out, or not, and neither seems certain. */
const SPANS: readonly (readonly [what: string, parts: Parts, hex: string])[] = [
  ["counts of 0 and the unset status, all of them", {}, "5000600070007a021800"],
  ["the empty name", { name: "" }, "2a003001"],
  ["a kind that is unset, not at all", { kind: undefined }, "2a047370616e39"],
  ["a kind one higher than the API has it", { kind: 4 }, "2a047370616e3005"],
  ["an empty status message, not at all", { status: { code: 2, message: "" } }, "7a021802"],
  [
    "an empty trace state, not at all",
    { spanContext: contextWith({ traceState: { serialize: () => "" } }) },
    "b7ad6b71692033312a",
  ],
  ["flags with the bit that tells that it is known if the parent is remote", {}, "850101010000"],
  ["a remote parent", { parentSpanContext: { spanId: "00000000000000ff", isRemote: true } }, "850101030000"],
  ["eight bits of the trace flags", { spanContext: contextWith({ traceFlags: 0xffff }) }, "8501ff010000"],
  ["a parent id of zeros", { parentSpanContext: { spanId: "0".repeat(16) } }, "22080000000000000000"],
  ["no parent id if it is empty", { parentSpanContext: { spanId: "" } }, "b7ad6b71692033312a"],
  ["ids in capital digits", { spanContext: contextWith({ spanId: "ABCDEF0123456789" }) }, "1208abcdef0123456789"],
  ["nanoseconds beyond a second, carried", { startTime: [1, 3_294_967_296] }, "390000000001000000"],
  ["negative nanoseconds, borrowed", { startTime: [5, -5_000_000_000] }, "390000000000000000"],
  ["the last time that there is", { endTime: [18_446_744_073, 709_551_615] }, "41ffffffffffffffff"],
  ["an event without a name", { events: [{ time: [0, 0], name: "" }] }, "5a0d0900000000000000001200" + "2000"],
  [
    "a link to nothing",
    { links: [{ context: { traceId: "", spanId: "", traceFlags: 0 } }] },
    "6a0b0a0012002800" + "3500010000",
  ],
  ["a negative count, in ten bytes", { droppedLinksCount: -1 }, "70ffffffffffffffffff01"],
  ["a count that is none, as 0", { droppedLinksCount: undefined }, "70007a"],
];

const LOGS: readonly (readonly [what: string, parts: Parts, hex: string])[] = [
  ["nothing that is unset but the count", {}, "380059"],
  ["no severity 0, no empty text or name", { severityNumber: 0, severityText: "", eventName: "" }, "380059"],
  ["a severity that is null, as 0", { severityNumber: null }, "10003800"],
  ["a body that is null, as the empty value", { body: null }, "2a003800"],
  ["an empty body", { body: "" }, "2a020a00"],
  ["all bits of the trace flags", { spanContext: { traceFlags: 0xffff } }, "45ffff000059"],
  ["no flags and no ids that are unset", { spanContext: { traceFlags: 0, traceId: "", spanId: "" } }, "380059"],
];

function contextWith(parts: Parts): () => Parts {
  return () => ({ ...spanWith({}).spanContext(), ...parts });
}

/** Registers the tests beside one version. */
export function testBeside({ name, serializeSpans, serializeLogs, makeSpans, makeLogs }: Stock): void {
  Deno.test(`any spans are encoded and framed to the bytes of the stock serializer of ${name}`, () => {
    fc.assert(
      fc.property(manyOf(anySpan), (spans) => assertBytes(requestOfSpans(spans), serializeSpans(spans))),
      { numRuns: 500, seed: 20_261_121 },
    );
    fc.assert(fc.property(manyOf(anySpan), (spans) => assertBytes(requestOfSpans(spans), serializeSpans(spans))));
  });

  Deno.test(`any log records are encoded and framed to the bytes of the stock serializer of ${name}`, () => {
    fc.assert(
      fc.property(manyOf(anyLog), (records) => assertBytes(requestOfLogs(records), serializeLogs(records))),
      { numRuns: 500, seed: 20_261_121 },
    );
    fc.assert(fc.property(manyOf(anyLog), (records) => assertBytes(requestOfLogs(records), serializeLogs(records))));
  });

  Deno.test(`what ${name} itself makes is encoded and framed to the bytes of its serializers`, () => {
    const spans = makeSpans();
    const records = makeLogs();
    assert.ok(spans.length > 2 && records.length > 2);
    assertBytes(requestOfSpans(spans), serializeSpans(spans));
    assertBytes(requestOfLogs(records), serializeLogs(records));
  });

  for (const [what, value, hex] of VALUES) {
    Deno.test(`as ${name} does, an attribute and a body are written: ${what}`, () => {
      const span = spanWith({ attributes: { key: value } });
      const record = logWith({ body: [value], attributes: { key: value } });
      assertBytes(requestOfSpans([span]), serializeSpans([span]), `0a036b657912${lengthOf(hex)}${hex}50`);
      assertBytes(requestOfLogs([record]), serializeLogs([record]), `0a036b657912${lengthOf(hex)}${hex}38`);
    });
  }

  for (const [what, parts, hex] of SPANS) {
    Deno.test(`as ${name} does, a span is written with ${what}`, () => {
      const span = spanWith(parts);
      assertBytes(requestOfSpans([span]), serializeSpans([span]), hex);
    });
  }

  for (const [what, parts, hex] of LOGS) {
    Deno.test(`as ${name} does, a log record is written with ${what}`, () => {
      const record = logWith(parts);
      assertBytes(requestOfLogs([record]), serializeLogs([record]), hex);
    });
  }

  Deno.test(`as ${name} does, a resource always has its count of 0, a scope always its name and else nothing`, () => {
    const resource = { attributes: {}, schemaUrl: "" };
    const instrumentationScope = { name: "", version: "", schemaUrl: "", droppedAttributesCount: 0 };
    const span = spanWith({ resource, instrumentationScope });
    for (const part of ["0a021000", "0a020a00"]) assertBytes(requestOfSpans([span]), serializeSpans([span]), part);
    const full = spanWith({
      resource: { attributes: { a: 1 }, schemaUrl: "r" },
      instrumentationScope: {
        name: "n",
        version: "v",
        schemaUrl: "s",
        attributes: { b: 2 },
        droppedAttributesCount: 3,
      },
    });
    const parts = ["0a0b0a070a0161120218011000", "0a110a016e1201761a070a0162120218022003", "1a01731a0172"];
    for (const part of parts) assertBytes(requestOfSpans([full]), serializeSpans([full]), part);
  });

  Deno.test(`as ${name} does, items are put together by the identity of resource and scope, in order of appearance`, () => {
    const resources = [{ attributes: { same: 1 } }, { attributes: { same: 1 } }];
    const scopes = [{ name: "same" }, { name: "same" }];
    const spans = [0, 3, 1, 0, 2, 3, 1].map((place, index) =>
      spanWith({
        name: `span ${index}`,
        resource: resources[place >> 1],
        instrumentationScope: scopes[place & 1],
      })
    );
    const request = requestOfSpans(spans);
    assertBytes(request, serializeSpans(spans));
    const text = new TextDecoder().decode(request);
    assert.deepEqual(Array.from(text.matchAll(/span (\d)/g), ([, index]) => Number(index)), [0, 3, 2, 6, 1, 5, 4]);
  });
}

function assertBytes(actual: Uint8Array, stock: Uint8Array | undefined, part = ""): void {
  assert.ok(stock);
  if (Buffer.compare(actual, stock) !== 0) assert.equal(hexOf(actual), hexOf(stock));
  if (part === "") return;
  assert.ok(hexOf(actual).includes(part), `${hexOf(actual)} has no ${part}`);
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The length of what hexadecimal digits stand for, in such digits itself. */
function lengthOf(hex: string): string {
  return (hex.length / 2).toString(16).padStart(2, "0");
}

const ATTRIBUTES = {
  text: "Grüße, 世界 🌊",
  integer: -42,
  double: 1.5,
  flag: false,
  texts: ["x", "y"],
  long: "a".repeat(300),
};

/** Some work, as an application has it traced. */
export function work(tracer: Tracer): void {
  const parent = tracer.startSpan("parent", { kind: SpanKind.SERVER, attributes: ATTRIBUTES });
  const child = tracer.startSpan("child", {
    kind: SpanKind.CLIENT,
    links: [{ context: parent.spanContext(), attributes: ATTRIBUTES }],
  }, trace.setSpan(ROOT_CONTEXT, parent));
  child.addEvent("event", ATTRIBUTES, [1_700_000_000, 5]);
  child.recordException(new Error("broken"));
  child.setStatus({ code: SpanStatusCode.ERROR, message: "broken" });
  child.end();
  parent.setStatus({ code: SpanStatusCode.OK });
  parent.end();
  const remote = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", isRemote: true };
  const caller = trace.setSpanContext(ROOT_CONTEXT, { ...remote, traceFlags: TraceFlags.SAMPLED });
  tracer.startSpan("", { kind: SpanKind.CONSUMER, startTime: new Date(1_700_000_000_123) }, caller).end();
}

/** Some log records, as an application has them. `emit` is the logger's. */
export function report(emit: (record: Readonly<Record<string, unknown>>) => void): void {
  const context = trace.setSpanContext(ROOT_CONTEXT, {
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    traceFlags: TraceFlags.SAMPLED,
  });
  emit({ body: "plain", severityNumber: 13, severityText: "WARN", attributes: ATTRIBUTES, context });
  emit({ body: { list: [1, "two", true, 2.5, null], bytes: new Uint8Array([0, 255]) }, eventName: "ship.arrived" });
  emit({ body: "", attributes: { nested: { deep: { deeper: [[{}]] } } } });
  emit({});
}
