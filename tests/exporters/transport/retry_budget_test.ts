import assert from "node:assert/strict";
import { RetryBudget } from "../../../exporters/transport/retry_budget.ts";
import { FakeClock } from "../../fakes/clock.ts";

Deno.test("A new sender has three retries, and three more after each ten quiet seconds, never more", async () => {
  const clock = new FakeClock();
  const budget = new RetryBudget(clock);
  assert.equal(takeAll(budget), 3);
  await clock.advance(9_999);
  assert.equal(takeAll(budget), 2);
  await clock.advance(10_000);
  assert.equal(takeAll(budget), 3);
  await clock.advance(3_600_000);
  assert.equal(takeAll(budget), 3, "an hour of quiet saves up no more than ten seconds do");
});

Deno.test("Five first attempts earn one retry, up to a bound", () => {
  const budget = new RetryBudget(new FakeClock());
  takeAll(budget);
  for (let attempt = 0; attempt < 50; attempt++) budget.earn();
  assert.equal(takeAll(budget), 10);
  for (let attempt = 0; attempt < 10_000; attempt++) budget.earn();
  assert.equal(takeAll(budget), 100);
});

Deno.test("Earned retries are kept while time passes", async () => {
  const clock = new FakeClock();
  const budget = new RetryBudget(clock);
  for (let attempt = 0; attempt < 100; attempt++) budget.earn();
  await clock.advance(60_000);
  assert.equal(takeAll(budget), 23);
});

function takeAll(budget: RetryBudget): number {
  let count = 0;
  while (budget.take()) count++;
  return count;
}
