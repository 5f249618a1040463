/** The three wrappers on a fake exporter and a fake clock, for specifications that hold for all of them. */

import assert from "node:assert/strict";
import {
  type CircuitBreaker,
  type CircuitBreakerExporterOptions,
  CircuitBreakerLogRecordExporter,
  CircuitBreakerMetricExporter,
  CircuitBreakerSpanExporter,
  type ExportAccount,
  type ExportResult,
  type LogRecordExporter,
  type PushMetricExporter,
  type ResultCallback,
  type SpanExporter,
} from "../../exporters/mod.ts";
import { total } from "../../exporters/reason.ts";
import { FakeClock } from "./clock.ts";
import * as fake from "./exporter.ts";
import { FakeExporter } from "./exporter.ts";

/** How long an export may take on a scene. */
export const TIMEOUT_MS = 1_000;

/** The three wrappers, made to look alike. */
export interface Kind {
  readonly name: string;
  readonly signal: string;
  wrap(inner: FakeExporter<unknown>, options: CircuitBreakerExporterOptions): Wrapped;
  /** A batch of that many items. */
  batch(itemCount: number): unknown;
}

export interface Wrapped {
  readonly breaker: CircuitBreaker;
  readonly account: ExportAccount;
  export(batch: unknown, callback: ResultCallback): void;
  forceFlush(): Promise<void>;
  shutdown(): Promise<void>;
}

export const KINDS: readonly Kind[] = [
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
export class Scene {
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

/** A function's way to throw where only an expression fits. */
export function throwIt(message: string): never {
  throw new Error(message);
}
