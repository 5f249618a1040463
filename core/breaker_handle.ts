import type { OutcomePredicates } from "./breaker_run.ts";
import { checkClock, type Clock } from "./clock.ts";
import { checkObject, describe } from "./limits.ts";
import { CORE_ABI_VERSION, knownPlaces, loadCore, type Place, readOrigin } from "./loader.ts";

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
  /** Says of a handle that was lent which one it is. */
  readonly owner?: number;
}

/** The handle of the breaker that lies at `base`. */
export function handleOf(
  name: string,
  memory: WebAssembly.Memory,
  base: number,
  originMs: number,
  clock: Clock,
): CircuitBreakerHandle {
  const kind = "circuit-breaker";
  return { kind, abiVersion: CORE_ABI_VERSION, name, memory, base, originMs, wallAheadMs: wallAheadMs(clock) };
}

/** By how much a thread's wall clock is ahead of its monotonic one: what tells two monotonic clocks apart. */
function wallAheadMs(clock: Clock): number {
  return clock.wallMs() - clock.nowMs();
}

/** A handle for one worker, and the way to clear up after it. */
export interface LentHandle {
  /** What the worker attaches by, as often as it wants. */
  readonly handle: CircuitBreakerHandle;
  /** To be called when the worker's exit was seen. Answers how many attachments it gave back. */
  reclaim(): number;
}

/** What it takes to join a breaker. */
export class Joining {
  readonly name: string;
  readonly place: Place;
  readonly clock: Clock;
  /** When the memory was made, on our clock. */
  readonly originMs: number;
  /** The number of the handle if it was lent. */
  readonly owner: number;
  /** What judges the calls that are run. */
  readonly predicates: OutcomePredicates;

  /** Made by `joiningBy`. */
  constructor(
    name: string,
    place: Place,
    clock: Clock,
    originMs: number,
    owner: number,
    predicates: OutcomePredicates,
  ) {
    this.name = name;
    this.place = place;
    this.clock = clock;
    this.originMs = originMs;
    this.owner = owner;
    this.predicates = predicates;
  }
}

/** The owner of what was not attached by a lent handle. */
export const NOBODY = 0;

/**
 * What it takes to join the breaker of a handle or a name.
 *
 * @throws {TypeError} When it is not the handle of a breaker, its memory does not hold one, or the clock is none.
 * @throws {Error} When this thread knows none, or more than one, of that name.
 */
export function joiningBy(
  which: CircuitBreakerHandle | string,
  options: { readonly clock?: Clock } & OutcomePredicates,
): Joining {
  checkObject("attach circuit breaker", "options", options);
  const clock = checkClock("attach circuit breaker", options.clock);
  return typeof which === "string" ? joiningNamed(which, clock, options) : joiningTo(which, clock, options);
}

function joiningTo(handle: CircuitBreakerHandle, clock: Clock, predicates: OutcomePredicates): Joining {
  const problem = problemOf(handle);
  if (problem !== undefined) throw new TypeError(`Cannot attach circuit breaker: ${problem}`);
  const { memory, base, name } = handle;
  const core = loadCore(memory);
  if (!core.isBreaker(base)) {
    throw new TypeError("Cannot attach circuit breaker: the memory of the handle holds no circuit breaker");
  }
  const place = { core, memory, base };
  // Both threads read one wall clock, which tells their own two apart.
  const originMs = handle.originMs + handle.wallAheadMs - wallAheadMs(clock);
  makerBehindMs.set(memory, originMs - readOrigin(place));
  return new Joining(name, place, clock, originMs, handle.owner ?? NOBODY, predicates);
}

function joiningNamed(name: string, clock: Clock, predicates: OutcomePredicates): Joining {
  const places = knownPlaces();
  const [found, another] = places.filter((place) => place.name === name);
  if (found === undefined || another !== undefined) {
    const names = [...new Set(places.map((place) => JSON.stringify(place.name)))].join(", ");
    throw new Error(
      found === undefined
        ? `Cannot attach circuit breaker: none is called ${
          JSON.stringify(name)
        } in the memories that this thread knows, which hold ${names || "none"}`
        : `Cannot attach circuit breaker: more than one is called ${JSON.stringify(name)}, attach by its handle`,
    );
  }
  const originMs = readOrigin(found) + (makerBehindMs.get(found.memory) ?? 0);
  return new Joining(name, found, clock, originMs, NOBODY, predicates);
}

/**
 * For the memories that other threads made: by how much their makers' monotonic clocks are behind ours. A name carries
 * no time, so it is joined by what the handle of another breaker in the same memory said.
 */
const makerBehindMs = new WeakMap<WebAssembly.Memory, number>();

function problemOf(handle: unknown): string | undefined {
  if (typeof handle !== "object" || handle === null) return "the handle is not an object";
  const { kind, abiVersion, name, memory, base, originMs, wallAheadMs, owner } = handle as Record<string, unknown>;
  if (kind !== "circuit-breaker") return `the handle's "kind" must be "circuit-breaker", received ${describe(kind)}`;
  if (abiVersion !== CORE_ABI_VERSION) {
    return `the handle's "abiVersion" must be ${CORE_ABI_VERSION}, received ${describe(abiVersion)}`;
  }
  if (typeof name !== "string") return 'the handle\'s "name" must be a string';
  if (!(memory instanceof WebAssembly.Memory) || !(memory.buffer instanceof SharedArrayBuffer)) {
    return 'the handle\'s "memory" must be a shared WebAssembly.Memory';
  }
  if (!Number.isInteger(base) || (base as number) < 0 || (base as number) >= memory.buffer.byteLength) {
    return `the handle's "base" must be an address in its memory, received ${describe(base)}`;
  }
  if (!Number.isFinite(originMs)) return `the handle's "originMs" must be a number, received ${describe(originMs)}`;
  if (!Number.isFinite(wallAheadMs)) {
    return `the handle's "wallAheadMs" must be a number, received ${describe(wallAheadMs)}`;
  }
  if (owner !== undefined && !(Number.isInteger(owner) && (owner as number) > 0 && (owner as number) < 2 ** 32 - 1)) {
    return `the handle's "owner" must be the number of a lent handle, received ${describe(owner)}`;
  }
  return undefined;
}
