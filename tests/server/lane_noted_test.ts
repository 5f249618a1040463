import assert from "node:assert/strict";
import { Harbour } from "../fakes/harbour.ts";

Deno.test("P2-16 nothing is sent before the journal would know after a crash that it may have been", async () => {
  const harbour = new Harbour();
  const { cursor, transport } = harbour.berth("a");
  let note = () => {};
  cursor.noted = () => new Promise((resolve) => note = resolve);
  await harbour.receive([1, 2]);
  assert.deepEqual(transport.bodies, []);
  note();
  await harbour.advance(0);
  assert.deepEqual(transport.bodies, [[1, 2]]);
  assert.equal(harbour.balance("a").delivered, 2);
});
