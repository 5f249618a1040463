/** The compiled core, asked the same as the step machine: where does a call stop, after these answers? */

import { type Access, type Counter, COUNTERS, type Settings, type Told } from "../model/steps/memory.ts";
import { type Replay, TRAPPED } from "../model/steps/positions.ts";
import { CLOCK, HOLDS, LOAD, MEMORY_PAGES, readWord, slotOf, SLOTS, writeWord } from "../model/steps/words.ts";
import { callCore, initCore, loadHookedCore } from "./core_call.ts";

/** TOLD and TOLD_FIRST of layout.ts, and how far one change of state is from the next. */
const TOLD = 128;
const TOLD_FIRST = 144;
const TOLD_BYTES = 32;

/**
 * The replay of the compiled core. Before each atomic its word is set to what the atomic is to answer; at the first that has
 * no answer yet the call is thrown out of the module.
 */
export function coreReplay(module: WebAssembly.Module, settings: Settings): Replay {
  const memory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES, shared: true });
  const view = new DataView(memory.buffer);
  let answers: readonly bigint[] | undefined;
  let answered = 0;
  let stop: Access | undefined;
  const hook = (kind: number, address: number, expected: bigint, next: bigint) => {
    if (answers === undefined) return; // the breaker is being made
    if (answered === answers.length) {
      stop = { kind, address, expected, next };
      throw stop;
    }
    writeWord(view, address, answers[answered++]!);
  };
  const core = loadHookedCore(module, memory, hook);
  initCore(core, settings);
  const readMs = () => {
    hook(LOAD, CLOCK, 0n, 0n);
    return Number(readWord(view, CLOCK));
  };
  const slots = new Uint8Array(memory.buffer, SLOTS);

  return (call, given) => {
    [answers, answered, stop] = [given, 0, undefined];
    slots.fill(0, 0, slotOf(call.issued.length) - SLOTS);
    for (const [attachment, issued] of call.issued.entries()) writeWord(view, slotOf(attachment), BigInt(issued));
    if (call.does === "letGo") writeWord(view, slotOf(call.by) + HOLDS, 1n);
    let answer: number | undefined;
    try {
      answer = callCore(core, call, readMs);
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) answer = TRAPPED;
      else if (error !== stop) throw error;
    }
    const slot = slotOf(call.by);
    const counts = COUNTERS.map((name, place) => [name, Number(readWord(view, slot + place * 8))]);
    const told = Array.from({ length: view.getInt32(slot + TOLD, true) }, (_, index): Told => {
      const [what, detail, second] = [0, 8, 16].map((offset) =>
        view.getFloat64(slot + TOLD_FIRST + index * TOLD_BYTES + offset, true)
      ) as [number, number, number];
      return { what, detail, second };
    });
    return { access: stop, answer, counts: Object.fromEntries(counts) as Record<Counter, number>, told };
  };
}
