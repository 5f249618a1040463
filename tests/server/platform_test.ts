import assert from "node:assert/strict";
import { serveHttp } from "../../server/platform.ts";

Deno.test("closing a listener waits for a request in flight", async () => {
  const { listener, request, give } = await withRequestInFlight();
  const closed = listener.close(60_000);
  give(new Response("late but here"));
  assert.equal(await (await request).text(), "late but here");
  await closed;
});

Deno.test("closing a listener does not wait for a request that hangs, and nothing throws behind its back", async () => {
  const { listener, request, give } = await withRequestInFlight();
  await listener.close(1);
  give(new Response("left behind"));
  assert.equal(await (await request).text(), "left behind");
  await assert.rejects(fetch(`http://127.0.0.1:${listener.address.port}/`));
});

/** A listener with one request that is answered when the test gives the answer. */
async function withRequestInFlight() {
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const { promise: answer, resolve: give } = Promise.withResolvers<Response>();
  const listener = serveHttp({ host: "127.0.0.1", port: 0 }, () => {
    ask();
    return answer;
  });
  const request = fetch(`http://127.0.0.1:${listener.address.port}/`);
  await asked;
  return { listener, request, give };
}
