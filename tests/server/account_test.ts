import assert from "node:assert/strict";
import type { Cursor, CursorTotals, Journal, Queued } from "../../exporters/journal/journal.ts";
import type { Signal } from "../../exporters/signal.ts";
import { Account, NO_DESTINATION } from "../../server/account.ts";

Deno.test("the account of a signal balances when received is accepted and refused", () => {
  const account = new Account([journalWith("traces", 118, [])]);
  account.received("traces", 100);
  account.received("traces", 20);
  account.refused("traces", "invalid", 2);
  assert.equal(account.balance().balanced, true);
  account.received("traces", 1);
  assert.equal(account.balance().balanced, false);
});

Deno.test("a destination balances when accepted is delivered, rejected, quarantined, dropped and queued", () => {
  const totals = {
    delivered: 100,
    rejected: { http_400: 3 },
    quarantined: 1,
    dropped: { shutdown: 8 },
    redelivered: 50,
  };
  const balanced = new Account([journalWith("logs", 118, [cursorWith("collector", totals, 6)])]);
  const forgotten = new Account([journalWith("logs", 118, [cursorWith("collector", totals, 5)])]);
  const [, , logs] = balanced.balance().signals;
  assert.equal(logs?.destinations[0]?.balanced, true);
  assert.equal(forgotten.balance().signals[2]?.destinations[0]?.balanced, false);
  assert.equal(forgotten.balance().signals[2]?.destinations[0]?.queued, 5, "counted, not found by subtraction");
  assert.equal(forgotten.balance().balanced, false);
});

Deno.test("the account reads as equations, with the reasons beside their sums, largest first", () => {
  const totals = { delivered: 110, rejected: {}, quarantined: 0, dropped: { expired: 1, shutdown: 7 }, redelivered: 0 };
  const account = new Account([journalWith("traces", 118, [cursorWith("collector", totals, 0)])]);
  account.received("traces", 120);
  account.refused("traces", "invalid", 2);
  assert.deepEqual(account.equations().slice(0, 2), [
    "traces                received 120 = accepted 118 + refused 2 (invalid 2)   balanced",
    "traces -> collector   accepted 118 = delivered 110 + rejected 0 + quarantined 0 + dropped 8 (shutdown 7, expired 1) + queued 0   balanced",
  ]);
});

Deno.test("an equation that does not balance says so", () => {
  const account = new Account([]);
  account.received("metrics", 1);
  assert.match(account.equations().join("\n"), /^metrics .*received 1 = accepted 0 \+ refused 0 {3}NOT BALANCED$/m);
});

Deno.test("without a destination what was accepted is dropped for that reason, so that it does not vanish", () => {
  const account = new Account([journalWith("traces", 7, [])]);
  account.received("traces", 7);
  const [traces] = account.balance().signals;
  assert.equal(traces?.destinations[0]?.destination, NO_DESTINATION);
  assert.deepEqual(traces?.destinations[0]?.dropped, { no_destination: 7 });
  assert.equal(account.balance().balanced, true);
});

Deno.test("the account as JSON is the account", () => {
  const totals = { delivered: 2, rejected: { http_400: 1 }, quarantined: 0, dropped: {}, redelivered: 0 };
  const account = new Account([journalWith("traces", 3, [cursorWith("collector", totals, 0)])]);
  account.received("traces", 3);
  const balance = account.balance();
  assert.deepEqual(JSON.parse(JSON.stringify(balance)), balance);
});

function journalWith(signal: Signal, acceptedItems: number, cursors: readonly Cursor[]): Journal {
  return { signal, isDurable: false, acceptedItems, cursors } as unknown as Journal;
}

function cursorWith(name: string, totals: CursorTotals, items: number): Cursor {
  const queued: Queued = { items, bytes: items * 10, oldestReceivedAtMs: undefined };
  return { name, totals, queued } as Cursor;
}
