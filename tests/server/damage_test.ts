/** What a server makes of a damaged data folder, seen from outside. The journal's own tests try every byte. */

import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import {
  decodeRecordHead,
  decodeSegmentHeader,
  pointAfter,
  type RecordHead,
  SEGMENT_HEADER_BYTES,
} from "../../exporters/journal/format.ts";
import { startCollector } from "../../exporters/testing/collector.ts";
import { accountAt, assertBalanced } from "../fakes/metrics_account.ts";
import { sendSpans } from "../fakes/otlp_client.ts";
import { started, until } from "../fakes/running_server.ts";
import { TemporaryFolder } from "../fakes/temporary_folder.ts";

const REQUEST_COUNT = 8;

/** The folder of the server's traces, with a record of as many spans as its number, from 1 on, and what is done to it. */
class DamagedFolder {
  readonly segment: string;
  readonly slots: readonly string[];
  readonly heads: readonly RecordHead[];

  constructor(readonly path: string) {
    const names = readdirSync(path);
    this.segment = `${path}/${names.find((name) => name.endsWith(".segment"))}`;
    this.slots = names.filter((name) => /\.(cursor|slots)$/.test(name)).map((name) => `${path}/${name}`);
    const bytes = readFileSync(this.segment);
    const { salt } = decodeSegmentHeader(bytes)!;
    const heads: RecordHead[] = [];
    for (let at = SEGMENT_HEADER_BYTES; at < bytes.length;) {
      const head = decodeRecordHead(bytes.subarray(at), salt)!;
      heads.push(head);
      at = SEGMENT_HEADER_BYTES + pointAfter(head).position;
    }
    this.heads = heads;
  }

  flip(path: string, offset: number): void {
    const bytes = readFileSync(path);
    bytes[offset] ^= 0x10;
    writeFileSync(path, bytes);
  }

  /** Where a record stands in the segment. */
  offsetOf(id: number): number {
    return SEGMENT_HEADER_BYTES + this.heads[id - 1].at.position;
  }
}

const damages: readonly { name: string; inflict(folder: DamagedFolder): void; lost: readonly number[] }[] = [
  { name: "a flipped byte in the third record", inflict: (f) => f.flip(f.segment, f.offsetOf(3) + 90), lost: [3] },
  { name: "a flipped byte in the head of the fifth", inflict: (f) => f.flip(f.segment, f.offsetOf(5) + 30), lost: [5] },
  { name: "a flipped byte in the segment's header", inflict: (f) => f.flip(f.segment, 9), lost: [] },
  { name: "a cut in the sixth record", inflict: (f) => truncateSync(f.segment, f.offsetOf(6) + 70), lost: [6, 7, 8] },
  { name: "no segment", inflict: (f) => rmSync(f.segment), lost: [1, 2, 3, 4, 5, 6, 7, 8] },
  { name: "a flipped byte in each first slot", inflict: (f) => f.slots.forEach((path) => f.flip(path, 30)), lost: [] },
  {
    name: "no cursor",
    inflict: (f) => f.slots.filter((p) => p.endsWith(".cursor")).forEach((p) => rmSync(p)),
    lost: [],
  },
  {
    name: "garbage beside it, and a flipped byte in the second record",
    inflict: (f) => {
      writeFileSync(`${f.path}/000000000077.segment`, "garbage");
      mkdirSync(`${f.path}/somebody-0000000000000000.cursor`);
      f.flip(f.segment, f.offsetOf(2));
    },
    lost: [2],
  },
];

for (const { name, inflict, lost } of damages) {
  Deno.test(`P2-16 with ${name} the server starts, delivers the rest, and counts what is lost to the item`, async () => {
    using folder = new TemporaryFolder();
    await using collector = await startCollector();
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      BREAKWATER_DATA_DIR: folder.path,
      BREAKWATER_METRICS_RATE_LIMIT: "off",
      BREAKWATER_DRAIN_TIMEOUT_MS: "100",
    };
    await collector.refuse();
    {
      await using server = await started(env);
      for (let count = 1; count <= REQUEST_COUNT; count++) assert.equal(await sendSpans(server.otlpUrl!, count), 200);
    }
    inflict(new DamagedFolder(`${folder.path}/journal/0/traces`));
    await collector.recover();
    const accepted = REQUEST_COUNT * (REQUEST_COUNT + 1) / 2;
    const corrupt = lost.reduce((sum, id) => sum + id, 0);
    for (const start of ["first", "second"]) {
      await using server = await started(env);
      let account = await accountAt(server.adminUrl!);
      assertBalanced(account.values());
      await until(async () => {
        account = await accountAt(server.adminUrl!);
        return account.get("traces -> upstream")!.parts.queued === 0;
      });
      assertBalanced(account.values());
      const { whole, parts, reasons } = account.get("traces -> upstream")!;
      assert.deepEqual(
        { whole, delivered: parts.delivered },
        { whole: accepted, delivered: accepted - corrupt },
        start,
      );
      assert.deepEqual(reasons, corrupt === 0 ? {} : { "dropped corrupt": corrupt }, start);
      assert.equal(collector.items.traces, accepted - corrupt, start);
    }
  });
}
