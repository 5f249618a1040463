/**
 * The near end: sends one request after the other at an even pace, each with the moment at which it was sent, until its
 * standard input ends. Its first line says that it has begun, the second `{ accepted, refused }`.
 *
 * `deno run live_load.ts TARGET_URL BODY_FILE REQUESTS_A_SECOND`
 */

import { Buffer } from "node:buffer";
import { MARK } from "./mark.ts";

const [targetUrl = "", bodyPath = "", rate = "40"] = Deno.args;
const template = Buffer.from(await Deno.readFile(bodyPath));
const digits = template.indexOf(MARK) + MARK.length;
const counts = { accepted: 0, refused: 0 };
const out = new Set<Promise<void>>();

const timer = setInterval(() => {
  const sent = send();
  out.add(sent);
  void sent.finally(() => out.delete(sent));
}, 1000 / Number(rate));
console.log("sending");
await Deno.stdin.readable.pipeTo(new WritableStream());
clearInterval(timer);
await Promise.all(out);
console.log(JSON.stringify(counts));

async function send(): Promise<void> {
  const body = Buffer.from(template);
  body.write(String(Date.now()), digits, "latin1");
  const response = await fetch(`${targetUrl}/v1/traces`, {
    method: "POST",
    body,
    headers: { "content-type": "application/x-protobuf" },
  });
  await response.arrayBuffer();
  counts[response.ok ? "accepted" : "refused"]++;
}
