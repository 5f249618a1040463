/*
 * The OpenTelemetry SDK as types: the only file that names its packages. Nothing of an SDK runs here, so SDK 2.x and
 * 3.x fit alike.
 */

import type * as core from "@opentelemetry/core";
import type * as logs from "@opentelemetry/sdk-logs";
import type * as metrics from "@opentelemetry/sdk-metrics";
import type * as trace from "@opentelemetry/sdk-trace-base";

/** A finished span, as the SDK hands it to an exporter. */
export type ReadableSpan = trace.ReadableSpan;

/** The SDK's span exporter. */
export type SpanExporter = trace.SpanExporter;

/** The metrics of one collection, as a reader hands them to an exporter. */
export type ResourceMetrics = metrics.ResourceMetrics;

/** The SDK's push metric exporter. */
export type PushMetricExporter = metrics.PushMetricExporter;

/** A log record, as the SDK hands it to an exporter. */
export type ReadableLogRecord = logs.ReadableLogRecord;

/** The SDK's log record exporter. */
export type LogRecordExporter = logs.LogRecordExporter;

/** How an export ended: code 0 is success, 1 is failure. */
export type ExportResult = core.ExportResult;

/** How an exporter answers: once, through this. */
export type ResultCallback = (result: ExportResult) => void;
