import assert from "node:assert/strict";
import { RetryBudget } from "../../../exporters/transport/retry_budget.ts";
import { RetryTransport, type RetryTransportOptions } from "../../../exporters/transport/retry.ts";
import type { SendAnswer, Transport } from "../../../exporters/transport/transport.ts";
import { FakeClock, settle } from "../../fakes/clock.ts";
import { DELIVERED, FakeTransport, hanging, retryable, type ScriptedAnswer, throttled } from "../../fakes/transport.ts";

const BODY = new Uint8Array([1, 2, 3]);
const OPTIONS = { signal: "traces", itemCount: 3, deadlineMs: 60_000 } as const;

Deno.test("E5 a retryable answer is sent again after 1, 2, 4 … seconds until it is delivered", async () => {
  const { clock, inner, sentAtMs, transport } = rig([retryable(), retryable(), retryable(), DELIVERED]);
  const sending = transport.send(BODY, OPTIONS);
  await clock.advance(10_000);
  assert.deepEqual(sentAtMs, [0, 1_000, 3_000, 7_000]);
  assert.deepEqual(await sending, DELIVERED);
  assert.deepEqual(inner.sends.map(({ options }) => options.deadlineMs), [60_000, 59_000, 57_000, 53_000]);
  assert.ok(inner.sends.every(({ body }) => body === BODY), "the same bytes each time");
});

Deno.test("E5 jitter moves the retry forward by up to half", async () => {
  const { clock, sentAtMs, transport } = rig([retryable(), DELIVERED], { random: () => 0.5 });
  const sending = transport.send(BODY, OPTIONS);
  await clock.advance(2_000);
  assert.deepEqual(sentAtMs, [0, 750]);
  await sending;
});

Deno.test("E6 Retry-After: 0 does not hammer: back-off applies (opentelemetry-js: five retries in 17 ms)", async () => {
  const { clock, inner, transport } = rig([throttled(0)], { random: () => 1 });
  const sending = transport.send(BODY, OPTIONS);
  await clock.advance(499);
  assert.equal(inner.sends.length, 1);
  await clock.advance(1);
  assert.equal(inner.sends.length, 2);
  await clock.advance(60_000);
  await sending;
});

Deno.test("E6 Retry-After: 60 within a longer deadline is waited for, to the millisecond and not shorter", async () => {
  const { clock, sentAtMs, transport } = rig([throttled(60_000), DELIVERED]);
  const sending = transport.send(BODY, { ...OPTIONS, deadlineMs: 90_000 });
  await clock.advance(80_000);
  assert.deepEqual(sentAtMs, [0, 60_000]);
  assert.equal((await sending).status, "delivered");
});

Deno.test("E6 Retry-After: 60 beyond the deadline loses nothing: the answer comes back at once, and the data stays", async () => {
  const { clock, inner, transport } = rig([throttled(60_000)]);
  const answer = await transport.send(BODY, { ...OPTIONS, deadlineMs: 10_000 });
  assert.deepEqual(answer, throttled(60_000));
  assert.equal(clock.nowMs(), 0, "no time is spent on a wait that cannot help");
  assert.equal(inner.sends.length, 1);
});

Deno.test("An open circuit is waited for, not hammered, and its probe is exempt from the budget", async () => {
  const open = retryable({ reason: "circuit_open", retryAfterMs: 5_000 });
  const budget = new RetryBudget(new FakeClock());
  while (budget.take());
  const { clock, sentAtMs, transport } = rig([open, open, DELIVERED], { budget });
  const sending = transport.send(BODY, OPTIONS);
  await clock.advance(12_000);
  assert.deepEqual(sentAtMs, [0, 5_000, 10_000]);
  assert.equal((await sending).status, "delivered");
});

Deno.test("A refusal by the circuit is no attempt: it earns nothing and does not lengthen the back-off", async () => {
  const open = retryable({ reason: "circuit_open", retryAfterMs: 3_000 });
  const { clock, sentAtMs, transport } = rig([open, open, open, retryable(), DELIVERED]);
  const sending = transport.send(BODY, OPTIONS);
  await clock.advance(12_000);
  assert.deepEqual(sentAtMs, [0, 3_000, 6_000, 9_000, 10_000]);
  await sending;
});

Deno.test("A spent budget ends the retries with the last answer, so that the caller keeps the data", async () => {
  const budget = new RetryBudget(new FakeClock());
  const { clock, sentAtMs, transport } = rig([retryable()], { budget });
  const sending = transport.send(BODY, { ...OPTIONS, deadlineMs: 1_000_000 });
  await clock.advance(7_000);
  assert.deepEqual(await sending, retryable());
  assert.deepEqual(sentAtMs, [0, 1_000, 3_000, 7_000], "three retries, and the 0.2 that was earned is not a fourth");
});

Deno.test("One budget bounds all senders of a destination: ten failing requests cause five retries", async () => {
  const { clock, inner, transport } = rig([retryable()]);
  const sends = Array.from({ length: 10 }, () => transport.send(BODY, { ...OPTIONS, deadlineMs: 1_500 }));
  await clock.advance(1_500);
  for (const answer of await Promise.all(sends)) assert.equal(answer.status, "retryable");
  assert.equal(inner.sends.length, 15, "three for nothing, two for ten first attempts");
});

for (const status of ["rejected", "too_large", "misconfigured", "unsupported"] as const) {
  Deno.test(`E5 E8 ${status} is never sent again`, async () => {
    const answer: SendAnswer = { status, reason: "http_400", message: "" };
    const { inner, transport } = rig([answer]);
    assert.equal(await transport.send(BODY, OPTIONS), answer);
    assert.equal(inner.sends.length, 1);
  });
}

Deno.test("E7 a partial success is never sent again", async () => {
  const answer: SendAnswer = { status: "delivered", rejectedCount: 2, message: "no" };
  const { inner, transport } = rig([answer]);
  assert.equal(await transport.send(BODY, OPTIONS), answer);
  assert.equal(inner.sends.length, 1);
});

Deno.test("Once an answer was lost, every later retryable answer says so", async () => {
  const { clock, transport } = rig([retryable({ answerLost: true }), retryable({ answerLost: false })]);
  const sending = transport.send(BODY, { ...OPTIONS, deadlineMs: 2_500 });
  await clock.advance(2_500);
  assert.deepEqual(await sending, retryable({ answerLost: true }));
});

Deno.test("An abort ends a wait at once", async () => {
  const { clock, inner, transport } = rig([retryable({ answerLost: true })]);
  const controller = new AbortController();
  const sending = transport.send(BODY, { ...OPTIONS, abort: controller.signal });
  await settle();
  assert.equal(clock.sleeperCount, 1);
  controller.abort();
  assert.deepEqual(await sending, {
    status: "retryable",
    reason: "shutdown",
    message: "A shutdown ended the request while it waited to be sent again",
    answerLost: true,
  });
  assert.equal(inner.sends.length, 1);
  assert.equal(clock.sleeperCount, 0);
});

Deno.test("A close ends waits and attempts of all senders", async () => {
  const { transport } = rig([retryable(), hanging]);
  const sends = [transport.send(BODY, OPTIONS), transport.send(BODY, OPTIONS)];
  await settle();
  await transport.close();
  for (const answer of await Promise.all(sends)) assert.equal((answer as { reason: string }).reason, "shutdown");
});

Deno.test("A long-lived abort signal is left as it was found", async () => {
  const counted = new AbortController().signal;
  let listenerCount = 0;
  const { addEventListener, removeEventListener } = counted;
  counted.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listenerCount++;
    addEventListener.apply(counted, args);
  };
  counted.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listenerCount--;
    removeEventListener.apply(counted, args);
  };
  const { transport } = rig([DELIVERED]);
  for (let sent = 0; sent < 3; sent++) await transport.send(BODY, { ...OPTIONS, abort: counted });
  assert.equal(listenerCount, 0);
});

Deno.test("A back-off outside its range is refused by name", () => {
  assert.throws(() => new RetryTransport(new FakeTransport(), { initialBackoffMs: 0 }), {
    name: "RangeError",
    message: 'Cannot create retry transport: "initialBackoffMs" must be an integer from 1 to 3600000, received 0',
  });
});

interface Rig {
  readonly clock: FakeClock;
  readonly inner: FakeTransport;
  /** When each attempt went out. */
  readonly sentAtMs: readonly number[];
  readonly transport: Transport;
}

/** A retry transport whose time stands still and whose luck takes nothing off a wait, unless `options` say otherwise. */
function rig(answers: readonly ScriptedAnswer[], options: RetryTransportOptions = {}): Rig {
  const clock = new FakeClock();
  const inner = new FakeTransport(...answers);
  const sentAtMs: number[] = [];
  const timed: Transport = {
    send: (body, sendOptions) => {
      sentAtMs.push(clock.nowMs());
      return inner.send(body, sendOptions);
    },
    close: () => inner.close(),
  };
  const transport = new RetryTransport(timed, { clock, sleep: clock.sleep, random: () => 0, ...options });
  return { clock, inner, sentAtMs, transport };
}
