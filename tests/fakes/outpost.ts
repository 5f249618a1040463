import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { DiskJournal } from "../../exporters/journal/disk_journal.ts";
import type { AppendAnswer, OnFull } from "../../exporters/journal/journal.ts";
import { RECORD_HEAD_BYTES } from "../../exporters/journal/format.ts";
import type { SendAnswer } from "../../exporters/transport/transport.ts";
import type { DestinationBalance, SignalBalance } from "../../server/account.ts";
import { AwaitedDisk } from "./awaited_disk.ts";
import type { Script, Sent } from "./backend.ts";
import { FakeClock } from "./clock.ts";
import { type Berth, Harbour, type HarbourOptions } from "./harbour.ts";
import { TemporaryFolder } from "./temporary_folder.ts";

/** Bytes of a payload: its number, and what makes it long enough to fill a segment soon. */
const PAYLOAD_BYTES = 64;

/** Bytes of one segment: a few records fill it. */
const SEGMENT_BYTES = 1024;

/** One destination. */
export interface Shore {
  readonly name: string;
  readonly onFull: OnFull;
  /** Changed by the test as the story goes on. */
  script: Script;
  /** The numbers of the records that it was sent and took, in its order. */
  readonly delivered: number[];
}

/** How an outpost is made. */
export interface OutpostOptions extends HarbourOptions {
  readonly shores: readonly Shore[];
  /** How many records may wait at each cursor. */
  readonly recordCountMax: number;
}

/**
 * A journal in a real folder with a lane to each destination, through any number of lives, in time that is moved by
 * hand. Records have one item each, and a number.
 */
export class Outpost implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly #options: OutpostOptions;
  readonly #folder = new TemporaryFolder();
  readonly #disk = new AwaitedDisk();
  #life: { readonly journal: DiskJournal; readonly harbour: Harbour; readonly berths: readonly Berth[] } | undefined;
  #receivedCount = 0;

  constructor(options: OutpostOptions) {
    this.#options = options;
  }

  /** Begins a life on what the one before has left. */
  async start(): Promise<void> {
    const { clock } = this;
    const { shores, recordAgeMaxMs } = this.#options;
    const journal = await DiskJournal.open("traces", {
      folder: `${this.#folder.path}/journal`,
      bytesMax: this.#bytesMax,
      segmentBytesMax: SEGMENT_BYTES,
      recordAgeMaxMs,
      fsync: "never",
      disk: this.#disk.disk,
      clock,
      sleep: clock.sleep,
    });
    const harbour = new Harbour({ ...this.#options, isDurable: true }, clock, journal);
    harbour.account.received("traces", journal.acceptedItems);
    const berths = shores.map((shore) => harbour.berth(shore.name, (sent) => landed(shore, sent), shore.onFull));
    this.#life = { journal, harbour, berths };
    await this.advance(0);
  }

  /** Ends the life in good order: what is left stays in the folder. */
  async end(): Promise<void> {
    if (this.#life === undefined) return;
    const { journal, berths } = this.#life;
    const ended = Promise.all(berths.map(({ lane }) => lane.drain(DRAIN_MS))).then(() => journal.close());
    let hasEnded = false;
    void ended.then(() => hasEnded = true);
    for (let second = 0; second < 2 * DRAIN_MS / 1000 && !hasEnded; second++) await this.advance(1000);
    await ended;
    this.#life = undefined;
  }

  /** A record comes in. @returns Its number, and what its sender was told. */
  async receive(): Promise<{ readonly number: number; readonly answer: AppendAnswer }> {
    const number = this.#receivedCount++;
    const payload = new Uint8Array(PAYLOAD_BYTES);
    new DataView(payload.buffer).setUint32(0, number);
    const { account, journal } = this.#life!.harbour;
    account.received("traces", 1);
    const answer = await journal.append({ payload, itemCount: 1, receivedAtMs: this.clock.wallMs(), hops: "" });
    if (answer !== "appended") account.refused("traces", answer, 1);
    return { number, answer };
  }

  /**
   * Moves time from one thing that is due to the next, and lets the disk keep up.
   *
   * @param stepMs Time is not moved by less: days go by sooner, and what is due more often is late.
   */
  async advance(ms: number, stepMs = 0): Promise<void> {
    await this.#life?.harbour.advance(0);
    for (let leftMs = ms;;) {
      await this.#disk.atRest();
      if (leftMs <= 0) return;
      const movedMs = Math.min(leftMs, Math.max(stepMs, this.clock.nextWakeInMs));
      await this.clock.leap(movedMs);
      leftMs -= movedMs;
    }
  }

  /** The account of the signal in this life; every equation in it is asserted. */
  get account(): SignalBalance {
    const { account } = this.#life!.harbour;
    const balance = account.balance();
    assert.ok(balance.balanced, account.equations().join("\n"));
    return balance.signals.find(({ signal }) => signal === "traces")!;
  }

  /** The account of one destination. */
  at({ name }: Shore): DestinationBalance {
    return this.account.destinations.find(({ destination }) => destination === name)!;
  }

  /** Asserts that the folder is no larger than it may be, and has no more files. */
  assertBounded(): void {
    const { health } = this.#life!.journal;
    assert.deepEqual([health.failure, health.damageCount], [undefined, 0]);
    const folder = `${this.#folder.path}/journal/traces`;
    const names = readdirSync(folder);
    const segments = names.filter((name) => name.endsWith(".segment"));
    const bytes = segments.reduce((sum, name) => sum + statSync(`${folder}/${name}`).size, 0);
    const bytesMax = 2 * (this.#bytesMax + SEGMENT_BYTES);
    assert.ok(bytes <= bytesMax, `${bytes} of ${bytesMax} bytes`);
    // A segment that was begun by a start may be short, and so may the one before it.
    assert.ok(segments.length <= bytesMax / SEGMENT_BYTES + 16, `${segments.length} segments`);
    assert.equal(names.length - segments.length, this.#options.shores.length + 1, names.join(" "));
  }

  get #bytesMax(): number {
    return this.#options.recordCountMax * (PAYLOAD_BYTES + RECORD_HEAD_BYTES);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    this.#folder[Symbol.dispose]();
  }
}

/** How long an end may take. */
const DRAIN_MS = 10_000;

/** Asks the script, and remembers what was taken. */
async function landed(shore: Shore, sent: Sent): Promise<SendAnswer> {
  const answer = await shore.script(sent);
  if (answer.status === "delivered") shore.delivered.push(...numbersIn(sent));
  return answer;
}

/** The numbers of the records in a request. */
export function numbersIn({ items }: Pick<Sent, "items">): readonly number[] {
  const body = new DataView(Uint8Array.from(items).buffer);
  return Array.from({ length: items.length / PAYLOAD_BYTES }, (_, index) => body.getUint32(index * PAYLOAD_BYTES));
}
