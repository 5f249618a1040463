/** The server of the play: it can be killed, and starts again on the same folder and the same ports. */

import { type Child, startChild } from "./child.ts";
import type { Screen } from "./screen.ts";

/** Waits of the server, shortened so that a person sees a circuit open and close within seconds. */
export const COOLDOWN_MS = 1_000;
export const COOLDOWN_MAX_MS = 2_000;
export const ATTEMPT_TIMEOUT_MS = 1_000;

/** How long it may take to end after it was asked. */
const END_BOUND_MS = 10_000;

const SETTINGS = {
  BREAKWATER_OTLP_HTTP_LISTEN: "127.0.0.1:0",
  BREAKWATER_OTLP_GRPC_LISTEN: "off",
  BREAKWATER_ADMIN_LISTEN: "127.0.0.1:0",
  BREAKWATER_COOLDOWN_MS: String(COOLDOWN_MS),
  BREAKWATER_COOLDOWN_MAX_MS: String(COOLDOWN_MAX_MS),
  OTEL_EXPORTER_OTLP_TIMEOUT: String(ATTEMPT_TIMEOUT_MS),
  // The play asks four times a second; the limit of ten a minute is for strangers.
  BREAKWATER_METRICS_RATE_LIMIT: "off",
};

/** How often circuits have opened and closed, from the server's own log. */
export interface CircuitChanges {
  readonly openedCount: number;
  readonly closedCount: number;
}

/** What the server says of itself when it is asked to end. */
export interface Ending {
  readonly code: number;
  /** The account that it prints. */
  readonly account: readonly string[];
}

/** One process of it. */
interface Run {
  readonly child: Child;
  readonly otlpUrl: string;
  readonly adminUrl: string;
  readonly account: Promise<readonly string[]>;
}

export class DemoServer implements AsyncDisposable {
  readonly #settings: Readonly<Record<string, string>>;
  readonly #screen: Screen;
  readonly #beganAtMs = performance.now();
  readonly #circuits = { openedCount: 0, closedCount: 0 };
  #run: Run;

  /**
   * Starts it, and shows each change of its circuits on the screen.
   *
   * @throws {Error} When it does not say that it is ready.
   */
  static async start(collectorUrl: string, dataDir: string, screen: Screen): Promise<DemoServer> {
    const settings = { ...SETTINGS, BREAKWATER_DATA_DIR: dataDir, OTEL_EXPORTER_OTLP_ENDPOINT: collectorUrl };
    const run = await startRun(settings);
    // Whoever sends to it knows these addresses: it comes back to them.
    const addresses = {
      BREAKWATER_OTLP_HTTP_LISTEN: new URL(run.otlpUrl).host,
      BREAKWATER_ADMIN_LISTEN: new URL(run.adminUrl).host,
    };
    return new DemoServer({ ...settings, ...addresses }, screen, run);
  }

  private constructor(settings: Readonly<Record<string, string>>, screen: Screen, run: Run) {
    this.#settings = settings;
    this.#screen = screen;
    this.#run = run;
    void this.#followCircuits(run.child);
  }

  get otlpUrl(): string {
    return this.#run.otlpUrl;
  }

  get adminUrl(): string {
    return this.#run.adminUrl;
  }

  get circuits(): CircuitChanges {
    return this.#circuits;
  }

  /** SIGKILL: no goodbye, no flush. Then a new one, which finds what the first has accepted. */
  async killAndRestart(): Promise<void> {
    this.#run.child.kill();
    await this.#run.child.ended(END_BOUND_MS);
    this.#run = await startRun(this.#settings);
    void this.#followCircuits(this.#run.child);
  }

  /** Asks it to end. */
  async end(): Promise<Ending> {
    this.#run.child.terminate();
    const code = await this.#run.child.ended(END_BOUND_MS);
    return { code, account: await this.#run.account };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#run.child[Symbol.asyncDispose]();
  }

  async #followCircuits(child: Child): Promise<void> {
    for await (const line of child.stderr) {
      const [, signal, from, to, why] = /(\w+) -> \S+: circuit (\w+) -> (\w+): ([^:]*)/.exec(line) ?? [];
      if (to === undefined) continue;
      if (from === "closed" && to === "open") this.#circuits.openedCount++;
      if (to === "closed") this.#circuits.closedCount++;
      this.#screen.say(`${stamp(performance.now() - this.#beganAtMs)}       ${signal}: ${from} -> ${to}, ${why}`);
    }
  }
}

/** A moment of the play, as it stands before what is said of it. */
export function stamp(elapsedMs: number): string {
  return `${(elapsedMs / 1_000).toFixed(1).padStart(5)} s`;
}

/** What a process of it says of itself: its addresses in the first line, and the account when it ends. */
async function startRun(settings: Readonly<Record<string, string>>): Promise<Run> {
  const child = startChild(new URL("../server/main.ts", import.meta.url), [], settings);
  const lines = child.stdout[Symbol.asyncIterator]();
  const { value: ready = "" } = await lines.next();
  const otlpUrl = /\botlp=(\S+)/.exec(ready)?.[1];
  const adminUrl = /\badmin=(\S+)/.exec(ready)?.[1];
  if (otlpUrl === undefined || adminUrl === undefined) {
    const errors = await Array.fromAsync(child.stderr);
    throw new Error(`Cannot start the demo: the server did not say that it is ready.\n${ready}\n${errors.join("\n")}`);
  }
  return { child, otlpUrl, adminUrl, account: Array.fromAsync({ [Symbol.asyncIterator]: () => lines }) };
}
