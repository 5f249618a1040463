import assert from "node:assert/strict";
import fc from "fast-check";
import { mergeRequests } from "../../../exporters/otlp/merge.ts";
import { skim } from "../../../exporters/otlp/skim.ts";
import { splitRequest } from "../../../exporters/otlp/split.ts";
import { type Signal, SIGNALS } from "../../../exporters/signal.ts";
import {
  anyRequest,
  decodeMessage,
  encodeMessage,
  itemsOf,
  type Plain,
  REQUEST_TYPES,
} from "../../model/otlp_schema.ts";

for (const signal of SIGNALS) {
  const type = REQUEST_TYPES[signal];
  const encode = (request: Plain) => encodeMessage(type, request);
  const decode = (payload: Uint8Array) => decodeMessage(type, payload);

  Deno.test(`merged ${signal} requests hold the items of all of them in their order`, () => {
    fc.assert(
      fc.property(fc.array(anyRequest(signal), { maxLength: 4, size: "max" }), (requests) => {
        const payloads = requests.map(encode);
        const merged = mergeRequests(payloads);
        assert.deepEqual(
          withPaths(signal, decode(merged)),
          payloads.flatMap((payload) => withPaths(signal, decode(payload))),
        );
        assert.equal(
          skim(merged, signal).itemCount,
          payloads.reduce((sum, one) => sum + skim(one, signal).itemCount, 0),
        );
      }),
      { numRuns: 30 },
    );
  });

  Deno.test(`a split ${signal} request becomes two halves with the same items in the same envelopes, down to one item`, () => {
    let splitCount = 0;
    fc.assert(
      fc.property(anyRequest(signal), (request) => {
        const whole = encode(request);
        const pieces = [whole];
        for (let index = 0; index < pieces.length;) {
          const parts = splitRequest(pieces[index], signal);
          const itemCount = skim(pieces[index], signal).itemCount;
          const counts = parts.map((part) => skim(part, signal).itemCount);
          if (itemCount < 2) {
            assert.deepEqual(parts, [pieces[index]]);
            index++;
          } else {
            assert.deepEqual(counts, [Math.ceil(itemCount / 2), Math.floor(itemCount / 2)]);
            pieces.splice(index, 1, ...parts);
            splitCount++;
          }
        }
        assert.deepEqual(
          pieces.flatMap((piece) => withPaths(signal, decode(piece))),
          withPaths(signal, decode(whole)),
        );
      }),
      { numRuns: 40 },
    );
    assert.ok(splitCount > 40, `only ${splitCount} splits`);
  });
}

/** Every item with what lies around it, the items beside it left out: its resource, scope, metric, schema URLs. */
function withPaths(signal: Signal, request: Plain): readonly unknown[] {
  const itemSet = new Set(itemsOf(signal, request));
  const walk = (value: Plain, around: readonly unknown[]): unknown[] => {
    if (itemSet.has(value)) return [[...around, value]];
    const children = Object.entries(value).filter(([, inside]) => leadsToItems(inside));
    const rest = Object.fromEntries(Object.entries(value).filter(([, inside]) => !leadsToItems(inside)));
    return children.flatMap(([, inside]) =>
      ([inside].flat() as Plain[]).flatMap((one) => walk(one, [...around, rest]))
    );
  };
  const leadsToItems = (value: unknown): boolean =>
    typeof value === "object" && value !== null &&
    (itemSet.has(value as Plain) || Object.values(value).some((inside) => leadsToItems(inside)));
  return walk(request, []);
}

Deno.test("one payload alone is merged into itself, none into an empty request", () => {
  const payload = new Uint8Array([1, 2, 3]);
  assert.equal(mergeRequests([payload]), payload);
  assert.equal(mergeRequests([]).length, 0);
});
