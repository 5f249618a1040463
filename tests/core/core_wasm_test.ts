import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { BREAKER_PAGES, CORE_ABI_VERSION, loadCore, makeMemory } from "../../core/loader.ts";
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

Deno.test("an assert of the core traps", () => {
  const core = loadCore(makeMemory());
  const init = (base: number) => core.init(base, 3, 1, 10, 1, 1, 1, 1, 0, 1, 1, 1);
  assert.throws(() => init(64), WebAssembly.RuntimeError);
  init(0);
  assert.throws(() => init(0), WebAssembly.RuntimeError, "made twice");
});

Deno.test("the loader and the module agree on the ABI and on the size of a breaker", () => {
  const core = loadCore(makeMemory());
  assert.equal(core.ABI_VERSION.value, CORE_ABI_VERSION);
  assert.equal(core.BREAKER_BYTES.value <= BREAKER_PAGES * 65_536, true);
  assert.equal(core.BREAKER_BYTES.value > (BREAKER_PAGES - 1) * 65_536, true);
});

Deno.test("the core's memory never grows", () => {
  const memory = makeMemory();
  assert.throws(() => memory.grow(1), RangeError);
});
