import { randomUUID } from "node:crypto";
import { lookup as dnsLookup } from "node:dns/promises";
import { type Clock, systemClock } from "../core/clock.ts";
import { type Disk, nodeDisk } from "../exporters/journal/disk.ts";
import { itemsText, SIGNALS } from "../exporters/signal.ts";
import { type Sleep, sleep as timerSleep } from "../exporters/sleep.ts";
import { VERSION } from "../exporters/version.ts";
import { Account } from "./account.ts";
import { isUnspecified, parseIp } from "./address.ts";
import { type AdminApp, createAdminApp } from "./app.ts";
import { type Config, leadsBack, shownListen } from "./config.ts";
import { Forwarding } from "./forwarding.ts";
import { type LaneStatus, liveness, readiness, telemetryHealth } from "./health.ts";
import { IngestBudget } from "./ingest_budget.ts";
import { Journals } from "./journals.ts";
import { laneName } from "./lane.ts";
import type { Log } from "./log.ts";
import { ServerMetrics } from "./metrics.ts";
import { addressesOf, type Lookup, targetOf } from "./own_listener.ts";
import { type HttpListener, serveHttp } from "./platform.ts";
import { RateLimit } from "./rate_limit.ts";
import { OtlpHttpReceiver } from "./receive_http.ts";
import type { Listen, ListenAddress } from "./setting_kinds.ts";
import { StartError } from "./start_error.ts";
import { shownUrls } from "./upstream.ts";

/** What a server is started with besides its configuration. */
export interface ServerOptions {
  /** Told of what a person should know. @default {nobody is told} */
  readonly log?: Log;
  /** Where time comes from. @default {systemClock} */
  readonly clock?: Clock;
  /** How the lanes wait. @default {a timer that does not keep the process alive} */
  readonly sleep?: Sleep;
  /** The addresses of this machine, to know an upstream that is ourselves. @default {none are known} */
  readonly ownAddresses?: readonly string[];
  /** Turns the upstream's name into addresses, for the same purpose. @default {the system's resolver} */
  readonly lookup?: Lookup;
  /** The disk of the journals. @default {the real one} */
  readonly disk?: Disk;
}

/** A server that receives and forwards. */
export interface RunningServer {
  /** Where OTLP/HTTP is received; absent when that is off. */
  readonly otlpUrl: string | undefined;
  /** Where health and metrics are; absent when that is off. */
  readonly adminUrl: string | undefined;
  /** The folder that the queue is kept in; absent when it is in memory. */
  readonly dataDir: string | undefined;
  /**
   * Ends: takes nothing new, delivers what waits for as long as the configuration allows, closes. The rest stays on the
   * disk; in memory it is dropped. Later calls wait for the first.
   */
  drain(): Promise<FinalAccount>;
}

/** Where every item went, from the start to the end. */
export interface FinalAccount {
  /** Whether every equation holds. */
  readonly balanced: boolean;
  /** One line for each signal, and one for each signal at each destination. */
  readonly equations: readonly string[];
}

/** The share of the drain that requests which are being received may take: the rest is for delivering them. */
const RECEIVING_SHARE = 0.5;

/** What a page that is being read may still take when all else has ended. */
const ADMIN_CLOSE_MS = 500;

/**
 * Starts a server, in the order in which telemetry flows: journals, the account over them, lanes out of them, admin,
 * and the listener that fills them last.
 *
 * @throws {StartError} When the folder of the data cannot be used, a port cannot be opened, or the upstream turns out to
 *   be one of them.
 *
 * @example
 * ```ts
 * import { readConfig, startServer } from "@breakwater/otel/server";
 *
 * const reading = readConfig({
 *   BREAKWATER_OTLP_HTTP_LISTEN: "127.0.0.1:0",
 *   BREAKWATER_ADMIN_LISTEN: "127.0.0.1:0",
 *   BREAKWATER_DATA_DIR: "off",
 * });
 * if ("config" in reading) {
 *   const server = await startServer(reading.config);
 *   await fetch(`${server.adminUrl}/healthz`).then((response) => response.text());
 *   await server.drain();
 * }
 * ```
 */
export async function startServer(config: Config, options: ServerOptions = {}): Promise<RunningServer> {
  const { log = () => {}, clock = systemClock, sleep = timerSleep, disk = nodeDisk } = options;
  const parts: StartedParts = { log, clock, sleep, ownAddresses: [], lookup: systemLookup, ...options };
  const journals = await Journals.open({ config, log, clock, sleep, disk });
  try {
    return await startOver(journals, config, parts);
  } catch (error) {
    await journals.close(0);
    throw error;
  }
}

/** What a server is started with, complete. */
type StartedParts = Required<Omit<ServerOptions, "disk">>;

/** What there is between the ports. */
interface Works {
  readonly journals: Journals;
  readonly account: Account;
  readonly forwarding: Forwarding;
  readonly metrics: ServerMetrics;
  readonly hopId: string;
  readonly state: { started: boolean; draining: boolean };
}

async function startOver(journals: Journals, config: Config, parts: StartedParts): Promise<RunningServer> {
  const works = worksOver(journals, config, parts);
  const { account, forwarding, state } = works;
  const { admin, otlp } = await openListeners(works, config, parts);
  sayWhereTo(config, parts.log);
  sayWhatWaits(forwarding.statuses(), parts.log);
  forwarding.start();
  state.started = true;

  const drain = async (): Promise<FinalAccount> => {
    const endsAtMs = parts.clock.nowMs() + config.drainTimeoutMs;
    const leftMs = () => Math.max(0, endsAtMs - parts.clock.nowMs());
    state.draining = true;
    await otlp?.close(config.drainTimeoutMs * RECEIVING_SHARE);
    await forwarding.drain(leftMs());
    const final = { balanced: account.balance().balanced, equations: account.equations() };
    await journals.close(leftMs());
    await admin?.close(ADMIN_CLOSE_MS);
    return final;
  };
  let drained: Promise<FinalAccount> | undefined;
  return {
    otlpUrl: urlOf(otlp),
    adminUrl: urlOf(admin),
    dataDir: journals.path,
    drain: () => drained ??= drain(),
  };
}

/** All cursors are open before the first record is appended or taken: what a journal keeps is what they want. */
function worksOver(journals: Journals, config: Config, { log, clock, sleep }: StartedParts): Works {
  const hopId = randomUUID();
  const { ofSignal } = journals;
  const account = new Account(Object.values(ofSignal));
  // What was accepted before this start was received then.
  for (const { signal, acceptedItems } of Object.values(ofSignal)) account.received(signal, acceptedItems);
  const metrics = new ServerMetrics({
    account,
    lanes: (): readonly LaneStatus[] => forwarding.statuses(),
    journals: () => journals.statuses,
    quarantine: () => journals.quarantined,
    version: VERSION,
    log,
    clock,
  });
  const forwarding = new Forwarding({
    config,
    journals: ofSignal,
    quarantine: journals.quarantine,
    hopId,
    observer: metrics,
    log,
    clock,
    sleep,
  });
  journals.retireOthers();
  return { journals, account, forwarding, metrics, hopId, state: { started: false, draining: false } };
}

async function openListeners(
  works: Works,
  config: Config,
  parts: StartedParts,
): Promise<Record<"admin" | "otlp", HttpListener | undefined>> {
  const { lookup, ownAddresses, sleep } = parts;
  const receiver = receiverFor(works, config, parts);
  const adminApp = adminAppFor(works, config, parts);
  const known = await addressesOf(hostsOf(config), lookup, sleep);
  const [admin, otlp] = await openAll([
    {
      name: "BREAKWATER_ADMIN_LISTEN",
      listen: config.adminListen,
      open: (address) =>
        Promise.resolve(serveHttp(address, (request, peer) => adminApp.fetch(request, { peerAddress: peer }))),
    },
    {
      name: "BREAKWATER_OTLP_HTTP_LISTEN",
      listen: config.otlpHttpListen,
      open: async ({ host, port }) => {
        await receiver.listen({ hostname: host, port });
        return {
          address: { host, port: receiver.address?.port ?? port },
          close: (deadlineMs) => receiver.close(deadlineMs),
        };
      },
    },
  ], (name, listen) => leadsBack(config.destinations, { name, listen }, ownAddresses, (host) => known.get(host) ?? []));
  return { admin, otlp };
}

function receiverFor(works: Works, config: Config, { log, clock }: StartedParts): OtlpHttpReceiver {
  return new OtlpHttpReceiver({
    journals: works.journals.ofSignal,
    receipts: works.account,
    budget: new IngestBudget({ bytesMax: config.inflightBytesMax }),
    hopId: works.hopId,
    ingestToken: config.ingestToken?.reveal(),
    bodyBytesMax: config.bodyBytesMax,
    sampleRatio: config.sampleRate,
    isDraining: () => works.state.draining,
    log,
    clock,
  });
}

function adminAppFor(works: Works, config: Config, { log, clock }: StartedParts): AdminApp {
  const { forwarding, journals, metrics, state } = works;
  return createAdminApp({
    liveness: () => liveness(forwarding.statuses(), clock.nowMs()),
    readiness: () => readiness({ ...state, diskFailure: journals.failure }),
    telemetryHealth: () => telemetryHealth(forwarding.statuses(), clock.wallMs()),
    metrics: () => metrics.exposition(),
    rateLimit: new RateLimit({ rate: config.metricsRateLimit, trusted: config.trustedScrapers, clock }),
    trustedProxies: config.trustedProxies,
    hosts: adminHosts(config),
    log,
  });
}

/** A port that is to be opened, by the setting that says where. */
interface Opening {
  readonly name: string;
  readonly listen: Listen;
  readonly open: (address: ListenAddress) => Promise<HttpListener>;
}

/**
 * Opens all ports or none. A port that turns out to be forbidden, once it is known, counts as one that did not open.
 */
async function openAll(
  openings: readonly Opening[],
  forbidden: (name: string, listen: Listen) => readonly string[],
): Promise<readonly (HttpListener | undefined)[]> {
  const opened: (HttpListener | undefined)[] = [];
  const mistakes: string[] = [];
  for (const { name, listen, open } of openings) {
    try {
      const listener = listen === "off" ? undefined : await open(listen);
      opened.push(listener);
      if (listener !== undefined) mistakes.push(...forbidden(name, listener.address));
    } catch (error) {
      const why = (error as { code?: string }).code ?? String(error);
      mistakes.push(`${name} must be a free address of this machine, received ${shownListen(listen)} (${why})`);
    }
  }
  if (mistakes.length === 0) return opened;
  await Promise.all(opened.map((listener) => listener?.close(0)));
  throw new StartError(mistakes);
}

const systemLookup: Lookup = async (host) => {
  const found = await dnsLookup(host, { all: true });
  return found.map(({ address }) => address);
};

/** The hosts that telemetry is forwarded to. */
function hostsOf({ destinations }: Config): readonly string[] {
  return destinations.flatMap(shownUrls).map((url) => targetOf(url).host);
}

/** The address that admin was told to listen on is a name for it too, unless it stands for every address. */
function adminHosts({ adminHosts, adminListen }: Config): readonly string[] {
  if (adminListen === "off") return adminHosts;
  const address = parseIp(adminListen.host);
  return address !== undefined && isUnspecified(address) ? adminHosts : [...adminHosts, adminListen.host];
}

function sayWhereTo({ destinations }: Config, log: Log): void {
  if (destinations.length === 0) {
    log("warning", "No upstream is set (OTEL_EXPORTER_OTLP_ENDPOINT): what is received is accepted and dropped");
    return;
  }
  for (const signal of SIGNALS) {
    const endpoints = destinations.flatMap(({ shownEndpoints }) => shownEndpoints[signal] ?? []);
    if (endpoints.length > 0) log("info", `${signal} are forwarded to ${endpoints.join(" and ")}`);
    else log("warning", `${signal} have no upstream: they are accepted and dropped`);
  }
}

/** What a process before this one has left. */
function sayWhatWaits(lanes: readonly LaneStatus[], log: Log): void {
  for (const { signal, destination, queued } of lanes) {
    if (queued.items === 0) continue;
    log("info", `${laneName(signal, destination)}: ${itemsText(queued.items, signal)} wait from before`);
  }
}

function urlOf(listener: HttpListener | undefined): string | undefined {
  return listener && `http://${shownListen(listener.address)}`;
}
