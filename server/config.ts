import { readFileSync } from "node:fs";
import type { Environment } from "../exporters/env.ts";
import type { FsyncPolicy } from "../exporters/journal/writer.ts";
import { type AddressRange, isLoopbackHost } from "./address.ts";
import { defaultDataDir } from "./data_folder.ts";
import { nearestName } from "./nearest_name.ts";
import { leadsTo, targetOf } from "./own_listener.ts";
import { Secret } from "./secret.ts";
import type { Listen, Rate } from "./setting_kinds.ts";
import { SettingTexts } from "./setting_texts.ts";
import { namesOf, type SettingName, SETTINGS } from "./settings.ts";
import { type DestinationPlan, readUpstream, shownUrls, UPSTREAM_NAME } from "./upstream.ts";

/** Everything the server can be told, checked and complete. Made by {@linkcode readConfig}. */
export interface Config {
  /** Where OTLP/HTTP is received. */
  readonly otlpHttpListen: Listen;
  /** Where health and metrics are served. */
  readonly adminListen: Listen;
  /** Where telemetry is forwarded to; none when everything stays here. Each has a name of its own. */
  readonly destinations: readonly DestinationPlan[];
  /** How the circuits of the destinations behave. */
  readonly breaker: BreakerConfig;
  /** The folder of the queue; `off` keeps it in memory. */
  readonly dataDir: string | "off";
  /** When what was accepted survives a loss of power. */
  readonly fsync: FsyncPolicy;
  /** What may wait of each signal. */
  readonly queueBytesMax: number;
  /** The same in items. */
  readonly queueItemsMax: number;
  /** The largest request, before and after decompression. */
  readonly bodyBytesMax: number;
  /** Memory for all requests that are being received. */
  readonly inflightBytesMax: number;
  /** What has waited longer is dropped; 0 keeps it for ever. */
  readonly recordAgeMaxMs: number;
  /** What is kept of that which the upstream refused for good; 0 keeps nothing. */
  readonly quarantineBytesMax: number;
  /** How long a shutdown may go on delivering what waits. */
  readonly drainTimeoutMs: number;
  /** The share of traces that is kept, from 0 to 1. */
  readonly sampleRate: number;
  /** What the server calls itself. */
  readonly serviceName: string;
  /** How often one client may read `/metrics`. */
  readonly metricsRateLimit: Rate;
  /** Clients that may read `/metrics` as often as they like. */
  readonly trustedScrapers: readonly AddressRange[];
  /** Proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly AddressRange[];
  /** Names by which admin may be asked for, besides loopback. */
  readonly adminHosts: readonly string[];
  /** What senders of telemetry must show; absent when nobody need show anything. */
  readonly ingestToken: Secret<string> | undefined;
  /** What admin routes ask for that change something or show telemetry. */
  readonly adminToken: Secret<string> | undefined;
}

/** What each lane's circuit breaker is made with; the rest stays as the core has it. */
export interface BreakerConfig {
  /** Consecutive failures that open the circuit. */
  readonly failureThreshold: number;
  /** Successful probes that close it again. */
  readonly successThreshold: number;
  /** Every n-th attempt while open is a probe; 0 leaves probing to the cooldown. */
  readonly probeEveryNth: number;
  /** From opening to the first probe. */
  readonly cooldownMs: number;
  /** The longest that a cooldown grows. */
  readonly cooldownMaxMs: number;
  /** A probe that has not reported by then is given up. */
  readonly probeLeaseMs: number;
  /** The longest pause that the upstream may ask for. */
  readonly throttleMaxMs: number;
}

/** A configuration to start with, or every reason why there is none. Each text is one sentence for people. */
export type ConfigReading =
  | {
    /** Complete and checked. */
    readonly config: Config;
    /** What is allowed but perhaps not meant. */
    readonly warnings: readonly string[];
    /** Names that are set but have no effect in this version. */
    readonly noEffect: readonly string[];
  }
  | {
    /** What must be put right before the server starts. */
    readonly mistakes: readonly string[];
  };

/**
 * Reads the settings. All mistakes are found at once, each named with what it must be and what came; secrets are never
 * repeated. When a setting and its alias are both set and differ, that is a mistake as well: guessing which one was
 * meant would send telemetry to the wrong place without a word.
 *
 * @param environment All variables, not only ours, because unknown `BREAKWATER_…` names are mistakes.
 * @param readText Reads the file that `<secret>_FILE` names; may throw.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { readConfig } from "@breakwater/otel/server";
 *
 * const reading = readConfig({ HOME: "/home/me", BREAKWATER_COOLDOWN: "5", BREAKWATER_SAMPLE_RATE: "2" });
 * assert.deepEqual("mistakes" in reading && reading.mistakes, [
 *   'BREAKWATER_SAMPLE_RATE must be a number from 0 to 1, received "2"',
 *   "BREAKWATER_COOLDOWN is not a setting: did you mean BREAKWATER_COOLDOWN_MS?",
 * ]);
 * ```
 */
export function readConfig(environment: Environment, readText: (path: string) => string = readFile): ConfigReading {
  const texts = new SettingTexts(environment, readText);
  texts.readAll();
  const { upstream, mistakes: upstreamMistakes, noEffect, attemptMsMax } = readUpstream(texts);
  const dataDir = dataDirFrom(texts, environment);
  const destinations = upstream === undefined ? [] : [{ name: UPSTREAM_NAME, ...upstream }];
  const config = configFrom(texts, dataDir ?? "off", destinations, attemptMsMax);
  const mistakes = [
    ...texts.mistakes,
    ...(dataDir === undefined ? [NO_DATA_DIR] : []),
    ...upstreamMistakes,
    ...contradictions(config),
    ...openDoors(config, texts),
    ...ownListeners(config),
    ...unknownNames(environment),
    ...(/^(1|true)$/i.test(environment.OTEL_DENO?.trim() ?? "") ? [OWN_TRACING] : []),
  ];
  if (mistakes.length > 0) return { mistakes };
  const warnings = [...doubts(config), ...unknownForeignNames(environment)];
  return { config, warnings, noEffect: [...new Set([...noEffect, ...texts.withoutEffect()])] };
}

/**
 * The sentences that say why telemetry cannot be forwarded to `listener`, for each origin that leads there.
 *
 * @param ownAddresses The addresses of this machine's interfaces, where they are known.
 * @param addressesOf The addresses that the name of a destination's host stands for, where they are known.
 */
export function leadsBack(
  destinations: readonly DestinationPlan[],
  listener: { readonly name: string; readonly listen: Listen },
  ownAddresses: readonly string[] = [],
  addressesOf: (host: string) => readonly string[] = () => [],
): readonly string[] {
  const { name, listen } = listener;
  if (listen === "off") return [];
  const leadsThere = (origin: string): boolean => {
    const { host, port } = targetOf(new URL(origin));
    return [host, ...addressesOf(host)].some((address) => leadsTo({ host: address, port }, listen, ownAddresses));
  };
  return destinations.flatMap((destination) => {
    const origins = new Set(shownUrls(destination).map(({ origin }) => origin));
    const subject = destination.name === UPSTREAM_NAME
      ? "OTEL_EXPORTER_OTLP_ENDPOINT"
      : `destination "${destination.name}"`;
    return [...origins].filter(leadsThere).map((origin) =>
      `${subject} must not lead back here: ${origin} is ${name}, ${shownListen(listen)}`
    );
  });
}

/** A listener's address as it is written in a setting or a URL. */
export function shownListen(listen: Listen): string {
  if (listen === "off") return "off";
  return `${listen.host.includes(":") ? `[${listen.host}]` : listen.host}:${listen.port}`;
}

/** A tracer of the server would send its spans to this very server, and trace the requests that carry them. */
const OWN_TRACING = "OTEL_DENO must not be true for this server: each of its own traces would cause another";

/** What a probe may take beyond the attempt that it is, before it is given up. */
const PROBE_LEASE_MARGIN_MS = 5000;
/** The longest lease that a circuit takes. */
const PROBE_LEASE_MAX_MS = 86_400_000;

/** What may wait of each signal, where nobody said so: a disk has more room than memory. */
const DISK_QUEUE_BYTES_MAX = 2 ** 30;
const MEMORY_QUEUE_BYTES_MAX = 2 ** 26;

const NO_DATA_DIR =
  "BREAKWATER_DATA_DIR must be set: none of STATE_DIRECTORY, XDG_STATE_HOME and HOME says where the " +
  "queue may be kept; `off` keeps it in memory";

/** Where the queue is kept; undefined when nothing says so. */
function dataDirFrom(texts: SettingTexts, environment: Environment): string | "off" | undefined {
  const set = texts.value("name", "BREAKWATER_DATA_DIR");
  if (set !== undefined) return set.toLowerCase() === "off" ? "off" : set;
  return defaultDataDir(environment);
}

function configFrom(
  texts: SettingTexts,
  dataDir: string | "off",
  destinations: readonly DestinationPlan[],
  attemptMsMax: number,
): Config {
  // Numbers, flags and listeners have defaults in the table, so they are always there.
  const integer = (name: SettingName) => texts.value("integer", name)!;
  const token = (name: SettingName) => {
    const text = texts.value("token", name);
    return text === undefined ? undefined : new Secret(text);
  };
  return {
    otlpHttpListen: texts.value("listen", "BREAKWATER_OTLP_HTTP_LISTEN")!,
    adminListen: texts.value("listen", "BREAKWATER_ADMIN_LISTEN")!,
    destinations,
    breaker: {
      failureThreshold: integer("BREAKWATER_FAILURE_THRESHOLD"),
      successThreshold: integer("BREAKWATER_SUCCESS_THRESHOLD"),
      probeEveryNth: integer("BREAKWATER_PROBE_EVERY_NTH"),
      cooldownMs: integer("BREAKWATER_COOLDOWN_MS"),
      cooldownMaxMs: integer("BREAKWATER_COOLDOWN_MAX_MS"),
      probeLeaseMs: texts.value("integer", "BREAKWATER_PROBE_LEASE_MS") ??
        Math.min(attemptMsMax + PROBE_LEASE_MARGIN_MS, PROBE_LEASE_MAX_MS),
      throttleMaxMs: integer("BREAKWATER_THROTTLE_MAX_MS"),
    },
    dataDir,
    fsync: texts.value("choice", "BREAKWATER_FSYNC") as FsyncPolicy,
    queueBytesMax: texts.value("integer", "BREAKWATER_QUEUE_BYTES_MAX") ??
      (dataDir === "off" ? MEMORY_QUEUE_BYTES_MAX : DISK_QUEUE_BYTES_MAX),
    queueItemsMax: integer("BREAKWATER_QUEUE_ITEMS_MAX"),
    bodyBytesMax: integer("BREAKWATER_BODY_BYTES_MAX"),
    inflightBytesMax: integer("BREAKWATER_INFLIGHT_BYTES_MAX"),
    recordAgeMaxMs: integer("BREAKWATER_RECORD_AGE_MAX_MS"),
    quarantineBytesMax: integer("BREAKWATER_QUARANTINE_BYTES_MAX"),
    drainTimeoutMs: integer("BREAKWATER_DRAIN_TIMEOUT_MS"),
    sampleRate: texts.value("number", "BREAKWATER_SAMPLE_RATE")!,
    serviceName: texts.value("name", "OTEL_SERVICE_NAME")!,
    metricsRateLimit: texts.value("rate", "BREAKWATER_METRICS_RATE_LIMIT")!,
    trustedScrapers: texts.value("ranges", "BREAKWATER_TRUSTED_SCRAPERS") ?? [],
    trustedProxies: texts.value("ranges", "BREAKWATER_TRUSTED_PROXIES") ?? [],
    adminHosts: texts.value("hosts", "BREAKWATER_ADMIN_HOSTS") ?? [],
    ingestToken: token("BREAKWATER_INGEST_TOKEN"),
    adminToken: token("BREAKWATER_ADMIN_TOKEN"),
  };
}

/** Settings that are right alone and wrong together. */
function contradictions({ breaker, otlpHttpListen, adminListen }: Config): readonly string[] {
  const found: string[] = [];
  if (breaker.cooldownMaxMs < breaker.cooldownMs) {
    const received = `received ${breaker.cooldownMaxMs} and ${breaker.cooldownMs}`;
    found.push(`BREAKWATER_COOLDOWN_MAX_MS must be at least BREAKWATER_COOLDOWN_MS, ${received}`);
  }
  if (otlpHttpListen === "off" && adminListen === "off") {
    found.push("BREAKWATER_OTLP_HTTP_LISTEN and BREAKWATER_ADMIN_LISTEN must not both be off");
  } else if (otlpHttpListen !== "off" && adminListen !== "off" && leadsTo(adminListen, otlpHttpListen)) {
    const received = `received ${shownListen(otlpHttpListen)} and ${shownListen(adminListen)}`;
    found.push(`BREAKWATER_OTLP_HTTP_LISTEN and BREAKWATER_ADMIN_LISTEN must differ, ${received}`);
  }
  return found;
}

/** Listeners that others can reach without showing a token. */
function openDoors({ otlpHttpListen, ingestToken, adminListen, adminToken }: Config, texts: SettingTexts): string[] {
  const doors = [
    {
      listenName: "BREAKWATER_OTLP_HTTP_LISTEN",
      listen: otlpHttpListen,
      token: ingestToken,
      stem: "BREAKWATER_INGEST",
    },
    { listenName: "BREAKWATER_ADMIN_LISTEN", listen: adminListen, token: adminToken, stem: "BREAKWATER_ADMIN" },
  ] as const;
  return doors
    .filter(({ stem, token, listen }) => {
      const anonymous = texts.value("flag", `${stem}_ALLOW_ANONYMOUS`);
      return token === undefined && !anonymous && listen !== "off" && !isLoopbackHost(listen.host);
    })
    .map(({ listenName, listen, stem }) =>
      `${listenName} is open to other machines (${shownListen(listen)}): ` +
      `set ${stem}_TOKEN, or ${stem}_ALLOW_ANONYMOUS=true if that is meant`
    );
}

function ownListeners({ destinations, otlpHttpListen, adminListen }: Config): readonly string[] {
  return [
    ...leadsBack(destinations, { name: "BREAKWATER_OTLP_HTTP_LISTEN", listen: otlpHttpListen }),
    ...leadsBack(destinations, { name: "BREAKWATER_ADMIN_LISTEN", listen: adminListen }),
  ];
}

const KNOWN_NAMES = SETTINGS.flatMap((setting) =>
  namesOf(setting).flatMap((name) => setting.secret ? [name, `${name}_FILE`] : [name])
);

function unknownNames(environment: Environment): readonly string[] {
  return unknownWith("BREAKWATER_", environment)
    .map((name) => `${name} is not a setting: did you mean ${nearestName(name, KNOWN_NAMES)}?`);
}

/** Other programs read names with these prefixes too, so one that we do not know is not wrong. */
function unknownForeignNames(environment: Environment): readonly string[] {
  return ["APP_OTEL__", "OTEL_EXPORTER_OTLP_"]
    .flatMap((prefix) => unknownWith(prefix, environment))
    .map((name) => `${name} is not known here: did you mean ${nearestName(name, KNOWN_NAMES)}?`);
}

function unknownWith(prefix: string, environment: Environment): readonly string[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith(prefix) && environment[name]?.trim() && !KNOWN_NAMES.includes(name))
    .sort();
}

/** What is allowed but perhaps not meant. */
function doubts(config: Config): readonly string[] {
  const found: string[] = [];
  if (config.otlpHttpListen === "off") found.push("BREAKWATER_OTLP_HTTP_LISTEN is off: no telemetry can be received");
  for (const limit of ["INFLIGHT_BYTES_MAX", "QUEUE_BYTES_MAX"] as const) {
    const bytesMax = limit === "QUEUE_BYTES_MAX" ? config.queueBytesMax : config.inflightBytesMax;
    if (bytesMax >= config.bodyBytesMax) continue;
    found.push(`BREAKWATER_${limit} is below BREAKWATER_BODY_BYTES_MAX: the largest requests can never be accepted`);
  }
  if (config.destinations.flatMap(shownUrls).some(({ port }) => port === "4317")) {
    found.push("The upstream's port is 4317, which is usually OTLP/gRPC; OTLP/HTTP is usually on 4318");
  }
  return found;
}

/** Read-only text access for secrets: the one thing the settings need from the disk. */
function readFile(path: string): string {
  return readFileSync(path, "utf8");
}
