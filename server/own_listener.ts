import type { Sleep } from "../exporters/sleep.ts";
import { addressKey, isLoopback, isLoopbackHost, isUnspecified, parseIp } from "./address.ts";
import type { ListenAddress } from "./setting_kinds.ts";

/**
 * Whether a connection to `target` would end at `listener`, as far as names tell: nothing is looked up here. `localhost`,
 * `127.0.0.1`, `::1` and the unspecified addresses are one place. What this cannot see, a proxy for example, the
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

/** Turns a name into the addresses that it stands for. Rejects when it stands for none. */
export type Lookup = (host: string) => Promise<readonly string[]>;

/** A start waits for names no longer than this: a name server that is down is no reason not to receive telemetry. */
const LOOKUP_TIMEOUT_MS = 2000;

/** The addresses of those hosts that are names and are known in time. */
export async function addressesOf(
  hosts: readonly string[],
  lookup: Lookup,
  sleep: Sleep,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>();
  const names = [...new Set(hosts)].filter((host) => parseIp(host) === undefined);
  const asking = names.map(async (name) => {
    try {
      found.set(name, await lookup(name));
    } catch {
      // An unknown name leads nowhere, so not back here either.
    }
  });
  const answered = new AbortController();
  await Promise.race([Promise.all(asking), sleep(LOOKUP_TIMEOUT_MS, answered.signal)]);
  answered.abort();
  return new Map(found);
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
