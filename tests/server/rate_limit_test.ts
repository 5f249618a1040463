import assert from "node:assert/strict";
import { parseAddressRange, parseIp } from "../../server/address.ts";
import { clientAddress, RateLimit, type RateLimitOptions, type RateVerdict } from "../../server/rate_limit.ts";
import { FakeClock } from "../fakes/clock.ts";

const TEN_A_MINUTE = { count: 10, periodSeconds: 60 } as const;

Deno.test("P1-12 ten requests a minute pass, the eleventh is told when to come back, other clients are not affected", async () => {
  await underFakeTime({ rate: TEN_A_MINUTE }, async ({ limit, advance }) => {
    assert.deepEqual(await verdicts(limit, "192.0.2.1", 10), Array(10).fill({ allowed: true }));
    await advance(20_500);
    assert.deepEqual(await consume(limit, "192.0.2.1"), { allowed: false, retryAfterSeconds: 40 });
    assert.deepEqual(await consume(limit, "192.0.2.2"), { allowed: true });
  });
});

Deno.test("P1-12 a client passes again when its minute has ended, not a millisecond earlier", async () => {
  await underFakeTime({ rate: TEN_A_MINUTE }, async ({ limit, advance }) => {
    await verdicts(limit, "192.0.2.1", 11);
    await advance(59_999);
    assert.deepEqual(await consume(limit, "192.0.2.1"), { allowed: false, retryAfterSeconds: 1 });
    await advance(1);
    assert.deepEqual(await consume(limit, "192.0.2.1"), { allowed: true });
    assert.deepEqual((await verdicts(limit, "192.0.2.1", 10)).at(-1), { allowed: false, retryAfterSeconds: 60 });
  });
});

Deno.test("P1-12 the rate is a setting: five an hour, or none at all", async () => {
  await underFakeTime({ rate: { count: 5, periodSeconds: 3600 } }, async ({ limit }) => {
    assert.deepEqual((await verdicts(limit, "::1", 6)).map(({ allowed }) => allowed), [
      true,
      true,
      true,
      true,
      true,
      false,
    ]);
  });
  const unlimited = new RateLimit({ rate: "off" });
  assert.ok((await verdicts(unlimited, "::1", 1000)).every(({ allowed }) => allowed));
  assert.equal(unlimited.clientCount, 0);
});

Deno.test("P1-12 trusted scrapers are never limited, and loopback is not one of them unless it is named", async () => {
  const trusted = [parseAddressRange("10.0.0.0/8")!];
  await underFakeTime({ rate: TEN_A_MINUTE, trusted }, async ({ limit }) => {
    assert.ok((await verdicts(limit, "10.1.2.3", 100)).every(({ allowed }) => allowed));
    assert.ok((await verdicts(limit, "::ffff:10.1.2.3", 100)).every(({ allowed }) => allowed));
    assert.equal((await verdicts(limit, "127.0.0.1", 11)).at(-1)?.allowed, false);
  });
});

Deno.test("P1-12 all addresses of an IPv6 /64 are one client, and a mapped IPv4 address is that IPv4 address", async () => {
  await underFakeTime({ rate: TEN_A_MINUTE }, async ({ limit }) => {
    for (let host = 1; host <= 10; host++) assert.ok((await consume(limit, `2001:db8:0:1::${host}`)).allowed);
    assert.equal((await consume(limit, "2001:db8:0:1:ffff::1")).allowed, false);
    assert.equal((await consume(limit, "2001:db8:0:2::1")).allowed, true);
    await verdicts(limit, "192.0.2.1", 10);
    assert.equal((await consume(limit, "::ffff:192.0.2.1")).allowed, false);
  });
});

Deno.test("P1-12 requests without an address are one client", async () => {
  await underFakeTime({ rate: TEN_A_MINUTE }, async ({ limit }) => {
    for (let request = 0; request < 10; request++) assert.ok((await limit.consume(undefined)).allowed);
    assert.equal((await limit.consume(undefined)).allowed, false);
  });
});

Deno.test("P1-12 beyond the bound clients share buckets; those who are remembered are not affected", async () => {
  await underFakeTime({ rate: TEN_A_MINUTE, clientCountMax: 3, seed: 7 }, async ({ limit, advance }) => {
    for (const host of [1, 2, 3]) await consume(limit, `192.0.2.${host}`);
    // Ten requests of each of many strangers fill every shared bucket.
    for (let host = 0; host < 5000; host++) await verdicts(limit, `198.51.${host >> 8}.${host & 255}`, 10);
    assert.equal(limit.clientCount, 3);
    assert.equal(
      (await consume(limit, "203.0.113.9")).allowed,
      false,
      "a stranger shares a bucket that others have emptied",
    );
    assert.deepEqual((await verdicts(limit, "192.0.2.2", 10)).map(({ allowed }) => allowed), [
      ...Array(9).fill(true),
      false,
    ]);
    await advance(60_000);
    assert.equal((await consume(limit, "203.0.113.9")).allowed, true);
    assert.equal(limit.clientCount, 1, "a stranger is remembered as soon as there is room");
  });
});

Deno.test("P1-12 a stranger beyond the bound is let in by its bucket, ten times a minute as anybody", async () => {
  await underFakeTime({ rate: TEN_A_MINUTE, clientCountMax: 1 }, async ({ limit, advance }) => {
    await consume(limit, "192.0.2.1");
    assert.deepEqual(await verdicts(limit, "198.51.100.1", 10), Array(10).fill({ allowed: true }));
    await advance(30_000);
    assert.deepEqual(await consume(limit, "198.51.100.1"), { allowed: false, retryAfterSeconds: 30 });
    assert.equal(limit.clientCount, 1);
  });
});

Deno.test("P1-12 100 000 addresses leave 10 000 remembered clients and at most 20 MB more memory", async () => {
  const script = new URL("./rate_limit_memory.ts", import.meta.url).pathname;
  // A process of its own: here other tests share the memory.
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["run", "--quiet", script] }).output();
  const { clientCount, rssGrowthMb } = JSON.parse(new TextDecoder().decode(stdout));
  assert.equal(clientCount, 10_000);
  assert.ok(rssGrowthMb <= 20, `the process grew by ${rssGrowthMb} MB`);
});

// deno-fmt-ignore
const FORWARDED: [peer: string, header: string | undefined, client: string | undefined, why: string][] = [
  ["203.0.113.9", undefined,                              "203.0.113.9",  "there is no proxy"],
  ["203.0.113.9", "192.0.2.1",                            "203.0.113.9",  "a peer that is no trusted proxy is not believed"],
  ["10.0.0.1",    "192.0.2.1",                            "192.0.2.1",    "a trusted proxy is believed"],
  ["10.0.0.1",    "127.0.0.1, 192.0.2.1",                 "192.0.2.1",    "what the client wrote itself proves nothing"],
  ["10.0.0.1",    "192.0.2.1, 10.0.0.2",                  "192.0.2.1",    "a second trusted proxy is passed over"],
  ["10.0.0.1",    "192.0.2.1, 203.0.113.9, 10.0.0.2",     "203.0.113.9",  "a proxy that is not trusted is the client"],
  ["10.0.0.1",    "10.0.0.3,10.0.0.2",                    "10.0.0.3",     "proxies alone: the first of them asked"],
  ["10.0.0.1",    "192.0.2.1:5678",                       "192.0.2.1",    "a port is left out"],
  ["10.0.0.1",    "[2001:db8::1]:5678",                   "2001:db8::1",  "a port is left out of IPv6"],
  ["10.0.0.1",    "192.0.2.1, unknown",                   "10.0.0.1",     "what cannot be read ends the search"],
  ["10.0.0.1",    "",                                     "10.0.0.1",     "an empty header says nothing"],
  ["::ffff:10.0.0.1", "192.0.2.1",                        "192.0.2.1",    "a mapped peer is the proxy it maps"],
  ["nobody",      "192.0.2.1",                            undefined,      "an unreadable peer is nobody"],
];
for (const [peer, header, client, why] of FORWARDED) {
  Deno.test(`P1-12 X-Forwarded-For ${JSON.stringify(header)} from ${peer}: ${why}`, () => {
    const address = clientAddress(peer, header, [parseAddressRange("10.0.0.0/8")!]);
    assert.deepEqual(address, client === undefined ? undefined : parseIp(client));
  });
}

interface World {
  readonly limit: RateLimit;
  readonly advance: (ms: number) => Promise<void>;
}

/** A limiter whose time a test moves. */
async function underFakeTime(options: RateLimitOptions, body: (world: World) => Promise<void>): Promise<void> {
  const clock = new FakeClock();
  await body({ limit: new RateLimit({ ...options, clock }), advance: (ms) => clock.advance(ms) });
}

function consume(limit: RateLimit, address: string): Promise<RateVerdict> {
  return limit.consume(parseIp(address));
}

async function verdicts(limit: RateLimit, address: string, count: number): Promise<readonly RateVerdict[]> {
  const all: RateVerdict[] = [];
  for (let request = 0; request < count; request++) all.push(await consume(limit, address));
  return all;
}
