import type { DiskFile } from "./disk.ts";
import { encodeRecordHead, RECORD_HEAD_BYTES } from "./format.ts";
import type { TailRecord } from "./tail.ts";

/** What is laid out at once: a write costs about the same for one small record as for hundreds. */
const DESK_BYTES = 256 * 1024;

/** From here on a payload is written from where it is: to copy it would cost more than one more write. */
const LARGE_PAYLOAD_BYTES = 32 * 1024;

/**
 * Where small records are laid out beside each other, to be written at once:
 *
 * ```
 *   │ head hops payload │ head hops payload │ head hops │      ▒▒▒▒ payload ▒▒▒▒      │ head hops payload │ …
 *   └──────────────────── one write ────────────────────┴─ a large one, by itself ────┴── the next write ───
 * ```
 */
export class Desk {
  readonly #salt: number;
  readonly #bytes = new Uint8Array(DESK_BYTES);

  constructor(salt: number) {
    this.#salt = salt;
  }

  /**
   * Writes records behind each other, from an offset of a file on.
   *
   * @returns The offset behind the last one.
   */
  async write(file: DiskFile, offset: number, records: readonly TailRecord[]): Promise<number> {
    let laidBytes = 0;
    const clear = async () => {
      if (laidBytes > 0) await file.write(offset, this.#bytes.subarray(0, laidBytes));
      offset += laidBytes;
      laidBytes = 0;
    };
    for (const record of records) {
      const { hopsBytes, payload } = record;
      const isLarge = payload.length >= LARGE_PAYLOAD_BYTES;
      const byteCount = RECORD_HEAD_BYTES + hopsBytes.length + (isLarge ? 0 : payload.length);
      if (laidBytes + byteCount > DESK_BYTES) await clear();
      this.#lay(record, laidBytes, isLarge);
      laidBytes += byteCount;
      if (!isLarge) continue;
      await clear();
      await file.write(offset, payload);
      offset += payload.length;
    }
    await clear();
    return offset;
  }

  #lay({ head, hopsBytes, payload }: TailRecord, at: number, isLarge: boolean): void {
    encodeRecordHead(head, this.#salt, this.#bytes.subarray(at));
    this.#bytes.set(hopsBytes, at + RECORD_HEAD_BYTES);
    if (!isLarge) this.#bytes.set(payload, at + RECORD_HEAD_BYTES + hopsBytes.length);
  }
}
