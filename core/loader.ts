import { CORE_WASM_BASE64 } from "./core_wasm.ts";

/** What core/assembly/index.ts exports: one instance of the module on one memory. */
export interface Core {
  readonly ABI_VERSION: WebAssembly.Global;
  readonly ATTACHMENTS_MAX: WebAssembly.Global;
  readonly BREAKER_BYTES: WebAssembly.Global;
  // deno-fmt-ignore
  init(base: number, failureThreshold: number, successThreshold: number, probeEveryNth: number, probeConcurrency: number,
    cooldownMs: number, cooldownBackoff: number, cooldownMaxMs: number, cooldownJitter: number, probeLeaseMs: number,
    throttleMaxMs: number, seed: number): void;
  isBreaker(base: number): number;
  claim(base: number): number;
  release(base: number, attachment: number): void;
  acquire(base: number, attachment: number): number;
  acquireInTime(base: number, attachment: number, nowMs: number): number;
  // deno-fmt-ignore
  record(base: number, attachment: number, permit: number, outcome: number, throttledMs: number, nowMs: number,
    marked: number): number;
  recordUsual(base: number, attachment: number, permit: number): number;
  toldCount(base: number, attachment: number): number;
  told(base: number, attachment: number, index: number): number;
  toldDetail(base: number, attachment: number, index: number): number;
  state(base: number): number;
  generation(base: number): number;
  consecutiveFailures(base: number): number;
  probesInFlight(base: number): number;
  throttledMs(base: number, nowMs: number): number;
  retryAfterMs(base: number, nowMs: number): number;
  counter(base: number, index: number): number;
}

/** The ABI this loader was written for: the module's own number must be the same. */
export const CORE_ABI_VERSION = 1;

/** The bytes that one breaker takes: BREAKER_BYTES of layout.ts. The system backs only those pages that are touched. */
export const BREAKER_BYTES = 266_240;

/**
 * How many breakers share one memory. Those on one memory share an instance too, and calls to one instance are cheaper
 * than to several; more of them would keep more memory alive for the last one.
 */
export const BREAKERS_PER_MEMORY = 16;

const PAGE_BYTES = 65_536;

/** Where a breaker lies. */
export interface Place {
  readonly core: Core;
  readonly memory: WebAssembly.Memory;
  /** In bytes from the beginning of the memory. */
  readonly base: number;
}

/** A place for a new breaker, zeroed. */
export function makePlace(): Place {
  if (room === undefined || nextBase === BREAKERS_PER_MEMORY * BREAKER_BYTES) {
    const memory = makeMemory();
    room = { core: loadCore(memory), memory };
    nextBase = 0;
  }
  const place = { ...room, base: nextBase };
  nextBase += BREAKER_BYTES;
  return place;
}

// The memory that is being filled. When the last of its breakers is collected, so is a memory that is full.
let room: Omit<Place, "base"> | undefined;
let nextBase = 0;

/** Shared memory for some breakers: sized once, it never grows, so no view of it is ever cut short. */
export function makeMemory(breakers: number = BREAKERS_PER_MEMORY): WebAssembly.Memory {
  const pages = Math.ceil(breakers * BREAKER_BYTES / PAGE_BYTES);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

/**
 * An instance of the core that works on `memory`. Compiles the module the first time.
 *
 * @throws {Error} When the generated module is not the one that this loader was written for.
 */
export function loadCore(memory: WebAssembly.Memory): Core {
  const known = instances.get(memory);
  if (known !== undefined) return known;
  compiled ??= new WebAssembly.Module(bytesOf(CORE_WASM_BASE64));
  const core = new WebAssembly.Instance(compiled, { env: { memory } }).exports as unknown as Core;
  if (core.ABI_VERSION.value !== CORE_ABI_VERSION) {
    throw new Error(
      `Cannot load the core: its module has ABI version ${core.ABI_VERSION.value}, expected ${CORE_ABI_VERSION}`,
    );
  }
  instances.set(memory, core);
  return core;
}

/** One instance for each memory of this thread. */
const instances = new WeakMap<WebAssembly.Memory, Core>();
let compiled: WebAssembly.Module | undefined;

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}
