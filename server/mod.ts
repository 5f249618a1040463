/**
 * The server: OTLP in, a bounded queue on the disk, circuit breakers, OTLP out, with health and metrics beside it.
 *
 * {@linkcode readConfig} turns an environment into a checked configuration, or into every reason why it is none.
 * {@linkcode startServer} puts the parts together and opens the ports; {@linkcode createAdminApp} is the admin listener
 * as a function from a request to a response. Nothing here reads the environment, opens a port or handles a signal by
 * being imported: `server/main.ts` does, and is the program.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { readConfig } from "@breakwater/otel/server";
 *
 * const reading = readConfig({ HOME: "/home/me", BREAKWATER_SAMPLE_RATE: "2" });
 * assert.ok("mistakes" in reading);
 * assert.deepEqual(reading.mistakes, ['BREAKWATER_SAMPLE_RATE must be a number from 0 to 1, received "2"']);
 * ```
 *
 * @module
 */

export type { Clock } from "../core/clock.ts";
export type { Environment } from "../exporters/env.ts";
export type { Sleep } from "../exporters/sleep.ts";
export type { Signal } from "../exporters/signal.ts";
export type { AddressRange, IpAddress } from "./address.ts";
export { type AdminApp, type AdminBindings, type AdminParts, createAdminApp, type HealthStatus } from "./app.ts";
export { type BreakerConfig, type Config, type ConfigReading, readConfig } from "./config.ts";
export type { Log } from "./log.ts";
export type { Lookup } from "./own_listener.ts";
export { RateLimit, type RateLimitOptions, type RateVerdict } from "./rate_limit.ts";
export { type FinalAccount, type RunningServer, type ServerOptions, startServer } from "./server.ts";
export { StartError } from "./start_error.ts";
export type { Disk, DiskFile, DiskStat } from "../exporters/journal/disk.ts";
export type { OnFull } from "../exporters/journal/journal.ts";
export type { FsyncPolicy } from "../exporters/journal/writer.ts";
export { Secret } from "./secret.ts";
export type { Listen, ListenAddress, Rate } from "./setting_kinds.ts";
export type { DestinationPlan, Upstream } from "./upstream.ts";
