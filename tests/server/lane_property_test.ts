import assert from "node:assert/strict";
import fc from "fast-check";
import { total } from "../../exporters/reason.ts";
import type { SendAnswer } from "../../exporters/transport/transport.ts";
import { Harbour } from "../fakes/harbour.ts";
import { answers, noAnswer, type Sent } from "../fakes/backend.ts";

/** What the backend may say, by name, so that a failing run reads as a story. */
const MOODS = {
  delivered: () => answers.delivered(),
  partial: (sent: Sent) => answers.delivered(Math.floor(sent.itemCount / 2)),
  refused: () => answers.retryable(),
  lost: () => answers.retryable(true, "deadline"),
  throttled: () => answers.throttled(2000),
  throttledAll: () => answers.throttled(3000, true),
  small: (sent: Sent) => sent.items.length > 1 ? answers.tooLarge() : answers.delivered(),
  badData: (sent: Sent) => sent.items.some((item) => item % 7 === 0) ? answers.rejected() : answers.delivered(),
  poison: (sent: Sent) => sent.items.some((item) => item % 11 === 0) ? answers.retryable(true) : answers.delivered(),
  broken: () => answers.backendFailed(),
  misconfigured: () => answers.misconfigured(),
  unsupported: () => answers.unsupported(),
  throwing: (): SendAnswer => {
    throw new Error("thrown");
  },
  hung: noAnswer,
} as const;
type Mood = keyof typeof MOODS;

type Step =
  | { readonly kind: "receive"; readonly itemCounts: readonly number[]; readonly hops: string }
  | { readonly kind: "mood"; readonly moods: readonly Mood[] }
  | { readonly kind: "wait"; readonly ms: number };

/** Enough for a common fault in a second; rare ones took some thousands, which is a night's work for a machine. */
const RUN_COUNT = 150;

/** Each item is one byte of its own, so there can be no more. */
const ITEMS_MAX = 250;

const moods = fc.constantFrom(...Object.keys(MOODS) as Mood[]);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("receive" as const),
    itemCounts: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }),
    hops: fc.constantFrom("", "", "x"),
  }),
  fc.record({ kind: fc.constant("mood" as const), moods: fc.array(moods, { minLength: 1, maxLength: 4 }) }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(0, 10, 1000, 5000, 30_000, 120_000) }),
);
const story = fc.array(step, { minLength: 20, maxLength: 80, size: "max" });

/** A lane with a backend of changing moods, and beside it a plain record of what the backend was sent and said. */
class Voyage {
  readonly harbour: Harbour;
  readonly delivered: number[] = [];
  /** Settled for good by an answer: none of these may be seen again. */
  readonly settled = new Set<number>();
  readonly lost = new Set<number>();
  /** What the lane did wrong in a call: an exception there would only look like a broken transport. */
  readonly wrong: string[] = [];
  redelivered = 0;
  received = 0;
  #moods: readonly Mood[] = ["delivered"];
  #turn = 0;

  constructor(harbour: Harbour, onFull: "reject" | "drop_oldest") {
    this.harbour = harbour;
    this.berth = harbour.berth("a", (sent) => this.#answer(sent), onFull);
  }

  readonly berth;

  /** Tells whether the cursor was split, each time, by what had been received until then. */
  watchSplits(told: (received: number) => void): void {
    const { cursor } = this.berth;
    const split = cursor.split.bind(cursor);
    cursor.split = () => {
      split();
      told(this.received);
    };
  }

  async take(step: Step): Promise<void> {
    if (step.kind === "mood") this.#moods = step.moods;
    if (step.kind === "wait") await this.harbour.advance(step.ms);
    if (step.kind !== "receive") return;
    for (const itemCount of step.itemCounts) {
      if (this.received + itemCount > ITEMS_MAX) break;
      const items = Array.from({ length: itemCount }, () => this.received++);
      await this.harbour.receiveFrom(step.hops, items);
    }
    await this.harbour.advance(0);
  }

  async #answer(sent: Sent): Promise<SendAnswer> {
    if (sent.items.length !== sent.itemCount) this.wrong.push(`${sent.items.length} items sent as ${sent.itemCount}`);
    for (const item of sent.items) {
      if (this.settled.has(item)) this.wrong.push(`item ${item} was sent again after it was settled`);
      if (this.lost.delete(item)) this.redelivered++;
    }
    const mood = this.#moods[this.#turn++ % this.#moods.length] ?? "delivered";
    if (mood === "hung" || mood === "throwing") { for (const item of sent.items) this.lost.add(item); }
    const answer = await MOODS[mood](sent);
    if (answer.status === "delivered") this.delivered.push(...sent.items);
    if (answer.status === "delivered" || (answer.status === "rejected" && answer.backendFailed)) {
      for (const item of sent.items) this.settled.add(item);
    }
    if (answer.status === "retryable" && answer.answerLost) { for (const item of sent.items) this.lost.add(item); }
    return answer;
  }

  assertBalance(): void {
    assert.deepEqual(this.wrong.concat(this.harbour.log.filter((line) => line.includes("RangeError"))), []);
    assert.deepEqual(this.harbour.account.balance().signals.filter(({ balanced }) => !balanced), []);
    const balance = this.harbour.balance("a");
    assert.ok(balance.balanced, JSON.stringify(balance));
    const taken = balance.delivered + (balance.rejected.partial_success ?? 0);
    // A record that is sent in halves is settled as a whole, so it waits in the account while its first half is there.
    assert.ok(taken <= this.delivered.length, `${taken} of ${this.delivered.length} were delivered`);
    // What the queue itself dropped may have been there in part, and so may what a shutdown ended in its last moment.
    const { queue_full, expired, shutdown } = balance.dropped;
    if (balance.queued === 0 && !queue_full && !expired && !shutdown) assert.equal(taken, this.delivered.length);
    assert.equal(new Set(this.delivered).size, this.delivered.length, "nothing is delivered twice");
    assert.equal(balance.redelivered, this.redelivered);
  }
}

const OPTIONS = { attemptTimeoutMs: 2000, backoffMs: 500, headProbesMax: 2, parkedRecordsMax: 3, mergeItemsMax: 20 };

Deno.test("P2-10 whatever the backend answers, the account balances at every rest and nothing vanishes without a reason", async () => {
  await fc.assert(
    fc.asyncProperty(
      story,
      fc.constantFrom(1, 4),
      fc.constantFrom("reject" as const, "drop_oldest" as const),
      fc.constantFrom(0, 40_000),
      fc.constantFrom(1, 10_000),
      fc.boolean(),
      async (steps, inFlightMax, onFull, recordAgeMaxMs, backlogBytesMin, heals) => {
        const harbour = new Harbour({ ...OPTIONS, inFlightMax, recordAgeMaxMs, backlogBytesMin, itemsMax: 60 });
        const voyage = new Voyage(harbour, onFull);
        for (const step of steps) {
          await voyage.take(step);
          voyage.assertBalance();
        }
        if (heals) {
          await voyage.take({ kind: "mood", moods: ["delivered"] });
          await voyage.take({ kind: "wait", ms: 600_000 });
        } else {
          const drained = voyage.berth.lane.drain(10_000);
          await harbour.advance(0);
          await harbour.advance(15_000);
          await drained;
        }
        voyage.assertBalance();
        const balance = harbour.balance("a");
        assert.equal(balance.queued, 0, "nothing is left behind");
        const reasons = Object.keys({ ...balance.rejected, ...balance.dropped });
        const known = ["partial_success", "http_400", "http_500", "http_401", "http_429", "http_503", "unsupported"]
          .concat("too_large", "export_failed", "deadline", "expired", "queue_full", "shutdown");
        assert.deepEqual(reasons.filter((reason) => !known.includes(reason)), []);
        if (heals) assert.equal(balance.dropped.shutdown, undefined);
      },
    ),
    { numRuns: RUN_COUNT },
  );
});

const calmStory = (() => {
  const calm = ["delivered", "partial", "refused", "lost", "throttled", "small", "hung", "misconfigured"] as const;
  return story.map((steps) =>
    steps.map((step) =>
      step.kind === "mood"
        ? { ...step, moods: step.moods.map((mood) => calm.find((one) => one === mood) ?? "lost") }
        : step
    )
  );
})();

/** One request at a time, nothing is parked, and in the end all is delivered. @returns The points at which was split. */
async function calmVoyage(steps: readonly Step[], backlogBytesMin: number): Promise<[Voyage, readonly number[]]> {
  const harbour = new Harbour({ ...OPTIONS, inFlightMax: 1, headProbesMax: 1000, itemsMax: 1000, backlogBytesMin });
  const voyage = new Voyage(harbour, "reject");
  const splits: number[] = [];
  voyage.watchSplits((received) => splits.push(received));
  for (const step of steps) await voyage.take(step);
  await voyage.take({ kind: "mood", moods: ["delivered"] });
  await voyage.take({ kind: "wait", ms: 600_000 });
  assert.equal(total(harbour.balance("a").dropped), 0);
  return [voyage, splits];
}

Deno.test("one request at a time and nothing parked: the backend sees the stream in its order", async () => {
  await fc.assert(
    fc.asyncProperty(calmStory, async (steps) => {
      const [{ delivered, received }] = await calmVoyage(steps, 10_000_000);
      assert.deepEqual(delivered, Array.from({ length: received }, (_, item) => item));
    }),
    { numRuns: RUN_COUNT / 3 },
  );
});

Deno.test("with splits too, but that what was received after one may pass what was received before it", async () => {
  await fc.assert(
    fc.asyncProperty(calmStory, async (steps) => {
      const [{ delivered, received }, splits] = await calmVoyage(steps, 1);
      assert.equal(delivered.length, received);
      for (const [index, from] of [0, ...splits].entries()) {
        const between = delivered.filter((item) => item >= from && item < (splits[index] ?? Infinity));
        assert.deepEqual(between, between.toSorted((a, b) => a - b));
      }
    }),
    { numRuns: RUN_COUNT / 3 },
  );
});
