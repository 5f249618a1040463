import assert from "node:assert/strict";
import { MemoryJournal } from "../../exporters/journal/memory_journal.ts";
import { type Signal, SIGNALS } from "../../exporters/signal.ts";
import { RetryBudget } from "../../exporters/transport/retry_budget.ts";
import { Account } from "../../server/account.ts";
import { Destination } from "../../server/destination.ts";
import { telemetryHealth } from "../../server/health.ts";
import { FakeClock } from "../fakes/clock.ts";
import { Harbour } from "../fakes/harbour.ts";
import { answers, noAnswer, type Script, ScriptedTransport } from "../fakes/backend.ts";

Deno.test("a 503 with Retry-After makes all signals of its destination wait, and leaves their circuits alone", async () => {
  const harbour = new Harbour();
  const logs = new MemoryJournal("logs", { itemsMax: 100, bytesMax: 100_000 });
  const traces = harbour.berth(
    "a",
    ({ signal }) => signal === "traces" ? answers.throttled(20_000, true) : answers.delivered(),
  );
  const other = harbour.lane(traces.destination, traces.transport, "reject", logs);
  await harbour.receive([1]);
  await logs.append({ payload: Uint8Array.of(7), itemCount: 1, receivedAtMs: 0, hops: "" });
  await harbour.advance(19_999);
  assert.equal(traces.breaker.state, "open");
  assert.equal(other.breaker.state, "closed");
  assert.equal(other.lane.status().throttled, true);
  assert.deepEqual(traces.transport.bodies, [[1]]);
  traces.transport.script = () => answers.delivered();
  await harbour.advance(1);
  assert.equal(other.cursor.totals.delivered, 1);
  assert.equal(other.lane.status().throttled, false);
});

Deno.test("a 429 with Retry-After is for its own signal only", async () => {
  const harbour = new Harbour();
  const { destination } = harbour.berth("a", () => answers.throttled(20_000));
  await harbour.receive([1]);
  assert.equal(destination.floorMs, 0);
});

Deno.test("a destination's pause is capped, and a shorter wish does not shorten it", async () => {
  const clock = new FakeClock();
  const transport = new ScriptedTransport(clock, () => answers.throttled(3_600_000, true));
  const retryBudget = new RetryBudget(clock);
  const destination = new Destination({ name: "a", transport, retryBudget, clock, throttleMaxMs: 60_000 });
  const options = { signal: "traces", itemCount: 1, deadlineMs: 1000 } as const;
  await destination.send(Uint8Array.of(1), options);
  assert.equal(destination.floorMs, 60_000);
  transport.script = () => answers.throttled(1000, true);
  await destination.send(Uint8Array.of(1), options);
  assert.equal(destination.floorMs, 60_000);
  await clock.advance(60_000);
  assert.equal(destination.floorMs, 0);
});

Deno.test("a destination knows which signals it has taken, and closes its transport", async () => {
  const harbour = new Harbour({ signal: "logs" });
  const { destination, transport } = harbour.berth("a", () => answers.rejected());
  await harbour.receive([1]);
  assert.deepEqual([...destination.succeeded], []);
  transport.script = () => answers.delivered();
  await harbour.receive([2]);
  assert.deepEqual([...destination.succeeded], ["logs"]);
  await destination.close();
  assert.equal(transport.closed, true);
});

/** As the HTTP transport does: a 404 means a wrong address until another signal of that destination has succeeded. */
function tracesOnly(): Script {
  let succeeded = false;
  return ({ signal }) => {
    if (signal !== "traces") return succeeded ? answers.unsupported() : answers.misconfigured("http_404");
    succeeded = true;
    return answers.delivered();
  };
}

/** As a backend with a quota: so many requests in each minute, then 429 until the minute is over. */
function limitedTo(requestCountMax: number, clock: FakeClock): Script {
  let minute = -1;
  let count = 0;
  return () => {
    const nowMs = clock.nowMs();
    if (Math.floor(nowMs / 60_000) !== minute) {
      minute = Math.floor(nowMs / 60_000);
      count = 0;
    }
    return ++count > requestCountMax ? answers.throttled(60_000 - nowMs % 60_000) : answers.delivered();
  };
}

Deno.test("P2-10 a traces-only upstream does not delay or lose one span, and nothing is held for what it does not take", async () => {
  const harbour = new Harbour();
  const traces = harbour.berth("a", tracesOnly());
  const others = (["metrics", "logs"] as const).map((signal) => {
    const journal = new MemoryJournal(signal, { itemsMax: 1000, bytesMax: 100_000 });
    return { journal, ...harbour.lane(traces.destination, traces.transport, "reject", journal) };
  });
  const receiveOthers = async () => {
    for (const { journal } of others) {
      await journal.append({ payload: Uint8Array.of(1), itemCount: 1, receivedAtMs: 0, hops: "" });
    }
  };
  await receiveOthers();
  await harbour.advance(100);
  const sentAtMs = harbour.clock.nowMs();
  await harbour.receive([1, 2, 3]);
  assert.equal(harbour.balance("a").delivered, 3);
  assert.equal(traces.transport.sent.find(({ signal }) => signal === "traces")?.atMs, sentAtMs, "not delayed");
  for (let second = 0; second < 600; second++) {
    await receiveOthers();
    await harbour.receive([4]);
    assert.equal(harbour.balance("a").queued, 0);
    await harbour.advance(1000);
  }
  assert.equal(harbour.balance("a").delivered, 603);
  for (const { cursor, lane } of others) {
    assert.equal(cursor.queued.items, 0);
    assert.deepEqual(cursor.totals.rejected, { unsupported: 601 });
    assert.equal(lane.status().suspended, true);
  }
  const lanes = [traces.lane, ...others.map(({ lane }) => lane)].map((lane) => lane.status());
  assert.equal(telemetryHealth(lanes, harbour.clock.wallMs()).status, 200);
});

Deno.test("P2-10 one dead destination never stops another: healthy, dead, limited and traces-only side by side", async () => {
  const clock = new FakeClock();
  const journals = new Map<Signal, MemoryJournal>(
    SIGNALS.map((signal) => [signal, new MemoryJournal(signal, { itemsMax: 400, bytesMax: 1_000_000 })]),
  );
  const account = new Account(journals.values());
  const harbour = new Harbour({}, clock);
  const scripts: readonly (readonly [string, Script])[] = [
    ["healthy", () => answers.delivered()],
    ["dead", noAnswer],
    ["limited", limitedTo(6, clock)],
    ["traces_only", tracesOnly()],
  ];
  for (const [name, script] of scripts) {
    const transport = new ScriptedTransport(clock, script);
    const destination = new Destination({ name, transport, retryBudget: new RetryBudget(clock), clock });
    for (const journal of journals.values()) {
      harbour.lane(destination, transport, name === "healthy" ? "reject" : "drop_oldest", journal);
    }
  }
  let received = 0;
  for (let second = 0; second < 900; second++) {
    for (const [signal, journal] of journals) {
      account.received(signal, 2);
      const answer = await journal.append({
        payload: Uint8Array.of(1, 2),
        itemCount: 2,
        receivedAtMs: clock.wallMs(),
        hops: "",
      });
      assert.equal(answer, "appended", "only the first destination can hold the door shut, and it is healthy");
    }
    received += 2;
    await harbour.advance(1000);
    for (const { destinations } of account.balance().signals) assert.equal(destinations[0]?.delivered, received);
    assert.ok(account.balance().balanced);
  }
  const { signals } = account.balance();
  for (const { signal, destinations } of signals) {
    const [healthy, dead, limited, tracesOnly] = destinations;
    assert.deepEqual([healthy?.queued, healthy?.dropped], [0, {}]);
    assert.equal(dead?.delivered, 0);
    assert.ok((dead?.dropped.queue_full ?? 0) > 0);
    assert.ok((limited?.delivered ?? 0) > received / 2, `limited took ${limited?.delivered} of ${received} ${signal}`);
    const rejected = signal === "traces" ? {} : { unsupported: received };
    assert.deepEqual(tracesOnly?.rejected, rejected);
    assert.equal(tracesOnly?.delivered, signal === "traces" ? received : 0);
  }
});
