import { addressKey, isLoopback, isLoopbackHost, isUnspecified, parseIp } from "./address.ts";
import type { ListenAddress } from "./setting_kinds.ts";

/**
 * Whether a connection to `target` would end at `listener`, as far as names tell: nothing is looked up. `localhost`,
 * `127.0.0.1`, `::1` and the unspecified addresses are one place. What this cannot see, a name in DNS for example, the
 * `breakwater-hop` of a forwarded request shows.
 *
 * @param ownAddresses The addresses of this machine's interfaces, where they are known.
 */
export function leadsTo(target: ListenAddress, listener: ListenAddress, ownAddresses: readonly string[] = []): boolean {
  if (target.port !== listener.port || target.port === 0) return false;
  const [from, to] = [placeOf(target.host), placeOf(listener.host)];
  if (from === to || isHere(from) && isHere(to)) return true;
  if (to !== ANYWHERE) return false;
  return isLoopbackHost(target.host) || ownAddresses.some((address) => placeOf(address) === from);
}

/** The host and port that a URL is fetched from. */
export function targetOf(url: URL): ListenAddress {
  const port = url.port !== "" ? Number(url.port) : url.protocol === "https:" ? 443 : 80;
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port };
}

const LOCALHOST = "localhost";
const ANYWHERE = "every address";

function isHere(place: string): boolean {
  return place === LOCALHOST || place === ANYWHERE;
}

function placeOf(host: string): string {
  const address = parseIp(host);
  if (address === undefined) {
    const name = host.toLowerCase().replace(/\.$/, "");
    // RFC 6761: every name below localhost is this machine.
    return name.endsWith(".localhost") ? LOCALHOST : name;
  }
  if (isUnspecified(address)) return ANYWHERE;
  const key = addressKey(address);
  // Only the loopback addresses that "localhost" stands for: 127.0.0.2 is a place of its own.
  return isLoopback(address) && (key === "127.0.0.1" || address.length === 16) ? LOCALHOST : key;
}
