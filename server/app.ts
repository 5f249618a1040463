import { type Context, Hono } from "hono";
import { ownHostsOnly } from "./access.ts";
import type { AddressRange } from "./address.ts";
import type { Log } from "./log.ts";
import { problem } from "./problem.ts";
import { clientAddress, type RateLimit } from "./rate_limit.ts";

/** The answer of a health route. */
export interface HealthStatus {
  /** 200 when all is well. */
  readonly status: 200 | 503;
  /** What is sent as JSON. */
  readonly body: unknown;
}

/** What the admin routes are made of. */
export interface AdminParts {
  /** Answers `/healthz`: whether the process makes progress. */
  readonly liveness: () => HealthStatus;
  /** Answers `/readyz`: whether telemetry may be sent here. */
  readonly readiness: () => HealthStatus;
  /** Answers `/health/telemetry`: whether telemetry reaches the upstream. */
  readonly telemetryHealth: () => HealthStatus;
  /** Answers `/metrics`; the content type is sent as it is. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  /** How often `/metrics` may be read, and by whom without limit. */
  readonly rateLimit: RateLimit;
  /** Proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly AddressRange[];
  /** Names by which admin may be asked for, besides loopback. */
  readonly hosts: readonly string[];
  /** Told of what went wrong inside. */
  readonly log: Log;
}

/** What whoever serves the app gives along with each request. */
export interface AdminBindings {
  /** The IP address at the other end of the connection. */
  readonly peerAddress?: string;
}

/** A web application: from a request to a response. It is a Hono app, and another one can mount its `fetch`. */
export interface AdminApp {
  /** Answers a request. */
  fetch(request: Request, bindings?: AdminBindings): Response | Promise<Response>;
  /** Answers a request that is put together on the spot, as tests do. */
  request(path: string, init?: RequestInit, bindings?: AdminBindings): Response | Promise<Response>;
}

interface AdminEnv {
  Bindings: AdminBindings;
}

const READING_METHODS = ["GET", "HEAD"];

/**
 * The admin listener as a Hono app: a function from a request to a response, without a server around it.
 *
 * @example
 * ```ts ignore
 * const app = createAdminApp(parts);
 * Deno.serve({ port: 9464 }, (request, { remoteAddr }) => app.fetch(request, { peerAddress: remoteAddr.hostname }));
 * ```
 */
export function createAdminApp(parts: AdminParts): AdminApp {
  const app = new Hono<AdminEnv>();
  app.use(async (context, next) => {
    await next();
    context.res.headers.set("cache-control", "no-store");
    context.res.headers.set("x-content-type-options", "nosniff");
  });
  app.use(ownHostsOnly(parts.hosts));

  const routes: Readonly<Record<string, (context: Context<AdminEnv>) => Response | Promise<Response>>> = {
    "/healthz": (context) => health(context, parts.liveness()),
    "/readyz": (context) => health(context, parts.readiness()),
    "/health/telemetry": (context) => health(context, parts.telemetryHealth()),
    "/metrics": (context) => metrics(context, parts),
  };
  for (const [path, answer] of Object.entries(routes)) {
    app.all(path, (context) => {
      if (READING_METHODS.includes(context.req.raw.method)) return answer(context);
      return problem(405, `${path} can only be read.`, { allow: READING_METHODS.join(", ") });
    });
  }
  app.notFound(() => problem(404, `There is nothing here. There is: ${Object.keys(routes).join(" ")}`));
  app.onError((error) => {
    parts.log("error", `Admin could not answer: ${error.message}`);
    return problem(500, "The server could not answer; its log says why.");
  });
  return app;
}

function health(context: Context<AdminEnv>, { status, body }: HealthStatus): Response {
  return context.body(`${JSON.stringify(body)}\n`, status, { "content-type": "application/json" });
}

async function metrics(context: Context<AdminEnv>, parts: AdminParts): Promise<Response> {
  // Without bindings there is no peer: all such requests are one client.
  const peer = (context.env as AdminBindings | undefined)?.peerAddress;
  const client = clientAddress(peer, context.req.header("x-forwarded-for"), parts.trustedProxies);
  const verdict = await parts.rateLimit.consume(client);
  if (!verdict.allowed) {
    const after = `${verdict.retryAfterSeconds}`;
    return problem(429, `Too many requests from your address: come back in ${after} s.`, { "retry-after": after });
  }
  const { contentType, text } = await parts.metrics();
  return context.body(text, 200, { "content-type": contentType });
}
