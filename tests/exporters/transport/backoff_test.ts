import assert from "node:assert/strict";
import fc from "fast-check";
import { backoffMs } from "../../../exporters/transport/backoff.ts";
import { seededRandom } from "../../fakes/random.ts";

const LIMITS = { initialMs: 1_000, maxMs: 30_000 };

Deno.test("E5 the back-off doubles from its beginning to its maximum, for any number of retries", () => {
  const waits = [0, 1, 2, 3, 4, 5, 2_000].map((retryIndex) => backoffMs(retryIndex, LIMITS, 0));
  assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
});

Deno.test("E5 jitter takes up to half of the wait away, and the seed decides how much", () => {
  assert.equal(backoffMs(0, LIMITS, 1), 500);
  const draw = (seed: number) => {
    const random = seededRandom(seed);
    return Array.from({ length: 1_000 }, () => backoffMs(0, LIMITS, random()));
  };
  assert.deepEqual(draw(7), draw(7));
  assert.notDeepEqual(draw(7), draw(8));
  const mean = draw(7).reduce((sum, ms) => sum + ms, 0) / 1_000;
  assert.ok(mean > 725 && mean < 775, `waits are spread evenly over 500 to 1000, their mean was ${mean}`);
});

Deno.test("E6 no wait is shorter than what the backend asked for, nor than half a back-off, nor longer than both", () => {
  fc.assert(fc.property(
    fc.nat({ max: 5_000 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.nat({ max: 100_000 }),
    (retryIndex, luck, floorMs) => {
      const waitMs = backoffMs(retryIndex, LIMITS, luck, floorMs);
      assert.ok(waitMs >= floorMs && waitMs >= 500 && waitMs <= Math.max(floorMs, LIMITS.maxMs));
    },
  ));
});
