/** When each of the three wrappers lets an export through. */

import assert from "node:assert/strict";
import { CircuitBreaker, CircuitOpenError } from "../../exporters/mod.ts";
import { DiagLog } from "../fakes/diag_log.ts";
import * as fake from "../fakes/exporter.ts";
import { KINDS, Scene, TIMEOUT_MS } from "../fakes/wrapped_exporter.ts";

for (const kind of KINDS) {
  const test = (title: string, run: () => void | Promise<void>) => Deno.test(`${kind.name}: ${title}`, run);

  test("P1-02 opens after three consecutive failures; two, a success and two more leave it closed", () => {
    const scene = new Scene(kind);
    scene.fail(2);
    scene.export();
    scene.fail(2);
    assert.equal(scene.wrapped.breaker.state, "closed");
    scene.fail(1);
    assert.equal(scene.wrapped.breaker.state, "open");
  });

  test("P1-03 of 21 attempts while open, 0, 10 and 20 reach the backend and the eighteen between do not", () => {
    const scene = new Scene(kind, fake.fails);
    for (let time = 0; time < 3; time++) scene.export(7);
    assert.equal(scene.inner.callCount, 3);

    const reached: number[] = [];
    for (let attempt = 0; attempt <= 20; attempt++) {
      const before: number = scene.inner.callCount;
      const [answer] = scene.export(7);
      if (scene.inner.callCount > before) reached.push(attempt);
      assert.equal(answer.code, 1);
      assert.equal(answer.error instanceof CircuitOpenError, scene.inner.callCount === before);
      assert.equal(scene.wrapped.breaker.state, "open");
      scene.balances();
    }
    assert.deepEqual(reached, [0, 10, 20]);
    assert.deepEqual(scene.wrapped.account.dropped, { export_failed: 6 * 7, circuit_open: 18 * 7 });
  });

  test("P1-04 a successful probe closes the circuit and resets its counters", () => {
    const scene = new Scene(kind);
    scene.fail(4); // The fourth is the failed probe of attempt 0.
    for (let attempt = 1; attempt < 10; attempt++) assert.equal(scene.export()[0].code, 1);
    assert.deepEqual(scene.export(), [{ code: 0 }]);
    assert.equal(scene.wrapped.breaker.state, "closed");
    scene.fail(2);
    assert.equal(scene.wrapped.breaker.state, "closed");
    scene.fail(1);
    assert.equal(scene.wrapped.breaker.state, "open");
    assert.deepEqual(scene.export(), [{ code: 0 }], "attempts are counted from 0 again");
  });

  test("P1-04 with a success threshold of two, one successful probe is not enough", () => {
    const scene = new Scene(kind, fake.succeeds, { successThreshold: 2, probeEveryNth: 1 });
    scene.fail(3);
    scene.export();
    assert.notEqual(scene.wrapped.breaker.state, "closed");
    scene.export();
    assert.equal(scene.wrapped.breaker.state, "closed");
  });

  test("P1-05 of 100 exports at once at a probe attempt, exactly one reaches the backend", async () => {
    const scene = new Scene(kind, fake.hangs);
    scene.fail(3);
    const answers = Array.from({ length: 100 }, () => scene.export());
    assert.equal(scene.inner.callCount, 3 + 1);
    assert.equal(answers.filter((answer) => answer.length === 0).length, 1);
    assert.equal(scene.wrapped.account.queued, 1);
    assert.equal(scene.wrapped.account.dropped.circuit_open, 99);
    scene.balances();

    await scene.clock.advance(TIMEOUT_MS);
    assert.ok(answers.every((answer) => answer.length === 1), "everyone has been answered once");
    assert.equal(scene.wrapped.breaker.state, "open");
    assert.equal(scene.wrapped.account.dropped.deadline, 1);
  });

  test("P1-05 of 100 exports at once at the end of the cooldown, exactly one reaches the backend", async () => {
    const scene = new Scene(kind, fake.hangs, { probeEveryNth: 0, cooldownMs: 5_000 });
    scene.fail(3);
    await scene.clock.advance(4_999);
    scene.export();
    assert.equal(scene.inner.callCount, 3);
    await scene.clock.advance(1);
    for (let time = 0; time < 100; time++) scene.export();
    assert.equal(scene.inner.callCount, 4);
    scene.inner.callbacks[3]({ code: 0 });
    assert.equal(scene.wrapped.breaker.state, "closed");
  });

  test("P1-06 a refusal names the circuit and says when a probe may pass, and is never a success", async () => {
    const scene = new Scene(kind, fake.fails, { probeEveryNth: 0, cooldownMs: 5_000, name: "backend" });
    scene.fail(3);
    await scene.clock.advance(1_000);
    const [{ code, error }] = scene.export(9);
    assert.equal(code, 1);
    assert.ok(error instanceof CircuitOpenError);
    assert.equal(error.retryAfterMs, 4_000);
    assert.equal(error.circuitName, "backend");
    assert.equal(error.message, 'Cannot export: circuit "backend" is open, a probe may pass in 4000 ms at the latest');
    assert.equal(scene.wrapped.account.dropped.circuit_open, 9);
  });

  test("P1-06 a refusal while a probe is under way says so", () => {
    const scene = new Scene(kind, fake.hangs);
    scene.fail(3);
    scene.export();
    const [{ error }] = scene.export();
    assert.ok(error instanceof CircuitOpenError);
    assert.match(error.message, /is half-open and its probe is under way, another may pass in \d+ ms at the latest$/);
  });

  test("P1-04 a result from before the circuit opened is delivered, and does not close it", () => {
    const scene = new Scene(kind, fake.hangs);
    const answers = scene.export(5);
    scene.fail(3);
    scene.inner.callbacks[0]({ code: 0 });
    assert.deepEqual(answers, [{ code: 0 }]);
    assert.equal(scene.wrapped.breaker.state, "open");
    assert.equal(scene.wrapped.breaker.counters.stale, 1);
    assert.equal(scene.wrapped.account.delivered, 5);
  });

  test("each change of the circuit is one line of the diagnostic log: a warning when it opens, why, and when it is back", () => {
    using log = new DiagLog();
    const scene = new Scene(kind, fake.fails, { probeEveryNth: 2 });
    scene.fail(3);
    for (let refused = 0; refused < 2; refused++) scene.export();
    scene.inner.behaviour = fake.succeeds;
    scene.export();
    assert.deepEqual(log.lines, linesOf(`Circuit "${kind.signal}"`));
  });

  test("the changes of a breaker that is shared are one line each, however many exporters share it", () => {
    using log = new DiagLog();
    const breaker = new CircuitBreaker({ name: "backend", probeEveryNth: 2 });
    const [scene] = [fake.fails, fake.fails].map((behaviour) => new Scene(kind, behaviour, { breaker }));
    scene.fail(3);
    for (let refused = 0; refused < 2; refused++) scene.export();
    scene.inner.behaviour = fake.succeeds;
    scene.export();
    assert.deepEqual(log.lines, linesOf('Circuit "backend"'));
  });

  test("a breaker can be shared, and then every exporter opens with it", () => {
    const breaker = new CircuitBreaker({ probeEveryNth: 0 });
    const traces = new Scene(kind, fake.fails, { breaker });
    const other = new Scene(kind, fake.succeeds, { breaker });
    traces.fail(3);
    assert.equal(other.export()[0].code, 1);
    assert.equal(other.inner.callCount, 0);
  });

  test("options of a breaker beside a breaker are refused by name, and so are numbers out of range", () => {
    const breaker = new CircuitBreaker();
    assert.throws(() => new Scene(kind, fake.succeeds, { breaker, failureThreshold: 5 }), {
      name: "TypeError",
      message:
        'Cannot create circuit breaker exporter: "failureThreshold" is an option of a breaker, and "breaker" brings ' +
        "its own",
    });
    assert.throws(() => new Scene(kind, fake.succeeds, { concurrentExportsMax: 0 }), {
      name: "RangeError",
      message: 'Cannot create circuit breaker exporter: "concurrentExportsMax" must be an integer from 1 to 1000000, ' +
        "received 0",
    });
    assert.throws(() => new Scene(kind, fake.succeeds, { failureThreshold: 0 }), RangeError);
  });
}

/** Three failures, a probe by attempt that fails, one refusal, a probe that succeeds. */
function linesOf(circuit: string): string[] {
  return [
    `warn ${circuit} went from closed to open: 3 consecutive failures. Until it closes again nothing but probes is sent`,
    `debug ${circuit} went from open to half_open: attempt 0 may probe`,
    `debug ${circuit} went from half_open to open: probe failed`,
    `debug ${circuit} went from open to half_open: attempt 2 may probe`,
    `info ${circuit} went from half_open to closed: probe succeeded`,
  ];
}
