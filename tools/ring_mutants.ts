/** How the byte ring is broken on purpose: each is a way in which such rings really lose, invent, tear or wedge. */

import type { Mutant } from "./mutant.ts";

const RING = "core/assembly/byte_ring.ts";
const TAIL = "core/assembly/byte_ring_tail.ts";
const LAYOUT = "core/assembly/byte_ring_layout.ts";
const CONSUMER = "core/byte_ring_consumer.ts";

/** All of them, in the order of the table. */
export const RING_MUTANTS: readonly Mutant[] = [
  // Bounds.
  {
    name: "the ring is bounded in bytes only",
    breaks: "slots of records that wait are given out again",
    file: RING,
    from: "<u32>itemsUsed + items > load<u32>(base, ITEMS_MAX) ||",
    to: "",
  },
  {
    name: "the ring is bounded in items only",
    breaks: "records that wait are written over",
    file: RING,
    from: "|| <u32>bytesUsed + bytes > load<u32>(base, BYTES_MAX)",
    to: "",
  },
  {
    name: "a ring holds one item less",
    breaks: "of 150 offers into 100 places 99 are accepted",
    file: RING,
    from: "<u32>itemsUsed + items > load<u32>(base, ITEMS_MAX)",
    to: "<u32>itemsUsed + items >= load<u32>(base, ITEMS_MAX)",
  },
  {
    name: "ring items are compared without their sign",
    breaks: "a head that was overtaken looks like a full ring, and records are dropped that have room",
    file: RING,
    from: "if (itemsUsed < 0 || bytesUsed < 0) continue;",
    to: "",
  },
  {
    name: "ring ordinals are not compared modulo 2^24",
    breaks: "a ring is full for ever once the ordinals have gone round",
    file: LAYOUT,
    from: "return <i32>((headOrdinal(head) - tailOrdinal(tail)) << 8) >> 8;",
    to: "return <i32>(headOrdinal(head) - tailOrdinal(tail));",
  },
  {
    name: "a group is offered one by one where the ring rejects",
    breaks: "half a group is accepted",
    file: RING,
    from: "if (load<u32>(base, OVERFLOW) == REJECT) return",
    to: "if (false) return",
  },
  {
    name: "a record too large for one push is taken",
    breaks: "what lies behind the ring is written over",
    file: RING,
    from: "if (length > load<u32>(base, PUSH_BYTES_MAX) || sizeOf(length) > load<u32>(base, PUSH_BYTES_MAX)) {",
    to: "if (length > load<u32>(base, PUSH_BYTES_MAX)) {",
  },

  // Producers.
  {
    name: "a ring slot is reserved by load and store",
    breaks: "two threads write one record",
    file: RING,
    from: "if (atomic.cmpxchg<u64>(slot, was, reserved) == was) break;",
    to: "if (atomic.load<u64>(slot) == was) { atomic.store<u64>(slot, reserved); break; }",
  },
  {
    name: "a record is committed before it is copied",
    breaks: "the consumer reads what is not written yet",
    file: RING,
    from: "  const first = sizeOf(load<u32>(from));\n",
    to:
      "  const first = sizeOf(load<u32>(from));\n  atomic.store<u64>(slot, slotWord(ordinal, first >> 3, COMMITTED));\n",
  },
  {
    name: "nobody moves the head for who stopped",
    breaks: "a producer that is slow holds up all others, one that died for ever",
    file: RING,
    from: "moveHead(base, head, slotValue(was)); // its owner",
    to: "return REFUSED_FULL; // its owner",
  },
  {
    name: "a slot is looked at without looking at the head again",
    breaks: "who was overtaken by a whole round takes a slot that is in use",
    file: RING,
    from: "if (atomic.load<u64>(base, HEAD) != head) continue;",
    to: "",
  },
  {
    name: "what is intended is written after it is reserved",
    breaks: "who comes next moves the head by what the thread intended before",
    file: RING,
    from:
      "    store<u32>(own, bytes, INTENT_BYTES);\n    if (atomic.cmpxchg<u64>(slot, was, reserved) == was) break;\n  }\n",
    to:
      "    if (atomic.cmpxchg<u64>(slot, was, reserved) == was) break;\n  }\n  atomic.load<u64>(base, HEAD);\n  store<u32>(own, bytes, INTENT_BYTES);\n",
  },
  {
    name: "a slow producer is taken for dead",
    breaks: "records of threads that are paused are lost",
    file: RING,
    from: "return atomic.load<u32>(attachmentAt(base, attachment), OWNER) == RECLAIMED && lose(base, attachment);",
    to: "return lose(base, attachment);",
  },
  {
    name: "reclaim leaves the head where it is",
    breaks: "what a dead producer had reserved is passed, but still offered to others",
    file: RING,
    from: "if (headOrdinal(head) == ordinal) moveHead(base, head, attachment);",
    to: "",
  },
  {
    name: "reclaim does not look for what was left",
    breaks: "a dead producer's record is not counted before the consumer comes by",
    file: RING,
    from: "|| (free == RECLAIMED && leftSomething(base, attachment))) continue;",
    to: ") continue;",
  },
  {
    name: "a worker that was reclaimed goes on pushing",
    breaks: "two threads have one attachment",
    file: RING,
    from: "|| atomic.load<u32>(attachmentAt(base, attachment), OWNER) == RECLAIMED;",
    to: ";",
  },

  // Tail.
  {
    name: "the consumer passes what is not whole",
    breaks: "records come out torn, or never",
    file: TAIL,
    from: "if (!isOfTail(word, ordinal + items) || slotState(word) != COMMITTED) break;",
    to: "if (!isOfTail(word, ordinal + items)) break;",
  },
  {
    name: "a run does not end where the ring does",
    breaks: "records are looked for behind the end of the ring",
    file: TAIL,
    from: "while (items < itemsMax && bytes < untilEnd) {",
    to: "while (items < itemsMax) {",
  },
  {
    name: "what the consumer holds is dropped to make room",
    breaks: "the consumer reads records that are being written over",
    file: TAIL,
    from: "if ((tail & HELD) != 0) return false;\n  if ((tail & PASSING) == 0) {",
    to: "if ((tail & PASSING) == 0) {",
  },
  {
    name: "a replaced consumer releases",
    breaks: "records that the new consumer reads are written over",
    file: TAIL,
    from: "  if (!isConsumer(base, tail, epoch)) return false;\n  if (",
    to: "  if (",
  },
  {
    name: "only 8 bits tell consumers apart",
    breaks: "the consumer of 256 replacements ago releases what the new one reads",
    file: TAIL,
    from: "return tailEpoch(tail) == (epoch & 0xff) && atomic.load<u32>(base, EPOCH) == epoch;",
    to: "return tailEpoch(tail) == (epoch & 0xff);",
  },
  {
    name: "a new consumer holds what the last one held",
    breaks: "after a consumer died nothing makes room for new records",
    file: TAIL,
    from: "const flags = tail & (PASSING | TOGGLE);",
    to: "const flags = tail & (PASSING | TOGGLE | HELD);",
  },
  {
    name: "a new consumer forgets what is being taken away",
    breaks: "a record that was counted as dropped is drained as well",
    file: TAIL,
    from: "const flags = tail & (PASSING | TOGGLE);",
    to: "const flags: u64 = 0;",
  },
  {
    name: "who makes room counts afterwards",
    breaks: "a thread that dies in between leaves a record that nobody counted",
    file: TAIL,
    from: "  const next = tailWord(tailEpoch(tail), tailOrdinal(tail) + items, tailPosition(tail) + bytes, 0);\n",
    to:
      "  const next = tailWord(tailEpoch(tail), tailOrdinal(tail) + items, tailPosition(tail) + bytes, 0);\n  if (atomic.cmpxchg<u64>(base, tail, next, TAIL) != tail) return;\n  atomic.store<u64>(counter, (((counted >> 1) + items) << 1) | ((counted & 1) ^ 1));\n  if (next != 0) return;\n",
  },
  {
    name: "two who make room both count",
    breaks: "one record is dropped and counted twice",
    file: TAIL,
    from: "if ((counted & 1) == ((tail & TOGGLE) != 0 ? 1 : 0)) {",
    to: "if (true) {",
  },
  {
    name: "who finishes for another does not look whether it is done",
    breaks: "a record is counted that was read after it had changed",
    file: TAIL,
    from: "if (atomic.load<u64>(base, TAIL) != tail) return; // somebody has finished it",
    to: "// somebody has finished it",
  },
  {
    name: "what a dead producer left is counted as one item",
    breaks: "of a lost group all but one record are missing in the account",
    file: TAIL,
    from: "const items = isLost ? atomic.load<u32>(own, INTENT_ITEMS) : 1;",
    to: "const items: u32 = isLost ? 1 : 1;",
  },
  {
    name: "release counts before it is sure",
    breaks: "what a replaced consumer held is counted as drained",
    file: TAIL,
    from: "  const next = tailWord(epoch, tailOrdinal(tail) + items, tailPosition(tail) + bytes, 0);\n",
    to:
      "  const next = tailWord(epoch, tailOrdinal(tail) + items, tailPosition(tail) + bytes, 0);\n  atomic.store<u64>(base, next, TAIL);\n",
  },
  {
    name: "a drain begins at the oldest record each time",
    breaks: "what is held already is drained again",
    file: CONSUMER,
    from: "      this.#heldItems += takenItems;\n",
    to: "",
  },
];
