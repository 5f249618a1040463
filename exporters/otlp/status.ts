import { cutMessage, encodeJson, type Encoding, parseJsonObject, RESPONSE_BYTES_MAX } from "./response.ts";
import { WireType } from "./schema.ts";
import { FieldReader, MalformedRequest, WireWriter } from "./wire.ts";

/** What a `google.rpc.Status` is made from. */
export interface StatusInput {
  /** A code of google.rpc.Code, such as 3 for INVALID_ARGUMENT. OTLP/HTTP clients do not look at it. */
  readonly code?: number;
  readonly message: string;
  /** What was wrong with the request, a sentence each: becomes a `google.rpc.BadRequest` in the details. */
  readonly violations?: readonly string[];
}

/** What is read from a `google.rpc.Status`. */
export interface Status {
  readonly code: number;
  readonly message: string;
}

const BAD_REQUEST_TYPE = "type.googleapis.com/google.rpc.BadRequest";

/** The field numbers of google.rpc.Status, google.protobuf.Any, google.rpc.BadRequest and its FieldViolation. */
const STATUS_CODE = 1;
const STATUS_MESSAGE = 2;
const STATUS_DETAILS = 3;
const ANY_TYPE_URL = 1;
const ANY_VALUE = 2;
const FIELD_VIOLATIONS = 1;
const VIOLATION_DESCRIPTION = 2;

/**
 * The body of a 4xx or 5xx answer: a `google.rpc.Status`. One larger than a response may be loses its details, and what
 * is too much of its message.
 */
export function encodeStatus(encoding: Encoding, status: StatusInput): Uint8Array<ArrayBuffer> {
  const encode = encoding === "json" ? statusToJson : statusToProtobuf;
  const body = encode(status);
  if (body.length <= RESPONSE_BYTES_MAX) return body;
  return encode({ code: status.code, message: cutMessage(status.message) });
}

/** Reads the body of a 4xx or 5xx answer; undefined when it is no `google.rpc.Status` or an empty one. Never throws. */
export function decodeStatus(body: Uint8Array, encoding: Encoding): Status | undefined {
  try {
    const status = encoding === "json" ? statusFromJson(body) : statusFromProtobuf(body);
    return status.code === 0 && status.message === "" ? undefined : status;
  } catch (error) {
    if (error instanceof MalformedRequest) return undefined;
    throw error;
  }
}

function statusToJson({ code, message, violations = [] }: StatusInput): Uint8Array<ArrayBuffer> {
  const fieldViolations = violations.map((description) => ({ description }));
  return encodeJson({
    ...(code !== undefined && { code }),
    message,
    ...(violations.length > 0 && { details: [{ "@type": BAD_REQUEST_TYPE, fieldViolations }] }),
  });
}

function statusToProtobuf({ code = 0, message, violations = [] }: StatusInput): Uint8Array<ArrayBuffer> {
  const writer = new WireWriter(message.length + 64);
  if (code !== 0) {
    writer.tag(STATUS_CODE, WireType.varint);
    writer.uint32(code);
  }
  writer.tag(STATUS_MESSAGE, WireType.lengthDelimited);
  writer.string(message);
  if (violations.length === 0) return writer.finish();
  writer.tag(STATUS_DETAILS, WireType.lengthDelimited);
  const details = writer.open();
  writer.tag(ANY_TYPE_URL, WireType.lengthDelimited);
  writer.string(BAD_REQUEST_TYPE);
  writer.tag(ANY_VALUE, WireType.lengthDelimited);
  const badRequest = writer.open();
  for (const description of violations) {
    writer.tag(FIELD_VIOLATIONS, WireType.lengthDelimited);
    const violation = writer.open();
    writer.tag(VIOLATION_DESCRIPTION, WireType.lengthDelimited);
    writer.string(description);
    writer.close(violation);
  }
  writer.close(badRequest);
  writer.close(details);
  return writer.finish();
}

function statusFromProtobuf(body: Uint8Array): Status {
  let code = 0;
  let message = "";
  const fields = new FieldReader(body);
  while (fields.next()) {
    if (fields.number === STATUS_CODE) {
      fields.expect(WireType.varint);
      code = fields.int64 | 0;
    } else if (fields.number === STATUS_MESSAGE) {
      fields.expect(WireType.lengthDelimited);
      message = new TextDecoder().decode(fields.value);
    }
  }
  return { code, message };
}

function statusFromJson(body: Uint8Array): Status {
  const { code = 0, message = "" } = parseJsonObject(body);
  if (typeof code !== "number" || typeof message !== "string") {
    throw new MalformedRequest("a status must have a numeric code and a text as its message");
  }
  return { code, message };
}
