import { mergeRequests } from "../exporters/otlp/merge.ts";
import { skim } from "../exporters/otlp/skim.ts";
import { splitRequest } from "../exporters/otlp/split.ts";
import type { RequestTools } from "./lane_options.ts";

/** What a lane does with OTLP protobuf requests. */
export const OTLP_REQUESTS: RequestTools = {
  merge: mergeRequests,
  split: splitRequest,
  count: (payload, signal) => skim(payload, signal).itemCount,
};
