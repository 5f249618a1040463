import assert from "node:assert/strict";
import { HEARTBEAT_MS } from "../../server/lane.ts";
import { Harbour } from "../fakes/harbour.ts";
import { answers, noAnswer, type Script } from "../fakes/backend.ts";

const REFUSED: Script = () => answers.retryable();

Deno.test("P2-10 a lane merges what waits into one request, and it is delivered and settled", async () => {
  const harbour = new Harbour();
  const { transport } = harbour.berth("a");
  await harbour.receive([1, 2], [3]);
  assert.deepEqual(transport.bodies, [[1, 2, 3]]);
  assert.equal(transport.sent[0]?.itemCount, 3);
});

Deno.test("a request is merged up to its bounds, and no further", async () => {
  const harbour = new Harbour({ mergeItemsMax: 4, mergeRecordsMax: 2, inFlightMax: 1 });
  const { transport } = harbour.berth("a");
  await harbour.receive([1], [2], [3], [4, 5, 6], [7, 8], [9]);
  await harbour.advance(0);
  assert.deepEqual(transport.bodies, [[1, 2], [3, 4, 5, 6], [7, 8, 9]]);
  assert.equal(harbour.balance("a").delivered, 9);
});

Deno.test("a forwarded request carries the hops it came with and ours, and only equal ones are merged", async () => {
  const harbour = new Harbour();
  const { transport } = harbour.berth("a");
  for (const hops of ["", "", "x", "x, y"]) await harbour.receiveFrom(hops, [1]);
  await harbour.advance(0);
  assert.deepEqual(transport.sent.map(({ headers, items }) => [headers["breakwater-hop"], items.length]), [
    ["us", 2],
    ["x, us", 1],
    ["x, y, us", 1],
  ]);
});

Deno.test("as many requests are in flight as the limit says, and no more", async () => {
  const harbour = new Harbour({ inFlightMax: 2, mergeRecordsMax: 1 });
  const { transport, lane } = harbour.berth("a", noAnswer);
  await harbour.receive([1], [2], [3]);
  assert.equal(transport.inFlightMaxSeen, 2);
  assert.equal(lane.status().inFlightCount, 2);
  assert.equal(harbour.balance("a").queued, 3);
});

Deno.test("items that a backend rejects of a delivered request are counted apart, clamped to what was sent", async () => {
  const harbour = new Harbour();
  const { transport } = harbour.berth("a", () => answers.delivered(2, "two are bad"));
  await harbour.receive([1, 2, 3]);
  transport.script = () => answers.delivered(99, "all are bad");
  await harbour.receive([4, 5]);
  assert.deepEqual(harbour.balance("a").rejected, { partial_success: 4 });
  assert.equal(harbour.balance("a").delivered, 1);
  assert.equal(harbour.log.filter((line) => line.includes("two are bad")).length, 1);
});

Deno.test("a failed request waits its back-off, doubled each time, and is sent again with what has come since", async () => {
  const harbour = new Harbour({ failureThreshold: 100, backoffMs: 1000 });
  const { transport } = harbour.berth("a", REFUSED);
  await harbour.receive([1]);
  await harbour.receive([2]);
  await harbour.advance(999);
  assert.equal(transport.sent.length, 1);
  await harbour.advance(1);
  await harbour.advance(1999);
  assert.equal(transport.sent.length, 2);
  transport.script = () => answers.delivered();
  await harbour.advance(1);
  assert.deepEqual(transport.bodies, [[1], [1, 2], [1, 2]]);
  assert.equal(harbour.balance("a").delivered, 2);
});

Deno.test("retries keep to the destination's budget", async () => {
  const harbour = new Harbour({ failureThreshold: 1000, backoffMs: 10, backoffMaxMs: 10 });
  const { transport } = harbour.berth("a", REFUSED);
  await harbour.receive([1]);
  await harbour.advance(1000);
  assert.ok(transport.sent.length <= 5, `${transport.sent.length} attempts in a second`);
  await harbour.advance(10_000);
  assert.ok(transport.sent.length >= 6 && transport.sent.length <= 9, `${transport.sent.length} attempts in 11 s`);
});

Deno.test("an open circuit is never hammered: one unmerged record at its deadline, and nothing before", async () => {
  const harbour = new Harbour({ cooldownMs: 5000, cooldownMaxMs: 30_000 });
  const { transport, breaker } = harbour.berth("a", REFUSED);
  await harbour.receive([1], [2], [3]);
  await harbour.advance(10_000);
  await harbour.advance(120_000);
  assert.equal(breaker.state, "open");
  const openedAtMs = transport.sent[2]?.atMs ?? 0;
  const probes = transport.sent.slice(3);
  assert.deepEqual(probes.slice(0, 5).map(({ atMs }) => atMs - openedAtMs), [5000, 15_000, 35_000, 65_000, 95_000]);
  for (const { items } of probes) assert.equal(items.length, 1);
  assert.equal(breaker.counters.refused, 0, "the circuit is not even asked before its deadline");
  transport.script = () => answers.delivered();
  await harbour.advance(30_000);
  assert.equal(breaker.state, "closed");
  assert.deepEqual(harbour.balance("a"), {
    ...harbour.balance("a"),
    delivered: 3,
    queued: 0,
    balanced: true,
  });
});

Deno.test("a record whose answer was lost is counted as redelivered when it is sent again, and not before", async () => {
  const harbour = new Harbour();
  const { transport } = harbour.berth("a", () => answers.retryable(true, "deadline"));
  await harbour.receive([1, 2]);
  assert.equal(harbour.balance("a").redelivered, 0);
  transport.script = REFUSED;
  await harbour.advance(1000);
  assert.equal(harbour.balance("a").redelivered, 2);
  transport.script = () => answers.delivered();
  await harbour.advance(2000);
  assert.equal(harbour.balance("a").redelivered, 2);
  assert.equal(harbour.balance("a").delivered, 2);
});

Deno.test("a throttled lane keeps its data and waits as long as it was asked to, and not less than the back-off", async () => {
  const harbour = new Harbour({ backoffMs: 1000 });
  const { transport, lane } = harbour.berth("a", () => answers.throttled(60_000));
  await harbour.receive([1]);
  assert.equal(lane.status().throttled, true);
  await harbour.advance(59_999);
  assert.equal(transport.sent.length, 1);
  transport.script = () => answers.throttled(0);
  await harbour.advance(1);
  assert.equal(transport.sent.length, 2);
  await harbour.advance(999);
  assert.equal(transport.sent.length, 2, "Retry-After: 0 still waits the back-off");
  transport.script = () => answers.delivered();
  await harbour.advance(1);
  assert.equal(harbour.balance("a").delivered, 1);
  assert.equal(lane.status().throttled, false);
});

Deno.test("too large: merged records go one by one, then in halves, down to one item, which is rejected", async () => {
  const harbour = new Harbour({ inFlightMax: 1 });
  const { transport } = harbour.berth(
    "a",
    ({ items }) => items.length > 2 || items.includes(9) ? answers.tooLarge() : answers.delivered(),
  );
  await harbour.receive([1, 2], [3, 4, 5, 6, 9], [7, 8]);
  assert.deepEqual(transport.bodies, [
    [1, 2, 3, 4, 5, 6, 9, 7, 8],
    [1, 2],
    [3, 4, 5, 6, 9],
    [3, 4, 5],
    [3, 4],
    [5],
    [6, 9],
    [6],
    [9],
    [7, 8],
  ]);
  const { delivered, rejected, queued, balanced } = harbour.balance("a");
  assert.deepEqual({ delivered, rejected, queued, balanced }, {
    delivered: 8,
    rejected: { too_large: 1 },
    queued: 0,
    balanced: true,
  });
});

Deno.test("a record that was sent in part goes on where it stopped when the backend comes back", async () => {
  const harbour = new Harbour({ inFlightMax: 1 });
  const { transport } = harbour.berth("a", ({ items }) => {
    if (items.length > 2) return answers.tooLarge();
    return items.includes(3) ? answers.retryable() : answers.delivered();
  });
  await harbour.receive([1, 2, 3, 4]);
  transport.script = ({ items }) => items.length > 2 ? answers.tooLarge() : answers.delivered();
  await harbour.advance(1000);
  assert.deepEqual(transport.bodies, [[1, 2, 3, 4], [1, 2], [3, 4], [3, 4]]);
  assert.equal(harbour.balance("a").delivered, 4);
});

Deno.test("bad data: merged records go one by one, and only the bad one is rejected; the circuit stays closed", async () => {
  const harbour = new Harbour({ inFlightMax: 1, failureThreshold: 1 });
  const { transport, breaker } = harbour.berth(
    "a",
    ({ items }) => items.includes(3) ? answers.rejected() : answers.delivered(),
  );
  await harbour.receive([1], [2], [3], [4]);
  assert.equal(breaker.state, "closed");
  assert.deepEqual(transport.bodies, [[1, 2, 3, 4], [1], [2], [3], [4]]);
  assert.deepEqual(harbour.balance("a").rejected, { http_400: 1 });
  const { promise, resolve } = Promise.withResolvers<void>();
  transport.script = () => promise.then(() => answers.delivered());
  await harbour.receive([5], [6], [7]);
  resolve();
  await harbour.advance(0);
  assert.deepEqual(transport.bodies.slice(5), [[5], [6, 7]], "merges again afterwards");
});

Deno.test("a merged request that failed before it was taken apart does not use up the retry budget for each record", async () => {
  const harbour = new Harbour({ backoffMs: 100 });
  const { transport } = harbour.berth("a", REFUSED);
  await harbour.receive(...Array.from({ length: 100 }, (_, item) => [item]));
  transport.script = ({ items }) => items.length > 1 ? answers.tooLarge() : answers.delivered();
  await harbour.advance(100);
  assert.equal(harbour.balance("a").delivered, 100);
});

Deno.test("a failed backend (500) is not asked again for the same request, and the circuit counts it", async () => {
  const harbour = new Harbour({ failureThreshold: 1 });
  const { transport, breaker } = harbour.berth("a", () => answers.backendFailed());
  await harbour.receive([1, 2]);
  assert.equal(breaker.state, "open");
  assert.deepEqual(harbour.balance("a").rejected, { http_500: 2 });
  assert.equal(transport.sent.length, 1);
});

Deno.test("a destination that refuses us is told of loudly, once; its data is held and sent again only as a probe", async () => {
  const harbour = new Harbour({ misconfiguredPauseMs: 5000 });
  const { transport, lane } = harbour.berth("a", () => answers.misconfigured());
  await harbour.receive([1], [2], [3]);
  await harbour.advance(60_000);
  assert.equal(lane.status().misconfigured, true);
  assert.equal(harbour.log.filter((line) => line.startsWith("error")).length, 1);
  assert.equal(harbour.balance("a").queued, 3);
  for (const { items } of transport.sent.slice(1)) assert.equal(items.length, 1);
  for (const [index, { atMs }] of transport.sent.entries()) {
    if (index > 0) assert.ok(atMs - (transport.sent[index - 1]?.atMs ?? 0) >= 5000);
  }
  transport.script = () => answers.delivered();
  await harbour.advance(60_000);
  assert.equal(harbour.balance("a").delivered, 3);
  assert.equal(lane.status().misconfigured, false);
});

Deno.test("a signal that the destination does not have is rejected at once and asked for again every five minutes", async () => {
  const harbour = new Harbour({ signal: "metrics" });
  const { transport, lane, breaker } = harbour.berth("a", () => answers.unsupported());
  await harbour.receive([1]);
  await harbour.receive([2], [3]);
  assert.equal(lane.status().suspended, true);
  assert.equal(breaker.state, "closed");
  assert.equal(transport.sent.length, 1);
  assert.deepEqual(harbour.balance("a").rejected, { unsupported: 3 });
  await harbour.advance(299_999);
  await harbour.receive([4]);
  assert.equal(transport.sent.length, 1);
  await harbour.advance(1);
  await harbour.receive([5]);
  assert.equal(transport.sent.length, 2, "asked again");
  await harbour.advance(300_000);
  transport.script = () => answers.delivered();
  await harbour.receive([6], [7]);
  assert.equal(lane.status().suspended, false);
  const { delivered, rejected, queued } = harbour.balance("a");
  assert.deepEqual({ delivered, rejected, queued }, { delivered: 2, rejected: { unsupported: 5 }, queued: 0 });
  assert.equal(harbour.log.filter((line) => line.includes("no such signal")).length, 1);
});

Deno.test("records older than the age limit are dropped when their turn comes, and others are sent", async () => {
  const harbour = new Harbour({ recordAgeMaxMs: 60_000 });
  const { transport } = harbour.berth("a", () => answers.throttled(60_000));
  await harbour.receive([1, 2]);
  await harbour.advance(30_000);
  await harbour.receive([3]);
  transport.script = () => answers.delivered();
  await harbour.advance(30_001);
  assert.deepEqual(harbour.balance("a").dropped, {});
  assert.deepEqual(transport.bodies.slice(1), [[1, 2], [3]], "60 s is not older than 60 s");
  transport.script = () => answers.throttled(60_001);
  await harbour.receive([4, 5]);
  transport.script = () => answers.delivered();
  await harbour.advance(60_001);
  assert.deepEqual(harbour.balance("a").dropped, { expired: 2 });
  assert.equal(harbour.balance("a").queued, 0);
});

Deno.test("what is given up is told in the log: each kind once a minute, with what the backend said", async () => {
  const harbour = new Harbour({ inFlightMax: 1, mergeRecordsMax: 1, recordAgeMaxMs: 10_000 });
  const { transport } = harbour.berth("a", () => answers.rejected());
  await harbour.receive([1, 2], [3]);
  transport.script = () => answers.tooLarge();
  await harbour.receive([4]);
  transport.script = () => answers.throttled(10_001);
  await harbour.receive([5, 6]);
  await harbour.advance(60_000);
  transport.script = () => answers.rejected();
  await harbour.receive([7]);
  assert.deepEqual(harbour.log.filter((line) => !line.includes("circuit")), [
    "warning traces -> a: gave up 2 spans: bad data",
    "warning traces -> a: gave up 1 span: too much",
    "warning traces -> a: dropped 2 spans that had waited too long",
    "warning traces -> a: gave up 1 span: bad data",
  ]);
  assert.deepEqual(harbour.balance("a").rejected, { http_400: 4, too_large: 1 });
});

Deno.test("what has waited too long is told in the log, each item once", async () => {
  const harbour = new Harbour({ recordAgeMaxMs: 10_000 });
  const { transport } = harbour.berth("a");
  for (const items of [[1, 2], [3, 4, 5]]) {
    transport.script = () => answers.throttled(60_001);
    await harbour.receive(items);
    transport.script = () => answers.delivered();
    await harbour.advance(60_001);
  }
  assert.deepEqual(harbour.log.filter((line) => line.includes("too long")), [
    "warning traces -> a: dropped 2 spans that had waited too long",
    "warning traces -> a: dropped 3 spans that had waited too long",
  ]);
});

Deno.test("a circuit that opens says in the log what was wrong, each time with the answer that opened it", async () => {
  const harbour = new Harbour({ failureThreshold: 2, backoffMs: 1000 });
  const { transport } = harbour.berth("a", REFUSED);
  await harbour.receive([1]);
  await harbour.advance(2000);
  transport.script = () => answers.throttled(7000);
  await harbour.advance(5000);
  assert.deepEqual(harbour.log, [
    "warning traces -> a: circuit closed -> open: 2 consecutive failures: connection reset",
    "info traces -> a: circuit open -> half_open: cooldown ended",
    "warning traces -> a: circuit half_open -> open: throttled for 7000 ms: slow down",
  ]);
});

Deno.test("each change of the circuit is one line of the log, and the observer is told", async () => {
  const seen: string[] = [];
  const observer = { transitioned: ({ from, to }: { from: string; to: string }) => void seen.push(`${from} ${to}`) };
  const harbour = new Harbour({ failureThreshold: 1, observer });
  const { transport } = harbour.berth("a", REFUSED);
  await harbour.receive([1]);
  transport.script = () => answers.delivered();
  await harbour.advance(5000);
  assert.deepEqual(seen, ["closed open", "open half_open", "half_open closed"]);
  assert.equal(harbour.log.filter((line) => line.includes("traces -> a: circuit")).length, 3);
});

Deno.test("P1-11 an observer that throws changes nothing, and is reported once a minute for each member", async () => {
  const fail = () => {
    throw new Error("observer on fire");
  };
  const harbour = new Harbour({
    observer: { attempted: fail, dropped: fail, transitioned: fail },
    failureThreshold: 1,
  });
  const { transport } = harbour.berth("a", REFUSED);
  await harbour.receive([1]);
  transport.script = () => answers.delivered();
  await harbour.advance(5000);
  assert.equal(harbour.balance("a").delivered, 1);
  const complaints = harbour.log.filter((line) => line.includes("observer on fire"));
  assert.deepEqual(complaints.map((line) => /"(\w+)"/.exec(line)?.[1]).sort(), ["attempted", "transitioned"]);
});

Deno.test("a transport that throws or never answers costs an attempt, not the lane", async () => {
  const harbour = new Harbour({ attemptTimeoutMs: 1000, inFlightMax: 1 });
  const { transport } = harbour.berth("a", () => {
    throw new Error("broken transport");
  });
  await harbour.receive([1]);
  transport.script = noAnswer;
  await harbour.advance(1000);
  assert.equal(transport.sent.length, 2);
  transport.script = () => answers.delivered();
  await harbour.advance(10_000);
  const { delivered, redelivered, balanced } = harbour.balance("a");
  assert.deepEqual({ delivered, redelivered, balanced }, { delivered: 1, redelivered: 2, balanced: true });
});

Deno.test("even an idle lane comes round, so that a stuck one can be told from it", async () => {
  const harbour = new Harbour();
  const { lane } = harbour.berth("a");
  for (let minutes = 0; minutes < 3; minutes++) {
    await harbour.advance(60_000);
    const dueInMs = lane.status().loopDueAtMs - harbour.clock.nowMs();
    assert.ok(dueInMs >= 0 && dueInMs <= HEARTBEAT_MS, `due in ${dueInMs} ms`);
  }
});
