import assert from "node:assert/strict";
import { Hono } from "hono";
import { ownHostsOnly } from "../../server/access.ts";

const app = new Hono();
app.use(ownHostsOnly(["ops.example", "192.0.2.7", "2001:db8::7"]));
app.get("/", (context) => context.text("in"));

// deno-fmt-ignore
const HOSTS: [host: string, status: 200 | 421][] = [
  ["localhost",              200],
  ["localhost:9464",         200],
  ["LocalHost.:9464",        200],
  ["127.0.0.1:9464",         200],
  ["127.8.9.10",             200],
  ["[::1]:9464",             200],
  ["[::ffff:127.0.0.1]",     200],
  ["ops.example",            200],
  ["OPS.example.:443",       200],
  ["192.0.2.7:9464",         200],
  ["[2001:DB8:0::7]:9464",   200],
  ["evil.example",           421],
  ["evil.example:9464",      421],
  ["localhost.evil.example", 421],
  ["localhost:9464.evil.example", 421],
  ["localhost@evil.example", 421],
  ["127.0.0.1.evil.example", 421],
  ["sub.ops.example",        421],
  ["192.0.2.8",              421],
  ["0.0.0.0:9464",           421],
  ["2130706433",             421],
  ["localhost:",             421],
  ["[::1",                   421],
];
for (const [host, status] of HOSTS) {
  Deno.test(`a request for the host ${JSON.stringify(host)} is answered with ${status}`, async () => {
    const response = await app.request("/", { headers: { host } });
    assert.equal(response.status, status);
    if (status === 421) await assertProblem(response, "Misdirected Request");
  });
}

Deno.test("a request without a Host, as HTTP/1.0 allows, is judged by the address that it was sent to", async () => {
  assert.equal((await app.request("http://127.0.0.1:9464/")).status, 200);
  assert.equal((await app.request("http://192.0.2.9:9464/")).status, 421);
});

// deno-fmt-ignore
const ORIGINS: [headers: Record<string, string>, status: 200 | 403][] = [
  [{},                                                           200],
  [{ origin: "http://localhost:9464" },                          200],
  [{ origin: "http://LOCALHOST:9464" },                          200],
  [{ origin: "http://localhost:3000" },                          403],
  [{ origin: "http://127.0.0.1:9464" },                          403],
  [{ origin: "https://evil.example" },                           403],
  [{ origin: "null" },                                           403],
  [{ origin: "" },                                               403],
  [{ origin: "file://" },                                        403],
  [{ origin: "https://ops.example", host: "ops.example" },       200],
  [{ origin: "https://ops.example", host: "ops.example:443" },   200],
  [{ origin: "http://ops.example", host: "ops.example:443" },    403],
  [{ "sec-fetch-site": "same-origin" },                          200],
  [{ "sec-fetch-site": "none" },                                 200],
  [{ "sec-fetch-site": "cross-site" },                           403],
  [{ "sec-fetch-site": "cross-site", origin: "http://localhost:9464" }, 403],
];
for (const [headers, status] of ORIGINS) {
  Deno.test(`a request with ${JSON.stringify(headers)} is answered with ${status}`, async () => {
    const response = await app.request("/", { headers: { host: "localhost:9464", ...headers } });
    assert.equal(response.status, status);
    if (status === 403) await assertProblem(response, "Forbidden");
  });
}

async function assertProblem(response: Response, title: string): Promise<void> {
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  const { detail, ...rest } = await response.json();
  assert.deepEqual(rest, { type: "about:blank", title, status: response.status });
  assert.match(detail, /\.$/);
}
