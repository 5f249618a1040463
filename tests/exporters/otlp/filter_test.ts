import assert from "node:assert/strict";
import fc from "fast-check";
import { filterItems, type Item } from "../../../exporters/otlp/filter.ts";
import { skim } from "../../../exporters/otlp/skim.ts";
import { MalformedRequest } from "../../../exporters/otlp/wire.ts";
import { type Signal, SIGNALS } from "../../../exporters/signal.ts";
import { concat, field } from "../../fakes/otlp_bytes.ts";
import {
  anyRequest,
  decodeMessage,
  encodeMessage,
  itemsOf,
  type Plain,
  REQUEST_TYPES,
} from "../../model/otlp_schema.ts";
import { bytesOf, isInvalid } from "./requests.ts";

for (const signal of SIGNALS) {
  const type = REQUEST_TYPES[signal];

  Deno.test(`R7 filtering ${signal} keeps exactly the items it is told to keep, each where it was`, () => {
    fc.assert(
      fc.property(anyRequest(signal), fc.infiniteStream(fc.boolean()), (request, answers) => {
        const whole = encodeMessage(type, request);
        const before = decodeMessage(type, whole);
        const kept = new Set<Plain>();
        const items = itemsOf(signal, before);
        let index = 0;
        const filtered = filterItems(whole, signal, () => {
          const answer = answers.next().value;
          if (answer) kept.add(items[index]);
          index++;
          return answer;
        });
        assert.equal(index, items.length, "each item is asked about once");
        assert.equal(filtered.itemCount, kept.size);
        assert.equal(skim(filtered.payload, signal).itemCount, kept.size);
        // Encoded anew by the oracle, the pruned request is the same to the byte: what was kept was not touched.
        const expected = kept.size === items.length ? before : prune(signal, before, kept);
        assert.deepEqual(filtered.payload, encodeMessage(type, expected));
      }),
      { numRuns: 60 },
    );
  });

  Deno.test(`R7 the items of ${signal} that a filter is told are valid are the ones skim counts as valid`, () => {
    fc.assert(
      fc.property(anyRequest(signal), (request) => {
        const whole = encodeMessage(type, request);
        const seen: Item[] = [];
        const { payload, itemCount } = filterItems(whole, signal, (item) => {
          seen.push(item);
          return item.valid;
        });
        const items = itemsOf(signal, decodeMessage(type, whole));
        assert.deepEqual(seen.map(({ valid }) => !valid), items.map((item) => isInvalid(signal, item)));
        if (signal !== "metrics") {
          assert.deepEqual(seen.map(({ traceId }) => base64(traceId)), items.map((item) => item.traceId ?? ""));
          assert.deepEqual(seen.map(({ spanId }) => base64(spanId)), items.map((item) => item.spanId ?? ""));
        }
        assert.deepEqual(skim(payload, signal), { itemCount, invalidCount: 0 });
      }),
      { numRuns: 60 },
    );
  });

  Deno.test(`a damaged ${signal} request is filtered or refused as malformed, nothing else`, () => {
    fc.assert(
      fc.property(anyRequest(signal), fc.nat(), fc.nat(255), (request, at, byte) => {
        const damaged = encodeMessage(type, request);
        if (damaged.length > 0) damaged[at % damaged.length] = byte;
        let index = 0;
        try {
          const { payload, itemCount } = filterItems(damaged, signal, () => index++ % 2 === 0);
          assert.ok(payload.length <= damaged.length && itemCount <= index);
        } catch (error) {
          assert.ok(error instanceof MalformedRequest, String(error));
        }
      }),
      { numRuns: 150 },
    );
  });
}

/** The request without the items that were not kept, and without what is then empty. */
function prune(signal: Signal, request: Plain, kept: ReadonlySet<Plain>): Plain {
  const levels: Record<Signal, readonly string[]> = {
    traces: ["resourceSpans", "scopeSpans", "spans"],
    logs: ["resourceLogs", "scopeLogs", "logRecords"],
    metrics: [
      "resourceMetrics",
      "scopeMetrics",
      "metrics",
      "gauge|sum|histogram|exponentialHistogram|summary",
      "dataPoints",
    ],
  };
  const pruneAt = (value: Plain, [level, ...deeper]: readonly string[]): Plain | undefined => {
    if (level === undefined) return kept.has(value) ? value : undefined;
    const name = Object.keys(value).find((key) => level.split("|").includes(key));
    if (name === undefined) return undefined;
    const inside = [value[name]].flat() as Plain[];
    const left = inside.map((one) => pruneAt(one, deeper)).filter((one) => one !== undefined);
    return left.length === 0 ? undefined : { ...value, [name]: Array.isArray(value[name]) ? left : left[0] };
  };
  return pruneAt(request, levels[signal]) ?? {};
}

function base64(bytes: Uint8Array = new Uint8Array()): string {
  return btoa(String.fromCharCode(...bytes));
}

const SPAN = concat([field(1, bytesOf("0af7651916cd43dd8448eb211c80319c")), field(2, bytesOf("b7ad6b7169203331"))]);
const UNKNOWN = field(99, bytesOf("c0ffee"));
const RESOURCE = field(1, field(2, bytesOf("00")));

Deno.test("a filter that keeps everything gives the payload back as it is, not a copy", () => {
  const payload = field(1, field(2, field(2, SPAN)));
  assert.equal(filterItems(payload, "traces", () => true).payload, payload);
});

Deno.test("a filter leaves unknown fields, their order and the length of everything else as they came", () => {
  const spans = (...names: string[]) =>
    names.map((name) => field(2, concat([UNKNOWN, SPAN, field(5, new TextEncoder().encode(name)), UNKNOWN])));
  const request = (...names: string[]) =>
    concat([
      UNKNOWN,
      field(1, concat([UNKNOWN, field(2, concat([UNKNOWN, ...spans(...names), RESOURCE])), RESOURCE])),
      UNKNOWN,
    ]);
  let index = 0;
  const { payload, itemCount } = filterItems(request("a", "b", "c"), "traces", () => index++ !== 1);
  assert.equal(itemCount, 2);
  assert.deepEqual(payload, request("a", "c"));
});

Deno.test("R13 an envelope that a filter empties is dropped with its resource, and its neighbour stays", () => {
  const envelope = (name: string) =>
    field(1, concat([RESOURCE, field(2, field(2, concat([SPAN, field(5, bytesOf(name))])))]));
  let index = 0;
  const { payload } = filterItems(concat([envelope("61"), envelope("62")]), "traces", () => index++ === 1);
  assert.deepEqual(payload, envelope("62"));
  assert.deepEqual(filterItems(envelope("61"), "traces", () => false), { payload: new Uint8Array(), itemCount: 0 });
});

Deno.test("R14 a filter reads envelopes with padded tags and lengths, and writes what shrinks minimally", () => {
  const scope = concat([field(2, SPAN), field(2, SPAN)]);
  // Tag and length of the outer envelopes take five bytes each.
  const padded = (inner: Uint8Array, tag: string) =>
    concat([bytesOf(tag + "80808000"), bytesOf((inner.length | 0x80).toString(16) + "80808000"), inner]);
  const request = padded(padded(scope, "92"), "8a");
  assert.equal(skim(request, "traces").itemCount, 2);
  let index = 0;
  assert.deepEqual(filterItems(request, "traces", () => index++ === 0).payload, field(1, field(2, field(2, SPAN))));
});

Deno.test("a filter refuses an envelope of the wrong wire type", () => {
  assert.throws(() => filterItems(bytesOf("0801"), "traces", () => true), /field 1 cannot have the wire type 0/);
  assert.throws(
    () => filterItems(field(1, field(2, field(2, bytesOf("0801")))), "traces", () => true),
    MalformedRequest,
  );
});
