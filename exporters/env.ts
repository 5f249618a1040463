import { bySignal, type Signal, SIGNALS } from "./signal.ts";
import {
  ATTEMPT_TIMEOUT_DEFAULT_MS,
  ATTEMPT_TIMEOUT_MAX_MS,
  type Compression,
  percentDecoded,
} from "./transport/http_endpoint.ts";

/** How telemetry is to be written on the wire. */
export type OtlpProtocol = "grpc" | "http/protobuf" | "http/json";

/** What the `OTEL_EXPORTER_OTLP_*` variables say; it can be spread into a transport's options. */
export interface OtlpEnvironment {
  /**
   * Full URLs, with OpenTelemetry's default where a signal has none of its own; undefined when no endpoint is set at
   * all.
   */
  readonly endpoints?: Readonly<Record<Signal, string>>;
  /** The signals for which an endpoint is set, by the base or by a variable of their own. */
  readonly signals: readonly Signal[];
  /** Header values by name, in lower case. */
  readonly headers: Readonly<Record<Signal, Readonly<Record<string, string>>>>;
  /** How long one attempt may take, in milliseconds. */
  readonly timeoutMs: Readonly<Record<Signal, number>>;
  /** How bodies are compressed. */
  readonly compression: Readonly<Record<Signal, Compression>>;
  /** How telemetry is written on the wire. */
  readonly protocol: Readonly<Record<Signal, OtlpProtocol>>;
  /**
   * One sentence for each value that cannot be used, naming its variable and never a secret. The default stands in for
   * it.
   */
  readonly warnings: readonly string[];
  /** Variables that are set and have no effect. */
  readonly ignored: readonly string[];
}

/** Environment variables by name, as `process.env` or `Deno.env.toObject()` has them. An empty text counts as unset. */
export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = "OTEL_EXPORTER_OTLP_";
const DEFAULT_ENDPOINT = "http://localhost:4318";
const COMPRESSIONS: readonly Compression[] = ["none", "gzip"];
const PROTOCOLS: readonly OtlpProtocol[] = ["grpc", "http/protobuf", "http/json"];
/** Variables of the specification that nothing here reads: TLS files come with the runtime's own settings. */
const WITHOUT_EFFECT = ["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE", "INSECURE"];

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * Reads the exporter's environment variables, each of which has a form for one signal that wins over the general one.
 * An empty value counts as unset. Nothing is read but `env`, and nothing throws.
 *
 * @example
 * ```ts
 * const { endpoints } = otlpFromEnvironment({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318/base/" });
 * console.assert(endpoints?.traces === "http://collector:4318/base/v1/traces");
 * ```
 */
export function otlpFromEnvironment(env: Environment): OtlpEnvironment {
  const reader = new Reader(env);
  const urls = bySignal((signal) => reader.endpoint(signal));
  const signals = SIGNALS.filter((signal) => urls[signal] !== undefined);
  const endpoints = bySignal((signal) => urls[signal] ?? atBase(new URL(DEFAULT_ENDPOINT), signal));
  return {
    ...(signals.length > 0 && { endpoints }),
    signals,
    headers: bySignal((signal) => reader.headers(signal)),
    timeoutMs: bySignal((signal) => reader.timeoutMs(signal)),
    compression: bySignal((signal) => reader.choice("COMPRESSION", signal, COMPRESSIONS, "none")),
    protocol: bySignal((signal) => reader.choice("PROTOCOL", signal, PROTOCOLS, "http/protobuf")),
    warnings: [...reader.warnings],
    ignored: WITHOUT_EFFECT.flatMap((stem) => [`${PREFIX}${stem}`, ...SIGNALS.map((signal) => nameFor(stem, signal))])
      .filter((name) => textOf(env, name) !== undefined),
  };
}

/** One variable that is set. */
interface Variable {
  readonly name: string;
  readonly text: string;
}

class Reader {
  /** A set, because a mistake in a general variable is met once for each signal. */
  readonly warnings = new Set<string>();
  readonly #env: Environment;

  constructor(env: Environment) {
    this.#env = env;
  }

  /** A signal's own endpoint is taken as it stands; the general one is a base under which each signal has its path. */
  endpoint(signal: Signal): string | undefined {
    const own = this.#url(nameFor("ENDPOINT", signal));
    if (own !== undefined) return own.href;
    const base = this.#url(`${PREFIX}ENDPOINT`);
    return base && atBase(base, signal);
  }

  headers(signal: Signal): Readonly<Record<string, string>> {
    const variable = this.#variable("HEADERS", signal);
    const headers: Record<string, string> = {};
    variable?.text.split(",").forEach((pair, index) => {
      if (pair.trim() === "") return;
      const [name, value, metadata] = headerOf(pair);
      // The text itself is not repeated: it may be a secret.
      const where = `header ${index + 1} of ${variable.name}`;
      if (metadata) this.warnings.add(`What follows the ";" in ${where} is left out: metadata is not supported`);
      if (HEADER_NAME.test(name) && HEADER_VALUE.test(value)) headers[name.toLowerCase()] = value;
      else this.warnings.add(`Left out ${where}: it must be name=value with what HTTP allows in each`);
    });
    return headers;
  }

  timeoutMs(signal: Signal): number {
    const variable = this.#variable("TIMEOUT", signal);
    if (variable === undefined) return ATTEMPT_TIMEOUT_DEFAULT_MS;
    const value = Number(variable.text);
    if (/^\d+$/.test(variable.text) && value >= 1 && value <= ATTEMPT_TIMEOUT_MAX_MS) return value;
    const wanted = `an integer from 1 to ${ATTEMPT_TIMEOUT_MAX_MS}`;
    return this.#instead(variable, wanted, ATTEMPT_TIMEOUT_DEFAULT_MS);
  }

  choice<Value extends string>(stem: string, signal: Signal, values: readonly Value[], fallback: Value): Value {
    const variable = this.#variable(stem, signal);
    if (variable === undefined) return fallback;
    const value = values.find((known) => known === variable.text.toLowerCase());
    return value ?? this.#instead(variable, `one of ${values.join(", ")}`, fallback);
  }

  #instead<Value>({ name, text }: Variable, wanted: string, fallback: Value): Value {
    this.warnings.add(`${name} must be ${wanted}, received ${JSON.stringify(text)}; ${fallback} is used`);
    return fallback;
  }

  #url(name: string): URL | undefined {
    const text = textOf(this.#env, name);
    if (text === undefined) return undefined;
    const url = URL.parse(text);
    if (url?.protocol === "http:" || url?.protocol === "https:") return url;
    // The text itself is not repeated: it may hold a password.
    this.warnings.add(`${name} must be a URL that begins with http:// or https://; it is left out`);
    return undefined;
  }

  #variable(stem: string, signal: Signal): Variable | undefined {
    for (const name of [nameFor(stem, signal), `${PREFIX}${stem}`]) {
      const text = textOf(this.#env, name);
      if (text !== undefined) return { name, text };
    }
    return undefined;
  }
}

function nameFor(stem: string, signal: Signal): string {
  return `${PREFIX}${signal.toUpperCase()}_${stem}`;
}

function textOf(env: Environment, name: string): string | undefined {
  return env[name]?.trim() || undefined;
}

/** `v1/<signal>` under the path of `base`; a query, where keys sometimes are, stays behind it. */
function atBase(base: URL, signal: Signal): string {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/${signal}`;
  return url.href;
}

/** Name, value and whether metadata followed, of one entry in the W3C baggage format. */
function headerOf(pair: string): readonly [name: string, value: string, metadata: boolean] {
  const [entry, ...metadata] = pair.split(";");
  const equals = entry.indexOf("=");
  if (equals < 0) return ["", "", false];
  const name = percentDecoded(entry.slice(0, equals).trim());
  return [name, percentDecoded(entry.slice(equals + 1).trim()), metadata.length > 0];
}
