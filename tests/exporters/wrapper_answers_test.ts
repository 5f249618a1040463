/** What each of the three wrappers answers to an export, whatever the inner exporter does, and what it counts. */

import assert from "node:assert/strict";
import { CircuitBreaker, type ExportResult } from "../../exporters/mod.ts";
import { settle } from "../fakes/clock.ts";
import * as fake from "../fakes/exporter.ts";
import { KINDS, Scene, throwIt, TIMEOUT_MS } from "../fakes/wrapped_exporter.ts";

for (const kind of KINDS) {
  const test = (title: string, run: () => void | Promise<void>) => Deno.test(`${kind.name}: ${title}`, run);

  test("P1-01 a success is passed on, once, with every item delivered", () => {
    const scene = new Scene(kind);
    const answers = scene.export(5);
    assert.deepEqual(answers, [{ code: 0 }]);
    assert.deepEqual(scene.wrapped.account, { accepted: 5, delivered: 5, dropped: {}, queued: 0 });
    assert.equal(scene.wrapped.breaker.state, "closed");
    assert.equal(scene.wrapped.breaker.name, kind.signal);
    assert.equal(scene.clock.sleeperCount, 0, "the timer of the deadline is gone");
  });

  // deno-fmt-ignore
  const failures: [string, fake.Behaviour][] = [
    ["throws",                        fake.throws],
    ["rejects",                       fake.rejects],
    ["answers FAILED",                fake.fails],
    ["answers FAILED without a word", fake.failsWithoutReason],
    ["answers nonsense",              fake.answersNonsense],
  ];
  for (const [what, behaviour] of failures) {
    test(`P1-01 an inner exporter that ${what} is one failure an export, answered once, never thrown`, async () => {
      const scene = new Scene(kind, behaviour);
      for (const state of ["closed", "closed", "open"] as const) {
        const answers = scene.export(5);
        await settle();
        assert.equal(answers.length, 1);
        assert.equal(answers[0].code, 1);
        assert.ok(answers[0].error instanceof Error);
        assert.equal(scene.wrapped.breaker.state, state);
      }
      assert.deepEqual(scene.wrapped.account, {
        accepted: 15,
        delivered: 0,
        dropped: { export_failed: 15 },
        queued: 0,
      });
    });
  }

  test("P1-01 E11 no answer within the deadline is one failure, and a late answer changes nothing", async () => {
    const scene = new Scene(kind, fake.hangs);
    for (const state of ["closed", "closed", "open"] as const) {
      const answers = scene.export(5);
      await scene.clock.advance(TIMEOUT_MS - 1);
      assert.equal(answers.length, 0);
      assert.equal(scene.wrapped.account.queued, 5);
      scene.balances();
      await scene.clock.advance(1);
      assert.equal(answers.length, 1);
      assert.equal(answers[0].code, 1);
      assert.match(answers[0].error?.message ?? "", /no answer within 1000 ms/);
      assert.equal(scene.wrapped.breaker.state, state);
    }
    const account = { accepted: 15, delivered: 0, dropped: { deadline: 15 }, queued: 0 };
    assert.deepEqual(scene.wrapped.account, account);

    for (const answer of scene.inner.callbacks) answer({ code: 0 });
    assert.deepEqual(scene.wrapped.account, account);
    assert.equal(scene.wrapped.breaker.state, "open");
  });

  test("P1-01 only the first of two answers counts, and a throw after an answer is not a failure", async () => {
    for (const behaviour of [fake.answersTwice, fake.answersThenThrows]) {
      const scene = new Scene(kind, behaviour);
      for (let time = 0; time < 5; time++) assert.deepEqual(scene.export(2), [{ code: 0 }]);
      await scene.clock.advance(10 * TIMEOUT_MS);
      assert.deepEqual(scene.wrapped.account, { accepted: 10, delivered: 10, dropped: {}, queued: 0 });
      assert.equal(scene.wrapped.breaker.state, "closed");
    }
  });

  test("P1-01 a result callback that throws or rejects is called once, reported, and not thrown into the caller", async () => {
    for (
      const breaks of [() => {
        throw new Error("callback");
      }, () => Promise.reject(new Error("callback"))]
    ) {
      for (const behaviour of [fake.succeeds, fake.fails, fake.throws]) {
        const scene = new Scene(kind, behaviour);
        let callCount = 0;
        scene.wrapped.export(kind.batch(1), () => {
          callCount++;
          return breaks() as unknown as void;
        });
        await settle();
        assert.equal(callCount, 1);
        assert.deepEqual(scene.reports, ["The result callback of an export failed"]);
        scene.balances();
      }
    }
  });

  test("an empty batch is a success that does not touch the inner exporter, also while open", () => {
    const scene = new Scene(kind);
    assert.deepEqual(scene.export(0), [{ code: 0 }]);
    assert.equal(scene.inner.callCount, 0);
    scene.fail(3);
    assert.deepEqual(scene.export(0), [{ code: 0 }]);
    assert.equal(scene.wrapped.breaker.state, "open", "it is no attempt either");
  });

  test("a batch that the backend calls bad is dropped, and does not open the circuit of a backend that works", () => {
    for (const status of [400, 413, 422]) {
      const scene = new Scene(kind, fake.failsWithStatus(status));
      for (let time = 0; time < 10; time++) assert.equal(scene.export(2)[0].code, 1);
      assert.equal(scene.wrapped.breaker.state, "closed");
      assert.deepEqual(scene.wrapped.account.dropped, { export_failed: 20 });
    }
    for (const status of [401, 403, 404, 429, 500, 503]) {
      const scene = new Scene(kind, fake.failsWithStatus(status));
      for (let time = 0; time < 3; time++) scene.export();
      assert.equal(scene.wrapped.breaker.state, "open", `HTTP ${status}`);
    }
  });

  test("more exports in flight than allowed are dropped without blaming the backend", async () => {
    const scene = new Scene(kind, fake.hangs, { concurrentExportsMax: 3 });
    for (let time = 0; time < 10; time++) scene.export(2);
    assert.equal(scene.inner.callCount, 3);
    assert.deepEqual(scene.wrapped.account, { accepted: 20, delivered: 0, dropped: { queue_full: 14 }, queued: 6 });
    assert.equal(scene.wrapped.breaker.state, "closed");
    for (const answer of scene.inner.callbacks) answer({ code: 0 });
    await settle();
    assert.equal(scene.export(2).length, 0, "there is room again");
  });

  test("P1-11 an observer is told of attempts, drops and transitions, and may throw in all of them", async () => {
    const told: string[] = [];
    const throwing = (what: string) => {
      told.push(what);
      throw new Error("registry");
    };
    const scene = new Scene(kind, fake.succeeds, {
      probeEveryNth: 0,
      cooldownMs: 5_000,
      observer: {
        attempted: (a) => throwing(`attempted ${a.signal} ${a.itemCount} ${a.durationMs} ${a.succeeded}`),
        dropped: (d) => throwing(`dropped ${d.signal} ${d.itemCount} ${d.reason}`),
        transitioned: (t) => throwing(`${t.name} ${t.from} -> ${t.to}`),
      },
    });
    assert.deepEqual(scene.export(4), [{ code: 0 }]);
    scene.fail(3);
    assert.equal(scene.export(6)[0].code, 1);
    await scene.clock.advance(5_000);
    assert.deepEqual(scene.export(8), [{ code: 0 }]);
    const failure = [`attempted ${kind.signal} 1 0 false`, `dropped ${kind.signal} 1 export_failed`];
    assert.deepEqual(told, [
      `attempted ${kind.signal} 4 0 true`,
      ...failure,
      ...failure,
      `${kind.signal} closed -> open`,
      ...failure,
      `dropped ${kind.signal} 6 circuit_open`,
      `${kind.signal} open -> half_open`,
      `${kind.signal} half_open -> closed`,
      `attempted ${kind.signal} 8 0 true`,
    ]);
    assert.equal(scene.reports.length, 3, "one report for each member within a minute");
    scene.balances();
  });

  test("a broken breaker or a broken report fails the export, and is not thrown into the program", () => {
    const breaker = new CircuitBreaker();
    const scene = new Scene(kind, fake.succeeds, { breaker, report: () => throwIt("report") });
    breaker.acquire = () => throwIt("acquire");
    assert.equal(scene.export(3)[0].error?.message, "acquire");
    assert.deepEqual(scene.wrapped.account.dropped, { export_failed: 3 });
    breaker.acquire = () => 0;
    breaker.record = () => throwIt("record");
    assert.deepEqual(scene.export(3), [{ code: 0 }]);
    scene.balances();
  });

  test("the account balances whenever somebody else's code may look at it", async () => {
    const scene: Scene = new Scene(kind, fake.succeeds, {
      concurrentExportsMax: 2,
      observer: {
        attempted: () => scene.balances(),
        dropped: () => scene.balances(),
        transitioned: () => scene.balances(),
      },
    });
    for (
      const behaviour of [fake.succeeds, fake.fails, fake.hangs, fake.hangs, fake.hangs, fake.throws, fake.succeeds]
    ) {
      scene.inner.behaviour = behaviour;
      scene.wrapped.export(kind.batch(3), () => scene.balances());
      scene.balances();
      await scene.clock.advance(TIMEOUT_MS / 2);
    }
    await scene.clock.advance(TIMEOUT_MS);
    scene.balances();
    assert.deepEqual(scene.reports, []);
  });

  test("what is not a batch at all is counted, answered, and not thrown back", async () => {
    for (const batch of [undefined, null, 5, {}]) {
      const scene = new Scene(kind, fake.throws);
      const answers: ExportResult[] = [];
      scene.wrapped.export(batch, (result) => answers.push(result));
      await settle();
      assert.equal(answers.length, 1);
      assert.equal(scene.wrapped.account.accepted, 1);
      scene.balances();
    }
  });
}
