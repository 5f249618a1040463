import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DiskJournal } from "../../exporters/journal/disk_journal.ts";
import type { Cursor } from "../../exporters/journal/journal.ts";
import { crashRecord, crashRecordId } from "../fakes/crash_record.ts";
import { type CursorLife, IN_FLIGHT_MAX, type JournalLife, WRITER_COUNT } from "../fakes/journal_process.ts";
import { seededRandom } from "../fakes/random.ts";
import { settled } from "../model/journal_model.ts";
import { Told } from "./told.ts";

const PROCESS = fileURLToPath(new URL("../fakes/journal_process.ts", import.meta.url));

/** Lives in one folder. */
export const STORY_ROUND_COUNT = 10;

/** More ids than one life uses. */
const LIFE_ID_COUNT = 100_000;

/** Items of the largest record, see {@linkcode crashRecord}. */
const RECORD_ITEMS_MAX = 5;

/** What is discarded at a time. */
const DISCARDED_ITEMS = 3;

/** A life that goes on for this long stands still: every death comes within a second of work. */
const LIFE_MS_MAX = 30_000;

/** How a process ends. */
type Death =
  /** By its own hand, in an operation of the disk: while opening, working, or tidying up. */
  | { readonly kind: "operation"; readonly index: number }
  /** After so many lines. */
  | { readonly kind: "line"; readonly count: number }
  /** After so much time from its start, or from when the journal was open. */
  | { readonly kind: "time"; readonly from: "start" | "open"; readonly ms: number }
  /** So long after SIGTERM, while it closes; or not at all. */
  | { readonly kind: "closing"; readonly afterLines: number; readonly ms: number };

/**
 * One folder and the processes that live on it, one after the other, each killed at a moment that luck decides. After
 * each it is looked at what is there: on a copy, so that the next process has to cope with what this one has left.
 */
export class JournalStory {
  readonly folder: string = mkdtempSync(join(tmpdir(), "breakwater-crash-"));
  readonly seed: number;
  readonly #random: () => number;
  readonly #told: Told;
  readonly #life: Pick<JournalLife, "fsync" | "segmentBytesMax" | "bytesMax">;
  #round = 0;
  #killCount = 0;
  #duplicates = 0;

  /** @param seed Of luck, as far as processes and their scheduler let it decide. */
  constructor(seed: number) {
    this.seed = seed;
    this.#random = seededRandom(seed);
    this.#told = new Told();
    this.#life = {
      fsync: this.#oneOf(["interval", "never", "commit"] as const),
      segmentBytesMax: this.#oneOf([1024, 4096, 65_536]),
      bytesMax: this.#oneOf([16_384, 65_536, 2 ** 20]),
    };
  }

  /** What happened, in a line. */
  get summary(): string {
    const { fsync, segmentBytesMax, bytesMax } = this.#life;
    const { acceptedCount } = this.#told;
    return `seed ${this.seed}: fsync ${fsync}, segments of ${segmentBytesMax}, a queue of ${bytesMax} bytes: ` +
      `killed ${this.#killCount} times, ${acceptedCount} records accepted, ${this.#duplicates} items came twice`;
  }

  /**
   * One life, one death, and a look at what is left.
   *
   * @throws {Error} When something was lost, came from nowhere, or is counted wrongly.
   */
  async round(): Promise<void> {
    const firstId = 1 + this.#round * LIFE_ID_COUNT;
    const death = this.#death();
    const cursors = this.#cursors();
    const life: JournalLife = {
      ...this.#life,
      folder: join(this.folder, "data"),
      seed: this.seed + this.#round,
      cursors,
      firstId,
      diesInOperation: death.kind === "operation" ? death.index : undefined,
    };
    this.#round++;
    try {
      const { lines, stderr } = await liveAndDie(life, death);
      this.#told.read(lines, firstId, WRITER_COUNT);
      if (lines.at(-1) !== "closed") this.#killCount++;
      assert.equal(stderr, "", "a process has nothing to complain of");
      const isLast = this.#round === STORY_ROUND_COUNT;
      const folder = isLast ? this.folder : mkdtempSync(join(tmpdir(), "breakwater-crash-copy-"));
      if (!isLast) cpSync(this.folder, folder, { recursive: true });
      await this.#mustBeThere(folder, cursors);
      rmSync(folder, { recursive: true });
    } catch (error) {
      throw new Error(`${messageOf(error)}\n  in round ${this.#round}, ended by ${JSON.stringify(death)}`);
    }
  }

  /** A part of them is not slow; one never takes anything; and one is made when the story has begun. */
  #cursors(): readonly CursorLife[] {
    const late: CursorLife = { name: "late", onFull: "drop_oldest", idle: 0.5 };
    return [
      { name: "a", onFull: "reject", idle: 0.1 },
      { name: "b", onFull: "drop_oldest", idle: 0.8 },
      { name: "dead", onFull: "drop_oldest", idle: 1 },
      ...(this.#round < 3 ? [] : [late]),
    ];
  }

  #death(): Death {
    const random = this.#random;
    const luck = random();
    if (luck < 0.3) return { kind: "operation", index: Math.floor(random() ** 2 * (luck < 0.1 ? 30 : 400)) };
    if (luck < 0.6) return { kind: "line", count: 1 + Math.floor(random() ** 2 * 600) };
    if (luck < 0.7) return { kind: "time", from: "start", ms: 30 + random() * 100 };
    if (luck < 0.85) return { kind: "time", from: "open", ms: random() * 40 };
    return { kind: "closing", afterLines: 1 + Math.floor(random() * 200), ms: random() * 8 };
  }

  /** Looks at what is in a folder, and takes everything out of it. */
  async #mustBeThere(folder: string, cursors: readonly CursorLife[]): Promise<void> {
    const told = this.#told;
    const journal = await DiskJournal.open("traces", { folder: join(folder, "data"), ...this.#life });
    const opened = cursors.map(({ name, onFull }) => journal.cursor(name, onFull));
    mustBalance(journal, opened);
    const before = opened.map(({ totals }) => totals);
    const waiting = new Map(opened.map((cursor) => [cursor.name, drained(cursor)]));
    mustBalance(journal, opened);
    assert.equal(journal.health.damageCount, 0, "no damage is found where there is none");

    const stream = told.mustHold(waiting.get("a") ?? []);
    const discarded = opened[0].totals.dropped.sampled ?? 0;
    assert.ok(discarded <= told.discardCount * DISCARDED_ITEMS, "nothing is discarded that was not to be");
    assert.equal(
      journal.acceptedItems,
      itemsOf(stream) + discarded,
      "what is counted as accepted is what was accepted",
    );
    const inFlightItemsMax = IN_FLIGHT_MAX * RECORD_ITEMS_MAX;
    for (const [index, cursor] of opened.entries()) {
      const { dropped = {}, delivered, redelivered } = before[index];
      const had = new Set([...waiting.get(cursor.name) ?? [], ...told.deliveredAt(cursor.name)]);
      assert.deepEqual([...had].filter((id) => !stream.has(id)), [], `"${cursor.name}" has what nobody sent`);
      const missedItems = itemsOf([...stream].filter((id) => !had.has(id)));
      const droppedItems = (dropped.queue_full ?? 0) + (dropped.no_destination ?? 0);
      assert.ok(
        missedItems <= droppedItems,
        `"${cursor.name}" misses ${missedItems} items, ${droppedItems} are counted`,
      );
      const deliveries = told.deliveriesAt(cursor.name);
      assert.ok(delivered <= itemsOf(deliveries), `"${cursor.name}" delivered only what it says`);
      const duplicates = itemsOf(deliveries) - itemsOf(told.deliveredAt(cursor.name));
      assert.ok(
        duplicates <= redelivered,
        `"${cursor.name}": ${duplicates} items came twice, ${redelivered} are counted`,
      );
      assert.ok(redelivered <= this.#killCount * inFlightItemsMax, `${redelivered} items are more than were in flight`);
    }
    const all = opened.map(({ name }) => name);
    this.#duplicates = all.reduce(
      (sum, name) => sum + itemsOf(told.deliveriesAt(name)) - itemsOf(told.deliveredAt(name)),
      0,
    );
    await journal.close();
  }

  #oneOf<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random() * values.length)];
  }
}

/** Runs a process until it is dead. @returns What it has said. */
async function liveAndDie(life: JournalLife, death: Death): Promise<{ lines: readonly string[]; stderr: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", PROCESS, JSON.stringify(life)],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const kill = (signal: Deno.Signal) => {
    try {
      child.kill(signal);
    } catch {
      // It has ended already.
    }
  };
  let stoodStill = false;
  const timers = [setTimeout(() => {
    stoodStill = true;
    kill("SIGKILL");
  }, LIFE_MS_MAX)];
  const killIn = (ms: number) => timers.push(setTimeout(() => kill("SIGKILL"), ms));
  if (death.kind === "time" && death.from === "start") killIn(death.ms);
  const stderr = new Response(child.stderr).text();
  let isDying = false;
  let text = "";
  let lineCount = 0;
  const decoder = new TextDecoder();
  for await (const bytes of child.stdout) {
    const part = decoder.decode(bytes, { stream: true });
    text += part;
    lineCount += part.split("\n").length - 1;
    if (isDying || lineCount === 0) continue;
    const wanted = death.kind === "line" ? death.count : death.kind === "closing" ? death.afterLines : 1;
    isDying = lineCount >= wanted;
    if (!isDying) continue;
    if (death.kind === "line") kill("SIGKILL");
    if (death.kind === "time" && death.from === "open") killIn(death.ms);
    if (death.kind === "closing") kill("SIGTERM");
    // Half of those that are asked to close may end as they like.
    if (death.kind === "closing" && death.ms < 4) killIn(death.ms);
  }
  await child.status;
  for (const timer of timers) clearTimeout(timer);
  assert.equal(stoodStill, false, `it stood still after: ${text.split("\n").slice(-5).join(", ")}`);
  // What comes after the last line break was not said in full.
  return { lines: text.split("\n").slice(0, -1), stderr: await stderr };
}

/** Takes and delivers all there is. @returns The ids, each of which came back as it was appended. */
function drained(cursor: Cursor): readonly number[] {
  const ids: number[] = [];
  for (let takes = 0; takes < 10_000; takes++) {
    const entries = cursor.take({ recordCountMax: 1000, itemCountMax: 10_000, bytesMax: 10_000_000 });
    if (entries.length === 0) break;
    for (const entry of entries) {
      ids.push(crashRecordId(entry));
      cursor.acknowledge(entry, { delivered: entry.itemCount });
    }
  }
  assert.equal(cursor.queued.items, 0, `all that waits at "${cursor.name}" can be taken`);
  assert.equal(new Set(ids).size, ids.length, `"${cursor.name}" gives each once`);
  return ids;
}

function mustBalance(journal: DiskJournal, cursors: readonly Cursor[]): void {
  for (const { name, totals, queued } of cursors) {
    assert.equal(settled(totals) + queued.items, journal.acceptedItems, `the account of "${name}" balances`);
    assert.equal(totals.dropped.corrupt ?? 0, 0, `"${name}" has lost nothing`);
  }
}

function itemsOf(ids: Iterable<number>): number {
  let items = 0;
  for (const id of ids) items += crashRecord(id).itemCount;
  return items;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
