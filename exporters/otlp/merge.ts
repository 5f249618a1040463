/**
 * Makes one OTLP request of several of the same signal, in their order.
 *
 * A request is nothing but a list of resources with their items, and protobuf appends the lists of messages written one
 * after another: laying the bytes end to end is the merge. A single payload is given back as it is.
 */
export function mergeRequests(payloads: readonly Uint8Array[]): Uint8Array {
  if (payloads.length === 1) return payloads[0];
  const merged = new Uint8Array(payloads.reduce((sum, payload) => sum + payload.length, 0));
  let at = 0;
  for (const payload of payloads) {
    merged.set(payload, at);
    at += payload.length;
  }
  return merged;
}
