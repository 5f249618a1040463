import assert from "node:assert/strict";
import type { ExportObserver } from "../../exporters/export_observer.ts";
import { isolatedObserver, REPORT_INTERVAL_MS } from "../../exporters/isolation.ts";
import { FakeClock, settle } from "../fakes/clock.ts";

const ATTEMPT = { signal: "traces", itemCount: 1, durationMs: 1, succeeded: true } as const;
const DROP = { signal: "traces", itemCount: 1, reason: "circuit_open" } as const;
const TRANSITION = { name: "traces", from: "closed", to: "open" } as const;

Deno.test("P1-11 a throwing registry is reported once a minute for each metric, and affects nothing", async () => {
  const clock = new FakeClock();
  const reports: string[] = [];
  const registry = () => {
    throw new Error("registry");
  };
  const observer = isolatedObserver(
    { attempted: registry, dropped: registry, transitioned: registry },
    (message, error) => reports.push(`${clock.nowMs()} ${message}: ${(error as Error).message}`),
    clock,
  );
  for (let second = 0; second <= 61; second++) {
    observer.attempted(ATTEMPT);
    observer.dropped(DROP);
    if (second === 30) observer.transitioned(TRANSITION);
    await clock.advance(1_000);
  }
  const failed = (atMs: number, member: string) =>
    `${atMs} An export observer failed in "${member}"; the export is not affected: registry`;
  assert.deepEqual(reports, [
    failed(0, "attempted"),
    failed(0, "dropped"),
    failed(30_000, "transitioned"),
    failed(REPORT_INTERVAL_MS, "attempted"),
    failed(REPORT_INTERVAL_MS, "dropped"),
  ]);
});

Deno.test("P1-11 an observer that rejects later is caught as one that throws, and a missing member is no mistake", async () => {
  const reports: unknown[] = [];
  const late = (() => Promise.reject(new Error("late"))) as () => void;
  const observer = isolatedObserver({ attempted: late }, (_, error) => reports.push(error), new FakeClock());
  observer.attempted(ATTEMPT);
  observer.dropped(DROP);
  await settle();
  assert.equal(reports.length, 1);
});

Deno.test("an observer is called on itself, with what happened", () => {
  class Counting implements ExportObserver {
    items = 0;
    attempted({ itemCount }: { itemCount: number }): void {
      this.items += itemCount;
    }
  }
  const counting = new Counting();
  isolatedObserver(counting, () => assert.fail("nothing failed")).attempted(ATTEMPT);
  assert.equal(counting.items, 1);
});
