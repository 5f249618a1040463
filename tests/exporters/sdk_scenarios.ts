/** What the wrappers must do on a real SDK with its stock OTLP exporters: told once, run on each major version. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type {
  CircuitBreakerExporterOptions,
  CircuitBreakerLogRecordExporter,
  CircuitBreakerMetricExporter,
  CircuitBreakerSpanExporter,
} from "../../exporters/mod.ts";
import { total } from "../../exporters/reason.ts";
import { type Signal, SIGNALS } from "../../exporters/signal.ts";
import { type Collector, startCollector } from "../../exporters/testing/collector.ts";

/** One major version of the SDK. */
export interface Sdk {
  readonly name: string;
  /** Beginning of the version of `@opentelemetry/api` that it stands on. */
  readonly apiVersion: string;
  /** Where the SDK finds `@opentelemetry/api`: a path with the version in it. */
  readonly apiPath: string;
  start(options: ApplicationOptions): Application;
}

export interface ApplicationOptions {
  readonly endpoints: Readonly<Record<Signal, string>>;
  /** The stock exporter's own timeout, in milliseconds. */
  readonly innerTimeoutMs: number;
  readonly wrap: CircuitBreakerExporterOptions;
}

/** A program with all three signals, each on the stock processor or reader around a wrapped stock exporter. */
export interface Application {
  readonly exporters: {
    readonly traces: CircuitBreakerSpanExporter;
    readonly metrics: CircuitBreakerMetricExporter;
    readonly logs: CircuitBreakerLogRecordExporter;
  };
  /** Ends a span, emits a log record, and counts on a counter of its own: one item of each signal. */
  work(index: number): void;
  flush(): Promise<void>[];
  shutdown(): Promise<void>[];
}

export function testOn(sdk: Sdk): void {
  Deno.test(`${sdk.name} stands on @opentelemetry/api ${sdk.apiVersion}`, () => {
    assert.match(sdk.apiPath, new RegExp(`@opentelemetry/api/${sdk.apiVersion.replaceAll(".", "\\.")}`));
  });

  Deno.test(`P1-01 ${sdk.name}: every item of the stock exporters arrives through the wrappers, and is counted`, async () => {
    await using scene = await Scene.on(sdk);
    for (let index = 0; index < 600; index++) scene.application.work(index);
    await Promise.all(scene.application.flush());
    assert.deepEqual(scene.collector.items, { traces: 600, metrics: 600, logs: 600 });
    for (const signal of SIGNALS) {
      const { account, breaker } = scene.application.exporters[signal];
      assert.deepEqual(account, { accepted: 600, delivered: 600, dropped: {}, queued: 0 }, signal);
      assert.equal(breaker.state, "closed");
    }
  });

  Deno.test(`P1-03 P1-06 ${sdk.name}: a backend that answers 503 is asked three times, and left alone then`, async () => {
    await using scene = await Scene.on(sdk, { probeEveryNth: 0, cooldownMs: 3_600_000 });
    // Longer than the stock exporters wait: they give up at once instead of trying again.
    scene.collector.respond(503, { headers: { "retry-after": "60" } });
    for (let round = 0; round < 10; round++) {
      scene.application.work(round);
      await Promise.allSettled(scene.application.flush());
    }
    for (const signal of SIGNALS) {
      const { account, breaker } = scene.application.exporters[signal];
      assert.equal(scene.collector.requests.filter((request) => request.signal === signal).length, 3, signal);
      assert.equal(breaker.state, "open");
      assert.ok((account.dropped.circuit_open ?? 0) >= 7, signal);
      assert.equal(account.delivered, 0);
      assert.equal(total(account.dropped), account.accepted);
    }
  });

  Deno.test(`P1-07 B4 ${sdk.name}: with a hung backend, flush and shutdown end in the time given`, async () => {
    await using scene = await Scene.on(sdk, { exportTimeoutMs: 100 }, 60_000);
    scene.collector.hang();
    scene.application.work(0);
    await Promise.allSettled(scene.application.flush());
    for (const signal of SIGNALS) {
      const exporter = scene.application.exporters[signal];
      assert.deepEqual(exporter.account, { accepted: 1, delivered: 0, dropped: { deadline: 1 }, queued: 0 }, signal);
      // The stock exporter waits a minute for its own request before it is shut down; the wrapper does not.
      await assert.rejects(exporter.shutdown(), /no answer within \d+ ms/);
    }
  });

  Deno.test(`P1-14 ${sdk.name}: no backend, a dead one and one that returns: the service's own requests are all answered`, async () => {
    await using scene = await Scene.on(sdk, { probeEveryNth: 2 });
    await using service = await Service.around(scene.application);

    await service.ask(20);
    await Promise.all(scene.application.flush());
    await scene.collector.refuse();
    for (let round = 0; round < 6; round++) {
      await service.ask(20);
      await Promise.allSettled(scene.application.flush());
    }
    for (const signal of SIGNALS) {
      assert.equal(scene.application.exporters[signal].breaker.state, "open", signal);
    }

    await scene.collector.recover();
    for (let round = 0; round < 3; round++) {
      await service.ask(20);
      await Promise.allSettled(scene.application.flush());
    }
    assert.deepEqual(service.statuses, new Map([[200, 200]]), "ten rounds of twenty requests, all well");
    for (const signal of SIGNALS) {
      const { account, breaker } = scene.application.exporters[signal];
      assert.equal(breaker.state, "closed", signal);
      assert.equal(account.delivered, scene.collector.items[signal], signal);
      assert.equal(account.delivered + total(account.dropped), account.accepted, signal);
      assert.ok(account.delivered > 20, `${signal} flow again`);
    }
  });
}

/** An application, wrapped, and the collector that it sends to. */
class Scene implements AsyncDisposable {
  readonly collector: Collector;
  readonly application: Application;

  private constructor(collector: Collector, application: Application) {
    this.collector = collector;
    this.application = application;
  }

  static async on(sdk: Sdk, wrap: CircuitBreakerExporterOptions = {}, innerTimeoutMs = 500): Promise<Scene> {
    const collector = await startCollector();
    return new Scene(collector, sdk.start({ endpoints: collector.endpoints, innerTimeoutMs, wrap }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.collector.recover(); // Cuts what hangs, so that the stock exporters can end.
    await Promise.allSettled(this.application.shutdown());
    await this.collector[Symbol.asyncDispose]();
  }
}

/** The application's own work: an HTTP service, each request of which makes telemetry. */
class Service implements AsyncDisposable {
  readonly statuses = new Map<number, number>();
  readonly #server = createServer((_, response) => {
    this.#application.work(this.#requestCount++);
    response.end("served");
  });
  readonly #application: Application;
  #requestCount = 0;

  private constructor(application: Application) {
    this.#application = application;
  }

  static async around(application: Application): Promise<Service> {
    const service = new Service(application);
    await new Promise<void>((resolve) => service.#server.listen(0, "127.0.0.1", resolve));
    return service;
  }

  async ask(times: number): Promise<void> {
    const { port } = this.#server.address() as AddressInfo;
    for (let time = 0; time < times; time++) {
      const response = await fetch(`http://127.0.0.1:${port}/`);
      await response.text();
      this.statuses.set(response.status, (this.statuses.get(response.status) ?? 0) + 1);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
