import { type AddressRange, parseAddressRange, parseIp } from "./address.ts";
import type { SettingKind } from "./settings.ts";

/** Where a listener opens its port, or `off`. */
export type Listen = ListenAddress | "off";

/** A host name or address, IPv6 without brackets, with a port; port 0 is any free one. */
export interface ListenAddress {
  /** A name, or an address; IPv6 without brackets. */
  readonly host: string;
  /** From 0 to 65535; 0 is any free one. */
  readonly port: number;
}

/** So many requests in so many seconds, or no limit at all. */
export type Rate = { readonly count: number; readonly periodSeconds: number } | "off";

/** What the text of each kind becomes. */
export interface SettingValues {
  integer: number;
  number: number;
  choice: string;
  flag: boolean;
  listen: Listen;
  rate: Rate;
  ranges: readonly AddressRange[];
  hosts: readonly string[];
  token: string;
  name: string;
}

/** The kind of that name, with its range. */
export type KindOf<Kind extends SettingKind["kind"]> = Extract<SettingKind, { readonly kind: Kind }>;

/** More than this a minute is no limit for people; more a second is not what a scrape page is for. */
const RATE_COUNT_MAX = 1_000_000;
const PERIOD_SECONDS = { second: 1, minute: 60, hour: 3600 } as const;

/** What a list may hold: enough for any network, little enough to be searched for each request. */
const LIST_LENGTH_MAX = 1000;

/** What a setting's text must be, in words: `an integer from 1 to 4095`. */
export function rangeOf(is: SettingKind): string {
  switch (is.kind) {
    case "integer":
      return `an integer from ${is.min} to ${is.max}`;
    case "number":
      return `a number from ${is.min} to ${is.max}`;
    case "choice":
      return listed(is.values.map((value) => `\`${value}\``));
    case "flag":
      return "`true` or `false`";
    case "listen":
      return "`host:port` with a port from 0 to 65535 (IPv6 in brackets), or `off`";
    case "rate":
      return `\`N/second\`, \`N/minute\` or \`N/hour\` with N from 1 to ${RATE_COUNT_MAX}, or \`off\``;
    case "ranges":
      return "addresses or CIDR ranges with commas between, such as `10.0.0.0/8,::1`";
    case "hosts":
      return "host names with commas between, without ports";
    case "token":
      return "visible ASCII characters without spaces";
    case "name":
      return "a text without control characters";
    case "otlp":
      return is.range;
  }
}

/** Reads a setting's text as its kind says; undefined when the text is not of that kind. */
export function readKind<Kind extends keyof SettingValues>(
  kind: Kind,
  is: KindOf<Kind>,
  text: string,
): SettingValues[Kind] | undefined {
  return READERS[kind](text, is);
}

const READERS: {
  readonly [Kind in keyof SettingValues]: (
    text: string,
    is: KindOf<Kind>,
  ) => SettingValues[Kind] | undefined;
} = {
  integer: (text, { min, max }) => numberFrom(text, /^[+-]?\d+$/, min, max),
  number: (text, { min, max }) => numberFrom(text, /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i, min, max),
  choice: (text, { values }) => values.find((value) => value === text.toLowerCase()),
  flag: (text) => ({ true: true, false: false })[text.toLowerCase()],
  listen: readListen,
  rate: readRate,
  ranges: (text) => readList(text, parseAddressRange),
  hosts: (text) => readList(text, readHost),
  token: (text) => /^[\x21-\x7e]+$/.test(text) ? text : undefined,
  name: (text) => /^\P{Cc}+$/u.test(text) ? text : undefined,
};

function numberFrom(text: string, syntax: RegExp, min: number, max: number): number | undefined {
  const value = syntax.test(text) ? Number(text) : NaN;
  return value >= min && value <= max ? value : undefined;
}

function readListen(text: string): Listen | undefined {
  if (text.toLowerCase() === "off") return "off";
  const [, bracketed, plain, port = ""] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65_535) return undefined;
  const valid = bracketed === undefined ? isHostName(host) : host.includes(":") && parseIp(host) !== undefined;
  return valid ? { host, port: Number(port) } : undefined;
}

function readRate(text: string): Rate | undefined {
  if (text.toLowerCase() === "off") return "off";
  const [, count = "", period] = /^(\d{1,7})\s*\/\s*(second|minute|hour)$/i.exec(text) ?? [];
  if (period === undefined || Number(count) < 1 || Number(count) > RATE_COUNT_MAX) return undefined;
  const unit = period.toLowerCase() as keyof typeof PERIOD_SECONDS;
  return { count: Number(count), periodSeconds: PERIOD_SECONDS[unit] };
}

function readList<Item>(text: string, read: (item: string) => Item | undefined): readonly Item[] | undefined {
  const items = text.split(",").map((item) => item.trim()).filter((item) => item !== "").map(read);
  const valid = items.every((item) => item !== undefined) && items.length <= LIST_LENGTH_MAX;
  return valid ? items as readonly Item[] : undefined;
}

function readHost(text: string): string | undefined {
  if (parseIp(text) !== undefined) return text.replace(/^\[|\]$/g, "");
  return isHostName(text) ? text.toLowerCase().replace(/\.$/, "") : undefined;
}

/** A name of letters, digits, hyphens, underscores; if it looks like an IPv4 address it must be one. */
function isHostName(text: string): boolean {
  if (/^[\d.]+$/.test(text)) return parseIp(text) !== undefined;
  return text.length <= 253 && /^[a-z\d_]([a-z\d_-]*[a-z\d_])?(\.[a-z\d_]([a-z\d_-]*[a-z\d_])?)*\.?$/i.test(text);
}

function listed(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} or ${parts.at(-1)}`;
}
