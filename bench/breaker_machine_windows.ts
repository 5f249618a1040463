/**
 * The count window of the machines without WebAssembly: a ring of the last completed calls, and a running count of the
 * failures in it.
 */

const MINIMUM_CALLS = 10;
const FAILURE_RATIO = 0.5;

// Int32 cells of the shared array.
const COMPLETED = 0; // calls that the window took in
const FAILED = 1; // failures among those that it holds
const RING = 32; // on lines of its own: a cell for each call, 1 for a failure

/** The window that threads share. */
export class AtomicsWindow {
  readonly #cells: Int32Array<SharedArrayBuffer>;
  readonly #size: number;

  constructor(cells: Int32Array<SharedArrayBuffer>) {
    this.#cells = cells;
    this.#size = cells.length - RING;
  }

  /** What the windows of all threads are made of. */
  static makeCells(size: number): Int32Array<SharedArrayBuffer> {
    return new Int32Array(new SharedArrayBuffer(4 * (RING + size)));
  }

  /**
   * Takes a call in, and answers whether the circuit is to open. Where calls race with the moment at which it closes, the
   * window may hold one of them too many: an exact one would cost more than this.
   */
  slide(failed: 0 | 1): boolean {
    const cells = this.#cells;
    const completed = Atomics.add(cells, COMPLETED, 1) + 1;
    const difference = failed - Atomics.exchange(cells, RING + completed % this.#size, failed);
    if (difference !== 0) Atomics.add(cells, FAILED, difference);
    const calls = completed < this.#size ? completed : this.#size;
    return calls >= MINIMUM_CALLS && Atomics.load(cells, FAILED) >= FAILURE_RATIO * calls;
  }

  clear(): void {
    this.#cells.fill(0, RING);
    Atomics.store(this.#cells, FAILED, 0);
    Atomics.store(this.#cells, COMPLETED, 0);
  }
}

/** The window that no other thread sees. */
export class PlainWindow {
  readonly #ring: Uint8Array;
  #completed = 0;
  #failed = 0;

  constructor(size: number) {
    this.#ring = new Uint8Array(size);
  }

  /** Takes a call in, and answers whether the circuit is to open. */
  slide(failed: 0 | 1): boolean {
    const size = this.#ring.length;
    const index = this.#completed++ % size;
    this.#failed += failed - this.#ring[index]!;
    this.#ring[index] = failed;
    const calls = this.#completed < size ? this.#completed : size;
    return calls >= MINIMUM_CALLS && this.#failed >= FAILURE_RATIO * calls;
  }

  clear(): void {
    this.#ring.fill(0);
    this.#completed = this.#failed = 0;
  }
}
