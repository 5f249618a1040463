import assert from "node:assert/strict";
import { judge, type Testimony } from "../../demo/verdict.ts";

const VIEW = {
  circuit: "closed",
  why: "",
  received: 10,
  delivered: 7,
  redelivered: 0,
  queued: 1,
  lost: { http_400: 2 },
};
const SENT = { made: 12, acknowledged: 10, givenUp: 2 };

const GOOD: Testimony = {
  sent: { traces: SENT, metrics: SENT, logs: SENT },
  views: { traces: VIEW, metrics: VIEW, logs: VIEW },
  arrived: { traces: 7, metrics: 7, logs: 7 },
  ending: { code: 0, account: ["traces   received 10 = accepted 10 + refused 0   balanced"] },
  circuits: { openedCount: 1, closedCount: 1 },
};

Deno.test("the demonstration is good when four witnesses agree and the circuit opened and closed", () => {
  const { good, lines } = judge(GOOD);
  assert.equal(good, true);
  assert.ok(lines.some((line) => line.includes("delivered 7 + lost 2 (http_400) + queued 1")));
});

Deno.test("what a kill made come twice is told, and is no fault", () => {
  const views = { ...GOOD.views, logs: { ...VIEW, received: 11, delivered: 8, redelivered: 3 } };
  const { good, lines } = judge({ ...GOOD, views, arrived: { ...GOOD.arrived, logs: 11 } });
  assert.equal(good, true);
  assert.ok(lines.some((line) => line.includes("received 11 (1 of them with no answer, or twice) = ")));
  assert.ok(lines.some((line) => line.includes("the collector has 11 (3 of them twice)")));
});

// deno-fmt-ignore
const faults: [string, Partial<Testimony>][] = [
  ["an item was acknowledged and never received", { sent: { ...GOOD.sent, traces: { ...SENT, made: 13, acknowledged: 11 } } }],
  ["an item was made and nobody knows of it",     { sent: { ...GOOD.sent, traces: { ...SENT, made: 13 } } }],
  ["an item was received and is nowhere",         { views: { ...GOOD.views, logs: { ...VIEW, delivered: 6 } } }],
  ["the collector has less than was delivered",   { arrived: { ...GOOD.arrived, metrics: 6 } }],
  ["the collector has more than was delivered",   { arrived: { ...GOOD.arrived, metrics: 8 } }],
  ["nothing was made at all",                     { sent: { ...GOOD.sent, traces: { made: 0, acknowledged: 0, givenUp: 0 } },
                                                    views: { ...GOOD.views, traces: { ...VIEW, received: 0, delivered: 0, queued: 0, lost: {} } },
                                                    arrived: { ...GOOD.arrived, traces: 0 } }],
  ["the server printed no account",               { ending: { code: 0, account: [] } }],
  ["the server's account does not balance",       { ending: { code: 0, account: ["traces   received 1 = accepted 0 + refused 0   NOT BALANCED"] } }],
  ["the server ended badly",                      { ending: { ...GOOD.ending, code: 1 } }],
  ["no circuit opened",                           { circuits: { openedCount: 0, closedCount: 1 } }],
  ["no circuit closed",                           { circuits: { openedCount: 1, closedCount: 0 } }],
];
for (const [title, fault] of faults) {
  Deno.test(`the demonstration is not good when ${title}`, () => {
    const { good, lines } = judge({ ...GOOD, ...fault });
    assert.equal(good, false);
    assert.ok(lines.at(-1)?.startsWith("Something is wrong"));
  });
}
