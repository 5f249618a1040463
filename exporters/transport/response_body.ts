/** A response's body as far as it was read. */
export interface ResponseBody {
  readonly bytes: Uint8Array;
  /** Why it is not complete; undefined when it is. */
  readonly problem?: string;
}

/** A body that never came to its end. */
export const BROKEN_BODY: ResponseBody = { bytes: new Uint8Array(), problem: "its answer broke off" };

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
