/** Who shares a circuit: by name, by a handle that was lent, and what a worker leaves behind that is gone. */

import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { CircuitBreaker, type CircuitBreakerHandle } from "../../core/breaker.ts";
import type { Errand } from "./breaker_lent_worker.ts";

/** The wall clock counts whole milliseconds, and each side reads it once. */
const SKEW_MAX_MS = 5;

/** CLAIMED of assembly/layout.ts: a bit for each attachment. */
const CLAIMED = 640;

Deno.test("who knows a circuit's name joins it by that", () => {
  const breaker = new CircuitBreaker({ name: "by name", failureThreshold: 2 });
  const joined = CircuitBreaker.attach("by name");
  assert.equal(joined.name, "by name");
  for (const { acquire, record } of [bound(breaker), bound(joined)]) record(acquire(), "failure");
  assert.equal(breaker.state, "open");
  assert.equal(joined.state, "open");
});

Deno.test("names are found in every memory of the thread, and behind a tape", () => {
  const breakers = Array.from({ length: 40 }, (_, index) =>
    new CircuitBreaker({
      name: `one of many ${index}`,
      failureThreshold: index + 1,
      ...(index % 3 === 0 ? { tapeSize: 1 + 100 * index } : {}),
    }));
  for (const [index, { name, handle }] of breakers.entries()) {
    const joined = CircuitBreaker.attach(name);
    assert.equal(joined.options.failureThreshold, index + 1);
    assert.deepEqual([joined.handle.memory, joined.handle.base], [handle.memory, handle.base]);
  }
  assert.ok(new Set(breakers.map(({ handle }) => handle.memory)).size > 2);
});

Deno.test("a name that nobody has is refused, with those that there are", () => {
  const breaker = new CircuitBreaker({ name: 'a "quoted" one' });
  assert.throws(() => CircuitBreaker.attach("nobody's"), (error) => {
    assert.ok(error instanceof Error);
    const says =
      'Cannot attach circuit breaker: none is called "nobody\'s" in the memories that this thread knows, which hold ';
    assert.ok(error.message.startsWith(says), error.message);
    assert.ok(error.message.includes(JSON.stringify(breaker.name)));
    return true;
  });
});

Deno.test("a name that two have is refused", () => {
  const twins = [new CircuitBreaker({ name: "twin" }), new CircuitBreaker({ name: "twin" })];
  assert.throws(() => CircuitBreaker.attach("twin"), {
    message: 'Cannot attach circuit breaker: more than one is called "twin", attach by its handle',
  });
  for (const { handle } of twins) assert.equal(CircuitBreaker.attach(handle).name, "twin");
});

Deno.test("a memory that came twice, as it does with two handles that are posted, holds each circuit once", () => {
  const breaker = new CircuitBreaker({ name: "posted twice", failureThreshold: 1 });
  for (let time = 0; time < 2; time++) CircuitBreaker.attach(structuredClone(breaker.handle));
  const joined = CircuitBreaker.attach("posted twice");
  joined.record(joined.acquire(), "failure");
  assert.equal(breaker.state, "open");
});

Deno.test("a name may have 128 bytes, and one more is refused", () => {
  const name = "ß".repeat(64);
  const breaker = new CircuitBreaker({ name, failureThreshold: 77 });
  assert.equal(CircuitBreaker.attach(name).options.failureThreshold, 77);
  assert.equal(breaker.snapshot().name, name);
  assert.throws(() => new CircuitBreaker({ name: `${name}s` }), {
    name: "RangeError",
    message: 'Cannot create circuit breaker: "name" must be at most 128 bytes of UTF-8, received 129',
  });
  assert.equal(new CircuitBreaker({ name: "" }).name, "");
});

Deno.test("a worker that has joined one circuit joins those beside it by name, on the same time", async () => {
  const hour = { failureThreshold: 1, probeEveryNth: 0, cooldownMs: 3_600_000, cooldownMaxMs: 3_600_000 };
  const [first, second] = neighbours("first in the worker", "second in the worker", hour);
  second.record(second.acquire(), "failure");
  const before = second.retryAfterMs;
  const { worker, answer } = send<{ stranger: string; retryAfterMs: number; unknown: string }>({
    does: "join by name",
    handle: first.handle,
    name: second.name,
  });
  const { stranger, retryAfterMs, unknown } = await answer;
  const after = second.retryAfterMs;
  await worker.terminate();
  assert.match(stranger, /none is called "second in the worker" .*, which hold none$/, "before it has joined any");
  assert.ok(
    retryAfterMs <= before + SKEW_MAX_MS && retryAfterMs >= after - SKEW_MAX_MS,
    `${retryAfterMs} is not from ${after} to ${before}`,
  );
  assert.match(unknown, /none is called "third" .*"first in the worker"/);
});

Deno.test("a worker that attached three times and holds the circuit open is terminated: all that is taken back", async () => {
  const breaker = new CircuitBreaker();
  const told: string[] = [];
  breaker.onTransition(({ from, to, reason }) => told.push(`${from} -> ${to}: ${reason}`));
  const lent = breaker.lend();
  const { worker, answer } = send<string>({ does: "attach and hold", handle: lent.handle, attachments: 3, holds: 2 });
  assert.equal(await answer, "forced_open");
  assert.equal(breaker.mode, "forced_open");
  assert.ok(breaker.acquire() < 0);
  await worker.terminate();
  assert.equal(breaker.mode, "forced_open", "who is terminated lets go of nothing");
  assert.equal(lent.reclaim(), 3);
  assert.equal(breaker.mode, "auto");
  assert.equal(breaker.state, "closed");
  assert.deepEqual(told, ["open -> closed: released"]);
  assert.equal(lent.reclaim(), 0, "once");
});

Deno.test("all attachments are lent and taken back a thousand times", () => {
  const breaker = new CircuitBreaker({ failureThreshold: 4_095 });
  for (let time = 0; time < 1_000; time++) {
    const { handle, reclaim } = breaker.lend();
    const lent = Array.from({ length: 255 }, () => CircuitBreaker.attach(handle));
    const last = lent[254]!;
    assert.equal(last.record(last.acquire(), "failure"), "applied");
    if (time % 100 === 0) {
      assert.throws(() => CircuitBreaker.attach(handle), /all 256 attachments of "circuit" are taken/);
    }
    assert.equal(reclaim(), 255);
  }
  assert.equal(breaker.counters.failures, 1_000, "what they counted stays");
});

Deno.test("the place of a worker that may still be at work is taken by another only when no other is left", () => {
  const breaker = new CircuitBreaker();
  const placeOf = (attached: CircuitBreaker) => Math.floor(attached.acquire() / 2 ** 24) % 256;
  const lent = breaker.lend();
  const reclaimed = placeOf(CircuitBreaker.attach(lent.handle));
  lent.reclaim();
  const others = Array.from({ length: 254 }, () => placeOf(CircuitBreaker.attach(breaker.handle)));
  assert.ok(!others.includes(reclaimed));
  assert.equal(placeOf(CircuitBreaker.attach(breaker.handle)), reclaimed);
  assert.throws(() => CircuitBreaker.attach(breaker.handle), /all 256 attachments/);
});

Deno.test("what others attached and hold is left to them", () => {
  const breaker = new CircuitBreaker();
  const [one, another] = [breaker.lend(), breaker.lend()];
  const ones = [CircuitBreaker.attach(one.handle), CircuitBreaker.attach(one.handle)];
  const anothers = CircuitBreaker.attach(another.handle);
  const nobodys = CircuitBreaker.attach(breaker.handle);
  for (const holder of [...ones, anothers, nobodys]) holder.forceOpen();
  assert.equal(one.reclaim(), 2);
  assert.equal(breaker.mode, "forced_open");
  assert.equal(another.reclaim(), 1);
  assert.equal(breaker.mode, "forced_open");
  nobodys.detach();
  assert.equal(breaker.mode, "auto");
  assert.equal(breaker.record(breaker.acquire(), "success"), "applied");
});

Deno.test("a handle that was attached to by a lent one is not lent", () => {
  const breaker = new CircuitBreaker();
  const { handle, reclaim } = breaker.lend();
  const lent = CircuitBreaker.attach(handle);
  CircuitBreaker.attach(lent.handle);
  assert.equal(reclaim(), 1);
});

Deno.test("who detached has nothing to be taken back, whoever has its place now", () => {
  const breaker = new CircuitBreaker();
  const { handle, reclaim } = breaker.lend();
  CircuitBreaker.attach(handle).detach();
  const next = CircuitBreaker.attach(breaker.handle);
  assert.equal(reclaim(), 0);
  assert.equal(next.record(next.acquire(), "success"), "applied");
});

Deno.test("a place that is being taken at this moment is not taken back for who had it before", () => {
  const breaker = new CircuitBreaker();
  const { handle, reclaim } = breaker.lend();
  CircuitBreaker.attach(handle).detach();
  // Whoever attaches claims its place, and says after that for whom: here a thread is between the two.
  new Uint32Array(breaker.handle.memory.buffer, breaker.handle.base + CLAIMED)[0]! |= 2;
  assert.equal(reclaim(), 0);
});

Deno.test("a hold of who detached is over, and is not another's who has its place", () => {
  const breaker = new CircuitBreaker();
  const first = CircuitBreaker.attach(breaker.handle);
  const over = first.forceOpen();
  first.forceOpen();
  first.detach();
  assert.equal(breaker.mode, "auto");
  const second = CircuitBreaker.attach(breaker.handle);
  using _hold = second.forceOpen();
  over.release();
  assert.equal(breaker.mode, "forced_open");
});

Deno.test("what a lent handle attached is reclaimed also when the lender is detached by then", () => {
  const lender = new CircuitBreaker();
  const other = CircuitBreaker.attach(lender.handle);
  const { handle, reclaim } = lender.lend();
  for (let hold = 0; hold < 2; hold++) CircuitBreaker.attach(handle).forceOpen();
  lender.detach();
  assert.equal(other.mode, "forced_open");
  assert.equal(reclaim(), 2);
  assert.equal(other.mode, "auto");
  assert.ok(other.acquire() >= 0);
  assert.equal(other.counters.transitions, 2, "opened and closed");
  assert.equal(reclaim(), 0);
});

Deno.test("a name that begins with a byte order mark is found", () => {
  const name = "\ufeffmarked";
  const breaker = new CircuitBreaker({ name, failureThreshold: 78 });
  assert.equal(CircuitBreaker.attach(name).options.failureThreshold, 78);
  breaker.detach();
});

/** Two breakers in one memory. */
function neighbours(one: string, another: string, options: object): [CircuitBreaker, CircuitBreaker] {
  for (let attempt = 0; attempt < 2; attempt++) {
    const pair = [one, another].map((name) => new CircuitBreaker({ ...options, name }));
    const [first, second] = pair as [CircuitBreaker, CircuitBreaker];
    if (first.handle.memory === second.handle.memory) return [first, second];
  }
  throw new Error("two breakers made one after the other never lie in one memory");
}

function bound(breaker: CircuitBreaker) {
  return { acquire: breaker.acquire.bind(breaker), record: breaker.record.bind(breaker) };
}

/** Sends a worker on an errand. */
function send<T>(errand: Errand & { readonly handle: CircuitBreakerHandle }): { worker: Worker; answer: Promise<T> } {
  const worker = new Worker(new URL("./breaker_lent_worker.ts", import.meta.url), { workerData: errand });
  const answer = new Promise<T>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  return { worker, answer };
}
