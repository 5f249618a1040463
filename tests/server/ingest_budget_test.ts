import assert from "node:assert/strict";
import fc from "fast-check";
import { IngestBudget, Reservation } from "../../server/ingest_budget.ts";

Deno.test("IngestBudget gives out what it has, to the byte, and nothing of what it has not", () => {
  const budget = new IngestBudget({ bytesMax: 100 });
  assert.equal(budget.reserve(60), true);
  assert.equal(budget.reserve(41), false);
  assert.equal(budget.reservedBytes, 60);
  assert.equal(budget.reserve(40), true);
  assert.equal(budget.freeBytes, 0);
  assert.equal(budget.reserve(0), true);
  budget.release(100);
  assert.equal(budget.reservedBytes, 0);
  assert.equal(new IngestBudget().bytesMax, 256 * 1024 * 1024);
});

Deno.test("IngestBudget never takes back more than it gave, nor parts of bytes", () => {
  const budget = new IngestBudget({ bytesMax: 100 });
  budget.reserve(10);
  assert.throws(() => budget.release(11), {
    name: "RangeError",
    message: 'Cannot release ingest memory: "bytes" must be an integer from 0 to 10, received 11',
  });
  for (const bytes of [-1, 0.5, Number.NaN, Infinity]) {
    assert.throws(() => budget.release(bytes), RangeError);
    assert.throws(() => budget.reserve(bytes), RangeError);
  }
  assert.equal(budget.reservedBytes, 10);
  assert.throws(() => new IngestBudget({ bytesMax: 0 }), /"bytesMax" must be an integer from 1/);
});

Deno.test("whatever requests do, the budget is the sum of what they hold, never more than the whole, and 0 at the end", () => {
  const steps = fc.array(
    fc.record({
      request: fc.nat({ max: 4 }),
      kind: fc.constantFrom("grow", "shrink", "close"),
      bytes: fc.nat({ max: 60 }),
    }),
    { minLength: 40, maxLength: 80, size: "max" },
  );
  fc.assert(fc.property(steps, (steps) => {
    const budget = new IngestBudget({ bytesMax: 100 });
    const requests = Array.from({ length: 5 }, () => new Reservation(budget));
    for (const { request, kind, bytes } of steps) {
      const reservation = requests[request];
      const before = reservation.bytes;
      if (kind === "grow") {
        const fits = bytes <= budget.freeBytes;
        assert.equal(reservation.grow(bytes), fits);
        assert.equal(reservation.bytes, fits ? before + bytes : before);
      } else if (kind === "shrink") {
        reservation.shrinkTo(bytes);
        assert.equal(reservation.bytes, Math.min(before, bytes));
      } else reservation.close();
      assert.equal(budget.reservedBytes, requests.reduce((sum, one) => sum + one.bytes, 0));
      assert.ok(budget.reservedBytes <= 100);
    }
    for (const reservation of requests) reservation.close();
    assert.equal(budget.reservedBytes, 0);
  }));
});
