/**
 * The near end: keeps CONCURRENCY requests of one body in flight for a while, then prints what was accepted.
 *
 * `deno run load.ts TARGET_URL BODY_FILE CONCURRENCY MILLISECONDS` prints `{ accepted, refused, elapsedMs }`.
 */

const [targetUrl = "", bodyPath = "", concurrency = "8", ms = "2500"] = Deno.args;
const body = await Deno.readFile(bodyPath);
const beganAtMs = performance.now();
let accepted = 0;
let refused = 0;

await Promise.all(Array.from({ length: Number(concurrency) }, async () => {
  while (performance.now() - beganAtMs < Number(ms)) {
    const response = await fetch(`${targetUrl}/v1/traces`, {
      method: "POST",
      body,
      headers: { "content-type": "application/x-protobuf" },
    });
    await response.arrayBuffer();
    if (response.ok) accepted++;
    else {
      refused++;
      // A full queue is back-pressure: a sender that ignores it would measure its own refusals.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}));
console.log(JSON.stringify({ accepted, refused, elapsedMs: performance.now() - beganAtMs }));
