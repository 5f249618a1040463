import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { decodeRequest } from "../../server/decode_request.ts";
import { isTooHeavy, JSON_CONTAINERS_MAX } from "../../server/json_weight.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

// deno-fmt-ignore
const texts: [string, number, boolean][] = [
  ['{"a":[{},{}]}',                  4, false],
  ['{"a":[{},{}]}',                  3, true],
  ['{"{[{[{[":"}"}',                 1, false], // what stands in strings is no object
  ['{"a\\\\":{}, "b\\"{{{{":1}',     2, false], // nor behind an escaped quote
  ['{"a\\\\":{}, "b\\"{{{{":1}',     1, true],
  ["{}",                             2, false],
];
for (const [text, containersMax, expected] of texts) {
  Deno.test(`R4 ${text} is ${expected ? "" : "not "}more than ${containersMax} objects and arrays`, () => {
    assert.equal(isTooHeavy(bytes(text), containersMax), expected);
  });
}

Deno.test("R4 a small gzip body of very many empty JSON objects is too heavy, and is not parsed to find out", () => {
  const body = gzipSync(`{"resourceLogs":[${"{},".repeat(JSON_CONTAINERS_MAX)}{}]}`);
  assert.ok(body.length < 100_000);
  const request = { body, gzip: true, encoding: "json", signal: "logs", sampleRatio: 1 } as const;
  const answer = decodeRequest(request, 64 * 1024 * 1024);
  assert.equal(answer.outcome, "too_heavy");
});
