import type { ExportResult, ResultCallback } from "../../exporters/sdk_types.ts";

/** What the fake does with an export. The last one of a script goes on. */
export type Behaviour = (callback: ResultCallback) => unknown;

export const succeeds: Behaviour = (callback) => callback({ code: 0 });
export const fails: Behaviour = (callback) => callback({ code: 1, error: new Error("backend down") });
export const failsWithoutReason: Behaviour = (callback) => callback({ code: 1 });
export const failsWithStatus = (status: number): Behaviour => (callback) =>
  callback({ code: 1, error: Object.assign(new Error(`HTTP ${status}`), { code: status }) });
export const throws: Behaviour = () => {
  throw new Error("inner threw");
};
export const rejects: Behaviour = () => Promise.reject(new Error("inner rejected"));
export const answersNonsense: Behaviour = (callback) => callback(undefined as unknown as ExportResult);
export const answersTwice: Behaviour = (callback) => {
  callback({ code: 0 });
  callback({ code: 1 });
};
export const answersThenThrows: Behaviour = (callback) => {
  callback({ code: 0 });
  throw new Error("inner threw after its answer");
};
export const hangs: Behaviour = () => {};

/** An exporter for any signal, that does as it is told and remembers what it was asked. */
export class FakeExporter<Batch> {
  behaviour: Behaviour;
  readonly batches: Batch[] = [];
  /** The callbacks of exports, oldest first: a hung one is answered through these. */
  readonly callbacks: ResultCallback[] = [];
  flushCount = 0;
  shutdownCount = 0;
  flushes: () => Promise<void> = () => Promise.resolve();
  shutsDown: () => Promise<void> = () => Promise.resolve();

  constructor(behaviour: Behaviour = succeeds) {
    this.behaviour = behaviour;
  }

  get callCount(): number {
    return this.batches.length;
  }

  export(batch: Batch, callback: ResultCallback): void {
    this.batches.push(batch);
    this.callbacks.push(callback);
    return this.behaviour(callback) as void;
  }

  forceFlush(): Promise<void> {
    this.flushCount++;
    return this.flushes();
  }

  shutdown(): Promise<void> {
    this.shutdownCount++;
    return this.shutsDown();
  }
}
