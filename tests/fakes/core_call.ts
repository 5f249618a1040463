/** A bare core with a hook, and calls on it as core/breaker.ts makes them, with the time read by whoever asks. */

import { checkOptions, SETTINGS } from "../../core/breaker_options.ts";
import { type Core, FIRST_GENERATION } from "../../core/loader.ts";
import { APPLIED, NEEDS_TIME, NEEDS_TIME_UNMARKED, NOT_USUAL, SUCCESS, TOLD_FLAG } from "../model/steps/breaker.ts";
import type { Settings } from "../model/steps/memory.ts";
import type { Call } from "../model/steps/positions.ts";

/** Told of each atomic before it happens. Addresses are those of the memory. */
export type Hook = (kind: number, address: number, expected: bigint, next: bigint) => void;

const NOT_READ_MS = -1;

/** An instance of a module that calls `hook`. */
export function loadHookedCore(module: WebAssembly.Module, memory: WebAssembly.Memory, hook: Hook): Core {
  return new WebAssembly.Instance(module, { env: { memory, hook } }).exports as unknown as Core;
}

/** Makes the breaker at the beginning of the core's memory. Without jitter: luck is no matter of interleaving. */
export function initCore(core: Core, { countWindowSize, minimumCalls, failureRatio, ...settings }: Settings): void {
  const window = countWindowSize > 0 ? { countWindowSize, minimumCalls, failureRatio } : {};
  const checked = checkOptions({ ...settings, ...window, cooldownJitter: 0 });
  for (const [index, name] of SETTINGS.entries()) core.setSetting(0, index, checked[name]);
  core.init(0, 0, FIRST_GENERATION);
}

/** Makes a call on that breaker. */
export function callCore(core: Core, call: Call, readMs: () => number): number {
  const { by } = call;
  if (call.does === "acquire") {
    const permit = core.acquire(0, by);
    return permit === NEEDS_TIME ? core.acquireInTime(0, by, readMs()) : permit;
  }
  if (call.does === "record") return recordCore(core, by, call.permit, call.outcome, call.throttledMs, readMs);
  if (call.does === "setMode") core.setMode(0, by, call.mode, readMs());
  else if (call.does === "hold") core.hold(0, by, readMs());
  else core.letGo(0, by, readMs());
  return 0;
}

// deno-fmt-ignore
function recordCore(
  core: Core, by: number, permit: number, outcome: number, throttledMs: number, readMs: () => number,
): number {
  let progress = 0;
  if (outcome === SUCCESS) {
    const answer = core.recordUsual(0, by, permit);
    if (answer === APPLIED) return APPLIED;
    if (answer !== NOT_USUAL) progress = answer - NEEDS_TIME_UNMARKED;
  }
  const time = progress > 0 ? readMs() : NOT_READ_MS;
  const answer = core.record(0, by, permit, outcome, throttledMs, time, progress);
  if ((answer & ~TOLD_FLAG) < NEEDS_TIME_UNMARKED) return answer;
  return core.record(0, by, permit, outcome, throttledMs, readMs(), answer - NEEDS_TIME_UNMARKED);
}
