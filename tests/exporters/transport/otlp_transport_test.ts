/** The chain as a whole, with the real circuit breaker: on a clock of the test's, and against a collector that fails. */

import assert from "node:assert/strict";
import { CircuitBreaker, type CircuitTransition } from "../../../core/breaker.ts";
import { startCollector } from "../../../exporters/testing/collector.ts";
import { otlpTransport, type OtlpTransportOptions } from "../../../exporters/transport/otlp_transport.ts";
import { FakeClock, settle } from "../../fakes/clock.ts";
import { DiagLog } from "../../fakes/diag_log.ts";
import { requestOf } from "../../fakes/otlp_bytes.ts";

const BODY = requestOf("traces", 3);
const SEND = { signal: "traces", itemCount: 3, deadlineMs: 600_000 } as const;

Deno.test("A dead backend gets three attempts, then probes by cooldown alone; it heals by itself and nothing is lost", async () => {
  const { clock, attemptsAtMs, transitions, transport, heal } = rig(() => Promise.reject(new TypeError("refused")));
  const sending = transport.send(BODY, SEND);
  await advance(clock, 10_000);
  // Back-offs of 1 and 2 s, the third failure opens, the cooldown of 5 s begins there.
  assert.deepEqual(attemptsAtMs, [0, 1_000, 3_000, 8_000]);
  assert.deepEqual(transitions, ["closed>open", "open>half_open", "half_open>open"]);
  heal();
  await advance(clock, 10_000);
  assert.equal((await sending).status, "delivered");
  assert.deepEqual(attemptsAtMs.slice(4), [18_000], "the second cooldown is twice as long");
  assert.equal(transport.breaker.state, "closed");
  await transport.close();
});

Deno.test("E6 Retry-After opens the circuit for every sender, and no attempt passes before it ends", async () => {
  let answer = new Response(null, { status: 429, headers: { "retry-after": "20" } });
  const { clock, attemptsAtMs, transport } = rig(() => Promise.resolve(answer));
  const first = transport.send(BODY, SEND);
  await settle();
  assert.ok(transport.breaker.throttled);
  answer = new Response();
  const second = transport.send(BODY, SEND);
  await advance(clock, 19_000);
  assert.deepEqual(attemptsAtMs, [0]);
  await advance(clock, 10_000);
  for (const sent of await Promise.all([first, second])) assert.equal(sent.status, "delivered");
  assert.ok(attemptsAtMs.slice(1).every((atMs) => atMs >= 20_000), `attempts at ${attemptsAtMs}`);
  await transport.close();
});

Deno.test("While the circuit is open, a send with no time to wait is answered at once and keeps its data", async () => {
  const { attemptsAtMs, transport, clock } = rig(() => Promise.reject(new TypeError("refused")));
  const opening = transport.send(BODY, { ...SEND, deadlineMs: 4_000 });
  await advance(clock, 4_000);
  await opening;
  assert.equal(transport.breaker.state, "open");
  const before = attemptsAtMs.length;
  const answer = await transport.send(BODY, { ...SEND, deadlineMs: 1_000 });
  assert.equal(answer.status, "retryable");
  assert.equal((answer as { reason: string }).reason, "circuit_open");
  assert.equal(attemptsAtMs.length, before);
  await transport.close();
});

Deno.test("Bad data does not open the circuit, bad credentials do", async () => {
  for (const [status, state] of [[400, "closed"], [413, "closed"], [401, "open"], [500, "open"]] as const) {
    const { transport } = rig(() => Promise.resolve(new Response(null, { status })));
    for (let sent = 0; sent < 3; sent++) await transport.send(BODY, SEND);
    assert.equal(transport.breaker.state, state, `${status}`);
    await transport.close();
  }
});

Deno.test("Each change of a transport's circuit is one line of the diagnostic log, also of one that is shared", async () => {
  for (const breaker of [undefined, new CircuitBreaker({ name: "circuit" })]) {
    using log = new DiagLog();
    const dead = () => Promise.reject(new TypeError("refused"));
    const [one, other] = [rig(dead, { breaker }), rig(dead, { breaker })];
    const sending = one.transport.send(BODY, { ...SEND, deadlineMs: 4_000 });
    await advance(one.clock, 4_000);
    await sending;
    assert.deepEqual(log.lines, [
      'warn Circuit "circuit" went from closed to open: 3 consecutive failures. ' +
      "Until it closes again nothing but probes is sent",
    ]);
    for (const { transport } of [one, other]) await transport.close();
    breaker?.detach();
  }
});

Deno.test("A shared breaker outlives the transport, its own does not", async () => {
  using shared = new CircuitBreaker();
  const borrowing = rig(() => Promise.resolve(new Response()), { breaker: shared }).transport;
  const owning = rig(() => Promise.resolve(new Response())).transport;
  await Promise.all([borrowing.close(), owning.close()]);
  assert.ok(shared.acquire() >= 0);
  assert.ok(owning.breaker.acquire() < 0);
});

Deno.test("Through a collector that refuses, hangs, throttles and recovers, every span arrives", async () => {
  await using collector = await startCollector();
  const transport = otlpTransport({
    endpoints: collector.endpoints,
    initialBackoffMs: 5,
    maxBackoffMs: 20,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    circuit: { cooldownMs: 10, cooldownMaxMs: 20 },
  });
  const faults = [
    () => collector.refuse(),
    () => collector.hang(),
    () => collector.disconnect(),
    () => collector.respond(503, { headers: { "retry-after": "0" } }),
    () => collector.respond(502),
  ];
  let delivered = 0;
  for (const fault of faults) {
    await fault();
    // What comes back is sent again by the caller, as a queue would.
    let answer = await transport.send(BODY, { ...SEND, deadlineMs: 100 });
    assert.ok(answer.status === "retryable" || answer.status === "throttled", answer.status);
    await collector.recover();
    while (answer.status !== "delivered") answer = await transport.send(BODY, { ...SEND, deadlineMs: 10_000 });
    delivered += 3;
  }
  // At least once: an attempt that was given up may still have been read after the recovery.
  assert.ok(collector.items.traces >= delivered, `${collector.items.traces} of ${delivered} arrived`);
  assert.equal(transport.breaker.state, "closed");
  await transport.close();
});

interface Rig {
  readonly clock: FakeClock;
  readonly attemptsAtMs: readonly number[];
  readonly transitions: readonly string[];
  readonly transport: ReturnType<typeof otlpTransport>;
  readonly heal: () => void;
}

function rig(backend: () => Promise<Response>, options: Partial<OtlpTransportOptions> = {}): Rig {
  const clock = new FakeClock();
  const attemptsAtMs: number[] = [];
  const transitions: string[] = [];
  let healthy = false;
  const url = "http://collector:4318/";
  const transport = otlpTransport({
    endpoints: { traces: url, metrics: url, logs: url },
    clock,
    sleep: clock.sleep,
    random: () => 0,
    circuit: { cooldownJitter: 0 },
    fetch: () => {
      attemptsAtMs.push(clock.nowMs());
      return healthy ? Promise.resolve(new Response()) : backend();
    },
    ...options,
  });
  transport.breaker.onTransition(({ from, to }: CircuitTransition) => transitions.push(`${from}>${to}`));
  return { clock, attemptsAtMs, transitions, transport, heal: () => healthy = true };
}

/** In steps, because an attempt takes more turns than one advance lets run. */
async function advance(clock: FakeClock, ms: number): Promise<void> {
  for (let stepped = 0; stepped < ms; stepped += 1_000) {
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
