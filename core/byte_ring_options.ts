import { checkObject, describe, type Limit, withinLimits } from "./limits.ts";
import type { Place } from "./loader.ts";

/** What happens to a record for which there is no room. */
export type RingOverflow = "drop_newest" | "drop_oldest" | "reject";

/** The bounds of a byte ring that are numbers. */
export interface ByteRingNumbers {
  /** Records that wait at most, from 1 to 1000000. @default {2048} */
  readonly itemsMax?: number | undefined;
  /**
   * Bytes that they take at most, from 16 to 536870912. Each takes 8 more than it has, up to a multiple of 8.
   * @default {4194304}
   */
  readonly bytesMax?: number | undefined;
  /**
   * Bytes that one push may take, of a record or of a group, from 16 to 4194304, but not more than `bytesMax`. Each
   * attachment has so much address space of its own.
   * @default {the lesser of 262144 and bytesMax}
   */
  readonly pushBytesMax?: number | undefined;
}

/** How a byte ring behaves. */
export interface ByteRingOptions extends ByteRingNumbers {
  /**
   * What happens when there is no room. `drop_newest` drops what was offered. `drop_oldest` drops what waits longest, but
   * nothing that the consumer holds or that is still being written. `reject` drops what was offered, and of a group all
   * or nothing.
   * @default {"drop_newest"}
   */
  readonly overflow?: RingOverflow | undefined;
}

/** The options, all known. */
export type CheckedRingOptions = Readonly<Required<{ [Name in keyof ByteRingNumbers]: number }>> & {
  readonly overflow: RingOverflow;
};

/** In the order of their numbers in the core. */
export const OVERFLOWS = ["drop_newest", "drop_oldest", "reject"] as const satisfies readonly RingOverflow[];

const LIMITS = {
  // OpenTelemetry's own default; a slot for each of the most takes 8 MiB.
  itemsMax: { default: 2048, min: 1, max: 1_000_000, integer: true },
  // The default is room for 2048 large spans; the most leaves the address space of a memory for the scratches.
  bytesMax: { default: 4 * 2 ** 20, min: 16, max: 2 ** 29, integer: true },
  pushBytesMax: { default: 2 ** 18, min: 16, max: 2 ** 22, integer: true },
} satisfies Record<keyof ByteRingNumbers, Limit>;

/**
 * Fills in the defaults and checks everything.
 *
 * @throws {TypeError} When a value is of the wrong type.
 * @throws {RangeError} When a number is out of its range, or `overflow` is none.
 */
export function checkRingOptions(options: ByteRingOptions): CheckedRingOptions {
  checkObject("create byte ring", "options", options);
  const { overflow = "drop_newest" } = options;
  if (!OVERFLOWS.includes(overflow)) {
    throw new RangeError(
      `Cannot create byte ring: "overflow" must be one of ${OVERFLOWS.join(", ")}, received ${describe(overflow)}`,
    );
  }
  const checked = withinLimits<keyof ByteRingNumbers>("create byte ring", options, LIMITS);
  const { itemsMax, bytesMax } = checked;
  const pushBytesMax = options.pushBytesMax ?? Math.min(LIMITS.pushBytesMax.default, bytesMax);
  if (pushBytesMax > bytesMax) {
    throw new RangeError(
      `Cannot create byte ring: "pushBytesMax" must be at most "bytesMax" (${bytesMax}), received ${pushBytesMax}`,
    );
  }
  return { itemsMax, bytesMax, pushBytesMax, overflow };
}

/** What the core keeps of a ring, in the order in which assembly/byte_ring_layout.ts has it. */
export const RING_SETTINGS = ["itemsMax", "bytesMax", "pushBytesMax", "overflow", "slotsMask", "dataMask"] as const;

/** One of these, as it stands in the core. */
export function ringSetting({ core, base }: Omit<Place, "memory">, name: (typeof RING_SETTINGS)[number]): number {
  return core.ringSetting(base, RING_SETTINGS.indexOf(name));
}

/** The options of a ring, as they stand in the core. */
export function readRingOptions(place: Place): CheckedRingOptions {
  return {
    itemsMax: ringSetting(place, "itemsMax"),
    bytesMax: ringSetting(place, "bytesMax"),
    pushBytesMax: ringSetting(place, "pushBytesMax"),
    overflow: OVERFLOWS[ringSetting(place, "overflow")]!,
  };
}
