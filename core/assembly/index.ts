// All that the module shows. Numbers cross as i32 or f64; a u64 would cross as a BigInt, at ten times the price.

export { ABI_VERSION, ATTACHMENTS_MAX, BREAKER_BYTES } from "./layout";
export { claim, release } from "./tickets";
export {
  acquire, acquireInTime, consecutiveFailures, counter, generation, init, isBreaker, probesInFlight, record, recordUsual, retryAfterMs, state, throttledMs,
  told, toldCount, toldDetail,
} from "./breaker";
