import { setImmediate } from "node:timers";
import { type Disk, nodeDisk } from "../../exporters/journal/disk.ts";

/** The real disk, for a test that moves time by hand: time must not run ahead of what the disk is doing. */
export class AwaitedDisk {
  readonly disk: Disk = this.#awaited(nodeDisk);
  #pendingCount = 0;

  /** Resolves when the disk has had nothing to do for some turns of the event loop. */
  async atRest(): Promise<void> {
    for (let restTurns = 0; restTurns < REST_TURNS; restTurns++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#pendingCount > 0) restTurns = -1;
    }
  }

  /** The disk, or a file of it, with what it has not answered yet counted. */
  #awaited<Part extends object>(part: Part): Part {
    return new Proxy(part, {
      get: (target, name) => {
        const value = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          const result = value.apply(target, args);
          if (!(result instanceof Promise)) return result;
          this.#pendingCount++;
          const counted = result.finally(() => this.#pendingCount--);
          return name === "create" || name === "open" ? counted.then((file) => this.#awaited(file)) : counted;
        };
      },
    });
  }
}

/** Whoever was answered asks again within a turn, if there is more to ask. */
const REST_TURNS = 3;
