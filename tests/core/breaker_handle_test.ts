/** Attaching to a circuit by its handle, and what is refused as one. */

import assert from "node:assert/strict";
import { CircuitBreaker, type CircuitBreakerHandle } from "../../core/breaker.ts";
import { FakeClock } from "../fakes/clock.ts";

Deno.test("256 attach, the next is told that none is left, and one that detaches makes room", () => {
  const breaker = new CircuitBreaker({ name: "crowded", failureThreshold: 2 });
  const { handle } = breaker;
  const others = Array.from({ length: 255 }, () => CircuitBreaker.attach(handle));
  assert.throws(() => CircuitBreaker.attach(handle), {
    message: 'Cannot attach circuit breaker: all 256 attachments of "crowded" are taken',
  });
  others[100]!.detach();
  others[100]!.detach();
  using joined = CircuitBreaker.attach(handle);
  assert.throws(() => CircuitBreaker.attach(handle), /taken/);
  const permit = joined.acquire();
  assert.equal(others[254]!.record(permit, "failure"), "applied", "anyone may bring a permit back");
  assert.equal(breaker.record(permit, "failure"), "duplicate");
});

Deno.test("who detached is refused, and its calls still out count as stale there and as themselves elsewhere", () => {
  const breaker = new CircuitBreaker();
  const other = CircuitBreaker.attach(breaker.handle);
  const permit = other.acquire();
  other.detach();
  assert.ok(other.acquire() < 0);
  assert.equal(other.record(permit, "failure"), "stale");
  assert.equal(breaker.record(permit, "failure"), "applied");
});

Deno.test("who detaches lets go of what it held open, and of nothing else", () => {
  const breaker = new CircuitBreaker();
  const others = [CircuitBreaker.attach(breaker.handle), CircuitBreaker.attach(breaker.handle)];
  for (const other of others) other.forceOpen();
  others[0]!.detach();
  assert.equal(breaker.mode, "forced_open");
  others[1]!.detach();
  assert.equal(breaker.mode, "auto");
  assert.equal(breaker.state, "closed");
});

Deno.test("what a lent handle attached is reclaimed with its holds, and nobody else's", () => {
  const breaker = new CircuitBreaker();
  const { handle, reclaim } = breaker.lend();
  const other = breaker.lend();
  const alive = [CircuitBreaker.attach(breaker.handle), CircuitBreaker.attach(other.handle)];
  for (let round = 0; round < 3; round++) {
    const gone = Array.from({ length: 253 }, () => CircuitBreaker.attach(handle));
    assert.throws(() => CircuitBreaker.attach(handle), /taken/);
    gone[round]!.forceOpen();
    assert.equal(breaker.mode, "forced_open");
    assert.equal(reclaim(), 253);
    assert.equal(breaker.mode, "auto");
    assert.equal(reclaim(), 0);
  }
  for (const joined of alive) assert.equal(joined.record(joined.acquire(), "success"), "applied");
  assert.equal(other.reclaim(), 1);
});

Deno.test("who joins an open circuit finds it open", () => {
  const clock = new FakeClock();
  const breaker = new CircuitBreaker({ probeEveryNth: 0, cooldownMs: 1000, cooldownJitter: 0, clock });
  for (let call = 0; call < 3; call++) breaker.record(breaker.acquire(), "failure");
  const before = breaker.counters;
  for (let time = 0; time < 10; time++) {
    using joined = CircuitBreaker.attach(structuredClone(breaker.handle), { clock });
    assert.equal(joined.state, "open");
    assert.equal(joined.retryAfterMs, 1000);
  }
  assert.deepEqual(breaker.counters, before);
});

const HANDLE = new CircuitBreaker().handle;
// deno-fmt-ignore
const WRONG_HANDLES: readonly [string, unknown, RegExp][] = [
  ["nothing",                 undefined,                                        /the handle is not an object/],
  ["another object",          {},                                               /"kind" must be "circuit-breaker", received undefined/],
  ["another ABI",             { ...HANDLE, abiVersion: 99 },                    /"abiVersion" must be 2, received 99/],
  ["no name",                 { ...HANDLE, name: 5 },                           /"name" must be a string/],
  ["no memory",               { ...HANDLE, memory: {} },                        /"memory" must be a shared WebAssembly.Memory/],
  ["memory that is not shared", { ...HANDLE, memory: new WebAssembly.Memory({ initial: 4 }) }, /"memory" must be a shared/],
  ["memory without a breaker", { ...HANDLE, memory: new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true }) }, /holds no circuit breaker/],
  ["memory too small",        { ...HANDLE, memory: new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }) }, /holds no circuit breaker/],
  ["a base elsewhere",        { ...HANDLE, base: HANDLE.base + 128 },                         /holds no circuit breaker/],
  ["a base beyond",           { ...HANDLE, base: 2 ** 31 },                     /"base" must be an address in its memory/],
  ["no origin",               { ...HANDLE, originMs: Number.NaN },              /"originMs" must be a number/],
  ["no offset",               { ...HANDLE, wallAheadMs: "0" },                  /"wallAheadMs" must be a number/],
  ["a wrong owner",           { ...HANDLE, owner: 0.5 },                        /"owner" must be the number of a lent handle/],
];
// By the offsets of assembly/layout.ts: [setting, address, what its range does not hold, as a 32-bit or 64-bit number].
// deno-fmt-ignore
const CORRUPT: readonly (readonly [string, number, number, "Uint32" | "Float64"])[] = [
  ["state",              0, 3,           "Uint32"],
  ["mark",             384, 0,           "Uint32"],
  ["ABI",              388, 1,           "Uint32"],
  ["rules",            392, 16,          "Uint32"],
  ["rules",            392, 8,           "Uint32"],
  ["tapeSize",         396, 65_537,      "Uint32"],
  ["failureThreshold", 400, 0,           "Float64"],
  ["failureThreshold", 400, 4096,        "Float64"],
  ["successThreshold", 408, 64,          "Float64"],
  ["probeEveryNth",    416, 1_000_001,   "Float64"],
  ["cooldownMs",       424, Number.NaN,  "Float64"],
  ["cooldownBackoff",  432, Infinity,    "Float64"],
  ["cooldownMaxMs",    440, 0,           "Float64"],
  ["cooldownJitter",   448, -0.1,        "Float64"],
  ["probeConcurrency", 456, 0,           "Float64"],
  ["probeLeaseMs",     464, 1e300,       "Float64"],
  ["exportTimeoutMs",  472, 0,           "Float64"],
  ["throttleMaxMs",    480, 0,           "Float64"],
  ["minimumCalls",     488, 0,           "Float64"],
  ["countWindowSize",  496, 1_025,       "Float64"],
  ["timeWindowMs",     504, 9,           "Float64"],
  ["failureRatio",     512, 1.1,         "Float64"],
  ["slowCallMs",       520, -1,          "Float64"],
  ["slowCallRatio",    528, Number.NaN,  "Float64"],
  ["seed",             536, 2 ** 32,     "Float64"],
  ["attachments",      672, 257,         "Uint32"],
];
Deno.test("who joins while another thread has written new numbers, and not yet what follows from them, is let in", () => {
  const breaker = new CircuitBreaker();
  const { memory, base } = breaker.handle;
  new DataView(memory.buffer).setFloat64(base + 496, 20, true); // countWindowSize, while there is no rule for it
  assert.equal(CircuitBreaker.attach(breaker.handle).state, "closed");
});

for (const [setting, address, value, kind] of CORRUPT) {
  Deno.test(`a handle is refused whose memory was damaged: ${setting} ${value}`, () => {
    const { handle } = new CircuitBreaker();
    new DataView(handle.memory.buffer)[`set${kind}`](handle.base + address, value, true);
    assert.throws(() => CircuitBreaker.attach(handle), /holds no circuit breaker/);
  });
}

for (const [title, handle, message] of WRONG_HANDLES) {
  Deno.test(`a handle is refused that has ${title}`, () => {
    assert.throws(() => CircuitBreaker.attach(handle as CircuitBreakerHandle), (error) => {
      assert.ok(error instanceof TypeError);
      assert.match(error.message, /^Cannot attach circuit breaker: /);
      assert.match(error.message, message);
      return true;
    });
  });
}
