/** Run on its own by `decode_request_test.ts`: what a gzip bomb costs a process, for each length that it may pretend to have, as JSON. */

import { Buffer } from "node:buffer";
import process from "node:process";
import { createGzip } from "node:zlib";
import { decodeRequest } from "../../server/decode_request.ts";

const MEBIBYTE = 1_048_576;
const LIMIT_BYTES = 16 * MEBIBYTE;

const bomb = await zeros(100);
const results = [0, 1000, bomb.length, LIMIT_BYTES, 100 * MEBIBYTE, 0xffff_ffff].map((promisedBytes) => {
  const body = Buffer.from(bomb);
  body.writeUInt32LE(promisedBytes, body.length - 4);
  const rssBefore = process.memoryUsage().rss;
  const request = { body, gzip: true, encoding: "protobuf", signal: "traces", sampleRatio: 1 } as const;
  const { outcome } = decodeRequest(request, LIMIT_BYTES);
  return { promisedBytes, outcome, rssGrowthMb: (process.memoryUsage().rss - rssBefore) / MEBIBYTE };
});
console.log(JSON.stringify({ bombBytes: bomb.length, results }));

/** That many mebibytes of zeros as gzip, made piece by piece: what is to be measured is not making them. */
async function zeros(mebibytes: number): Promise<Buffer> {
  const gzip = createGzip({ level: 9 });
  const pieces: Buffer[] = [];
  gzip.on("data", (piece) => pieces.push(piece));
  const ended = new Promise((resolve) => gzip.on("end", resolve));
  for (let index = 0; index < mebibytes; index++) {
    await new Promise((resolve) => gzip.write(new Uint8Array(MEBIBYTE), resolve));
  }
  gzip.end();
  await ended;
  return Buffer.concat(pieces);
}
