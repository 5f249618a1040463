import assert from "node:assert/strict";
import { nearestName } from "../../server/nearest_name.ts";
import { readKind } from "../../server/setting_kinds.ts";
import { namesOf, type Setting, SETTINGS } from "../../server/settings.ts";
import { helpText, settingsMarkdown } from "../../server/settings_text.ts";

/** Every name of the contract, so that none can be forgotten in the table. */
const CONTRACT = [
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "APP_OTEL__EXPORTER_ENDPOINT",
  "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
  "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
  "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT",
  "OTEL_EXPORTER_OTLP_TIMEOUT",
  "OTEL_EXPORTER_OTLP_COMPRESSION",
  "OTEL_EXPORTER_OTLP_PROTOCOL",
  "OTEL_EXPORTER_OTLP_CERTIFICATE",
  "OTEL_EXPORTER_OTLP_CLIENT_KEY",
  "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
  "OTEL_EXPORTER_OTLP_INSECURE",
  "BREAKWATER_OTLP_HTTP_LISTEN",
  "BREAKWATER_OTLP_GRPC_LISTEN",
  "BREAKWATER_ADMIN_LISTEN",
  "BREAKWATER_DATA_DIR",
  "BREAKWATER_FAILURE_THRESHOLD",
  "APP_OTEL__CIRCUIT_BREAKER_THRESHOLD",
  "BREAKWATER_SUCCESS_THRESHOLD",
  "BREAKWATER_PROBE_EVERY_NTH",
  "BREAKWATER_QUARANTINE_BYTES_MAX",
  "BREAKWATER_COOLDOWN_MS",
  "BREAKWATER_COOLDOWN_MAX_MS",
  "BREAKWATER_PROBE_LEASE_MS",
  "BREAKWATER_THROTTLE_MAX_MS",
  "BREAKWATER_QUEUE_BYTES_MAX",
  "BREAKWATER_QUEUE_ITEMS_MAX",
  "BREAKWATER_BODY_BYTES_MAX",
  "BREAKWATER_INFLIGHT_BYTES_MAX",
  "BREAKWATER_FSYNC",
  "BREAKWATER_RECORD_AGE_MAX_MS",
  "BREAKWATER_DRAIN_TIMEOUT_MS",
  "BREAKWATER_SAMPLE_RATE",
  "APP_OTEL__SAMPLE_RATE",
  "OTEL_SERVICE_NAME",
  "APP_OTEL__SERVICE_NAME",
  "BREAKWATER_METRICS_RATE_LIMIT",
  "BREAKWATER_TRUSTED_SCRAPERS",
  "BREAKWATER_TRUSTED_PROXIES",
  "BREAKWATER_ADMIN_HOSTS",
  "BREAKWATER_ADMIN_TOKEN",
  "BREAKWATER_INGEST_TOKEN",
  "BREAKWATER_ADMIN_ALLOW_ANONYMOUS",
  "BREAKWATER_INGEST_ALLOW_ANONYMOUS",
];

Deno.test("P1-13 the table holds every name of the contract, once", () => {
  const names = SETTINGS.flatMap(namesOf);
  assert.equal(new Set(names).size, names.length);
  assert.deepEqual(CONTRACT.filter((name) => !names.includes(name)), []);
  assert.deepEqual(names.filter((name) => name.startsWith("BREAKWATER_") && !CONTRACT.includes(name)), []);
});

Deno.test("every default can be read as a value of its setting", () => {
  for (const { name, is, default: text } of SETTINGS) {
    if (text === undefined || is.kind === "otlp") continue;
    assert.notEqual(readKind(is.kind, is as never, text), undefined, name);
  }
});

Deno.test("every setting has a sentence that ends as one, in the help and in the table of the documents", () => {
  const help = helpText();
  const markdown = settingsMarkdown();
  for (const setting of SETTINGS as readonly Setting[]) {
    assert.match(setting.says, /\.$/, setting.name);
    for (const name of [setting.name, ...(setting.alias === undefined ? [] : [setting.alias])]) {
      assert.ok(help.includes(name), `${name} is not in the help`);
      assert.ok(markdown.includes(`\`${name}\``), `${name} is not in the table`);
    }
    assert.equal(help.includes(setting.says.replaceAll("`", "")), true, setting.name);
  }
  const waiting = SETTINGS.filter(({ noEffectYet }) => noEffectYet).length;
  assert.ok(waiting > 0);
  assert.equal(help.split("No effect yet.").length - 1, waiting);
  assert.equal(markdown.split("No effect yet.").length - 1, waiting);
});

Deno.test("every row of the table in the documents has four cells", () => {
  const rows = settingsMarkdown().split("\n").filter((line) => line.startsWith("|"));
  for (const row of rows) assert.equal(row.split("|").length, 6, row);
});

Deno.test("the nearest name is the one with the fewest slips, and two swapped letters are one slip", () => {
  const names = ["COOLDOWN_MS", "COOLDOWN_MAX_MS", "COLDOWN"];
  assert.equal(nearestName("COOLDOWN_MX_MS", names), "COOLDOWN_MAX_MS");
  assert.equal(nearestName("COODLOWN_MS", names), "COOLDOWN_MS");
  assert.equal(nearestName("ab", ["ba", "xyb"]), "ba");
  assert.equal(nearestName("x", []), undefined);
});
