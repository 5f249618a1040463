import assert from "node:assert/strict";

/** What processes said before they were killed: what must be there, what may be, and nothing else. */
export class Told {
  /** Records that were accepted. */
  readonly #accepted = new Set<number>();
  /** Records that were being appended when a process ended: each may be there or not. */
  readonly #open = new Set<number>();
  /** For each cursor, what was delivered, each time it was. */
  readonly #deliveries = new Map<string, number[]>();
  discardCount = 0;

  get acceptedCount(): number {
    return this.#accepted.size;
  }

  /** Reads what a process said whose records are numbered from `firstId` on, in turn by each of its writers. */
  read(lines: readonly string[], firstId: number, writerCount: number): void {
    const nextIds = Array.from({ length: writerCount }, (_, writer) => firstId + writer);
    for (const line of lines) {
      const [word, number] = line.split(" ");
      const id = Number(number);
      if (word === "open" || word === "closed") continue;
      if (word === "discards") {
        this.discardCount++;
      } else if (word === "+" || word === "-") {
        if (word === "+") this.#accepted.add(id);
        const writer = (id - firstId) % writerCount;
        assert.equal(id, nextIds[writer], "a writer appends one record after the other");
        nextIds[writer] += writerCount;
      } else this.deliveriesAt(word).push(id);
    }
    for (const id of nextIds) this.#open.add(id);
  }

  /** All deliveries of a cursor, with those that came again. */
  deliveriesAt(cursor: string): number[] {
    let deliveries = this.#deliveries.get(cursor);
    if (deliveries === undefined) this.#deliveries.set(cursor, deliveries = []);
    return deliveries;
  }

  deliveredAt(cursor: string): ReadonlySet<number> {
    return new Set(this.deliveriesAt(cursor));
  }

  /**
   * Looks whether all that was accepted is there at cursor "a", which drops nothing, and nothing that was not.
   *
   * @param waiting What waits at that cursor.
   * @returns All records that the journal has ever had.
   */
  mustHold(waiting: readonly number[]): ReadonlySet<number> {
    const stream = new Set([...this.deliveredAt("a"), ...waiting]);
    assert.deepEqual([...this.#accepted].filter((id) => !stream.has(id)), [], "what was accepted is there");
    const mayBe = (id: number) => this.#accepted.has(id) || this.#open.has(id);
    assert.deepEqual([...stream].filter((id) => !mayBe(id)), [], "what was never accepted is not");
    return stream;
  }
}
