import type { Disk, DiskFile, DiskStat } from "../../exporters/journal/disk.ts";
import { SparseBytes } from "./sparse_bytes.ts";

/** What a journal does to a disk that may be made to fail. */
export type DiskOperation =
  | "makeFolder"
  | "list"
  | "create"
  | "open"
  | "rename"
  | "remove"
  | "syncFolder"
  | FileOperation;
type FileOperation = "write" | "sync" | "read";

/** What a file holds, whatever names it has. */
interface Content {
  /** As a reader sees it. */
  bytes: SparseBytes;
  /** As it is on the platters. */
  durable: SparseBytes;
  /** Written since, and perhaps lost with the power. */
  unsynced: { readonly offset: number; readonly bytes: Uint8Array }[];
  linkCount: number;
}

/** What a disk writes at once: smaller than any, so that small records are torn too. */
const SECTOR_BYTES = 64;

/**
 * A disk in memory. What was not synced can be lost, in part and in any order, names can be lost with the folder's last
 * changes, and any operation can be made to fail.
 */
export class FakeDisk implements Disk {
  readonly userId = 1000;
  /** Asked before each operation: a code to fail with. */
  failWith: (operation: DiskOperation, path: string) => string | undefined = () => undefined;
  /** Asked before each operation: whether its answer has to wait for {@linkcode answerAll}. */
  hangs: (operation: DiskOperation, path: string) => boolean = () => false;
  #hanging: (() => void)[] = [];
  /** How many files are open. */
  openCount = 0;
  /** How many bytes all files may have; then writes end half-way with ENOSPC. */
  bytesMax = Infinity;
  /** Folders that stand already, with their modes. */
  readonly folders: Map<string, DiskStat> = new Map([["/", { kind: "folder", mode: 0o755, userId: 0 }]]);
  readonly #names: Map<string, Content>;
  /** The names as they would be after a loss of power, and what has happened to them since. */
  #durableNames: Map<string, Content>;
  #nameChanges: { readonly folder: string; readonly change: (names: Map<string, Content>) => void }[] = [];
  /** Folders that were made, and whose name may be lost with the power. */
  readonly #looseFolders = new Set<string>();
  #operationsLeft = Infinity;
  operationCount = 0;

  constructor(names: ReadonlyMap<string, Content> = new Map()) {
    this.#names = new Map(names);
    this.#durableNames = new Map(names);
  }

  /** The paths of all files, in order. */
  get paths(): readonly string[] {
    return [...this.#names.keys()].sort();
  }

  get bytes(): number {
    return [...this.#names.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** A file's bytes, to look at. */
  content(path: string): Uint8Array {
    return this.#content(path).bytes.bytes();
  }

  /** Puts other bytes in place of a file's, durably, as a fault of the device would. */
  damage(path: string, bytes: Uint8Array): void {
    const content = this.#content(path);
    content.bytes = SparseBytes.of(bytes);
    content.durable = SparseBytes.of(bytes);
    content.unsynced = [];
  }

  /** Turns bits in one byte of a file over. */
  flip(path: string, offset: number, mask = 0x40): void {
    const { bytes, durable } = this.#content(path);
    const byte = new Uint8Array(1);
    bytes.read(offset, byte);
    for (const each of [bytes, durable]) each.write(offset, Uint8Array.of(byte[0] ^ mask));
  }

  /** Puts zeros in place of some bytes of a file. */
  zero(path: string, from: number, count: number): void {
    const { bytes, durable } = this.#content(path);
    for (const each of [bytes, durable]) each.write(from, new Uint8Array(count));
  }

  /** Cuts a file to a length. */
  cut(path: string, length: number): void {
    const { bytes, durable } = this.#content(path);
    for (const each of [bytes, durable]) each.cut(length);
  }

  /** Takes a file or a folder away behind the journal's back. */
  delete(path: string): void {
    this.folders.delete(path);
    for (const [name, content] of this.#names) {
      if (name !== path && !name.startsWith(`${path}/`)) continue;
      content.linkCount--;
      this.#names.delete(name);
      this.#durableNames.delete(name);
    }
  }

  /** Two files change names. */
  swap(one: string, other: string): void {
    const contents = [this.#content(one), this.#content(other)] as const;
    for (const names of [this.#names, this.#durableNames]) names.set(one, contents[1]).set(other, contents[0]);
  }

  /** After so many more operations nothing is answered any more: not even with an error. */
  stopAfter(operationCount: number): void {
    this.#operationsLeft = operationCount;
  }

  /** Whether somebody waits for an answer that will not come. */
  get isStopped(): boolean {
    return this.#operationsLeft < 0;
  }

  /** Everything that hangs is done now. */
  answerAll(): void {
    this.hangs = () => false;
    for (const answer of this.#hanging.splice(0)) answer();
  }

  /** The disk as another process finds it when this one was killed: every write that was made is there. */
  afterKill(): FakeDisk {
    return this.#copy(new Map([...this.#names].map(([path, { bytes }]) => [path, fresh(bytes)])));
  }

  /**
   * The disk when the power is back: of what was not synced, each write may be there, torn, or gone. Each change of a
   * name may be lost too, and a folder with all that is in it.
   */
  afterPowerLoss(random: () => number): FakeDisk {
    const names = new Map(this.#durableNames);
    // Some systems keep the order of what happens to names, others nothing of it.
    const isOrdered = random() < 0.5;
    const lostFrom = new Map<string, number>();
    for (const [index, { folder, change }] of this.#nameChanges.entries()) {
      if (!lostFrom.has(folder)) lostFrom.set(folder, random() * (this.#nameChanges.length + 1));
      if (isOrdered ? index < (lostFrom.get(folder) ?? 0) : random() < 0.5) change(names);
    }
    const lost = [...this.#looseFolders].filter(() => random() < 0.5);
    const isLost = (path: string) => lost.some((folder) => path === folder || path.startsWith(`${folder}/`));
    const left = [...names].filter(([path]) => !isLost(path));
    const disk = this.#copy(new Map(left.map(([path, content]) => [path, fresh(survivor(content, random))])));
    for (const path of this.folders.keys()) if (isLost(path)) disk.folders.delete(path);
    return disk;
  }

  async stat(path: string): Promise<DiskStat | undefined> {
    await this.#operate("open", path);
    return this.folders.get(path) ?? (this.#names.has(path) ? { kind: "file", mode: 0o600, userId: 1000 } : undefined);
  }

  async makeFolder(path: string): Promise<void> {
    await this.#operate("makeFolder", path);
    for (let end = path.indexOf("/", 1);; end = path.indexOf("/", end + 1)) {
      const folder = end < 0 ? path : path.slice(0, end);
      if (!this.folders.has(folder)) {
        this.folders.set(folder, { kind: "folder", mode: 0o700, userId: this.userId });
        this.#looseFolders.add(folder);
      }
      if (end < 0) return;
    }
  }

  async list(folder: string): Promise<readonly string[]> {
    await this.#operate("list", folder);
    if (!this.folders.has(folder)) throw failure("ENOENT", folder);
    return this.paths.filter((path) => folderOf(path) === folder).map((path) => path.slice(folder.length + 1));
  }

  async create(path: string): Promise<DiskFile> {
    await this.#operate("create", path);
    if (this.#names.has(path)) throw failure("EEXIST", path);
    if (!this.folders.has(folderOf(path))) throw failure("ENOENT", path);
    const content = fresh(new SparseBytes());
    this.#changeNames(folderOf(path), (names) => names.set(path, content));
    return this.#file(path, content);
  }

  async open(path: string): Promise<DiskFile> {
    await this.#operate("open", path);
    return this.#file(path, this.#content(path));
  }

  openToWrite(path: string): Promise<DiskFile> {
    return this.open(path);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#operate("rename", from);
    const content = this.#content(from);
    const replaced = this.#names.get(to);
    if (replaced !== undefined) replaced.linkCount--;
    this.#changeNames(folderOf(to), (names) => {
      names.delete(from);
      names.set(to, content);
    });
  }

  async remove(path: string): Promise<void> {
    await this.#operate("remove", path);
    this.#content(path).linkCount--;
    this.#changeNames(folderOf(path), (names) => names.delete(path));
  }

  async syncFolder(folder: string): Promise<void> {
    await this.#operate("syncFolder", folder);
    if (!this.folders.has(folder)) throw failure("ENOENT", folder);
    for (const loose of this.#looseFolders) if (folderOf(loose) === folder) this.#looseFolders.delete(loose);
    for (const change of this.#nameChanges) if (change.folder === folder) change.change(this.#durableNames);
    this.#nameChanges = this.#nameChanges.filter((change) => change.folder !== folder);
  }

  #file(path: string, content: Content): DiskFile {
    this.openCount++;
    let isOpen = true;
    return {
      get size() {
        return content.bytes.length;
      },
      get isLinked() {
        return content.linkCount > 0;
      },
      write: async (offset, bytes) => {
        // Who ends in a write may have made a part of it, and is not told.
        const isLast = this.#operationsLeft === 1;
        const code = this.failWith("write", path);
        const room = Math.max(0, this.bytesMax - this.bytes + Math.max(0, content.bytes.length - offset));
        const whole = bytes.length <= room && code === undefined;
        const part = whole && !isLast ? bytes.slice() : bytes.slice(0, Math.min(room, bytes.length >> 1));
        if (this.#operationsLeft > 0) put(content, offset, part);
        if (isLast) this.#operationsLeft = 0;
        await this.#mayHang("write", path);
        await this.#operate(undefined, path);
        if (!whole) throw failure(code ?? "ENOSPC", path);
      },
      read: (offset, into) => {
        const code = this.failWith("read", path);
        if (code !== undefined) throw failure(code, path);
        return content.bytes.read(offset, into);
      },
      sync: async () => {
        // What is written from now on may have to wait for the next one.
        const written = [...content.unsynced];
        const clean = () => content.unsynced = content.unsynced.filter((write) => !written.includes(write));
        try {
          await this.#operate("sync", path);
        } catch (error) {
          clean(); // So the pages count, whether they were written or not.
          throw error;
        }
        for (const { offset, bytes } of written) content.durable.write(offset, bytes);
        clean();
      },
      close: () => {
        if (isOpen) this.openCount--;
        isOpen = false;
        return Promise.resolve();
      },
    };
  }

  /** Counts an operation, and fails or hangs where it was asked to. */
  async #operate(operation: DiskOperation | undefined, path: string): Promise<void> {
    this.operationCount++;
    if (--this.#operationsLeft < 0) await new Promise(() => {});
    await Promise.resolve();
    if (operation !== undefined) await this.#mayHang(operation, path);
    const code = operation && this.failWith(operation, path);
    if (code !== undefined) throw failure(code, path);
  }

  async #mayHang(operation: DiskOperation, path: string): Promise<void> {
    if (this.hangs(operation, path)) await new Promise<void>((answer) => this.#hanging.push(answer));
  }

  #changeNames(folder: string, change: (names: Map<string, Content>) => void): void {
    change(this.#names);
    this.#nameChanges.push({ folder, change });
  }

  #content(path: string): Content {
    const content = this.#names.get(path);
    if (content === undefined) throw failure("ENOENT", path);
    return content;
  }

  #copy(names: Map<string, Content>): FakeDisk {
    const disk = new FakeDisk(names);
    for (const [path, stat] of this.folders) disk.folders.set(path, stat);
    return disk;
  }
}

function fresh(bytes: SparseBytes): Content {
  return { bytes: new SparseBytes(bytes), durable: new SparseBytes(bytes), unsynced: [], linkCount: 1 };
}

function put(content: Content, offset: number, bytes: Uint8Array): void {
  content.bytes.write(offset, bytes);
  content.unsynced.push({ offset, bytes });
}

/** Each unsynced write, in any order: lost, whole, torn anywhere, only its length, or here a sector and there one. */
function survivor({ durable, unsynced }: Content, random: () => number): SparseBytes {
  const survived = new SparseBytes(durable);
  const order = unsynced.map((write) => ({ write, rank: random() })).sort((a, b) => a.rank - b.rank);
  for (const { write: { offset, bytes } } of order) {
    const fate = random();
    if (fate < 0.3) continue;
    if (fate < 0.5) survived.write(offset, bytes);
    else if (fate < 0.7) survived.write(offset, bytes.subarray(0, Math.floor(random() * bytes.length)));
    else {
      const isKept = fate < 0.9 ? () => random() < 0.5 : () => false;
      for (let from = 0; from < bytes.length; from += SECTOR_BYTES) {
        if (isKept()) survived.write(offset + from, bytes.subarray(from, from + SECTOR_BYTES));
      }
      survived.extend(offset + bytes.length);
    }
  }
  return survived;
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
