import type { MiddlewareHandler } from "hono";
import { addressKey, isLoopbackHost, parseIp } from "./address.ts";
import { problem } from "./problem.ts";

/**
 * Keeps the web out of admin: a page in somebody's browser can reach loopback too. The `Host` must be localhost, a
 * loopback address or a configured name, which stops names that were rebound to us (421); and a request that a page of
 * another origin makes is refused (403).
 *
 * @param hosts Names and addresses that are allowed besides loopback, without ports.
 */
export function ownHostsOnly(hosts: readonly string[]): MiddlewareHandler {
  const allowed = new Set(hosts.map(canonical));
  return async (context, next) => {
    const { req } = context;
    // Before HTTP/1.1 there was no Host; the address that was connected to stands in the URL then.
    const authority = req.header("host") ?? new URL(req.url).host;
    const host = hostOf(authority);
    if (host === undefined || !isLoopbackHost(host) && !allowed.has(canonical(host))) {
      return problem(421, "This host name is not served here. Names are allowed by BREAKWATER_ADMIN_HOSTS.");
    }
    if (req.header("sec-fetch-site") === "cross-site" || !isOwnOrigin(req.header("origin"), authority)) {
      return problem(403, "Pages of other origins may not use this server.");
    }
    await next();
  };
}

/** A request that no page made has no `Origin`. */
function isOwnOrigin(origin: string | undefined, authority: string): boolean {
  if (origin === undefined) return true;
  const url = URL.parse(origin);
  // Parsed with the origin's scheme, so that a port which that scheme implies is the same as none.
  return url !== null && url.host !== "" && url.host === URL.parse(`${url.protocol}//${authority}`)?.host;
}

/** The host of `host:port`; undefined when it is not written like one. */
function hostOf(authority: string): string | undefined {
  const [, bracketed, plain] = /^(?:\[([\da-f:.]+)\]|([^:@/\s[\]]+))(?::\d{1,5})?$/i.exec(authority) ?? [];
  return bracketed ?? plain;
}

function canonical(host: string): string {
  const address = parseIp(host);
  return address === undefined ? host.toLowerCase().replace(/\.$/, "") : addressKey(address);
}
