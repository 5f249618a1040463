import { Worker } from "node:worker_threads";
import { type Limit, withinLimits } from "../core/limits.ts";
import { type Sleep, sleep } from "../exporters/sleep.ts";
import type { DecodedRequest, EncodedRequest, UnreadableRequest } from "./decode_request.ts";
import type { DecodeOrder } from "./decode_worker_main.ts";

/** How a {@linkcode DecodeWorker} works. */
export interface DecodeWorkerOptions {
  /**
   * Requests that may wait for the worker. From 0 to 100 000.
   *
   * @default {64}
   */
  readonly waitingCountMax?: number;
  /**
   * How long one request may take, in milliseconds, before the worker is thought to be stuck. From 1 to 3 600 000.
   *
   * @default {30_000}
   */
  readonly requestTimeoutMs?: number;
  /** Makes the worker. It is given {@linkcode DecodeOrder}s and answers each. */
  readonly start?: () => Worker;
  readonly sleep?: Sleep;
}

/** The worker could not do it: it died, was stuck, or has too much to do. Somebody should try again. */
export interface DecodeFailure {
  readonly outcome: "failed";
  readonly message: string;
}

/** What is told of a request that was given to a worker. */
export type DecodeAnswer = DecodedRequest | UnreadableRequest | DecodeFailure;

/**
 * The worker's heap. JSON is the reason: parsed, the most wasteful 64 MiB of it take many times their size. A worker
 * that needs more is ended, and only its one request fails; without the limit the whole process would.
 */
const HEAP_MEBIBYTES_MAX = 1024;

const LIMITS = {
  waitingCountMax: { default: 64, min: 0, max: 100_000, integer: true },
  requestTimeoutMs: { default: 30_000, min: 1, max: 3_600_000, integer: true },
} satisfies Record<"waitingCountMax" | "requestTimeoutMs", Limit>;

interface Job {
  readonly request: EncodedRequest;
  readonly begin: () => number | undefined;
  readonly settle: (answer: DecodeAnswer) => void;
}

/**
 * Decodes large requests off the main thread, one after the other. The worker starts with the first of them and does
 * not keep the process alive while it has nothing to do. One that dies or does not answer in time is ended: its request
 * fails, and the next gets a new worker.
 */
export class DecodeWorker {
  readonly #waitingCountMax: number;
  readonly #requestTimeoutMs: number;
  readonly #start: () => Worker;
  readonly #sleep: Sleep;
  readonly #waiting: Job[] = [];
  #worker: Worker | undefined;
  /** Ends the job that the worker has. */
  #finish: ((answer: DecodeAnswer) => void) | undefined;
  #closed = false;

  /**
   * @throws {RangeError} When a number is outside its range.
   * @throws {TypeError} When one is not a number.
   */
  constructor(options: DecodeWorkerOptions = {}) {
    const { waitingCountMax, requestTimeoutMs } = options;
    const limits = withinLimits("create decode worker", { waitingCountMax, requestTimeoutMs }, LIMITS);
    this.#waitingCountMax = limits.waitingCountMax;
    this.#requestTimeoutMs = limits.requestTimeoutMs;
    this.#start = options.start ?? startWorker;
    this.#sleep = options.sleep ?? sleep;
  }

  /**
   * Decodes a request when its turn comes. Resolves always. The body goes to the worker for good, unless it is part of
   * a larger buffer.
   *
   * @param begin Asked when the turn has come: how many bytes the body may have inflated; undefined fails the request.
   */
  decode(request: EncodedRequest, begin: () => number | undefined): Promise<DecodeAnswer> {
    return new Promise((settle) => {
      if (this.#closed) return settle(failed("The server is shutting down."));
      if (this.#waiting.length >= this.#waitingCountMax && this.#finish !== undefined) {
        return settle(failed("Too many large requests are waiting to be decoded."));
      }
      this.#waiting.push({ request, begin, settle });
      this.#next();
    });
  }

  /** Ends the worker, and fails what it had and what waits. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { settle } of this.#waiting.splice(0)) settle(failed("The server is shutting down."));
    await this.#replace("The server is shutting down.");
  }

  #next(): void {
    while (this.#finish === undefined) {
      // At most as many as may wait, so that moving them up costs little.
      const job = this.#waiting.shift();
      if (job === undefined) return;
      const inflatedBytesMax = job.begin();
      if (inflatedBytesMax === undefined) job.settle(failed("There is no memory free to decode the request."));
      else this.#give(job, inflatedBytesMax);
    }
  }

  #give({ request, settle }: Job, inflatedBytesMax: number): void {
    const answered = new AbortController();
    this.#finish = (answer) => {
      this.#finish = undefined;
      this.#worker?.unref();
      answered.abort();
      settle(answer);
    };
    try {
      const worker = this.#worker ??= this.#hire();
      worker.ref();
      const { body, ...rest } = request;
      const fillsItsBuffer = body.byteLength > 0 && body.byteLength === body.buffer.byteLength;
      const buffer = (fillsItsBuffer ? body.buffer : body.slice().buffer) as ArrayBuffer;
      const order: DecodeOrder = { request: rest, body: buffer, inflatedBytesMax };
      worker.postMessage(order, [buffer]);
    } catch (error) {
      void this.#replace(`The decoding worker could not be reached: ${error}`);
      return;
    }
    void this.#sleep(this.#requestTimeoutMs, answered.signal).then(() => {
      if (!answered.signal.aborted) void this.#replace("The request took too long to decode.");
    });
  }

  #hire(): Worker {
    const worker = this.#start();
    const isOurs = () => worker === this.#worker;
    worker.on("message", (answer: DecodeAnswer) => {
      if (!isOurs()) return;
      this.#finish?.(answer);
      this.#next();
    });
    worker.on("error", (error) => isOurs() && void this.#replace(`The decoding worker has failed: ${error}`));
    worker.on("exit", () => isOurs() && void this.#replace("The decoding worker has ended."));
    return worker;
  }

  /** Lets the worker go, fails its request, and goes on with the next. */
  async #replace(why: string): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    this.#finish?.(failed(why));
    this.#next();
    await worker?.terminate();
  }
}

function startWorker(): Worker {
  return new Worker(new URL("./decode_worker_main.ts", import.meta.url), {
    name: "breakwater-decode",
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MEBIBYTES_MAX },
  });
}

function failed(message: string): DecodeFailure {
  return { outcome: "failed", message };
}
