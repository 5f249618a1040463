import assert from "node:assert/strict";
import type { Outcome } from "../../../core/breaker.ts";
import { BreakerTransport, type Circuit } from "../../../exporters/transport/breaker.ts";
import type { SendAnswer } from "../../../exporters/transport/transport.ts";
import { DELIVERED, FakeTransport, retryable, throttled } from "../../fakes/transport.ts";

const BODY = new Uint8Array([1, 2, 3]);
const OPTIONS = { signal: "traces", itemCount: 3, deadlineMs: 10_000 } as const;

/** Gives permits 0, 1, 2 … while it has some, and remembers what it is told. */
class FakeCircuit implements Circuit {
  readonly recorded: [permit: number, outcome: Outcome][] = [];
  readonly retryAfterMs = 4_321;
  state: "open" | "half_open" = "open";
  acquired = 0;
  constructor(readonly permitCount = Infinity) {}
  acquire = () => this.acquired < this.permitCount ? this.acquired++ : -1;
  record = (permit: number, outcome: Outcome) => this.recorded.push([permit, outcome]);
}

// Rows that need no HTTP; the others stand in http_table_test.ts.
const outcomes: readonly [string, SendAnswer, Outcome][] = [
  ["delivered", DELIVERED, "success"],
  ["throttled for no time at all", throttled(0), { throttledMs: 0 }],
  ["refused by the network", retryable({ reason: "export_failed" }), "failure"],
  ["timed out", retryable({ reason: "deadline", answerLost: true }), "failure"],
  ["out of time before it began", retryable({ reason: "deadline" }), "ignored"],
  ["ended by our own shutdown", retryable({ reason: "shutdown", answerLost: true }), "ignored"],
  ["refused by a circuit further in", retryable({ reason: "circuit_open" }), "ignored"],
];
for (const [what, answer, outcome] of outcomes) {
  Deno.test(`An attempt that was ${what} is ${JSON.stringify(outcome)} to the circuit, and its answer is passed on`, async () => {
    const circuit = new FakeCircuit();
    const inner = new FakeTransport(answer);
    assert.equal(await new BreakerTransport(inner, circuit).send(BODY, OPTIONS), answer);
    assert.deepEqual(circuit.recorded, [[0, outcome]]);
    assert.deepEqual(inner.sends, [{ body: BODY, options: OPTIONS }]);
  });
}

Deno.test("A refusal sends nothing, records nothing, and says when to ask again", async () => {
  const circuit = new FakeCircuit(0);
  const inner = new FakeTransport();
  const answer = await new BreakerTransport(inner, circuit).send(BODY, OPTIONS);
  assert.deepEqual(answer, {
    status: "retryable",
    reason: "circuit_open",
    message: "The circuit is open: nothing was sent",
    retryAfterMs: 4_321,
    answerLost: false,
  });
  assert.equal(inner.sends.length, 0);
  assert.deepEqual(circuit.recorded, []);
});

Deno.test("While a probe is under way nobody knows when to ask again: its lease is no such moment", async () => {
  const circuit = new FakeCircuit(0);
  circuit.state = "half_open";
  const answer = await new BreakerTransport(new FakeTransport(), circuit).send(BODY, OPTIONS);
  assert.deepEqual(answer, {
    status: "retryable",
    reason: "circuit_open",
    message: "The circuit is half-open and its probe is under way: nothing was sent",
    answerLost: false,
  });
});

Deno.test("Each of many attempts at once reports under its own permit", async () => {
  const circuit = new FakeCircuit();
  const finish: ((answer: SendAnswer) => void)[] = [];
  const inner = new FakeTransport(() => new Promise((resolve) => finish.push(resolve)));
  const transport = new BreakerTransport(inner, circuit);
  const sends = [transport.send(BODY, OPTIONS), transport.send(BODY, OPTIONS)];
  finish[1](DELIVERED);
  await sends[1];
  finish[0](retryable());
  await sends[0];
  assert.deepEqual(circuit.recorded, [[1, "success"], [0, "failure"]]);
});

for (const rejects of [false, true]) {
  Deno.test(`A transport that ${rejects ? "rejects" : "throws"} gives its permit back as a failure, and the data is kept`, async () => {
    const circuit = new FakeCircuit();
    const inner = new FakeTransport(() => {
      if (rejects) return Promise.reject(new Error("bug"));
      throw new Error("bug");
    });
    const answer = await new BreakerTransport(inner, circuit).send(BODY, OPTIONS);
    assert.deepEqual(answer, {
      status: "retryable",
      reason: "export_failed",
      message: "The transport failed: Error: bug",
      answerLost: true,
    });
    assert.deepEqual(circuit.recorded, [[0, "failure"]]);
  });
}

Deno.test("A circuit that throws is an answer too", async () => {
  const circuit = new FakeCircuit();
  circuit.acquire = () => {
    throw new Error("detached");
  };
  const answer = await new BreakerTransport(new FakeTransport(), circuit).send(BODY, OPTIONS);
  assert.equal(answer.status, "retryable");
});

Deno.test("What need not be tried takes no permit: no time left, a caller that gave up, a closed transport", async () => {
  const circuit = new FakeCircuit();
  const transport = new BreakerTransport(new FakeTransport(), circuit);
  await transport.send(BODY, { ...OPTIONS, deadlineMs: 0 });
  await transport.send(BODY, { ...OPTIONS, abort: AbortSignal.abort() });
  await transport.close();
  await transport.send(BODY, OPTIONS);
  assert.equal(circuit.acquired, 0);
});
