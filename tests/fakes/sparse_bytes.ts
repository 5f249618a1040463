const PAGE_BYTES = 4096;

/** Bytes of a file that may have large holes: what was never written reads as 0. */
export class SparseBytes {
  readonly #pages: Map<number, Uint8Array>;
  #length: number;

  constructor(from?: SparseBytes) {
    this.#pages = new Map(from ? [...from.#pages].map(([index, page]) => [index, page.slice()]) : []);
    this.#length = from?.length ?? 0;
  }

  static of(bytes: Uint8Array): SparseBytes {
    const sparse = new SparseBytes();
    sparse.write(0, bytes);
    return sparse;
  }

  get length(): number {
    return this.#length;
  }

  write(offset: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    for (let done = 0; done < bytes.length;) {
      const index = Math.floor((offset + done) / PAGE_BYTES);
      const start = (offset + done) % PAGE_BYTES;
      const part = bytes.subarray(done, done + PAGE_BYTES - start);
      let page = this.#pages.get(index);
      if (page === undefined) this.#pages.set(index, page = new Uint8Array(PAGE_BYTES));
      page.set(part, start);
      done += part.length;
    }
    this.#length = Math.max(this.#length, offset + bytes.length);
  }

  /** Makes it at most this long. */
  cut(length: number): void {
    if (length >= this.#length) return;
    for (const [index, page] of this.#pages) {
      const kept = length - index * PAGE_BYTES;
      if (kept <= 0) this.#pages.delete(index);
      else if (kept < PAGE_BYTES) page.fill(0, kept);
    }
    this.#length = length;
  }

  /** Makes it at least this long, with a hole at its end. */
  extend(length: number): void {
    this.#length = Math.max(this.#length, length);
  }

  /** @returns How many bytes were read: fewer than fit only at the end. */
  read(offset: number, into: Uint8Array): number {
    const count = Math.max(0, Math.min(into.length, this.#length - offset));
    for (let done = 0; done < count;) {
      const start = (offset + done) % PAGE_BYTES;
      const part = Math.min(PAGE_BYTES - start, count - done);
      const page = this.#pages.get(Math.floor((offset + done) / PAGE_BYTES));
      if (page === undefined) into.fill(0, done, done + part);
      else into.set(page.subarray(start, start + part), done);
      done += part;
    }
    return count;
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.#length);
    this.read(0, bytes);
    return bytes;
  }
}
