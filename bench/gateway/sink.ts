/**
 * The far end: reads each body, answers an empty 200, and tells how many bytes it has had: requests may have been
 * merged, bytes are the same.
 *
 * `deno run sink.ts` prints its URL as its first line; `GET /` answers the count.
 */

let byteCount = 0;
const server = Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`http://127.0.0.1:${port}`),
}, async (request) => {
  if (request.method === "GET") return new Response(String(byteCount));
  const { byteLength } = await request.arrayBuffer();
  byteCount += byteLength; // not before the wait: two requests would add to the same number
  return new Response(null, { headers: { "content-type": "application/x-protobuf" } });
});
Deno.addSignalListener("SIGTERM", async () => {
  await server.shutdown();
  Deno.exit(0);
});
