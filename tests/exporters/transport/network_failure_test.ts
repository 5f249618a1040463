import assert from "node:assert/strict";
import { networkFailure } from "../../../exporters/transport/network_failure.ts";

/** As Node's fetch reports: a TypeError around what the socket said. */
function node(code: string, message: string): TypeError {
  return new TypeError("fetch failed", { cause: Object.assign(new Error(message), { code }) });
}

const ring = new Error("round and round");
ring.cause = ring;
const both = new AggregateError([Object.assign(new Error("connect ECONNREFUSED ::1:4318"), { code: "ECONNREFUSED" })]);
const AT = "error sending request for url (http://u:s3cr3t@c:4318/?k=s3cr3t):";
const FROM = "error sending request from 127.0.0.1:5 for http://c:4318/?k=s3cr3t (127.0.0.1:4318):";

// deno-fmt-ignore
const failures: [string, unknown, boolean, string][] = [
  ["Deno: refused",          new TypeError(`${AT} client error (Connect): tcp connect error: Connection refused (os error 111)`), true, "client error (Connect): tcp connect error: Connection refused (os error 111)"],
  ["Deno: unresolved",       new TypeError(`${AT} client error (Connect): dns error: failed to lookup address information`), true, "client error (Connect): dns error: failed to lookup address information"],
  ["Deno: untrusted",        new TypeError(`${AT} client error (Connect): invalid peer certificate: UnknownIssuer`), true, "client error (Connect): invalid peer certificate: UnknownIssuer"],
  ["Deno: reset",            new TypeError(`${FROM} client error (SendRequest): connection closed before message completed`), false, "client error (SendRequest): connection closed before message completed"],
  ["Node: refused",          node("ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:4318"), true, "connect ECONNREFUSED 127.0.0.1:4318"],
  ["Node: refused twice",    new TypeError("fetch failed", { cause: both }), true, "connect ECONNREFUSED ::1:4318"],
  ["Node: unresolved",       node("ENOTFOUND", "getaddrinfo ENOTFOUND c"), true, "getaddrinfo ENOTFOUND c"],
  ["Node: untrusted",        node("DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed certificate"), true, "self-signed certificate"],
  ["Node: no TLS there",     node("ERR_SSL_PACKET_LENGTH_TOO_LONG", "packet length\ntoo long"), true, "packet length too long"],
  ["Node: connect timeout",  node("UND_ERR_CONNECT_TIMEOUT", "Connect Timeout Error"), true, "Connect Timeout Error"],
  ["Node: reset",            node("ECONNRESET", "read ECONNRESET"), false, "read ECONNRESET"],
  ["Node: closed",           node("UND_ERR_SOCKET", "other side closed"), false, "other side closed"],
  ["Bun: refused",           Object.assign(new Error("Unable to connect."), { code: "ConnectionRefused" }), true, "Unable to connect."],
  ["an address in it",       new Error("no luck with https://c/?k=s3cr3t today"), false, "no luck with (address) today"],
  ["a long one",             new Error("x".repeat(1_000)), false, "x".repeat(200)],
  ["a ring of causes",       ring, false, "round and round"],
  ["a string",               "gone", false, "gone"],
  ["nothing",                undefined, false, "unknown cause"],
  ["an object",              { message: 1, code: {} }, false, "unknown cause"],
];
for (const [what, error, neverSent, cause] of failures) {
  Deno.test(`E5 a failure is read as ${neverSent ? "never sent" : "perhaps received"}: ${what}`, () => {
    assert.deepEqual(networkFailure(error), { cause, neverSent });
  });
}
