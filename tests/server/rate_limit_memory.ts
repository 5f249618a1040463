/** Run on its own by `rate_limit_test.ts`: what 100 000 addresses cost a process, as JSON. */

import process from "node:process";
import { RateLimit } from "../../server/rate_limit.ts";

const ADDRESS_COUNT = 100_000;

const limit = new RateLimit({ rate: { count: 10, periodSeconds: 60 } });
// A server that has run for a while: what the engine takes for its nursery is not what clients cost.
for (let round = 0; round < 300; round++) await ask(0, 100);
const rssBefore = process.memoryUsage().rss;
await ask(10, ADDRESS_COUNT);
const rssAfter = process.memoryUsage().rss;
console.log(JSON.stringify({ clientCount: limit.clientCount, rssGrowthMb: (rssAfter - rssBefore) / 2 ** 20 }));

async function ask(network: number, count: number): Promise<void> {
  for (let client = 0; client < count; client++) {
    await limit.consume(Uint8Array.of(network, client >> 16, client >> 8 & 255, client & 255));
  }
}
