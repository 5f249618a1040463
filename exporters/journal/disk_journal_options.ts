import type { Clock } from "../../core/clock.ts";
import { type Limit, withinLimits } from "../../core/limits.ts";
import type { Sleep } from "../sleep.ts";
import type { Disk } from "./disk.ts";
import type { FsyncPolicy } from "./writer.ts";

/** Where a journal on the disk is, how much it may hold, and how safe it has to be. */
export interface DiskJournalOptions {
  /**
   * The folder of the journal; each signal has one of its own in it. It is made for us alone, and must not stand
   * directly in a folder that others can write.
   */
  readonly folder: string;
  /**
   * Bytes that one cursor may have waiting, in flight included: payloads, hops and the head of each record. All files
   * together take at most twice that and two segments more. From 1 to 2^40.
   *
   * @default {1_073_741_824}
   */
  readonly bytesMax?: number;
  /**
   * Items (spans, data points, log records) that one cursor may have waiting, in flight included. From 1 to 2^40.
   *
   * @default {10_000_000}
   */
  readonly itemsMax?: number;
  /**
   * Bytes of one segment: opening takes as long as reading one, and room is given back by as much. Each has one open
   * file. From 256 to 2^32.
   *
   * @default {a 16th of `bytesMax`, but from 1 MiB to 256 MiB}
   */
  readonly segmentBytesMax?: number;
  /**
   * When a record survives a loss of power; the end of the process it survives always.
   *
   * @default {"interval"}
   */
  readonly fsync?: FsyncPolicy;
  /**
   * With `fsync: "interval"`: what a loss of power may cost, in milliseconds. From 1 to 60000.
   *
   * @default {100}
   */
  readonly fsyncIntervalMs?: number;
  /**
   * How old a record may become before it is dropped as `expired`, in milliseconds by the wall clock; 0 for any age. Up
   * to 2^40.
   *
   * @default {0}
   */
  readonly recordAgeMaxMs?: number;
  /**
   * How long a disk that failed is left alone, in milliseconds. From 1 to 3600000.
   *
   * @default {1000}
   */
  readonly retryMs?: number;
  /** Keeps other processes out of the folder. @default {nobody is kept out} */
  readonly lock?: (folder: string) => Promise<FolderLock>;
  /** One line for each change of state, and for each damaged stretch. @default {nobody is told} */
  readonly report?: (message: string) => void;
  /** The disk. @default {the real one, by `node:fs`} */
  readonly disk?: Disk;
  /** @default {the system's clock} */
  readonly clock?: Clock;
  /** How waiting is done. @default {a timer that does not keep the process alive} */
  readonly sleep?: Sleep;
  /** A number below 2^32 that nobody can guess. @default {of `node:crypto`} */
  readonly randomSalt?: () => number;
}

/** A lock that is held. It must be free again when the process has ended, however it ended. */
export interface FolderLock {
  release(): Promise<void>;
}

/** The numbers of {@linkcode DiskJournalOptions}, all there. */
export type DiskJournalNumbers = {
  readonly [Name in keyof typeof LIMITS]: number;
};

const MIB = 2 ** 20;

const LIMITS = {
  bytesMax: { default: 1024 * MIB, min: 1, max: 2 ** 40, integer: true },
  itemsMax: { default: 10_000_000, min: 1, max: 2 ** 40, integer: true },
  segmentBytesMax: { default: 64 * MIB, min: 256, max: 2 ** 32, integer: true },
  fsyncIntervalMs: { default: 100, min: 1, max: 60_000, integer: true },
  recordAgeMaxMs: { default: 0, min: 0, max: 2 ** 40, integer: true },
  retryMs: { default: 1000, min: 1, max: 3_600_000, integer: true },
} satisfies Record<NumberName, Limit>;

type NumberName = {
  [Name in keyof DiskJournalOptions]-?: DiskJournalOptions[Name] extends number | undefined ? Name : never;
}[keyof DiskJournalOptions];

/**
 * The numbers of a journal, checked.
 *
 * @throws {RangeError} When one is outside its range.
 * @throws {TypeError} When one is not a number.
 */
export function journalNumbers(options: DiskJournalOptions): DiskJournalNumbers {
  const numbers = withinLimits<NumberName>("open journal", options, LIMITS);
  if (options.segmentBytesMax !== undefined) return numbers;
  const segmentBytesMax = Math.min(Math.max(Math.ceil(numbers.bytesMax / 16), MIB), 256 * MIB);
  return { ...numbers, segmentBytesMax };
}
