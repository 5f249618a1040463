import { type Limit, withinLimits } from "../../core/limits.ts";
import { type Signal, SIGNALS } from "../signal.ts";
import { VERSION } from "../version.ts";

/** How a request's body is made smaller. */
export type Compression = "none" | "gzip";

/** One value for all signals, or one for each. */
export type PerSignal<Value> = Value | Readonly<Record<Signal, Value>>;

/** The part of a transport's options that says where to send and with what. */
export interface EndpointOptions {
  readonly endpoints: Readonly<Record<Signal, string>>;
  readonly headers?: PerSignal<Readonly<Record<string, string>>>;
  readonly compression?: PerSignal<Compression>;
  readonly timeoutMs?: PerSignal<number>;
  readonly product?: string;
}

/** One signal's route, checked. */
export interface Endpoint {
  readonly url: string;
  /** Host and port: the only part of the URL that is ever shown. */
  readonly host: string;
  readonly headers: Headers;
  readonly gzip: boolean;
  readonly timeoutMs: number;
  /** What must not be shown, should the backend repeat it. */
  readonly secrets: readonly string[];
}

/** How long one attempt may take unless somebody says otherwise: OpenTelemetry's own number. */
export const ATTEMPT_TIMEOUT_DEFAULT_MS = 10_000;

/** A day: an attempt that may take longer is one that nobody waits for. */
export const ATTEMPT_TIMEOUT_MAX_MS = 86_400_000;

const LIMITS = {
  timeoutMs: { default: ATTEMPT_TIMEOUT_DEFAULT_MS, min: 1, max: ATTEMPT_TIMEOUT_MAX_MS, integer: true },
} satisfies Record<string, Limit>;

/** Shorter words of a header are too common to be blotted out of a sentence. */
const SECRET_LENGTH_MIN = 8;

/**
 * Checks one signal's part of the options.
 *
 * @throws {TypeError} When the endpoint is no `http:` or `https:` URL, or a header cannot be sent.
 * @throws {RangeError} When the timeout is outside its range.
 */
export function endpointOf(signal: Signal, options: EndpointOptions): Endpoint {
  const url = URL.parse(options.endpoints[signal]);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    // What came is not repeated: it may hold a password.
    throw new TypeError(`Cannot create HTTP transport: "endpoints.${signal}" must be an http: or https: URL`);
  }
  const given = headersFor(options.headers, signal);
  const credentials = url.username === "" ? undefined : basicCredentials(url);
  const headers = headersOf(options.product, { ...(credentials && { authorization: credentials }), ...given });
  url.username = "";
  url.password = "";

  const timeout = { timeoutMs: perSignal(options.timeoutMs, signal) };
  const { timeoutMs } = withinLimits("create HTTP transport", timeout, LIMITS);
  const compression = perSignal(options.compression, signal) ?? "none";
  if (compression !== "none" && compression !== "gzip") {
    const received = JSON.stringify(compression);
    throw new TypeError(`Cannot create HTTP transport: "compression" must be "none" or "gzip", received ${received}`);
  }
  const gzip = compression === "gzip";
  if (gzip) headers.set("content-encoding", "gzip");
  const words = [...Object.values(given), credentials ?? ""].flatMap((value) => value.split(" "));
  const secrets = words.filter((word) => word.length >= SECRET_LENGTH_MIN);
  return { url: url.href, host: url.host, headers, gzip, timeoutMs, secrets };
}

/** Blots out configured header values that a backend has repeated, as in "invalid key abc". */
export function withoutSecrets({ secrets }: Endpoint, message: string): string {
  return secrets.reduce((text, secret) => text.replaceAll(secret, "***"), message);
}

function headersOf(product = `Breakwater/${VERSION}`, given: Readonly<Record<string, string>>): Headers {
  const headers = new Headers();
  const userAgent = `${product} OTel-OTLP-Exporter-JavaScript/${VERSION}`;
  for (const [name, value] of Object.entries({ "user-agent": userAgent, ...given })) {
    try {
      headers.set(name, value);
    } catch {
      const problem = `header ${JSON.stringify(name)} has a name or value that HTTP forbids`;
      throw new TypeError(`Cannot create HTTP transport: ${problem}`);
    }
  }
  headers.set("content-type", "application/x-protobuf");
  return headers;
}

function headersFor(headers: EndpointOptions["headers"], signal: Signal): Readonly<Record<string, string>> {
  if (headers === undefined) return {};
  // A header's value is a string, so a record of records cannot be mistaken for headers named after signals.
  const bySignal = SIGNALS.every((name) => typeof headers[name] === "object");
  return (bySignal ? headers[signal] : headers) as Readonly<Record<string, string>>;
}

/** The value for one signal. */
export function perSignal<Value extends number | string>(
  value: PerSignal<Value> | undefined,
  signal: Signal,
): Value | undefined {
  return typeof value === "object" ? value[signal] : value;
}

function basicCredentials(url: URL): string {
  const credentials = `${percentDecoded(url.username)}:${percentDecoded(url.password)}`;
  return `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(credentials)))}`;
}

/** Decodes `%41` and its like; text that is not percent-encoded comes back as it is. */
export function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // A lone % is meant as it stands.
  }
}
