import assert from "node:assert/strict";
import { type Signal, SIGNALS } from "../../exporters/signal.ts";
import { startCollector } from "../../exporters/testing/collector.ts";
import { requestOf } from "../fakes/otlp_bytes.ts";
import { FakeClock } from "../fakes/clock.ts";
import { FakeDisk } from "../fakes/disk.ts";
import { sendSpans } from "../fakes/otlp_client.ts";
import { TemporaryFolder } from "../fakes/temporary_folder.ts";
import { started, until } from "../fakes/running_server.ts";

/** Requests of each signal while everything that is forwarded fails. */
const REQUEST_COUNT = 20;

// deno-fmt-ignore
const CREDENTIALS: [kind: string, setting: string, header: string, value: string, failure: number][] = [
  ["an API key",            "api-key=k-123",                  "api-key",       "k-123",        503],
  ["a bearer token",        "authorization=Bearer%20t0ken",   "authorization", "Bearer t0ken", 401],
  ["a user and a password", "authorization=Basic%20dTpwdw==", "authorization", "Basic dTpwdw==", 429],
];
for (const [kind, setting, header, value, failure] of CREDENTIALS) {
  Deno.test(`P2-10 all three signals are forwarded with ${kind}, and while each answer is ${failure} every request is still taken`, async () => {
    await using collector = await startCollector();
    collector.respond(failure);
    using folder = new TemporaryFolder();
    const clock = new FakeClock();
    const environment = {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: setting,
      BREAKWATER_DATA_DIR: folder.path,
    };
    await using server = await started(environment, { clock, sleep: clock.sleep, disk: new FakeDisk() });
    for (let request = 0; request < REQUEST_COUNT; request++) {
      for (const signal of SIGNALS) assert.equal(await send(server.otlpUrl!, signal), 200, `${signal} ${request}`);
    }
    await until(() => SIGNALS.every((signal) => collector.requests.some((request) => request.signal === signal)));
    assert.deepEqual(collector.items, { traces: 0, metrics: 0, logs: 0 });

    await collector.recover();
    const itemCount = 3 * REQUEST_COUNT;
    await until(() => SIGNALS.every((signal) => collector.items[signal] === itemCount), () => clock.advance(1000));
    for (const request of collector.requests) {
      assert.equal(request.path, `/v1/${request.signal}`);
      assert.equal(request.headers[header], value);
    }
    const { balanced, equations } = await server.drain();
    assert.ok(balanced, equations.join("\n"));
    assert.equal(equations.filter((line) => line.includes(`delivered ${itemCount} `)).length, SIGNALS.length);
  });
}

/** Three items of a signal. */
async function send(url: string, signal: Signal): Promise<number> {
  if (signal === "traces") return await sendSpans(url, 3);
  const headers = { "content-type": "application/x-protobuf" };
  const response = await fetch(`${url}/v1/${signal}`, { method: "POST", headers, body: requestOf(signal, 3) });
  await response.body?.cancel();
  return response.status;
}
