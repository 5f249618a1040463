/**
 * Byte rings on the core with a hook. What a test has done to one of them at an atomic of its choice happens there: a thread that
 * is slow stops at it while others go on, and one that dies never comes back.
 *
 * Import it before anything else that loads the core: the core is made of the module that calls the hook.
 */

import { compileHookedCore } from "./hooked_core.ts";

const module = await compileHookedCore(true);
const { Instance } = WebAssembly;
let hook: (kind: number, address: number) => void = () => {};
WebAssembly.Instance = function (_: WebAssembly.Module, { env }: { env: WebAssembly.ModuleImports }) {
  return new Instance(module, { env: { ...env, hook: (kind: number, address: number) => hook(kind, address) } });
} as unknown as typeof Instance;

export const { ByteRing, byteRingFrom } = await import("../../core/byte_ring.ts");

const DEAD = Symbol("dead");

/** Makes a call in which `what` happens before atomic number `place`. False when the call has fewer. */
export function interrupt(place: number, call: () => void, what: () => void): boolean {
  let atomics = 0;
  let reached = false;
  const before = hook;
  const ours: typeof hook = (...access) => {
    before(...access);
    if (atomics++ !== place) return;
    reached = true;
    hook = () => {};
    what();
    hook = ours;
  };
  hook = ours;
  try {
    call();
  } catch (error) {
    if (error !== DEAD) throw error;
  } finally {
    hook = before;
  }
  return reached;
}

/** Makes a call whose thread dies before atomic number `place`. False when the call has fewer. */
export function killAt(place: number, call: () => void): boolean {
  return interrupt(place, call, () => {
    throw DEAD;
  });
}

/** Tries something at each atomic of a call, until the call has no more. Answers how many there were. */
export function atEachPlace(tryAt: (place: number) => boolean): number {
  for (let place = 0; place < PLACES_MAX; place++) if (!tryAt(place)) return place;
  throw new Error("the call does not end");
}

/** A call with more atomics than this goes round in circles. */
const PLACES_MAX = 1_000;
