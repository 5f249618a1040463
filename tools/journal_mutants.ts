/** How the journal is broken on purpose: each is a way in which journals really lose, invent or miscount. */

import type { Mutant } from "./mutant.ts";

const CURSOR = "exporters/journal/cursor.ts";
const DISK_JOURNAL = "exporters/journal/disk_journal.ts";
const DISK_PART = "exporters/journal/disk_part.ts";
const FOLDER = "exporters/journal/journal_folder.ts";
const FORMAT = "exporters/journal/format.ts";
const READER = "exporters/journal/reader.ts";
const RECOVERY = "exporters/journal/recovery.ts";
const RETENTION = "exporters/journal/retention.ts";
const SLOT_FILE = "exporters/journal/slot_file.ts";
const WRITER = "exporters/journal/writer.ts";

/** All of them, in the order of the table. */
export const JOURNAL_MUTANTS: readonly Mutant[] = [
  // What is believed.
  {
    name: "the sum of a record's head is not looked at",
    breaks: "lengths and counts are taken from damaged bytes",
    file: FORMAT,
    from: "if (view.getUint32(4, true) !== crc32(bytes.subarray(8, RECORD_HEAD_BYTES), salt)) return undefined;",
    to: "",
  },
  {
    name: "the sum of a record's body is not looked at",
    breaks: "damaged payloads are delivered",
    file: READER,
    from: "if (bodyCrc(hops, payload, salt) === head.bodyCrc) {",
    to: "if (salt >= 0) {",
  },
  {
    name: "the sum of a body does not begin with the salt",
    breaks: "whoever sends data can make bytes that are taken for a record",
    file: FORMAT,
    from: "return crc32(payload, crc32(hops, salt));",
    to: "return crc32(payload, crc32(hops, 0 * salt));",
  },
  {
    name: "the sum of a slot is not looked at",
    breaks: "a damaged place is taken for where a cursor stands",
    file: FORMAT,
    from: "if (view.getUint32(4, true) !== crc32(bytes.subarray(8, end))) return undefined;",
    to: "",
  },
  {
    name: "a torn record at the end counts",
    breaks: "what no sender was told of is accepted, and then lost",
    file: RECOVERY,
    from: 'if (reader.body(found.head, true).kind === "body") end = at;',
    to: "end = at;",
  },
  {
    name: "the stream ends where its last record does",
    breaks: "records that a deleted or cut segment held are forgotten, not counted",
    file: RECOVERY,
    from: "endOfSegments(segments, salt), state?.end, state?.kept];",
    to: "endOfSegments(segments, salt), state?.kept];",
  },

  // What is durable, and when.
  {
    name: "a record is answered before it is written",
    breaks: "the sender is told of a record that a full disk or a kill takes away",
    file: WRITER,
    from: "      isWritten = await this.#write(records) ||",
    to: "      for (const { answer } of group) answer(true);\n      isWritten = await this.#write(records) ||",
  },
  {
    name: "commit does not wait for the sync",
    breaks: "a loss of power takes what was answered",
    file: WRITER,
    from: 'if (fsync === "interval" || await this.#sync() || await this.#repair()) return true;',
    to: 'if (fsync === "commit") void this.#sync();\n    if (fsync !== "never") return true;',
  },
  {
    name: "the name of a new segment is not synced",
    breaks: "a loss of power takes a segment with all that was synced in it",
    file: WRITER,
    from: "if (nameIsNew) await disk.syncFolder(folder);",
    to: "",
  },
  {
    name: "the name of a new folder is not synced",
    breaks: "a loss of power takes the journal as a whole",
    file: FOLDER,
    from: "await disk.syncFolder(parentOf(folder)).catch(() => {});",
    to: "",
  },
  {
    name: "what a killed process has written is not synced",
    breaks: "a kill and a loss of power together take what was answered long before",
    file: DISK_JOURNAL,
    from: 'if (options.fsync !== "never") await syncLast(disk, streamFolder, recovered.segments);',
    to: "",
  },
  {
    name: "a file is trusted after a failed fsync",
    breaks: "what the system has dropped is believed to be durable",
    file: WRITER,
    from: "if (!this.#isBroken) this.#fail(error);\n      return false;",
    to: "this.#options.onDisk(error);\n      return true;",
  },
  {
    name: "a new segment takes the place of a broken one without its records",
    breaks: "what was not synced is lost though it was in memory",
    file: WRITER,
    from: "?? this.#end, this.tail.records);",
    to: "?? this.#end, []);",
  },
  {
    name: "a deleted file is written to",
    breaks: "records go to a file that nobody can find again",
    file: WRITER,
    from: "        mustBeLinked(segment);\n",
    to: "",
  },

  // Where cursors stand.
  {
    name: "a segment is deleted before the cursors are durable",
    breaks: "a loss of power brings back a cursor that wants what is gone",
    file: RETENTION,
    from: "if (!(await cursors.persist())) return;",
    to: "",
  },
  {
    name: "a record is accepted before its cursor has a file",
    breaks: "a kill leaves a record of which no cursor knows",
    file: DISK_JOURNAL,
    from: "if (await this.#cursors.areMade() && await",
    to: "void this.#cursors.areMade();\n    if (await",
  },
  {
    name: "the durable slot is written to",
    breaks: "a loss of power in a write leaves no slot whole",
    file: SLOT_FILE,
    from: "const taken = [this.#durableSlot, ",
    to: "const taken = [",
  },
  {
    name: "the slot that is being synced is written to",
    breaks: "what is durable from then on may be torn",
    file: SLOT_FILE,
    from: "this.#syncedSlot, this.#lastSlot];",
    to: "this.#lastSlot];",
  },
  {
    name: "a file of slots gets its name before it is synced",
    breaks: "a loss of power leaves a name without anything in it",
    file: SLOT_FILE,
    from: "      await file.sync();\n      await disk.rename(",
    to: "      await disk.rename(",
  },
  {
    name: "a lost cursor is taken for a new one",
    breaks: "with one small file all that waits for a destination is gone",
    file: RECOVERY,
    from: "if (!cursors.has(name)) cursors.set(name, { generation: 0, state: undefined });",
    to: "",
  },

  // What is counted.
  {
    name: "what is handed out is not remembered",
    breaks: "what comes twice after a kill is not counted",
    file: CURSOR,
    from: "next.maybeDelivered = true;",
    to: "",
  },
  {
    name: "what is given back is not with the backend",
    breaks: "what comes twice because an answer was lost before a kill is not counted",
    file: CURSOR,
    from: "unsettled.maybeDelivered = unsettled.isKnown = mayHaveArrived;",
    to: "unsettled.maybeDelivered = false;",
  },
  {
    name: "nobody waits for the note of what was taken",
    breaks: "what was sent in the moment before a kill comes twice and is not counted",
    file: SLOT_FILE,
    from: "return this.#work;\n  }\n\n  /**\n   * Makes",
    to: "return Promise.resolve();\n  }\n\n  /**\n   * Makes",
  },
  {
    name: "what is lost to damage is not counted",
    breaks: "the account does not balance after damage",
    file: DISK_PART,
    from: "this.#onLost(lostTo.items - from.items);",
    to: "",
  },
  {
    name: "what is discarded before a cursor is counted again",
    breaks: "a late destination has dropped more than there was",
    file: CURSOR,
    from: "const own = count - (discardedBefore[reason] ?? 0);",
    to: "const own = count + 0 * (discardedBefore[reason] ?? 0);",
  },
];
