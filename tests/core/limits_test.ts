import assert from "node:assert/strict";
import { withinLimits } from "../../core/limits.ts";

const LIMITS = {
  cooldownMs: { default: 30_000, min: 1, max: 86_400_000, integer: true },
  cooldownJitter: { default: 0.2, min: 0, max: 1, integer: false },
};

Deno.test("withinLimits fills in what is missing and keeps what is given", () => {
  assert.deepEqual(withinLimits("test", { cooldownMs: 5 }, LIMITS), { cooldownMs: 5, cooldownJitter: 0.2 });
});

// deno-fmt-ignore
const refused: [unknown, typeof RangeError | typeof TypeError, string][] = [
  [0,                RangeError, "received 0"],
  [86_400_001,       RangeError, "received 86400001"],
  [1.5,              RangeError, "received 1.5"],
  [Number.NaN,       RangeError, "received NaN"],
  ["5000",           TypeError,  'received "5000"'],
  [true,             TypeError,  "received boolean true"],
];
for (const [value, kind, received] of refused) {
  Deno.test(`withinLimits names the option, its range and what came: ${String(value)}`, () => {
    assert.throws(
      () => withinLimits("create circuit breaker", { cooldownMs: value as number }, LIMITS),
      (error: Error) => {
        assert.ok(error instanceof kind);
        const expected = 'Cannot create circuit breaker: "cooldownMs" must be an integer from 1 to 86400000, ';
        assert.equal(error.message, expected + received);
        return true;
      },
    );
  });
}
