import assert from "node:assert/strict";
import { type Signal, SIGNALS } from "../../exporters/signal.ts";
import { type Collector, startCollector } from "../../exporters/testing/collector.ts";
import { leadsBack } from "../../server/config.ts";
import type { DestinationHealth } from "../../server/health.ts";
import { type RunningServer, startServer } from "../../server/server.ts";
import { StartError } from "../../server/start_error.ts";
import type { DestinationPlan } from "../../server/upstream.ts";
import { AwaitedDisk } from "../fakes/awaited_disk.ts";
import { FakeClock } from "../fakes/clock.ts";
import { accountAt, assertBalanced } from "../fakes/metrics_account.ts";
import { requestOf } from "../fakes/otlp_bytes.ts";
import { sendSpans } from "../fakes/otlp_client.ts";
import { configOf, health, until } from "../fakes/running_server.ts";
import { TemporaryFolder } from "../fakes/temporary_folder.ts";

/** What may wait of each signal, in items. */
const ITEMS_MAX = 40;
const ITEMS_PER_REQUEST = 2;

Deno.test("P2-10 four destinations on one disk: one that is well, a dead one, a limited one and one for traces only", async () => {
  await using port = await Port.open("well", "dead", "limited", "traces_only");
  const { well, dead, limited, traces_only: tracesOnly } = port.collectors;
  await dead!.refuse();
  for (const signal of ["metrics", "logs"] as const) tracesOnly!.respond(404, { signal });
  limited!.respond(429, { headers: { "retry-after": "60" } });

  for (let life = 0, received = 0; life < 3; life++) {
    await port.start();
    for (let request = 0; request < 12; request++) {
      for (const signal of SIGNALS) assert.equal(await port.send(signal), 200);
      received += ITEMS_PER_REQUEST;
      await until(() => SIGNALS.every((signal) => well!.items[signal] === received));
      assertBalanced((await port.account()).values());
    }
    await until(() => port.isEmpty("traces_only"), () => port.advance(1000));
    assert.equal(tracesOnly!.items.traces, received);
    const deadStates = async () => statesOf((await health(port.server)).body.destinations, "dead");
    await until(async () => (await deadStates()).every((state) => state === "open"), () => port.advance(1000));
    const { status, body } = await health(port.server);
    assert.deepEqual([status, body.circuit_state, body.otlp_backend], [503, "open", "unreachable"]);
    assert.deepEqual(statesOf(body.destinations, "well"), ["closed", "closed", "closed"]);
    await port.end();
  }
  assert.deepEqual(limited!.items, { traces: 0, metrics: 0, logs: 0 });

  await port.start();
  await limited!.recover();
  await dead!.recover();
  // What was too much for their queues is gone, and counted: all that is left comes.
  for (const name of ["dead", "limited"]) await until(() => port.isEmpty(name), () => port.advance(1000));
  const account = await port.account();
  assertBalanced(account.values());
  const received = 3 * 12 * ITEMS_PER_REQUEST;
  for (const signal of SIGNALS) {
    assert.deepEqual(account.get(signal)!.parts, { accepted: received, refused: 0 });
    assert.equal(account.get(`${signal} -> well`)!.parts.delivered, received);
    for (const name of ["dead", "limited"]) {
      const { parts, reasons } = account.get(`${signal} -> ${name}`)!;
      assert.deepEqual(reasons, { "dropped queue_full": received - ITEMS_MAX }, `${signal} -> ${name}`);
      assert.equal(parts.delivered, ITEMS_MAX);
      assert.equal(port.collectors[name]!.items[signal], ITEMS_MAX);
    }
    const { parts, reasons } = account.get(`${signal} -> traces_only`)!;
    const taken = signal === "traces" ? received : 0;
    assert.deepEqual([parts.delivered, reasons], [taken, taken > 0 ? {} : { "rejected unsupported": received }]);
  }
});

Deno.test("P2-10 a dead first destination makes senders come back once it is full, and the others have what was accepted", async () => {
  await using port = await Port.open("first", "second");
  const { first, second } = port.collectors;
  await first!.refuse();
  await port.start();
  for (let sent = 0; sent < ITEMS_MAX; sent += ITEMS_PER_REQUEST) assert.equal(await port.send("logs"), 200);
  assert.equal(await port.send("logs"), 503);
  await until(() => second!.items.logs === ITEMS_MAX);
  const full = await port.account();
  assertBalanced(full.values());
  assert.deepEqual(full.get("logs")!.reasons, { "refused queue_full": ITEMS_PER_REQUEST });
  assert.equal(full.get("logs -> first")!.parts.queued, ITEMS_MAX);
  assert.equal(await port.send("traces"), 200, "the other signals have room of their own");

  await first!.recover();
  await until(() => port.isEmpty("first"), () => port.advance(1000));
  assert.equal(await port.send("logs"), 200);
  await until(() => [first, second].every((collector) => collector!.items.logs === ITEMS_MAX + ITEMS_PER_REQUEST));
  assertBalanced((await port.account()).values());
});

Deno.test("a full destination that is removed holds nobody back, and has what waited for it when it is there again", async () => {
  await using port = await Port.open("first", "second");
  const { first, second } = port.collectors;
  const plans = port.plans;
  await first!.refuse();
  await port.start();
  for (let sent = 0; sent < ITEMS_MAX; sent += ITEMS_PER_REQUEST) assert.equal(await port.send("logs"), 200);
  assert.equal(await port.send("logs"), 503);
  assert.ok(port.log.includes(`logs are forwarded to ${first!.endpoints.logs} and ${second!.endpoints.logs}`));
  await port.end();

  port.plans = plans.slice(1);
  await port.start();
  assert.ok(port.log.some((line) => line.startsWith(`logs -> first: ${ITEMS_MAX} log records wait`)));
  await second!.refuse();
  for (let sent = 0; sent < ITEMS_MAX; sent += ITEMS_PER_REQUEST) assert.equal(await port.send("logs"), 200);
  assert.equal(await port.send("logs"), 503, "now it is the second that speaks for all");
  assertBalanced((await port.account()).values());
  await port.end();

  port.plans = plans;
  await first!.recover();
  await second!.recover();
  await port.start();
  await until(() => [first, second].every((collector) => collector!.items.logs >= ITEMS_MAX), () => port.advance(1000));
  await until(() => port.isEmpty("first"));
  await until(() => port.isEmpty("second"));
  const account = await port.account();
  assertBalanced(account.values());
  assert.deepEqual(account.get("logs -> first")!.reasons, { "dropped no_destination": ITEMS_MAX });
  assert.deepEqual([first!.items.logs, second!.items.logs], [ITEMS_MAX, 2 * ITEMS_MAX]);
});

Deno.test("a signal that the first destination does not take has its own first destination, whose senders are told", async () => {
  await using port = await Port.open("traces", "everything");
  port.plans = port.plans.map((plan) => plan.name === "traces" ? { ...plan, signals: ["traces"] } : plan);
  const { everything } = port.collectors;
  await everything!.refuse();
  await port.start();
  for (let sent = 0; sent < ITEMS_MAX; sent += ITEMS_PER_REQUEST) {
    for (const signal of ["logs", "traces"] as const) assert.equal(await port.send(signal), 200);
  }
  assert.equal(await port.send("logs"), 503);
  assert.equal(await port.send("traces"), 200);
  const account = await port.account();
  assert.deepEqual(account.get("traces -> everything")!.reasons, { "dropped queue_full": ITEMS_PER_REQUEST });
  assert.equal(account.has("logs -> traces"), false);
});

Deno.test("two hosts in the environment: each signal has one destination, whose senders are told when it is full", async () => {
  await using port = await Port.open("a", "b");
  const { a, b } = port.collectors;
  port.plans = configOf({
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: a!.endpoints.traces,
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: b!.endpoints.logs,
  }).destinations;
  await a!.refuse();
  b!.respond(429, { headers: { "retry-after": "600" } });
  await port.start();
  for (const signal of ["traces", "logs"] as const) {
    for (let sent = 0; sent < ITEMS_MAX; sent += ITEMS_PER_REQUEST) assert.equal(await port.send(signal), 200);
    assert.equal(await port.send(signal), 503);
  }
  assert.equal(await port.send("metrics"), 200, "nobody wants them");
  assert.deepEqual((await port.account()).get("metrics -> none")!.reasons, {
    "dropped no_destination": ITEMS_PER_REQUEST,
  });
  assertBalanced((await port.account()).values());
});

Deno.test("destinations with one name, with none, or that lead back here, are refused in one sentence each", async () => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector.example:4318" };
  const [upstream] = configOf(env).destinations;
  const mistakesWith = async (...names: readonly string[]): Promise<readonly string[]> => {
    const destinations = names.map((name) => ({ ...upstream!, name }));
    const error = await startServer({ ...configOf(env), destinations }).then(() => undefined, (error) => error);
    assert.ok(error instanceof StartError, String(error));
    return error.mistakes;
  };
  assert.deepEqual(await mistakesWith("a", "b", "a", "a"), [
    'destinations must each have a name of their own, received "a"',
  ]);
  assert.deepEqual(await mistakesWith("a", "", "b", "b"), [
    'destinations must each have a name of their own, received ""',
    'destinations must each have a name of their own, received "b"',
  ]);
  const both = [upstream!, { ...upstream!, name: "second" }];
  const admin = { name: "BREAKWATER_ADMIN_LISTEN", listen: { host: "127.0.0.1", port: 4318 } };
  assert.deepEqual(leadsBack(both, admin, [], () => ["127.0.0.1"]), [
    "OTEL_EXPORTER_OTLP_ENDPOINT must not lead back here: http://collector.example:4318 is BREAKWATER_ADMIN_LISTEN, 127.0.0.1:4318",
    'destination "second" must not lead back here: http://collector.example:4318 is BREAKWATER_ADMIN_LISTEN, 127.0.0.1:4318',
  ]);
});

/** Collectors by name, and a server on a real folder that forwards to all of them, in the test's own time. */
class Port implements AsyncDisposable {
  readonly collectors: Readonly<Record<string, Collector>>;
  readonly log: string[] = [];
  plans: readonly DestinationPlan[];
  readonly #clock = new FakeClock();
  readonly #disk = new AwaitedDisk();
  readonly #folder = new TemporaryFolder();
  #server: RunningServer | undefined;

  static async open(...names: readonly string[]): Promise<Port> {
    const collectors: Record<string, Collector> = {};
    for (const name of names) collectors[name] = await startCollector();
    return new Port(collectors);
  }

  private constructor(collectors: Readonly<Record<string, Collector>>) {
    this.collectors = collectors;
    this.plans = Object.entries(collectors).map(([name, { url }]) => ({ ...planFor(url), name }));
  }

  get server(): RunningServer {
    return this.#server!;
  }

  async start(): Promise<void> {
    const config = configOf({
      BREAKWATER_DATA_DIR: this.#folder.path,
      BREAKWATER_QUEUE_ITEMS_MAX: String(ITEMS_MAX),
      BREAKWATER_METRICS_RATE_LIMIT: "off",
    });
    const { disk } = this.#disk;
    const log = (_level: string, message: string) => this.log.push(message);
    const options = { clock: this.#clock, sleep: this.#clock.sleep, disk, log };
    this.#server = await startServer({ ...config, destinations: this.plans }, options);
  }

  async send(signal: Signal): Promise<number> {
    if (signal === "traces") return await sendSpans(this.server.otlpUrl!, ITEMS_PER_REQUEST);
    const headers = { "content-type": "application/x-protobuf" };
    const body = requestOf(signal, ITEMS_PER_REQUEST);
    const response = await fetch(`${this.server.otlpUrl}/v1/${signal}`, { method: "POST", headers, body });
    await response.body?.cancel();
    return response.status;
  }

  account() {
    return accountAt(this.server.adminUrl!);
  }

  /** Whether nothing waits for a destination. */
  async isEmpty(name: string): Promise<boolean> {
    const account = await this.account();
    return SIGNALS.every((signal) => account.get(`${signal} -> ${name}`)!.parts.queued === 0);
  }

  async advance(ms: number): Promise<void> {
    await this.#disk.atRest();
    await this.#clock.advance(ms);
  }

  /** Ends the server; a start finds what it has left. */
  async end(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    let isDone = false;
    const drained = server.drain().finally(() => isDone = true);
    await until(() => isDone, () => this.advance(1000));
    const { balanced, equations } = await drained;
    assert.ok(balanced, equations.join("\n"));
    this.#server = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    for (const collector of Object.values(this.collectors)) await collector[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }
}

/** No attempt may time out by a clock that is moved by hand. */
function planFor(url: string): DestinationPlan {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_TIMEOUT: "86400000" };
  return configOf(env).destinations[0]!;
}

function statesOf(destinations: readonly DestinationHealth[], name: string): readonly string[] {
  return destinations.find((destination) => destination.name === name)!.lanes.map((lane) => lane.circuit_state);
}
