import { otlpFromEnvironment } from "../exporters/env.ts";
import type { OnFull } from "../exporters/journal/journal.ts";
import type { Signal } from "../exporters/signal.ts";
import { Secret } from "./secret.ts";
import type { SettingTexts } from "./setting_texts.ts";
import { namesOf, SETTINGS } from "./settings.ts";

/** A backend, or several: where telemetry can be sent to. */
export interface Upstream {
  /** The signals that have an endpoint, in the order in which they are shown. */
  readonly signals: readonly Signal[];
  /** Complete URLs; only those of `signals` are meant. Hidden because a URL may hold a password. */
  readonly endpoints: Secret<Readonly<Record<Signal, string>>>;
  /** The endpoints without what must not be seen: scheme, host, port and path. */
  readonly shownEndpoints: Readonly<Partial<Record<Signal, string>>>;
  /** Sent with every request. */
  readonly headers: Secret<Readonly<Record<Signal, Readonly<Record<string, string>>>>>;
  /** How requests are compressed. */
  readonly compression: Readonly<Record<Signal, "none" | "gzip">>;
  /** How long one attempt may take. */
  readonly timeoutMs: Readonly<Record<Signal, number>>;
  /** Whether the environment names a proxy, in the variables that the runtime's `fetch` follows. */
  readonly proxied: boolean;
}

/** One place that telemetry is forwarded to. Each has all that is received of its signals. */
export interface DestinationPlan extends Upstream {
  /** In metrics, logs and health, and on the disk, where what waits for it is found again by it. */
  readonly name: string;
  /**
   * What happens when its queue is full.
   *
   * @default {"reject" at the first destination of a signal, "drop_oldest" at the others: none holds back another}
   */
  readonly onFull?: OnFull;
}

/** The name of the destination that `OTEL_EXPORTER_OTLP_…` stands for. */
export const UPSTREAM_NAME = "upstream";

/** Where each of its signals goes, without what must not be seen. */
export function shownUrls({ signals, shownEndpoints }: Upstream): readonly URL[] {
  return signals.map((signal) => new URL(shownEndpoints[signal]!));
}

/** What the environment says of the upstream. */
export interface UpstreamReading {
  /** Absent when no signal has an endpoint. */
  readonly upstream: Upstream | undefined;
  readonly mistakes: readonly string[];
  readonly noEffect: readonly string[];
  /** The longest that one attempt may take, upstream or not. */
  readonly attemptMsMax: number;
}

/** Reads `OTEL_EXPORTER_OTLP_…`. What an exporter in an application would only warn of is a mistake for the server. */
export function readUpstream(texts: SettingTexts): UpstreamReading {
  const { environment, readableNames } = upstreamEnvironment(texts);
  const { endpoints, signals, headers, compression, timeoutMs, warnings, ignored } = otlpFromEnvironment(environment);
  // The reader knows a text by its standard name; people look for it under the name by which they gave it.
  const mistakes = warnings.map((warning) =>
    warning
      .replaceAll(/OTEL_EXPORTER_OTLP_\w+/g, (name) => readableNames.get(name) ?? name)
      .replace(/; (it is left out|\S+ is used)$/, "")
  );
  const unspoken = Object.keys(environment).filter((name) => isUnspoken(name, environment[name]!));
  const attemptMsMax = Math.max(...Object.values(timeoutMs));
  const reading = { mistakes, noEffect: [...ignored, ...unspoken], attemptMsMax };
  if (endpoints === undefined) return { ...reading, upstream: undefined };
  const shownEndpoints = Object.fromEntries(signals.map((signal) => [signal, shown(endpoints[signal])]));
  const upstream: Upstream = {
    signals,
    endpoints: new Secret(endpoints),
    shownEndpoints,
    headers: new Secret(headers),
    compression,
    timeoutMs,
    proxied: texts.namesProxy,
  };
  return { ...reading, upstream };
}

/** The settings of the OTLP exporter under their standard names, with aliases followed and secrets read from files. */
function upstreamEnvironment(texts: SettingTexts): {
  readonly environment: Readonly<Record<string, string>>;
  readonly readableNames: ReadonlyMap<string, string>;
} {
  const environment: Record<string, string> = {};
  const readableNames = new Map<string, string>();
  for (const setting of SETTINGS.filter(({ is }) => is.kind === "otlp")) {
    for (const name of namesOf(setting).filter((name) => name !== setting.alias)) {
      const found = name === setting.name ? texts.found(setting) : texts.textOf(setting, name);
      if (found === undefined) continue;
      environment[name] = found.text;
      readableNames.set(name, found.name);
    }
  }
  return { environment, readableNames };
}

/** Whether it asks for a protocol in which the upstream is not spoken to yet. */
function isUnspoken(name: string, text: string): boolean {
  return name.endsWith("_PROTOCOL") && text.toLowerCase() !== "http/protobuf";
}

/** A URL without user, password, query and fragment: each of them has been used to carry a key. */
function shown(endpoint: string): string {
  const url = URL.parse(endpoint);
  return url === null ? "an unreadable URL" : `${url.protocol}//${url.host}${url.pathname}`;
}
