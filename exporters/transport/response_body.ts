import type { Signal } from "../signal.ts";

/** A response's body as far as it was read. */
export interface ResponseBody {
  readonly bytes: Uint8Array;
  /** Why it is not complete; undefined when it is. */
  readonly problem?: string;
}

/** What a 2xx says beside yes. */
export interface PartialSuccess {
  readonly rejectedCount: number;
  readonly message: string;
}

/** A body that never came to its end. */
export const BROKEN_BODY: ResponseBody = { bytes: new Uint8Array(), problem: "its answer broke off" };

const REJECTED_NAMES: Readonly<Record<Signal, string>> = {
  traces: "rejectedSpans",
  metrics: "rejectedDataPoints",
  logs: "rejectedLogRecords",
};

/** Reads a body to its end or to `bytesMax`, counted after decompression. Never rejects. */
export async function readBody(response: Response, bytesMax: number): Promise<ResponseBody> {
  const chunks: Uint8Array[] = [];
  let byteCount = 0;
  try {
    const reader = response.body?.getReader();
    if (reader === undefined) return { bytes: new Uint8Array() };
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { bytes: concatenated(chunks, byteCount) };
      byteCount += value.length;
      if (byteCount > bytesMax) {
        reader.cancel().catch(() => {}); // The answer is known; what becomes of the rest is not waited for.
        return { bytes: new Uint8Array(), problem: `its answer is larger than ${bytesMax} bytes` };
      }
      chunks.push(value);
    }
  } catch {
    return BROKEN_BODY;
  }
}

/**
 * Reads an `Export…ServiceResponse`, protobuf or JSON.
 *
 * @returns undefined when the body is no such message.
 */
export function partialSuccessOf(bytes: Uint8Array, contentType: string, signal: Signal): PartialSuccess | undefined {
  try {
    if (bytes.length === 0) return { rejectedCount: 0, message: "" };
    // Some short texts are protobuf by accident.
    if (contentType.startsWith("text/")) return undefined;
    if (!contentType.startsWith("application/json")) return partialSuccessFromProtobuf(bytes);
    const response = JSON.parse(text(bytes));
    if (typeof response !== "object" || response === null) return undefined;
    const partial = response.partialSuccess ?? {};
    const rejectedCount = Number(partial[REJECTED_NAMES[signal]] ?? 0);
    if (!Number.isFinite(rejectedCount)) return undefined;
    return { rejectedCount, message: String(partial.errorMessage ?? "") };
  } catch {
    return undefined;
  }
}

/** Reads the sentence of an error: `google.rpc.Status` in either encoding, or text as it stands. Empty if there is none. */
export function errorMessageOf(bytes: Uint8Array, contentType: string): string {
  try {
    if (contentType.startsWith("application/x-protobuf")) {
      let message = "";
      for (const { number, payload } of fields(bytes)) if (number === 2 && payload) message = text(payload);
      return message;
    }
    if (contentType.startsWith("application/json")) return String(JSON.parse(text(bytes))?.message ?? "");
    return contentType.startsWith("text/plain") ? text(bytes) : "";
  } catch {
    return "";
  }
}

function partialSuccessFromProtobuf(bytes: Uint8Array): PartialSuccess {
  let rejectedCount = 0;
  let message = "";
  for (const { number, payload } of fields(bytes)) {
    if (number !== 1 || payload === undefined) continue;
    for (const inner of fields(payload)) {
      if (inner.number === 1 && inner.payload === undefined) rejectedCount = inner.value;
      if (inner.number === 2 && inner.payload !== undefined) message = text(inner.payload);
    }
  }
  return { rejectedCount, message };
}

interface Field {
  readonly number: number;
  readonly value: number;
  readonly payload: Uint8Array | undefined;
}

/** Walks the fields of one protobuf message. @throws {RangeError} When the bytes are no such message. */
function* fields(bytes: Uint8Array): Generator<Field> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at < bytes.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    if (number === 0) throw new RangeError("Field number 0");
    const wireType = tag % 8;
    if (wireType === 0) yield { number, value: varint(), payload: undefined };
    else if (wireType === 1) at += 8;
    else if (wireType === 5) at += 4;
    else if (wireType === 2) {
      const length = varint();
      if (length < 0 || at + length > bytes.length) throw new RangeError("A field ends beyond the message");
      yield { number, value: 0, payload: bytes.subarray(at, at += length) };
    } else throw new RangeError("Unknown wire type");
    if (at > bytes.length) throw new RangeError("A field ends beyond the message");
  }

  /** Signed, as `rejected_spans` is: ten bytes of a negative number come out negative. */
  function varint(): number {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = view.getUint8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
    throw new RangeError("A number is longer than ten bytes");
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function concatenated(chunks: readonly Uint8Array[], byteCount: number): Uint8Array {
  if (chunks.length === 1) return chunks[0];
  const whole = new Uint8Array(byteCount);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
