/**
 * What runs in the decoding worker: one request in, one answer out.
 *
 * @module
 */

import { parentPort } from "node:worker_threads";
import { decodeRequest, type EncodedRequest } from "./decode_request.ts";

/** What a worker is asked. */
export interface DecodeOrder {
  readonly request: Omit<EncodedRequest, "body">;
  /** The body. Not as a `Uint8Array`: Deno 2.9.6 looks at every property of a message, and of that each byte is one. */
  readonly body: ArrayBuffer;
  readonly inflatedBytesMax: number;
}

// There is no parent, and nothing happens, where this is imported rather than started.
parentPort?.on("message", ({ request, body, inflatedBytesMax }: DecodeOrder) => {
  let answer;
  try {
    answer = decodeRequest({ ...request, body: new Uint8Array(body) }, inflatedBytesMax);
  } catch (error) {
    answer = { outcome: "failed", message: String(error) };
  }
  // The payload moves rather than being copied, where it has its memory to itself.
  const payload = answer.outcome === "decoded" && "payload" in answer ? answer.payload : undefined;
  const moves = payload !== undefined && payload.length > 0 && payload.byteLength === payload.buffer.byteLength;
  parentPort?.postMessage(answer, moves ? [payload.buffer as ArrayBuffer] : []);
});
