// All that the module shows. Numbers cross as i32 or f64; a u64 would cross as a BigInt, at ten times the price.

export { ABI_VERSION, ATTACHMENTS_MAX, BREAKER_BYTES } from "./layout";
export { claim, release } from "./tickets";
export { acquire, acquireInTime, init, isBreaker, record, recordUsual } from "./breaker";
export {
  consecutiveFailures, counter, generation, probesInFlight, retryAfterMs, state, throttledMs, told, toldCount, toldDetail,
} from "./readings";
