import assert from "node:assert/strict";
import { ByteRing, byteRingFrom, type ByteRingHandle, type RingRecord } from "../../core/byte_ring.ts";
import { CircuitBreaker, type CircuitBreakerHandle } from "../../core/breaker.ts";
import { loadCore, makeMemory } from "../../core/loader.ts";
import { plain } from "../model/byte_ring_model.ts";

function records(count: number, length = 4): RingRecord[] {
  return Array.from({ length: count }, (_, tag) => ({ bytes: new Uint8Array(length).fill(tag), tag }));
}

Deno.test("P2-02 50 records and 60 more into a ring of 100 that rejects: the 60 are refused as a whole, the 50 stay", () => {
  const ring = new ByteRing({ itemsMax: 100, overflow: "reject" });
  assert.equal(ring.pushAll(records(50)), 50);
  assert.equal(ring.pushAll(records(60)), 0);
  assert.equal(ring.counters.queued, 50);
  assert.equal(ring.counters.dropped.full, 60);
  assert.deepEqual([...ring.consume().drain()].map(plain), records(50).map(plain));
});

Deno.test("P2-02 after some are taken a ring accepts again", () => {
  const ring = new ByteRing({ itemsMax: 100, overflow: "reject" });
  assert.equal(ring.pushAll(records(50)), 50);
  assert.equal(ring.pushAll(records(60)), 0);
  const consumer = ring.consume();
  assert.equal(consumer.drain(Infinity, 10).itemCount, 10);
  assert.equal(ring.pushAll(records(60)), 0, "what is not released takes room");
  assert.ok(consumer.release());
  assert.equal(ring.pushAll(records(60)), 60);
  assert.equal(ring.push(new Uint8Array(1), 0), "full");
});

Deno.test("P2-02 a group larger than the ring is a clear error, and nothing of it is offered", () => {
  const ring = new ByteRing({ itemsMax: 100, bytesMax: 2_000, overflow: "reject" });
  assert.throws(() => ring.pushAll(records(101)), {
    name: "RangeError",
    message: 'Cannot push a group: it must be of at most 100 items ("itemsMax"), received 101',
  });
  assert.throws(() => ring.pushAll(records(50, 40)), {
    name: "RangeError",
    message: 'Cannot push a group: it must take at most 2000 bytes ("pushBytesMax"), received 2400',
  });
  assert.equal(ring.counters.offered, 0);
});

Deno.test("bytes are a bound of their own: each record takes 8 more than it has, up to a multiple of 8", () => {
  const ring = new ByteRing({ bytesMax: 64 });
  assert.equal(ring.push(new Uint8Array(9), 0), "accepted"); // 24
  assert.equal(ring.push(new Uint8Array(16), 0), "accepted"); // 24
  assert.equal(ring.push(new Uint8Array(9), 0), "full");
  assert.equal(ring.push(new Uint8Array(8), 0), "accepted"); // 16
  assert.equal(ring.counters.queuedBytes, 64);
  assert.equal(ring.push(new Uint8Array(0), 0), "full");
});

Deno.test("a bound that is no power of two holds to the byte and to the item", () => {
  const ring = new ByteRing({ itemsMax: 5, bytesMax: 100 });
  for (let count = 0; count < 5; count++) assert.equal(ring.push(new Uint8Array(4), 0), "accepted");
  assert.equal(ring.push(new Uint8Array(4), 0), "full");
  const other = new ByteRing({ bytesMax: 100 });
  for (let count = 0; count < 6; count++) assert.equal(other.push(new Uint8Array(4), 0), "accepted");
  assert.equal(other.push(new Uint8Array(4), 0), "full");
});

Deno.test("a record that one push may not take is too large, and the largest that it may goes through whole", () => {
  const ring = new ByteRing({ bytesMax: 128, pushBytesMax: 64 });
  const largest = Uint8Array.from({ length: 56 }, (_, index) => index);
  const consumer = ring.consume();
  assert.equal(ring.push(new Uint8Array(57), 1), "too_large");
  for (let round = 0; round < 7; round++) {
    assert.equal(ring.push(new Uint8Array(10), 2), "accepted"); // so that it begins elsewhere each time
    assert.equal(ring.push(largest, 0xffff_ffff), "accepted");
    assert.deepEqual([...consumer.drain()].map(plain)[1], [0xffff_ffff, [...largest]]);
    consumer.release();
  }
  assert.equal(ring.counters.dropped.tooLarge, 1);
});

Deno.test("drop_oldest makes room for what is new, but takes nothing that the consumer holds", () => {
  const ring = new ByteRing({ itemsMax: 3, overflow: "drop_oldest" });
  for (const { bytes, tag } of records(5)) assert.equal(ring.push(bytes, tag), "accepted");
  assert.equal(ring.counters.dropped.oldest, 2);
  const consumer = ring.consume();
  const held = consumer.drain(Infinity, 1);
  assert.equal(ring.push(new Uint8Array(4), 9), "full");
  assert.deepEqual([...held].map(({ tag }) => tag), [2]);
  consumer.release();
  assert.equal(ring.push(new Uint8Array(4), 9), "accepted");
  assert.deepEqual([...consumer.drain()].map(({ tag }) => tag), [3, 4, 9]);
});

Deno.test("what a consumer held that was replaced can be dropped to make room", () => {
  const ring = new ByteRing({ itemsMax: 3, overflow: "drop_oldest" });
  for (const { bytes, tag } of records(3)) assert.equal(ring.push(bytes, tag), "accepted");
  ring.consume().drain();
  assert.equal(ring.push(new Uint8Array(4), 9), "full");
  const consumer = ring.consume();
  assert.equal(ring.push(new Uint8Array(4), 9), "accepted");
  assert.deepEqual([...consumer.drain()].map(({ tag }) => tag), [1, 2, 9]);
});

Deno.test("a large record drops as many of the oldest as it needs", () => {
  const ring = new ByteRing({ bytesMax: 96, overflow: "drop_oldest" });
  for (const { bytes, tag } of records(6, 8)) assert.equal(ring.push(bytes, tag), "accepted");
  assert.equal(ring.push(new Uint8Array(40), 9), "accepted");
  assert.deepEqual([...ring.consume().drain()].map(({ tag }) => tag), [3, 4, 5, 9]);
  assert.equal(ring.counters.dropped.oldest, 3);
});

Deno.test("what is drained lies in the ring's own memory, and stays as it is until it is released", () => {
  const ring = new ByteRing({ itemsMax: 4 });
  ring.push(Uint8Array.of(1, 2, 3), 7);
  const consumer = ring.consume();
  const [record] = consumer.drain();
  assert.equal(record!.bytes.buffer, ring.handle.memory.buffer);
  for (let count = 0; count < 10; count++) ring.push(Uint8Array.of(9, 9, 9), 9);
  assert.deepEqual([...record!.bytes], [1, 2, 3]);
});

Deno.test("a record can be written where it is pushed from, without a copy in between", () => {
  const ring = new ByteRing({ pushBytesMax: 64 });
  assert.equal(ring.scratch.length, 56);
  const { written } = new TextEncoder().encodeInto("hello", ring.scratch);
  assert.equal(ring.pushScratch(written, 3), "accepted");
  assert.deepEqual([...ring.consume().drain()].map(plain), [[3, [...new TextEncoder().encode("hello")]]]);
});

Deno.test("batches end at their bounds, with one record at least, and go on where the last one ended", () => {
  const ring = new ByteRing();
  ring.pushAll(records(6, 8)); // 16 bytes each
  const consumer = ring.consume();
  const counts = [[33, 9], [1, 9], [Infinity, 2], [0, 9]].map(([bytes, items]) => {
    const batch = consumer.drain(bytes, items);
    return [batch.itemCount, batch.byteCount];
  });
  assert.deepEqual(counts, [[2, 32], [1, 16], [2, 32], [1, 16]]);
  assert.equal(consumer.drain().itemCount, 0);
  assert.equal(ring.counters.drained, 0);
  consumer.release();
  assert.equal(ring.counters.drained, 6);
});

Deno.test("a consumer that was replaced gets nothing and releases nothing, and the next one sees what it held", () => {
  const ring = new ByteRing();
  ring.pushAll(records(3));
  const first = ring.consume();
  assert.equal(first.drain(Infinity, 2).itemCount, 2);
  const second = ring.consume();
  assert.equal(first.release(), false);
  assert.equal(first.drain().itemCount, 0);
  assert.equal(first.isReplaced, true);
  assert.equal(second.drain().itemCount, 3);
  let last = second;
  for (let count = 0; count < 256; count++) last = ring.consume(); // TAIL knows 8 bits of which one it is
  assert.equal(last.drain().itemCount, 3);
  assert.equal(second.release(), false);
  assert.equal(ring.counters.queued, 3);
});

for (const ordinal of [2 ** 24 - 500, 2 ** 32 - 500]) {
  Deno.test(`1000 records pass through a ring of 3 from ordinal ${ordinal} on, and positions go round`, () => {
    const ring = byteRingFrom({ itemsMax: 3, bytesMax: 120 }, { ordinal, position: 2 ** 32 - 8_000 });
    const consumer = ring.consume();
    for (let serial = 0; serial < 1_000; serial++) {
      assert.equal(ring.push(new Uint8Array(serial % 9).fill(serial), serial), "accepted");
      if (serial % 3 !== 2) continue;
      assert.equal(ring.push(new Uint8Array(1), 0), "full");
      const tags = [...consumer.drain()].map(({ tag }) => tag);
      assert.deepEqual(tags, [serial - 2, serial - 1, serial]);
      assert.ok(consumer.release());
    }
    const { accepted, drained, queued, dropped } = ring.counters;
    assert.deepEqual([accepted, drained, queued, dropped.full], [1_000, 999, 1, 333]);
  });
}

Deno.test("who detached has nothing accepted, and its place and what it pushed remain", () => {
  const ring = new ByteRing();
  const other = ByteRing.attach(ring.handle);
  assert.equal(other.push(Uint8Array.of(1), 1), "accepted");
  other.detach();
  other.detach();
  assert.equal(other.push(Uint8Array.of(2), 2), "detached");
  assert.equal(other.pushAll(records(2)), 0);
  for (let count = 0; count < 100; count++) {
    using another = ByteRing.attach(ring.handle);
    assert.equal(another.push(Uint8Array.of(3), 3), "accepted");
  }
  assert.equal(ring.counters.offered, 101);
  assert.equal(ring.counters.queued, 101);
});

Deno.test("64 may be attached at once, and reclaim gives back what its own worker attached", () => {
  const ring = new ByteRing();
  const lent = ring.lend();
  const others = Array.from({ length: 60 }, () => ByteRing.attach(ring.handle));
  const theirs = Array.from({ length: 3 }, () => ByteRing.attach(lent.handle));
  assert.throws(() => ByteRing.attach(ring.handle), {
    message: "Cannot attach byte ring: all 64 attachments are taken",
  });
  assert.equal(ring.lend().reclaim(), 0);
  assert.equal(lent.reclaim(), 3);
  assert.equal(lent.reclaim(), 0);
  assert.ok(theirs.every((one) => one.push(Uint8Array.of(1), 1) === "detached"));
  assert.ok(others.every((one) => one.push(Uint8Array.of(1), 1) === "accepted"));
  assert.equal(ByteRing.attach(ring.handle).push(Uint8Array.of(1), 1), "accepted");
});

// deno-fmt-ignore
const MISTAKES: [options: unknown, kind: typeof RangeError | typeof TypeError, message: string][] = [
  [{ itemsMax: 0 },          RangeError, '"itemsMax" must be an integer from 1 to 1000000, received 0'],
  [{ itemsMax: 1_000_001 },  RangeError, '"itemsMax" must be an integer from 1 to 1000000, received 1000001'],
  [{ bytesMax: 15 },         RangeError, '"bytesMax" must be an integer from 16 to 536870912, received 15'],
  [{ bytesMax: "64" },       TypeError,  '"bytesMax" must be an integer from 16 to 536870912, received "64"'],
  [{ pushBytesMax: 2 ** 23 }, RangeError, '"pushBytesMax" must be an integer from 16 to 4194304, received 8388608'],
  [{ bytesMax: 64, pushBytesMax: 65 }, RangeError, '"pushBytesMax" must be at most "bytesMax" (64), received 65'],
  [{ overflow: "drop" },     RangeError, '"overflow" must be one of drop_newest, drop_oldest, reject, received "drop"'],
  [null,                     TypeError,  '"options" must be an object, received null'],
];
for (const [options, kind, message] of MISTAKES) {
  Deno.test(`a mistake in the options is named: ${message}`, () => {
    assert.throws(() => new ByteRing(options as object), (error: Error) => {
      assert.ok(error instanceof kind);
      assert.equal(error.message, `Cannot create byte ring: ${message}`);
      return true;
    });
  });
}

Deno.test("the options in force are those that were given, and the defaults", () => {
  const defaults = { itemsMax: 2048, bytesMax: 4_194_304, pushBytesMax: 262_144, overflow: "drop_newest" };
  assert.deepEqual(new ByteRing().options, defaults);
  const ring = new ByteRing({ itemsMax: 1_000_000, bytesMax: 1_000, overflow: "reject" });
  const expected = { itemsMax: 1_000_000, bytesMax: 1_000, pushBytesMax: 1_000, overflow: "reject" };
  assert.deepEqual(ByteRing.attach(ring.handle).options, expected);
});

Deno.test("the largest ring that the options allow can be made, and its last bytes are there", () => {
  const ring = new ByteRing({ itemsMax: 1_000_000, bytesMax: 2 ** 29, pushBytesMax: 2 ** 22 });
  const others = Array.from({ length: 63 }, () => ByteRing.attach(ring.handle));
  assert.equal(others[62]!.push(new Uint8Array(2 ** 22 - 8), 1), "accepted");
  assert.equal([...ring.consume().drain()][0]!.bytes.length, 2 ** 22 - 8);
});

Deno.test("what is no handle of a byte ring is refused, a breaker's too", () => {
  const { handle } = new ByteRing();
  const empty = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const wrong: [unknown, RegExp][] = [
    [null, /not an object/],
    [{ ...handle, abiVersion: 0 }, /"abiVersion" must be/],
    [{ ...handle, memory: {} }, /"memory" must be a shared/],
    [{ ...handle, base: -1 }, /"base" must be an address/],
    [{ ...handle, base: 128 }, /holds no byte ring/],
    [{ ...handle, memory: empty }, /holds no byte ring/],
    [{ ...handle, owner: 1 }, /"owner" must be the number/],
    [new CircuitBreaker().handle, /"kind" must be "byte-ring", received "circuit-breaker"/],
    [{ ...handle, memory: new CircuitBreaker().handle.memory }, /holds no byte ring/],
  ];
  for (const [handle, message] of wrong) {
    assert.throws(() => ByteRing.attach(handle as ByteRingHandle), { name: "TypeError", message });
  }
  const { name, originMs, wallAheadMs } = new CircuitBreaker({ name: "ringless" }).handle;
  const posing: CircuitBreakerHandle = { ...handle, kind: "circuit-breaker", name, originMs, wallAheadMs };
  assert.throws(() => CircuitBreaker.attach(posing), /holds no circuit breaker/);
});

Deno.test("the core does not make a ring where one is, outside of its memory, or of bounds that cannot be", () => {
  const core = loadCore(makeMemory(65_536));
  const init = (base: number, bytesMax = 64, pushBytesMax = 16) =>
    core.ringInit(base, 4, bytesMax, pushBytesMax, 0, 1, 0);
  assert.throws(() => init(64), WebAssembly.RuntimeError);
  assert.throws(() => init(0, 65_536), WebAssembly.RuntimeError);
  assert.throws(() => init(0, 64, 72), WebAssembly.RuntimeError);
  init(0);
  assert.throws(() => init(0), WebAssembly.RuntimeError);
});
