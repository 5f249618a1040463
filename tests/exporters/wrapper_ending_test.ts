/** How each of the three wrappers flushes and ends. */

import assert from "node:assert/strict";
import * as fake from "../fakes/exporter.ts";
import { KINDS, Scene, throwIt, TIMEOUT_MS } from "../fakes/wrapped_exporter.ts";

for (const kind of KINDS) {
  const test = (title: string, run: () => void | Promise<void>) => Deno.test(`${kind.name}: ${title}`, run);

  test("P1-07 forceFlush while open resolves at once without asking the inner exporter", async () => {
    const scene = new Scene(kind);
    scene.inner.flushes = () => new Promise(() => {});
    scene.fail(3);
    await scene.wrapped.forceFlush();
    assert.equal(scene.inner.flushCount, 0);
  });

  test("P1-07 B4 forceFlush while closed reports the inner exporter's success, failure or silence", async () => {
    const scene = new Scene(kind);
    await scene.wrapped.forceFlush();
    assert.equal(scene.inner.flushCount, 1);

    scene.inner.flushes = () => Promise.reject(new Error("disk full"));
    await assert.rejects(scene.wrapped.forceFlush(), { message: "Cannot flush the inner exporter: disk full" });

    scene.inner.flushes = () => {
      throw new Error("not ready");
    };
    await assert.rejects(scene.wrapped.forceFlush(), { message: "Cannot flush the inner exporter: not ready" });

    // It rejects after the time is up: that must not come up as an unhandled rejection.
    scene.inner.flushes = () => scene.clock.sleep(2 * TIMEOUT_MS).then(() => throwIt("too late"));
    const silent = assert.rejects(scene.wrapped.forceFlush(), {
      message: "Cannot flush the inner exporter: no answer within 1000 ms",
    });
    await scene.clock.advance(TIMEOUT_MS);
    await silent;
    await scene.clock.advance(TIMEOUT_MS);
    assert.equal(scene.clock.sleeperCount, 0, "no timer is left");
    assert.equal(scene.wrapped.breaker.state, "closed", "a flush is not an export");
  });

  test("P1-07 B4 shutdown reaches the inner exporter once, and everyone who asks gets the same answer", async () => {
    const scene = new Scene(kind);
    const first = scene.wrapped.shutdown();
    assert.equal(scene.wrapped.shutdown(), first);
    await first;
    await scene.wrapped.shutdown();
    assert.equal(scene.inner.shutdownCount, 1);
    assert.equal(scene.clock.sleeperCount, 0, "no timer is left");
  });

  test("P1-07 shutdown waits for exports in flight before it reaches the inner exporter", async () => {
    const scene = new Scene(kind, fake.hangs);
    const answers = scene.export(5);
    const ended = scene.wrapped.shutdown();
    await scene.clock.advance(TIMEOUT_MS / 2);
    assert.equal(scene.inner.shutdownCount, 0);
    scene.inner.callbacks[0]({ code: 0 });
    await ended;
    assert.equal(scene.inner.shutdownCount, 1);
    assert.deepEqual(answers, [{ code: 0 }]);
    assert.deepEqual(scene.wrapped.account, { accepted: 5, delivered: 5, dropped: {}, queued: 0 });
  });

  test("P1-07 B4 shutdown is bounded with a hung export and a hung inner shutdown, and says so", async () => {
    const scene = new Scene(kind, fake.hangs);
    scene.inner.shutsDown = () => new Promise(() => {});
    const answers = scene.export(5);
    const ended = assert.rejects(
      scene.wrapped.shutdown(),
      /^Error: Cannot shut down the inner exporter: no answer within/,
    );
    await scene.clock.advance(TIMEOUT_MS + 1);
    await ended;
    assert.equal(scene.inner.shutdownCount, 1);
    assert.equal(answers.length, 1);
    assert.equal(scene.wrapped.account.dropped.deadline, 5);
  });

  test("P1-07 shutdown called from inside an export waits for that export as well", async () => {
    const scene = new Scene(kind);
    let ended: Promise<void> | undefined;
    scene.inner.behaviour = () => {
      ended = scene.wrapped.shutdown();
    };
    const answers = scene.export();
    await scene.clock.advance(TIMEOUT_MS / 2);
    assert.equal(scene.inner.shutdownCount, 0);
    scene.inner.callbacks[0]({ code: 0 });
    await ended;
    assert.deepEqual(answers, [{ code: 0 }]);
  });

  test("P1-07 shutdown leaves the inner exporter what exports in flight have not used of the time", async () => {
    const scene = new Scene(kind, fake.hangs);
    scene.export();
    await scene.clock.advance(TIMEOUT_MS * 0.75);
    scene.inner.shutsDown = () => scene.clock.sleep(TIMEOUT_MS * 0.7);
    const ended = scene.wrapped.shutdown();
    await scene.clock.advance(TIMEOUT_MS);
    await ended;
  });

  test("P1-07 B4 a failing inner shutdown is reported, and tried no second time", async () => {
    const scene = new Scene(kind);
    scene.inner.shutsDown = () => Promise.reject(new Error("socket gone"));
    for (let time = 0; time < 2; time++) {
      await assert.rejects(scene.wrapped.shutdown(), { message: "Cannot shut down the inner exporter: socket gone" });
    }
    assert.equal(scene.inner.shutdownCount, 1);
  });

  test("B4 E11 after shutdown an export fails without reaching the backend, and a flush does nothing", async () => {
    const scene = new Scene(kind);
    await scene.wrapped.shutdown();
    const [answer] = scene.export(5);
    assert.equal(answer.code, 1);
    assert.match(answer.error?.message ?? "", /shut down/);
    await scene.wrapped.forceFlush();
    assert.equal(scene.inner.callCount + scene.inner.flushCount, 0);
    assert.deepEqual(scene.wrapped.account, { accepted: 5, delivered: 0, dropped: { shutdown: 5 }, queued: 0 });
  });
}
