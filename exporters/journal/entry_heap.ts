/**
 * Entries in any order in, the oldest out first: a binary heap by sequence (Williams, Algorithm 232). The parent of the
 * entry at `index` is at `(index - 1) >> 1` and never younger.
 */
export class EntryHeap<Entry extends { readonly sequence: number }> {
  readonly #entries: Entry[] = [];

  /** The oldest entry, left where it is; undefined when there is none. */
  get oldest(): Entry | undefined {
    return this.#entries[0];
  }

  push(entry: Entry): void {
    const entries = this.#entries;
    let index = entries.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (entries[parent].sequence <= entry.sequence) break;
      entries[index] = entries[parent];
      index = parent;
    }
    entries[index] = entry;
  }

  /** Takes the oldest entry out; undefined when there is none. */
  pop(): Entry | undefined {
    const entries = this.#entries;
    const oldest = entries[0];
    const last = entries.pop();
    if (last !== undefined && entries.length > 0) this.#sink(last);
    return oldest;
  }

  /** Puts an entry at the top and lets it down to where it belongs. */
  #sink(entry: Entry): void {
    const entries = this.#entries;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= entries.length) break;
      if (child + 1 < entries.length && entries[child + 1].sequence < entries[child].sequence) child++;
      if (entries[child].sequence >= entry.sequence) break;
      entries[index] = entries[child];
      index = child;
    }
    entries[index] = entry;
  }
}
