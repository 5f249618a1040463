import assert from "node:assert/strict";
import { inspect } from "node:util";
import { type Config, readConfig } from "../../server/config.ts";

/** What every environment has. */
const HOME = { HOME: "/home/me" };

Deno.test("P1-13 R1 R4 an environment with nothing but a home is a complete configuration: port 4318, bodies up to 64 MiB, no upstream", () => {
  const config = configOf({});
  assert.deepEqual(config.destinations, []);
  assert.deepEqual(config.otlpHttpListen, { host: "127.0.0.1", port: 4318 });
  assert.deepEqual(config.adminListen, { host: "127.0.0.1", port: 9464 });
  assert.deepEqual(config.breaker, {
    failureThreshold: 3,
    successThreshold: 1,
    probeEveryNth: 0,
    cooldownMs: 5000,
    cooldownMaxMs: 30_000,
    probeLeaseMs: 15_000,
    throttleMaxMs: 300_000,
  });
  assert.deepEqual(config.metricsRateLimit, { count: 10, periodSeconds: 60 });
  assert.equal(config.dataDir, "/home/me/.local/state/breakwater");
  assert.equal(config.fsync, "interval");
  assert.equal(config.queueBytesMax, 1024 ** 3);
  assert.equal(config.quarantineBytesMax, 256 * 1024 ** 2);
  assert.equal(config.recordAgeMaxMs, 0);
  assert.equal(config.queueItemsMax, 10_000_000);
  assert.equal(config.bodyBytesMax, 64 * 1024 ** 2);
  assert.equal(config.inflightBytesMax, 256 * 1024 ** 2);
  assert.equal(config.drainTimeoutMs, 10_000);
  assert.equal(config.sampleRate, 1);
  assert.equal(config.serviceName, "breakwater");
});

// deno-fmt-ignore
const DATA_DIRS: [environment: Record<string, string>, dataDir: string][] = [
  [{ BREAKWATER_DATA_DIR: "/data/a", STATE_DIRECTORY: "/b" },               "/data/a"],
  [{ BREAKWATER_DATA_DIR: "OFF" },                                          "off"],
  [{ STATE_DIRECTORY: "/var/lib/a:/var/lib/b", XDG_STATE_HOME: "/home/x" }, "/var/lib/a"],
  [{ XDG_STATE_HOME: "/home/x", HOME: "/home/me" },                         "/home/x/breakwater"],
  [{ XDG_STATE_HOME: "relative", HOME: "/home/me" },                        "/home/me/.local/state/breakwater"],
];
for (const [environment, dataDir] of DATA_DIRS) {
  Deno.test(`P1-13 the data is kept in ${dataDir} when the environment says ${JSON.stringify(environment)}`, () => {
    const reading = readConfig(environment);
    assert.ok("config" in reading, inspect(reading));
    assert.equal(reading.config.dataDir, dataDir);
  });
}

Deno.test("P1-13 an environment that names no place for the data is a mistake that says what to set", () => {
  assert.deepEqual(readConfig({ HOME: "" }), {
    mistakes: [
      "BREAKWATER_DATA_DIR must be set: none of STATE_DIRECTORY, XDG_STATE_HOME and HOME says where the queue may be " +
      "kept; `off` keeps it in memory",
    ],
  });
});

Deno.test("a queue in memory is 64 MiB where nobody said how large, one on the disk 1 GiB", () => {
  assert.equal(configOf({ BREAKWATER_DATA_DIR: "off" }).queueBytesMax, 64 * 1024 ** 2);
  assert.equal(configOf({ BREAKWATER_DATA_DIR: "off", BREAKWATER_QUEUE_BYTES_MAX: "5" }).queueBytesMax, 5);
  assert.equal(configOf({ BREAKWATER_QUEUE_BYTES_MAX: "5" }).queueBytesMax, 5);
});

Deno.test("P1-13 the names of the predecessor are accepted and change what they name", () => {
  const config = configOf({
    APP_OTEL__EXPORTER_ENDPOINT: "http://collector.example:4318",
    APP_OTEL__CIRCUIT_BREAKER_THRESHOLD: "5",
    APP_OTEL__SAMPLE_RATE: "0.1",
    APP_OTEL__SERVICE_NAME: "taskman-api",
  });
  assert.equal(config.destinations[0]?.endpoints.reveal().traces, "http://collector.example:4318/v1/traces");
  assert.equal(config.breaker.failureThreshold, 5);
  assert.equal(config.sampleRate, 0.1);
  assert.equal(config.serviceName, "taskman-api");
});

Deno.test("P1-13 an empty endpoint, under either name, means that nothing is forwarded", () => {
  assert.deepEqual(configOf({ APP_OTEL__EXPORTER_ENDPOINT: "" }).destinations, []);
  assert.deepEqual(configOf({ OTEL_EXPORTER_OTLP_ENDPOINT: "  " }).destinations, []);
});

const RATE = "must be a number from 0 to 1";
const THRESHOLD = "must be an integer from 1 to 4095";
const LISTEN = "must be `host:port` with a port from 0 to 65535 (IPv6 in brackets), or `off`";
const LIMIT = "must be `N/second`, `N/minute` or `N/hour` with N from 1 to 1000000, or `off`";
const RANGES = "must be addresses or CIDR ranges with commas between, such as `10.0.0.0/8,::1`";

// deno-fmt-ignore
const REFUSED: [name: string, text: string, says: string][] = [
  ["APP_OTEL__SAMPLE_RATE",               "abc",             RATE],
  ["APP_OTEL__SAMPLE_RATE",               "2",               RATE],
  ["APP_OTEL__SAMPLE_RATE",               "-1",              RATE],
  ["BREAKWATER_SAMPLE_RATE",              "1.0000001",       RATE],
  ["BREAKWATER_SAMPLE_RATE",              "0x1",             RATE],
  ["APP_OTEL__CIRCUIT_BREAKER_THRESHOLD", "0",               THRESHOLD],
  ["BREAKWATER_FAILURE_THRESHOLD",        "3.5",             THRESHOLD],
  ["BREAKWATER_FAILURE_THRESHOLD",        "4096",            THRESHOLD],
  ["BREAKWATER_FAILURE_THRESHOLD",        "1e3",             THRESHOLD],
  ["BREAKWATER_COOLDOWN_MS",              "86400001",        "must be an integer from 1 to 86400000"],
  ["BREAKWATER_OTLP_HTTP_LISTEN",         "4318",            LISTEN],
  ["BREAKWATER_OTLP_HTTP_LISTEN",         ":4318",           LISTEN],
  ["BREAKWATER_OTLP_HTTP_LISTEN",         "::1:4318",        LISTEN],
  ["BREAKWATER_OTLP_GRPC_LISTEN",         "127.0.0.1:70000", LISTEN],
  ["BREAKWATER_ADMIN_LISTEN",             "127.0.0.256:1",   LISTEN],
  ["BREAKWATER_ADMIN_LISTEN",             "http://[::1]:1",  LISTEN],
  ["BREAKWATER_METRICS_RATE_LIMIT",       "10",              LIMIT],
  ["BREAKWATER_METRICS_RATE_LIMIT",       "0/minute",        LIMIT],
  ["BREAKWATER_METRICS_RATE_LIMIT",       "10/day",          LIMIT],
  ["BREAKWATER_TRUSTED_SCRAPERS",         "10.0.0.0/33",     RANGES],
  ["BREAKWATER_TRUSTED_PROXIES",          "10.0.0.1,proxy",  RANGES],
  ["BREAKWATER_ADMIN_HOSTS",              "a b",             "must be host names with commas between, without ports"],
  ["BREAKWATER_ADMIN_HOSTS",              "host:9464",       "must be host names with commas between, without ports"],
  ["BREAKWATER_FSYNC",                    "always",          "must be `commit`, `interval` or `never`"],
  ["BREAKWATER_INGEST_ALLOW_ANONYMOUS",   "yes",             "must be `true` or `false`"],
  ["OTEL_EXPORTER_OTLP_TIMEOUT",          "soon",            "must be an integer from 1 to 86400000"],
  ["OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "zstd",            "must be one of none, gzip"],
  ["OTEL_EXPORTER_OTLP_PROTOCOL",         "thrift",          "must be one of grpc, http/protobuf, http/json"],
];
for (const [name, text, says] of REFUSED) {
  Deno.test(`P1-13 ${name}=${text} is a mistake that names the setting, its range and what came`, () => {
    assert.deepEqual(mistakesOf({ [name]: text }), [`${name} ${says}, received ${JSON.stringify(text)}`]);
  });
}

Deno.test("P1-13 an endpoint that is no URL is a mistake, named as it was set and without its password", () => {
  const expected = "must be a URL that begins with http:// or https://";
  assert.deepEqual(mistakesOf({ APP_OTEL__EXPORTER_ENDPOINT: "ftp://u:hunter2@x" }), [
    `APP_OTEL__EXPORTER_ENDPOINT ${expected}`,
  ]);
});

Deno.test("all mistakes are found at once, those of single settings in the order of the table", () => {
  const mistakes = mistakesOf({
    BREAKWATER_SAMPLE_RATE: "2",
    BREAKWATER_COOLDOWN_MS: "-5",
    BREAKWATER_FSYNC: "x",
    BREAKWATER_ADMIN_LISTEN: "0.0.0.0:9464",
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://[::1]:4318",
    OTEL_EXPORTER_OTLP_TIMEOUT: "0",
    BREAKWATER_QUEUE_BYTE_MAX: "1",
  });
  assert.deepEqual(mistakes.map((mistake) => mistake.split(" ")[0]), [
    "BREAKWATER_COOLDOWN_MS",
    "BREAKWATER_FSYNC",
    "BREAKWATER_SAMPLE_RATE",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "BREAKWATER_ADMIN_LISTEN",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "BREAKWATER_QUEUE_BYTE_MAX",
  ]);
});

// deno-fmt-ignore
const NEAREST: [unknown: string, meant: string][] = [
  ["BREAKWATER_COOLDOWN",           "BREAKWATER_COOLDOWN_MS"],
  ["BREAKWATER_FALIURE_THRESHOLD",  "BREAKWATER_FAILURE_THRESHOLD"],
  ["BREAKWATER_ADMIN_TOKEN_FIEL",   "BREAKWATER_ADMIN_TOKEN_FILE"],
  ["BREAKWATER_METRICS_RATE_LIMITS", "BREAKWATER_METRICS_RATE_LIMIT"],
];
for (const [unknown, meant] of NEAREST) {
  Deno.test(`${unknown} is a mistake for which ${meant} is offered`, () => {
    assert.deepEqual(mistakesOf({ [unknown]: "1" }), [`${unknown} is not a setting: did you mean ${meant}?`]);
  });
}

Deno.test("unknown names that other programs may own are only doubted, and empty ones are not set", () => {
  const reading = readConfig({ HOME: "/home/me", APP_OTEL__SAMPLE_RAET: "1", BREAKWATER_NOTHING: "", PATH: "/bin" });
  assert.ok("config" in reading);
  assert.deepEqual(reading.warnings, ["APP_OTEL__SAMPLE_RAET is not known here: did you mean APP_OTEL__SAMPLE_RATE?"]);
});

Deno.test("a setting and its alias that say the same are one, and a mistake when they differ", () => {
  const both = (own: string, alias: string) => ({ BREAKWATER_SAMPLE_RATE: own, APP_OTEL__SAMPLE_RATE: alias });
  assert.equal(configOf(both("0.5", "0.5")).sampleRate, 0.5);
  assert.equal(configOf(both("0.5", "")).sampleRate, 0.5);
  assert.deepEqual(mistakesOf(both("0.5", "0.6")), [
    'BREAKWATER_SAMPLE_RATE and APP_OTEL__SAMPLE_RATE are two names of one setting and must agree, received "0.5" and "0.6"',
  ]);
});

Deno.test("an alias of the endpoint gives way to a single signal's own endpoint", () => {
  const [upstream] = configOf({
    APP_OTEL__EXPORTER_ENDPOINT: "http://collector.example:4318",
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://loki.example:3100/otlp/v1/logs",
  }).destinations;
  assert.deepEqual(upstream?.endpoints.reveal(), {
    traces: "http://collector.example:4318/v1/traces",
    metrics: "http://collector.example:4318/v1/metrics",
    logs: "http://loki.example:3100/otlp/v1/logs",
  });
});

Deno.test("an endpoint for traces alone forwards traces alone: OpenTelemetry's default does not fill in the others", () => {
  const { destinations } = configOf({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://tempo.example:4318/v1/traces" });
  assert.deepEqual(destinations.map(({ signals }) => signals), [["traces"]]);
});

Deno.test("a proxy in the environment is seen, because only the runtime's own fetch goes through it", () => {
  const upstreamWith = (more: Record<string, string>) =>
    configOf({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector.example:4318", ...more }).destinations[0];
  assert.equal(upstreamWith({})?.proxied, false);
  assert.equal(upstreamWith({ HTTP_PROXY: "" })?.proxied, false);
  for (const name of ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]) {
    assert.equal(upstreamWith({ [name]: "http://proxy.example:3128" })?.proxied, true, name);
  }
});

Deno.test("a probe's lease follows the longest timeout, unless it is set", () => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector.example", OTEL_EXPORTER_OTLP_LOGS_TIMEOUT: "20000" };
  assert.equal(configOf(env).breaker.probeLeaseMs, 25_000);
  assert.equal(configOf({ ...env, BREAKWATER_PROBE_LEASE_MS: "100" }).breaker.probeLeaseMs, 100);
});

Deno.test("settings whose room is not built are checked, accepted, and named as having no effect", () => {
  const reading = readConfig({
    HOME: "/home/me",
    BREAKWATER_QUARANTINE_BYTES_MAX: "0",
    BREAKWATER_OTLP_GRPC_LISTEN: "off",
    OTEL_EXPORTER_OTLP_CERTIFICATE: "/etc/ca.pem",
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "grpc",
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
  });
  assert.ok("config" in reading, inspect(reading));
  assert.deepEqual([...reading.noEffect].sort(), [
    "BREAKWATER_OTLP_GRPC_LISTEN",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
  ]);
});

// deno-fmt-ignore
const LISTENS: [text: string, listen: Config["adminListen"]][] = [
  ["localhost:0",    { host: "localhost", port: 0 }],
  ["127.0.0.1:8080", { host: "127.0.0.1", port: 8080 }],
  ["[::1]:9000",     { host: "::1", port: 9000 }],
  ["OFF",            "off"],
];
for (const [text, listen] of LISTENS) {
  Deno.test(`a listener may be ${text}`, () => {
    assert.deepEqual(configOf({ BREAKWATER_ADMIN_LISTEN: text }).adminListen, listen);
  });
}

for (const listen of ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "box.example:1"]) {
  for (const [setting, stem] of [["BREAKWATER_OTLP_HTTP_LISTEN", "INGEST"], ["BREAKWATER_ADMIN_LISTEN", "ADMIN"]]) {
    Deno.test(`${setting}=${listen} needs a token, or the word that it needs none`, () => {
      const env = { [setting!]: listen };
      assert.match(
        mistakesOf(env).join(),
        new RegExp(`^${setting} is open to other machines .*BREAKWATER_${stem}_TOKEN`),
      );
      configOf({ ...env, [`BREAKWATER_${stem}_TOKEN`]: "s3cret" });
      configOf({ ...env, [`BREAKWATER_${stem}_ALLOW_ANONYMOUS`]: "true" });
      mistakesOf({ ...env, [`BREAKWATER_${stem}_ALLOW_ANONYMOUS`]: "false" });
    });
  }
}

// deno-fmt-ignore
const LOOPS: [listen: string, upstream: string, loops: boolean][] = [
  ["127.0.0.1:4318", "http://127.0.0.1:4318",          true],
  ["127.0.0.1:4318", "http://localhost:4318",          true],
  ["127.0.0.1:4318", "http://LOCALHOST.:4318/base",    true],
  ["127.0.0.1:4318", "http://[::1]:4318",              true],
  ["127.0.0.1:4318", "http://0.0.0.0:4318",            true],
  ["127.0.0.1:4318", "http://127.1:4318",              true],
  ["127.0.0.1:4318", "http://[::ffff:127.0.0.1]:4318", true],
  ["127.0.0.1:4318", "http://api.localhost:4318",      true],
  ["127.0.0.1:80",   "http://localhost",               true],
  ["127.0.0.1:443",  "https://localhost",              true],
  ["localhost:4318", "http://127.0.0.1:4318",          true],
  ["[::1]:4318",     "http://localhost:4318",          true],
  ["0.0.0.0:4318",   "http://localhost:4318",          true],
  ["0.0.0.0:4318",   "http://127.0.0.2:4318",          true],
  ["[::]:4318",      "http://127.0.0.1:4318",          true],
  ["192.0.2.1:4318", "http://192.0.2.1:4318",          true],
  ["box.example:4318", "http://BOX.example:4318",      true],
  ["127.0.0.1:4318", "http://127.0.0.1:4319",          false],
  ["127.0.0.1:4318", "http://127.0.0.2:4318",          false],
  ["127.0.0.1:4318", "http://collector.example:4318",  false],
  ["127.0.0.1:4318", "https://127.0.0.1",              false],
  ["192.0.2.1:4318", "http://localhost:4318",          false],
  ["127.0.0.1:0",    "http://127.0.0.1:4318",          false],
];
for (const [listen, upstream, loops] of LOOPS) {
  Deno.test(`an upstream at ${upstream} is ${loops ? "" : "not "}our own listener ${listen}`, () => {
    const env = {
      BREAKWATER_OTLP_HTTP_LISTEN: listen,
      BREAKWATER_INGEST_ALLOW_ANONYMOUS: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: upstream,
    };
    if (!loops) return void configOf(env);
    const origin = new URL(upstream).origin;
    const expected =
      `OTEL_EXPORTER_OTLP_ENDPOINT must not lead back here: ${origin} is BREAKWATER_OTLP_HTTP_LISTEN, ${listen}`;
    assert.deepEqual(mistakesOf(env), [expected]);
  });
}

Deno.test("an upstream may not be the admin listener either", () => {
  const [mistake = ""] = mistakesOf({ OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://localhost:9464/v1/logs" });
  assert.match(mistake, /must not lead back here: http:\/\/localhost:9464 is BREAKWATER_ADMIN_LISTEN/);
});

Deno.test("settings that are right alone and wrong together are mistakes", () => {
  assert.deepEqual(mistakesOf({ BREAKWATER_COOLDOWN_MS: "50000" }), [
    "BREAKWATER_COOLDOWN_MAX_MS must be at least BREAKWATER_COOLDOWN_MS, received 30000 and 50000",
  ]);
  assert.deepEqual(mistakesOf({ BREAKWATER_ADMIN_LISTEN: "localhost:4318" }), [
    "BREAKWATER_OTLP_HTTP_LISTEN and BREAKWATER_ADMIN_LISTEN must differ, received 127.0.0.1:4318 and localhost:4318",
  ]);
  assert.deepEqual(mistakesOf({ BREAKWATER_ADMIN_LISTEN: "off", BREAKWATER_OTLP_HTTP_LISTEN: "off" }), [
    "BREAKWATER_OTLP_HTTP_LISTEN and BREAKWATER_ADMIN_LISTEN must not both be off",
  ]);
  configOf({ BREAKWATER_ADMIN_LISTEN: "127.0.0.1:0", BREAKWATER_OTLP_HTTP_LISTEN: "127.0.0.1:0" });
});

Deno.test("Deno's own tracing of the server is a mistake: each trace would cause another", () => {
  for (const on of ["true", "1", "TRUE"]) assert.match(mistakesOf({ OTEL_DENO: on }).join(), /^OTEL_DENO must not/);
  configOf({ OTEL_DENO: "false" });
});

Deno.test("a secret may come from a file, once, and the file must hold one", () => {
  const files: Record<string, string> = { "/run/token": "hunter2\n", "/run/empty": "\n", "/run/two": "a b" };
  const read = (path: string) => {
    if (path in files) return files[path]!;
    throw Object.assign(new Error(`secret path ${path}`), { code: "ENOENT" });
  };
  assert.equal(configOf({ BREAKWATER_ADMIN_TOKEN_FILE: "/run/token" }, read).adminToken?.reveal(), "hunter2");
  const headers = {
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://c.example",
    OTEL_EXPORTER_OTLP_LOGS_HEADERS_FILE: "/run/headers",
  };
  files["/run/headers"] = "api-key=hunter2";
  assert.deepEqual(configOf(headers, read).destinations[0]?.headers.reveal().logs, { "api-key": "hunter2" });

  const both = { BREAKWATER_ADMIN_TOKEN: "x", BREAKWATER_ADMIN_TOKEN_FILE: "/run/token" };
  assert.deepEqual(mistakesOf(both, read), [
    "BREAKWATER_ADMIN_TOKEN and BREAKWATER_ADMIN_TOKEN_FILE are both set: one of them must go",
  ]);
  assert.deepEqual(mistakesOf({ BREAKWATER_ADMIN_TOKEN_FILE: "/run/empty" }, read), [
    'BREAKWATER_ADMIN_TOKEN_FILE must name a file with the secret in it, received "/run/empty", which is empty',
  ]);
  assert.deepEqual(mistakesOf({ BREAKWATER_ADMIN_TOKEN_FILE: "/run/none" }, read), [
    'BREAKWATER_ADMIN_TOKEN_FILE must name a file that can be read, received "/run/none" (ENOENT)',
  ]);
  assert.deepEqual(mistakesOf({ BREAKWATER_ADMIN_TOKEN_FILE: "/run/two" }, read), [
    "BREAKWATER_ADMIN_TOKEN_FILE must be visible ASCII characters without spaces, received something else",
  ]);
});

Deno.test("no secret is in a mistake, a warning, or a printed configuration", () => {
  const secrets = {
    ...HOME,
    BREAKWATER_ADMIN_TOKEN: "hunter2",
    BREAKWATER_INGEST_TOKEN: "hunter2",
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20hunter2",
    OTEL_EXPORTER_OTLP_ENDPOINT: "https://me:hunter2@c.example/base?key=hunter2",
  };
  const good = readConfig(secrets);
  assert.ok("config" in good);
  const bad = readConfig({
    ...Object.fromEntries(Object.entries(secrets).map(([name, text]) => [name, `${text} \u0000`])),
    BREAKWATER_SAMPLE_RATE: "x",
    OTEL_EXPORTER_OTLP_HEADERS: "hunter2",
    OTEL_EXPORTER_OTLP_ENDPOINT: "ftp://me:hunter2@c.example",
  });
  assert.ok("mistakes" in bad && bad.mistakes.length >= 5, inspect(bad));
  for (const reading of [good, bad]) {
    for (
      const shown of [JSON.stringify(reading), inspect(reading, { depth: 9 }), Deno.inspect(reading, { depth: 9 })]
    ) {
      assert.ok(!shown.includes("hunter2"), shown);
    }
  }
  assert.equal(`${good.config.adminToken}`, "[secret]");
});

Deno.test("what is allowed but perhaps not meant is said", () => {
  const reading = readConfig({
    ...HOME,
    BREAKWATER_OTLP_HTTP_LISTEN: "off",
    BREAKWATER_QUEUE_BYTES_MAX: "1000",
    BREAKWATER_INFLIGHT_BYTES_MAX: "1000",
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector.example:4317",
  });
  assert.ok("config" in reading);
  assert.deepEqual(reading.warnings.map((warning) => warning.slice(0, 30)), [
    "BREAKWATER_OTLP_HTTP_LISTEN is",
    "BREAKWATER_INFLIGHT_BYTES_MAX ",
    "BREAKWATER_QUEUE_BYTES_MAX is ",
    "The upstream's port is 4317, w",
  ]);
});

function configOf(env: Record<string, string>, readText?: (path: string) => string): Config {
  const reading = readConfig({ ...HOME, ...env }, readText);
  assert.ok("config" in reading, inspect(reading));
  return reading.config;
}

function mistakesOf(env: Record<string, string>, readText?: (path: string) => string): readonly string[] {
  const reading = readConfig({ ...HOME, ...env }, readText);
  assert.ok("mistakes" in reading, "there is no mistake");
  return reading.mistakes;
}
