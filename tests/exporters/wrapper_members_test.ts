/** Which members a wrapper has: those of the inner exporter, no more and no fewer. */

import assert from "node:assert/strict";
import {
  CircuitBreakerLogRecordExporter,
  CircuitBreakerMetricExporter,
  CircuitBreakerSpanExporter,
  type LogRecordExporter,
  type PushMetricExporter,
  type SpanExporter,
} from "../../exporters/mod.ts";

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
