import type { ReadableSpan } from "../sdk_types.ts";
import { writeAttributes } from "./encode_value.ts";
import { isNoId, SPAN_ID_BYTES, TRACE_ID_BYTES } from "./ids.ts";
import { type Outcome, refuse, type Scratch } from "./scratch.ts";

/** The tags of `Span`, in the order in which they are written. */
const TRACE_ID = 0x0a;
const SPAN_ID = 0x12;
const TRACE_STATE = 0x1a;
const PARENT_SPAN_ID = 0x22;
const NAME = 0x2a;
const KIND = 0x30;
const START_TIME = 0x39;
const END_TIME = 0x41;
const ATTRIBUTES = 0x4a;
const DROPPED_ATTRIBUTES_COUNT = 0x50;
const EVENTS = 0x5a;
const DROPPED_EVENTS_COUNT = 0x60;
const LINKS = 0x6a;
const DROPPED_LINKS_COUNT = 0x70;
const STATUS = 0x7a;
const FLAGS = 0x85;

const EVENT_TIME = 0x09;
const EVENT_NAME = 0x12;
const EVENT_ATTRIBUTES = 0x1a;
const EVENT_DROPPED_ATTRIBUTES_COUNT = 0x20;

const LINK_TRACE_ID = 0x0a;
const LINK_SPAN_ID = 0x12;
const LINK_TRACE_STATE = 0x1a;
const LINK_ATTRIBUTES = 0x22;
const LINK_DROPPED_ATTRIBUTES_COUNT = 0x28;
const LINK_FLAGS = 0x35;

const STATUS_MESSAGE = 0x12;
const STATUS_CODE = 0x18;

/** In a request, a span lies at 3, its attributes at 4, its events and links at 4, and theirs at 5. */
const ATTRIBUTES_DEPTH = 4;
const NESTED_ATTRIBUTES_DEPTH = 5;

/** Beside the trace flags: whether it is known if the parent is remote, and whether it is. */
const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;

/**
 * Writes a finished span as a bare OTLP `Span`: what is around it in a request is not written.
 *
 * The bytes are those of the stock serializer, of SDK 2.x and 3.x. Where it would write what a backend refuses, a span
 * is `invalid`: a trace, span or parent id of a wrong length, with other than hexadecimal digits, or (the parent's
 * excepted) all zero; attributes deeper than decoders go. In a link such an id is written as absent. A time that cannot
 * be is written as 0.
 */
export function encodeSpan(span: ReadableSpan, scratch: Scratch): Outcome {
  return scratch.encode(writeSpan, span);
}

type Event = ReadableSpan["events"][number];
type Link = ReadableSpan["links"][number];
type SpanContext = ReturnType<ReadableSpan["spanContext"]>;

function writeSpan(scratch: Scratch, span: ReadableSpan): void {
  const context = span.spanContext();
  const parent = span.parentSpanContext;
  writeIds(scratch, context);
  const traceState = context.traceState?.serialize();
  if (traceState) scratch.string(TRACE_STATE, traceState);
  if (parent?.spanId && !scratch.id(PARENT_SPAN_ID, parent.spanId, SPAN_ID_BYTES)) refuse();
  scratch.string(NAME, span.name);
  // The API's kinds begin with 0, OTLP's with 1: its 0 is "unspecified".
  const kind = span.kind == null ? 0 : span.kind + 1;
  if (kind !== 0) scratch.varint(KIND, kind);
  scratch.time(START_TIME, span.startTime);
  scratch.time(END_TIME, span.endTime);
  writeAttributes(scratch, ATTRIBUTES, span.attributes, ATTRIBUTES_DEPTH);
  scratch.varint(DROPPED_ATTRIBUTES_COUNT, span.droppedAttributesCount);
  for (const event of span.events) writeEvent(scratch, event);
  scratch.varint(DROPPED_EVENTS_COUNT, span.droppedEventsCount);
  for (const link of span.links) writeLink(scratch, link);
  scratch.varint(DROPPED_LINKS_COUNT, span.droppedLinksCount);
  const status = scratch.open(STATUS);
  if (span.status.message) scratch.string(STATUS_MESSAGE, span.status.message);
  scratch.varint(STATUS_CODE, span.status.code);
  scratch.close(status);
  scratch.fixed32(FLAGS, flagsOf(context.traceFlags, parent?.isRemote));
}

function writeIds(scratch: Scratch, { traceId, spanId }: SpanContext): void {
  if (isNoId(traceId) || !scratch.id(TRACE_ID, traceId, TRACE_ID_BYTES)) refuse();
  if (isNoId(spanId) || !scratch.id(SPAN_ID, spanId, SPAN_ID_BYTES)) refuse();
}

function writeEvent(scratch: Scratch, event: Event): void {
  const mark = scratch.open(EVENTS);
  scratch.time(EVENT_TIME, event.time);
  scratch.string(EVENT_NAME, event.name);
  writeAttributes(scratch, EVENT_ATTRIBUTES, event.attributes, NESTED_ATTRIBUTES_DEPTH);
  scratch.varint(EVENT_DROPPED_ATTRIBUTES_COUNT, event.droppedAttributesCount ?? 0);
  scratch.close(mark);
}

function writeLink(scratch: Scratch, link: Link): void {
  const { context } = link;
  const mark = scratch.open(LINKS);
  if (!scratch.id(LINK_TRACE_ID, context.traceId, TRACE_ID_BYTES)) scratch.string(LINK_TRACE_ID, "");
  if (!scratch.id(LINK_SPAN_ID, context.spanId, SPAN_ID_BYTES)) scratch.string(LINK_SPAN_ID, "");
  const traceState = context.traceState?.serialize();
  if (traceState) scratch.string(LINK_TRACE_STATE, traceState);
  writeAttributes(scratch, LINK_ATTRIBUTES, link.attributes, NESTED_ATTRIBUTES_DEPTH);
  scratch.varint(LINK_DROPPED_ATTRIBUTES_COUNT, link.droppedAttributesCount ?? 0);
  scratch.fixed32(LINK_FLAGS, flagsOf(context.traceFlags, context.isRemote));
  scratch.close(mark);
}

function flagsOf(traceFlags: number, isRemote: boolean | undefined): number {
  return traceFlags & 0xff | HAS_IS_REMOTE | (isRemote ? IS_REMOTE : 0);
}
