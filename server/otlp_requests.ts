import { skim } from "../exporters/otlp/skim.ts";
import { splitRequest } from "../exporters/otlp/split.ts";
import type { Signal } from "../exporters/signal.ts";
import type { RequestBody } from "../exporters/transport/transport.ts";

/** What a lane does with bodies, which it never reads itself. */
export interface RequestTools {
  /** Makes several requests of one signal one. */
  merge(payloads: readonly Uint8Array[]): RequestBody;
  /** Cuts a request in halves; a single part when it holds one item, or cannot be cut. */
  split(payload: Uint8Array, signal: Signal): readonly Uint8Array[];
  /** The items in a part. */
  count(payload: Uint8Array, signal: Signal): number;
}

/** What a lane does with OTLP protobuf requests. */
export const OTLP_REQUESTS: RequestTools = {
  // End to end they are one, and it is the transport that lays them so.
  merge: (payloads) => payloads,
  split: splitRequest,
  count: (payload, signal) => skim(payload, signal).itemCount,
};
