import { bytesOfBase64 } from "./base64.ts";
import { systemClock } from "./clock.ts";
import { CORE_WASM_BASE64 } from "./core_wasm.ts";
import { freshSeed } from "./seed.ts";

/** What core/assembly/index.ts exports: one instance of the module on one memory. */
export interface Core {
  readonly ABI_VERSION: WebAssembly.Global;
  readonly ATTACHMENTS_MAX: WebAssembly.Global;
  readonly BREAKER_BYTES: WebAssembly.Global;
  readonly NAME: WebAssembly.Global;
  readonly ORIGIN: WebAssembly.Global;
  readonly IDENTITY: WebAssembly.Global;
  readonly NAME_BYTES_MAX: WebAssembly.Global;
  init(base: number, tapeSize: number, generation: number): void;
  setting(base: number, index: number): number;
  setSetting(base: number, index: number, value: number): void;
  applySettings(base: number, timeWindowMs: number, nowMs: number): void;
  isBreaker(base: number): number;
  bytesOf(base: number): number;
  lend(base: number): number;
  claim(base: number, owner: number): number;
  detach(base: number, attachment: number, nowMs: number): void;
  reclaim(base: number, attachment: number, owner: number, nowMs: number): number;
  acquire(base: number, attachment: number): number;
  acquireInTime(base: number, attachment: number, nowMs: number): number;
  // deno-fmt-ignore
  record(base: number, attachment: number, permit: number, outcome: number, throttledMs: number, nowMs: number,
    progress: number): number;
  recordUsual(base: number, attachment: number, permit: number): number;
  recordUsualInTime(base: number, attachment: number, permit: number, coarseMs: number): number;
  setMode(base: number, attachment: number, mode: number, nowMs: number): void;
  hold(base: number, attachment: number, nowMs: number): void;
  letGo(base: number, attachment: number, nowMs: number): void;
  toldCount(base: number, attachment: number): number;
  told(base: number, attachment: number, index: number, field: number): number;
  lastPlace(base: number): number;
  last(base: number, place: number, field: number): number;
  openedAtMs(base: number): number;
  lastSuccessMs(base: number, nowMs: number): number;
  state(base: number): number;
  mode(base: number): number;
  chosenMode(base: number): number;
  holds(base: number): number;
  generation(base: number): number;
  consecutiveFailures(base: number): number;
  probesInFlight(base: number): number;
  throttledMs(base: number, nowMs: number): number;
  retryAfterMs(base: number, nowMs: number): number;
  counter(base: number, index: number): number;
  lastingState(base: number): number;
  lastingFailures(base: number): number;
  level(base: number): number;
  attempts(base: number): number;
  cooldownLeftMs(base: number, nowMs: number): number;
  pauseLeftMs(base: number, nowMs: number): number;
  // deno-fmt-ignore
  restore(base: number, attachment: number, state: number, mode: number, failures: number, level: number,
    attempts: number, cooldownLeftMs: number, pauseLeftMs: number, nowMs: number): number;
  countWindowCalls(base: number): number;
  countWindowCall(base: number, age: number): number;
  enterCountCall(base: number, call: number): void;
  timeWindowCount(base: number, age: number, which: number, nowMs: number): number;
  enterTimeCounts(base: number, age: number, calls: number, failed: number, slow: number, nowMs: number): void;
  tapeNext(base: number): number;
  readonly RING_ATTACHMENTS_MAX: WebAssembly.Global;
  ringBytes(itemsMax: number, bytesMax: number, pushBytesMax: number): number;
  // deno-fmt-ignore
  ringInit(base: number, itemsMax: number, bytesMax: number, pushBytesMax: number, overflow: number, ordinal: number,
    position: number): void;
  isRing(base: number): number;
  ringSetting(base: number, index: number): number;
  ringData(base: number): number;
  ringScratch(base: number, attachment: number): number;
  ringLend(base: number): number;
  ringClaim(base: number, owner: number): number;
  ringDetach(base: number, attachment: number): void;
  ringReclaim(base: number, owner: number): number;
  ringPush(base: number, attachment: number, length: number, tag: number): number;
  ringPushGroup(base: number, attachment: number, items: number, bytes: number): number;
  ringConsume(base: number): number;
  // deno-fmt-ignore
  ringTake(base: number, epoch: number, heldItems: number, heldBytes: number, bytesMax: number, itemsMax: number,
    first: number): number;
  ringHeldAt(base: number): number;
  ringRelease(base: number, epoch: number, items: number, bytes: number): number;
  ringCounter(base: number, which: number): number;
}

/** The ABI this loader was written for: the module's own number must be the same. */
export const CORE_ABI_VERSION = 2;

/**
 * The bytes that one breaker takes, without a tape: BREAKER_BYTES of layout.ts. The system backs only those pages that
 * are touched: of one with a single attachment and no timed calls, two.
 */
export const BREAKER_BYTES = 1_314_816;

/** The generation that a breaker begins in. */
export const FIRST_GENERATION = 1;

/** An entry of a tape. */
const TAPE_ENTRY_BYTES = 16;

/**
 * How many breakers share one memory. Those on one memory share an instance too, and calls to one instance are cheaper
 * than to several; more of them would keep more memory alive for the last one.
 */
export const BREAKERS_PER_MEMORY = 16;

/** Places begin on a line of their own. */
const LINE_BYTES = 128;

const PAGE_BYTES = 65_536;

/** Where a breaker lies. */
export interface Place {
  readonly core: Core;
  readonly memory: WebAssembly.Memory;
  /** In bytes from the beginning of the memory. */
  readonly base: number;
}

/** A place for a new breaker with a tape of so many entries, zeroed. */
export function makePlace(tapeSize = 0): Place {
  const bytes = alignedBytes(BREAKER_BYTES + tapeSize * TAPE_ENTRY_BYTES);
  if (room === undefined || nextBase + bytes > room.memory.buffer.byteLength) {
    const memory = makeMemory(Math.max(BREAKERS_PER_MEMORY * BREAKER_BYTES, bytes));
    room = { core: loadCore(memory), memory };
    nextBase = 0;
  }
  const place = { ...room, base: nextBase };
  nextBase += bytes;
  new DataView(place.memory.buffer).setUint32(identityAt(place), freshSeed(systemClock), true);
  return place;
}

/** A place in a memory of its own, which nobody finds by a name, and which goes when the caller lets go of it. */
export function makePlaceApart(): Place {
  const memory = makeMemory(BREAKER_BYTES);
  return { core: instanceOn(memory), memory, base: 0 };
}

/** A memory for one byte ring with such bounds, zeroed. */
export function makeRingPlace(itemsMax: number, bytesMax: number, pushBytesMax: number): Place {
  sizing ??= instanceOn(makeMemory(PAGE_BYTES));
  const memory = makeMemory(sizing.ringBytes(itemsMax, bytesMax, pushBytesMax));
  return { core: loadCore(memory), memory, base: 0 };
}

/** Only says how large a ring is. */
let sizing: Core | undefined;

// The memory that is being filled. When the last of its breakers is collected, so is a memory that is full.
let room: Omit<Place, "base"> | undefined;
let nextBase = 0;

/** Shared memory for breakers: sized once, it never grows, so no view of it is ever cut short. */
export function makeMemory(bytes: number = BREAKERS_PER_MEMORY * BREAKER_BYTES): WebAssembly.Memory {
  const pages = Math.ceil(bytes / PAGE_BYTES);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

/** Writes the name of a breaker into its memory, where other threads find it. */
export function writeName({ core, memory, base }: Place, name: string): void {
  const bytes = new TextEncoder().encode(name);
  const at = base + core.NAME.value;
  new Uint8Array(memory.buffer, at + 4).set(bytes);
  new DataView(memory.buffer).setUint32(at, bytes.length, true);
}

/** Writes when shared time began, on the maker's monotonic clock. */
export function writeOrigin({ core, memory, base }: Place, originMs: number): void {
  new DataView(memory.buffer).setFloat64(base + core.ORIGIN.value, originMs, true);
}

/** When shared time began, on the maker's monotonic clock. */
export function readOrigin({ core, memory, base }: Place): number {
  return new DataView(memory.buffer).getFloat64(base + core.ORIGIN.value, true);
}

function readName({ core, memory, base }: Place): string {
  const at = base + core.NAME.value;
  const length = Math.min(new DataView(memory.buffer).getUint32(at, true), core.NAME_BYTES_MAX.value);
  // Copied, for not every decoder takes shared memory.
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(
    Uint8Array.from(new Uint8Array(memory.buffer, at + 4, length)),
  );
}

/**
 * The breakers in the memories that this thread has made or joined, by name. A memory that was posted twice is two objects
 * here, with the same breakers in it.
 */
export function knownPlaces(): (Place & { readonly name: string })[] {
  const places = new Map<number, Place & { readonly name: string }>();
  for (const reference of joined) {
    const memory = reference.deref();
    if (memory === undefined) {
      joined.delete(reference);
      continue;
    }
    const core = loadCore(memory);
    for (let base = 0; core.isBreaker(base) !== 0; base += alignedBytes(core.bytesOf(base))) {
      const place = { core, memory, base };
      const identity = new DataView(memory.buffer).getUint32(identityAt(place), true);
      if (!places.has(identity)) places.set(identity, { ...place, name: readName(place) });
    }
  }
  return [...places.values()];
}

function identityAt({ core, base }: Place): number {
  return base + core.IDENTITY.value;
}

/** The words of a breaker's tape, two for each entry, from the beginning of its ring. Each is whole; see assembly/tape.ts. */
export function tapeWords({ core, memory, base }: Place): BigUint64Array<ArrayBuffer> {
  const count = (core.bytesOf(base) - BREAKER_BYTES) / BigUint64Array.BYTES_PER_ELEMENT;
  const words = new BigUint64Array(memory.buffer, base + BREAKER_BYTES, count);
  return new BigUint64Array(count).map((_, index) => Atomics.load(words, index));
}

function alignedBytes(bytes: number): number {
  return Math.ceil(bytes / LINE_BYTES) * LINE_BYTES;
}

/**
 * An instance of the core that works on `memory`. Compiles the module the first time.
 *
 * @throws {Error} When the generated module is not the one that this loader was written for.
 */
export function loadCore(memory: WebAssembly.Memory): Core {
  const known = instances.get(memory);
  if (known !== undefined) return known;
  const core = instanceOn(memory);
  if (core.ABI_VERSION.value !== CORE_ABI_VERSION) {
    throw new Error(
      `Cannot load the core: its module has ABI version ${core.ABI_VERSION.value}, expected ${CORE_ABI_VERSION}`,
    );
  }
  instances.set(memory, core);
  joined.add(new WeakRef(memory));
  return core;
}

function instanceOn(memory: WebAssembly.Memory): Core {
  compiled ??= new WebAssembly.Module(bytesOfBase64(CORE_WASM_BASE64));
  return new WebAssembly.Instance(compiled, { env: { memory } }).exports as unknown as Core;
}

/** One instance for each memory of this thread, and these memories as far as they are still in use. */
const instances = new WeakMap<WebAssembly.Memory, Core>();
const joined = new Set<WeakRef<WebAssembly.Memory>>();
let compiled: WebAssembly.Module | undefined;
