import { describe } from "./limits.ts";
import { CORE_ABI_VERSION, loadCore, type Place } from "./loader.ts";

/** What a worker needs to share a byte ring: to be posted. */
export interface ByteRingHandle {
  /** Tells it from other objects that may be posted. */
  readonly kind: "byte-ring";
  /** The layout of the memory: both sides must mean the same. */
  readonly abiVersion: number;
  /** Where the ring lies: shared, never copied. */
  readonly memory: WebAssembly.Memory;
  /** Where in the memory, in bytes. */
  readonly base: number;
  /** Says of a handle that was lent which one it is. */
  readonly owner?: number;
}

/** A handle for one worker, and the way to clear up after it. */
export interface LentByteRingHandle {
  /** What the worker attaches by, as often as it wants. */
  readonly handle: ByteRingHandle;
  /** To be called when the worker's exit was seen. Answers how many attachments it gave back. */
  reclaim(): number;
}

/** What it takes to join a ring. */
export class RingJoining {
  /** Where the ring lies. */
  readonly place: Place;
  /** The number of the handle if it was lent; 0 if not. */
  readonly owner: number;

  /**
   * @throws {TypeError} When it is not the handle of a ring, or its memory holds none.
   */
  constructor(handle: ByteRingHandle) {
    const problem = problemOf(handle);
    if (problem !== undefined) throw new TypeError(`Cannot attach byte ring: ${problem}`);
    const { memory, base, owner = 0 } = handle;
    const core = loadCore(memory);
    if (core.isRing(base) === 0) {
      throw new TypeError("Cannot attach byte ring: the memory of the handle holds no byte ring");
    }
    this.place = { core, memory, base };
    this.owner = owner;
  }
}

/** The handle of the ring at a place. */
export function ringHandleOf({ memory, base }: Omit<Place, "core">): ByteRingHandle {
  return { kind: "byte-ring", abiVersion: CORE_ABI_VERSION, memory, base };
}

function problemOf(handle: unknown): string | undefined {
  if (typeof handle !== "object" || handle === null) return "the handle is not an object";
  const { kind, abiVersion, memory, base, owner } = handle as Record<string, unknown>;
  if (kind !== "byte-ring") return `the handle's "kind" must be "byte-ring", received ${describe(kind)}`;
  if (abiVersion !== CORE_ABI_VERSION) {
    return `the handle's "abiVersion" must be ${CORE_ABI_VERSION}, received ${describe(abiVersion)}`;
  }
  if (!(memory instanceof WebAssembly.Memory) || !(memory.buffer instanceof SharedArrayBuffer)) {
    return 'the handle\'s "memory" must be a shared WebAssembly.Memory';
  }
  if (!Number.isInteger(base) || (base as number) < 0 || (base as number) >= memory.buffer.byteLength) {
    return `the handle's "base" must be an address in its memory, received ${describe(base)}`;
  }
  if (owner !== undefined && !(Number.isInteger(owner) && (owner as number) > 1 && (owner as number) < 2 ** 32 - 1)) {
    return `the handle's "owner" must be the number of a lent handle, received ${describe(owner)}`;
  }
  return undefined;
}
