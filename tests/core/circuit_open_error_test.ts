import assert from "node:assert/strict";
import { inspect, types } from "node:util";
import { CircuitBreaker, CircuitOpenError, type RefusingCircuit } from "../../core/mod.ts";
import * as exporters from "../../exporters/mod.ts";
import * as house from "../../mod.ts";

const OPEN: RefusingCircuit = { name: "stock", state: "open", retryAfterMs: 249.2 };

// deno-fmt-ignore
const SENTENCES: readonly [RefusingCircuit, string][] = [
  [OPEN, "is open, a probe may pass in 250 ms at the latest"],
  [{ ...OPEN, mode: "auto" }, "is open, a probe may pass in 250 ms at the latest"],
  [{ ...OPEN, state: "half_open" }, "is half-open and its probe is under way, another may pass in 250 ms at the latest"],
  [{ ...OPEN, mode: "forced_open" }, "is forced open, nothing passes until it is released or another mode is set"],
  [{ ...OPEN, mode: "disabled" }, "is disabled, nothing passes until another mode is set"],
  [{ ...OPEN, state: "closed", retryAfterMs: 0 }, "has closed since it refused, or this breaker is detached from it"],
];
for (const [circuit, predicate] of SENTENCES) {
  Deno.test(`a refusal says that the circuit ${predicate}`, () => {
    const error = new CircuitOpenError("run", circuit);
    assert.equal(error.message, `Cannot run: circuit "stock" ${predicate}`);
    assert.equal(error.retryAfterMs, Math.ceil(circuit.retryAfterMs));
    assert.equal(error.circuitName, "stock");
  });
}

Deno.test("a refusal says what it refused, and a breaker is enough to tell it of", () => {
  const breaker = new CircuitBreaker({ name: 'a "b"\n', failureThreshold: 1, cooldownMs: 500, cooldownJitter: 0 });
  breaker.record(breaker.acquire(), "failure");
  const error = new CircuitOpenError("export", breaker);
  assert.match(
    error.message,
    /^Cannot export: circuit "a \\"b\\"\\n" is open, a probe may pass in \d+ ms at the latest$/,
  );
});

Deno.test("a refusal is a true error, to the runtime and to whoever prints or copies it", () => {
  const error = new CircuitOpenError("run", OPEN);
  const line = 'CircuitOpenError: Cannot run: circuit "stock" is open, a probe may pass in 250 ms at the latest';
  assert.ok(error instanceof Error && types.isNativeError(error));
  assert.equal(String(error), line);
  assert.ok(error.stack?.startsWith(`${line}\n    at `));
  assert.match(inspect(error), /CircuitOpenError.*circuit "stock" is open[^]*retryAfterMs: 250/);
  assert.deepEqual(JSON.parse(JSON.stringify(error)), {
    name: "CircuitOpenError",
    circuitName: "stock",
    retryAfterMs: 250,
  });
  const copy = structuredClone(error);
  assert.ok(copy instanceof Error);
  assert.equal(copy.message, error.message);
});

Deno.test("every door of the house that gives out a breaker has the same class for its refusals", () => {
  assert.equal(exporters.CircuitOpenError, CircuitOpenError);
  assert.equal(house.CircuitOpenError, CircuitOpenError);
});
