import type { ReadableLogRecord, ReadableSpan } from "../sdk_types.ts";
import { writeAttributes } from "./encode_value.ts";
import type { Outcome, Scratch } from "./scratch.ts";

/** `ResourceSpans`, `ScopeSpans` and their like for logs have the same fields; the items are field 2. */
const DESCRIPTION = 0x0a;
const SCHEMA_URL = 0x1a;

const RESOURCE_ATTRIBUTES = 0x0a;
const RESOURCE_DROPPED_ATTRIBUTES_COUNT = 0x10;

const SCOPE_NAME = 0x0a;
const SCOPE_VERSION = 0x12;
const SCOPE_ATTRIBUTES = 0x1a;
const SCOPE_DROPPED_ATTRIBUTES_COUNT = 0x20;

/** In a request, a resource lies at 2 and a scope at 3, their attributes one deeper. */
const RESOURCE_ATTRIBUTES_DEPTH = 3;
const SCOPE_ATTRIBUTES_DEPTH = 4;

type Resource = ReadableSpan["resource"];
type Scope = ReadableSpan["instrumentationScope"] | ReadableLogRecord["instrumentationScope"];

/** Writes a resource as a `ResourceSpans`, which is also a `ResourceLogs`, without any scope in it. */
export function encodeResource(resource: Resource, scratch: Scratch): Outcome {
  return scratch.encode(writeResource, resource);
}

/** Writes an instrumentation scope as a `ScopeSpans`, which is also a `ScopeLogs`, without any item in it. */
export function encodeScope(scope: Scope, scratch: Scratch): Outcome {
  return scratch.encode(writeScope, scope);
}

function writeResource(scratch: Scratch, resource: Resource): void {
  const mark = scratch.open(DESCRIPTION);
  writeAttributes(scratch, RESOURCE_ATTRIBUTES, resource.attributes, RESOURCE_ATTRIBUTES_DEPTH);
  scratch.varint(RESOURCE_DROPPED_ATTRIBUTES_COUNT, 0);
  scratch.close(mark);
  if (resource.schemaUrl) scratch.string(SCHEMA_URL, resource.schemaUrl);
}

function writeScope(scratch: Scratch, scope: Scope): void {
  const mark = scratch.open(DESCRIPTION);
  scratch.string(SCOPE_NAME, scope.name);
  if (scope.version) scratch.string(SCOPE_VERSION, scope.version);
  if ("attributes" in scope) writeAttributes(scratch, SCOPE_ATTRIBUTES, scope.attributes, SCOPE_ATTRIBUTES_DEPTH);
  if ("droppedAttributesCount" in scope && scope.droppedAttributesCount) {
    scratch.varint(SCOPE_DROPPED_ATTRIBUTES_COUNT, scope.droppedAttributesCount);
  }
  scratch.close(mark);
  if (scope.schemaUrl) scratch.string(SCHEMA_URL, scope.schemaUrl);
}
