import assert from "node:assert/strict";
import { judge, type Testimony } from "../../demo/verdict.ts";

const VIEW = { circuit: "closed", why: "", received: 10, delivered: 7, queued: 1, lost: { http_400: 2 } };

const GOOD: Testimony = {
  made: { traces: 10, metrics: 10, logs: 10 },
  views: { traces: VIEW, metrics: VIEW, logs: VIEW },
  arrived: { traces: 7, metrics: 7, logs: 7 },
  account: ["traces   received 10 = accepted 10 + refused 0   balanced"],
  serverCode: 0,
  circuits: { openedCount: 1, closedCount: 1 },
};

Deno.test("the demonstration is good when four witnesses agree and the circuit opened and closed", () => {
  const { good, lines } = judge(GOOD);
  assert.equal(good, true);
  assert.ok(lines.some((line) => line.includes("delivered 7 + lost 2 (http_400) + queued 1")));
});

// deno-fmt-ignore
const faults: [string, Partial<Testimony>][] = [
  ["an item was made and never received",        { made: { ...GOOD.made, traces: 11 } }],
  ["an item was received and is nowhere",        { views: { ...GOOD.views, logs: { ...VIEW, delivered: 6 } } }],
  ["the collector has more than was delivered",  { arrived: { ...GOOD.arrived, metrics: 8 } }],
  ["nothing was made at all",                    { made: { ...GOOD.made, traces: 0 },
                                                   views: { ...GOOD.views, traces: { ...VIEW, received: 0, delivered: 0, queued: 0, lost: {} } },
                                                   arrived: { ...GOOD.arrived, traces: 0 } }],
  ["the server printed no account",              { account: [] }],
  ["the server's account does not balance",      { account: ["traces   received 1 = accepted 0 + refused 0   NOT BALANCED"] }],
  ["the server ended badly",                     { serverCode: 1 }],
  ["no circuit opened",                          { circuits: { openedCount: 0, closedCount: 1 } }],
  ["no circuit closed",                          { circuits: { openedCount: 1, closedCount: 0 } }],
];
for (const [title, fault] of faults) {
  Deno.test(`the demonstration is not good when ${title}`, () => {
    const { good, lines } = judge({ ...GOOD, ...fault });
    assert.equal(good, false);
    assert.ok(lines.at(-1)?.startsWith("Something is wrong"));
  });
}
