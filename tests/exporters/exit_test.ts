/** A program ends when its own work is done, whatever its telemetry is doing. */

import assert from "node:assert/strict";

const EXPORTERS = new URL("../../exporters/mod.ts", import.meta.url).href;

const HANGS = "{ export: () => {}, forceFlush: () => new Promise(() => {}), shutdown: () => new Promise(() => {}) }";

Deno.test("P1-14 a program ends with its own exit code and a silent stderr while export, flush and shutdown hang", async () => {
  const { code, stderr } = await run(`
    import { CircuitBreakerSpanExporter } from ${JSON.stringify(EXPORTERS)};
    const exporter = new CircuitBreakerSpanExporter(${HANGS}, { exportTimeoutMs: 3_600_000 });
    exporter.export([{}], () => {});
    exporter.forceFlush();
    exporter.shutdown();
    globalThis.addEventListener("unload", () => { Deno.exitCode = 7; });
  `);
  assert.equal(stderr, "");
  assert.equal(code, 7);
});

async function run(program: string): Promise<{ code: number; stderr: string }> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", program],
    cwd: new URL("../..", import.meta.url),
    env: { NO_COLOR: "1" },
    signal: AbortSignal.timeout(20_000), // A program that waits for the hour to pass is killed, and has no exit code of its own.
  }).output();
  return { code: output.code, stderr: new TextDecoder().decode(output.stderr) };
}
