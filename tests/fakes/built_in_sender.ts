/** A program without an SDK: Deno's built-in exporter sends what it makes. 50 spans, 2 data points, 20 log records. */

import { metrics, trace } from "@opentelemetry/api";

const tracer = trace.getTracer("built-in");
for (let index = 0; index < 50; index++) tracer.startSpan(`span ${index}`).end();

const orders = metrics.getMeter("built-in").createCounter("orders");
orders.add(3, { kind: "express" });
orders.add(2, { kind: "standard" });

for (let index = 0; index < 20; index++) console.log(`order ${index}`);
