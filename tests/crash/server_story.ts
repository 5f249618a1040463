import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bySignal, type Signal, SIGNALS } from "../../exporters/signal.ts";
import { type Collector, startCollector } from "../../exporters/testing/collector.ts";
import { accountAt, assertBalanced, type ShownEquation } from "../fakes/metrics_account.ts";
import { seededRandom } from "../fakes/random.ts";
import { until } from "../fakes/running_server.ts";
import { ServerProcess } from "../fakes/server_process.ts";
import { decodeMessage, itemsOf, type Plain, REQUEST_TYPES } from "../model/otlp_schema.ts";
import { ID_KEY, SdkSender } from "./sdk_sender.ts";

/** Lives of one server. */
export const SERVER_STORY_ROUND_COUNT = 5;

/** How the backend may be. Who forgets takes it all, and never says so. */
const MOODS = ["healthy", "healthy", "dead", "hung", "cutting", "forgetting", "overloaded"] as const;

/**
 * No connection is used twice: when a kept one breaks, Deno itself repeats the request, and what arrives twice by that
 * nobody can count.
 */
const ONCE = { connection: "close" };

/** Ports that no system gives away by itself, so that a server finds its own again. */
const PORT_MIN = 15_000;
const PORT_COUNT = 15_000;

/**
 * A real OpenTelemetry SDK, a server, and a backend with moods. The server is killed again and again, and started again on
 * the same folder and ports; at the end all that the SDK was told had been accepted must be with the backend.
 */
export class ServerStory {
  readonly folder: string = mkdtempSync(join(tmpdir(), "breakwater-crash-"));
  readonly seed: number;
  readonly #random: () => number;
  readonly #ports: { readonly otlp: number; readonly admin: number };
  readonly #fsync: string;
  readonly #arrivals: Readonly<Record<Signal, number[]>> = bySignal(() => []);
  #scene: { readonly collector: Collector; readonly sender: SdkSender } | undefined;
  #round = 0;
  #killCount = 0;
  #redelivered = 0;

  /** @param seed Of luck, as far as processes and their scheduler let it decide. */
  constructor(seed: number) {
    this.seed = seed;
    this.#random = seededRandom(seed);
    this.#fsync = this.#oneOf(["interval", "commit", "never"]);
    this.#ports = { otlp: this.#freePort(), admin: this.#freePort() };
  }

  /** What happened, in a line. */
  get summary(): string {
    const arrived = SIGNALS.reduce((sum, signal) => sum + this.#arrivals[signal].length, 0);
    return `seed ${this.seed}: a server with fsync ${this.#fsync}: killed ${this.#killCount} times, ` +
      `${arrived} items arrived, ${this.#redelivered} redelivered`;
  }

  /**
   * One life of the server and its end. The last one ends when everything is delivered.
   *
   * @throws {Error} When something was lost, came from nowhere, or is counted wrongly.
   */
  async round(): Promise<void> {
    this.#scene ??= await this.#setScene();
    const isLast = ++this.#round === SERVER_STORY_ROUND_COUNT;
    try {
      await this.#live();
      if (isLast) await this.#deliverAll();
    } catch (error) {
      await this.#end();
      throw error;
    }
    if (!isLast) return;
    await this.#end();
    rmSync(this.folder, { recursive: true });
  }

  async #setScene(): Promise<{ readonly collector: Collector; readonly sender: SdkSender }> {
    return { collector: await startCollector(), sender: new SdkSender(`http://127.0.0.1:${this.#ports.otlp}`) };
  }

  async #end(): Promise<void> {
    await this.#scene?.sender.shutdown();
    await this.#scene?.collector[Symbol.asyncDispose]();
  }

  /** The server starts, the SDK sends, the backend changes its mood, and at some moment the server is killed. */
  async #live(): Promise<void> {
    const { sender } = this.#scene!;
    await this.#setMood(this.#oneOf(MOODS));
    await using server = this.#start();
    this.#killCount++;
    // One or the other does not even see the end of its start.
    if (this.#random() < 0.15) return await pause(50 + this.#random() * 200);
    const { admin } = await server.ready();
    assertBalanced((await accountAt(admin!)).values());
    const flushes: Promise<void>[] = [];
    const burstCount = 1 + Math.floor(this.#random() * 8);
    for (let burst = 0; burst < burstCount; burst++) {
      sender.make(1 + Math.floor(this.#random() * 100));
      flushes.push(sender.flush());
      await pause(this.#random() * 40);
      if (this.#random() < 0.3) await this.#setMood(this.#oneOf(MOODS));
    }
    await pause(this.#random() * 100);
    server.signal(this.#random() < 0.85 ? "SIGKILL" : "SIGTERM");
    const { stderr } = await server.ended();
    assert.deepEqual(stderr.filter((line) => /Uncaught|RangeError|TypeError/.test(line)), []);
    await Promise.all(flushes);
  }

  /** The backend is well: what is left arrives, and is held against what the SDK was told. */
  async #deliverAll(): Promise<void> {
    await this.#setMood("healthy");
    await using server = this.#start();
    const { admin } = await server.ready();
    let account = await accountAt(admin!);
    assertBalanced(account.values());
    const left = () => SIGNALS.reduce((sum, signal) => sum + upstreamOf(account, signal).parts.queued, 0);
    await until(async () => {
      account = await accountAt(admin!);
      return left() === 0;
    });
    assertBalanced(account.values());
    const redelivered = redeliveredIn(await (await fetch(`${admin}/metrics`)).text());
    for (const signal of SIGNALS) this.#mustHaveArrived(signal, upstreamOf(account, signal), redelivered[signal]);
    server.signal("SIGTERM");
    const { code, stderr } = await server.ended();
    assert.equal(code, 0, stderr.join("\n"));
  }

  #mustHaveArrived(signal: Signal, { whole: accepted, parts }: ShownEquation, redelivered: number): void {
    const { made, answered } = this.#scene!.sender;
    const arrivals = this.#arrivals[signal];
    const arrived = new Set(arrivals);
    this.#redelivered += redelivered;
    const missing = [...answered[signal]].filter((id) => !arrived.has(id));
    assert.deepEqual(missing, [], `${signal} that were answered with success have arrived`);
    const invented = [...arrived].filter((id) => !made[signal].has(id));
    assert.deepEqual(invented, [], `no ${signal} have arrived that were never sent`);
    assert.equal(parts.delivered, accepted, `all accepted ${signal} are counted as delivered`);
    assert.ok(arrivals.length >= accepted, `${arrivals.length} ${signal} have arrived, ${accepted} are counted`);
    // What the SDK itself has sent again was accepted again, so it is counted there.
    const most = accepted + redelivered;
    assert.ok(arrivals.length <= most, `${arrivals.length} ${signal} have arrived, ${most} can be explained`);
  }

  #start(): ServerProcess {
    return new ServerProcess({
      OTEL_EXPORTER_OTLP_ENDPOINT: this.#scene!.collector.url,
      OTEL_EXPORTER_OTLP_TIMEOUT: "300",
      BREAKWATER_OTLP_HTTP_LISTEN: `127.0.0.1:${this.#ports.otlp}`,
      BREAKWATER_ADMIN_LISTEN: `127.0.0.1:${this.#ports.admin}`,
      BREAKWATER_DATA_DIR: join(this.folder, "data"),
      BREAKWATER_FSYNC: this.#fsync,
      BREAKWATER_COOLDOWN_MS: "50",
      BREAKWATER_COOLDOWN_MAX_MS: "200",
      BREAKWATER_DRAIN_TIMEOUT_MS: "300",
      BREAKWATER_METRICS_RATE_LIMIT: "off",
    });
  }

  async #setMood(mood: typeof MOODS[number]): Promise<void> {
    const { collector } = this.#scene!;
    await collector.recover();
    if (mood === "dead") return await collector.refuse();
    if (mood === "hung") return collector.hang();
    if (mood === "cutting") return collector.disconnect();
    if (mood === "overloaded") return collector.respond(503, { headers: { ...ONCE, "retry-after": "1" } });
    for (const signal of SIGNALS) {
      const when = (payload: Uint8Array) => {
        this.#arrivals[signal].push(...idsIn(signal, payload));
        return true;
      };
      if (mood === "forgetting") collector.disconnect({ signal, when });
      else collector.respond(200, { signal, when, headers: ONCE });
    }
  }

  #freePort(): number {
    for (let attempt = 0; attempt < 100; attempt++) {
      const port = PORT_MIN + Math.floor(this.#random() * PORT_COUNT);
      try {
        Deno.listen({ hostname: "127.0.0.1", port }).close();
        return port;
      } catch {
        // Somebody has it.
      }
    }
    throw new Error("No port is free");
  }

  #oneOf<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random() * values.length)];
  }
}

function upstreamOf(account: ReadonlyMap<string, ShownEquation>, signal: Signal): ShownEquation {
  return account.get(`${signal} -> upstream`)!;
}

function idsIn(signal: Signal, payload: Uint8Array): readonly number[] {
  return itemsOf(signal, decodeMessage(REQUEST_TYPES[signal], payload)).map(({ attributes }) => {
    const id = (attributes as readonly Plain[]).find(({ key }) => key === ID_KEY);
    return Number((id?.value as Plain).intValue);
  });
}

function redeliveredIn(metrics: string): Readonly<Record<Signal, number>> {
  return bySignal((signal) => {
    const line = new RegExp(
      `^breakwater_items_redelivered_total\\{signal="${signal}",destination="upstream"\\} (\\d+)$`,
      "m",
    );
    return Number(line.exec(metrics)?.[1]);
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
