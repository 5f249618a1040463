import { setImmediate } from "node:timers";
import { type Disk, nodeDisk } from "../../exporters/journal/disk.ts";
import { settle } from "./clock.ts";

/** The real disk, for a test that moves time by hand: time must not run ahead of what the disk is doing. */
export class AwaitedDisk {
  readonly disk: Disk = this.#awaited(nodeDisk);
  #pendingCount = 0;

  /** Resolves when the disk has answered all that was asked, and all that was asked because of that. */
  async atRest(): Promise<void> {
    await settle();
    while (this.#pendingCount > 0) {
      await new Promise((resolve) => setImmediate(resolve));
      await settle();
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
          const opens = name === "create" || name === "open" || name === "openToWrite";
          return opens ? counted.then((file) => this.#awaited(file)) : counted;
        };
      },
    });
  }
}
