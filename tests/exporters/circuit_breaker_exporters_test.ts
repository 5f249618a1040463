/** The specification of the three wrappers. What holds for all of them is run on each. */

import { diag, type DiagLogger, DiagLogLevel } from "@opentelemetry/api";
import assert from "node:assert/strict";
import {
  CircuitBreaker,
  type CircuitBreakerExporterOptions,
  CircuitBreakerLogRecordExporter,
  CircuitBreakerMetricExporter,
  CircuitBreakerSpanExporter,
  CircuitOpenError,
  type ExportAccount,
  type ExportResult,
  type LogRecordExporter,
  type PushMetricExporter,
  type ResultCallback,
  type SpanExporter,
} from "../../exporters/mod.ts";
import { total } from "../../exporters/reason.ts";
import { FakeClock, settle } from "../fakes/clock.ts";
import * as fake from "../fakes/exporter.ts";
import { FakeExporter } from "../fakes/exporter.ts";

const TIMEOUT_MS = 1_000;

/** The three wrappers, made to look alike. */
interface Kind {
  readonly name: string;
  readonly signal: string;
  wrap(inner: FakeExporter<unknown>, options: CircuitBreakerExporterOptions): Wrapped;
  /** A batch of that many items. */
  batch(itemCount: number): unknown;
}

interface Wrapped {
  readonly breaker: CircuitBreaker;
  readonly account: ExportAccount;
  export(batch: unknown, callback: ResultCallback): void;
  forceFlush(): Promise<void>;
  shutdown(): Promise<void>;
}

const KINDS: readonly Kind[] = [
  {
    name: "CircuitBreakerSpanExporter",
    signal: "traces",
    wrap: (inner, options) => new CircuitBreakerSpanExporter(inner as SpanExporter, options) as Wrapped,
    batch: (itemCount) => Array.from({ length: itemCount }, (_, index) => ({ name: `span ${index}` })),
  },
  {
    name: "CircuitBreakerMetricExporter",
    signal: "metrics",
    wrap: (inner, options) =>
      new CircuitBreakerMetricExporter(inner as unknown as PushMetricExporter, options) as Wrapped,
    // Two scopes, several metrics: the items are the data points, not the metrics.
    batch: (itemCount) => ({
      resource: {},
      scopeMetrics: [
        { scope: { name: "empty" }, metrics: [] },
        {
          scope: { name: "full" },
          metrics: [{ dataPoints: Array(itemCount >> 1).fill({}) }, {
            dataPoints: Array((itemCount + 1) >> 1).fill({}),
          }],
        },
      ],
    }),
  },
  {
    name: "CircuitBreakerLogRecordExporter",
    signal: "logs",
    wrap: (inner, options) => new CircuitBreakerLogRecordExporter(inner as LogRecordExporter, options) as Wrapped,
    batch: (itemCount) => Array.from({ length: itemCount }, (_, index) => ({ body: `record ${index}` })),
  },
];

/** One wrapper on a fake exporter and a fake clock, with every answer that it gave. */
class Scene {
  readonly clock = new FakeClock();
  readonly inner: FakeExporter<unknown>;
  readonly reports: string[] = [];
  readonly wrapped: Wrapped;
  readonly kind: Kind;

  constructor(kind: Kind, behaviour = fake.succeeds, options: CircuitBreakerExporterOptions = {}) {
    this.kind = kind;
    this.inner = new FakeExporter(behaviour);
    const { clock, reports } = this;
    this.wrapped = kind.wrap(this.inner, {
      ...(options.breaker === undefined && { cooldownJitter: 0 }),
      clock,
      sleep: clock.sleep,
      exportTimeoutMs: TIMEOUT_MS,
      report: (message) => reports.push(message),
      ...options,
    });
  }

  /** Exports and gives the list that the answers go to. */
  export(itemCount = 1): ExportResult[] {
    const answers: ExportResult[] = [];
    this.wrapped.export(this.kind.batch(itemCount), (result) => {
      answers.push(result);
    });
    return answers;
  }

  fail(times: number): void {
    const before = this.inner.behaviour;
    this.inner.behaviour = fake.fails;
    for (let time = 0; time < times; time++) this.export();
    this.inner.behaviour = before;
  }

  /** The equation of the account, at this moment. */
  balances(): void {
    const { accepted, delivered, dropped, queued } = this.wrapped.account;
    assert.equal(delivered + total(dropped) + queued, accepted);
  }
}

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

  test("one line of the diagnostic log says that the circuit opened and why, one that it closed", () => {
    const lines: string[] = [];
    const logger = { warn: (line: string) => lines.push(line), info: (line: string) => lines.push(line) };
    diag.setLogger(logger as unknown as DiagLogger, DiagLogLevel.INFO);
    const scene = new Scene(kind);
    scene.fail(20);
    lines.push("back");
    scene.export();
    while (scene.wrapped.breaker.state !== "closed") scene.export();
    diag.disable();
    assert.equal(lines.length, 3, lines.join("\n"));
    assert.match(lines[0], new RegExp(`^Circuit "${kind.signal}" went from closed to open: 3 consecutive failures`));
    assert.equal(lines[1], "back");
    assert.match(lines[2], new RegExp(`^Circuit "${kind.signal}" went from half_open to closed`));
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

function throwIt(message: string): never {
  throw new Error(message);
}

Deno.test("P1-07 forceFlush is on the span wrapper exactly when the inner exporter has it", () => {
  const bare: SpanExporter = { export: () => {}, shutdown: () => Promise.resolve() };
  assert.equal("forceFlush" in new CircuitBreakerSpanExporter(bare), false);
  const full: SpanExporter = { ...bare, forceFlush: () => Promise.resolve() };
  assert.equal(typeof new CircuitBreakerSpanExporter(full).forceFlush, "function");
});

Deno.test("the log record wrapper always has forceFlush, which does nothing when the inner exporter has none", async () => {
  const exporter = new CircuitBreakerLogRecordExporter({ export: () => {}, shutdown: () => Promise.resolve() });
  await exporter.forceFlush();
});

Deno.test("what a metric exporter wants of its reader is on the wrapper exactly when the inner exporter has it", () => {
  const bare: PushMetricExporter = {
    export: () => {},
    shutdown: () => Promise.resolve(),
    forceFlush: () => Promise.resolve(),
  };
  const plain = new CircuitBreakerMetricExporter(bare);
  assert.equal("selectAggregation" in plain, false);
  assert.equal("selectAggregationTemporality" in plain, false);

  const choosy = {
    ...bare,
    temporality: 0,
    selectAggregationTemporality(this: { temporality: number }, instrument: unknown) {
      return instrument === "COUNTER" ? this.temporality : 1;
    },
  };
  const wrapped = new CircuitBreakerMetricExporter(choosy as unknown as PushMetricExporter);
  assert.equal("selectAggregation" in wrapped, false);
  const select = wrapped.selectAggregationTemporality as unknown as (instrument: string) => number;
  assert.equal(select("COUNTER"), 0, "called on the inner exporter, which needs its own `this`");
  assert.equal(select("HISTOGRAM"), 1);
});

/** Compiles only while the wrappers are what the SDK takes. */
export const fits: [
  (inner: SpanExporter) => SpanExporter,
  (inner: PushMetricExporter) => PushMetricExporter,
  (inner: LogRecordExporter) => LogRecordExporter,
] = [
  (inner) => new CircuitBreakerSpanExporter(inner),
  (inner) => new CircuitBreakerMetricExporter(inner),
  (inner) => new CircuitBreakerLogRecordExporter(inner),
];
