import assert from "node:assert/strict";
import fc from "fast-check";
import {
  bodyCrc,
  decodeRecordHead,
  decodeSegmentHeader,
  decodeSlot,
  encodeRecordHead,
  encodeSegmentHeader,
  encodeSlot,
  pointAfter,
  RECORD_HEAD_BYTES,
  type RecordHead,
  SEGMENT_HEADER_BYTES,
  SLOT_BYTES_MAX,
} from "../../../exporters/journal/format.ts";

const SALT = 0x12345678;

const HEAD: RecordHead = {
  at: { sequence: 3, items: 70, position: 1000 },
  itemCount: 5,
  receivedAtMs: 1_700_000_000_000,
  hopsBytes: 2,
  payloadBytes: 9,
  bodyCrc: 0xcbf43926,
};

function headBytes(head: RecordHead, salt = SALT): Uint8Array {
  const bytes = new Uint8Array(RECORD_HEAD_BYTES);
  encodeRecordHead(head, salt, bytes);
  return bytes;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

Deno.test("a record's head, a segment's header and a slot have the layout that is drawn: files of today are read tomorrow", () => {
  assert.equal(
    hex(headBytes(HEAD)),
    "425752436dec08372639f4cb0900000002000000000000000000000000000840" +
      "00000000008051400000000000408f40000000000000144000008056febc7842",
  );
  const header = { salt: SALT, number: 7, base: HEAD.at, createdAtMs: 1_700_000_000_000 };
  assert.equal(
    hex(encodeSegmentHeader(header)),
    "4257534765d30e6e01000000785634120000000000001c400000000000000840" +
      "00000000008051400000000000408f4000008056febc78420000000000000000",
  );
  assert.equal(
    hex(encodeSlot({ generation: 2, value: { a: 1 } })),
    "4257534c8e8d113107000000010000000000000000000040" + "7b2261223a317d",
  );
});

Deno.test("the sum of a body is CRC-32 of IEEE 802.3 over hops and payload", () => {
  const text = (value: string) => new TextEncoder().encode(value);
  assert.equal(bodyCrc(text(""), text("123456789"), 0), 0xcbf43926);
  assert.equal(bodyCrc(text("1234"), text("56789"), 0), 0xcbf43926);
  assert.notEqual(bodyCrc(text("1234"), text("56789"), 1), 0xcbf43926);
});

Deno.test("whatever head is written is read again, and the point behind it follows from it", () => {
  const count = fc.integer({ min: 0, max: 2 ** 40 });
  const heads = fc.record({
    at: fc.record({ sequence: count, items: count, position: count }, { noNullPrototype: true }),
    itemCount: count,
    receivedAtMs: fc.integer(),
    hopsBytes: fc.nat({ max: 4096 }),
    payloadBytes: fc.nat({ max: 2 ** 30 }),
    bodyCrc: fc.nat({ max: 0xffffffff }),
  }, { noNullPrototype: true });
  fc.assert(
    fc.property(heads, fc.nat({ max: 0xffffffff }), (head, salt) => {
      assert.deepEqual(decodeRecordHead(headBytes(head, salt), salt), head);
    }),
    { numRuns: 500 },
  );
  assert.deepEqual(pointAfter(HEAD), { sequence: 4, items: 75, position: 1075 });
});

Deno.test("one changed byte, a missing one, or another salt: it is no head, no header, no slot", () => {
  const slot = encodeSlot({ generation: 2, value: { a: [1, 2, 3] } });
  const cases: readonly [Uint8Array, (bytes: Uint8Array) => unknown][] = [
    [headBytes(HEAD), (bytes) => decodeRecordHead(bytes, SALT)],
    [encodeSegmentHeader({ salt: SALT, number: 7, base: HEAD.at, createdAtMs: 0 }), decodeSegmentHeader],
    [slot, decodeSlot],
  ];
  for (const [bytes, decode] of cases) {
    assert.notEqual(decode(bytes), undefined);
    for (let index = 0; index < bytes.length; index++) {
      for (const flip of [1, 0x80, 0xff]) assert.equal(decode(bytes.with(index, bytes[index] ^ flip)), undefined);
      assert.equal(decode(bytes.subarray(0, index)), undefined);
    }
  }
  assert.equal(decodeRecordHead(headBytes(HEAD), SALT + 1), undefined);
});

Deno.test("numbers that no journal writes make no head and no header, though their sum be right", () => {
  const impossible: readonly Partial<RecordHead>[] = [
    { itemCount: -1 },
    { itemCount: 1.5 },
    { itemCount: Infinity },
    { at: { sequence: 0, items: NaN, position: 0 } },
    { at: { sequence: 0, items: 0, position: Number.MAX_SAFE_INTEGER } },
    { hopsBytes: 5000 },
    { payloadBytes: 2 ** 30 + 1 },
  ];
  for (const part of impossible) assert.equal(decodeRecordHead(headBytes({ ...HEAD, ...part }), SALT), undefined);
  const header = { salt: 0, number: 0.5, base: HEAD.at, createdAtMs: 0 };
  assert.equal(decodeSegmentHeader(encodeSegmentHeader(header)), undefined);
  assert.equal(encodeSegmentHeader(header).length, SEGMENT_HEADER_BYTES);
});

Deno.test("a value larger than a slot is refused by name", () => {
  assert.throws(() => encodeSlot({ generation: 0, value: "x".repeat(SLOT_BYTES_MAX) }), {
    name: "RangeError",
    message: `Cannot encode slot: it must have at most ${SLOT_BYTES_MAX} bytes, received ${SLOT_BYTES_MAX + 26}`,
  });
});
