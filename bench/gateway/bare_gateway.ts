/**
 * The baseline: as little as a gateway can do and still be one. It takes a request, counts its spans, checksums it,
 * appends it to a file that is synced every 100 ms, and forwards it, if there is a sink. No limits, no retry, no
 * breaker, no account, and what the sink refuses is gone: what Breakwater does beyond this is what the ratio prices.
 *
 * `deno run bare_gateway.ts FILE [SINK_URL]` prints its own URL as its first line.
 */

import { closeSync, fdatasync, ftruncateSync, openSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";

const SYNC_INTERVAL_MS = 100;
const FILE_BYTES_MAX = 128 * 1024 * 1024;
const HEADER_BYTES = 16;

const [path = "", sinkUrl] = Deno.args;
const file = openSync(path, "w");
const header = new Uint8Array(HEADER_BYTES);
const headerView = new DataView(header.buffer);
let offset = 0;
let dirty = false;

setInterval(() => {
  if (dirty) fdatasync(file, () => {});
  dirty = false;
}, SYNC_INTERVAL_MS);

const server = Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`http://127.0.0.1:${port}`),
}, async (request) => {
  const body = new Uint8Array(await request.arrayBuffer());
  append(body, spanCount(body));
  if (sinkUrl !== undefined) forward(body);
  return new Response(null, { headers: { "content-type": "application/x-protobuf" } });
});
Deno.addSignalListener("SIGTERM", async () => {
  await server.shutdown();
  closeSync(file);
  Deno.exit(0);
});

function forward(body: Uint8Array<ArrayBuffer>): void {
  fetch(`${sinkUrl}/v1/traces`, { method: "POST", body, headers: { "content-type": "application/x-protobuf" } })
    .then((response) => response.arrayBuffer())
    .catch(() => {});
}

function append(body: Uint8Array, count: number): void {
  if (offset > FILE_BYTES_MAX) {
    ftruncateSync(file, 0);
    offset = 0;
  }
  headerView.setUint32(0, body.length, true);
  headerView.setUint32(4, crc32(body), true);
  headerView.setUint32(8, count, true);
  offset += writeSync(file, header, 0, HEADER_BYTES, offset);
  offset += writeSync(file, body, 0, body.length, offset);
  dirty = true;
}

/** Spans of a request, by walking lengths three levels deep: resource_spans 1, scope_spans 2, spans 2. */
function spanCount(body: Uint8Array): number {
  let count = 0;
  let at = 0;
  walk(body.length, 0);
  return count;

  function walk(end: number, depth: number): void {
    while (at < end) {
      const key = varint();
      const wireType = key & 7;
      if (wireType === 2) {
        const length = varint();
        const enters = (depth === 0 && key === 0x0a) || (depth === 1 && key === 0x12);
        if (enters) walk(at + length, depth + 1);
        else at += length;
        if (depth === 2 && key === 0x12) count++;
      } else if (wireType === 0) varint();
      else at += wireType === 1 ? 8 : 4;
    }
  }

  function varint(): number {
    let value = 0;
    for (let factor = 1;; factor *= 128) {
      const byte = body[at++]!;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  }
}
