import type { Clock } from "./clock.ts";
import { type Core, CORE_ABI_VERSION, loadCore } from "./loader.ts";

/** What a worker needs to share a breaker. Read it when it is posted, for it carries the time. */
export interface CircuitBreakerHandle {
  /** Tells it from other objects that may be posted. */
  readonly kind: "circuit-breaker";
  /** The layout of the memory: both sides must mean the same. */
  readonly abiVersion: number;
  /** The circuit's name. */
  readonly name: string;
  /** Where the circuit lies: shared, never copied. */
  readonly memory: WebAssembly.Memory;
  /** Where in the memory the breaker lies, in bytes. */
  readonly base: number;
  /** When the memory was made, on the monotonic clock of the thread that read the handle. */
  readonly originMs: number;
  /** By how much that thread's wall clock was ahead of its monotonic one when the handle was read. */
  readonly wallAheadMs: number;
}

/** By how much a thread's wall clock is ahead of its monotonic one: what tells two monotonic clocks apart. */
export function wallAheadMs(clock: Clock): number {
  return clock.wallMs() - clock.nowMs();
}

/**
 * The core on the memory of a handle.
 *
 * @throws {TypeError} When it is not the handle of a breaker, or its memory does not hold one.
 */
export function coreOf(handle: CircuitBreakerHandle): Core {
  const problem = problemOf(handle);
  if (problem !== undefined) throw new TypeError(`Cannot attach circuit breaker: ${problem}`);
  const core = loadCore(handle.memory);
  if (!core.isBreaker(handle.base)) {
    throw new TypeError("Cannot attach circuit breaker: the memory of the handle holds no circuit breaker");
  }
  return core;
}

function problemOf(handle: unknown): string | undefined {
  if (typeof handle !== "object" || handle === null) return "the handle is not an object";
  const { kind, abiVersion, name, memory, base, originMs, wallAheadMs } = handle as Record<string, unknown>;
  if (kind !== "circuit-breaker") return `the handle's "kind" must be "circuit-breaker", received ${String(kind)}`;
  if (abiVersion !== CORE_ABI_VERSION) {
    return `the handle's "abiVersion" must be ${CORE_ABI_VERSION}, received ${String(abiVersion)}`;
  }
  if (typeof name !== "string") return 'the handle\'s "name" must be a string';
  if (!(memory instanceof WebAssembly.Memory) || !(memory.buffer instanceof SharedArrayBuffer)) {
    return 'the handle\'s "memory" must be a shared WebAssembly.Memory';
  }
  if (!Number.isInteger(base) || (base as number) < 0 || (base as number) >= memory.buffer.byteLength) {
    return `the handle's "base" must be an address in its memory, received ${String(base)}`;
  }
  if (!Number.isFinite(originMs)) return `the handle's "originMs" must be a number, received ${String(originMs)}`;
  if (!Number.isFinite(wallAheadMs)) {
    return `the handle's "wallAheadMs" must be a number, received ${String(wallAheadMs)}`;
  }
  return undefined;
}
