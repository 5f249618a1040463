/** Those who wait for something to happen. */
export class Waiters {
  #waiters: (() => void)[] = [];

  /** Resolves at the next `wake`, or when `abort` fires. */
  next(abort: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (abort.aborted) return resolve();
      const wake = () => {
        abort.removeEventListener("abort", stop);
        resolve();
      };
      const stop = () => {
        this.#waiters = this.#waiters.filter((waiter) => waiter !== wake);
        resolve();
      };
      this.#waiters.push(wake);
      abort.addEventListener("abort", stop, { once: true });
    });
  }

  wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}
