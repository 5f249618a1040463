import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type CollectedRequest, startCollector } from "../../exporters/testing/collector.ts";
import { skim } from "../../exporters/otlp/skim.ts";
import { concat, field, requestOf } from "../fakes/otlp_bytes.ts";
import { started, until } from "../fakes/running_server.ts";
import { TemporaryFolder } from "../fakes/temporary_folder.ts";

/** A request of logs that comes in. */
interface Incoming {
  readonly itemCount: number;
  /** Bytes that are in it besides. @default {1} */
  readonly extraBytes?: number;
  /** The servers that it came over. @default {none} */
  readonly hops?: string;
}

Deno.test("what waited on the disk is merged by putting bodies behind each other, byte for byte, also what nobody knows", async () => {
  const sent = await sentAfterRestart([1, 2, 3, 4, 5].map((itemCount) => ({ itemCount })));
  assert.deepEqual(sent, [{ itemCount: 15, recordCount: 5, hops: "" }]);
});

Deno.test("merged requests have at most 4 MiB", async () => {
  const large = { itemCount: 1, extraBytes: 1.5 * 2 ** 20 };
  const sent = await sentAfterRestart(Array.from({ length: 7 }, () => large));
  assert.deepEqual(sent.map(({ recordCount }) => recordCount), [2, 2, 2, 1]);
});

Deno.test("merged requests have at most 8192 items, and a larger one goes alone, as it came", async () => {
  const counts = [4000, 4000, 4000, 9000, 192, 8000];
  const sent = await sentAfterRestart(counts.map((itemCount) => ({ itemCount })));
  assert.deepEqual(sent.map(({ itemCount }) => itemCount), [8000, 4000, 9000, 8192]);
});

Deno.test("requests that came over different servers are not merged", async () => {
  const hops = [undefined, undefined, "x", "x", "x, y", undefined];
  const sent = await sentAfterRestart(hops.map((hops) => ({ itemCount: 1, hops })));
  assert.deepEqual(sent.map(({ itemCount, hops }) => [itemCount, hops]), [[2, ""], [2, "x"], [1, "x, y"], [1, ""]]);
});

/** A request that was sent on. */
interface Outgoing {
  readonly itemCount: number;
  /** How many requests it is made of. */
  readonly recordCount: number;
  /** The servers that it came over, but for ours. */
  readonly hops: string;
}

/**
 * Receives while nobody listens, ends, starts again, and says what was sent then, in the order of what was received.
 * Asserts that each is some of those bodies behind each other.
 */
async function sentAfterRestart(incoming: readonly Incoming[]): Promise<readonly Outgoing[]> {
  const bodies = incoming.map(bodyOf);
  const requests = await requestsAfterRestart(bodies.map((body, index) => ({ body, hops: incoming[index]!.hops })));
  const whole = concat(bodies);
  const ends = bodies.map((_, index) => concat(bodies.slice(0, index + 1)).length);
  const sent = requests.map(({ payload, headers }) => {
    const from = Buffer.from(whole.buffer).indexOf(payload);
    const to = from + payload.length;
    assert.ok(from === 0 || ends.includes(from), "what is sent begins where a body does");
    assert.ok(ends.includes(to), "and ends where a body does");
    const recordCount = ends.filter((end) => end > from && end <= to).length;
    const hops = headers["breakwater-hop"]!.split(", ").slice(0, -1).join(", ");
    return { from, itemCount: skim(payload, "logs").itemCount, recordCount, hops };
  });
  return sent.toSorted((a, b) => a.from - b.from).map(({ itemCount, recordCount, hops }) => ({
    itemCount,
    recordCount,
    hops,
  }));
}

async function requestsAfterRestart(
  received: readonly { readonly body: Uint8Array<ArrayBuffer>; readonly hops: string | undefined }[],
): Promise<readonly CollectedRequest[]> {
  using folder = new TemporaryFolder();
  await using collector = await startCollector();
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    BREAKWATER_DATA_DIR: folder.path,
    BREAKWATER_FAILURE_THRESHOLD: "1",
  };
  await collector.refuse();
  {
    await using server = await started(env);
    for (const { body, hops } of received) {
      const headers = {
        "content-type": "application/x-protobuf",
        ...(hops === undefined ? {} : { "breakwater-hop": hops }),
      };
      const response = await fetch(`${server.otlpUrl}/v1/logs`, { method: "POST", headers, body });
      await response.body?.cancel();
      assert.equal(response.status, 200);
    }
  }
  await collector.recover();
  await using _server = await started(env);
  const itemCount = received.reduce((sum, { body }) => sum + skim(body, "logs").itemCount, 0);
  await until(() => collector.items.logs === itemCount);
  return collector.requests;
}

/** Unlike all others, and with fields of a version to come. */
function bodyOf({ itemCount, extraBytes = 1 }: Incoming, index: number): Uint8Array<ArrayBuffer> {
  const extra = field(1000, new Uint8Array(extraBytes).fill(index + 1));
  return concat([requestOf("logs", itemCount), extra, field(1, field(77, Uint8Array.of(index)))]);
}
