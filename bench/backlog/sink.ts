/**
 * The far end, away at first: it refuses every body with 503 until it is opened. Then it answers an empty 200, counts
 * bytes, and looks in each body for the moments at which live requests were sent.
 *
 * `deno run sink.ts` prints its URL as its first line; `POST /open` opens it; `GET /` answers what it has had.
 */

import { Buffer } from "node:buffer";
import { MARK, MARK_DIGITS, type SinkReport } from "./mark.ts";

const report: { -readonly [Name in keyof SinkReport]: SinkReport[Name] } = { bytes: 0, firstAtMs: 0, live: [] };
let isOpen = false;

const server = Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`http://127.0.0.1:${port}`),
}, async (request) => {
  const path = new URL(request.url).pathname;
  if (request.method === "GET") return Response.json(report);
  const body = Buffer.from(await request.arrayBuffer());
  if (path === "/open") isOpen = true;
  else if (isOpen) receive(body);
  else return new Response(null, { status: 503 });
  return new Response(null, { headers: { "content-type": "application/x-protobuf" } });
});
Deno.addSignalListener("SIGTERM", async () => {
  await server.shutdown();
  Deno.exit(0);
});

function receive(body: Buffer): void {
  const nowMs = Date.now();
  if (report.bytes === 0) report.firstAtMs = nowMs;
  report.bytes += body.length;
  for (let at = body.indexOf(MARK); at >= 0; at = body.indexOf(MARK, at + 1)) {
    const digits = at + MARK.length;
    const sentAtMs = Number(body.toString("latin1", digits, digits + MARK_DIGITS));
    report.live.push([sentAtMs, nowMs - sentAtMs]);
  }
}
