/** What holds for a wrapped exporter whatever happens, in whatever order. */

import assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  CircuitBreakerSpanExporter,
  CircuitOpenError,
  type ExportResult,
  type ReadableSpan,
  type SpanExporter,
} from "../../exporters/mod.ts";
import { total } from "../../exporters/reason.ts";
import { FakeClock, settle } from "../fakes/clock.ts";
import * as fake from "../fakes/exporter.ts";

const TIMEOUT_MS = 1_000;

const BEHAVIOURS = {
  succeeds: fake.succeeds,
  fails: fake.fails,
  throws: fake.throws,
  rejects: fake.rejects,
  answersTwice: fake.answersTwice,
  answersThenThrows: fake.answersThenThrows,
  hangs: fake.hangs,
};

type Step =
  | { readonly do: "export"; readonly itemCount: number; readonly behaviour: keyof typeof BEHAVIOURS }
  | { readonly do: "answer"; readonly index: number; readonly code: 0 | 1 }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "flush" | "shutdown" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("export" as const),
      itemCount: fc.integer({ min: 0, max: 5 }),
      behaviour: fc.constantFrom(...Object.keys(BEHAVIOURS) as (keyof typeof BEHAVIOURS)[]),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("answer" as const),
      index: fc.nat({ max: 200 }),
      code: fc.constantFrom(0 as const, 1 as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(1, 400, 1_000, 5_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("flush" as const) }) },
);

Deno.test("P1-01 P1-05 B4 whatever happens: one answer an export, an account that balances, one probe, one shutdown", async () => {
  const steps = fc.array(step, { minLength: 30, maxLength: 120, size: "max" });
  await fc.assert(
    fc.asyncProperty(steps, async (program) => {
      const run = new Run();
      for (const [index, step] of program.entries()) {
        // Three quarters through, so that a good deal comes after it.
        if (index === Math.floor(program.length * 0.75)) run.take({ do: "shutdown" });
        await run.take(step);
        run.holds();
      }
      await run.end();
    }),
    { numRuns: 150 },
  );
});

class Run {
  readonly clock = new FakeClock();
  readonly inner = new fake.FakeExporter<unknown>();
  readonly exporter = new CircuitBreakerSpanExporter(this.inner as unknown as SpanExporter, {
    clock: this.clock,
    sleep: this.clock.sleep,
    exportTimeoutMs: TIMEOUT_MS,
    cooldownMs: 5_000,
    probeEveryNth: 7,
    concurrentExportsMax: 4,
    report: (message) => assert.fail(message),
  });
  readonly #answers: ExportResult[][] = [];
  readonly #sizes: number[] = [];
  readonly #ends: Promise<unknown>[] = [];
  #itemCount = 0;
  #deliveredMax = 0;

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case "export":
        return this.#export(step.itemCount, BEHAVIOURS[step.behaviour]);
      case "answer":
        this.inner.callbacks[step.index]?.({ code: step.code });
        return;
      case "wait":
        return await this.clock.advance(step.ms);
      case "flush":
        this.#ends.push(this.exporter.forceFlush!());
        return;
      case "shutdown":
        this.#ends.push(this.exporter.shutdown());
    }
  }

  holds(): void {
    const { accepted, delivered, dropped, queued } = this.exporter.account;
    assert.equal(delivered + total(dropped) + queued, accepted);
    assert.equal(accepted, this.#itemCount);
    assert.ok(delivered <= this.#deliveredMax, "nothing is delivered that did not reach the inner exporter");
    assert.ok(this.exporter.breaker.counters.probesInFlight <= 1);
    assert.equal(this.inner.callCount, this.exporter.breaker.counters.permitted);
    for (const answers of this.#answers) assert.ok(answers.length <= 1);
  }

  /** Time passes, and then nothing is open any more. */
  async end(): Promise<void> {
    this.#ends.push(this.exporter.shutdown());
    await this.clock.advance(3 * TIMEOUT_MS);
    await Promise.all(this.#ends);
    this.holds();
    assert.equal(this.exporter.account.queued, 0);
    assert.equal(this.inner.shutdownCount, 1);
    assert.equal(this.clock.sleeperCount, 0);
    const { delivered } = this.exporter.account;
    let succeeded = 0;
    for (const [index, answers] of this.#answers.entries()) {
      assert.equal(answers.length, 1, `export ${index} was answered once`);
      if (answers[0]!.code === 0) succeeded += this.#sizes[index]!;
      else assert.ok(answers[0]!.error instanceof Error);
    }
    assert.equal(succeeded, delivered, "what was answered with success is what was delivered");
  }

  async #export(itemCount: number, behaviour: fake.Behaviour): Promise<void> {
    this.inner.behaviour = behaviour;
    const answers: ExportResult[] = [];
    const before = this.inner.callCount;
    this.exporter.export(Array(itemCount).fill({}) as ReadableSpan[], (result) => void answers.push(result));
    const refused = answers[0]?.error instanceof CircuitOpenError;
    if (this.inner.callCount > before) this.#deliveredMax += itemCount;
    assert.ok(!(refused && this.inner.callCount > before), "what is refused does not reach the inner exporter");
    this.#itemCount += itemCount;
    this.#answers.push(answers);
    this.#sizes.push(itemCount);
    await settle();
  }
}
