import type { ReadableLogRecord } from "../sdk_types.ts";
import { writeAttributes, writeValue } from "./encode_value.ts";
import { isNoId, SPAN_ID_BYTES, TRACE_ID_BYTES } from "./ids.ts";
import { type Outcome, refuse, type Scratch } from "./scratch.ts";

/** The tags of `LogRecord`, in the order in which they are written. */
const TIME = 0x09;
const SEVERITY_NUMBER = 0x10;
const SEVERITY_TEXT = 0x1a;
const BODY = 0x2a;
const ATTRIBUTES = 0x32;
const DROPPED_ATTRIBUTES_COUNT = 0x38;
const FLAGS = 0x45;
const TRACE_ID = 0x4a;
const SPAN_ID = 0x52;
const OBSERVED_TIME = 0x59;
const EVENT_NAME = 0x62;

/** In a request, a log record lies at 3, its body and its attributes at 4. */
const NESTED_DEPTH = 4;

/**
 * Writes a log record as a bare OTLP `LogRecord`: what is around it in a request is not written.
 *
 * The bytes are those of the stock serializer, of SDK 2.x and 3.x. Where it would write what a backend refuses, a record
 * is `invalid`: a trace or span id of a wrong length, with other than hexadecimal digits, or all zero; values deeper
 * than decoders go. Having no ids is fine. A time that cannot be is written as 0.
 */
export function encodeLogRecord(record: ReadableLogRecord, scratch: Scratch): Outcome {
  return scratch.encode(writeLogRecord, record);
}

function writeLogRecord(scratch: Scratch, record: ReadableLogRecord): void {
  const { severityNumber, severityText, body, attributes, spanContext, eventName } = record;
  scratch.time(TIME, record.hrTime);
  if (severityNumber !== undefined && severityNumber !== 0) scratch.varint(SEVERITY_NUMBER, severityNumber);
  if (severityText) scratch.string(SEVERITY_TEXT, severityText);
  if (body !== undefined) writeValue(scratch, BODY, body, NESTED_DEPTH);
  writeAttributes(scratch, ATTRIBUTES, attributes, NESTED_DEPTH);
  scratch.varint(DROPPED_ATTRIBUTES_COUNT, record.droppedAttributesCount);
  if (spanContext) {
    const { traceFlags, traceId, spanId } = spanContext;
    if (traceFlags) scratch.fixed32(FLAGS, traceFlags);
    if (traceId) writeId(scratch, TRACE_ID, traceId, TRACE_ID_BYTES);
    if (spanId) writeId(scratch, SPAN_ID, spanId, SPAN_ID_BYTES);
  }
  scratch.time(OBSERVED_TIME, record.hrTimeObserved);
  if (eventName) scratch.string(EVENT_NAME, eventName);
}

function writeId(scratch: Scratch, tag: number, digits: string, byteCount: number): void {
  if (isNoId(digits) || !scratch.id(tag, digits, byteCount)) refuse();
}
