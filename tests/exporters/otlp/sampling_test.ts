import assert from "node:assert/strict";
import fc from "fast-check";
import { keepsTrace } from "../../../exporters/otlp/sampling.ts";
import { bytesOf } from "./requests.ts";

const traceId = fc.uint8Array({ minLength: 16, maxLength: 16 });
const ratio = fc.double({ min: 0, max: 1, noNaN: true });

/** The rule with whole numbers: a double is a fraction, so multiplied by 2^1074 it is an integer. */
function keepsTraceModel(id: Uint8Array, ratio: number): boolean {
  const randomness = id.subarray(9).reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  const scaled = scaledInteger(ratio);
  return randomness * 2n ** 1074n >= 2n ** 56n * (2n ** 1074n - scaled);
}

/** The double times 2^1074, exactly. */
function scaledInteger(value: number): bigint {
  const bits = new DataView(new Float64Array([value]).buffer).getBigUint64(0, true);
  const exponent = bits >> 52n & 0x7ffn;
  const fraction = bits & (1n << 52n) - 1n;
  return exponent === 0n ? fraction : (fraction | 1n << 52n) << exponent - 1n;
}

Deno.test("P1-13 a trace is kept when the last 56 bits of its id reach (1 - ratio) x 2^56, to the bit", () => {
  fc.assert(
    fc.property(traceId, ratio, (id, ratio) => {
      assert.equal(keepsTrace(id, ratio), keepsTraceModel(id, ratio));
    }),
    { numRuns: 2000 },
  );
  // Around the threshold itself, where random ids never come.
  fc.assert(
    fc.property(ratio, fc.integer({ min: -2, max: 2 }), (ratio, offset) => {
      const threshold = 2n ** 56n - (scaledInteger(ratio) >> 1018n);
      const near = BigInt.asUintN(56, threshold + BigInt(offset));
      const id = bytesOf("0123456789abcdef01" + near.toString(16).padStart(14, "0"));
      assert.equal(keepsTrace(id, ratio), keepsTraceModel(id, ratio));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("P1-13 ratio 0 keeps nothing, 1 keeps everything, the extreme ids included", () => {
  for (const id of ["00".repeat(16), "ff".repeat(16), "00".repeat(15) + "01", "ff".repeat(9) + "00".repeat(7)]) {
    assert.equal(keepsTrace(bytesOf(id), 0), false, id);
    assert.equal(keepsTrace(bytesOf(id), 1), true, id);
  }
});

Deno.test("P1-13 what is kept at one ratio is kept at every greater one", () => {
  fc.assert(
    fc.property(traceId, ratio, ratio, (id, one, other) => {
      if (keepsTrace(id, Math.min(one, other))) assert.ok(keepsTrace(id, Math.max(one, other)));
    }),
    { numRuns: 1000 },
  );
});

Deno.test("P1-13 of 10 000 random traces 0.1 keeps a thousand, within three standard deviations", () => {
  // Ids from a generator with a seed, so that the count is the same each time.
  let state = 42;
  const random = () => {
    state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0;
    return (state ^ state >>> 13) & 0xff;
  };
  let keptCount = 0;
  for (let trace = 0; trace < 10_000; trace++) {
    if (keepsTrace(Uint8Array.from({ length: 16 }, random), 0.1)) keptCount++;
  }
  assert.ok(Math.abs(keptCount - 1000) <= 3 * Math.sqrt(10_000 * 0.1 * 0.9), `kept ${keptCount}`);
});
