/** Makes a thousand breakers of one kind in a process of its own, and says what they took. */

import process from "node:process";
import type { Peer } from "./breaker_contenders.ts";
import type { Machine } from "./breaker_machines.ts";

/** How many are made. */
export const BREAKER_COUNT = 1_000;

/** What they took together. */
export interface Footprint {
  /** Bytes of the garbage-collected heap. */
  readonly heapBytes: number;
  /** Bytes that the engine holds beside its heap. */
  readonly externalBytes: number;
  /** Bytes more that the process has in memory. */
  readonly residentBytes: number;
  /** Timers set while they were made and had one call each. */
  readonly timersAtFirst: number;
  /** Timers set while each of them opened. */
  readonly timersToOpen: number;
}

/** One breaker: what it is asked to do here. */
interface Breaker {
  succeed(): unknown;
  fail(): unknown;
}

/** Each makes one kind. They are imported when the timers are counted already. */
const KINDS = {
  core: async () => {
    const { CircuitBreaker } = await import("../core/breaker.ts");
    return () => deciding(new CircuitBreaker());
  },
  windows: async () => {
    const { CircuitBreaker } = await import("../core/breaker.ts");
    const { COUNT_WINDOW_SIZE, TIME_WINDOW_MS } = await import("./breaker_contenders.ts");
    return () => deciding(new CircuitBreaker({ countWindowSize: COUNT_WINDOW_SIZE, timeWindowMs: TIME_WINDOW_MS }));
  },
  plain: async () => {
    const { PlainBreaker } = await import("./breaker_machines.ts");
    const { systemClock } = await import("../core/clock.ts");
    return () => deciding(new PlainBreaker(systemClock));
  },
  opossum: async () => {
    const { opossum, opened } = await import("./breaker_peers.ts");
    return () => calling(opossum(), opened);
  },
  cockatiel: async () => {
    const { cockatiel, opened } = await import("./breaker_peers.ts");
    return () => calling(cockatiel(), opened);
  },
  mollitia: async () => {
    const { mollitiaCount, opened } = await import("./breaker_peers.ts");
    return () => calling(mollitiaCount(), opened);
  },
} satisfies Record<string, () => Promise<() => Breaker>>;

/** The kinds that there are. */
export type Kind = keyof typeof KINDS;

function deciding(machine: Machine): Breaker {
  return {
    succeed: () => machine.record(machine.acquire(), "success"),
    fail: () => {
      for (let permit = machine.acquire(); permit >= 0; permit = machine.acquire()) machine.record(permit, "failure");
    },
  };
}

function calling(peer: Peer, opened: (peer: Peer) => unknown): Breaker {
  return { succeed: () => peer.call(false), fail: () => opened(peer) };
}

async function measure(kind: Kind): Promise<Footprint> {
  const timers = countTimers();
  const make = await KINDS[kind]();
  const first = make();
  await first.succeed();
  const timersBefore = timers.count;
  const before = memory();
  const breakers: Breaker[] = [];
  for (let made = 0; made < BREAKER_COUNT; made++) {
    const breaker = make();
    await breaker.succeed();
    breakers.push(breaker);
  }
  const after = memory();
  const timersAtFirst = timers.count - timersBefore;
  for (const breaker of breakers) await breaker.fail();
  return {
    heapBytes: after.heapUsed - before.heapUsed,
    externalBytes: after.external - before.external,
    residentBytes: after.rss - before.rss,
    timersAtFirst,
    timersToOpen: timers.count - timersBefore - timersAtFirst,
  };
}

/** Counts from now on every timer that anybody sets. */
function countTimers(): { count: number } {
  const timers = { count: 0 };
  for (const name of ["setTimeout", "setInterval"] as const) {
    const set = globalThis[name] as (...args: unknown[]) => unknown;
    const counting = (...args: unknown[]) => (timers.count++, set(...args));
    Object.defineProperty(globalThis, name, { value: counting, writable: true, configurable: true });
  }
  return timers;
}

function memory(): NodeJS.MemoryUsage {
  const { gc } = globalThis as unknown as { gc(): void };
  for (let time = 0; time < 3; time++) gc();
  return process.memoryUsage();
}

if (import.meta.main) {
  console.log(JSON.stringify(await measure(Deno.args[0] as Kind)));
  Deno.exit(); // some of them keep a process alive
}
