/**
 * Waits, or returns early when `abort` fires. Never rejects: whoever waits looks at the signal afterwards. Who ends
 * many waits does it with a reason, any word: without one the platform makes an error each time, stack and all.
 */
export type Sleep = (ms: number, abort?: AbortSignal) => Promise<void>;

/** The real wait: a timer that does not keep the process alive. */
export const sleep: Sleep = (ms, abort) =>
  new Promise((resolve) => {
    if (abort?.aborted) return resolve();
    const timer = setTimeout(done, ms);
    // Deno, Node and Bun all give an object here; the Web's type of it is a number.
    (timer as unknown as { unref?(): void }).unref?.();
    abort?.addEventListener("abort", done, { once: true });
    function done(): void {
      clearTimeout(timer);
      abort?.removeEventListener("abort", done);
      resolve();
    }
  });
