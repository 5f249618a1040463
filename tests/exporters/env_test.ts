import assert from "node:assert/strict";
import fc from "fast-check";
import { type Environment, otlpFromEnvironment } from "../../exporters/env.ts";
import { HttpTransport } from "../../exporters/transport/http.ts";

const PREFIX = "OTEL_EXPORTER_OTLP_";

// The first three are the examples of the specification, protocol/exporter.md.
// deno-fmt-ignore
const endpoints: [string, Environment, [traces: string, metrics: string, logs: string]][] = [
  ["a base",
    { ENDPOINT: "http://collector:4318" },
    ["http://collector:4318/v1/traces", "http://collector:4318/v1/metrics", "http://collector:4318/v1/logs"]],
  ["a base, and a signal with an address of its own",
    { ENDPOINT: "http://collector:4318", METRICS_ENDPOINT: "https://collector.example.com/v1/metrics" },
    ["http://collector:4318/v1/traces", "https://collector.example.com/v1/metrics", "http://collector:4318/v1/logs"]],
  ["a base with a path",
    { ENDPOINT: "http://collector:4318/mycollector/" },
    ["http://collector:4318/mycollector/v1/traces", "http://collector:4318/mycollector/v1/metrics", "http://collector:4318/mycollector/v1/logs"]],
  ["a base with a path that ends without a slash",
    { ENDPOINT: "http://collector:4318/mycollector" },
    ["http://collector:4318/mycollector/v1/traces", "http://collector:4318/mycollector/v1/metrics", "http://collector:4318/mycollector/v1/logs"]],
  ["a base with a query",
    { ENDPOINT: "https://c/otlp?key=1" },
    ["https://c/otlp/v1/traces?key=1", "https://c/otlp/v1/metrics?key=1", "https://c/otlp/v1/logs?key=1"]],
  ["addresses of their own, taken as they stand, without a path as /",
    { ENDPOINT: "http://base", TRACES_ENDPOINT: "http://t:1", METRICS_ENDPOINT: "http://m:2/x", LOGS_ENDPOINT: "http://l:3/y/" },
    ["http://t:1/", "http://m:2/x", "http://l:3/y/"]],
  ["one signal alone, the others at OpenTelemetry's default",
    { TRACES_ENDPOINT: "http://t:1/in" },
    ["http://t:1/in", "http://localhost:4318/v1/metrics", "http://localhost:4318/v1/logs"]],
  ["an own address that is empty is unset",
    { ENDPOINT: " http://c:1 ", TRACES_ENDPOINT: "" },
    ["http://c:1/v1/traces", "http://c:1/v1/metrics", "http://c:1/v1/logs"]],
];
for (const [what, variables, [traces, metrics, logs]] of endpoints) {
  Deno.test(`E1 ${what}`, () => {
    const read = otlpFromEnvironment(named(variables));
    assert.deepEqual(read.endpoints, { traces, metrics, logs });
    assert.deepEqual(read.warnings, []);
  });
}

Deno.test("E1 E2 nothing set: no endpoint, and the defaults of everything else", () => {
  for (const environment of [{}, named({ ENDPOINT: "", HEADERS: " ", TIMEOUT: "", COMPRESSION: "", PROTOCOL: "" })]) {
    assert.deepEqual(otlpFromEnvironment(environment), {
      signals: [],
      headers: { traces: {}, metrics: {}, logs: {} },
      timeoutMs: { traces: 10_000, metrics: 10_000, logs: 10_000 },
      compression: { traces: "none", metrics: "none", logs: "none" },
      protocol: { traces: "http/protobuf", metrics: "http/protobuf", logs: "http/protobuf" },
      warnings: [],
      ignored: [],
    });
  }
});

Deno.test("E1 the signals with an endpoint are told apart from those that fall back to the default", () => {
  assert.deepEqual(otlpFromEnvironment(named({ LOGS_ENDPOINT: "http://l:1" })).signals, ["logs"]);
  assert.deepEqual(otlpFromEnvironment(named({ ENDPOINT: "http://c:1" })).signals, ["traces", "metrics", "logs"]);
});

Deno.test("E2 a signal's own variable wins over the general one", () => {
  const read = otlpFromEnvironment(named({
    TIMEOUT: "2000",
    LOGS_TIMEOUT: "3000",
    COMPRESSION: "gzip",
    METRICS_COMPRESSION: "none",
    PROTOCOL: "grpc",
    TRACES_PROTOCOL: "http/json",
    HEADERS: "a=1,b=2",
    TRACES_HEADERS: "c=3",
  }));
  assert.deepEqual(read.timeoutMs, { traces: 2_000, metrics: 2_000, logs: 3_000 });
  assert.deepEqual(read.compression, { traces: "gzip", metrics: "none", logs: "gzip" });
  assert.deepEqual(read.protocol, { traces: "http/json", metrics: "grpc", logs: "grpc" });
  assert.deepEqual(
    read.headers.traces,
    { c: "3" },
    "in place of the general ones, which may be another host's secrets",
  );
  assert.deepEqual(read.headers.logs, { a: "1", b: "2" });
});

// deno-fmt-ignore
const mistakes: [string, string, string][] = [
  ["TIMEOUT",     "ten",    "OTEL_EXPORTER_OTLP_TIMEOUT must be an integer from 1 to 86400000, received \"ten\"; 10000 is used"],
  ["TIMEOUT",     "-1",     "OTEL_EXPORTER_OTLP_TIMEOUT must be an integer from 1 to 86400000, received \"-1\"; 10000 is used"],
  ["TIMEOUT",     "1e3",    "OTEL_EXPORTER_OTLP_TIMEOUT must be an integer from 1 to 86400000, received \"1e3\"; 10000 is used"],
  ["TIMEOUT",     "0",      "OTEL_EXPORTER_OTLP_TIMEOUT must be an integer from 1 to 86400000, received \"0\"; 10000 is used"],
  ["COMPRESSION", "zstd",   "OTEL_EXPORTER_OTLP_COMPRESSION must be one of none, gzip, received \"zstd\"; none is used"],
  ["PROTOCOL",    "thrift", "OTEL_EXPORTER_OTLP_PROTOCOL must be one of grpc, http/protobuf, http/json, received \"thrift\"; http/protobuf is used"],
  ["ENDPOINT",    "user:hunter22@c:4318", "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL that begins with http:// or https://; it is left out"],
  ["HEADERS",     "hunter22", "Left out header 1 of OTEL_EXPORTER_OTLP_HEADERS: it must be name=value with what HTTP allows in each"],
];
for (const [stem, text, warning] of mistakes) {
  Deno.test(`E2 a mistake is told once, and the default is used: ${stem}=${text}`, () => {
    const read = otlpFromEnvironment(named({ [stem]: text }));
    assert.deepEqual(read.warnings, [warning]);
    assert.deepEqual({ ...read, warnings: [] }, otlpFromEnvironment({}));
  });
}

// deno-fmt-ignore
const headers: [string, string, Record<string, string>, number][] = [
  ["a list",                           "api-key=abc,X-Team=harbour",     { "api-key": "abc", "x-team": "harbour" }, 0],
  ["percent-encoding",                 "authorization=Basic%20dXNlcg==", { authorization: "Basic dXNlcg==" },      0],
  ["spaces and empty entries",         " a = 1 ,, b=2,",                 { a: "1", b: "2" },                       0],
  ["an equals sign in a value",        "a=b=c",                          { a: "b=c" },                             0],
  ["a lone percent sign",              "a=100%",                         { a: "100%" },                            0],
  ["an empty value",                   "a=",                             { a: "" },                                0],
  ["metadata, which is left out",      "a=1;p=2,b=2",                    { a: "1", b: "2" },                       1],
  ["a value that would split headers", "a=1%0d%0ab: 2,c=3",              { c: "3" },                               1],
  ["a name that HTTP forbids",         "a%20b=1,c=3",                    { c: "3" },                               1],
  ["an entry without a name",          "=1,c=3",                         { c: "3" },                               1],
];
for (const [what, text, expected, warningCount] of headers) {
  Deno.test(`E3 headers: ${what}`, () => {
    const read = otlpFromEnvironment(named({ HEADERS: text }));
    assert.deepEqual(read.headers.traces, expected);
    assert.equal(read.warnings.length, warningCount);
  });
}

Deno.test("E2 variables without effect are named", () => {
  const read = otlpFromEnvironment(named({ CERTIFICATE: "/ca.pem", TRACES_CLIENT_KEY: "/key.pem", INSECURE: "" }));
  assert.deepEqual(read.ignored, ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"]);
});

Deno.test("Whatever stands in the variables, reading them throws nothing, and a transport takes the result", () => {
  const stems = ["ENDPOINT", "HEADERS", "TIMEOUT", "COMPRESSION", "PROTOCOL"];
  const name = fc.constantFrom(...stems, ...stems.map((stem) => `TRACES_${stem}`));
  const piece = fc.constantFrom(
    "http://",
    "https://",
    "u:p@",
    "[::1]",
    "c",
    ":4318",
    "/x",
    "%",
    "%0a",
    "é",
    "=",
    ",",
    ";",
    " ",
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(piece, { minLength: 1, maxLength: 8, size: "max" }).map((list) => list.join("")),
  );
  const variables = fc.dictionary(name, text, { minKeys: 1, maxKeys: 10, size: "max" });
  fc.assert(
    fc.property(variables, (variables) => {
      const { endpoints, ...rest } = otlpFromEnvironment(named(variables));
      if (endpoints !== undefined) new HttpTransport({ endpoints, ...rest });
    }),
    { numRuns: 1_000 },
  );
});

function named(variables: Environment): Environment {
  return Object.fromEntries(Object.entries(variables).map(([stem, text]) => [PREFIX + stem, text]));
}
