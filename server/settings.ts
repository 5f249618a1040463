/** What a setting's text may be. Each kind is read by one function in `server/setting_kinds.ts`. */
export type SettingKind =
  | { readonly kind: "integer"; readonly min: number; readonly max: number; readonly unit?: "ms" | "bytes" | "items" }
  | { readonly kind: "number"; readonly min: number; readonly max: number }
  | { readonly kind: "choice"; readonly values: readonly string[] }
  | { readonly kind: "flag" }
  | { readonly kind: "listen" }
  | { readonly kind: "rate" }
  | { readonly kind: "ranges" }
  | { readonly kind: "hosts" }
  | { readonly kind: "token" }
  | { readonly kind: "name" }
  /** Read with the rest of its family by `exporters/env.ts`. */
  | { readonly kind: "otlp"; readonly range: string };

/** One row of the table: all that is known of a setting before anybody has set it. */
export interface Setting {
  readonly name: string;
  /** The name a predecessor gave it. Accepted in its place. */
  readonly alias?: string;
  readonly is: SettingKind;
  /** As one would write it; absent when nothing is assumed. */
  readonly default?: string;
  /** The default in words, where it is not a text that could be written. */
  readonly defaultSays?: string;
  /** One sentence for people. */
  readonly says: string;
  /** Never shown anywhere. The text may come from the file that `<name>_FILE` names. */
  readonly secret?: true;
  /** `OTEL_EXPORTER_OTLP_TRACES_…` and its sisters exist too, and win over this one. */
  readonly perSignal?: true;
  /** Its room is not built: the name and the value are checked, and said once to have no effect. */
  readonly noEffectYet?: true;
}

/** The heading under which settings stand together, with the settings. */
export interface SettingGroup {
  readonly title: string;
  readonly settings: readonly Setting[];
}

/** A day: no cooldown, lease or wait of a circuit is meant to be longer. */
const DAY_MS = 86_400_000;
/** Where a number of bytes is still an exact integer, and far above any machine. */
const BYTES_MAX = 2 ** 40;

/** Every setting of the server, in the order in which people are shown them. The only list there is. */
export const SETTING_GROUPS = [
  {
    title: "Upstream",
    settings: [
      {
        name: "OTEL_EXPORTER_OTLP_ENDPOINT",
        alias: "APP_OTEL__EXPORTER_ENDPOINT",
        is: { kind: "otlp", range: "an http or https URL" },
        defaultSays: "none (what is received stays here)",
        says: "Where telemetry is forwarded to; `/v1/<signal>` is added. A signal's own endpoint is used as it is.",
        perSignal: true,
      },
      {
        name: "OTEL_EXPORTER_OTLP_HEADERS",
        is: { kind: "otlp", range: "`name=value` pairs, percent-encoded, with commas between" },
        defaultSays: "none",
        says: "Sent with every request to the upstream.",
        secret: true,
        perSignal: true,
      },
      {
        name: "OTEL_EXPORTER_OTLP_TIMEOUT",
        is: { kind: "otlp", range: "an integer from 1 to 86400000, in ms" },
        default: "10000",
        says: "How long one attempt may take.",
        perSignal: true,
      },
      {
        name: "OTEL_EXPORTER_OTLP_COMPRESSION",
        is: { kind: "otlp", range: "`gzip` or `none`" },
        default: "none",
        says: "How requests to the upstream are compressed.",
        perSignal: true,
      },
      {
        name: "OTEL_EXPORTER_OTLP_PROTOCOL",
        is: { kind: "otlp", range: "`http/protobuf`, `http/json` or `grpc`" },
        default: "http/protobuf",
        says: "How the upstream is spoken to; only `http/protobuf` is built.",
        perSignal: true,
      },
      ...(["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE", "INSECURE"] as const).map((part) => ({
        name: `OTEL_EXPORTER_OTLP_${part}` as const,
        is: { kind: "otlp", range: part === "INSECURE" ? "`true` or `false`" : "a file" },
        defaultSays: "none",
        says: part === "INSECURE" ? "For gRPC without TLS." : "TLS to the upstream with a certificate of one's own.",
        perSignal: true,
        noEffectYet: true,
      } as const)),
    ],
  },
  {
    title: "Listeners",
    settings: [
      {
        name: "BREAKWATER_OTLP_HTTP_LISTEN",
        is: { kind: "listen" },
        default: "127.0.0.1:4318",
        says: "Where OTLP/HTTP is received.",
      },
      {
        name: "BREAKWATER_OTLP_GRPC_LISTEN",
        is: { kind: "listen" },
        default: "127.0.0.1:4317",
        says: "Where OTLP/gRPC is received.",
        noEffectYet: true,
      },
      {
        name: "BREAKWATER_ADMIN_LISTEN",
        is: { kind: "listen" },
        default: "127.0.0.1:9464",
        says: "Where health and metrics are served.",
      },
      {
        name: "BREAKWATER_INGEST_TOKEN",
        is: { kind: "token" },
        defaultSays: "none",
        says: "What senders of telemetry must carry as `Authorization: Bearer …`.",
        secret: true,
      },
      {
        name: "BREAKWATER_INGEST_ALLOW_ANONYMOUS",
        is: { kind: "flag" },
        default: "false",
        says: "Lets the OTLP listener leave loopback without a token.",
      },
      {
        name: "BREAKWATER_ADMIN_TOKEN",
        is: { kind: "token" },
        defaultSays: "none",
        says: "What admin routes ask for that change something or show telemetry; health and metrics stay open.",
        secret: true,
      },
      {
        name: "BREAKWATER_ADMIN_ALLOW_ANONYMOUS",
        is: { kind: "flag" },
        default: "false",
        says: "Lets the admin listener leave loopback without a token.",
      },
      {
        name: "BREAKWATER_ADMIN_HOSTS",
        is: { kind: "hosts" },
        defaultSays: "none",
        says: "Names by which admin may be asked for, besides localhost and loopback addresses.",
      },
      {
        name: "BREAKWATER_METRICS_RATE_LIMIT",
        is: { kind: "rate" },
        default: "10/minute",
        says: "How often one client may read `/metrics`.",
      },
      {
        name: "BREAKWATER_TRUSTED_SCRAPERS",
        is: { kind: "ranges" },
        defaultSays: "none",
        says: "Clients that may read `/metrics` as often as they like.",
      },
      {
        name: "BREAKWATER_TRUSTED_PROXIES",
        is: { kind: "ranges" },
        defaultSays: "none",
        says: "Proxies whose `X-Forwarded-For` is believed.",
      },
    ],
  },
  {
    title: "Circuit breaker, one for each signal of the upstream",
    settings: [
      {
        name: "BREAKWATER_FAILURE_THRESHOLD",
        alias: "APP_OTEL__CIRCUIT_BREAKER_THRESHOLD",
        is: { kind: "integer", min: 1, max: 4095 },
        default: "3",
        says: "Consecutive failures that open the circuit.",
      },
      {
        name: "BREAKWATER_SUCCESS_THRESHOLD",
        is: { kind: "integer", min: 1, max: 63 },
        default: "1",
        says: "Successful probes that close it again.",
      },
      {
        name: "BREAKWATER_PROBE_EVERY_NTH",
        is: { kind: "integer", min: 0, max: 1_000_000 },
        default: "0",
        says: "While open, lets every n-th attempt through as a probe, from the first on; 0 leaves it to the cooldown.",
      },
      {
        name: "BREAKWATER_COOLDOWN_MS",
        is: { kind: "integer", min: 1, max: DAY_MS, unit: "ms" },
        default: "5000",
        says: "How long the circuit stays open before a probe; doubles with each probe that fails.",
      },
      {
        name: "BREAKWATER_COOLDOWN_MAX_MS",
        is: { kind: "integer", min: 1, max: DAY_MS, unit: "ms" },
        default: "30000",
        says: "The longest that doubling makes it.",
      },
      {
        name: "BREAKWATER_PROBE_LEASE_MS",
        is: { kind: "integer", min: 1, max: DAY_MS, unit: "ms" },
        defaultSays: "the longest timeout + 5000",
        says: "A probe that has not reported by then is given up, and another may pass.",
      },
      {
        name: "BREAKWATER_THROTTLE_MAX_MS",
        is: { kind: "integer", min: 1, max: DAY_MS, unit: "ms" },
        default: "300000",
        says: "The longest pause that the upstream may ask for.",
      },
    ],
  },
  {
    title: "Queue, disk and memory",
    settings: [
      {
        name: "BREAKWATER_QUEUE_BYTES_MAX",
        is: { kind: "integer", min: 1, max: BYTES_MAX, unit: "bytes" },
        defaultSays: "`1073741824` (`67108864` in memory)",
        says: "What may wait of each signal; beyond it senders are told to come back later.",
      },
      {
        name: "BREAKWATER_QUEUE_ITEMS_MAX",
        is: { kind: "integer", min: 1, max: 1_000_000_000, unit: "items" },
        default: "10000000",
        says: "The same in spans, data points and log records.",
      },
      {
        name: "BREAKWATER_BODY_BYTES_MAX",
        is: { kind: "integer", min: 1, max: 2 ** 30, unit: "bytes" },
        default: "67108864",
        says: "The largest request, before and after decompression.",
      },
      {
        name: "BREAKWATER_INFLIGHT_BYTES_MAX",
        is: { kind: "integer", min: 1, max: BYTES_MAX, unit: "bytes" },
        default: "268435456",
        says: "Memory for all requests that are being received.",
      },
      {
        name: "BREAKWATER_DRAIN_TIMEOUT_MS",
        is: { kind: "integer", min: 0, max: DAY_MS, unit: "ms" },
        default: "10000",
        says: "How long a shutdown may go on delivering what waits.",
      },
      {
        name: "BREAKWATER_RECORD_AGE_MAX_MS",
        is: { kind: "integer", min: 0, max: 365 * DAY_MS, unit: "ms" },
        default: "0",
        says: "What has waited longer is dropped as `expired`; 0 keeps it.",
      },
      {
        name: "BREAKWATER_DATA_DIR",
        is: { kind: "name" },
        defaultSays: "`$STATE_DIRECTORY`, else `$XDG_STATE_HOME/breakwater`, else `~/.local/state/breakwater`",
        says: "The folder of the queue, ours alone; `off` keeps the queue in memory, gone with the process.",
      },
      {
        name: "BREAKWATER_FSYNC",
        is: { kind: "choice", values: ["commit", "interval", "never"] },
        default: "interval",
        says: "When what was accepted survives a loss of power: at once, within 100 ms, or when the system likes.",
      },
      {
        name: "BREAKWATER_QUARANTINE_BYTES_MAX",
        is: { kind: "integer", min: 0, max: BYTES_MAX, unit: "bytes" },
        default: "268435456",
        says: "What is kept for people to look at of that which the upstream refused for good; 0 keeps nothing.",
      },
    ],
  },
  {
    title: "Telemetry",
    settings: [
      {
        name: "BREAKWATER_SAMPLE_RATE",
        alias: "APP_OTEL__SAMPLE_RATE",
        is: { kind: "number", min: 0, max: 1 },
        default: "1.0",
        says: "The share of traces that is kept, decided by the trace id; metrics and logs are not sampled.",
      },
      {
        name: "OTEL_SERVICE_NAME",
        alias: "APP_OTEL__SERVICE_NAME",
        is: { kind: "name" },
        default: "breakwater",
        says: "What this server calls itself.",
      },
    ],
  },
] as const satisfies readonly SettingGroup[];

/** The name of a setting in the table. */
export type SettingName = (typeof SETTING_GROUPS)[number]["settings"][number]["name"];

/** All settings in one list. */
export const SETTINGS: readonly (Setting & { readonly name: SettingName })[] = SETTING_GROUPS.flatMap(
  ({ settings }) => settings as readonly (Setting & { readonly name: SettingName })[],
);

const SIGNAL_INFIXES = ["TRACES_", "METRICS_", "LOGS_"] as const;

/** Every name under which a setting may be set, without `…_FILE`: its own, its alias, and those of single signals. */
export function namesOf({ name, alias, perSignal }: Setting): readonly string[] {
  const ofSignals = perSignal ? SIGNAL_INFIXES.map((infix) => name.replace(/^OTEL_EXPORTER_OTLP_/, `$&${infix}`)) : [];
  return [name, ...(alias === undefined ? [] : [alias]), ...ofSignals];
}
