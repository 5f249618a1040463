import assert from "node:assert/strict";
import fc from "fast-check";
import {
  addressKey,
  isLoopback,
  isLoopbackHost,
  isUnspecified,
  isWithin,
  parseAddressRange,
  parseIp,
} from "../../server/address.ts";

// deno-fmt-ignore
const KEYS: [written: string, key: string | undefined][] = [
  ["127.0.0.1",              "127.0.0.1"],
  ["::ffff:127.0.0.1",       "127.0.0.1"],
  ["::FFFF:7f00:1",          "127.0.0.1"],
  ["[::ffff:10.1.2.3]",      "10.1.2.3"],
  ["::1",                    "00000000000000000000000000000001"],
  ["[::1]",                  "00000000000000000000000000000001"],
  ["::",                     "00000000000000000000000000000000"],
  ["2001:db8::7",            "20010db8000000000000000000000007"],
  ["fe80::1%eth0",           "fe800000000000000000000000000001"],
  ["1:2:3:4:5:6:7::",        "00010002000300040005000600070000"],
  ["64:ff9b::192.0.2.33",    "0064ff9b0000000000000000c0000221"],
  ["1:2:3:4:5:6:7:8",        "00010002000300040005000600070008"],
  ["1:2:3:4:5:6:7",          undefined],
  ["1:2:3:4:5:6:7:8::",      undefined],
  ["1::2::3",                undefined],
  [":::",                    undefined],
  [":1",                     undefined],
  ["12345::",                undefined],
  ["127.0.0.01",             undefined],
  ["127.0.0.256",            undefined],
  ["127.1",                  undefined],
  ["2130706433",             undefined],
  ["localhost",              undefined],
  ["",                       undefined],
];
for (const [written, key] of KEYS) {
  Deno.test(`the address ${JSON.stringify(written)} ${key === undefined ? "is none" : `is ${key}`}`, () => {
    const address = parseIp(written);
    assert.equal(address && addressKey(address), key);
  });
}

Deno.test("an IPv6 address that a URL accepts is read as the URL reads it", () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const url = new URL(`http://[${text}]`);
      const address = parseIp(text);
      assert.ok(address !== undefined, text);
      assert.deepEqual(address, parseIp(url.hostname));
    }),
    { numRuns: 500 },
  );
});

// deno-fmt-ignore
const RANGES: [range: string, address: string, inside: boolean][] = [
  ["10.0.0.0/8",            "10.255.0.1",          true],
  ["10.0.0.0/8",            "11.0.0.1",            false],
  ["192.0.2.128/25",        "192.0.2.127",         false],
  ["192.0.2.128/25",        "192.0.2.200",         true],
  ["192.0.2.7",             "192.0.2.7",           true],
  ["192.0.2.7",             "::ffff:192.0.2.7",    true],
  ["::ffff:192.0.2.0/120",  "192.0.2.9",           true],
  ["0.0.0.0/0",             "203.0.113.9",         true],
  ["0.0.0.0/0",             "2001:db8::1",         false],
  ["::/0",                  "2001:db8::1",         true],
  ["2001:db8::/33",         "2001:db8:7fff::1",    true],
  ["2001:db8::/33",         "2001:db8:8000::1",    false],
];
for (const [range, address, inside] of RANGES) {
  Deno.test(`${address} is ${inside ? "inside" : "outside"} ${range}`, () => {
    const parsed = parseAddressRange(range);
    assert.ok(parsed);
    assert.equal(isWithin(parseIp(address)!, [parsed]), inside);
  });
}

for (
  const wrong of ["10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8/8", "::/129", "::ffff:1.2.3.4/95", "home/8"]
) {
  Deno.test(`${wrong} is no range of addresses`, () => assert.equal(parseAddressRange(wrong), undefined));
}

Deno.test("loopback and unspecified addresses are told from others, however they are written", () => {
  for (const loopback of ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1", "LOCALHOST", "localhost."]) {
    assert.ok(isLoopbackHost(loopback), loopback);
  }
  for (const other of ["128.0.0.1", "::2", "1::1", "localhost.example", "notlocalhost", "0.0.0.0", "127.1"]) {
    assert.ok(!isLoopbackHost(other), other);
  }
  assert.ok(isUnspecified(parseIp("0.0.0.0")!) && isUnspecified(parseIp("::")!));
  assert.ok(!isUnspecified(parseIp("::1")!) && !isLoopback(parseIp("::")!));
});
