/** The ring beside its model, through random programs: tiny bounds, so that everything goes round at once. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteRing, byteRingFrom, type ByteRingOptions, type RingRecord } from "../../core/byte_ring.ts";
import { checkRingOptions } from "../../core/byte_ring_options.ts";
import { ByteRingModel, plain } from "../model/byte_ring_model.ts";

/** One thing that is done to both. */
type Step =
  | { readonly does: "push"; readonly by: number; readonly length: number; readonly tag: number }
  | { readonly does: "pushAll"; readonly by: number; readonly lengths: readonly number[] }
  | { readonly does: "drain"; readonly late: boolean; readonly maxBytes: number; readonly maxItems: number }
  | { readonly does: "release"; readonly late: boolean }
  | { readonly does: "consume" };

const PROGRAMS = 300;
const STEPS_MAX = 600;

const bound = fc.oneof(fc.constant(Infinity), fc.nat(80));
const length = fc.nat(40);

const options: fc.Arbitrary<ByteRingOptions> = fc.record({
  itemsMax: fc.integer({ min: 1, max: 12 }),
  bytesMax: fc.oneof(fc.integer({ min: 16, max: 100 }), fc.integer({ min: 100, max: 400 })),
  share: fc.oneof(fc.constant(1), fc.double({ min: 0.2, max: 1, noNaN: true })),
  overflow: fc.constantFrom("drop_newest", "drop_oldest", "reject"),
}).map(({ share, ...rest }) => ({
  ...rest,
  pushBytesMax: Math.max(16, Math.ceil(share * rest.bytesMax)),
}));

/** The first ordinal, of which the program goes over 2^24 or 2^32 in some, and the first position. */
const beginning = fc.record({
  ordinal: fc.oneof(fc.constantFrom(0, 1, 0xff_fffe), fc.integer({ min: 0xffff_ffe0, max: 0xffff_ffff })),
  position: fc.oneof(fc.constant(0), fc.integer({ min: 0x1fff_ffe0, max: 0x1fff_ffff }).map((eights) => eights * 8)),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ does: fc.constant("push" as const), by: fc.nat(2), length, tag: fc.nat() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant("pushAll" as const),
      by: fc.nat(2),
      lengths: fc.array(fc.nat(10), { maxLength: 6, size: "max" }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant("drain" as const),
      late: fc.integer({ min: 0, max: 9 }).map((number) => number === 0),
      maxBytes: bound,
      maxItems: bound,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant("release" as const),
      late: fc.integer({ min: 0, max: 9 }).map((number) => number === 0),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("consume" as const) }) },
);

Deno.test(`the ring does what the model does, step by step, also where ordinals and positions go round`, async () => {
  const seen = new Map<string, number>();
  const note = (word: string) => void seen.set(word, (seen.get(word) ?? 0) + 1);
  const steps = fc.array(step, { minLength: 20, maxLength: STEPS_MAX, size: "max" });
  await fc.assert(
    fc.asyncProperty(options, beginning, steps, async (options, beginning, program) => {
      play(options, beginning, program, note);
      await new Promise((resolve) => setTimeout(resolve)); // for the memory to be collected
    }),
    { numRuns: PROGRAMS },
  );
  assert.deepEqual(EXPECTED.filter((word) => (seen.get(word) ?? 0) < 20), []);
});

/** What the programs must have come to. */
const EXPECTED = [
  ...["accepted", "full", "too_large", "part of a group", "a group", "no group", "a group too large"],
  ...["oldest dropped", "two runs", "a late release", "ordinals went round", "positions went round"],
];

function play(
  options: ByteRingOptions,
  beginning: { readonly ordinal: number; readonly position: number },
  program: readonly Step[],
  note: (word: string) => void,
): void {
  const first = byteRingFrom(options, beginning);
  const rings = [first, ByteRing.attach(first.handle), ByteRing.attach(first.handle)];
  const model = new ByteRingModel(checkRingOptions(options));
  const consumers = [first.consume()];
  model.consume();
  let serial = 0;
  const record = (length: number, tag: number): RingRecord => {
    serial++;
    return { bytes: Uint8Array.from({ length }, (_, index) => serial * 31 + index), tag };
  };
  for (const step of program) {
    if (step.does === "push") {
      const offered = record(step.length, step.tag);
      const expected = model.push(offered);
      assert.equal(rings[step.by]!.push(offered.bytes, offered.tag), expected);
      note(expected);
    } else if (step.does === "pushAll") {
      const offered = step.lengths.map((length) => record(length, length));
      const expected = model.pushAll(offered);
      note(outcome(expected, offered.length));
      if (expected < 0) assert.throws(() => rings[step.by]!.pushAll(offered), RangeError);
      else assert.equal(rings[step.by]!.pushAll(offered), expected);
    } else if (step.does === "consume") {
      consumers.push(first.consume());
      assert.equal(model.consume(), consumers.length);
    } else {
      const late = step.late && consumers.length > 1;
      const number = consumers.length - (late ? 1 : 0);
      const consumer = consumers[number - 1]!;
      if (late) note(`a late ${step.does}`);
      if (step.does === "release") assert.equal(consumer.release(), model.release(number));
      else {
        const batch = consumer.drain(step.maxBytes, step.maxItems);
        assert.deepEqual([...batch].map(plain), model.drain(number, step.maxBytes, step.maxItems));
        if (batch.runs.length === 2) note("two runs");
      }
    }
    assert.deepEqual(first.counters, model.counters);
  }
  const { accepted, dropped: { oldest } } = first.counters;
  if (oldest > 0) note("oldest dropped");
  if (beginning.ordinal + accepted > 2 ** 32) note("ordinals went round");
  if (beginning.position + 16 * accepted > 2 ** 32) note("positions went round");
}

function outcome(accepted: number, offered: number): string {
  if (accepted < 0) return "a group too large";
  if (accepted === 0) return "no group";
  return accepted < offered ? "part of a group" : "a group";
}
