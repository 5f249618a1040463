/** An IP address as its bytes: 4 of them for IPv4, 16 for IPv6. IPv4 mapped into IPv6 is IPv4. */
export type IpAddress = Uint8Array;

/** Addresses that share their first `prefixBits` bits: `10.0.0.0/8`. */
export interface AddressRange {
  /** One address of the range. */
  readonly base: IpAddress;
  /** How many bits all its addresses have in common, from 0 to 32 or 128. */
  readonly prefixBits: number;
}

const IPV4_MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** Reads `127.0.0.1`, `::1`, `[::1]` or `fe80::1%eth0`; undefined when it is none of them. Nothing is looked up. */
export function parseIp(text: string): IpAddress | undefined {
  const bare = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  if (!bare.includes(":")) return parseIpv4(bare);
  const bytes = parseIpv6(bare.replace(/%[^%\s]+$/, ""));
  const mapped = bytes !== undefined && IPV4_MAPPED_PREFIX.every((byte, index) => bytes[index] === byte);
  return mapped ? bytes.slice(12) : bytes;
}

/** Reads `10.0.0.0/8`, `fd00::/8` or one address alone; undefined when it is none of them. */
export function parseAddressRange(text: string): AddressRange | undefined {
  const [address = "", prefix, ...rest] = text.split("/");
  const base = parseIp(address);
  if (base === undefined || rest.length > 0) return undefined;
  const bitsMax = base.length * 8;
  if (prefix === undefined) return { base, prefixBits: bitsMax };
  // A prefix that was written for the mapped form counts the 96 bits that the mapping adds.
  const written = /^\d{1,3}$/.test(prefix) ? Number(prefix) : NaN;
  const prefixBits = address.includes(":") && base.length === 4 ? written - 96 : written;
  return prefixBits >= 0 && prefixBits <= bitsMax ? { base, prefixBits } : undefined;
}

/** Whether any of the ranges holds the address. */
export function isWithin(address: IpAddress, ranges: readonly AddressRange[]): boolean {
  return ranges.some(({ base, prefixBits }) => base.length === address.length && sharesBits(base, address, prefixBits));
}

/** Whether nobody but this machine can reach it: 127.0.0.0/8 and ::1. */
export function isLoopback(address: IpAddress): boolean {
  if (address.length === 4) return address[0] === 127;
  return address.every((byte, index) => byte === (index === 15 ? 1 : 0));
}

/** Whether it stands for every address of the machine: 0.0.0.0 and ::. */
export function isUnspecified(address: IpAddress): boolean {
  return address.every((byte) => byte === 0);
}

/** Whether a host name or address means this machine and nothing beyond: `localhost` or a loopback address. */
export function isLoopbackHost(host: string): boolean {
  if (/^localhost\.?$/i.test(host)) return true;
  const address = parseIp(host);
  return address !== undefined && isLoopback(address);
}

/** One name for an address, however it was written. IPv6 keeps its first `ipv6PrefixBits` bits. */
export function addressKey(address: IpAddress, ipv6PrefixBits = 128): string {
  if (address.length === 4) return address.join(".");
  return Array.from(address.subarray(0, ipv6PrefixBits / 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function parseIpv4(text: string): IpAddress | undefined {
  const parts = text.split(".");
  // A leading zero is octal to some and decimal to others, so it is neither here.
  const valid = parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
  return valid ? Uint8Array.from(parts, Number) : undefined;
}

function parseIpv6(text: string): IpAddress | undefined {
  const tailAt = text.lastIndexOf(":") + 1;
  const tail = text.slice(tailAt);
  if (tail.includes(".")) {
    const ipv4 = parseIpv4(tail);
    if (ipv4 === undefined) return undefined;
    const [a = 0, b = 0, c = 0, d = 0] = ipv4;
    return parseIpv6(`${text.slice(0, tailAt)}${(a << 8 | b).toString(16)}:${(c << 8 | d).toString(16)}`);
  }
  const [head = "", end, ...rest] = text.split("::");
  if (rest.length > 0) return undefined;
  const left = groups(head);
  const right = groups(end ?? "");
  if (left === undefined || right === undefined) return undefined;
  const missing = 8 - left.length - right.length;
  // "::" stands for at least one group; without it all eight are written out.
  if (end === undefined ? missing !== 0 : missing < 1) return undefined;
  const all = [...left, ...Array<number>(missing).fill(0), ...right];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

function groups(text: string): readonly number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  return parts.every((part) => /^[\da-f]{1,4}$/i.test(part)) ? parts.map((part) => parseInt(part, 16)) : undefined;
}

function sharesBits(a: IpAddress, b: IpAddress, bitCount: number): boolean {
  for (let index = 0, left = bitCount; left > 0; index++, left -= 8) {
    const mask = left >= 8 ? 0xff : 0xff << (8 - left) & 0xff;
    if (((a[index] ?? 0) & mask) !== ((b[index] ?? 0) & mask)) return false;
  }
  return true;
}
