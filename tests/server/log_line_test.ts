import assert from "node:assert/strict";
import type { LogRecord } from "@logtape/logtape";
import { formatLogRecord } from "../../server/log_line.ts";

Deno.test("a record is one line with time, level, speaker and text", () => {
  assert.equal(
    formatLogRecord(record(["", "traces -> upstream: open", ""]), "breakwater"),
    "2026-11-21T00:00:00.000Z warning breakwater: traces -> upstream: open",
  );
});

Deno.test("what a backend has said can neither begin a new line nor speak to the terminal", () => {
  const said = "refused\n2026-11-21T00:00:00.000Z info breakwater: all is well\u001b[2K\r\u0085";
  const line = formatLogRecord(record([said]), "break\nwater");
  assert.doesNotMatch(line, /\p{Cc}/u);
  assert.ok(line.includes("refused\\u000a2026") && line.includes("\\u001b[2K\\u000d\\u0085"), line);
});

function record(message: readonly unknown[]): LogRecord {
  const timestamp = Date.UTC(2026, 10, 21);
  return { category: ["breakwater"], level: "warning", message, rawMessage: "", timestamp, properties: {} };
}
