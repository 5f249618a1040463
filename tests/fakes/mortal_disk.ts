import { type Disk, type DiskFile, nodeDisk } from "../../exporters/journal/disk.ts";

/**
 * The real disk, under a process that kills itself in one of its operations: before it, after it, or in the middle of a
 * write.
 */
export class MortalDisk implements Disk {
  #operationsLeft: number;
  readonly #random: () => number;

  /** @param diesInOperation Counted from 0; `Infinity` for never. */
  constructor(diesInOperation: number, random: () => number) {
    this.#operationsLeft = diesInOperation;
    this.#random = random;
  }

  get userId(): number | undefined {
    return nodeDisk.userId;
  }

  readonly stat: Disk["stat"] = (path) => this.#operate(() => nodeDisk.stat(path));
  readonly makeFolder: Disk["makeFolder"] = (path) => this.#operate(() => nodeDisk.makeFolder(path));
  readonly list: Disk["list"] = (folder) => this.#operate(() => nodeDisk.list(folder));
  readonly rename: Disk["rename"] = (from, to) => this.#operate(() => nodeDisk.rename(from, to));
  readonly remove: Disk["remove"] = (path) => this.#operate(() => nodeDisk.remove(path));
  readonly syncFolder: Disk["syncFolder"] = (folder) => this.#operate(() => nodeDisk.syncFolder(folder));
  readonly create: Disk["create"] = async (path) => this.#file(await this.#operate(() => nodeDisk.create(path)));
  readonly open: Disk["open"] = async (path) => this.#file(await this.#operate(() => nodeDisk.open(path)));

  readonly openToWrite: Disk["openToWrite"] = async (path) =>
    this.#file(await this.#operate(() => nodeDisk.openToWrite(path)));

  #file(file: DiskFile): DiskFile {
    return {
      get size() {
        return file.size;
      },
      get isLinked() {
        return file.isLinked;
      },
      read: (offset, into) => file.read(offset, into),
      write: (offset, bytes) =>
        this.#operate(
          () => file.write(offset, bytes),
          () => file.write(offset, bytes.subarray(0, Math.floor(this.#random() * bytes.length))),
        ),
      sync: () => this.#operate(() => file.sync()),
      close: () => file.close(),
    };
  }

  async #operate<T>(operation: () => Promise<T>, half: () => Promise<unknown> = operation): Promise<T> {
    if (this.#operationsLeft-- !== 0) return await operation();
    const fate = this.#random();
    if (fate < 0.7) await (fate < 0.3 ? operation : half)().catch(() => {});
    Deno.kill(Deno.pid, "SIGKILL");
    return await new Promise(() => {});
  }
}
