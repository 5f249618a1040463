import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { CircuitBreaker } from "../../core/breaker.ts";
import { BREAKER_BYTES, BREAKERS_PER_MEMORY, CORE_ABI_VERSION, loadCore, makeMemory } from "../../core/loader.ts";
import { compileCore, generatedSource } from "../../tools/build_core.ts";

const compiled = compileCore();

Deno.test("core/core_wasm.ts is what core/assembly compiles to today", async () => {
  const { wasm } = await compiled;
  const committed = readFileSync(new URL("../../core/core_wasm.ts", import.meta.url), "utf8");
  assert.ok(committed === generatedSource(wasm), "run `deno task build`");
});

Deno.test("the module holds no data and no global that changes, so any number of instances share one memory", async () => {
  const { wat } = await compiled;
  assert.match(wat, /\(import "env" "memory" \(memory \$0 1 65536 shared\)\)/);
  assert.deepEqual(wat.match(/\(data\b/g) ?? [], []);
  assert.deepEqual(wat.match(/\(global\b[^)]*\(mut\b/g) ?? [], []);
  assert.deepEqual(wat.match(/\(import\b/g)?.length, 1);
});

Deno.test("a word of 64 bits is stored once, when the breaker is made, and after that only compared and swapped", async () => {
  const { wat } = await compiled;
  assert.equal(wat.match(/i64\.atomic\.store/g)?.length, 1);
  assert.ok(wat.match(/i64\.atomic\.rmw\.cmpxchg/g)!.length > 1);
});

Deno.test("an assert of the core traps", () => {
  const core = loadCore(makeMemory());
  const init = (base: number) => core.init(base, 0, 1);
  assert.throws(() => init(64), WebAssembly.RuntimeError);
  init(0);
  assert.throws(() => init(0), WebAssembly.RuntimeError, "made twice");
});

Deno.test("the loader and the module agree on the ABI and on the size of a breaker", () => {
  const core = loadCore(makeMemory());
  assert.equal(core.ABI_VERSION.value, CORE_ABI_VERSION);
  assert.equal(core.BREAKER_BYTES.value, BREAKER_BYTES);
});

Deno.test("the core's memory never grows", () => {
  const memory = makeMemory();
  assert.throws(() => memory.grow(1), RangeError);
});

Deno.test("breakers that share a memory do not touch each other, and a full memory is followed by another", () => {
  const breakers = Array.from(
    { length: 2 * BREAKERS_PER_MEMORY + 1 },
    () => new CircuitBreaker({ failureThreshold: 1 }),
  );
  for (const [index, breaker] of breakers.entries()) {
    if (index % 2 === 0) breaker.record(breaker.acquire(), "failure");
  }
  for (const [index, breaker] of breakers.entries()) {
    assert.equal(breaker.state, index % 2 === 0 ? "open" : "closed");
    assert.equal(breaker.counters.permitted, index % 2 === 0 ? 1 : 0);
  }
  assert.ok(new Set(breakers.map(({ handle }) => handle.memory)).size >= 3);
});
