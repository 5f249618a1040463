/** Time for code that takes it from the platform: it stands still until a test moves it. */

type Callback = (...args: unknown[]) => void;

interface Timer {
  dueMs: number;
  readonly everyMs: number | undefined;
  readonly run: () => void;
}

const WALL_AT_START_MS = Date.UTC(2026, 0, 1);
/** Not 0: no program has just been started when it reads the time. */
const MONOTONIC_AT_START_MS = 5_000;
/** Promises that wait for promises. The deepest of the breakers needs 16 turns from a call to its result. */
const TURNS = 60;

const REPLACED = ["Date", "setTimeout", "clearTimeout", "setInterval", "clearInterval"] as const;
const REAL = Object.fromEntries(REPLACED.map((name) => [name, globalThis[name]]));
const realSetTimeout = globalThis.setTimeout;

/** Replaces the platform's clocks and timers until it is disposed of. One at a time. */
export class FakeTime implements Disposable {
  #nowMs = MONOTONIC_AT_START_MS;
  #wallAheadMs = WALL_AT_START_MS - MONOTONIC_AT_START_MS;
  #nextId = 1;
  readonly #timers = new Map<unknown, Timer>();

  constructor() {
    const wallMs = () => this.#nowMs + this.#wallAheadMs;
    class FakeDate extends Date {
      constructor(...args: unknown[]) {
        super(...(args.length === 0 ? [wallMs()] : args) as [number]);
      }

      static override now(): number {
        return wallMs();
      }
    }
    const clear = (id: unknown) => void this.#timers.delete(id);
    const fakes = {
      Date: FakeDate,
      setTimeout: (callback: Callback, ms = 0, ...args: unknown[]) => this.#add(callback, ms, args, false),
      setInterval: (callback: Callback, ms = 0, ...args: unknown[]) => this.#add(callback, ms, args, true),
      clearTimeout: clear,
      clearInterval: clear,
    };
    Object.assign(globalThis, fakes);
    Object.defineProperty(performance, "now", { configurable: true, value: () => this.#nowMs });
  }

  [Symbol.dispose](): void {
    Object.assign(globalThis, REAL);
    Reflect.deleteProperty(performance, "now");
  }

  /** How many timers are set. */
  get timerCount(): number {
    return this.#timers.size;
  }

  /** Moves time, running each timer when it is due and what follows from it. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const [id, timer] = this.#next() ?? [];
      if (timer === undefined || timer.dueMs > endMs) break;
      this.#nowMs = Math.max(this.#nowMs, timer.dueMs);
      if (timer.everyMs === undefined) this.#timers.delete(id);
      else timer.dueMs += timer.everyMs;
      timer.run();
      await settle();
    }
    this.#nowMs = endMs;
    await settle();
  }

  /** Steps the wall clock alone, as an administrator or NTP would. */
  stepWall(ms: number): void {
    this.#wallAheadMs += ms;
  }

  #add(callback: Callback, ms: number, args: unknown[], repeats: boolean): number {
    // As on the platform: what is no delay is the shortest.
    const delayMs = ms >= 1 ? ms : 1;
    const id = this.#nextId++;
    const everyMs = repeats ? delayMs : undefined;
    this.#timers.set(id, { dueMs: this.#nowMs + delayMs, everyMs, run: () => callback(...args) });
    return id;
  }

  /** The timer that is due first; of several, the one that was set first. */
  #next(): [unknown, Timer] | undefined {
    let first: [unknown, Timer] | undefined;
    for (const entry of this.#timers) if (first === undefined || entry[1].dueMs < first[1].dueMs) first = entry;
    return first;
  }
}

/** Lets promises that are ready run, and what they make ready, a bounded number of times. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await Promise.resolve();
}

/** Lets the event loop turn once, which is when the platform speaks of rejections that nobody handled. */
export function turn(): Promise<void> {
  return new Promise((resolve) => realSetTimeout(resolve, 0));
}
