// All that the module shows. Numbers cross as i32 or f64; a u64 would cross as a BigInt, at ten times the price.

export { ABI_VERSION, ATTACHMENTS_MAX, BREAKER_BYTES, IDENTITY, NAME, NAME_BYTES_MAX, ORIGIN } from "./layout";
export { applySettings, bytesOf, init, isBreaker, setSetting, setting } from "./settings";
export { claim, lend } from "./tickets";
export { acquire, acquireInTime, record, recordUsual, recordUsualInTime } from "./breaker";
export { chosenMode, detach, hold, holds, letGo, reclaim, setMode } from "./modes";
export {
  consecutiveFailures, counter, generation, last, lastPlace, lastSuccessMs, mode, openedAtMs, probesInFlight, retryAfterMs, state,
  throttledMs, told, toldCount,
} from "./readings";
export { attempts, cooldownLeftMs, lastingFailures, lastingState, level, pauseLeftMs, restore } from "./restore";
export { countWindowCall, countWindowCalls, enterCountCall, enterTimeCounts, timeWindowCount } from "./window";
export { tapeNext } from "./tape";
export { RING_ATTACHMENTS_MAX } from "./byte_ring_layout";
export {
  isRing, ringBytes, ringClaim, ringData, ringDetach, ringInit, ringLend, ringPush, ringPushGroup, ringReclaim, ringScratch,
  ringSetting,
} from "./byte_ring";
export { ringConsume, ringCounter, ringHeldAt, ringRelease, ringTake } from "./byte_ring_tail";
