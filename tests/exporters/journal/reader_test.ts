import assert from "node:assert/strict";
import { encodeRecordHead, RECORD_HEAD_BYTES } from "../../../exporters/journal/format.ts";
import { scanForRecord } from "../../../exporters/journal/reader.ts";

const SALT = 5;
const WINDOW_BYTES = 65_536;

/** Bytes without a record but for the heads at these places, each of which says where it is. */
function bytesWithHeadsAt(places: readonly number[], length: number): Uint8Array {
  const bytes = new Uint8Array(length).fill("B".charCodeAt(0));
  for (const position of places) {
    const at = { sequence: 0, items: 0, position };
    const head = { at, itemCount: 1, receivedAtMs: 0, hopsBytes: 0, payloadBytes: 0, bodyCrc: 0 };
    encodeRecordHead(head, SALT, bytes.subarray(position));
  }
  return bytes;
}

function scan(
  bytes: Uint8Array,
  { from = 0, end = bytes.length, unreadable = [] as readonly number[], stepOver = undefined as undefined | number } =
    {},
): number | undefined {
  const found = scanForRecord({
    salt: SALT,
    from,
    end,
    read: (place, into) => {
      if (unreadable.some((page) => page < place + into.length && place < page + 4096)) throw new Error("EIO");
      const part = bytes.subarray(place, place + into.length);
      into.set(part);
      return part.length;
    },
    accept: (head, place) => head.at.position === place,
    stepOver: stepOver === undefined ? undefined : (place) => stepOver - place % stepOver,
  });
  return found?.at.position;
}

Deno.test("a record is found wherever it stands, also over the border of what is read at once, and over the next", () => {
  for (let shift = -RECORD_HEAD_BYTES - 1; shift <= 1; shift++) {
    for (const border of [WINDOW_BYTES, 2 * WINDOW_BYTES - RECORD_HEAD_BYTES + 1]) {
      const place = border + shift;
      assert.equal(scan(bytesWithHeadsAt([place], 3 * WINDOW_BYTES)), place);
    }
  }
});

Deno.test("only a whole record between the two places is found, and the first of several", () => {
  const bytes = bytesWithHeadsAt([100, 300], 500);
  assert.equal(scan(bytes), 100);
  assert.equal(scan(bytes, { from: 101 }), 300);
  assert.equal(scan(bytes, { from: 101, end: 363 }), undefined);
  assert.equal(scan(bytes, { from: 101, end: 364 }), 300);
  assert.equal(scan(bytes, { from: 301 }), undefined);
});

Deno.test("what cannot be read is stepped over when that is asked for, and told of when not", () => {
  const bytes = bytesWithHeadsAt([9000], 20_000);
  assert.throws(() => scan(bytes, { unreadable: [4096] }), { message: "EIO" });
  const found = scan(bytes, { unreadable: [4096], stepOver: 4096 });
  assert.equal(found, 9000);
});
